//! How often a key or a session may ask, per minute.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use epilogue_core::{KeyId, OrgId, SessionId, Span, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue};
use quick_cache::sync::Cache;

/// How long a window lasts. It begins with the first request in it.
pub const WINDOW: Span = Span::from_secs(60);

/// How many subjects are counted at a time.
pub const SUBJECTS_MAX: usize = 65_536;

/// How many requests are allowed per window.
pub const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
/// How many of them are left.
pub const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
/// When the window ends, in seconds since the epoch.
pub const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Whose requests are counted, and which. A session is counted under whoever names it: others who know
/// its id count on their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Sessions opened with a key.
    Opens(OrgId, KeyId),
    /// Messages to a session.
    Messages(OrgId, SessionId),
    /// Looks at a session's history.
    History(OrgId, SessionId),
    /// Ends of a session.
    Ends(OrgId, SessionId),
}

/// Counts requests in windows of a minute, one window per subject.
///
/// A fixed window says what clients are told: so many are left until that second. `governor` was
/// weighed: it spreads a limit over the minute, so that it has no window to name, and its state
/// grows with the subjects until somebody sweeps it. Here a bounded cache holds the counters, so
/// that memory is bounded whoever asks. Past [`SUBJECTS_MAX`] the subjects that ask least are
/// forgotten and start anew: those that ask often, which the limit is for, stay.
pub struct Limiter {
    windows: Cache<Subject, Arc<Mutex<Window>>>,
}

#[derive(Debug)]
struct Window {
    ends_at: Timestamp,
    used: u32,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::for_subjects(SUBJECTS_MAX)
    }
}

impl Limiter {
    fn for_subjects(subjects_max: usize) -> Self {
        Self { windows: Cache::new(subjects_max) }
    }

    /// Counts a request. `None`: a limit of 0 is no limit.
    pub fn count(&self, subject: &Subject, limit: u32, now: Timestamp) -> Option<Rate> {
        if limit == 0 {
            return None;
        }
        let new = || Ok::<_, Infallible>(Arc::new(Mutex::new(Window::from(now))));
        let Ok(window) = self.windows.get_or_insert_with(subject, new);
        // Two numbers, whole at every moment.
        let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.ends_at <= now {
            *window = Window::from(now);
        }
        let verdict = if window.used < limit { Verdict::Within } else { Verdict::Past };
        window.used = limit.min(window.used.saturating_add(1));
        let remaining = limit - window.used;
        Some(Rate { verdict, limit, remaining, resets_at: window.ends_at, now })
    }

    /// Takes back what was counted within its limit, for it came to nothing.
    pub fn give_back(&self, subject: &Subject, now: Timestamp) {
        let Some(window) = self.windows.get(subject) else { return };
        let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
        if now < window.ends_at {
            window.used = window.used.saturating_sub(1);
        }
    }
}

impl From<Timestamp> for Window {
    fn from(now: Timestamp) -> Self {
        Self { ends_at: now + WINDOW, used: 0 }
    }
}

/// Whether a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Within,
    /// It is one too many.
    Past,
}

/// Where a subject stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Whether this request is answered.
    pub verdict: Verdict,
    limit: u32,
    remaining: u32,
    resets_at: Timestamp,
    now: Timestamp,
}

impl Rate {
    /// How long until there is room again.
    pub fn retry_after(&self) -> Span {
        self.resets_at.since(self.now)
    }

    /// Writes where the subject stands into an answer.
    pub fn stamp(&self, headers: &mut HeaderMap) {
        let reset = self.resets_at + Span::from_millis(999);
        headers.insert(LIMIT, HeaderValue::from(self.limit));
        headers.insert(REMAINING, HeaderValue::from(self.remaining));
        headers.insert(RESET, HeaderValue::from(reset.as_secs()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_001);

    fn subject(number: u128) -> Subject {
        Subject::Ends("a".into(), SessionId(uuid::Uuid::from_u128(number)))
    }

    fn header(rate: &Rate, name: &HeaderName) -> String {
        let mut headers = HeaderMap::new();
        rate.stamp(&mut headers);
        headers[name].to_str().expect("text").to_owned()
    }

    #[test]
    fn requests_pass_up_to_the_limit_and_not_one_past_it() {
        let limiter = Limiter::default();
        let ask = |now| limiter.count(&subject(1), 2, now).expect("a limit");
        let first = ask(NOW);
        assert_eq!((first.verdict, header(&first, &REMAINING)), (Verdict::Within, "1".into()));
        assert_eq!(header(&first, &LIMIT), "2");
        // Rounded up: a client that waits until then is not a millisecond early.
        assert_eq!(header(&first, &RESET), "1700000061");
        let later = NOW + Span::from_secs(59);
        assert_eq!(ask(later).verdict, Verdict::Within);
        let past = ask(later);
        assert_eq!((past.verdict, header(&past, &REMAINING)), (Verdict::Past, "0".into()));
        assert_eq!(past.retry_after(), Span::from_secs(1));
    }

    #[test]
    fn a_new_window_begins_when_the_old_one_is_over_and_not_before() {
        let limiter = Limiter::default();
        let ask = |now| limiter.count(&subject(1), 1, now).map(|rate| rate.verdict);
        assert_eq!(ask(NOW), Some(Verdict::Within));
        assert_eq!(ask(NOW + Span::from_millis(59_999)), Some(Verdict::Past));
        assert_eq!(ask(NOW + WINDOW), Some(Verdict::Within));
        assert_eq!(ask(NOW + WINDOW), Some(Verdict::Past));
    }

    #[test]
    fn what_came_to_nothing_is_given_back_within_its_window() {
        let limiter = Limiter::default();
        let ask = |now| limiter.count(&subject(1), 1, now).map(|rate| rate.verdict);
        limiter.give_back(&subject(1), NOW);
        assert_eq!(ask(NOW), Some(Verdict::Within));
        limiter.give_back(&subject(1), NOW);
        assert_eq!(ask(NOW), Some(Verdict::Within));
        assert_eq!(ask(NOW), Some(Verdict::Past));
        limiter.give_back(&subject(1), NOW + WINDOW);
        assert_eq!(ask(NOW + Span::from_millis(59_999)), Some(Verdict::Past));
    }

    #[test]
    fn subjects_are_counted_apart() {
        let limiter = Limiter::default();
        let id = SessionId(uuid::Uuid::from_u128(1));
        for subject in [
            Subject::Ends("a".into(), id),
            Subject::Ends("b".into(), id),
            Subject::Messages("a".into(), id),
            Subject::History("a".into(), id),
            subject(2),
            Subject::Opens("a".into(), "k".into()),
            Subject::Opens("b".into(), "k".into()),
        ] {
            let rate = limiter.count(&subject, 1, NOW).expect("a limit");
            assert_eq!(rate.verdict, Verdict::Within, "{subject:?}");
        }
    }

    #[test]
    fn a_limit_of_zero_is_none_and_costs_nothing() {
        let limiter = Limiter::default();
        assert_eq!(limiter.count(&subject(1), 0, NOW), None);
        assert!(limiter.windows.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_whoever_asks_often_stays_counted() {
        let limiter = Limiter::for_subjects(128);
        let busy = subject(0);
        let mut busiest = None;
        for number in 1..=10_000 {
            limiter.count(&subject(number), 60, NOW);
            busiest = limiter.count(&busy, 60, NOW);
        }
        assert!(limiter.windows.len() <= 128, "{}", limiter.windows.len());
        assert_eq!(busiest.map(|rate| rate.verdict), Some(Verdict::Past));
    }
}
