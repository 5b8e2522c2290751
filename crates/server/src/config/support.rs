//! What the configuration can say and this version cannot do yet. Ignoring it silently would be
//! worse than refusing to start.

use super::{Config, MemoryBackend, StorageUrl, path::KeyPath, report::Report};

const NOT_YET: &str = "is not supported by this version";

/// Notes every setting this version would have to ignore.
pub(super) fn check(config: &Config, report: &mut Report) {
    let root = KeyPath::root();
    if matches!(config.storage.url, StorageUrl::Postgres(_)) {
        let text = format!("{NOT_YET} as postgres://; use sqlite:PATH");
        report.fail(root.key("storage").key("url"), text);
    }
    let memory = root.key("memory");
    if config.memory.backend == MemoryBackend::Graphiti {
        let text = format!("{NOT_YET} as \"graphiti\"; use \"embedded\"");
        report.fail(memory.key("backend"), text);
    }
    if config.memory.embeddings.is_some() {
        report.fail(memory.key("embeddings"), format!("{NOT_YET}; leave it out"));
    }
    if !config.cluster.nats.is_empty() {
        let text = format!("{NOT_YET}; leave it empty, for one node");
        report.fail(root.key("cluster").key("nats"), text);
    }
}
