//! State of the databases behind a store, for people and monitoring.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Result of [`super::AccountStore::state`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreState {
    /// The hosts, in order of preference.
    pub hosts: Vec<HostState>,
    /// The copy that answers in an outage, if one is kept.
    pub snapshot: Option<SnapshotState>,
}

/// A database server, or file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostState {
    /// Address of the host, without the password.
    pub place: String,
    /// What it can be used for, if it was asked already.
    pub role: Role,
    /// False if it is down. True if it answered when it was last asked, was not asked yet, or says that it is full.
    pub live: bool,
    /// True if it accepts no further connection for now. Existing ones may still work.
    pub full: bool,
    /// Duration of its last answer.
    pub latency: Option<Duration>,
    /// Its last failure, and the time since then.
    pub last_error: Option<(String, Duration)>,
}

/// What a host can be used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Unknown, because it was not asked yet.
    #[default]
    Unknown,
    /// A host that takes changes.
    Primary,
    /// A host that is read only.
    Replica,
}

/// The copy of the tables that answers in an outage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotState {
    /// Path of the file.
    pub path: PathBuf,
    /// Number of accounts in it.
    pub accounts: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Maximum age of its rows.
    pub age: Duration,
    /// Age up to which it answers, if that is known here: the configuration of the daemon decides.
    pub max_age: Option<Duration>,
    /// Time for which refreshing it has failed, and the reason, if the last refresh failed.
    pub failure: Option<(Duration, String)>,
    /// True if it answers now, because no host does.
    pub in_use: bool,
}

impl Role {
    /// Returns `unknown`, `primary` or `replica`.
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
