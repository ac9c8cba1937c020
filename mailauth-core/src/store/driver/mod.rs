//! The interface of a database driver, and a folder for each database that implements it.
//!
//! Adding a database takes these steps:
//!
//! 1. a folder here that implements [`Driver`] and [`Connection`] and has its [`Dialect`];
//! 2. its schema in `schema/NAME.sql`, which the dialect includes, and for a database with users the privileges of the
//!    roles in `schema/grants.NAME.sql`, and a file in [`rights`] that compares a user's privileges with those needed;
//! 3. a variant of [`DatabaseUrl`](crate::config::DatabaseUrl), its properties in the methods of that type, and the
//!    schemes of its URL in `config/url.rs`;
//! 4. an arm in [`crate::store::open`];
//! 5. a cargo feature in `mailauth-core/Cargo.toml`, and its name in the `cfg` attributes of `store/` that list the
//!    databases;
//! 6. a `Kind` in `mailauth-tests`, which runs the tests of stores against it;
//! 7. its section in `docs/databases.md`, and its URL in `mailauth.toml`.
//!
//! The compiler names the methods of step 3, but not the parser of URLs; without step 4 the program says that it was
//! built without the database. Nothing else names a database, apart from the snapshot, which is a file of SQLite.

// A program that is built without one of the databases does not use everything here.
#![cfg_attr(not(all(feature = "sqlite", feature = "mysql", feature = "postgres")), allow(dead_code))]

pub(super) mod access;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(super) mod connect;
mod dialect;
#[cfg(test)]
pub(super) mod fake;
#[cfg(feature = "mysql")]
pub(super) mod mysql;
pub(super) mod panic_guard;
#[cfg(feature = "postgres")]
pub(super) mod postgres;
pub(super) mod rights;
#[cfg(feature = "sqlite")]
pub(super) mod sqlite;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod tls;

pub use access::Access;
pub(crate) use access::Plan;
pub(crate) use dialect::Dialect;
pub(crate) use rights::{Delivery, Needs, Rights};

use crate::store::administration::CharacterSet;
use std::time::Duration;

/// A parameter of a statement. Text is passed as bytes; the database checks its encoding.
#[derive(Clone, Copy)]
pub(crate) enum Param<'a> {
    Null,
    Int(i64),
    Text(&'a [u8]),
}

impl<'a> Param<'a> {
    /// Creates a text parameter, or NULL for `None`.
    pub(crate) fn text(value: Option<&'a str>) -> Self {
        value.map_or(Param::Null, |text| Param::Text(text.as_bytes()))
    }
}

/// A value read from the database.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Int(i64),
    Text(&'a [u8]),
    /// A value of a type that no field has: a fraction, a date, an integer beyond 64 bits.
    Other,
}

/// A row of a result.
pub(crate) trait Row {
    /// Returns the value at `index`, counted from 0; [`Cell::Other`] beyond the last column.
    fn cell(&self, index: usize) -> Cell<'_>;
}

/// A statement that a connection prepares once and caches.
#[derive(Debug)]
pub(crate) struct Statement {
    /// Index in the statement cache of its connection; `None` for a statement that is prepared for a single use.
    pub(crate) slot: Option<usize>,
    /// SQL text, with the placeholders of its database.
    pub(crate) sql: String,
}

/// Error of a driver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DriverError {
    /// There is no connection, or it broke. It is unknown whether a statement that was running took effect.
    #[error("{0}")]
    Lost(String),
    /// The server is up but accepts no further connections for now; existing ones may go on.
    #[error("{0}")]
    Full(String),
    /// The server is up but rejects our connection: the user, the password, the database, or this host.
    #[error("{0}")]
    Denied(String),
    /// The deadline passed.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The server aborted a statement before our deadline, on a connection that works. The text names the setting that
    /// made it do so.
    #[error("{0}")]
    Cancelled(String),
    /// The host did not receive in time the changes that other nodes of its cluster have confirmed. It is not at fault,
    /// and other statements on it are not affected.
    #[error("it has not caught up with its cluster within {} ms", .0.as_millis())]
    Behind(Duration),
    /// The database refused a statement, on a connection that works.
    #[error("{reason}")]
    Refused { kind: Refusal, reason: String },
    /// The schema is missing or of another version. The text is a sentence that says what to do.
    #[error("{0}")]
    Schema(String),
}

