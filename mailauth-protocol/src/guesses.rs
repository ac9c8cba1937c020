//! What a daemon says of the wrong passwords that it has counted: JSON on one line.

use crate::MAX_REPLY;
use serde::{Deserialize, Serialize};

/// Bytes of the line, so that it fits into a reply with what stands around it.
const MAX_LINE: usize = MAX_REPLY - 16;

/// Some of what is counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Guesses {
    /// Whether anything is counted at all: `[throttle] enabled`.
    pub enabled: bool,
    /// Entries of this page.
    pub entries: Vec<Entry>,
    /// Where the next page begins, unless this is the last.
    pub next: Option<usize>,
}

/// Different wrong passwords of a login, of a network, or of both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// The login, whether it exists or not; none: all logins that do not know the network.
    pub login: Option<String>,
    /// Where they came from: a network, `none` for clients without an address of their own, or `unknown` for all networks
    /// that the login does not know.
    pub network: String,
    /// How many are counted now.
    pub wrong: u32,
    /// What another one leads to: `counted`, `delayed`, `slowed`, `refused`, or `known` for a network that the login knows.
    pub state: String,
    /// In how many seconds this state ends.
    pub seconds: u64,
    /// How many seconds ago the last one was, or the last login from a network that is known.
    pub ago: u64,
}

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cleared {
    /// Entries.
    pub cleared: usize,
}

impl Guesses {
    /// As a line; `None` if that does not fit into a reply.
    pub fn line(&self) -> Option<String> {
        serde_json::to_string(self).ok().filter(|line| line.len() <= MAX_LINE)
    }

    /// Reads what a daemon said.
    ///
    /// # Errors
    /// When that is none of this.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

impl Cleared {
    /// As a line.
    pub fn line(&self) -> String {
        // It has keys of text, so this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what a daemon said.
    ///
    /// # Errors
    /// When that is none of this.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_back_and_one_that_does_not_fit_is_none() {
        let entry = Entry { login: Some("\"anna\\@x.example".into()), network: "192.0.2.1".into(), ..Entry::default() };
        let guesses = |number| Guesses { enabled: true, entries: vec![entry.clone(); number], next: Some(number) };
        assert_eq!(Guesses::parse(&guesses(3).line().unwrap()).unwrap(), guesses(3));
        assert_eq!(guesses(1000).line(), None);
        assert_eq!(Cleared::parse(&Cleared { cleared: 3 }.line()).unwrap().cleared, 3);
        assert!(Guesses::parse("FAIL").is_err() && !Guesses::parse("{}").unwrap().enabled);
    }
}
