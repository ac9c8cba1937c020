//! How long a question about a mailbox may take.
//!
//! What is in a mailbox is its owner's: the owner can hold its lock, fill it with millions of names and keep it changing. So
//! whatever is done there has an end, and the clock is looked at between the entries of a directory.

use super::QuotaError;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the lock is waited for where nothing else is said. A delivery holds it for milliseconds.
const LOCK: Duration = Duration::from_secs(2);

/// How long a count takes at most where nothing else is said: a hundred million names from a warm disk.
const COUNT: Duration = Duration::from_secs(3600);

/// What is done about a lock that another process does not let go of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfLocked {
    /// It is an error, [`QuotaError::Locked`]: the question can be asked again later.
    AskAgain,
    /// The question is answered without the lock, and no figures are written.
    GoOn,
    /// It is done without the lock. Figures that are written may lack a message that is stored at the same moment.
    Insist,
}

/// How long a question about a mailbox may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Until then, the mailbox's lock is waited for.
    pub lock: Instant,
    /// The answer is of no use after this. A count that is not over by then is given up: [`QuotaError::Late`].
    pub answer: Instant,
    /// What is done after the first.
    pub if_locked: IfLocked,
}

impl Patience {
    /// Waits for the lock as long as is usual, and for the answer until `answer`.
    pub fn until(answer: Instant) -> Self {
        Patience { lock: answer.min(Instant::now() + LOCK), answer, if_locked: IfLocked::GoOn }
    }
}

/// An administrator's: two seconds for the lock, which is not insisted on, and an hour for the count.
impl Default for Patience {
    fn default() -> Self {
        Patience { if_locked: IfLocked::Insist, ..Patience::until(Instant::now() + COUNT) }
    }
}

/// What looking at a plain name costs.
pub(super) const NAME: u32 = 1;
/// What a system call on a name costs.
pub(super) const CALL: u32 = 16;
/// What following a link costs: its owner makes it as long as may be.
pub(super) const LINK: u32 = 1024;

/// A clock that is looked at now and then.
#[derive(Debug)]
pub(super) struct Timer {
    until: Instant,
    /// What was done since the clock was looked at.
    done: u32,
}

/// The time is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Late;

impl Timer {
    pub fn until(until: Instant) -> Self {
        Timer { until, done: LINK }
    }

    /// Says whether there is time to do something of this cost.
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
    fn the_clock_is_looked_at_for_a_thousand_names_or_one_link() {
        let mut over = Timer { until: Instant::now(), done: 0 };
        let names = (0..2000).take_while(|_| over.spend(NAME).is_ok()).count();
        assert_eq!(names, 1023);
        assert!(over.spend(CALL).is_ok() && over.spend(LINK).is_err());
        assert!(Timer::until(Instant::now()).spend(NAME).is_err(), "at once, if the time is over from the beginning");
        let mut enough = Timer::until(Instant::now() + Duration::from_secs(60));
        assert!((0..5000).all(|_| enough.spend(LINK).is_ok()));
    }
}
