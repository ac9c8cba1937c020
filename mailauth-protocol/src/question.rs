//! The command `ASK`: the questions of a mail server about an address.
//!
//! Courier's protocol has nothing for them, so they have a command of their own, on one line:
//!
//! ```text
//! request  = *( NAME "=" value LF ) "ASK" SP question LF
//! question = "domain" SP domain
//!          | "account" SP address
//!          | "alias" SP address
//!          | "recipient" SP size SP address
//!          | "sender" SP login SP [ address ]
//!          | "logins" SP address
//!
//! reply    = "OK" [ SP text ] LF     yes, and the text is the answer
//!          | "FAIL" LF               no
//!          | "NOMAIL" LF             no: mail is switched off
//!          | "OVER" SP text LF       no: a quota is exceeded
//!          | "LATER" SP text LF      not now
//!          | nothing                 not now
//! ```
//!
//! - `domain`: whether mail for the domain is kept here. The text `backup` means that it is accepted and relayed.
//! - `account`: everything that a delivery has to know.
//! - `alias`: the addresses that the mail is redirected to.
//! - `recipient`: whether the address accepts a message of this size in bytes. Only this question is answered by `NOMAIL`,
//!   if mail for the account is switched off, and by `OVER`, with a text that names the limit and the usage.
//! - `sender`: whether the login may send as this address. No address, or `<>`, is mail without a sender.
//! - `logins`: the logins that may send as the address, other than by an option that gives an account its whole domain.
//!
//! The text of `LATER` is the reason, for a log.
//!
//! A domain or address is the rest of its line, whatever bytes that holds. A size of `-1` means that it is not known,
//! as in Exim's `$message_size`. The text of `account` is a list of `name="value"` separated by spaces, in which `\`
//! and `"` are escaped by `\`, as Exim's `${extract` reads it. The texts of `alias` and
//! `logins` are lists of addresses separated by a comma and a space.
//!
//! Courier's daemon closes without a byte, as for every command that it does not know. That means "not now" here too.

use crate::MAX_LINE;
use crate::request::Uncomposable;
use mailauth_core::Secret;

/// A question about an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Asks whether mail for this domain is kept here.
    Domain(Vec<u8>),
    /// Asks for the account that receives the mail of this address.
    Account(Vec<u8>),
    /// Asks for the addresses that the mail of this address is redirected to.
    Alias(Vec<u8>),
    /// Asks whether this address accepts a message.
    Recipient {
        /// Address of the recipient.
        address: Vec<u8>,
        /// Size of the message in bytes; 0 if it is not known.
        size: u64,
    },
    /// Asks whether this login may send as this address.
    Sender {
        /// Login of the sender, without spaces.
        login: Vec<u8>,
        /// Address of the sender; empty for mail without one.
        address: Vec<u8>,
    },
    /// Asks for the logins that may send as this address, other than by an option that gives them its whole domain.
    SenderLogins(Vec<u8>),
}

impl Question {
    /// Reads the text after `ASK`. Returns `None` if it is not a question.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let (word, rest) = split(line)?;
        match word {
            b"domain" => Some(Question::Domain(rest.to_vec())),
            b"account" => Some(Question::Account(rest.to_vec())),
            b"alias" => Some(Question::Alias(rest.to_vec())),
            b"logins" => Some(Question::SenderLogins(rest.to_vec())),
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

    /// Returns the request that asks this question.
    ///
    /// # Errors
    /// Fails if the address cannot be sent. Nothing has such an address.
    pub fn compose(&self) -> Result<Secret, Uncomposable> {
        let (word, about) = match self {
            Question::Domain(name) => ("domain".to_owned(), name),
            Question::Account(address) => ("account".to_owned(), address),
            Question::Alias(address) => ("alias".to_owned(), address),
            Question::SenderLogins(address) => ("logins".to_owned(), address),
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

/// Reads a number of bytes, or `-1` for a size that is not known, which asks as if for an empty message.
pub fn parse_size(text: &[u8]) -> Option<u64> {
    match text {
        b"-1" => Some(0),
        digits if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            // A size that does not fit into a u64 is larger than any limit.
            Some(std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX))
        }
        _ => None,
    }
}

/// Splits `text` at its first space. Returns `None` if there is no space, or if nothing follows it.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|b| *b == b' ')?;
    Some((text.get(..end)?, text.get(end + 1..).filter(|rest| !rest.is_empty())?))
}
