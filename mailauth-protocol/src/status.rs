//! What a daemon says of itself when it is asked for its status: JSON on one line.
//!
//! A reader has to do without what an older daemon does not say, and to skip what a newer one says beside this.

use crate::MAX_REPLY;
use mailauth_core::printable::brief;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Characters of an error or place that are repeated.
const MAX_SHOWN: usize = 300;

/// The most hosts that are told of.
const MAX_HOSTS: usize = 16;

/// Bytes of the line, so that it fits into a reply with what stands around it.
const MAX_LINE: usize = MAX_REPLY - 16;

/// How a daemon is. Counts are of the time since its start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The version of the program.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The user that it runs as.
    pub user: Option<u32>,
    /// Why it cannot look at mailboxes of other users, if it is so.
    pub mailboxes_error: Option<String>,
    /// For how long that has been so.
    pub mailboxes_error_seconds: Option<f64>,
    /// Seconds since its start.
    pub uptime_seconds: f64,
    /// Its clients.
    pub connections: Connections,
    /// What waits for a thread.
    pub queues: Vec<Queue>,
    /// Who got no answer for want of room or of a right.
    pub turned_away: TurnedAway,
    /// Answers about logins.
    pub logins: Answers,
    /// Answers about accounts that were only looked up.
    pub lookups: Answers,
    /// Answers about clear passwords, for challenges that the caller verifies.
    pub secrets: Answers,
    /// Answers about changes of passwords.
    pub changes: Answers,
    /// Answers about addresses: the questions of a mail server.
    pub addresses: Answers,
    /// What remembering spared.
    pub cache: CacheUse,
    /// What is done against guesses at passwords; none where they are not counted.
    pub throttle: Option<Throttle>,
    /// The databases, in the order in which they are preferred.
    pub hosts: Vec<Host>,
    /// The copy that answers in an outage, where one is kept.
    pub snapshot: Option<Snapshot>,
}

/// Clients that are connected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connections {
    /// So many.
    pub open: usize,
    /// One more than this is turned away.
    pub max: usize,
    /// One more than this of one user is turned away, unless that is root or the daemon's own.
    pub max_per_user: usize,
}

/// Work that waits for a thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Queue {
    /// Which work.
    pub name: String,
    /// Jobs that nobody has begun.
    pub waiting: usize,
    /// One more than this is turned away.
    pub max: usize,
}

/// Clients that got no answer, which to them is "not now".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TurnedAway {
    /// Too many connections were open.
    pub crowded: u64,
    /// Too many connections of its user were open.
    pub over_share: u64,
    /// Too much work waited.
    pub queue_full: u64,
    /// The client had hung up when its turn came.
    pub gone: u64,
    /// Users who may not connect.
    pub strangers: u64,
}

/// Answers by kind. Reasons that never came up are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answers {
    /// Yes.
    pub yes: u64,
    /// No, by reason.
    pub no: BTreeMap<String, u64>,
    /// Not now, by reason.
    pub not_now: BTreeMap<String, u64>,
}

/// What was found in memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CacheUse {
    /// Look-ups that were answered from memory.
    pub hits: u64,
    /// Look-ups that were not.
    pub misses: u64,
    /// Rows that were read anew before a refusal.
    pub rereads: u64,
    /// Of the last two, those that waited for another's query.
    pub coalesced: u64,
    /// Passwords that were not hashed because they had fitted lately.
    pub verified: u64,
}

/// What is done against guesses at passwords.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Throttle {
    /// Logins and networks of which wrong passwords are counted.
    pub counted: usize,
    /// Logins that know a network.
    pub known: usize,
    /// One more of either takes the place of another.
    pub max: usize,
    /// Refusals that were delayed.
    pub delayed: u64,
    /// Passwords that were refused without being tried.
    pub refused: u64,
    /// Passwords that were not tried, for many networks attacked their login.
    pub put_off: u64,
}

/// A database server, or file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// Where it is.
    pub place: String,
    /// `primary`, `replica` or `unknown`.
    pub role: String,
    /// True unless it is down: it answered when it was asked last, was not asked yet, or says that it is full.
    pub live: bool,
    /// True if it takes no further connection for now. Those that it gave before may still work.
    pub full: bool,
    /// How long its last answer took.
    pub latency_seconds: Option<f64>,
    /// Its last failure, which may be over.
    pub last_error: Option<String>,
    /// How long ago that was.
    pub last_error_seconds: Option<f64>,
}

/// The copy of the tables that answers in an outage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Its file.
    pub path: String,
    /// Accounts in it.
    pub accounts: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// How old what it says may be.
    pub age_seconds: f64,
    /// Does it answer now?
    pub in_use: bool,
    /// Why the last refresh failed, if it did.
    pub refresh_error: Option<String>,
    /// How long refreshing it has failed.
    pub refresh_error_seconds: Option<f64>,
}

impl Answers {
    /// All noes.
    pub fn all_no(&self) -> u64 {
        self.no.values().sum()
    }

    /// All that could not be known.
    pub fn all_not_now(&self) -> u64 {
        self.not_now.values().sum()
    }
}

impl Status {
    /// As a line that fits into a reply. Of many hosts, or of long errors, it is not all.
    pub fn line(mut self) -> String {
        self.hosts.truncate(MAX_HOSTS);
        self.mailboxes_error = self.mailboxes_error.as_deref().map(shown);
        for host in &mut self.hosts {
            host.place = shown(&host.place);
            host.last_error = host.last_error.as_deref().map(shown);
        }
        loop {
            // Its maps have keys of text, so this cannot fail.
            let line = serde_json::to_string(&self).unwrap_or_default();
            if line.len() <= MAX_LINE || self.hosts.pop().is_none() {
                return line;
            }
        }
    }

    /// Reads what a daemon said.
    ///
    /// # Errors
    /// When that is no status.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

/// The beginning of a text, on one line.
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
    fn it_fits_into_a_reply_whatever_databases_say() {
        let status = Status { hosts: vec![host(&"\"\\ü".repeat(9999)); 40], ..Status::default() };
        let line = status.line();
        assert!(line.len() <= MAX_LINE, "{}", line.len());
        assert!(Status::parse(&line).unwrap().hosts.len() > 3);
    }

    #[test]
    fn a_status_of_another_version_can_be_read() {
        let status = Status::parse(r#"{"version":"9","moon":"full","cache":{"hits":3}}"#).unwrap();
        assert_eq!((status.version.as_str(), status.cache.hits, status.hosts), ("9", 3, vec![]));
        assert!(Status::parse("later").is_err());
    }
}
