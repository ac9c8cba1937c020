//! Times of a copy, by two clocks.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How far a clock may be set back without making the copy unusable.
const SET_BACK: Duration = Duration::from_secs(300);

/// Source of the time: the monotonic clock and the system's.
pub(super) type Clock = Arc<dyn Fn() -> (Instant, SystemTime) + Send + Sync>;

/// Returns the age, by the system's clock, of what was taken at `taken`; `None` if `taken` is too far in the future.
pub(super) fn age_at(now: SystemTime, taken: u64) -> Option<Duration> {
    let (now, taken) = (now.duration_since(UNIX_EPOCH).unwrap_or_default(), Duration::from_secs(taken));
    match now.checked_sub(taken) {
        Some(age) => Some(age),
        None => (taken - now <= SET_BACK).then_some(Duration::ZERO),
    }
}

/// Returns the seconds since 1970, rounded down, so that a copy is never younger than it says.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
