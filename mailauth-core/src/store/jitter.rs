//! Random delays, so that many daemons do not act in step.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Returns a random duration from zero to less than `most`.
pub(super) fn below(most: Duration) -> Duration {
    // Each `RandomState` has its own random keys.
    let thousandths = RandomState::new().hash_one(0) % 1000;
    most * u32::try_from(thousandths).unwrap_or(0) / 1000
}
