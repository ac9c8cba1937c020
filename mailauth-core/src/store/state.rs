//! What is known of the databases behind a store, for people and monitors.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What [`super::AccountStore::state`] tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreState {
    /// The hosts, in the order in which they are preferred.
    pub hosts: Vec<HostState>,
    /// The copy that answers in an outage, where one is kept.
    pub snapshot: Option<SnapshotState>,
}

/// One database server, or file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostState {
    /// Where it is, without its password.
    pub place: String,
    /// What it can be used for, as far as it was asked.
    pub role: Role,
    /// True unless it is down: it answered when it was asked last, was not asked yet, or says that it is full.
    pub live: bool,
    /// True if it takes no further connection for now. Those that it gave before may still work.
    pub full: bool,
    /// How long its last answer took.
    pub latency: Option<Duration>,
    /// Its last failure, and how long ago that was.
    pub last_error: Option<(String, Duration)>,
}

/// What a host can be used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It was not asked yet.
    #[default]
    Unknown,
    /// It takes changes.
    Primary,
    /// It is read only.
    Replica,
}

/// The copy of the tables that answers in an outage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotState {
    /// Its file.
    pub path: PathBuf,
    /// Accounts in it.
    pub accounts: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// How old what it says may be.
    pub age: Duration,
    /// How long refreshing it has failed, and why, if the last refresh did.
    pub failure: Option<(Duration, String)>,
    /// Does it answer now, for no host does?
    pub in_use: bool,
}

impl Role {
    /// `unknown`, `primary` or `replica`.
    pub fn name(self) -> &'static str {
        match self {
            Role::Unknown => "unknown",
            Role::Primary => "primary",
            Role::Replica => "replica",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
