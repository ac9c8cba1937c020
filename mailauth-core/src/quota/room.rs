//! Has an account room for a message? Its mailbox under its own quota, and its domain's pool.

use super::mailboxes::{Mailbox, Space};
use super::others::Others;
use super::pools::{Member, PoolDecision, PoolError, PoolOver, PoolStore};
use super::{Limits, Over, Rules, Usage};
use crate::Account;
use crate::maildir::{MaildirQuota, Patience, QuotaError};
use crate::store::StoreError;
use std::io;
use std::path::{Path, PathBuf};

/// May a message be stored for an account?
#[derive(Debug)]
pub enum Room {
    /// Yes.
    Fits,
    /// No: it would break this limit of the mailbox.
    Over(Over),
    /// No: it would break this limit of the domain.
    OverPool(PoolOver),
    /// Not now.
    CannotTell(PoolError),
}

/// Where an account's Maildir is; `Maildir` in the home where the account does not say.
pub fn maildir(account: &Account) -> PathBuf {
    Path::new(&account.home).join(account.maildir.as_deref().unwrap_or("Maildir"))
}

/// The limits to keep an account's mailbox under: its own, else its domain's.
///
/// # Errors
/// When the domain's cannot be known.
pub fn limits(account: &Account, pools: &dyn PoolStore) -> Result<Limits, StoreError> {
    match account.quota {
        Limits::NONE => pools.pool_limits(account.login.domain()),
        own => Ok(own),
    }
}

/// Opens the mailbox at `path`; `None` when there is none yet.
///
/// # Errors
/// As [`MaildirQuota::open`], and when it belongs to another user than `owner`.
pub fn open(path: &Path, limits: Limits, rules: Rules, owner: Option<u32>) -> Result<Option<MaildirQuota>, QuotaError> {
    let opened = match MaildirQuota::open(path, limits, rules) {
        // Where a link leads nowhere, what is on the disk that it leads to is not known.
        Err(QuotaError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
            return Ok(None);
        }
        other => other?,
    };
    match owner {
        // Who is not root is held back by the system itself.
        Some(uid) if rustix::process::geteuid().is_root() => opened.owned_by(uid).map(Some),
        _ => Ok(Some(opened)),
    }
}

/// Has `account` room for a message of `size` bytes? A mailbox that is not there yet is empty.
pub fn of(account: &Account, others: Others<'_>, pools: &dyn PoolStore, size: u64, patience: Patience) -> Room {
    decide(account, others, pools, size, patience).unwrap_or_else(Room::CannotTell)
}

fn decide(
    account: &Account,
    others: Others<'_>,
    pools: &dyn PoolStore,
    size: u64,
    patience: Patience,
) -> Result<Room, PoolError> {
    let member = Member::of(pools, &account.login)?.map(|member| member.with_others(others));
    let limits = member.as_ref().map_or(account.quota, |member| member.mailbox_limits(account.quota));
    if limits == Limits::NONE {
        return Ok(Room::Fits);
    }
    let mailbox = Mailbox::of(account, limits, others.rules, patience);
    let space = others.mailboxes.may_store(&mailbox, size)?;
    let own = match space {
        Space::Over(over) => Some(over),
        Space::Missing => limits.broken_by(Usage::default(), size),
        Space::Fits => None,
    };
    if let Some(over) = own {
        return Ok(Room::Over(over));
    }
    Ok(match member {
        None => Room::Fits,
        Some(member) if space == Space::Missing => member.may_begin(size).into(),
        Some(member) => member.may_store_in(others.mailboxes, &mailbox, size).into(),
    })
}

impl From<PoolDecision> for Room {
    fn from(decision: PoolDecision) -> Self {
        match decision {
            PoolDecision::Fits => Room::Fits,
            PoolDecision::Over(over) => Room::OverPool(over),
            PoolDecision::CannotTell(error) => Room::CannotTell(error),
        }
    }
}
