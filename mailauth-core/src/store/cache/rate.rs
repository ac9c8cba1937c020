//! A limit on how often something may be done in a second.

use crate::sync::Mutex;
use std::time::{Duration, Instant};

/// An allowance that is refilled within a second.
pub(super) struct Rate {
    most: u32,
    state: Mutex<(u32, Instant)>,
}

impl Rate {
    /// Creates an allowance of `most` at once, and `most` in each second after that.
    pub fn new(most: u32, now: Instant) -> Self {
        Rate { most, state: Mutex::new((most, now)) }
    }

    /// Returns true if one more may be done now, and counts it.
    pub fn admit(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        let (left, since) = *state;
        let earned = now.duration_since(since).as_nanos() * u128::from(self.most) / Duration::from_secs(1).as_nanos();
        if earned > 0 {
            let left = left.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX));
            *state = (left.min(self.most), now);
        }
        match state.0.checked_sub(1) {
            Some(left) => {
                state.0 = left;
                true
            }
            None => false,
        }
    }
}
