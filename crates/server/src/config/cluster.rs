//! `[cluster]`: several nodes.

use serde::Deserialize;

/// `[cluster]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// Where the nodes hear of each other. Empty: there is one node.
    pub nats: String,
}
