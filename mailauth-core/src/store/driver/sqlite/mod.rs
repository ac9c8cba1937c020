//! The SQLite driver, built on `rusqlite` with its bundled library.

use crate::names;
use crate::store::driver::{
    Cell, Connection, Dialect, Driver, DriverError, Needs, Param, Refusal, Rights, Row, Standing, Statement,
};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OpenFlags, ToSql, ffi};
use rustix::process::Uid;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(crate) static DIALECT: Dialect = Dialect {
    numbered: false,
    begin: "BEGIN IMMEDIATE",
    now: "CURRENT_TIMESTAMP",
    time_text: "{}",
    time_value: "{}",
    row_values: true,
    by_index: "",
    same_bytes: "CAST({} AS BLOB) = CAST(? AS BLOB)",
    // The length is in the row's header, so a text that is too long is not even read.
    bounded: "CASE WHEN octet_length({}) > {most} THEN zeroblob({more}) ELSE {} END",
    or_update: "ON CONFLICT ({}) DO UPDATE SET",
    // A sum that overflows an integer becomes a float, and the cast turns that into the largest integer.
    added: "CAST({old} + excluded.{column} AS INTEGER)",
    table_exists: "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = ?",
    lock: "",
    unlock: "",
    schema: include_str!("../../../../../schema/sqlite.sql"),
    migrations: &[
        include_str!("../../../../../schema/sqlite.2.sql"),
        include_str!("../../../../../schema/sqlite.3.sql"),
        include_str!("../../../../../schema/sqlite.4.sql"),
    ],
};

/// Mode of a database file that this program creates: readable by its group and not by others, because it holds
/// password hashes. SQLite gives the same mode to the `-wal` and `-shm` files.
const MODE: u32 = 0o640;

/// Overwrites deleted and replaced data with zeros, so that an old hash cannot be found in the file.
pub(in crate::store) const ERASE: &str = "PRAGMA secure_delete = ON";

/// Maximum size of a value and of a row in bytes. Values that their statement does not bound are keys, and far shorter.
const MOST_BYTES: i32 = 1 << 20;

/// Number of instructions of SQLite's virtual machine between two checks of the deadline: some tens of microseconds.
const STEPS: i32 = 10_000;

/// A database in one file.
pub(crate) struct Sqlite {
    path: PathBuf,
    place: String,
    deadline: Duration,
}

impl Sqlite {
    pub(crate) fn new(path: &Path, deadline: Duration) -> Self {
        Sqlite { path: path.to_owned(), place: path.display().to_string(), deadline }
    }
}

impl Driver for Sqlite {
    fn place(&self) -> &str {
        &self.place
    }

    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn connect(&self) -> Result<Box<dyn Connection>, DriverError> {
        let file = match fs::metadata(&self.path) {
            Ok(meta) => identity(&meta),
            // Opening would fail too, but SQLite's own message is less clear.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(DriverError::Schema(format!(
                    "there is no database at {}{}; create it with `mailauth init`, or correct [database] url",
                    self.place,
                    here(&self.path)
                )));
            }
            Err(error) => return Err(DriverError::Lost(unopened(&self.path, &error.to_string()))),
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let raise = |error| driver_error(error, &self.path, self.deadline);
        let mut connection = rusqlite::Connection::open_with_flags(&self.path, flags).map_err(raise)?;
        connection.busy_timeout(self.deadline).map_err(raise)?;
        keep_log(&connection).map_err(raise)?;
        if connection.is_readonly("main").map_err(raise)? {
            self.check_readable(&connection)?;
        }
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MOST_BYTES).map_err(raise)?;
        connection.set_prepared_statement_cache_capacity(32);
        // Without this SQLite plans a cached statement again for each new login, which costs more than running it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(raise)?;
        // FULL: a confirmed change survives a power cut. Writes are rare, and reads do not pay for it. Each connection
        // has its own page cache, and the operating system caches the rest: 1 MiB is enough.
        connection
            .execute_batch("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA cache_size = -1024")
            .and_then(|()| connection.query_row(ERASE, [], |_| Ok(())))
            .map_err(raise)?;
        let clock = Clock::new(self.deadline);
        let seen = clock.clone();
        connection.progress_handler(STEPS, Some(move || seen.is_over())).map_err(raise)?;
        let opened_as = rustix::process::geteuid();
        Ok(Box::new(SqliteConnection {
            connection,
            path: self.path.clone(),
            file,
            opened_as,
            clock,
            broken: false,
            changed: false,
        }))
    }

    fn create(&self) -> Result<(), DriverError> {
        let created = fs::OpenOptions::new().write(true).create_new(true).mode(MODE).open(&self.path);
        match created {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                let folder = folder(&self.path).display();
                let advice = match error.kind() {
                    ErrorKind::NotFound => format!("create the folder {folder}, or correct [database] url"),
                    ErrorKind::PermissionDenied => {
                        let user = names::own();
                        format!(
                            "give the user {user} write permission on the folder {folder}, or run this as its owner"
                        )
                    }
                    _ => "correct [database] url, or free some disk space".to_owned(),
                };
                return Err(DriverError::Lost(format!("it cannot be created: {error}; {advice}")));
            }
        }
        // In WAL mode, readers and a writer do not wait for each other. The mode is stored in the file.
        let connection = rusqlite::Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .map_err(|error| driver_error(error, &self.path, self.deadline))?;
        connection
            .busy_timeout(self.deadline)
            .and_then(|()| keep_log(&connection))
            .and_then(|()| connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())))
            // The first read creates the `-wal` and `-shm` files.
            .and_then(|()| connection.query_row("PRAGMA schema_version", [], |_| Ok(())))
            .map_err(|error| driver_error(error, &self.path, self.deadline))
    }
}

