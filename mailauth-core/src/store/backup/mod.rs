//! Backups of the SQLite database of mailauth's own tables, made and restored while other processes use it.
//!
//! A [`copy`] is of one moment: the source is read in one transaction, beside which others go on to write. A
//! [`restore()`] replaces the content of the database in one transaction, so other processes see the old content or the
//! new one. Both work in steps of bounded size, and stop between two of them if their caller says so.

mod contents;
mod restore;

pub use contents::{Contents, examine};
pub use restore::{Fit, fit, restore};

use super::driver::sqlite::keep_log;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::time::{Duration, Instant};

/// Number of pages of a step: with the usual size of a page, 1 MiB.
const PAGES: i32 = 256;

/// Pause before a step is tried again because another process holds a lock.
const PAUSE: Duration = Duration::from_millis(20);

/// Number of instructions of SQLite's virtual machine between two questions whether to stop.
const INSTRUCTIONS: i32 = 100_000;

/// Reason why a backup was not made or restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// A file that is no database of mailauth, or that is damaged. The text says what is wrong, and what to do.
    #[error("{0}")]
    Unfit(String),
    /// A failure that may be over later, such as a full disk.
    #[error("{0}")]
    Failed(String),
    /// The caller wanted to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What the work asks and tells its caller.
#[derive(Clone, Copy)]
pub struct Watch<'w> {
    /// Is called after each step with the number of pages that are done, and of all.
    pub progress: &'w dyn Fn(u64, u64),
    /// Returns true to stop the work.
    pub is_interrupted: fn() -> bool,
}

/// Copies the database `from` to the file `to`, which exists and is empty. The copy is a single file, complete without
/// a log beside it. `patience` is the maximum wait for a lock of another process.
///
/// # Errors
/// Fails if either file cannot be used; what is in `to` is worthless then.
pub fn copy(from: &Path, to: &Path, patience: Duration, watch: Watch<'_>) -> Result<(), BackupError> {
    let source = open(from, patience)?;
    let of_source = |error| explained(&error, from);
    let of_target = |error| explained(&error, to);
    keep_log(&source).map_err(of_source)?;
    // What is read from here on is of this moment. Without this, the backup would begin again at each change.
    source.execute_batch("BEGIN").map_err(of_source)?;
    source.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |_| Ok(())).map_err(of_source)?;
    let mut target = open(to, patience)?;
    // A copy that is not finished is thrown away.
    target.query_row("PRAGMA journal_mode = OFF", [], |_| Ok(())).map_err(of_target)?;
    {
        let backup = Backup::new(&source, &mut target).map_err(of_target)?;
        while !step(&backup, PAGES, patience, watch).map_err(|error| error.about(from, to))? {}
    }
    drop(target);
    drop(source);
    // The header says that there is a log, as in the source.
    let target = open(to, patience)?;
    target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).map_err(of_target)
}

/// Does one step of so many pages. Returns true if it was the last one.
fn step(backup: &Backup<'_, '_>, pages: i32, patience: Duration, watch: Watch<'_>) -> Result<bool, StepError> {
    let begin = Instant::now();
    loop {
        if (watch.is_interrupted)() {
            return Err(StepError::Interrupted);
        }
        let result = backup.step(pages).map_err(StepError::Sqlite)?;
        let progress = backup.progress();
        let total = u64::try_from(progress.pagecount).unwrap_or(0);
        (watch.progress)(total.saturating_sub(u64::try_from(progress.remaining).unwrap_or(0)), total);
        match result {
            StepResult::Done => return Ok(true),
            StepResult::More => return Ok(false),
            _ if begin.elapsed() > patience => return Err(StepError::Locked),
            _ => std::thread::sleep(PAUSE),
        }
    }
}

/// Reason why a step failed.
enum StepError {
    Sqlite(rusqlite::Error),
    Locked,
    Interrupted,
}

impl StepError {
    fn about(self, from: &Path, to: &Path) -> BackupError {
        let (from, to) = (from.display(), to.display());
        match self {
            StepError::Sqlite(error) if is_unfit(&error) => BackupError::Unfit(format!("{from} is damaged: {error}")),
            StepError::Sqlite(error) => BackupError::Failed(format!("{from} cannot be copied to {to}: {error}")),
            StepError::Locked => {
                BackupError::Failed(format!("another process keeps {from} or {to} locked; try again when it has ended"))
            }
            StepError::Interrupted => BackupError::Interrupted,
        }
    }
}

/// Opens a database that exists.
fn open(path: &Path, patience: Duration) -> Result<Connection, BackupError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| explained(&error, path))?;
    connection
        .busy_timeout(patience)
        .and_then(|()| connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF"))
        .map_err(|error| explained(&error, path))?;
    Ok(connection)
}

/// Returns true if the file is to blame, so that trying again would end the same way.
fn is_unfit(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

fn explained(error: &rusqlite::Error, path: &Path) -> BackupError {
    let shown = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => BackupError::Interrupted,
        Some(ErrorCode::NotADatabase) => BackupError::Unfit(format!("{shown} is not an SQLite database: {error}")),
        Some(ErrorCode::DatabaseCorrupt) => BackupError::Unfit(format!("{shown} is damaged: {error}")),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            BackupError::Failed(format!("another process keeps {shown} locked; try again when it has ended"))
        }
        _ => BackupError::Failed(format!("{shown} cannot be used: {error}")),
    }
}

#[cfg(test)]
mod tests;
