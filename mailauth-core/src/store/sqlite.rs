//! SQLite, through rusqlite with its bundled library.

use super::driver::{
    Cell, Connection, Dialect, Driver, DriverError, Needs, Param, Refusal, Rights, Row, Standing, Statement,
};
use crate::names;
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
    // The length is in the row's header: what is too long is not even read.
    bounded: "CASE WHEN octet_length({}) > {most} THEN zeroblob({more}) ELSE {} END",
    or_update: "ON CONFLICT ({}) DO UPDATE SET",
    // A sum that is too large for an integer becomes a fraction, and the largest integer again.
    added: "CAST({old} + excluded.{column} AS INTEGER)",
    table_exists: "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = ?",
    lock: "",
    unlock: "",
    schema: include_str!("../../../schema/sqlite.sql"),
    migrations: &[
        include_str!("../../../schema/sqlite.2.sql"),
        include_str!("../../../schema/sqlite.3.sql"),
        include_str!("../../../schema/sqlite.4.sql"),
    ],
};

/// The mode of a database that we create: its group may read, and nobody else, for it holds hashes. SQLite gives the
/// same mode to the files it keeps beside it.
const MODE: u32 = 0o640;

/// What is removed or replaced is overwritten with zeros: a hash that was changed is not to be found in the file.
pub(super) const ERASE: &str = "PRAGMA secure_delete = ON";

/// The longest value, and the longest row. What is not bounded by its statement is a key, and far shorter.
const MOST_BYTES: i32 = 1 << 20;

/// How many instructions of SQLite's machine run between two looks at the clock: some tens of microseconds.
const STEPS: i32 = 10_000;

/// One file.
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
            // Opening it would not create it, and SQLite's own message would be less clear.
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
            self.see_that_it_can_be_read(&connection)?;
        }
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MOST_BYTES).map_err(raise)?;
        connection.set_prepared_statement_cache_capacity(32);
        // Without this SQLite plans a kept statement anew for each new login, which costs more than running it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(raise)?;
        // FULL: a change that was confirmed is there after a power cut too. Writes are rare, and reads do not pay for it.
        // Each connection has a cache of its own, and what is not in it is in the system's: one MiB is enough.
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
                let cure = match error.kind() {
                    ErrorKind::NotFound => format!("make the folder {folder}, or correct [database] url"),
                    ErrorKind::PermissionDenied => {
                        let user = names::own();
                        format!("let the user {user} write to the folder {folder}, or run this as its owner")
                    }
                    _ => "correct [database] url, or make room".to_owned(),
                };
                return Err(DriverError::Lost(format!("it cannot be created: {error}; {cure}")));
            }
        }
        // Readers and a writer do not wait for each other in this mode, which stays with the file.
        let connection = rusqlite::Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .map_err(|error| driver_error(error, &self.path, self.deadline))?;
        connection
            .busy_timeout(self.deadline)
            .and_then(|()| keep_log(&connection))
            .and_then(|()| connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())))
            // The first reader makes the files beside it.
            .and_then(|()| connection.query_row("PRAGMA schema_version", [], |_| Ok(())))
            .map_err(|error| driver_error(error, &self.path, self.deadline))
    }
}

impl Sqlite {
    /// Reads something, for a user that may not write: SQLite needs the two files beside the database then, and cannot
    /// make them.
    fn see_that_it_can_be_read(&self, connection: &rusqlite::Connection) -> Result<(), DriverError> {
        let outcome = connection.query_row("PRAGMA schema_version", [], |_| Ok(()));
        outcome.map_err(|error| {
            let said = error.to_string();
            match driver_error(error, &self.path, self.deadline) {
                DriverError::Lost(_) if fs::File::open(&self.path).is_ok() => DriverError::Lost(format!(
                    "{said}: a user that may only read it needs the files {0}-wal and {0}-shm beside it, and the right to \
                     read them; `mailauth check`, run by a user that may write, makes them",
                    self.place
                )),
                other => other,
            }
        })
    }
}

