//! The answer to `STATUS`: the state of the daemon, as JSON on one line.
//!
//! Fields that an older daemon does not send get their defaults, and fields that only a newer one sends are skipped.

use crate::MAX_TEXT;
use mailauth_core::printable::brief;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Maximum length in characters of an error or place in the status.
const MAX_SHOWN: usize = 300;

/// Maximum number of hosts in the status.
const MAX_HOSTS: usize = 16;

/// State of a daemon. Counters begin at its start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// ID of the process.
    pub pid: u32,
    /// User ID that it runs with.
    pub user: Option<u32>,
    /// Reason why it cannot read the mailboxes of other users, if it cannot.
    pub mailboxes_error: Option<String>,
    /// Seconds since this began.
    pub mailboxes_error_seconds: Option<f64>,
    /// Seconds since its start.
    pub uptime_seconds: f64,
    /// Connections of clients.
    pub connections: Connections,
    /// Connections on the sockets of `[dovecot]` and `[postfix]`; `None` if there are no such sockets.
    pub kept: Option<Kept>,
    /// Queues of work that waits for a thread.
    pub queues: Vec<Queue>,
    /// Clients that were turned away without an answer.
    pub turned_away: TurnedAway,
    /// Answers about logins.
    pub logins: AnswersByReason,
    /// Answers about accounts that were only looked up.
    pub lookups: AnswersByReason,
    /// Answers to requests for clear passwords, for challenges that the caller verifies itself.
    pub secrets: AnswersByReason,
    /// Answers about changes of passwords.
    pub changes: AnswersByReason,
    /// Answers about addresses, for mail servers.
    pub addresses: AnswersByReason,
    /// Use of the caches.
    pub cache: CacheUse,
    /// Protection against password guessing; `None` if wrong passwords are not counted.
    pub throttle: Option<Throttle>,
    /// Database hosts, in order of preference.
    pub hosts: Vec<Host>,
    /// Copy of the tables that answers in an outage, if one is kept.
    pub snapshot: Option<Snapshot>,
}

/// Open connections and their limits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connections {
    /// Number of open connections.
    pub open: usize,
    /// Maximum number of connections.
    pub max: usize,
    /// Maximum number of connections of one user, other than root and the daemon's own user.
    pub max_per_user: usize,
}

/// Connections that are kept: those on the sockets of `[dovecot]` and `[postfix]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// Maximum number of open connections: `[dovecot] max_connections`.
    pub max: usize,
    /// The kinds of sockets.
    pub sockets: Vec<KeptSocket>,
}

/// Use of one kind of socket for kept connections.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptSocket {
    /// What is spoken, such as `dovecot-client`.
    pub name: String,
    /// Number of open connections.
    pub open: u64,
    /// Number of connections that were accepted.
    pub accepted: u64,
    /// Number of questions that were asked on them.
    pub questions: u64,
    /// Number of connections that were closed at once, because too many were open.
    pub turned_away: u64,
}

/// A queue of work that waits for a thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Queue {
    /// Kind of work.
    pub name: String,
    /// Number of jobs that no thread has begun.
    pub waiting: usize,
    /// Maximum number of waiting jobs.
    pub max: usize,
}

/// Number of clients that were turned away without an answer, which means "not now", by reason.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TurnedAway {
    /// Too many connections were open.
    pub crowded: u64,
    /// Too many connections of its user were open.
    pub over_share: u64,
    /// A queue of work was full.
    pub queue_full: u64,
    /// The client had disconnected when its turn came.
    pub gone: u64,
    /// The client's user may not connect.
    pub strangers: u64,
}

/// Number of answers by kind. Reasons that have not occurred are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AnswersByReason {
    /// Number of "yes".
    pub yes: u64,
    /// Number of "no", by reason.
    pub no: BTreeMap<String, u64>,
    /// Number of "not now", by reason.
    pub not_now: BTreeMap<String, u64>,
}

/// Use of the caches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CacheUse {
    /// Number of look-ups that were answered from memory.
    pub hits: u64,
    /// Number of look-ups that were not answered from memory.
    pub misses: u64,
    /// Number of rows that were read again before a refusal.
    pub rereads: u64,
    /// Number of `misses` and `rereads` that used the result of a query that was already running.
    pub coalesced: u64,
    /// Number of passwords that were not hashed because they had been verified recently.
    pub verified: u64,
}