impl Sqlite {
    /// Checks that a user without write permission can read: SQLite needs the `-wal` and `-shm` files then, and cannot
    /// create them.
    fn check_readable(&self, connection: &rusqlite::Connection) -> Result<(), DriverError> {
        let outcome = connection.query_row("PRAGMA schema_version", [], |_| Ok(()));
        outcome.map_err(|error| {
            let said = error.to_string();
            match driver_error(error, &self.path, self.deadline) {
                DriverError::Lost(_) if fs::File::open(&self.path).is_ok() => DriverError::Lost(format!(
                    "{said}: a user with read permission only also needs to read the files {0}-wal and {0}-shm; \
                     `mailauth check`, run by a user that may write, creates them",
                    self.place
                )),
                other => other,
            }
        })
    }
}

/// Makes the last connection to close keep the write-ahead log and its index, both emptied: a user that may only read
/// the database cannot create them.
fn keep_log(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    let mut keep: std::ffi::c_int = 1;
    // SAFETY: the handle is open as long as the connection; the name is NUL-terminated; for this operation SQLite reads
    // and writes one int at the pointer, and only during the call.
    let code = unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_PERSIST_WAL,
            (&raw mut keep).cast(),
        )
    };
    if code != ffi::SQLITE_OK {
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
    }
    // Without this the log would keep its pages, which would damage a backup of the database that they are put next to.
    connection.execute_batch("PRAGMA journal_size_limit = 0")
}

/// Returns the current folder for messages about a relative path.
fn here(path: &Path) -> String {
    match std::env::current_dir() {
        Ok(folder) if path.is_relative() => format!(" (in {})", folder.display()),
        _ => String::new(),
    }
}

/// Returns the folder of a file.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Explains why SQLite cannot open a file, and what to do about it; `said` is SQLite's own message.
fn unopened(path: &Path, said: &str) -> String {
    let (folder, user) = (folder(path), names::own());
    let owned = |meta: &fs::Metadata| {
        let (mode, uid, gid) = (meta.mode() & 0o7777, names::user(meta.uid()), names::group(meta.gid()));
        format!("mode {mode:04o}, of {uid}:{gid}")
    };
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return format!(
                "{said}; the user {user} may not enter the folder {}: run this as root, or add {user} to its group",
                folder.display()
            );
        }
        Ok(meta) if meta.is_dir() => return format!("{said}; it is a folder: set [database] url to a file in it"),
        Ok(meta) if fs::File::open(path).is_err() => {
            return format!(
                "{said}; the user {user} may not read it ({}): run this as root, or add {user} to its group",
                owned(&meta)
            );
        }
        _ => {}
    }
    match fs::metadata(folder) {
        Ok(meta) if !may_write(folder) => format!(
            "{said}; SQLite creates further files next to it, and the user {user} may not write to the folder {} ({}): \
             give the folder and the file to a group of that user, with modes 2770 and 0660",
            folder.display(),
            owned(&meta)
        ),
        _ => format!("{said}; check that its file system is mounted and writable"),
    }
}

