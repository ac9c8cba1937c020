//! What a mailbox has to do with the quota of its domain.

use super::target::Mailbox;
use mailauth_core::Login;
use mailauth_core::quota::pools::{Member, PoolDecision};
use mailauth_core::quota::{MaildirQuota, Usage};
use mailauth_core::store::SqlStore;

/// Tells an account's domain what the mailbox holds, if the domain has a quota.
pub fn publish(store: Option<&SqlStore>, mailbox: &Mailbox, usage: Usage) -> Result<(), String> {
    let (Some(store), Some(login)) = (store, login(mailbox)) else { return Ok(()) };
    let published = match Member::of(store, &login) {
        Ok(Some(member)) => member.publish(usage).map(drop),
        other => other.map(drop),
    };
    published.map_err(|error| format!("it was counted, but its domain was not told: {error}"))
}

/// May the domain's mailboxes hold a message more?
pub fn may_store(store: &SqlStore, mailbox: &Mailbox, open: &MaildirQuota, size: u64) -> PoolDecision {
    let Some(login) = login(mailbox) else { return PoolDecision::Fits };
    match Member::of(store, &login) {
        Ok(Some(member)) => member.may_store(open, size),
        Ok(None) => PoolDecision::Fits,
        Err(error) => PoolDecision::CannotTell(error.into()),
    }
}

/// Whose mailbox it is; nobody's that is known when it was named by its path.
fn login(mailbox: &Mailbox) -> Option<Login> {
    mailbox.owner?;
    Login::parse(mailbox.name.as_bytes(), None).ok()
}
