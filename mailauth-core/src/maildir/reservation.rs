//! Room for one message: the check, and the line in maildirsize, as one step.
//!
//! The mailbox's lock is held from the check until the message is in `new` or has failed. So neither another delivery nor
//! a recount of ours can happen in between: the limit is not exceeded, and a recount never misses the message. If the
//! process dies in between, the sum is too high by this message until the mailbox is counted.
//!
//! If the lock cannot be taken, because the mailbox's owner holds it, the message is stored without it: mail must not wait
//! for that.

use super::lock::Lock;
use super::mailbox::{ByFigures, Effort, Kept, MaildirQuota};
use super::maildirsize::{For, Found};
use super::{Doubt, QuotaError};
use crate::model::limits::Limits;
use crate::model::usage::Usage;
use crate::quota::Denied;

/// Room for one message, and the mailbox's lock. If it is dropped without [`keep`](Reservation::keep), it is taken back.
#[must_use = "a dropped reservation is taken back"]
#[derive(Debug)]
pub struct Reservation<'a> {
    mailbox: &'a MaildirQuota,
    /// Size of the message if a line was added for it.
    size: Option<i64>,
    usage: Option<Usage>,
    _lock: Option<Lock>,
}

impl MaildirQuota {
    /// Reserves room for a message of `size` bytes. Between this and [`Reservation::keep`] there should be nothing but one
    /// rename(2), because every other delivery waits in the meantime.
    ///
    /// Without a limit nothing is checked. If there is a maildirsize nevertheless, it gets its line.
    ///
    /// # Errors
    /// Returns [`Denied`] if the message does not fit, or if that is not known.
    pub fn reserve(&self, size: u64) -> Result<Reservation<'_>, Denied> {
        let lock = self.lock()?;
        let found = self.open_file(For::Appending)?;
        let (usage, file) = if self.limits() == Limits::NONE {
            (None, found.ok().filter(|found| found.contents.is_ok()))
        } else {
            let (usage, file) = self.check_under_lock(lock.as_ref(), found, size)?;
            (Some(usage), file)
        };
        let mut reservation = Reservation { mailbox: self, size: None, usage, _lock: lock };
        if let Some(Found { file, .. }) = file {
            let size = signed(size);
            self.add_line(file, size, 1)?;
            reservation.size = Some(size);
        }
        Ok(reservation)
    }

    /// Checks that the message fits. Returns what the mailbox will hold with it, and the file to add a line to.
    fn check_under_lock(
        &self,
        lock: Option<&Lock>,
        found: Result<Found, Doubt>,
        size: u64,
    ) -> Result<(Usage, Option<Found>), Denied> {
        let (before, file) = match self.check_figures(&found, size) {
            ByFigures::Fits(usage) => (usage, found.ok()),
            ByFigures::Over(over) => return Err(Denied::Mailbox(over)),
            ByFigures::Unknown => {
                let (recount, kept) = self.count_and_keep(lock, Effort::Changed, false)?;
                if let Some(over) = self.limits().broken_by(recount.usage, size) {
                    return Err(Denied::Mailbox(over));
                }
                (recount.usage, self.file_after(kept)?)
            }
        };
        let message = Usage { bytes: size, messages: 1 };
        let after = before.checked_add(message).ok_or_else(|| QuotaError::TooLarge(self.path().to_owned()))?;
        Ok((after, file))
    }

    /// Returns the file to add a line to after a count. Returns `None` if something else than a file is in its place:
    /// nothing can be written there and no program trusts it, and this must not stop mail.
    fn file_after(&self, kept: Kept) -> Result<Option<Found>, QuotaError> {
        match (self.open_file(For::Appending)?, kept) {
            (Ok(found), Kept::Yes) => Ok(Some(found)),
            // The file was not replaced. If it is trusted, it has to include the message.
            (found, Kept::NotOurs) => Ok(found.ok().filter(|found| found.contents.is_ok())),
            (Err(Doubt::NotAFile), Kept::No(error)) => {
                tracing::warn!("{error}; the mailbox is counted for each message");
                Ok(None)
            }
            (_, Kept::No(error)) => Err(error),
            (Err(_), Kept::Yes) => Err(QuotaError::Unsettled(self.path().to_owned())),
        }
    }
}

impl Reservation<'_> {
    /// Returns what the mailbox holds with this message; `None` if it has no limit.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Keeps the room, because the message is in the mailbox.
    pub fn keep(mut self) {
        self.size = None;
    }

    /// Takes the reservation back, because the message was not stored. Dropping it does the same, but only logs an error.
    ///
    /// # Errors
    /// Fails if the line cannot be added. Then the sum is too high by this message until the next count.
    pub fn take_back(mut self) -> Result<(), QuotaError> {
        self.give_room()
    }

    fn give_room(&mut self) -> Result<(), QuotaError> {
        let Some(size) = self.size.take() else { return Ok(()) };
        match self.mailbox.open_file(For::Appending)? {
            Ok(Found { file, contents: Ok(_), .. }) => self.mailbox.add_line(file, -size, -1),
            _ => Ok(()), // without a valid file, the mailbox will be counted
        }
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.give_room() {
            tracing::warn!("{error}; the mailbox counts a message too many until it is counted again");
        }
    }
}

/// Converts a size to the type of maildirsize's numbers. Larger sizes have been refused before.
fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
