//! `[security]`: secrets and guards.

use epilogue_core::agent::SecretRef;
use serde::Deserialize;

/// Where the token secret comes from unless the operator says otherwise. While that variable is
/// not set, the secret is made once and kept in the data folder.
pub const DEFAULT_TOKEN_SECRET: &str = "env:EPILOGUE_TOKEN_SECRET";

/// `[security]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityConfig {
    /// What session tokens are signed with.
    pub token_secret: SecretRef,
    /// Whether webhooks and tools may be at private addresses and use plain http.
    pub allow_private_webhooks: bool,
}
