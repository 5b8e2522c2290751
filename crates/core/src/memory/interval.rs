//! Times during which something is true, and what is left when others take theirs.

use super::graph::Fact;
use crate::time::Timestamp;

/// From a moment on, up to another one that is not included; `None`: open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    pub from: Timestamp,
    pub until: Option<Timestamp>,
}

impl Interval {
    pub fn of(fact: &Fact) -> Self {
        Self { from: fact.valid_from, until: fact.valid_until }
    }

    pub fn is_empty(self) -> bool {
        self.until.is_some_and(|until| until <= self.from)
    }

    pub fn holds(self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }

    /// Whether they share a moment, or one follows the other at once.
    pub fn touches(self, other: Self) -> bool {
        self.until.is_none_or(|until| other.from <= until)
            && other.until.is_none_or(|until| self.from <= until)
    }

    /// Whether they share a moment.
    pub fn overlaps(self, other: Self) -> bool {
        !self.is_empty()
            && !other.is_empty()
            && self.until.is_none_or(|until| other.from < until)
            && other.until.is_none_or(|until| self.from < until)
    }

    /// Ends it no later than `at`.
    pub fn cut(&mut self, at: Timestamp) {
        let at = at.max(self.from);
        self.until = Some(self.until.map_or(at, |until| until.min(at)));
    }

    /// What is left of it without the other's time, in order.
    pub fn without(self, other: Self) -> Vec<Self> {
        if !self.overlaps(other) {
            return if self.is_empty() { Vec::new() } else { vec![self] };
        }
        let before = Self { from: self.from, until: Some(other.from) };
        let after = other.until.map(|from| Self { from, until: self.until });
        [Some(before), after].into_iter().flatten().filter(|left| !left.is_empty()).collect()
    }

    /// What is left of it without any of the others' times, in order.
    pub fn without_all(self, others: &[Self]) -> Vec<Self> {
        let start = if self.is_empty() { Vec::new() } else { vec![self] };
        others.iter().fold(start, |left, other| {
            left.into_iter().flat_map(|piece| piece.without(*other)).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: i64, until: impl Into<Option<i64>>) -> Interval {
        let until = until.into().map(Timestamp::from_millis);
        Interval { from: Timestamp::from_millis(from), until }
    }

    #[test]
    fn what_is_left_is_what_the_others_do_not_have() {
        assert_eq!(span(1, None).without(span(3, 5)), [span(1, 3), span(5, None)]);
        assert_eq!(span(1, 4).without(span(3, None)), [span(1, 3)]);
        assert_eq!(span(3, 4).without(span(3, 9)), []);
        assert_eq!(span(3, 4).without(span(4, 9)), [span(3, 4)]);
        assert_eq!(span(3, 9).without(span(5, 5)), [span(3, 9)], "nothing takes nothing");
        let others = [span(2, 3), span(5, 6), span(8, None)];
        assert_eq!(span(1, None).without_all(&others), [span(1, 2), span(3, 5), span(6, 8)]);
    }

    #[test]
    fn neighbours_touch_and_do_not_overlap() {
        assert!(span(1, 3).touches(span(3, None)) && !span(1, 3).overlaps(span(3, None)));
        assert!(!span(1, 3).touches(span(4, None)));
        let mut cut = span(5, None);
        cut.cut(Timestamp::from_millis(2));
        assert!(cut == span(5, 5) && cut.is_empty() && !cut.holds(Timestamp::from_millis(5)));
    }
}
