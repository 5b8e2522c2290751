//! `[steps]`: how what an end owes is tried.

use std::ops::RangeInclusive;

use epilogue_core::{Span, StepKind, retry::RetryPolicy};
use serde::Deserialize;

use super::{path::KeyPath, report::Report};

/// Attempts of one step.
const ATTEMPTS: RangeInclusive<usize> = 1..=50;
/// The longest wait before an attempt, in seconds: 30 days.
const WAIT_S_MAX: u64 = 30 * 86_400;
/// How much longer a wait may get, in percent.
const JITTER_PERCENT: RangeInclusive<u32> = 0..=100;
/// Steps run at once.
const CONCURRENCY: RangeInclusive<u32> = 1..=100_000;
/// Seconds a step is leased for.
const LEASE_S: RangeInclusive<u64> = 2..=3600;

/// `[steps]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepsConfig {
    /// Steps run at once, in all.
    pub concurrency: u32,
    /// Steps run at once for one receiver or service.
    pub concurrency_per_lane: u32,
    /// Seconds after which a step of a node that died is taken over.
    pub lease_s: u64,
    /// Telling webhooks.
    pub notify: StepConfig,
    /// Filling in analysis forms.
    pub analyze: StepConfig,
    /// Putting conversations into memory.
    pub ingest_memory: StepConfig,
    /// Releasing media.
    pub release_media: StepConfig,
    /// Removing what must not stay.
    pub purge: StepConfig,
    /// Keeping conversations where they can be searched.
    pub record_result: StepConfig,
}

/// How one kind of step is tried.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepConfig {
    /// Seconds before each attempt, the first included. As many attempts as entries.
    pub retry_s: Vec<u64>,
    /// Seconds one attempt may take.
    pub timeout_s: u64,
    /// By how much a wait may be longer, so that many failures do not return at once.
    pub jitter_percent: u32,
}

impl StepConfig {
    pub(super) fn policy(&self) -> RetryPolicy {
        RetryPolicy {
            schedule: self.retry_s.iter().copied().map(Span::from_secs).collect(),
            timeout: Span::from_secs(self.timeout_s),
            jitter_percent: self.jitter_percent,
        }
    }

    pub(super) fn check(&self, at: &KeyPath, lease_s: u64, report: &mut Report) {
        let attempts = self.retry_s.len();
        if !ATTEMPTS.contains(&attempts) {
            let (least, most) = (ATTEMPTS.start(), ATTEMPTS.end());
            let text = format!("has {attempts} entries; it must have {least} to {most}");
            report.fail(at.key("retry_s"), text);
        }
        for (index, wait) in self.retry_s.iter().enumerate() {
            report.within(at.key("retry_s").index(index), wait, &(0..=WAIT_S_MAX));
        }
        // An attempt that outlives its lease would be made twice at once.
        report.within(at.key("timeout_s"), &self.timeout_s, &(1..=lease_s.saturating_sub(1)));
        report.within(at.key("jitter_percent"), &self.jitter_percent, &JITTER_PERCENT);
    }
}

impl StepsConfig {
    /// How steps of this kind are tried.
    pub fn policy(&self, kind: StepKind) -> RetryPolicy {
        match kind {
            StepKind::ReleaseMedia => self.release_media.policy(),
            StepKind::IngestMemory => self.ingest_memory.policy(),
            StepKind::Analyze => self.analyze.policy(),
            StepKind::NotifyStarted | StepKind::NotifyEnded | StepKind::NotifyFinalized => {
                self.notify.policy()
            }
            StepKind::Purge => self.purge.policy(),
            StepKind::RecordResult => self.record_result.policy(),
        }
    }

    pub(super) fn check(&self, at: &KeyPath, report: &mut Report) {
        report.within(at.key("concurrency"), &self.concurrency, &CONCURRENCY);
        report.within(at.key("concurrency_per_lane"), &self.concurrency_per_lane, &CONCURRENCY);
        report.within(at.key("lease_s"), &self.lease_s, &LEASE_S);
        let kinds = [
            ("notify", &self.notify),
            ("analyze", &self.analyze),
            ("ingest_memory", &self.ingest_memory),
            ("release_media", &self.release_media),
            ("purge", &self.purge),
            ("record_result", &self.record_result),
        ];
        for (key, step) in kinds {
            step.check(&at.key(key), self.lease_s, report);
        }
    }
}
