//! The questions about mailboxes that a daemon has, and where they are answered: in this process ([`Here`]), or by another
//! one that becomes a mailbox's owner before it looks at anything.

use super::room;
use super::{CountRules, Limits, Over, Usage};
use crate::Account;
use crate::home::{self, NotMade};
use crate::maildir::{Effort, MaildirQuota, Patience, QuotaError};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A mailbox that is asked about.
#[derive(Clone, Debug)]
pub struct Mailbox {
    /// User id of the owner.
    pub uid: u32,
    /// Group id of the owner.
    pub gid: u32,
    /// Path of its Maildir.
    pub path: PathBuf,
    /// What it may hold.
    pub limits: Limits,
    /// How it is counted.
    pub rules: CountRules,
    /// How long is waited.
    pub patience: Patience,
}

/// Whether a mailbox has room under its own limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// There is no mailbox yet.
    Missing,
    /// The message fits.
    Fits,
    /// The message would break this limit.
    Over(Over),
}

/// What a count found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// There is no mailbox yet.
    Missing,
    /// The mailbox holds what it did, and looks as it did then. Nothing was counted.
    Unchanged,
    /// It holds this.
    Now(Usage),
}

/// Answers questions about mailboxes. Each call blocks, until [`Patience::answer`] at most.
pub trait Mailboxes: Send + Sync {
    /// Checks that a message of `size` bytes may be stored; see [`MaildirQuota::precheck`].
    ///
    /// # Errors
    /// Fails if that cannot be told.
    fn precheck(&self, mailbox: &Mailbox, size: u64) -> Result<Space, QuotaError>;

    /// Counts a mailbox with figures that are out of date; see [`MaildirQuota::renew`].
    ///
    /// # Errors
    /// Fails if the mailbox cannot be looked into or counted.
    fn renew(&self, mailbox: &Mailbox) -> Result<bool, QuotaError>;

    /// Counts a mailbox, and hands over what it holds while its lock is kept; see [`MaildirQuota::recount_and`]. A mailbox
    /// that looks as it did when it held `known` is not counted.
    ///
    /// # Errors
    /// Fails if it cannot be counted.
    fn count(
        &self,
        mailbox: &Mailbox,
        known: Option<Usage>,
        tell: &mut dyn FnMut(Usage),
    ) -> Result<Counted, QuotaError>;

    /// Makes what is missing of an account's home and Maildir; see [`home::make`]. Returns true if there was no Maildir.
    ///
    /// # Errors
    /// Fails if it cannot be made.
    fn make(&self, account: &Account, until: Instant) -> Result<bool, NotMade>;

    /// Why mailboxes of others than this process's user cannot be looked at, and for how long that has been so.
    fn trouble(&self) -> Option<(String, Duration)> {
        None
    }
}

impl Mailbox {
    /// The mailbox of `account` under `limits`.
    pub fn of(account: &Account, limits: Limits, rules: CountRules, patience: Patience) -> Self {
        Mailbox { uid: account.uid, gid: account.gid, path: room::maildir(account), limits, rules, patience }
    }

    /// Opens it in this process; `None` when there is none yet.
    ///
    /// # Errors
    /// Fails as [`room::open`] does.
    pub fn open(&self) -> Result<Option<MaildirQuota>, QuotaError> {
        let mailbox = room::open(&self.path, self.limits, self.rules, Some(self.uid))?;
        Ok(mailbox.map(|mailbox| mailbox.within(self.patience)))
    }
}

/// Looks at mailboxes in this process, with the rights that it has.
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
