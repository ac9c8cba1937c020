//! What a daemon needs to know about mailboxes. It is found out in this process ([`Here`]), or by another process that
//! switches to a mailbox's owner before it looks at anything.

use super::room;
use super::{CountRules, Limits, Over, Usage};
use crate::Account;
use crate::home::{self, NotMade};
use crate::maildir::{Effort, MaildirQuota, Patience, QuotaError};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A mailbox, and the conditions under which it is looked at.
#[derive(Clone, Debug)]
pub struct Mailbox {
    /// User id of the owner.
    pub uid: u32,
    /// Group id of the owner.
    pub gid: u32,
    /// Path of its Maildir.
    pub path: PathBuf,
    /// Its limits.
    pub limits: Limits,
    /// The rules of counting.
    pub rules: CountRules,
    /// How long the work may take.
    pub patience: Patience,
}

/// Result of the check that a mailbox has room under its own limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// There is no mailbox yet.
    Missing,
    /// The message fits.
    Fits,
    /// The message would break this limit.
    Over(Over),
}

/// Result of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// There is no mailbox yet.
    Missing,
    /// The mailbox still holds the known usage: it looks as it did when it was counted. Nothing was counted.
    Unchanged,
    /// The mailbox holds this.
    Now(Usage),
}

/// Checks, counts and creates mailboxes. Each call blocks until [`Patience::answer`] at most.
pub trait Mailboxes: Send + Sync {
    /// Checks that a message of `size` bytes fits, without reserving room for it; see [`MaildirQuota::precheck`].
    ///
    /// # Errors
    /// Fails if that is not known.
    fn precheck(&self, mailbox: &Mailbox, size: u64) -> Result<Space, QuotaError>;

    /// Counts a mailbox with figures that are out of date; see [`MaildirQuota::renew`].
    ///
    /// # Errors
    /// Fails if the mailbox cannot be opened or counted.
    fn renew(&self, mailbox: &Mailbox) -> Result<bool, QuotaError>;

    /// Counts a mailbox, and calls `tell` with the usage while the mailbox's lock is held; see
    /// [`MaildirQuota::recount_and`]. A mailbox that looks as it did when it held `known` is not counted.
    ///
    /// # Errors
    /// Fails if it cannot be counted.
    fn count(
        &self,
        mailbox: &Mailbox,
        known: Option<Usage>,
        tell: &mut dyn FnMut(Usage),
    ) -> Result<Counted, QuotaError>;

    /// Creates the missing parts of an account's home and Maildir; see [`home::make`]. Returns true if there was no
    /// Maildir.
    ///
    /// # Errors
    /// Fails if they cannot be created.
    fn make(&self, account: &Account, until: Instant) -> Result<bool, NotMade>;

    /// Returns why mailboxes of other users than this process's own cannot be reached, and for how long that has been so.
    fn trouble(&self) -> Option<(String, Duration)> {
        None
    }
}

impl Mailbox {
    /// Describes the mailbox of `account` under `limits`.
    pub fn of(account: &Account, limits: Limits, rules: CountRules, patience: Patience) -> Self {
        Mailbox { uid: account.uid, gid: account.gid, path: account.maildir_path(), limits, rules, patience }
    }

    /// Opens the mailbox in this process; `None` if it does not exist yet.
    ///
    /// # Errors
    /// Fails as [`room::open`] does.
    pub fn open(&self) -> Result<Option<MaildirQuota>, QuotaError> {
        let mailbox = room::open(&self.path, self.limits, self.rules, Some(self.uid))?;
        Ok(mailbox.map(|mailbox| mailbox.within(self.patience)))
    }
}

/// Works on mailboxes in this process, with the rights that it has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Here;

impl Mailboxes for Here {
    fn precheck(&self, mailbox: &Mailbox, size: u64) -> Result<Space, QuotaError> {
        let Some(open) = mailbox.open()? else { return Ok(Space::Missing) };
        Ok(open.broken_limit(size)?.map_or(Space::Fits, Space::Over))
    }

    fn renew(&self, mailbox: &Mailbox) -> Result<bool, QuotaError> {
        mailbox.open()?.map_or(Ok(false), |open| open.renew())
    }

    fn count(
        &self,
        mailbox: &Mailbox,
        known: Option<Usage>,
        tell: &mut dyn FnMut(Usage),
    ) -> Result<Counted, QuotaError> {
        let Some(open) = mailbox.open()? else { return Ok(Counted::Missing) };
        if known.is_some_and(|known| open.still_holds(known)) {
            return Ok(Counted::Unchanged);
        }
        open.recount_and(Effort::Changed, tell).map(|(recount, ())| Counted::Now(recount.usage))
    }

    fn make(&self, account: &Account, _until: Instant) -> Result<bool, NotMade> {
        let missing = home::is_missing(account);
        home::make(account).map(|()| missing)
    }
}
