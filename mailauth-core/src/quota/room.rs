//! The check that an account has room for a message, in its mailbox and in its domain's pool.

use super::mailboxes::{Mailbox, Space};
use super::others::Others;
use super::pools::{MailboxAccess, Member};
use super::{CountRules, Denied, Limits, Usage};
use crate::Account;
use crate::maildir::{MaildirQuota, Patience, QuotaError};
use crate::store::{PoolStore, StoreError};
use std::io;
use std::path::Path;

/// Returns the limits of an account's mailbox: its own, else its domain's.
///
/// # Errors
/// Fails if those of the domain are needed and not known.
pub fn limits(account: &Account, pools: &dyn PoolStore) -> Result<Limits, StoreError> {
    account.quota.or_else(|| pools.pool_limits(account.login.domain()))
}

/// Opens the mailbox at `path`; `None` if it does not exist yet.
///
/// # Errors
/// Fails as [`MaildirQuota::open`] does, and if the mailbox belongs to another user than `owner`.
pub fn open(
    path: &Path,
    limits: Limits,
    rules: CountRules,
    owner: Option<u32>,
) -> Result<Option<MaildirQuota>, QuotaError> {
    let opened = match MaildirQuota::open(path, limits, rules) {
        // A link that leads nowhere may lead to a disk that is not mounted, whose contents are not known.
        Err(QuotaError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
            return Ok(None);
        }
        other => other?,
    };
    match owner {
        // For other users than root, the system checks the rights.
        Some(uid) if rustix::process::geteuid().is_root() => opened.owned_by(uid).map(Some),
        _ => Ok(Some(opened)),
    }
}

/// Checks that a message of `size` bytes fits: into the mailbox of `account` under its own limits, and into its domain's
/// pool. A mailbox that does not exist yet is empty. [`quota`](crate::quota#why-a-message-is-checked-twice) says when it
/// is checked again.
///
/// # Errors
/// Returns [`Denied`] if it does not fit, or if that is not known.
pub fn precheck(
    account: &Account,
    others: Others<'_>,
    pools: &dyn PoolStore,
    size: u64,
    patience: Patience,
) -> Result<(), Denied> {
    let member = Member::of(pools, &account.login)?.map(|member| member.with_others(others));
    let limits = member.as_ref().map_or(account.quota, |member| member.mailbox_limits(account.quota));
    if limits == Limits::NONE {
        return Ok(());
    }
    let mailbox = Mailbox::of(account, limits, others.rules, patience);
    let space = others.mailboxes.precheck(&mailbox, size)?;
    let own = match space {
        Space::Over(over) => Some(over),
        Space::Missing => limits.broken_by(Usage::default(), size),
        Space::Fits => None,
    };
    if let Some(over) = own {
        return Err(Denied::Mailbox(over));
    }
    let Some(member) = member else { return Ok(()) };
    let access = match space {
        Space::Missing => MailboxAccess::Missing,
        Space::Fits | Space::Over(_) => MailboxAccess::Through(others.mailboxes, &mailbox),
    };
    member.precheck(access, size)
}
