//! Reading replies, as the client does.

use super::{END, FAIL, NO_MAIL, OK};
use crate::MAX_REPLY;
use mailauth_core::account::Password;
use mailauth_core::quota::Limits;
use mailauth_core::{Account, Login, Secret};
use std::fmt;

/// Reply of a server, read from the bytes that have arrived so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// More input is needed.
    Incomplete,
    /// `FAIL`, which means "no".
    Fail,
    /// `OK`: yes, without a text.
    Ok,
    /// A complete account record.
    Record(Record<'a>),
    /// `OK` with a text: yes to a command of mailauth's own.
    Text(&'a str),
    /// `OVER`: no, because a quota is exceeded.
    Over(&'a str),
    /// `NOMAIL`: no, because mail is switched off for the account.
    NoMail,
    /// `LATER`: not now, with the reason.
    Later(&'a str),
    /// The connection was closed without a byte: not now.
    Nothing {
        /// True if the server had not read the request: it does not accept this client, or has too many connections.
        unread: bool,
    },
    /// Anything else, which means "not now".
    Unreadable(&'static str),
}

/// Lines of an account record.
#[derive(Debug, PartialEq, Eq)]
pub struct Record<'a>(&'a [u8]);

/// Reason why a record is not an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A line is missing that a login requires.
    #[error("it has no {0}; system accounts without numbers are not supported")]
    Missing(&'static str),
    /// The value of a line is not valid.
    #[error("its {0} cannot be read")]
    Unreadable(&'static str),
}

/// Describes a reply that is neither yes nor no, for the log.
impl fmt::Display for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reply::Nothing { .. } => "it closed without an answer",
            Reply::Unreadable(what) => what,
            Reply::Incomplete => "its answer is incomplete",
            Reply::Later(why) => why,
            Reply::Fail | Reply::Ok | Reply::Record(_) | Reply::Text(_) | Reply::Over(_) | Reply::NoMail => {
                "its answer is to another question"
            }
        })
    }
}

impl<'a> Reply<'a> {
    /// Reads the reply in `input`. If `ended` is true, the server has closed the connection.
    pub fn read(input: &'a [u8], ended: bool) -> Self {
        if input.len() > MAX_REPLY {
            return Reply::Unreadable("its reply is longer than 8191 bytes");
        }
        match input {
            b"" if ended => return Reply::Nothing { unread: false },
            _ if input == FAIL => return Reply::Fail,
            _ if input == OK => return Reply::Ok,
            _ if input == NO_MAIL => return Reply::NoMail,
            _ => {}
        }
        if let Some(reply) = word_and_text(input) {
            return reply;
        }
        match input.strip_suffix(END) {
            Some(lines) if lines.ends_with(b"\n") => Reply::Record(Record(lines)),
            _ if ended => Reply::Unreadable("its reply was cut off or is not an account"),
            _ => Reply::Incomplete,
        }
    }
}

/// Reads a reply of a word and a text, which answers a command of mailauth's own.
fn word_and_text(input: &[u8]) -> Option<Reply<'_>> {
    let line =
        std::str::from_utf8(input.strip_suffix(b"\n")?).ok().filter(|line| !line.chars().any(char::is_control))?;
    match line.split_once(' ')? {
        ("OK", text) => Some(Reply::Text(text)),
        ("OVER", text) => Some(Reply::Over(text)),
        ("LATER", why) => Some(Reply::Later(why)),
        _ => None,
    }
}

impl<'a> Record<'a> {
    /// Returns the account that the record describes. Unknown lines are skipped; of two lines with the same name the
    /// last one counts.
    ///
    /// # Errors
    /// Fails if a line is missing or unreadable. A quota that cannot be read is not treated as "no quota".
    pub fn account(&self) -> Result<Account, RecordError> {
        let text = |name| self.text(name);
        let address = self.last("ADDRESS").ok_or(RecordError::Missing("ADDRESS"))?;
        Ok(Account {
            login: Login::parse(address, None).map_err(|_| RecordError::Unreadable("ADDRESS"))?,
            uid: self.number("UID")?,
            gid: self.number("GID")?,
            home: text("HOME")?.ok_or(RecordError::Missing("HOME"))?,
            maildir: text("MAILDIR")?,
            quota: Limits::parse(&text("QUOTA")?.unwrap_or_default()).map_err(|_| RecordError::Unreadable("QUOTA"))?,
            name: text("NAME")?.unwrap_or_default(),
            options: text("OPTIONS")?.unwrap_or_default(),
            password: Password(self.password()),
        })
    }

    /// Returns the stored password, if the daemon sends it: the clear password takes precedence over the hash.
    fn password(&self) -> Secret {
        match self.last("PASSWD2") {
            Some(clear) => Secret::new([b"{PLAIN}", clear].concat()),
            None => self.last("PASSWD").unwrap_or_default().into(),
        }
    }

    /// Returns the last value with this name that is not empty.
    pub fn last(&self, name: &str) -> Option<&'a [u8]> {
        let mut lines = self.0.rsplit(|b| *b == b'\n');
        let value = lines.find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
        value.filter(|value| !value.is_empty())
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, RecordError> {
        let Some(value) = self.last(name) else { return Ok(None) };
        match std::str::from_utf8(value) {
            Ok(text) if !text.chars().any(char::is_control) => Ok(Some(text.to_owned())),
            _ => Err(RecordError::Unreadable(name)),
        }
    }

    fn number(&self, name: &'static str) -> Result<u32, RecordError> {
        let digits = self.text(name)?.ok_or(RecordError::Missing(name))?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(RecordError::Unreadable(name));
        }
        digits.parse().map_err(|_| RecordError::Unreadable(name))
    }
}
