//! Time limits of work on a mailbox.
//!
//! The contents of a mailbox are under its owner's control: the owner can hold its lock, fill it with millions of names, and
//! keep changing it. So all work on a mailbox has a deadline, which is checked between the entries of a directory.

use super::QuotaError;
use std::path::Path;
use std::time::{Duration, Instant};

/// Default time to wait for the lock. A delivery holds it for milliseconds.
const LOCK: Duration = Duration::from_secs(2);

/// Default time limit of a count: enough for a hundred million names in the cache of the disk.
const COUNT: Duration = Duration::from_secs(3600);

/// What to do if another process keeps the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfLocked {
    /// Fail with [`QuotaError::Locked`]. The caller can try again later.
    AskAgain,
    /// Continue without the lock, and write no figures.
    GoOn,
    /// Continue without the lock, and write the figures. They may lack a message that is stored at the same time.
    Insist,
}

/// Time limits of work on a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Time until which the mailbox's lock is waited for.
    pub lock: Instant,
    /// Time after which the result is of no use. A count that has not ended by then fails with [`QuotaError::Late`].
    pub answer: Instant,
    /// What to do if the lock could not be taken in time.
    pub if_locked: IfLocked,
}

impl Patience {
    /// Returns limits with the default time for the lock, and `answer` for the result.
    pub fn until(answer: Instant) -> Self {
        Patience { lock: answer.min(Instant::now() + LOCK), answer, if_locked: IfLocked::GoOn }
    }
}

/// The limits for an administrator: two seconds for the lock, after which the work is done without it, and an hour for the
/// count.
impl Default for Patience {
    fn default() -> Self {
        Patience { if_locked: IfLocked::Insist, ..Patience::until(Instant::now() + COUNT) }
    }
}

/// Cost of a name that needs no system call.
pub(super) const NAME: u32 = 1;
/// Cost of a system call on a name.
pub(super) const CALL: u32 = 16;
/// Cost of following a link, which its owner can make as long as the system permits.
pub(super) const LINK: u32 = 1024;

/// A deadline that is compared with the clock from time to time, according to the cost of the work.
#[derive(Debug)]
pub(super) struct Timer {
    until: Instant,
    /// Cost of the work since the clock was last read.
    done: u32,
}

/// The deadline has passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Late;

impl Timer {
    pub fn until(until: Instant) -> Self {
        Timer { until, done: LINK }
    }

    /// Adds the cost of the next piece of work.
    ///
    /// # Errors
    /// Fails if the deadline has passed.
    pub fn spend(&mut self, cost: u32) -> Result<(), Late> {
        self.done = self.done.saturating_add(cost);
        if self.done < LINK {
            return Ok(());
        }
        self.done = 0;
        if Instant::now() < self.until { Ok(()) } else { Err(Late) }
    }
}

impl Late {
    pub fn of(self, mailbox: &Path) -> QuotaError {
        QuotaError::Late(mailbox.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_read_for_a_thousand_names_or_one_link() {
        let mut over = Timer { until: Instant::now(), done: 0 };
        let names = (0..2000).take_while(|_| over.spend(NAME).is_ok()).count();
        assert_eq!(names, 1023);
        assert!(over.spend(CALL).is_ok() && over.spend(LINK).is_err());
        assert!(Timer::until(Instant::now()).spend(NAME).is_err(), "a deadline in the past is noticed at once");
        let mut enough = Timer::until(Instant::now() + Duration::from_secs(60));
        assert!((0..5000).all(|_| enough.spend(LINK).is_ok()));
    }
}
