//! The snapshot's file: opening it, creating it, and detecting damage.

use super::layout::{ALL, Layout, Side};
use super::origin::Origin;
use crate::store::driver::sqlite::{DIALECT, ERASE};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, ffi};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Version of the file's tables. The file also contains the version of the schema whose rows it holds.
const FORMAT: i64 = 4;

/// Longest wait for the transaction of another process, each of which takes milliseconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Number of SQLite's virtual machine instructions between two checks of the clock.
const STEPS: i32 = 10_000;

/// Reason why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Sql(#[from] rusqlite::Error),
    #[error("cannot lock {}: {error}", path.display())]
    Lock { path: PathBuf, error: io::Error },
    #[error("it belongs to another user or others may read it; remove it")]
    NotOurs,
    #[error("it is of another version of this program")]
    Version,
    #[error("{0}")]
    Damaged(String),
}

pub(super) type Result<T> = std::result::Result<T, CopyError>;

impl CopyError {
    /// Returns true if only a new file can help. SQLite's errors with a cause outside of the file do not count.
    pub(super) fn is_spoilt(&self) -> bool {
        let error = match self {
            CopyError::Version | CopyError::Damaged(_) => return true,
            CopyError::Io(_) | CopyError::Lock { .. } | CopyError::NotOurs => return false,
            CopyError::Sql(error) => error,
        };
        let Some(ffi::Error { code, extended_code }) = error.sqlite_error() else { return true };
        match code {
            ErrorCode::SystemIoFailure => {
                matches!(*extended_code, ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ)
            }
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted
            | ErrorCode::OperationAborted
            | ErrorCode::FileLockingProtocolFailed => false,
            _ => true,
        }
    }

    /// Returns true if the file does not exist.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, CopyError::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// Returns the device and inode, which tell the file from another that takes its name. Fails if it is not a file of our
/// own.
pub(super) fn ours(path: &Path) -> Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    let own = metadata.is_file() && metadata.uid() == rustix::process::geteuid().as_raw();
    if own && metadata.mode() & 0o077 == 0 { Ok((metadata.dev(), metadata.ino())) } else { Err(CopyError::NotOurs) }
}

pub(super) fn open(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(64);
    // A power failure may undo the last writes, in reverse order. Notes are written with FULL.
    connection
        .execute_batch("PRAGMA synchronous = NORMAL; PRAGMA cache_size = -4096; PRAGMA journal_size_limit = 0")?;
    connection.query_row(ERASE, [], |_| Ok(()))?;
    ensure_version(&connection)?;
    Ok(connection)
}

/// Opens the file of another process, for reading.
pub(super) fn open_to_look(path: &Path) -> Result<Connection> {
    fs::metadata(path)?;
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(PATIENCE)?;
    ensure_version(&connection)?;
    Ok(connection)
}

/// Searches for damaged pages, for at most `time`.
pub(super) fn examine(connection: &mut Connection, time: Duration) -> Result<()> {
    let until = Instant::now() + time;
    connection.progress_handler(STEPS, Some(move || Instant::now() >= until))?;
    match connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)) {
        Ok(word) if word == "ok" => Ok(()),
        Ok(problem) => Err(CopyError::Damaged(problem)),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn version() -> i64 {
    let schema = i64::try_from(DIALECT.migrations.len()).unwrap_or(0) + 1;
    FORMAT * 1000 + schema
}

fn ensure_version(connection: &Connection) -> Result<()> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found != version() {
        return Err(CopyError::Version);
    }
    let row: Option<i64> = connection.query_row("SELECT generation FROM copy", [], |row| row.get(0)).optional()?;
    row.map(drop).ok_or_else(|| CopyError::Damaged("the row that describes it is missing".to_owned()))
}

/// Creates a new file, without rows.
pub(super) fn create(path: &Path, origin: &Origin) -> Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(PATIENCE)?;
    // In this mode, which the file keeps, readers and the writer do not wait for each other.
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    let transaction = connection.transaction()?;
    create_tables(&transaction, Side::Used)?;
    transaction.execute_batch(&format!(
        "CREATE TABLE schema_version (version);
         INSERT INTO schema_version VALUES ({});
         CREATE TABLE copy (origin, generation, taken, refreshed, accounts, failed, failure);
         CREATE TABLE pending (id INTEGER PRIMARY KEY AUTOINCREMENT, kind, name, held);
         CREATE INDEX pending_name ON pending (kind, name);
         -- No note has the number of one in a file that was here before.
         INSERT INTO sqlite_sequence VALUES ('pending', CAST(strftime('%s', 'now') AS INTEGER) * 1000000);
         PRAGMA user_version = {}",
        DIALECT.migrations.len() + 1,
        version(),
    ))?;
    transaction.execute("INSERT INTO copy (origin, generation, accounts) VALUES (?, 0, 0)", [origin.text()])?;
    Ok(transaction.commit()?)
}

/// Creates the tables of one side, without the indexes by domain.
pub(super) fn create_tables(connection: &Connection, side: Side) -> Result<()> {
    for Layout { name, columns, key, .. } in ALL {
        let (all, keys, suffix) = (columns.join(", "), columns[..key].join(", "), side.suffix());
        connection.execute_batch(&format!(
            "CREATE TABLE {name}{suffix} ({all}, checksum, PRIMARY KEY ({keys})) WITHOUT ROWID"
        ))?;
    }
    Ok(())
}

/// Creates the missing indexes by domain. This is done once the tables are filled: rows come in the order of their
/// keys, which is scattered in these indexes. The indexes keep their names when the tables are renamed.
pub(super) fn create_indexes(connection: &Connection, side: Side, generation: i64) -> Result<()> {
    for Layout { name, columns, key, .. } in ALL.into_iter().filter(|layout| layout.of_domain) {
        let (keys, suffix, index) = (columns[..key].join(", "), side.suffix(), index_of_domain(name, generation));
        connection.execute_batch(&format!("CREATE INDEX IF NOT EXISTS {index} ON {name}{suffix} (domain, {keys})"))?;
    }
    Ok(())
}

pub(super) fn index_of_domain(table: &str, generation: i64) -> String {
    format!("{table}_of_domain_{generation}")
}

/// Removes the file. SQLite's own files next to it are removed last, because they mean nothing without it.
pub(super) fn remove(path: &Path) -> Result<()> {
    for end in ["", "-wal", "-shm"] {
        match fs::remove_file(beside(path, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Returns the path of a file that belongs to the one at `path`.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
