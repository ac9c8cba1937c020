//! Writing replies, as the server does.

use super::END;
use crate::{MAX_REPLY, MAX_TEXT};
use mailauth_core::Account;
use mailauth_core::printable::printable;
use mailauth_core::routing::{Destination, DomainMail};
use std::fmt::Write as _;
use std::io::Write as _;
use zeroize::Zeroizing;

/// Passwords that are sent with an account, if the configuration permits it.
#[derive(Clone, Copy, Default)]
pub struct Passwords<'a> {
    /// `PASSWD`: the stored hash.
    pub hash: Option<&'a [u8]>,
    /// `PASSWD2`: the clear password.
    pub clear: Option<&'a [u8]>,
}

/// Reason why an account cannot be sent. The client's answer is then "not now".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// A value holds a control character, which would end its line or be invisible in it.
    #[error("{0} holds a control character")]
    ControlCharacter(&'static str),
    /// The reply would be longer than [`MAX_REPLY`] bytes, which clients do not read.
    #[error("its values need a reply of more than {MAX_REPLY} bytes; shorten them")]
    TooLong,
}

/// Returns the record of `account`: Courier's lines in Courier's order, without empty ones.
///
/// # Errors
/// Fails if clients could not read the record, or would read a different one.
pub fn account(account: &Account, passwords: Passwords<'_>) -> Result<Zeroizing<Vec<u8>>, Unsendable> {
    let quota = account.quota.to_string();
    // After the first comma of a name come rooms and telephone numbers: passwd(5), the gecos field.
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
    // Allocated at once: growing would leave copies of the passwords behind.
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
/// Fails if a value would break the row. `reply` is not fit to be sent then.
pub fn list_row(reply: &mut Vec<u8>, account: &Account) -> Result<(), Unsendable> {
    field(reply, "the login", account.login.as_str().as_bytes(), b'\t')?;
    // Writing to a Vec cannot fail.
    let _ = write!(reply, "{}\t{}\t", account.uid, account.gid);
    field(reply, "home", account.home.as_bytes(), b'\t')?;
    field(reply, "maildir", account.maildir.as_deref().unwrap_or_default().as_bytes(), b'\t')?;
    field(reply, "options", account.options.as_bytes(), b'\n')
}

fn field(reply: &mut Vec<u8>, name: &'static str, value: &[u8], end: u8) -> Result<(), Unsendable> {
    // Without an early end, the loop looks at many bytes at a time.
    if value.iter().fold(false, |found, byte| found | byte.is_ascii_control()) {
        return Err(Unsendable::ControlCharacter(name));
    }
    reply.extend_from_slice(value);
    reply.push(end);
    Ok(())
}

/// Returns the reply of `word` and a text, if there is one. Characters that would break the line are escaped, and a
/// text that is too long is cut.
pub fn line(word: &str, text: &str) -> String {
    if text.is_empty() {
        return format!("{word}\n");
    }
    let text = printable(text);
    let end = (0..=text.len().min(MAX_TEXT)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{word} {}\n", &text[..end])
}

/// Returns the text of an account: its login, user and group id, home, Maildir (absolute), quota in bytes and in
/// messages (0 is no limit), name, options, and the detail of the address in the question, if it can be a part of a
/// folder's name.
///
/// # Errors
/// Fails if a value holds a control character, or if they are too long together.
pub fn account_text(Destination { account, detail }: &Destination) -> Result<String, Unsendable> {
    let limit = |limit: Option<u64>| limit.unwrap_or(0).to_string();
    let maildir = account.maildir_path();
    let values: [(&'static str, &str); 10] = [
        ("login", account.login.as_str()),
        ("uid", &account.uid.to_string()),
        ("gid", &account.gid.to_string()),
        ("home", &account.home),
        ("maildir", maildir.to_str().ok_or(Unsendable::ControlCharacter("maildir"))?),
        ("quota_bytes", &limit(account.quota.bytes)),
        ("quota_messages", &limit(account.quota.messages)),
        ("name", &account.name),
        ("options", &account.options),
        ("detail", detail),
    ];
    let mut text = String::new();
    // Only the detail is left out if it is empty: most addresses have none.
    for (name, value) in values.into_iter().filter(|(name, value)| *name != "detail" || !value.is_empty()) {
        if value.chars().any(char::is_control) {
            return Err(Unsendable::ControlCharacter(name));
        }
        let space = if text.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{space}{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    }
    if text.len() > MAX_TEXT { Err(Unsendable::TooLong) } else { Ok(text) }
}

/// Returns the text of a domain: empty if its mail is kept here.
pub fn domain_text(mail: DomainMail) -> &'static str {
    match mail {
        DomainMail::Kept => "",
        DomainMail::SentOn => "backup",
    }
}

/// Returns the text of an alias: the list of its targets.
///
/// # Errors
/// Fails if the list is too long for a reply.
pub fn alias_text(targets: &[String]) -> Result<String, Unsendable> {
    let text = targets.join(", ");
    if text.len() > MAX_TEXT { Err(Unsendable::TooLong) } else { Ok(text) }
}