fn may_write(path: &Path) -> bool {
    rustix::fs::accessat(rustix::fs::CWD, path, rustix::fs::Access::WRITE_OK, rustix::fs::AtFlags::EACCESS).is_ok()
}

/// Returns what to do about a file that this user may not write.
fn unwritable(path: &Path) -> String {
    let (user, folder) = (names::own(), folder(path));
    let what = if may_write(path) { folder } else { path };
    format!(
        "the user {user} may not write to {}: run this as root or its owner, or give the file and its folder to a \
         group of that user, with modes 0660 and 2770",
        what.display()
    )
}

/// Returns what identifies a file independently of its name: device and inode.
fn identity(meta: &fs::Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// The deadline of the running statement, shared with the progress handler that SQLite calls.
#[derive(Clone)]
struct Clock {
    base: Instant,
    deadline: Duration,
    /// Deadline in microseconds after `base`.
    until: Arc<AtomicU64>,
}

impl Clock {
    fn new(deadline: Duration) -> Self {
        Clock { base: Instant::now(), deadline, until: Arc::default() }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn start(&self) {
        let allowed = u64::try_from(self.deadline.as_micros()).unwrap_or(u64::MAX);
        self.until.store(self.elapsed().saturating_add(allowed), Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.elapsed() > self.until.load(Ordering::Relaxed)
    }
}

struct SqliteConnection {
    connection: rusqlite::Connection,
    path: PathBuf,
    file: (u64, u64),
    /// Effective user of the process when it opened the file.
    opened_as: Uid,
    clock: Clock,
    broken: bool,
    /// True if it may have changed something.
    changed: bool,
}

/// Checkpoints the write-ahead log after a change. Otherwise the file might keep deleted data for weeks, because a
/// change is only in the log until then.
impl Drop for SqliteConnection {
    fn drop(&mut self) {
        if !self.changed || self.start().is_err() {
            return;
        }
        // This does not wait for readers: the last connection to close the file does a checkpoint too.
        let _ = self.connection.busy_timeout(Duration::ZERO);
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
}

impl SqliteConnection {
    /// Starts the deadline, and checks that the open file is still the one at its path: after a backup is put in its
    /// place, SQLite would keep answering from the old one.
    ///
    /// A process that has dropped privileges since, as the one that delivers a message does, may no longer have access
    /// to the file's folder, and keeps using the file that it has opened.
    fn start(&mut self) -> Result<(), DriverError> {
        self.clock.start();
        let reason = match fs::metadata(&self.path) {
            Ok(meta) if identity(&meta) == self.file => return Ok(()),
            Ok(_) => "the file was replaced".into(),
            Err(error) if error.kind() == ErrorKind::PermissionDenied && self.is_another_user() => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => "the file was removed".into(),
            Err(error) => error.to_string(),
        };
        self.broken = true;
        Err(DriverError::Lost(reason))
    }

    fn is_another_user(&self) -> bool {
        rustix::process::geteuid() != self.opened_as
    }

    /// Runs `work` on the prepared statement with its parameters bound.
    fn with<T>(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
        work: impl FnOnce(&mut rusqlite::Statement<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, DriverError> {
        self.start()?;
        let run = || {
            let mut prepared = self.connection.prepare_cached(&statement.sql)?;
            for (index, param) in params.iter().enumerate() {
                prepared.raw_bind_parameter(index + 1, param)?;
            }
            let outcome = work(&mut prepared);
            if statement.slot.is_none() {
                prepared.discard();
            }
            outcome
        };
        run().map_err(|error| self.raise(error))
    }

    fn raise(&mut self, error: rusqlite::Error) -> DriverError {
        let error = driver_error(error, &self.path, self.clock.deadline);
        self.broken |= matches!(error, DriverError::Lost(_));
        error
    }
}

impl Connection for SqliteConnection {
    fn query(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row),
    ) -> Result<(), DriverError> {
        self.with(statement, params, |prepared| {
            let mut rows = prepared.raw_query();
            while let Some(row) = rows.next()? {
                each(row);
            }
            Ok(())
        })
    }

    fn execute(&mut self, statement: &Statement, params: &[Param<'_>]) -> Result<u64, DriverError> {
        self.changed = true;
        self.with(statement, params, |prepared| prepared.raw_execute().map(|rows| rows as u64))
    }

    fn batch(&mut self, sql: &str) -> Result<(), DriverError> {
        self.start()?;
        self.connection.execute_batch(sql).map_err(|error| self.raise(error))
    }

    fn ping(&mut self) -> Result<(), DriverError> {
        self.start()
    }

    fn standing(&mut self) -> Result<Standing, DriverError> {
        self.start()?;
        let read_only = self.connection.is_readonly("main").map_err(|error| self.raise(error))?;
        Ok(if read_only { Standing::Replica } else { Standing::Primary })
    }

    fn is_broken(&self) -> bool {
        self.broken
    }

    fn server(&mut self) -> Result<(String, Option<String>), DriverError> {
        Ok((format!("SQLite {}", rusqlite::version()), None))
    }

    fn rights(&mut self, _: &Needs) -> Result<Rights, DriverError> {
        let mut rights = Rights::default();
        if self.connection.is_readonly("main").map_err(|error| self.raise(error))? {
            rights.missing.push(format!("write to {} (passwords cannot be changed)", self.path.display()));
        }
        if let Ok(meta) = fs::metadata(&self.path) {
            if meta.mode() & 0o004 != 0 {
                rights.too_wide.push(format!("read access to {} for every user of the system", self.path.display()));
            }
            if meta.mode() & 0o002 != 0 {
                rights.too_wide.push(format!("write access to {} for every user of the system", self.path.display()));
            }
        }
        Ok(rights)
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Param::Null => ValueRef::Null,
            Param::Int(number) => ValueRef::Integer(number),
            Param::Text(bytes) => ValueRef::Text(bytes),
        }))
    }
}

impl Row for rusqlite::Row<'_> {
    fn cell(&self, index: usize) -> Cell<'_> {
        match self.get_ref(index) {
            Ok(ValueRef::Null) => Cell::Null,
            Ok(ValueRef::Integer(number)) => Cell::Int(number),
            Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => Cell::Text(bytes),
            Ok(ValueRef::Real(_)) | Err(_) => Cell::Other,
        }
    }
}

/// Converts the library's error. Its messages name constraints and columns, never values.
fn driver_error(error: rusqlite::Error, path: &Path, deadline: Duration) -> DriverError {
    let reason = error.to_string();
    let Some(ffi::Error { code, extended_code }) = error.sqlite_error() else {
        return DriverError::Refused { kind: Refusal::Other, reason };
    };
    let kind = match (code, *extended_code) {
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OperationInterrupted, _) => {
            return DriverError::Timeout(deadline);
        }
        (ErrorCode::CannotOpen, _) => return DriverError::Lost(unopened(path, &reason)),
        (ErrorCode::SystemIoFailure, _) => {
            return DriverError::Lost(format!(
                "{reason}; look in the system log for errors of the disk or file system"
            ));
        }
        (ErrorCode::ReadOnly, _) => {
            let reason = format!("{reason}; {}", unwritable(path));
            return DriverError::Refused { kind: Refusal::Forbidden, reason };
        }
        (ErrorCode::NotADatabase, _) => {
            let reason = format!("{reason}; correct [database] url, or restore a backup");
            return DriverError::Refused { kind: Refusal::Other, reason };
        }
        (ErrorCode::DatabaseCorrupt, _) => {
            let reason = format!("{reason}; restore a backup, or recover what can be read with sqlite3 and .recover");
            return DriverError::Refused { kind: Refusal::Other, reason };
        }
        (ErrorCode::DiskFull, _) => {
            return DriverError::Refused { kind: Refusal::Other, reason: format!("{reason}; free some disk space") };
        }
        (_, ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_UNIQUE) => Refusal::Duplicate,
        (_, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => Refusal::Reference,
        (ErrorCode::Unknown, _) if reason.contains("no such table") => Refusal::NoTable,
        _ => Refusal::Other,
    };
    DriverError::Refused { kind, reason }
}
