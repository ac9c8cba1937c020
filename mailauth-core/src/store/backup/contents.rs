//! Examination of a database: whether it is whole and mailauth's, and what it contains.

use super::{BackupError, INSTRUCTIONS, explained, open};
use crate::schema::TableModel;
use crate::store::driver::sqlite::DIALECT;
use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;

/// What a database contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Version of the tables.
    pub version: u32,
    /// Number of domains.
    pub domains: u64,
    /// Number of accounts.
    pub accounts: u64,
    /// Number of pairs of an alias and a target.
    pub aliases: u64,
}

/// Examines all of a database that no other process uses.
///
/// # Errors
/// Fails if it is damaged, is not mailauth's, or is of a newer version than this program knows.
pub fn examine(path: &Path, is_interrupted: fn() -> bool) -> Result<Contents, BackupError> {
    let mut connection = open(path, Duration::ZERO)?;
    let of_file = |error| explained(&error, path);
    connection.progress_handler(INSTRUCTIONS, Some(is_interrupted)).map_err(of_file)?;
    let shown = path.display();
    let model = TableModel::own();
    let tables = [&model.versions.table, &model.domains.table, &model.accounts.table, &model.aliases.table];
    for table in tables {
        let sql = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = ?";
        let count: i64 = connection.query_row(sql, [table], |row| row.get(0)).map_err(of_file)?;
        if count == 0 {
            return Err(BackupError::Unfit(format!("{shown} is not a database of mailauth: it has no table {table}")));
        }
    }
    let first_fault: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(of_file)?;
    if first_fault != "ok" {
        return Err(BackupError::Unfit(format!("{shown} is damaged: {first_fault}")));
    }
    let version = number(&connection, &format!("MAX({})", model.versions.version), &model.versions.table);
    let version = u32::try_from(version.map_err(of_file)?).unwrap_or(0);
    let known = known_version();
    if version > known {
        return Err(BackupError::Unfit(format!(
            "the tables in {shown} are of version {version}, and this program supports {known} at most: install a newer one"
        )));
    }
    let count = |table: &str| number(&connection, "COUNT(*)", table).map_err(of_file);
    Ok(Contents {
        version,
        domains: count(&model.domains.table)?,
        accounts: count(&model.accounts.table)?,
        aliases: count(&model.aliases.table)?,
    })
}

/// Returns the version of the tables that this program knows.
pub(super) fn known_version() -> u32 {
    u32::try_from(DIALECT.migrations.len()).map_or(1, |migrations| migrations + 1)
}

fn number(connection: &Connection, what: &str, table: &str) -> rusqlite::Result<u64> {
    let number: Option<i64> = connection.query_row(&format!("SELECT {what} FROM {table}"), [], |row| row.get(0))?;
    Ok(number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0))
}
