//! `[limits]`: what a client may take. Everything is bounded, and every bound has a name.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::{path::KeyPath, report::Report};

/// Limits in seconds: no more than a day.
const SECONDS: RangeInclusive<u64> = 1..=86_400;
/// How long a turn in flight may take to settle, in milliseconds.
const SETTLE_MS: RangeInclusive<u64> = 0..=60_000;
/// How long a session waits for its client to come back, in seconds.
const GRACE_SECONDS: RangeInclusive<u64> = 0..=86_400;
/// Rounds of tools within one turn.
const TOOL_ROUNDS: RangeInclusive<u32> = 1..=100;
/// Turns that may wait for one session.
const TURNS_WAITING: RangeInclusive<u32> = 1..=10_000;
/// Bytes of a request's body: 1 KiB to 1 GiB.
const BODY_BYTES: RangeInclusive<u64> = 1_024..=1_073_741_824;
/// Connections at once.
const CONNECTIONS: RangeInclusive<u32> = 1..=1_000_000;
/// Decisions that may wait for the store.
const STORE_QUEUE: RangeInclusive<u32> = 1..=1_000_000;

/// `[limits]`. For those per minute, 0 is no limit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Opens per minute and key.
    pub opens_per_minute: u32,
    /// Messages per minute and session.
    pub messages_per_minute: u32,
    /// Ends per minute and session.
    pub ends_per_minute: u32,
    /// Reads of a transcript per minute and session.
    pub history_per_minute: u32,
    /// Seconds a turn may wait for the one before it.
    pub turn_wait_s: u64,
    /// Seconds a turn may take.
    pub turn_s_max: u64,
    /// Times a model may call tools within one turn.
    pub tool_rounds_max: u32,
    /// Turns that may wait in one session.
    pub turns_waiting_max: u32,
    /// Milliseconds an end gives the turn in flight to settle.
    pub turn_settle_ms: u64,
    /// Seconds a session waits for its client to come back to it.
    pub disconnect_grace_s: u64,
    /// Bytes of a request's body.
    pub body_bytes_max: u64,
    /// Connections at once.
    pub connections_max: u32,
    /// Seconds until a request's head must be there; also how long a connection may be idle.
    pub request_header_timeout_s: u64,
    /// Seconds until a request's body must be there.
    pub request_body_timeout_s: u64,
    /// Decisions that may wait for the store.
    pub store_queue_max: u32,
}

impl LimitsConfig {
    pub(super) fn check(&self, at: &KeyPath, report: &mut Report) {
        let seconds = [
            ("turn_wait_s", self.turn_wait_s),
            ("turn_s_max", self.turn_s_max),
            ("request_header_timeout_s", self.request_header_timeout_s),
            ("request_body_timeout_s", self.request_body_timeout_s),
        ];
        for (key, value) in seconds {
            report.within(at.key(key), &value, &SECONDS);
        }
        report.within(at.key("turn_settle_ms"), &self.turn_settle_ms, &SETTLE_MS);
        report.within(at.key("disconnect_grace_s"), &self.disconnect_grace_s, &GRACE_SECONDS);
        report.within(at.key("tool_rounds_max"), &self.tool_rounds_max, &TOOL_ROUNDS);
        report.within(at.key("turns_waiting_max"), &self.turns_waiting_max, &TURNS_WAITING);
        report.within(at.key("body_bytes_max"), &self.body_bytes_max, &BODY_BYTES);
        report.within(at.key("connections_max"), &self.connections_max, &CONNECTIONS);
        report.within(at.key("store_queue_max"), &self.store_queue_max, &STORE_QUEUE);
    }
}
