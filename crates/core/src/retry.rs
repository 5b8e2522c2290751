//! When to try again, and when to give up. Data in, verdict out.

use serde::{Deserialize, Serialize};

use crate::time::{Span, Timestamp};

/// A receiver may ask us to wait, but not for longer than this.
pub const RETRY_AFTER_MAX: Span = Span::from_secs(24 * 3600);

/// How often a step is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// The wait before each attempt, the first included. As many attempts as entries.
    pub schedule: Vec<Span>,
    /// How long one attempt may take.
    pub timeout: Span,
    /// By how much a wait may be longer, in percent, so that many failures do not return at once.
    pub jitter_percent: u32,
}

/// How an API's webhooks are told: which refusals are tried again, when, and for how long an
/// attempt may wait. What has none goes by the operator's schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manners {
    /// When it is tried again, and how long one attempt may take, at most [`ATTEMPT_MAX`]. `None`: by
    /// the operator's schedule.
    pub policy: Option<RetryPolicy>,
    /// Which statuses are tried again.
    pub refusals: Refusals,
    /// Whether what finally came of it stands in the activity log.
    pub logged: bool,
}

/// The longest an attempt by an API's own manners may take.
pub const ATTEMPT_MAX: Span = Span::from_secs(30);

/// Which refusals are tried again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refusals {
    /// Every status but 410, which says that the receiver is gone.
    #[default]
    AllButGone,
    /// Faults of the receiver, from 500 on. What it refuses or sends elsewhere is final.
    ServerFaults,
    /// None: an event that is told at most once. It is tried again only when nothing of it can have
    /// reached the receiver.
    OnceAtMost,
}

impl Refusals {
    /// Whether an answer with this status is tried again.
    pub const fn again(self, status: u16) -> bool {
        match self {
            Self::AllButGone => status != 410,
            Self::ServerFaults => status >= 500,
            Self::OnceAtMost => false,
        }
    }
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again then.
    Again(Timestamp),
    /// That was the last attempt.
    GiveUp,
}

impl RetryPolicy {
    /// The default for webhooks: at once, then over 27 hours.
    pub fn webhook() -> Self {
        let schedule = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
        Self {
            schedule: schedule.map(Span::from_secs).to_vec(),
            timeout: Span::from_secs(7),
            jitter_percent: 10,
        }
    }

    /// The default for steps that need a model or a memory service.
    pub fn service(timeout: Span) -> Self {
        let schedule = [0, 5, 30, 300, 1_800, 7_200];
        Self { schedule: schedule.map(Span::from_secs).to_vec(), timeout, jitter_percent: 10 }
    }

    /// What follows the failure number `failures` (from 1). `jitter` is drawn from 0 to 1;
    /// `retry_after` is what the other side asked for and only ever lengthens the wait.
    pub fn after_failure(
        &self,
        failures: u32,
        retry_after: Option<Span>,
        jitter: f64,
        now: Timestamp,
    ) -> Verdict {
        let Some(wait) = self.schedule.get(failures as usize) else { return Verdict::GiveUp };
        let percent = f64::from(self.jitter_percent) * jitter.clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a part of a wait: not negative, and the fraction does not matter"
        )]
        let extra = (wait.as_millis() as f64 * percent / 100.0) as u64;
        let wait = Span::from_millis(wait.as_millis().saturating_add(extra));
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        Verdict::Again(now + wait.max(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn the_schedule_has_a_last_attempt() {
        let policy = RetryPolicy::webhook();
        assert_eq!(
            policy.after_failure(1, None, 0.0, NOW),
            Verdict::Again(NOW + Span::from_secs(5))
        );
        assert_eq!(
            policy.after_failure(7, None, 0.0, NOW),
            Verdict::Again(NOW + Span::from_secs(36_000))
        );
        assert_eq!(policy.after_failure(8, None, 0.0, NOW), Verdict::GiveUp);
    }

    #[test]
    fn refusals_are_told_apart_by_their_status() {
        let again = |refusals: Refusals| {
            [302, 400, 404, 410, 429, 499, 500, 503].map(|status| refusals.again(status))
        };
        assert_eq!(again(Refusals::AllButGone), [true, true, true, false, true, true, true, true]);
        let faults = [false, false, false, false, false, false, true, true];
        assert_eq!(again(Refusals::ServerFaults), faults);
        assert_eq!(again(Refusals::OnceAtMost), [false; 8]);
    }

    #[test]
    fn jitter_lengthens_by_its_percentage_and_no_more() {
        let policy = RetryPolicy::webhook();
        assert_eq!(
            policy.after_failure(2, None, 1.0, NOW),
            Verdict::Again(NOW + Span::from_secs(330))
        );
        assert_eq!(
            policy.after_failure(2, None, 9.0, NOW),
            policy.after_failure(2, None, 1.0, NOW)
        );
    }

    #[test]
    fn a_receiver_may_lengthen_the_wait_up_to_the_cap_and_never_shorten_it() {
        let policy = RetryPolicy::webhook();
        let after = |secs| policy.after_failure(1, Some(Span::from_secs(secs)), 0.0, NOW);
        assert_eq!(after(60), Verdict::Again(NOW + Span::from_secs(60)));
        assert_eq!(after(1), Verdict::Again(NOW + Span::from_secs(5)));
        assert_eq!(after(86_400), Verdict::Again(NOW + RETRY_AFTER_MAX));
        assert_eq!(after(86_401), Verdict::Again(NOW + RETRY_AFTER_MAX));
    }
}