impl DriverError {
    /// Returns true if the server answered that it accepts no new connection.
    pub(crate) fn is_refused_connection(&self) -> bool {
        matches!(self, DriverError::Full(_) | DriverError::Denied(_))
    }
}

/// Kinds of refusals that callers can react to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A row with this key exists already.
    Duplicate,
    /// A row that this one references is missing, or another row still references this one.
    Reference,
    /// A parameter has a character that the database's character set lacks, so that no row can hold it.
    #[cfg_attr(not(any(feature = "mysql", feature = "postgres")), expect(dead_code))]
    Unstorable,
    /// There is no table of this name.
    NoTable,
    /// A table has no column of this name.
    NoColumn,
    /// The user lacks the privilege.
    Forbidden,
    /// A domain of another kind exists; the reason says which kind.
    Unfit,
    /// The transaction was rolled back because of a conflict with another one. Retrying may succeed at once.
    Conflict,
    /// The server no longer has the prepared statement, or its tables have changed.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code))]
    Stale,
    Other,
}

/// A connection to a database. After an error that leaves its state unknown, [`Connection::is_broken`] stays true.
pub(crate) trait Connection: Send {
    /// Runs a statement and calls `each` with each row of its result. A parameter that no row can hold matches no row.
    fn query(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row),
    ) -> Result<(), DriverError>;

    /// Runs a statement without a result; returns the number of rows that it matched.
    fn execute(&mut self, statement: &Statement, params: &[Param<'_>]) -> Result<u64, DriverError>;

    /// Runs statements of this program, separated by semicolons, that have neither parameters nor results.
    fn batch(&mut self, sql: &str) -> Result<(), DriverError>;

    /// Checks that the server still answers.
    fn ping(&mut self) -> Result<(), DriverError>;

    /// Asks the host for its current role. Fails if the host accepted the connection but cannot be used for anything.
    fn role(&mut self) -> Result<ServerRole, DriverError>;

    /// Waits until the host has every change that any node confirmed before; fails with [`DriverError::Behind`] if that
    /// takes too long. Only multi-primary clusters have something to wait for.
    fn catch_up(&mut self) -> Result<(), DriverError> {
        Ok(())
    }

    /// Returns true if this connection must not be used again.
    fn is_broken(&self) -> bool;

    /// Returns the server's product name and version, and the TLS protocol and cipher if the connection is encrypted.
    fn server(&mut self) -> Result<(String, Option<String>), DriverError>;

    /// Returns how the server proved its identity; `None` if it did not, or if the database is a file.
    fn authenticated_by(&self) -> Option<String> {
        None
    }

    /// Returns the character set of the database, as far as it limits what these tables can hold.
    fn character_set(&mut self, tables: &[String]) -> Result<CharacterSet, DriverError> {
        let _ = tables;
        Ok(CharacterSet::default())
    }

    /// Returns how a statement that only reads would be run with these parameters. An index that serves counts as used,
    /// also if the table is small enough to be read whole.
    fn explain(&mut self, statement: &Statement, params: &[Param<'_>]) -> Result<Plan, DriverError>;

    /// Compares the privileges of the user with `needs`: those that are too wide, and those that are missing.
    fn rights(&mut self, needs: &Needs) -> Result<Rights, DriverError>;

    /// Returns those of the `wanted` privileges, each on a whole table, that the user lacks, as `SELECT on accounts`.
    /// In a database without users none is missing.
    fn lacks(&mut self, _wanted: &[(&str, &str)]) -> Result<Vec<String>, DriverError> {
        Ok(Vec::new())
    }
}

/// The role of a host, as the host itself reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerRole {
    /// The host can be read and written.
    Primary,
    /// The host can only be read.
    Replica,
}

/// Makes connections to one database host.
pub(crate) trait Driver: Send + Sync {
    /// Returns the name of the host or database for messages, without its password.
    fn place(&self) -> &str;

    /// Returns the name of the server under which connection attempts of all pools of this process are limited
    /// together; `None` if each pool limits its own.
    fn server_name(&self) -> Option<&str> {
        None
    }

    /// Returns the SQL dialect of the database.
    fn dialect(&self) -> &'static Dialect;

    /// Connects within the deadline.
    fn connect(&self) -> Result<Box<dyn Connection>, DriverError>;

    /// Creates the database that [`Driver::connect`] opens, if it is a file.
    fn create(&self) -> Result<(), DriverError> {
        Ok(())
    }
}
