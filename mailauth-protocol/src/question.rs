//! What only our own daemon can be asked: the questions of a mail server about an address.
//!
//! Courier's protocol has no words for them, so they have a command of their own, on a line:
//!
//! ```text
//! request = *( NAME "=" value LF ) "ASK" SP question LF
//! question = "domain" SP domain                 is its mail kept here? The text "backup": it is accepted and sent on
//!          | "account" SP address               everything that delivery has to know
//!          | "alias" SP address                 where its mail goes instead
//!          | "recipient" SP size SP address     does it take a message of so many bytes?
//!          | "sender" SP login SP [ address ]   may the login send as this address? None or "<>": mail without a sender
//!
//! reply   = "OK" [ SP text ] LF                 yes, and the text is the answer
//!         | "FAIL" LF                           no
//!         | "NOMAIL" LF                         no, to "recipient" alone: mail for the account is switched off
//!         | "OVER" SP text LF                   no, for want of room; the text says which limit, and what there is
//!         | "LATER" SP text LF                  not now; the text says why, for a log
//!         | nothing                             not now
//! ```
//!
//! A domain or address is the rest of its line, whatever bytes that holds. A size of `-1` is one that is not known, as
//! Exim's `$message_size` has it. The text of `account` is a list of `name="value"` with spaces between, in which `\`
//! stands before `\` and `"`, as Exim's `${extract` takes it apart; that of `alias` is a list of addresses with `, `
//! between.
//!
//! Courier's daemon closes without a byte, as for every command that it does not know: which is "not now" here too.

use crate::{MAX_LINE, MAX_REPLY, Uncomposable, Unsendable};
use mailauth_core::Secret;
use mailauth_core::printable::printable;
use mailauth_core::quota::room;
use mailauth_core::routing::{Destination, DomainMail};
use std::fmt::Write as _;

/// A question about an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Is mail for this domain kept here?
    Domain(Vec<u8>),
    /// The account that receives the mail of this address.
    Account(Vec<u8>),
    /// Where the mail of this address goes instead.
    Alias(Vec<u8>),
    /// Does this address take a message?
    Recipient {
        /// The address.
        address: Vec<u8>,
        /// The message's size in bytes; 0 where it is not known.
        size: u64,
    },
    /// May this login send as this address?
    Sender {
        /// The login, which holds no space.
        login: Vec<u8>,
        /// The address; empty of mail without a sender.
        address: Vec<u8>,
    },
}

impl Question {
    /// Reads what stands behind `ASK`; `None` if it is no question.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let (word, rest) = split(line)?;
        match word {
            b"domain" => Some(Question::Domain(rest.to_vec())),
            b"account" => Some(Question::Account(rest.to_vec())),
            b"alias" => Some(Question::Alias(rest.to_vec())),
            b"recipient" => {
                let (size, address) = split(rest)?;
                Some(Question::Recipient { address: address.to_vec(), size: parse_size(size)? })
            }
            b"sender" => {
                let end = rest.iter().position(|b| *b == b' ').filter(|end| *end > 0)?;
                let (login, address) = (rest.get(..end)?, rest.get(end + 1..)?);
                let address = if address == b"<>" { b"" } else { address };
                Some(Question::Sender { login: login.to_vec(), address: address.to_vec() })
            }
            _ => None,
        }
    }

    /// The request that asks it.
    ///
    /// # Errors
    /// When the address cannot be sent: then there is nobody of that name.
    pub fn compose(&self) -> Result<Secret, Uncomposable> {
        let (word, about) = match self {
            Question::Domain(name) => ("domain".to_owned(), name),
            Question::Account(address) => ("account".to_owned(), address),
            Question::Alias(address) => ("alias".to_owned(), address),
            Question::Recipient { address, size } => (format!("recipient {size}"), address),
            Question::Sender { login, address } => return compose_sender(login, address),
        };
        if about.is_empty() || about.iter().any(u8::is_ascii_control) {
            return Err(Uncomposable("address"));
        }
        let line = [b"ASK ", word.as_bytes(), b" ", about, b"\n"].concat();
        if line.len() > MAX_LINE { Err(Uncomposable("address")) } else { Ok(Secret::new(line)) }
    }
}

fn compose_sender(login: &[u8], address: &[u8]) -> Result<Secret, Uncomposable> {
    let about = if address.is_empty() { b"<>" } else { address };
    if login.is_empty() || login.iter().any(|b| *b == b' ' || b.is_ascii_control()) {
        return Err(Uncomposable("login"));
    }
    let line = [b"ASK sender ", login, b" ", about, b"\n"].concat();
    let fits = line.len() <= MAX_LINE && !about.iter().any(u8::is_ascii_control);
    if fits { Ok(Secret::new(line)) } else { Err(Uncomposable("address")) }
}

/// A number of bytes, or `-1` for one that is not known, which asks for room for a message of none.
pub fn parse_size(text: &[u8]) -> Option<u64> {
    match text {
        b"-1" => Some(0),
        digits if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            // One that is beyond all numbers is larger than any limit.
            Some(std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX))
        }
        _ => None,
    }
}

/// A part, and what follows the space behind it, which is not empty.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|b| *b == b' ')?;
    Some((text.get(..end)?, text.get(end + 1..).filter(|rest| !rest.is_empty())?))
}

/// A reply to a question: `word`, and a text if there is one. A text that would break the line is made printable.
pub fn said(word: &str, text: &str) -> String {
    if text.is_empty() {
        return format!("{word}\n");
    }
    let text = printable(text);
    // Leave room for the word and the end of the line.
    let most = MAX_REPLY - 16;
    let end = (0..=text.len().min(most)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{word} {}\n", &text[..end])
}

/// The text of an account: its login, user and group id, home, Maildir (absolute), quota in bytes and in messages (0 is
/// no limit), name, options, and the detail of the address that was asked about, if it may be a part of a folder's name.
///
/// # Errors
/// When a value holds a control character, or they are too long together.
pub fn account_text(Destination { account, detail }: &Destination) -> Result<String, Unsendable> {
    let limit = |limit: Option<u64>| limit.unwrap_or(0).to_string();
    let maildir = room::maildir(account);
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
    // Most addresses have no detail.
    for (name, value) in values.into_iter().filter(|(name, value)| *name != "detail" || !value.is_empty()) {
        if value.chars().any(char::is_control) {
            return Err(Unsendable::ControlCharacter(name));
        }
        let space = if text.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{space}{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    }
    if text.len() > MAX_REPLY - 16 { Err(Unsendable::TooLong) } else { Ok(text) }
}

/// The text of a domain.
pub fn domain_text(mail: DomainMail) -> &'static str {
    match mail {
        DomainMail::Kept => "",
        DomainMail::SentOn => "backup",
    }
}

/// The text of an alias.
///
/// # Errors
/// When it is too long for a reply.
pub fn alias_text(targets: &[String]) -> Result<String, Unsendable> {
    let text = targets.join(", ");
    if text.len() > MAX_REPLY - 16 { Err(Unsendable::TooLong) } else { Ok(text) }
}
