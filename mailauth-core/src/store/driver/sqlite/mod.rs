//! The SQLite driver, built on `rusqlite` with its bundled library.

mod connection;
mod error;
mod plan;

use crate::names;
use crate::store::driver::{Connection, Dialect, Driver, DriverError};
use connection::{Clock, SqliteConnection, identity};
use error::{driver_error, folder, here, unopened};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{ErrorCode, OpenFlags, ffi};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) static DIALECT: Dialect = Dialect {
    is_remote: false,
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
    select_in_order: "SELECT",
    login_parts: Some([
        "substr({}, 1, length(rtrim({}, replace({}, '@', ''))) - 1)",
        "substr({}, length(rtrim({}, replace({}, '@', ''))) + 1)",
    ]),
    as_text: "CAST({} AS TEXT)",
    or_update: "ON CONFLICT ({}) DO UPDATE SET",
    new_value: "excluded.{}",
    // A sum that overflows an integer becomes a float, and the cast turns that into the largest integer.
    added: "CAST({old} + excluded.{column} AS INTEGER)",
    table_exists: "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = ?",
    lock: "",
    unlock: "",
    schema: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/sqlite.sql")),
    migrations: &[
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/sqlite.2.sql")),
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/sqlite.3.sql")),
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/sqlite.4.sql")),
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
    /// True if the file belongs to another program and is only read.
    read_only: bool,
}

impl Sqlite {
    pub(crate) fn new(path: &Path, deadline: Duration) -> Self {
        Sqlite { path: path.to_owned(), place: path.display().to_string(), deadline, read_only: false }
    }

    /// Makes each connection refuse changes.
    pub(crate) fn read_only(self, read_only: bool) -> Self {
        Sqlite { read_only, ..self }
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
                let create = if self.read_only { "" } else { "create it with `mailauth init`, or " };
                return Err(DriverError::Schema(format!(
                    "there is no database at {}{}; {create}correct [database] url",
                    self.place,
                    here(&self.path)
                )));
            }
            Err(error) => return Err(DriverError::Lost(unopened(&self.path, &error.to_string()))),
        };
        let access = match self.read_only {
            true => OpenFlags::SQLITE_OPEN_READ_ONLY,
            false => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let raise = |error| driver_error(error, &self.path, self.deadline);
        let mut connection = rusqlite::Connection::open_with_flags(&self.path, flags).map_err(raise)?;
        connection.busy_timeout(self.deadline).map_err(raise)?;
        if !self.read_only {
            keep_log(&connection).map_err(raise)?;
        }
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
            read_only: self.read_only,
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
            let is_unopened = error.sqlite_error_code() == Some(ErrorCode::CannotOpen);
            match driver_error(error, &self.path, self.deadline) {
                DriverError::Lost(_) if is_unopened && fs::File::open(&self.path).is_ok() => {
                    DriverError::Lost(format!(
                        "{said}: a user with read permission only also needs to read the files {0}-wal and {0}-shm; \
                     `mailauth check`, run by a user that may write, creates them",
                        self.place
                    ))
                }
                other => other,
            }
        })
    }
}

/// Makes the last connection to close keep the write-ahead log and its index, both emptied: a user that may only read
/// the database cannot create them.
pub(in crate::store) fn keep_log(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
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
