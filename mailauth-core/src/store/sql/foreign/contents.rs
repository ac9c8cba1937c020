//! Lists of another program's accounts, domains, alias domains and aliases, for commands and for the copy.

use super::domains::flag;
use super::listing::ListedRow;
use super::targets::ForeignTargets;
use super::{ALIAS_DOMAINS, ALIASES, DOMAINS, Foreign};
use crate::store::administration::{AliasDomainRow, AliasRow, DomainRow};
use crate::store::driver::{Cell, Connection, DriverError, Row};
use crate::store::sql::SqlStore;
use crate::store::{Cursor, Page, StoreError};
use std::ops::ControlFlow;

/// Maximum number of pages that a list of one domain's accounts reads for one page of its own.
const MOST_PAGES: usize = 10;

/// Index of the name in a listed row, and of the other column.
const NAME: usize = 0;
const VALUE: usize = 1;

impl Foreign {
    /// Reads a page of the accounts of one domain: a part of the list of all accounts, which may have none.
    pub fn accounts_of(
        &self,
        connection: &mut dyn Connection,
        domain: &str,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, DriverError> {
        let (mut rows, mut next) = (Vec::new(), after.cloned());
        for _ in 0..MOST_PAGES {
            let page = self.accounts(connection, next.as_ref(), limit)?;
            rows.extend(page.rows.into_iter().filter(|row| match row {
                Ok(row) => row.login.domain() == domain,
                Err(unusable) => unusable.login.rsplit('@').next() == Some(domain),
            }));
            next = page.next;
            if next.is_none() || !rows.is_empty() {
                break;
            }
        }
        Ok(Page { rows, next })
    }

    /// Reads a page of domains.
    pub fn domains(
        &self,
        connection: &mut dyn Connection,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<DomainRow, StoreError>, DriverError> {
        let mut rows = Vec::new();
        let next = self.list(connection, DOMAINS, after, limit, &mut |listed| {
            rows.push(name(&listed, "name").and_then(|name| {
                let enabled = flag(listed.row).ok_or_else(|| unusable(&name, "enabled", "is neither 0 nor 1"))?;
                Ok(DomainRow { enabled, ..DomainRow::new(name) })
            }));
        })?;
        Ok(Page { rows, next })
    }

    /// Reads a page of alias domains.
    pub fn alias_domains(
        &self,
        connection: &mut dyn Connection,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<AliasDomainRow, StoreError>, DriverError> {
        let mut rows = Vec::new();
        let next = self.list(connection, ALIAS_DOMAINS, after, limit, &mut |listed| {
            rows.push(name(&listed, "name").and_then(|name| match text(&listed, VALUE) {
                Some(target) => Ok(AliasDomainRow { name, target, enabled: true }),
                None => Err(unusable(&name, "target", "is not text")),
            }));
        })?;
        Ok(Page { rows, next })
    }

    /// Reads a page of aliases, of all domains or of one. Adjacent rows of one address become one alias, and addresses
    /// that lead only to themselves are left out.
    pub fn aliases(
        &self,
        connection: &mut dyn Connection,
        domain: Option<&str>,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<AliasRow, StoreError>, DriverError> {
        let mut rows = Vec::new();
        let next = self.list(connection, ALIASES, after, limit, &mut |listed| match name(&listed, "address") {
            Ok(address) if domain.is_some_and(|domain| address.rsplit('@').next() != Some(domain)) => {}
            Ok(address) => rows.push(Ok((address, Value::of(listed.row, VALUE)))),
            Err(error) => rows.push(Err(error)),
        })?;
        let of_one = |one: &Listed, two: &Listed| match (one, two) {
            (Ok((one, _)), Ok((two, _))) => one == two,
            _ => false,
        };
        Ok(Page { rows: rows.chunk_by(of_one).filter_map(|rows| self.alias(rows)).collect(), next })
    }

    /// Returns the alias in rows of the same address.
    fn alias(&self, rows: &[Listed]) -> Option<Result<AliasRow, StoreError>> {
        let address = match rows.first()? {
            Ok((address, _)) => address.clone(),
            Err(error) => return Some(Err(error.clone())),
        };
        let mut targets = ForeignTargets::new(&address, &self.model);
        rows.iter().flatten().for_each(|(_, value)| targets.add_value(value.cell()));
        match targets.usable() {
            Ok(targets) if targets.is_empty() => None,
            Ok(targets) => Some(Ok(AliasRow { address, targets })),
            Err(error) => Some(Err(error)),
        }
    }
}

/// Address and targets of a listed row.
type Listed = Result<(String, Value), StoreError>;

/// A value of a listed row.
enum Value {
    Null,
    Text(Vec<u8>),
    Other,
}

impl Value {
    fn of(row: &dyn Row, index: usize) -> Self {
        match row.cell(index) {
            Cell::Null => Value::Null,
            Cell::Text(text) => Value::Text(text.to_vec()),
            Cell::Int(_) | Cell::Other => Value::Other,
        }
    }

    fn cell(&self) -> Cell<'_> {
        match self {
            Value::Null => Cell::Null,
            Value::Text(text) => Cell::Text(text),
            Value::Other => Cell::Other,
        }
    }
}

/// Returns the name or address in a listed row.
fn name(listed: &ListedRow<'_>, column: &'static str) -> Result<String, StoreError> {
    match text(listed, NAME) {
        Some(name) if listed.is_found => Ok(name),
        Some(name) => Err(unusable(&name, column, "is not in lower case, so the database does not find it")),
        None => Err(unusable("", column, "is not text")),
    }
}

fn text(listed: &ListedRow<'_>, index: usize) -> Option<String> {
    match listed.row.cell(index) {
        Cell::Text(text) => std::str::from_utf8(text).ok().map(str::to_owned),
        _ => None,
    }
}

fn unusable(domain: &str, column: &'static str, problem: &'static str) -> StoreError {
    StoreError::UnusableDomain { domain: domain.escape_debug().to_string(), column, problem }
}

impl SqlStore {
    /// Passes all aliases of another program, or those of one domain, to `each`.
    pub(in crate::store::sql) fn each_foreign_alias(
        &self,
        foreign: &Foreign,
        domain: Option<&str>,
        limit: usize,
        each: &mut dyn FnMut(Result<AliasRow, StoreError>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.hosts.read(|connection| foreign.aliases(connection, domain, after.as_ref(), limit))?;
            if page.rows.into_iter().try_for_each(&mut *each).is_break() {
                return Ok(());
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }
}
