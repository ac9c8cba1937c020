//! Domains and alias domains of another program.

use super::statements::Name;
use super::{ALIAS_DOMAINS, DOMAINS, Foreign};
use crate::DomainName;
use crate::store::driver::{Cell, Connection, DriverError, Row};
use crate::store::sql::columns::{is_text, number_or_text};
use crate::store::{DomainKind, DomainStanding, StoreError};

/// Index of the name in the rows of both statements, and of the other column.
const NAME: usize = 0;
const VALUE: usize = 1;

/// An answer that the row of one domain may spoil.
type Found<T> = Result<Option<Result<T, StoreError>>, DriverError>;

/// Returns what a domain is. An alias domain may have a row of its own among the domains, which says whether it is
/// enabled.
pub(super) fn standing(foreign: &Foreign, connection: &mut dyn Connection, name: &str) -> Found<DomainStanding> {
    match foreign.alias_standing(connection, name)? {
        Some(Ok((target, enabled))) => Ok(Some(Ok(DomainStanding { enabled, kind: DomainKind::AliasOf(target) }))),
        Some(Err(error)) => Ok(Some(Err(error))),
        None if foreign.statements.domain.is_none() => Ok(Some(Err(foreign.unknown_domain(name)))),
        None => {
            let own = foreign.own_domain(connection, name)?;
            Ok(own.map(|enabled| enabled.map(|enabled| DomainStanding { enabled, kind: DomainKind::Own })))
        }
    }
}

impl Foreign {
    /// Returns the domain that this one is an alias of, and whether the alias domain is enabled.
    pub(super) fn alias_standing(&self, connection: &mut dyn Connection, name: &str) -> Found<(DomainName, bool)> {
        let Some(target) = self.target_of(connection, name)? else { return Ok(None) };
        let enabled = self.own_domain(connection, name)?.unwrap_or(Ok(true));
        Ok(Some(target.and_then(|target| Ok((target, enabled?)))))
    }

    /// Returns the domain in the row of an alias domain. One that leads to itself is none.
    fn target_of(&self, connection: &mut dyn Connection, name: &str) -> Found<DomainName> {
        let Some(question) = &self.statements.alias_domain else { return Ok(None) };
        let mut found: Option<Result<DomainName, &'static str>> = None;
        self.ask(connection, ALIAS_DOMAINS, question, Name::of_domain(name), &mut |row| {
            // A collation may consider other names equal.
            if is_text(row, NAME, name.as_bytes()) {
                found = Some(match (found.take(), target(row)) {
                    (Some(Ok(one)), Ok(other)) if one != other => Err("is in two rows with different targets"),
                    (Some(Err(problem)), _) | (_, Err(problem)) => Err(problem),
                    (_, Ok(target)) => Ok(target),
                });
            }
        })?;
        let found = found.map(|target| target.map_err(|problem| unusable(name, "target", problem)));
        Ok(found.filter(|target| target.as_ref().map_or(true, |target| target.as_str() != name)))
    }

    /// Returns whether a domain is enabled. If several rows have its name, all of them have to be.
    fn own_domain(&self, connection: &mut dyn Connection, name: &str) -> Found<bool> {
        let Some(question) = &self.statements.domain else { return Ok(None) };
        let mut found: Option<Result<bool, StoreError>> = None;
        self.ask(connection, DOMAINS, question, Name::of_domain(name), &mut |row| {
            if is_text(row, NAME, name.as_bytes()) {
                let enabled = flag(row).ok_or_else(|| unusable(name, "enabled", "is neither 0 nor 1"));
                found = Some(match (found.take(), enabled) {
                    (Some(Ok(one)), Ok(other)) => Ok(one && other),
                    (Some(Err(error)), _) | (_, Err(error)) => Err(error),
                    (None, Ok(enabled)) => Ok(enabled),
                });
            }
        })?;
        Ok(found)
    }

    /// Returns the answer about a domain if the tables hold no domains.
    fn unknown_domain(&self, name: &str) -> StoreError {
        StoreError::Schema(format!(
            "the tables of [schema] profile = {:?} hold no domains, so it is not known whether {name} is one of this host; \
             list the domains in [schema] domains",
            self.model.profile
        ))
    }
}

fn unusable(domain: &str, column: &'static str, problem: &'static str) -> StoreError {
    StoreError::UnusableDomain { domain: domain.to_owned(), column, problem }
}

fn target(row: &dyn Row) -> Result<DomainName, &'static str> {
    let Cell::Text(target) = row.cell(VALUE) else { return Err("is not text") };
    let name = std::str::from_utf8(target).ok().and_then(|target| DomainName::parse(target).ok());
    name.ok_or("is not the name of a domain")
}

/// Reads a flag, also if it is stored as text.
pub(super) fn flag(row: &dyn Row) -> Option<bool> {
    match number_or_text(row.cell(VALUE)) {
        Ok(Some(0)) => Some(false),
        Ok(Some(1)) => Some(true),
        _ => None,
    }
}