/// Protection against password guessing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Throttle {
    /// Number of logins and networks for which wrong passwords are counted.
    pub counted: usize,
    /// Number of known networks of logins: those from which the login has succeeded.
    pub known: usize,
    /// Maximum number of either; a further entry replaces another.
    pub max: usize,
    /// Number of refusals that were delayed.
    pub delayed: u64,
    /// Number of passwords that were refused without being tried.
    pub refused: u64,
    /// Number of passwords that were not tried because many networks attacked their login.
    pub put_off: u64,
}

/// A database server or file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// Address of the server, or path of the file.
    pub place: String,
    /// `primary`, `replica` or `unknown`.
    pub role: String,
    /// False if the last probe failed; true before the first one, and while the host reports that it is full.
    pub live: bool,
    /// True if the host currently accepts no further connection. Existing connections may still work.
    pub full: bool,
    /// Duration of its last answer in seconds.
    pub latency_seconds: Option<f64>,
    /// Last failure, which may be over.
    pub last_error: Option<String>,
    /// Seconds since the last failure.
    pub last_error_seconds: Option<f64>,
}

/// Copy of the tables that answers in an outage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Path of the file.
    pub path: String,
    /// Number of accounts in the copy.
    pub accounts: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Maximum age of the content in seconds.
    pub age_seconds: f64,
    /// Age in seconds up to which the copy answers: `[outage] max_age`.
    pub max_age_seconds: Option<f64>,
    /// True if the copy answers now.
    pub in_use: bool,
    /// Reason why the last refresh failed, if it did.
    pub refresh_error: Option<String>,
    /// Seconds since refreshes began to fail.
    pub refresh_error_seconds: Option<f64>,
}

impl AnswersByReason {
    /// Returns the number of "no" for any reason.
    pub fn all_no(&self) -> u64 {
        self.no.values().sum()
    }

    /// Returns the number of "not now" for any reason.
    pub fn all_not_now(&self) -> u64 {
        self.not_now.values().sum()
    }
}

impl Kept {
    /// Returns the number of open connections.
    pub fn open(&self) -> u64 {
        self.sockets.iter().map(|socket| socket.open).sum()
    }

    /// Returns the number of connections that were closed at once.
    pub fn turned_away(&self) -> u64 {
        self.sockets.iter().map(|socket| socket.turned_away).sum()
    }
}

impl Status {
    /// Returns the status as a line that fits into a reply. Long errors are cut, and hosts beyond the first are left
    /// out if there is no room.
    pub fn line(mut self) -> String {
        self.hosts.truncate(MAX_HOSTS);
        self.mailboxes_error = self.mailboxes_error.as_deref().map(shown);
        for host in &mut self.hosts {
            host.place = shown(&host.place);
            host.last_error = host.last_error.as_deref().map(shown);
        }
        loop {
            // The keys of its maps are text, so this cannot fail.
            let line = serde_json::to_string(&self).unwrap_or_default();
            if line.len() <= MAX_TEXT || self.hosts.pop().is_none() {
                return line;
            }
        }
    }

    /// Reads the answer of a daemon.
    ///
    /// # Errors
    /// Fails if `line` is not a status.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

/// Returns the beginning of `text` on one line.
fn shown(text: &str) -> String {
    brief(text, MAX_SHOWN).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(error: &str) -> Host {
        Host { place: "db1".into(), last_error: Some(error.into()), ..Host::default() }
    }

    #[test]
    fn a_status_is_one_line_that_reads_back() {
        let status = Status { hosts: vec![host("gone\naway")], uptime_seconds: 1.5, ..Status::default() };
        let line = status.clone().line();
        assert!(!line.contains(char::is_control));
        assert_eq!(Status::parse(&line).unwrap(), Status { hosts: vec![host(r"gone\naway")], ..status });
    }

    #[test]
    fn a_status_fits_into_a_reply_however_long_the_errors_are() {
        let status = Status { hosts: vec![host(&"\"\\ü".repeat(9999)); 40], ..Status::default() };
        let line = status.line();
        assert!(line.len() <= MAX_TEXT, "{}", line.len());
        assert!(Status::parse(&line).unwrap().hosts.len() > 3);
    }

    #[test]
    fn a_status_of_another_version_can_be_read() {
        let status = Status::parse(r#"{"version":"9","moon":"full","cache":{"hits":3}}"#).unwrap();
        assert_eq!((status.version.as_str(), status.cache.hits, status.hosts), ("9", 3, vec![]));
        assert!(Status::parse("later").is_err());
    }
}
