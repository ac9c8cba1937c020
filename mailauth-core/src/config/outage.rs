//! `[outage]`: what the daemon uses while no database is reachable.

use super::DatabaseUrl;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The section `[outage]`.
#[derive(Clone, Debug)]
pub struct OutageConfig {
    /// `enabled`: whether to keep a copy of the tables, and to answer from it while no database is reachable.
    pub enabled: bool,
    /// `snapshot`: absolute path of the copy.
    pub snapshot: PathBuf,
    /// `max_age`: maximum age of a copy that is used.
    pub max_age: Duration,
    /// `refresh`: how often the copy is compared with the database.
    pub refresh: Duration,
}

impl Default for OutageConfig {
    fn default() -> Self {
        OutageConfig {
            enabled: true,
            snapshot: "/var/lib/mailauth/snapshot.db".into(),
            max_age: Duration::from_secs(24 * 3600),
            refresh: Duration::from_secs(60),
        }
    }
}

impl OutageConfig {
    /// Returns the path of the copy of this database, if one is kept. SQLite databases are local files and need no
    /// copy.
    pub fn snapshot_of(&self, database: &DatabaseUrl) -> Option<&Path> {
        (self.enabled && database.file().is_none()).then_some(&self.snapshot)
    }
}
