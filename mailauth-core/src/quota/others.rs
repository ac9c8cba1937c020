//! The other mailboxes of a domain, which are counted before its pool refuses a message.
//!
//! The figure that a mailbox published is too high once its owner has deleted mail by other programs. So the mailboxes
//! that published the most are counted again if their folders have changed. The work is bounded: at most
//! [`MOST_LOOKED_AT`] mailboxes, and half a second, after which a running count is given up. For a mailbox that looks as
//! it did when it was counted, only the state of each folder is read. A mailbox that this process may not read, or that
//! another process has locked, keeps its figure.

use super::mailboxes::{Counted, Mailbox, Mailboxes};
use super::{CountRules, Kind, Limits, Usage};
use crate::Login;
use crate::mailbox::MailboxDefaults;
use crate::maildir::{IfLocked, Patience};
use crate::store::{AccountStore, PoolStore, PoolUse, StoreError};
use std::time::{Duration, Instant};

/// Maximum number of mailboxes that are looked at for one message.
pub const MOST_LOOKED_AT: usize = 16;

/// Maximum duration of the work for one message.
const LONGEST: Duration = Duration::from_millis(500);

/// Maximum time to wait for the lock of one mailbox.
const LOCKED: Duration = Duration::from_millis(20);

/// What is needed to find and count the other mailboxes of a domain.
#[derive(Clone, Copy)]
pub struct Others<'a> {
    /// The accounts of the domain.
    pub accounts: &'a dyn AccountStore,
    /// The defaults for their mailboxes.
    pub defaults: &'a MailboxDefaults,
    /// The rules of counting.
    pub rules: CountRules,
    /// Counts the mailboxes.
    pub mailboxes: &'a dyn Mailboxes,
}

/// A pool without room, and the message that does not fit.
pub(super) struct Wanted<'a> {
    pub store: &'a dyn PoolStore,
    pub login: &'a Login,
    pub limits: Limits,
    /// The limit that the message would break.
    pub kind: Kind,
    pub size: u64,
}

impl Others<'_> {
    /// Counts other mailboxes of the domain until the message fits. Returns the usage of the domain then; `None` if
    /// nothing was counted.
    ///
    /// # Errors
    /// Fails if the database does not answer.
    pub(super) fn count(&self, wanted: &Wanted<'_>) -> Result<Option<PoolUse>, StoreError> {
        let until = Instant::now() + LONGEST;
        let mut pool = None;
        let largest = wanted.store.largest_uses(wanted.login, wanted.kind, MOST_LOOKED_AT);
        for (login, published) in answered(largest)?.unwrap_or_default() {
            if Instant::now() >= until {
                break;
            }
            if login == *wanted.login {
                continue;
            }
            if let Some(now) = self.count_one(wanted, &login, published, until)? {
                pool = Some(now);
                if wanted.limits.broken_by(now.usage, wanted.size).is_none() {
                    break;
                }
            }
        }
        Ok(pool)
    }

    /// Counts a mailbox and publishes the result, unless the mailbox looks as it did when it held `published`.
    fn count_one(
        &self,
        wanted: &Wanted<'_>,
        login: &Login,
        published: Usage,
        until: Instant,
    ) -> Result<Option<PoolUse>, StoreError> {
        let row = answered(self.accounts.find(login))?.flatten();
        let Some(account) = row.and_then(|row| self.defaults.resolve(row).ok()) else { return Ok(None) };
        let limits = account.quota.or(wanted.limits);
        let lock = until.min(Instant::now() + LOCKED);
        let patience = Patience { lock, answer: until, if_locked: IfLocked::AskAgain };
        let mailbox = Mailbox::of(&account, limits, self.rules, patience);
        let mut told = None;
        let counted = self.mailboxes.count(&mailbox, Some(published), &mut |usage| {
            told = Some(wanted.store.publish(login, usage));
        });
        match (counted, told) {
            (Ok(_), Some(published)) => answered(published),
            // A missing mailbox is not certain to hold nothing: its disk may not be mounted.
            (Ok(Counted::Missing | Counted::Unchanged | Counted::Now(_)), None) => Ok(None),
            (Err(why), _) => Ok(skipped(login, &why)),
        }
    }
}

fn skipped<T>(login: &Login, why: &dyn std::fmt::Display) -> Option<T> {
    tracing::debug!(login = login.as_str(), "the mailbox is not counted for its domain: {why}");
    None
}

/// Returns the answer of the database; `None` if it refused, so that no figure changes.
fn answered<T>(said: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match said {
        Ok(said) => Ok(Some(said)),
        Err(error) if error.is_outage() => Err(error),
        Err(error) => {
            tracing::debug!("a mailbox is not counted for its domain: {error}");
            Ok(None)
        }
    }
}
