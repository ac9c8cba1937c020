//! A connection to an SQLite database.

use super::error::driver_error;
use super::plan;
use crate::store::driver::{Cell, Connection, DriverError, Needs, Param, Plan, Rights, Row, ServerRole, Statement};
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rustix::process::Uid;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Returns what identifies a file independently of its name: device and inode.
pub(super) fn identity(meta: &fs::Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// The deadline of the running statement, shared with the progress handler that SQLite calls.
#[derive(Clone)]
pub(super) struct Clock {
    base: Instant,
    deadline: Duration,
    /// Deadline in microseconds after `base`.
    until: Arc<AtomicU64>,
}

impl Clock {
    pub(super) fn new(deadline: Duration) -> Self {
        Clock { base: Instant::now(), deadline, until: Arc::default() }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn start(&self) {
        let allowed = u64::try_from(self.deadline.as_micros()).unwrap_or(u64::MAX);
        self.until.store(self.elapsed().saturating_add(allowed), Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.elapsed() > self.until.load(Ordering::Relaxed)
    }
}

pub(super) struct SqliteConnection {
    pub(super) connection: rusqlite::Connection,
    pub(super) path: PathBuf,
    pub(super) file: (u64, u64),
    /// Effective user of the process when it opened the file.
    pub(super) opened_as: Uid,
    pub(super) clock: Clock,
    /// True if it was opened so that it refuses changes.
    pub(super) read_only: bool,
    pub(super) broken: bool,
    /// True if it may have changed something.
    pub(super) changed: bool,
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

    fn role(&mut self) -> Result<ServerRole, DriverError> {
        self.start()?;
        let is_replica = !self.read_only && self.connection.is_readonly("main").map_err(|error| self.raise(error))?;
        Ok(if is_replica { ServerRole::Replica } else { ServerRole::Primary })
    }

    fn is_broken(&self) -> bool {
        self.broken
    }

    fn server(&mut self) -> Result<(String, Option<String>), DriverError> {
        Ok((format!("SQLite {}", rusqlite::version()), None))
    }

    fn explain(&mut self, statement: &Statement, params: &[Param<'_>]) -> Result<Plan, DriverError> {
        let mut plan = Plan::default();
        let explain = Statement { slot: None, sql: format!("EXPLAIN QUERY PLAN {}", statement.sql) };
        self.query(&explain, params, &mut |row| {
            if let Cell::Text(line) = row.cell(3) {
                plan::add_line(&mut plan, &String::from_utf8_lossy(line));
            }
        })?;
        Ok(plan)
    }

    fn rights(&mut self, _: &Needs) -> Result<Rights, DriverError> {
        let mut rights = Rights::default();
        if !self.read_only && self.connection.is_readonly("main").map_err(|error| self.raise(error))? {
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
