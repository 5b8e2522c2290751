//! How the dialect is set up.

use std::collections::BTreeMap;

use epilogue_core::{AgentId, OrgId};
use epilogue_engine::records::KeyHash;
use secrecy::SecretString;

/// How the dialect is set up.
#[derive(Clone, Debug, Default)]
pub struct KalturaSettings {
    /// Who may create sessions.
    pub partners: Vec<Partner>,
    /// The name of the host in addresses of media; empty: that of the server's public address.
    pub media_host: String,
    /// The name of the host that relays media.
    pub relay_host: String,
    /// What the relay and this server share.
    pub relay_secret: SecretString,
    /// Whether an avatar that is not known is refused, instead of being shown as the default.
    pub strict_avatars: bool,
    /// Voices as clients call them, and as whoever speaks does. Others are the configured voice.
    pub voices: BTreeMap<String, String>,
}

/// A partner: who may create sessions, and with which agent.
#[derive(Clone, Debug)]
pub struct Partner {
    /// Its number.
    pub id: u64,
    /// The organization it acts for.
    pub org: OrgId,
    /// Who its sessions are with.
    pub agent: AgentId,
    /// What its Kaltura Sessions are signed with.
    pub admin_secret: SecretString,
    /// Strings that are as good as a Kaltura Session of an admin.
    pub static_ks: Vec<StaticKs>,
    /// How many sessions it may create per minute; 0 for no limit, as the published API has none.
    pub opens_per_minute: u32,
}

/// The hash of a string that is accepted as it is.
pub type StaticKs = KeyHash;
