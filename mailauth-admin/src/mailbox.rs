//! The home and the Maildir of an account on this host.

use crate::failure::Failure;
use crate::output::{remark, say};
use mailauth_core::account::AccountRow;
use mailauth_core::config::Config;
use mailauth_core::home;

/// Creates the account's home and Maildir if they are missing.
pub fn make(row: AccountRow, config: &Config) -> Result<(), Failure> {
    let account = config.mailbox.resolve(row).map_err(|unusable| Failure::not_now(unusable.to_string()))?;
    let path = account.maildir_path();
    let missing = home::is_missing(&account);
    home::make(&account).map_err(|why| Failure::not_now(why.to_string()))?;
    let what = if missing { "created the mailbox" } else { "the mailbox already exists:" };
    say(format_args!("{what} {}", path.display()))
}

/// Prints a note if an account has no mailbox and logins do not create it.
pub fn remark_missing(row: AccountRow, config: &Config) {
    let Ok(account) = config.mailbox.resolve(row) else { return };
    if !config.mailbox.create && home::is_missing(&account) {
        remark(format_args!(
            "note: there is no mailbox {} yet, and IMAP and POP3 logins fail without it: create it with 'mailauth account \
             set {} --make-mailbox', or set [mailbox] create = true to create mailboxes at the first login",
            account.maildir_path().display(),
            account.login.readable()
        ));
    }
}
