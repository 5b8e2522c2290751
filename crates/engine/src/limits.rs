//! How much, how long, how often: every bound of the engine, with its default.

use epilogue_core::{Span, StepKind, retry::RetryPolicy};

/// Bounds on conversations and on the work done for them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long a message may wait for the turn before it.
    pub turn_wait: Span,
    /// How many messages may wait for one session.
    pub turns_waiting_max: usize,
    /// How long a turn may take, tools included.
    pub turn_max: Span,
    /// How often a turn may go back to the model with tool results.
    pub tool_rounds_max: u32,
    /// How many tools one reply may call.
    pub tool_calls_max: usize,
    /// How long an end waits for a turn in flight to keep what it has.
    pub turn_settle: Span,
    /// How long a slow reader may hold up a turn before it counts as gone.
    pub reader_stall: Span,
    /// How long recalling memory may delay an open.
    pub recall: Span,
    /// How long the worker lets new steps and freed places gather before it claims, so that one
    /// look serves many ends.
    pub gather: Span,
    /// How many steps run at once.
    pub steps_at_once: usize,
    /// How many steps of one lane run at once.
    pub steps_per_lane: usize,
    /// How many messages are answered at once.
    pub messages_at_once: usize,
    /// How many messages of one carrier are answered at once: each is another person's.
    pub messages_per_carrier: usize,
    /// How long a claim is believed, at least.
    pub lease: Span,
    /// The longest the sweeper and the worker sleep without looking.
    pub poll: Span,
    /// A step owed for longer than this makes the server's health degrade.
    pub stuck_after: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            turn_wait: Span::from_secs(120),
            turns_waiting_max: 16,
            turn_max: Span::from_secs(300),
            tool_rounds_max: 8,
            tool_calls_max: 16,
            turn_settle: Span::from_millis(1_000),
            reader_stall: Span::from_secs(30),
            recall: Span::from_millis(300),
            gather: Span::from_millis(5),
            steps_at_once: 512,
            steps_per_lane: 16,
            messages_at_once: 512,
            messages_per_carrier: 128,
            lease: Span::from_secs(60),
            poll: Span::from_secs(5),
            stuck_after: Span::from_secs(900),
        }
    }
}

/// When each kind of step is tried again.
#[derive(Clone, Debug)]
pub struct StepPolicies {
    /// For the steps that tell webhooks.
    pub notify: RetryPolicy,
    /// For [`StepKind::IngestMemory`].
    pub ingest_memory: RetryPolicy,
    /// For [`StepKind::Analyze`].
    pub analyze: RetryPolicy,
    /// For [`StepKind::ReleaseMedia`].
    pub release_media: RetryPolicy,
    /// For [`StepKind::Purge`].
    pub purge: RetryPolicy,
    /// For [`StepKind::RecordResult`].
    pub record_result: RetryPolicy,
}

impl StepPolicies {
    /// The policy for a kind of step.
    pub const fn of(&self, kind: StepKind) -> &RetryPolicy {
        match kind {
            StepKind::NotifyStarted | StepKind::NotifyEnded | StepKind::NotifyFinalized => {
                &self.notify
            }
            StepKind::IngestMemory => &self.ingest_memory,
            StepKind::Analyze => &self.analyze,
            StepKind::ReleaseMedia => &self.release_media,
            StepKind::Purge => &self.purge,
            StepKind::RecordResult => &self.record_result,
        }
    }
}

impl Default for StepPolicies {
    fn default() -> Self {
        Self {
            notify: RetryPolicy::webhook(),
            ingest_memory: RetryPolicy::service(Span::from_secs(25)),
            analyze: RetryPolicy::service(Span::from_secs(120)),
            release_media: RetryPolicy::service(Span::from_secs(5)),
            purge: RetryPolicy::service(Span::from_secs(30)),
            record_result: RetryPolicy::service(Span::from_secs(30)),
        }
    }
}
