//! Counts of rows that cannot be used, by the reason.

use serde::Serialize;
use std::collections::BTreeMap;

/// Maximum number of different reasons that are counted apart.
const MOST: usize = 100;

/// What is counted beyond that.
const OTHERS: &str = "other reasons";

/// How many rows were read, and how many of them cannot be used, by the reason.
#[derive(Default)]
pub struct Tally {
    pub read: u64,
    reasons: BTreeMap<String, u64>,
}

/// One reason.
#[derive(Serialize)]
pub struct Counted<'a> {
    pub reason: &'a str,
    pub count: u64,
}

impl Tally {
    /// Counts a row, with the reason if it cannot be used.
    pub fn add(&mut self, problem: Option<&str>) {
        self.read += 1;
        let Some(problem) = problem else { return };
        let is_known = self.reasons.len() < MOST || self.reasons.contains_key(problem);
        *self.reasons.entry(if is_known { problem } else { OTHERS }.to_owned()).or_default() += 1;
    }

    /// Returns the number of rows that cannot be used.
    pub fn unusable(&self) -> u64 {
        self.reasons.values().sum()
    }

    /// Returns the reasons, the most frequent ones first.
    pub fn reasons(&self) -> Vec<Counted<'_>> {
        let mut reasons: Vec<_> =
            self.reasons.iter().map(|(reason, count)| Counted { reason, count: *count }).collect();
        reasons.sort_by_key(|counted| std::cmp::Reverse(counted.count));
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_reason_comes_first_and_their_number_is_limited() {
        let mut tally = Tally::default();
        tally.add(None);
        tally.add(Some("z"));
        tally.add(Some("a"));
        tally.add(Some("z"));
        let found: Vec<_> = tally.reasons().iter().map(|counted| (counted.reason.to_owned(), counted.count)).collect();
        assert_eq!(found, [("z".to_owned(), 2), ("a".to_owned(), 1)]);
        assert_eq!((tally.read, tally.unusable()), (4, 3));
        (0..200).for_each(|number| tally.add(Some(&number.to_string())));
        assert_eq!((tally.reasons().len(), tally.unusable()), (MOST + 1, 203));
    }
}
