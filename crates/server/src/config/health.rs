//! `[health]`: when the server calls itself unwell.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::{path::KeyPath, report::Report};

/// Seconds a step may be overdue.
const STUCK_AFTER_S: RangeInclusive<u64> = 1..=604_800;

/// `[health]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthConfig {
    /// Seconds without progress after which owed steps count as stuck.
    pub stuck_after_s: u64,
}

impl HealthConfig {
    pub(super) fn check(&self, at: &KeyPath, report: &mut Report) {
        report.within(at.key("stuck_after_s"), &self.stuck_after_s, &STUCK_AFTER_S);
    }
}
