//! Postfix's look-up tables, by the socketmap protocol of socketmap_table(5).
//!
//! ```text
//! netstring = length ":" <that many bytes> ","     length in decimal, without leading zeros
//! request   = netstring of: map SP key             at most 4096 bytes
//! reply     = netstring of: "OK" SP data           yes
//!                         | "NOTFOUND" SP          no: the map has no such key, which is certain
//!                         | "TEMP" SP reason       not now
//!                         | "PERM" SP reason       there is no such map
//! ```
//!
//! | map | parameter of Postfix | key | data |
//! |---|---|---|---|
//! | `domains` | virtual_mailbox_domains | domain | `mailboxes`, if its mail is kept here; alias domains too |
//! | `relays` | relay_domains | domain | `relay`, if this host accepts its mail and sends it on |
//! | `mailboxes` | virtual_mailbox_maps | address | the Maildir of its account, with a slash at the end |
//! | `aliases` | virtual_alias_maps | address | the addresses that its mail is sent to |
//! | `senders` | smtpd_sender_login_maps | address | the logins that may send as this address |
//!
//! Postfix asks a socketmap only for whole addresses: not without the extension, not for the local part alone, and not
//! for `@domain`. So the answers to whole addresses take care of details and catch-alls. A key that is no address is in
//! no map of addresses, whatever the database says, and is answered without asking it.
//!
//! The length of a request and what follows it are checked. A client that sends anything else is disconnected, which
//! Postfix treats as a temporary error.

use super::in_order::{InOrder, Reader, Request, Step};
use mailauth_core::answer::{Answer, Refusal};
use mailauth_core::printable::printable;
use mailauth_protocol::Question;
use mailauth_protocol::reply::value_in_account;
use std::time::Duration;

/// Maximum length of a request in bytes, without the length before it. An address in SMTP has fewer than 2048.
const MAX_REQUEST: usize = 4096;

/// Maximum number of digits of a length.
const MAX_DIGITS: usize = 4;

/// The look-ups of one client.
pub type SocketmapConversation = InOrder<Netstrings>;

impl SocketmapConversation {
    /// Begins a conversation, each of whose look-ups has to be answered within this time.
    pub fn new(within: Duration) -> Self {
        InOrder::over(Netstrings::default(), within)
    }
}

/// Reads netstrings.
#[derive(Debug, Default)]
pub struct Netstrings {
    /// Bytes that are not a whole netstring yet.
    rest: Vec<u8>,
}

impl Reader for Netstrings {
    type Request = Lookup;

    fn read(&mut self, input: &[u8]) -> Result<Vec<Lookup>, &'static str> {
        self.rest.extend_from_slice(input);
        let (mut lookups, mut read) = (Vec::new(), 0);
        while let Some((text, length)) = netstring(self.rest.get(read..).unwrap_or_default())? {
            lookups.push(Lookup::parse(text));
            read += length;
        }
        self.rest.drain(..read);
        Ok(lookups)
    }
}

/// Returns the text of the netstring at the beginning of `input`, and the length of the whole netstring; `None` if it is
/// not complete.
fn netstring(input: &[u8]) -> Result<Option<(&[u8], usize)>, &'static str> {
    let digits = input.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits > MAX_DIGITS {
        return Err("a look-up of more than 4096 bytes");
    }
    match input.get(digits) {
        None => return Ok(None),
        Some(b':') if digits > 0 => {}
        Some(_) => return Err("a look-up that does not begin with its length"),
    }
    let number = input.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
    let length: usize = number.parse().map_err(|_| "a look-up with an unreadable length")?;
    if length > MAX_REQUEST {
        return Err("a look-up of more than 4096 bytes");
    }
    if number.len() > 1 && number.starts_with('0') {
        return Err("a look-up whose length begins with a zero");
    }
    let end = digits + 1 + length;
    match input.get(end) {
        None => Ok(None),
        Some(b',') => Ok(input.get(digits + 1..end).map(|text| (text, end + 1))),
        Some(_) => Err("a look-up that does not end after its length"),
    }
}

/// A look-up of a key in a map.
#[derive(Debug, PartialEq, Eq)]
pub struct Lookup {
    map: Option<Map>,
    key: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Map {
    Domains,
    Relays,
    Mailboxes,
    Aliases,
    Senders,
}

impl Lookup {
    fn parse(text: &[u8]) -> Self {
        let end = text.iter().position(|b| *b == b' ').unwrap_or(text.len());
        let map = match text.get(..end).unwrap_or_default() {
            b"domains" => Some(Map::Domains),
            b"relays" => Some(Map::Relays),
            b"mailboxes" => Some(Map::Mailboxes),
            b"aliases" => Some(Map::Aliases),
            b"senders" => Some(Map::Senders),
            _ => None,
        };
        Lookup { map, key: text.get(end + 1..).unwrap_or_default().to_vec() }
    }
}

impl Request for Lookup {
    fn begin(&self) -> Step {
        let Some(map) = self.map else {
            return Step::Reply(reply(
                "PERM",
                "no such map; there are domains, relays, mailboxes, aliases and senders",
            ));
        };
        let is_key = match map {
            Map::Domains | Map::Relays => !self.key.is_empty() && !self.key.contains(&b'@'),
            Map::Mailboxes | Map::Aliases | Map::Senders => is_address(&self.key),
        };
        if !is_key {
            return Step::Reply(reply("NOTFOUND", ""));
        }
        let key = self.key.clone();
        Step::Ask(match map {
            Map::Domains | Map::Relays => Question::Domain(key),
            Map::Mailboxes => Question::Account(key),
            Map::Aliases => Question::Alias(key),
            Map::Senders => Question::SenderLogins(key),
        })
    }

    fn reply(&self, answer: Answer<String>) -> Vec<u8> {
        let text = match answer {
            Ok(text) => text,
            Err(Refusal::No(_)) => return reply("NOTFOUND", ""),
            Err(Refusal::NotNow(why)) => return reply("TEMP", &why.to_string()),
        };
        let data = match (self.map, text.as_str()) {
            (Some(Map::Domains), "") => Some("mailboxes".to_owned()),
            (Some(Map::Relays), "backup") => Some("relay".to_owned()),
            (Some(Map::Domains | Map::Relays) | None, _) => None,
            (Some(Map::Mailboxes), account) => match value_in_account(account, "maildir") {
                Some(maildir) => Some(format!("{}/", maildir.trim_end_matches('/'))),
                None => return reply("TEMP", "the account has no Maildir"),
            },
            (Some(Map::Aliases | Map::Senders), addresses) => Some(addresses.to_owned()),
        };
        data.map_or_else(|| reply("NOTFOUND", ""), |data| reply("OK", &data))
    }
}

/// Returns true if there is something before and after the last `@`.
fn is_address(key: &[u8]) -> bool {
    key.iter().rposition(|b| *b == b'@').is_some_and(|at| at > 0 && at + 1 < key.len())
}

fn reply(word: &str, text: &str) -> Vec<u8> {
    let text = format!("{word} {}", printable(text));
    format!("{}:{text},", text.len()).into_bytes()
}
