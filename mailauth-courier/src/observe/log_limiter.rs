//! At most one log line of a kind in a second, so that no client can fill a disk.

use mailauth_core::sync::Mutex;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(1);

/// Admits one line in a second, and counts the others.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<Option<(Instant, u64)>>);

impl Throttle {
    /// How many lines were left out since the last, or `None` when this one is to be left out too.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut last = self.0.lock();
        match &mut *last {
            Some((then, omitted)) if now.duration_since(*then) < PAUSE => {
                *omitted += 1;
                None
            }
            last => Some(last.replace((now, 0)).map_or(0, |(_, omitted)| omitted)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_counted_in_the_next_line() {
        let throttle = Throttle::default();
        let start = Instant::now();
        assert_eq!(throttle.admit_at(start), Some(0));
        assert!((0..5).all(|_| throttle.admit_at(start).is_none()));
        assert_eq!(throttle.admit_at(start + PAUSE), Some(5));
        assert_eq!(throttle.admit_at(start + PAUSE * 2), Some(0));
    }
}
