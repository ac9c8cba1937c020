//! Putting the content of a backup into a database that other processes use.

use super::contents::known_version;
use super::{BackupError, Contents, PAGES, StepError, Watch, copy, explained, open, step};
use crate::config::{DatabaseConfig, DatabaseUrl};
use crate::store::driver::sqlite::keep_log;
use crate::store::{Administration, open_single};
use rusqlite::Connection;
use rusqlite::backup::Backup;
use std::path::Path;
use std::time::Duration;

/// What was done to a backup before it is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Version of the tables in the backup.
    pub from: u32,
    /// Version that it was brought to.
    pub to: u32,
}

/// Brings a private copy of a backup up to date, and gives it the page size of the database `like`, if that exists.
///
/// # Errors
/// Fails if that is impossible.
pub fn fit(backup: &Path, contents: Contents, like: Option<&Path>) -> Result<Fit, BackupError> {
    let failed =
        |error: String| BackupError::Failed(format!("{} cannot be brought up to date: {error}", backup.display()));
    let (from, to) = (contents.version, known_version());
    if from < to {
        let url = DatabaseUrl::Sqlite { path: backup.to_owned() };
        let config = DatabaseConfig { url, deadline: Duration::from_secs(3600), ..DatabaseConfig::default() };
        let store = open_single(&config).map_err(|error| failed(error.to_string()))?;
        store.init().map_err(|error| failed(error.to_string()))?;
    }
    let connection = open(backup, Duration::ZERO)?;
    let of_backup = |error| explained(&error, backup);
    let mode = |connection: &Connection| connection.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()));
    mode(&connection).map_err(of_backup)?;
    if let Some(like) = like {
        let wanted = page_size(&open(like, Duration::ZERO)?).map_err(|error| explained(&error, like))?;
        if page_size(&connection).map_err(of_backup)? != wanted {
            connection.execute_batch(&format!("PRAGMA page_size = {wanted}; VACUUM")).map_err(of_backup)?;
        }
    }
    Ok(Fit { from, to })
}

fn page_size(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA page_size", [], |row| row.get(0))
}

/// Replaces the content of the database `into` by that of `backup`, which no other process uses. Before that, copies the
/// old content to the file `old`, which exists and is empty, and calls `keep`, which makes that copy permanent. From the
/// copy to the end no other process can write, so no change is in neither of them.
///
/// # Errors
/// Fails if either cannot be used, or `keep` fails. The content is unchanged then.
pub fn restore(
    backup: &Path,
    into: &Path,
    old: &Path,
    patience: Duration,
    watch: Watch<'_>,
    keep: impl FnOnce() -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let source = open(backup, patience)?;
    let mut target = open(into, patience)?;
    let of_target = |error| explained(&error, into);
    keep_log(&target).map_err(of_target)?;
    // Only in this mode others can read while this process writes.
    let mode: String = target.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(of_target)?;
    if mode != "wal" {
        let shown = into.display();
        return Err(BackupError::Failed(format!(
            "{shown} cannot be written: check its permissions and those of its folder"
        )));
    }
    {
        let work = Backup::new(&source, &mut target).map_err(of_target)?;
        let about = |error: StepError| error.about(backup, into);
        // The first step takes the lock that excludes other writers.
        let mut is_done = step(&work, 1, patience, watch).map_err(about)?;
        if is_done {
            return Err(BackupError::Unfit(format!("{} is too small for a database of mailauth", backup.display())));
        }
        copy(into, old, patience, watch)?;
        keep()?;
        while !is_done {
            is_done = step(&work, PAGES, patience, watch).map_err(about)?;
        }
    }
    // Otherwise the file would keep what was replaced until the next checkpoint. Readers may postpone it.
    target.busy_timeout(Duration::ZERO).map_err(of_target)?;
    let _ = target.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    Ok(())
}