/// Lets the last connection that is closed leave the write-ahead log and its index, both emptied: a user that may only
/// read the database cannot make them.
fn keep_log(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    let mut keep: std::ffi::c_int = 1;
    // SAFETY: the handle is open as long as the connection; the name is a string with a NUL; for this operation SQLite
    // reads and writes one int at the pointer, before the call is over.
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
    // Without this the log would keep its pages: put beside a backup of the database, they would damage that.
    connection.execute_batch("PRAGMA journal_size_limit = 0")
}

/// Where a path that is relative begins, for messages.
fn here(path: &Path) -> String {
    match std::env::current_dir() {
        Ok(folder) if path.is_relative() => format!(" (in {})", folder.display()),
        _ => String::new(),
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What is known of a file that SQLite cannot open, and what to do about it; `said` is all that it says.
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
        Ok(meta) if meta.is_dir() => return format!("{said}; it is a folder: name a file in it in [database] url"),
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
            "{said}; SQLite keeps files beside it, and the user {user} may not write to the folder {} ({}): give the \
             folder and the file to a group of that user, with modes 2770 and 0660",
            folder.display(),
            owned(&meta)
        ),
        _ => format!("{said}; see whether its file system is there, and writable"),
    }
}

fn may_write(path: &Path) -> bool {
    rustix::fs::accessat(rustix::fs::CWD, path, rustix::fs::Access::WRITE_OK, rustix::fs::AtFlags::EACCESS).is_ok()
}

/// What to do about a file that may not be written.
fn unwritable(path: &Path) -> String {
    let (user, folder) = (names::own(), folder(path));
    let what = if may_write(path) { folder } else { path };
    format!(
        "the user {user} may not write to {}: run this as root or its owner, or give the file and its folder to a group of \
         that user, with modes 0660 and 2770",
        what.display()
    )
}

/// What tells one file from another that takes its name.
fn identity(meta: &fs::Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// When the statement under way must end. Shared with the handler that SQLite calls.
#[derive(Clone)]
struct Clock {
    base: Instant,
    deadline: Duration,
    /// Microseconds after `base`.
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
    /// The user that this process was when it opened the file.
    opened_as: Uid,
    clock: Clock,
    broken: bool,
    /// It may have changed something.
    changed: bool,
}

/// What was changed is only in the log until that is brought into the file, which may then hold for weeks what was removed.
impl Drop for SqliteConnection {
    fn drop(&mut self) {
        if !self.changed || self.start().is_err() {
            return;
        }
        // Without waiting for those that read: whoever closes the file last does it too.
        let _ = self.connection.busy_timeout(Duration::ZERO);
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
}

impl SqliteConnection {
    /// Starts the clock, and makes sure that the file is still the one at its path: after a backup was put in its
    /// place SQLite would go on answering from the old one.
    ///
    /// A process that has given up its rights since, as the one that delivers a message does, may not look into the
    /// file's folder any more, and goes on with the file that it has opened.
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
                rights.too_wide.push(format!("read {} by every user of the system", self.path.display()));
            }
            if meta.mode() & 0o002 != 0 {
                rights.too_wide.push(format!("write to {} by every user of the system", self.path.display()));
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

/// What the library's error means to us. Its messages name constraints and columns, never values.
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
            return DriverError::Lost(format!("{reason}; see the system's log for the disk and its file system"));
        }
        (ErrorCode::ReadOnly, _) => {
            let reason = format!("{reason}; {}", unwritable(path));
            return DriverError::Refused { kind: Refusal::Forbidden, reason };
        }
        (ErrorCode::NotADatabase, _) => {
            let reason = format!("{reason}; correct [database] url, or put a backup in its place");
            return DriverError::Refused { kind: Refusal::Other, reason };
        }
        (ErrorCode::DatabaseCorrupt, _) => {
            let reason =
                format!("{reason}; put a backup in its place, or save what can be read with sqlite3 and .recover");
            return DriverError::Refused { kind: Refusal::Other, reason };
        }
        (ErrorCode::DiskFull, _) => {
            return DriverError::Refused { kind: Refusal::Other, reason: format!("{reason}; make room on its disk") };
        }
        (_, ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_UNIQUE) => Refusal::Duplicate,
        (_, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => Refusal::Reference,
        (ErrorCode::Unknown, _) if reason.contains("no such table") => Refusal::NoTable,
        _ => Refusal::Other,
    };
    DriverError::Refused { kind, reason }
}
