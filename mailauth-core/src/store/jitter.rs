//! Chance, so that many daemons do not ask in step.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// A time from nothing to less than `most`, each time another.
pub(super) fn below(most: Duration) -> Duration {
    // Each state has a key of its own.
    let thousandths = RandomState::new().hash_one(0) % 1000;
    most * u32::try_from(thousandths).unwrap_or(0) / 1000
}
