//! Writing replies.

use crate::{END, MAX_REPLY};
use mailauth_core::Account;
use std::io::Write as _;
use zeroize::Zeroizing;

/// The passwords that go with an account, where the settings let them out.
#[derive(Clone, Copy, Default)]
pub struct Passwords<'a> {
    /// `PASSWD`: the stored hash.
    pub hash: Option<&'a [u8]>,
    /// `PASSWD2`: in clear.
    pub clear: Option<&'a [u8]>,
}

/// An account that cannot be put into a reply. To the client it is "not now".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// A value with a control character would end its line, or hide in it.
    #[error("{0} holds a control character")]
    ControlCharacter(&'static str),
    /// Clients read no more than [`MAX_REPLY`] bytes.
    #[error("its values need a reply of more than {MAX_REPLY} bytes; shorten them")]
    TooLong,
}

/// The record of `account`: Courier's lines in Courier's order, without those that say nothing.
///
/// # Errors
/// When clients could not read the record, or would read another one.
pub fn account(account: &Account, passwords: Passwords<'_>) -> Result<Zeroizing<Vec<u8>>, Unsendable> {
    let quota = account.quota.to_string();
    // What follows the first comma of a name is rooms and telephones: passwd(5), the gecos field.
    let name = account.name.split(',').next().unwrap_or_default();
    let texts: [(&'static str, &[u8]); 8] = [
        ("HOME", account.home.as_bytes()),
        ("ADDRESS", account.login.as_str().as_bytes()),
        ("NAME", name.as_bytes()),
        ("MAILDIR", account.maildir.as_deref().unwrap_or_default().as_bytes()),
        ("QUOTA", quota.as_bytes()),
        ("PASSWD", passwords.hash.unwrap_or_default()),
        ("PASSWD2", passwords.clear.unwrap_or_default()),
        ("OPTIONS", account.options.as_bytes()),
    ];
    // All at once: growing would leave copies of the passwords behind.
    let length = 64 + texts.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>();
    let mut reply = Zeroizing::new(Vec::with_capacity(length));
    // Writing to a Vec cannot fail.
    let _ = write!(reply, "UID={}\nGID={}\n", account.uid, account.gid);
    for (name, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
        reply.extend_from_slice(name.as_bytes());
        reply.push(b'=');
        field(&mut reply, name, value, b'\n')?;
    }
    reply.extend_from_slice(END);
    if reply.len() > MAX_REPLY { Err(Unsendable::TooLong) } else { Ok(reply) }
}

/// Appends the row of `account` in an enumeration.
///
/// # Errors
/// When a value would break the row. `reply` then holds nothing to send.
pub fn list_row(reply: &mut Vec<u8>, account: &Account) -> Result<(), Unsendable> {
    field(reply, "the login", account.login.as_str().as_bytes(), b'\t')?;
    // Writing to a Vec cannot fail.
    let _ = write!(reply, "{}\t{}\t", account.uid, account.gid);
    field(reply, "home", account.home.as_bytes(), b'\t')?;
    field(reply, "maildir", account.maildir.as_deref().unwrap_or_default().as_bytes(), b'\t')?;
    field(reply, "options", account.options.as_bytes(), b'\n')
}

fn field(reply: &mut Vec<u8>, name: &'static str, value: &[u8], end: u8) -> Result<(), Unsendable> {
    if value.iter().any(u8::is_ascii_control) {
        return Err(Unsendable::ControlCharacter(name));
    }
    reply.extend_from_slice(value);
    reply.push(end);
    Ok(())
}
