//! The command `THROTTLE`: which wrong passwords the daemon has counted. The answer is JSON on one line.

use crate::request::Uncomposable;
use crate::{MAX_LINE, MAX_TEXT};
use mailauth_core::Secret;
use serde::{Deserialize, Serialize};

/// The argument of `THROTTLE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThrottleQuestion {
    /// `list`: asks for a page of entries.
    List {
        /// Number of entries to skip: 0, or [`Page::next`] of the previous page.
        from: usize,
        /// True to include entries that delay or refuse nothing.
        all: bool,
        /// Login or network to list; all if `None`.
        name: Option<Vec<u8>>,
    },
    /// `clear`: removes the entries of this login or network, or all entries.
    Clear(Option<Vec<u8>>),
}

impl ThrottleQuestion {
    /// Reads the text after `THROTTLE`. Returns `None` if it is not such an argument.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let mut words = line.splitn(4, |b| *b == b' ');
        let name = |name: Option<&[u8]>| match name {
            Some(b"") => None,
            name => Some(name.map(<[u8]>::to_vec)),
        };
        match words.next()? {
            b"clear" => name(line.strip_prefix(b"clear ")).filter(|_| line != b"clear ").map(ThrottleQuestion::Clear),
            b"list" => {
                let all = match words.next()? {
                    b"all" => true,
                    b"throttled" => false,
                    _ => return None,
                };
                let from = words.next()?;
                let digits = !from.is_empty() && from.iter().all(u8::is_ascii_digit);
                let from = digits.then(|| std::str::from_utf8(from).ok()?.parse().ok()).flatten()?;
                Some(ThrottleQuestion::List { from, all, name: name(words.next())? })
            }
            _ => None,
        }
    }

    /// Returns the request with this argument.
    ///
    /// # Errors
    /// Fails if the name cannot be sent. Nothing is counted for such a name.
    pub fn compose(&self) -> Result<Secret, Uncomposable> {
        let (mut line, name) = match self {
            ThrottleQuestion::List { from, all, name } => {
                (format!("THROTTLE list {} {from}", if *all { "all" } else { "throttled" }), name)
            }
            ThrottleQuestion::Clear(name) => ("THROTTLE clear".to_owned(), name),
        };
        let name = name.as_deref().unwrap_or_default();
        if name.iter().any(u8::is_ascii_control) || name.len() > MAX_LINE / 2 {
            return Err(Uncomposable("login"));
        }
        if !name.is_empty() {
            line.push(' ');
        }
        Ok(Secret::new([line.as_bytes(), name, b"\n"].concat()))
    }
}

/// One page of the counted wrong passwords.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Page {
    /// True if wrong passwords are counted at all: `[throttle] enabled`.
    pub enabled: bool,
    /// Entries of this page.
    pub entries: Vec<Entry>,
    /// Start of the next page; `None` on the last page.
    pub next: Option<usize>,
}

/// Count of different wrong passwords for a login, for a network, or for both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Login, whether it exists or not. `None` means all logins to which the network is not known.
    pub login: Option<String>,
    /// Origin of the passwords: a network, `none` for clients without an address of their own, or `unknown` for all
    /// networks that are not known to the login.
    pub network: String,
    /// Number of wrong passwords that are counted now.
    pub wrong: u32,
    /// Consequence of another one: `counted`, `delayed`, `slowed`, `refused`, or `known` for a network from which the
    /// login has succeeded before.
    pub state: String,
    /// Seconds until this state ends.
    pub seconds: u64,
    /// Seconds since the last wrong password, or since the last login from a network that is known.
    pub ago: u64,
}

/// Result of `clear`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cleared {
    /// Number of entries that were removed.
    pub cleared: usize,
}

impl Page {
    /// Returns the page as a line, or `None` if that does not fit into a reply.
    pub fn line(&self) -> Option<String> {
        serde_json::to_string(self).ok().filter(|line| line.len() <= MAX_TEXT)
    }

    /// Reads the answer of a daemon.
    ///
    /// # Errors
    /// Fails if `line` is not such an answer.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

impl Cleared {
    /// Returns the result as a line.
    pub fn line(&self) -> String {
        // Its keys are text, so this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the answer of a daemon.
    ///
    /// # Errors
    /// Fails if `line` is not such an answer.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_composed_question_is_read_back() {
        let name = || Some(b"anna b@example.org".to_vec());
        for question in [
            ThrottleQuestion::List { from: 0, all: false, name: None },
            ThrottleQuestion::List { from: 70, all: true, name: name() },
            ThrottleQuestion::Clear(None),
            ThrottleQuestion::Clear(name()),
        ] {
            let line = question.compose().unwrap();
            let line = line.expose().strip_prefix(b"THROTTLE ").unwrap().strip_suffix(b"\n").unwrap();
            assert_eq!(ThrottleQuestion::parse(line), Some(question));
        }
        assert!(ThrottleQuestion::Clear(Some(b"a\nb".to_vec())).compose().is_err());
    }

    #[test]
    fn an_invalid_argument_is_not_a_question() {
        let arguments = [
            "",
            "list",
            "list all",
            "list all x",
            "list all -1",
            "list some 0",
            "list all 0 ",
            "clear ",
            "clearx",
            "drop",
        ];
        for line in arguments {
            assert_eq!(ThrottleQuestion::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_page_is_read_back_unless_it_is_too_long_for_a_reply() {
        let entry = Entry { login: Some("\"anna\\@x.example".into()), network: "192.0.2.1".into(), ..Entry::default() };
        let page = |number| Page { enabled: true, entries: vec![entry.clone(); number], next: Some(number) };
        assert_eq!(Page::parse(&page(3).line().unwrap()).unwrap(), page(3));
        assert_eq!(page(1000).line(), None);
        assert_eq!(Cleared::parse(&Cleared { cleared: 3 }.line()).unwrap().cleared, 3);
        assert!(Page::parse("FAIL").is_err() && !Page::parse("{}").unwrap().enabled);
    }
}
