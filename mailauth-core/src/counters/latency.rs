//! How long answers took: histograms by what the answer was made from.

use super::read;
use crate::decision_log::Provenance;
use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, in microseconds. Answers from memory are at the lower end, hashes in the middle, and
/// databases that do not answer at the upper end.
const BOUNDS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];

/// What an answer was made from: the words of the log, and `hashed` for a password that was hashed, wherever its row came
/// from.
const SOURCES: [&str; 6] = ["-", "database", "cache", "snapshot", "verified", "hashed"];

/// Histograms of one kind of answer.
#[derive(Debug, Default)]
pub(crate) struct Latencies([Histogram; SOURCES.len()]);

#[derive(Debug, Default)]
struct Histogram {
    /// Answers up to each bound, and in the last place those above all of them.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// A histogram at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LatencyCounts {
    /// Subject of the answers, such as `login`.
    pub about: &'static str,
    /// What the answers were made from, as the log says, or `hashed`.
    pub from: &'static str,
    /// Number of answers that took at most this many seconds, for each bound in ascending order.
    pub within: Vec<(f64, u64)>,
    /// Number of all answers.
    pub count: u64,
    /// Sum of their durations in seconds.
    pub seconds: f64,
}

impl Latencies {
    /// Adds an answer that took this long.
    pub fn add(&self, from: Provenance, hashed: bool, took: Duration) {
        let source = match (hashed, from) {
            (true, _) => 5,
            (false, Provenance::Nowhere) => 0,
            (false, Provenance::Database) => 1,
            (false, Provenance::Cache) => 2,
            (false, Provenance::Snapshot) => 3,
            (false, Provenance::Verified) => 4,
        };
        if let Some(histogram) = self.0.get(source) {
            histogram.add(took);
        }
    }

    /// Returns the histograms that are not empty.
    pub fn read(&self, about: &'static str) -> impl Iterator<Item = LatencyCounts> {
        SOURCES
            .iter()
            .zip(&self.0)
            .map(move |(from, histogram)| LatencyCounts { about, from, ..histogram.read() })
            .filter(|counts| counts.count > 0)
    }
}

impl Histogram {
    fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(BOUNDS.partition_point(|bound| *bound < micros)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.nanoseconds.fetch_add(nanos, Ordering::Relaxed);
    }

    fn read(&self) -> LatencyCounts {
        let numbers: [u64; BOUNDS.len() + 1] = array::from_fn(|at| self.buckets.get(at).map_or(0, read));
        let mut count = 0;
        let mut up_to = |number: u64| {
            count += number;
            count
        };
        let within = BOUNDS.iter().zip(numbers).map(|(bound, number)| (*bound as f64 / 1e6, up_to(number))).collect();
        let count = numbers.iter().sum();
        LatencyCounts { within, count, seconds: read(&self.nanoseconds) as f64 / 1e9, ..LatencyCounts::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_in_the_bucket_of_its_duration_and_all_above() {
        let latencies = Latencies::default();
        for micros in [0, 100, 101, 3_000_000, u64::MAX] {
            latencies.add(Provenance::Cache, false, Duration::from_micros(micros.min(20_000_000)));
        }
        let [counts] = &latencies.read("login").collect::<Vec<_>>()[..] else { panic!("one source") };
        assert_eq!((counts.about, counts.from, counts.count), ("login", "cache", 5));
        let within = |bound: f64| counts.within.iter().find(|(known, _)| *known == bound).map(|(_, number)| *number);
        assert_eq!([0.0001, 0.00025, 2.5, 5.0, 10.0].map(within), [2, 3, 3, 4, 4].map(Some));
        assert!((counts.seconds - 23.000_201).abs() < 1e-6, "{}", counts.seconds);
    }

    #[test]
    fn each_source_has_its_own_histogram() {
        let latencies = Latencies::default();
        for from in
            [Provenance::Nowhere, Provenance::Database, Provenance::Cache, Provenance::Snapshot, Provenance::Verified]
        {
            latencies.add(from, false, Duration::ZERO);
            assert!(latencies.read("login").any(|counts| counts.from == from.word() && counts.count == 1));
        }
        latencies.add(Provenance::Database, true, Duration::ZERO);
        assert_eq!(latencies.read("login").map(|counts| counts.count).collect::<Vec<_>>(), [1; 6]);
    }
}
