//! The relay of avatar sessions: its doors, and what the operator is told of those that stay shut.

use std::{io::ErrorKind, sync::Arc};

use epilogue_api::dialect::kaltura::relay_password;
use epilogue_engine::{clock::SharedClock, media::RelayCensus};
use epilogue_media::{
    clock::SystemMediaClock,
    driver::Driver,
    relay::{
        RelayLimits,
        doors::{Doors, Settings, Shut},
    },
};
use secrecy::SecretString;

use crate::config::MediaConfig;

/// Opens the relay to `driver`, if there is to be one. Doors that cannot be opened stay shut: avatars are
/// seen all the same by whoever needs no relay, or comes by another door.
pub async fn open(
    config: &MediaConfig,
    driver: &Driver,
    clock: SharedClock,
    secret: SecretString,
) -> Option<Doors> {
    if config.turn_listen.is_empty() {
        return None;
    }
    let settings = Settings {
        listen: config.turn_listen.clone(),
        passwords: Arc::new(move |username| relay_password(&secret, username).into()),
        day: Arc::new(move || clock.now()),
        limits: RelayLimits::default(),
    };
    // A driver that has stopped needs no relay.
    let (doors, shut, _) = Doors::open(settings, driver, Arc::new(SystemMediaClock)).await.ok()?;
    for (protocol, address) in doors.addresses() {
        tracing::info!(%address, protocol, "viewers that need a relay are waited for");
    }
    for Shut { address, protocol, source } in &shut {
        tracing::warn!(
            %address,
            protocol,
            cause = %source,
            remedy = remedy(source.kind()),
            "the relay does not listen there, and viewers that need it by that way see nothing"
        );
    }
    Some(doors)
}

/// What to do about a door that stays shut.
pub const fn remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::PermissionDenied => {
            "ports below 1024 need a right of their own: grant it (CAP_NET_BIND_SERVICE), or have \
             them forwarded to others in [media] turn_listen"
        }
        ErrorKind::AddrInUse => {
            "something else has it: stop that, or choose another in [media] turn_listen"
        }
        ErrorKind::AddrNotAvailable => {
            "this machine has no such address: choose another in [media] turn_listen"
        }
        _ => "choose another in [media] turn_listen",
    }
}

/// What the relay holds, where there is one.
pub async fn census(relay: Option<&Doors>) -> RelayCensus {
    let Some(relay) = relay else { return RelayCensus::default() };
    let counts = relay.counts().await.unwrap_or_default();
    RelayCensus {
        allocations: counts.allocations as u64,
        connections: counts.connections as u64,
        refused: counts.refused + counts.connections_refused + counts.bad_credentials,
        forbidden: counts.forbidden,
        datagrams: counts.inward + counts.outward,
        bytes: counts.inward_bytes + counts.outward_bytes,
        dropped: counts.dropped,
    }
}
