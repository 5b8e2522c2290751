//! What came of forgetting somebody.

use serde::{Deserialize, Serialize};

/// What was removed, place by place, and what was not. Empty: nobody like that was known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureReport {
    /// What was removed.
    pub removed: Vec<Removed>,
    /// What is still there, and why, in words that quote nothing.
    pub left: Vec<String>,
}

/// How much was removed from a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Where it was, such as `store.facts` or `graphiti.episodes`.
    pub place: String,
    /// How much.
    pub count: u64,
}

impl ErasureReport {
    /// Notes what was removed from a place, if it was anything.
    pub fn removed(&mut self, place: &str, count: u64) {
        if count == 0 {
            return;
        }
        match self.removed.iter_mut().find(|removed| removed.place == place) {
            Some(removed) => removed.count += count,
            None => self.removed.push(Removed { place: place.to_owned(), count }),
        }
    }

    /// Notes all that another report says.
    pub fn and(&mut self, other: Self) {
        for Removed { place, count } in other.removed {
            self.removed(&place, count);
        }
        self.left.extend(other.left);
    }

    /// Whether nothing was there.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.left.is_empty()
    }

    /// How much was removed from a place.
    pub fn count(&self, place: &str) -> u64 {
        let found = self.removed.iter().find(|removed| removed.place == place);
        found.map_or(0, |removed| removed.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_one_place_add_up_and_nothing_is_no_entry() {
        let mut report = ErasureReport::default();
        report.removed("store.facts", 0);
        assert!(report.is_empty());
        report.removed("store.facts", 2);
        let mut other = ErasureReport::default();
        other.removed("store.facts", 3);
        other.removed("store.episodes", 1);
        other.left.push("a transcript".into());
        report.and(other);
        assert_eq!((report.count("store.facts"), report.count("store.episodes")), (5, 1));
        assert_eq!((report.count("elsewhere"), report.left.len()), (0, 1));
    }
}
