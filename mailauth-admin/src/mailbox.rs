//! The home and the Maildir of an account on this machine.

use crate::failure::Failure;
use crate::output::{remark, say};
use mailauth_core::account::AccountRow;
use mailauth_core::config::Config;
use mailauth_core::home;

/// Makes what is missing of an account's home and Maildir.
pub fn make(row: AccountRow, config: &Config) -> Result<(), Failure> {
    let account = config.mailbox.resolve(row).map_err(|unusable| Failure::not_now(unusable.to_string()))?;
    let path = account.maildir_path();
    let missing = home::is_missing(&account);
    home::make(&account).map_err(|why| Failure::not_now(why.to_string()))?;
    let what = if missing { "made the mailbox" } else { "there is already a mailbox at" };
    say(format_args!("{what} {}", path.display()))
}

/// Says where an account has no mailbox that its first login would need.
pub fn remark_missing(row: AccountRow, config: &Config) {
    let Ok(account) = config.mailbox.resolve(row) else { return };
    if !config.mailbox.create && home::is_missing(&account) {
        remark(format_args!(
            "note: there is no mailbox {} yet, and no login by IMAP or POP3 until there is one: 'mailauth account set \
             {} --make-mailbox' makes it, or [mailbox] create = true at the first login",
            account.maildir_path().display(),
            account.login.readable()
        ));
    }
}
