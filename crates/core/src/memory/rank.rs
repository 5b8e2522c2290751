//! Several orders of what was found, made one: reciprocal rank fusion.

use std::{collections::BTreeMap, hash::Hash};

/// How much the first places weigh against the later ones. The value of the paper that proposed it
/// (Cormack, Clarke and Büttcher, 2009), which hardly matters within wide bounds.
pub const FUSION_K: f64 = 60.0;

/// An order of what was found, best first, and how much it counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking<T> {
    /// What was found.
    pub found: Vec<T>,
    /// How much the order counts; 1 is usual.
    pub weight: f64,
}

/// One order of all that was found, best first: each place in each order adds to the score. Equal scores
/// stand in the order of the ids.
pub fn fuse<T: Copy + Ord + Hash>(rankings: &[Ranking<T>]) -> Vec<(T, f64)> {
    let mut scores: BTreeMap<T, f64> = BTreeMap::new();
    for ranking in rankings {
        let mut place = FUSION_K;
        for id in &ranking.found {
            place += 1.0;
            *scores.entry(*id).or_default() += ranking.weight / place;
        }
    }
    let mut fused: Vec<_> = scores.into_iter().collect();
    fused.sort_by(|a, b| b.1.total_cmp(&a.1));
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(found: &[u32], weight: f64) -> Ranking<u32> {
        Ranking { found: found.to_vec(), weight }
    }

    fn fused(rankings: &[Ranking<u32>]) -> Vec<u32> {
        fuse(rankings).into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn what_several_orders_find_comes_before_what_one_finds() {
        assert_eq!(fused(&[order(&[1, 2, 3], 1.0), order(&[3, 4], 1.0)]), [3, 1, 2, 4]);
        assert_eq!(fused(&[order(&[1, 2], 1.0), order(&[2, 1], 3.0)]), [2, 1], "weights count");
        assert_eq!(
            fused(&[order(&[7, 5], 1.0), order(&[5, 7], 1.0)]),
            [5, 7],
            "a tie has an order"
        );
        assert_eq!(fused(&[]), Vec::<u32>::new());
    }
}
