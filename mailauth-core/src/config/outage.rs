//! `[outage]`: what the daemon answers from while no database does.

use super::DatabaseUrl;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `[outage]`.
#[derive(Clone, Debug)]
pub struct OutageConfig {
    /// `enabled`: keep a copy of the tables, and answer from it while no database does.
    pub enabled: bool,
    /// `snapshot`: the copy's file, an absolute path.
    pub snapshot: PathBuf,
    /// `max_age`: an older copy answers nothing.
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
    /// The file of the copy of this database, if one is kept. SQLite is a file of this machine, and needs none.
    pub fn snapshot_of(&self, database: &DatabaseUrl) -> Option<&Path> {
        (self.enabled && database.file().is_none()).then_some(&self.snapshot)
    }
}
