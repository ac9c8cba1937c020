//! Reading the role of a domain on this host.

use super::SqlStore;
use super::columns::{Column, StandingColumn};
use super::reading::Reading;
use crate::DomainName;
use crate::store::driver::{Connection, DriverError, Param, Row};
use crate::store::{DomainKind, DomainStanding, StoreError};

impl SqlStore {
    /// Returns what a domain is; `None` if it is not in our tables.
    pub(super) fn standing_of(
        &self,
        reading: Reading,
        name: &DomainName,
    ) -> Result<Option<DomainStanding>, StoreError> {
        let found = self.read_by(reading, |connection| {
            self.ensure_schema(connection)?;
            self.query_standing(connection, name.as_str())
        })?;
        found.transpose()
    }

    /// Returns the same, over an open connection. A domain of our own is never an alias of another one.
    pub(super) fn query_standing(
        &self,
        connection: &mut dyn Connection,
        name: &str,
    ) -> Result<Option<Result<DomainStanding, StoreError>>, DriverError> {
        if let Some(foreign) = &self.foreign {
            return foreign.standing(connection, name);
        }
        let asked = Param::Text(name.as_bytes());
        let mut found = None;
        connection.query(&self.statements.find_domain, &[asked, asked], &mut |row| {
            // A collation may consider other names equal.
            if StandingColumn::Name.is_text(row, name.as_bytes()) && (found.is_none() || !is_alias(row)) {
                found = Some(standing(row, name));
            }
        })?;
        Ok(found)
    }
}

fn is_alias(row: &dyn Row) -> bool {
    StandingColumn::IsAlias.number(row) == Some(1)
}

/// Reads a row of `find_domain`.
fn standing(row: &dyn Row, name: &str) -> Result<DomainStanding, StoreError> {
    let unusable = |column, problem| StoreError::UnusableDomain { domain: name.to_owned(), column, problem };
    let flag = |column: StandingColumn, written| match column.number(row) {
        Some(flag @ (0 | 1)) => Ok(flag == 1),
        _ => Err(unusable(written, "is neither 0 nor 1")),
    };
    let enabled = flag(StandingColumn::Enabled, "enabled")?;
    let kind = if is_alias(row) {
        let target = String::from_utf8(StandingColumn::Target.bytes(row))
            .ok()
            .and_then(|target| DomainName::parse(&target).ok());
        DomainKind::AliasOf(target.ok_or_else(|| unusable("target", "is not the name of a domain"))?)
    } else if flag(StandingColumn::Backup, "backup")? {
        DomainKind::Backup
    } else {
        DomainKind::Own
    };
    Ok(DomainStanding { enabled, kind })
}
