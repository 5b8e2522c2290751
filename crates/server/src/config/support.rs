//! What the configuration can say and this version cannot do yet. Ignoring it silently would be
//! worse than refusing to start.

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
}
