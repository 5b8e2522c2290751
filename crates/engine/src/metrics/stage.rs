//! Figures of what is shown, said and relayed: what is held is nothing when every avatar session is over.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::gauge::Gauge,
    registry::{Registry, Unit},
};

use super::level;
use crate::{media::RelayCensus, session::OnStage};

#[derive(Default)]
pub(super) struct StageFigures {
    sessions: Gauge,
    performed: Gauge,
    viewers: Gauge,
    addresses: Gauge,
    parts: Gauge,
    clips: Gauge,
    sound: Gauge<f64, AtomicU64>,
    missed: Gauge,
    unsent: Gauge,
    for_nobody: Gauge,
    relay: RelayFigures,
}

#[derive(Default)]
struct RelayFigures {
    allocations: Gauge,
    connections: Gauge,
    refused: Gauge,
    forbidden: Gauge,
    datagrams: Gauge,
    bytes: Gauge,
    dropped: Gauge,
}

impl RelayFigures {
    fn register(&self, registry: &mut Registry) {
        let figures = [
            ("allocations", "Allocations of the relay that there are", &self.allocations),
            ("connections", "Connections to the relay that there are", &self.connections),
            ("refused", "Requests to the relay that were refused", &self.refused),
            ("forbidden", "Attempts at reaching others through the relay", &self.forbidden),
            ("datagrams", "Datagrams that were relayed, either way", &self.datagrams),
            ("dropped", "Datagrams that the relay dropped", &self.dropped),
        ];
        for (name, help, gauge) in figures {
            registry.register(format!("relay_{name}"), help, gauge.clone());
        }
        let help = "How large the datagrams were that were relayed";
        registry.register_with_unit("relay_relayed", help, Unit::Bytes, self.bytes.clone());
    }

    fn set(&self, now: &RelayCensus) {
        self.allocations.set(level(now.allocations));
        self.connections.set(level(now.connections));
        self.refused.set(level(now.refused));
        self.forbidden.set(level(now.forbidden));
        self.datagrams.set(level(now.datagrams));
        self.bytes.set(level(now.bytes));
        self.dropped.set(level(now.dropped));
    }
}

impl StageFigures {
    pub(super) fn register(&self, registry: &mut Registry) {
        let figures = [
            ("sessions", "Sessions that have a place on the stage", &self.sessions),
            ("performed", "Sessions whose avatar somebody performs", &self.performed),
            ("viewers", "Viewers that are connected or on their way", &self.viewers),
            ("addresses", "Addresses that viewers write from", &self.addresses),
            ("parts", "Parts of turns that wait to be spoken", &self.parts),
            ("clips", "Clips that are held to be heard", &self.clips),
            ("missed", "Moments of 20 ms left out because the node was late", &self.missed),
            ("datagrams_unsent", "Datagrams that the system did not take", &self.unsent),
            ("datagrams_for_nobody", "Datagrams that came for nobody", &self.for_nobody),
        ];
        for (name, help, gauge) in figures {
            registry.register(format!("stage_{name}"), help, gauge.clone());
        }
        let help = "How long the clips are that are held to be heard";
        registry.register_with_unit("stage_sound", help, Unit::Seconds, self.sound.clone());
        self.relay.register(registry);
    }

    pub(super) fn set(&self, now: &OnStage) {
        let OnStage { performed, parts, held } = now;
        self.sessions.set(level(held.sessions));
        self.performed.set(level(*performed as u64));
        self.viewers.set(level(held.viewers));
        self.addresses.set(level(held.addresses));
        self.parts.set(level(*parts as u64));
        self.clips.set(level(held.clips));
        self.sound.set(held.sound.as_secs_f64());
        self.missed.set(level(held.missed));
        self.unsent.set(level(held.unsent));
        self.for_nobody.set(level(held.for_nobody));
        self.relay.set(&held.relay);
    }
}
