//! Log lines that clients can cause are limited to one of a kind in a second, so that no client can fill a disk.

use mailauth_core::sync::Mutex;
use std::time::{Duration, Instant};

/// Minimum time between two lines of a kind.
const INTERVAL: Duration = Duration::from_secs(1);

/// Admits one line in each [`INTERVAL`], and counts the others.
#[derive(Default)]
pub(crate) struct LogLimiter(Mutex<Option<(Instant, u64)>>);

/// One limiter for each kind of line.
#[derive(Default)]
pub(crate) struct LogLimits {
    /// Too many connections are open.
    pub crowded: LogLimiter,
    /// Too many connections of one user are open.
    pub over_share: LogLimiter,
    /// The client's user may not connect.
    pub strangers: LogLimiter,
    /// A connection cannot be accepted.
    pub accept_errors: LogLimiter,
    /// A queue of work is full.
    pub full_queues: LogLimiter,
    /// The client's user may not use a command.
    pub refused_commands: LogLimiter,
    /// An account cannot be put into a reply.
    pub unsendable: LogLimiter,
    /// A mailbox cannot be created.
    pub mailbox_errors: LogLimiter,
}

impl LogLimiter {
    /// Returns the number of lines that were left out since the last one, or `None` if this line is to be left out too.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut last = self.0.lock();
        match &mut *last {
            Some((then, omitted)) if now.duration_since(*then) < INTERVAL => {
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
    fn omitted_lines_are_counted_in_the_next_one() {
        let limiter = LogLimiter::default();
        let start = Instant::now();
        assert_eq!(limiter.admit_at(start), Some(0));
        assert!((0..5).all(|_| limiter.admit_at(start).is_none()));
        assert_eq!(limiter.admit_at(start + INTERVAL), Some(5));
        assert_eq!(limiter.admit_at(start + INTERVAL * 2), Some(0));
    }
}
