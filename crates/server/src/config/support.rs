//! What the configuration can say and this version cannot do yet. Ignoring it silently would be
//! worse than refusing to start.

use epilogue_core::agent::AgentKind;

use super::{Config, StorageUrl, path::KeyPath, report::Report};

const NOT_YET: &str = "is not supported by this version";

/// Notes every setting this version would have to ignore.
pub(super) fn check(config: &Config, report: &mut Report) {
    let root = KeyPath::root();
    if matches!(config.storage.url, StorageUrl::Postgres(_)) {
        let text = format!("{NOT_YET} as postgres://; use sqlite:PATH");
        report.fail(root.key("storage").key("url"), text);
    }
    if !config.cluster.nats.is_empty() {
        let text = format!("{NOT_YET}; leave it empty, for one node");
        report.fail(root.key("cluster").key("nats"), text);
    }
    for (index, organization) in config.organizations.iter().enumerate() {
        let at = root.key("organizations").index(index);
        if !organization.kaltura_partners.is_empty() {
            report.fail(at.key("kaltura_partners"), format!("{NOT_YET}; leave them out"));
        }
        for (index, agent) in organization.agents.iter().enumerate() {
            if agent.kind == AgentKind::Avatar {
                let text = format!("{NOT_YET} as \"avatar\"; use \"text\"");
                report.fail(at.key("agents").index(index).key("kind"), text);
            }
        }
    }
}
