//! What is known of the databases behind a store, for people and monitoring.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The result of [`super::AccountStore::state`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreState {
    /// The hosts, in order of preference.
    pub hosts: Vec<HostState>,
    /// The snapshot that is used during an outage, if one is kept.
    pub snapshot: Option<SnapshotState>,
}

/// State of one database server, or file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostState {
    /// The host, without its password.
    pub place: String,
    /// Its role, as far as it is known.
    pub role: Role,
    /// False if the last probe failed; true before the first one, and for a host that is full.
    pub live: bool,
    /// Whether it accepts no further connection at present. Existing connections may still work.
    pub full: bool,
    /// Time that its last answer took.
    pub latency: Option<Duration>,
    /// Its last failure, and the time since then.
    pub last_error: Option<(String, Duration)>,
}

/// Role of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Not probed yet.
    #[default]
    Unknown,
    /// It accepts changes.
    Primary,
    /// It is read-only.
    Replica,
}

/// State of the copy of the tables that is used during an outage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotState {
    /// Path of the file.
    pub path: PathBuf,
    /// Number of accounts in it.
    pub accounts: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Maximum age of its content.
    pub age: Duration,
    /// Time for which refreshing has failed, and the reason, if the last refresh failed.
    pub failure: Option<(Duration, String)>,
    /// Whether it answers now, because no host does.
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
