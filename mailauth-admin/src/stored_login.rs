//! Logins byte for byte as they are in the table. Other programs write there too, so they need not be valid.

use crate::context::Context;
use crate::failure::Failure;
use crate::output::printable;
use clap::Args;
use mailauth_core::account::Login;
use mailauth_core::store::Changed;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

#[derive(Args)]
pub struct Exact {
    /// Take the login byte for byte as it is in the table, even if it is not a valid login
    ///
    /// Lists show such logins with escapes that a shell reads in $'...': mailauth account remove --exact
    /// $'\xc3\x84rger@example.org'
    #[arg(long)]
    exact: bool,
}

impl Exact {
    /// Returns the bytes of the login in the table.
    pub fn bytes(&self, context: &Context, text: &OsStr) -> Result<Vec<u8>, Failure> {
        if self.exact {
            return Ok(text.as_bytes().to_vec());
        }
        let not_text = || Failure::usage(format!("{text:?}: the login is not UTF-8; use --exact to take it as it is"));
        context.login(text.to_str().ok_or_else(not_text)?).map(|login| login.as_str().as_bytes().to_vec())
    }
}

/// Returns a login as text, with escapes if it is not UTF-8 or not printable.
pub fn readable(stored: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(stored) {
        Ok(text) => printable(text),
        Err(_) => stored.escape_ascii().to_string().into(),
    }
}

/// Returns the message to the daemon about a changed row; `None` if no login can find the row.
pub fn change_notice(stored: &[u8]) -> Option<Changed> {
    Login::parse(stored, None).ok().map(Changed::Account)
}
