//! Pages of another program's rows in the form in which the snapshot stores them.

use super::listing::{ListedRow, MOST_TARGETS_LISTED};
use super::{ACCOUNTS, ALIAS_DOMAINS, ALIASES, DOMAINS, Foreign};
use crate::Secret;
use crate::store::Cursor;
use crate::store::driver::{Cell, Connection, DriverError, Row};
use crate::store::snapshot::{CopiedRow, ListedPage, Section, Value, copied_account, copied_unusable};

/// Text in place of a value that cannot be used. It is neither an address nor the name of a domain.
const UNUSABLE: &[u8] = b"?";

/// Index of the name in a listed row, and of the other column.
const NAME: usize = 0;
const VALUE: usize = 1;

impl Foreign {
    /// Reads a page of rows in the form of copied rows. Rows that no question can find are left out, and a row that
    /// cannot be used is one that cannot be used in the copy either.
    pub fn copied(
        &self,
        connection: &mut dyn Connection,
        section: Section,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<ListedPage, DriverError> {
        let (list, convert): (_, fn(&Self, &ListedRow<'_>) -> Option<CopiedRow>) = match section {
            Section::Domains => (DOMAINS, |_, listed| domain(listed.row)),
            Section::AliasDomains => (ALIAS_DOMAINS, |_, listed| alias_domain(listed.row)),
            Section::Aliases => (ALIASES, |_, listed| alias(listed)),
            Section::Accounts => (ACCOUNTS, |foreign, listed| match foreign.account(listed) {
                Ok(account) => Some(copied_account(&account)),
                Err(unusable) => copied_unusable(&unusable),
            }),
        };
        let mut rows = Vec::new();
        let next = self.list(connection, list, after, limit, &mut |listed| {
            if listed.is_found {
                rows.extend(convert(self, &listed));
            }
        })?;
        Ok(ListedPage { rows, next })
    }
}

fn domain(row: &dyn Row) -> Option<CopiedRow> {
    Some(vec![text(row, NAME)?, Value::of(row, VALUE), Value::Null, Value::Null, Value::Int(0)])
}

fn alias_domain(row: &dyn Row) -> Option<CopiedRow> {
    let target = text(row, VALUE).unwrap_or_else(|| Value::Text(Secret::from(UNUSABLE)));
    Some(vec![text(row, NAME)?, target, Value::Int(1)])
}

/// Returns the copied row of an alias, with all targets of its row in one value.
fn alias(listed: &ListedRow<'_>) -> Option<CopiedRow> {
    let address = text(listed.row, NAME)?;
    let targets = match listed.row.cell(VALUE) {
        Cell::Null => Secret::from(""),
        Cell::Text(targets) if targets.len() <= MOST_TARGETS_LISTED => Secret::from(targets),
        Cell::Text(_) | Cell::Int(_) | Cell::Other => Secret::from(UNUSABLE),
    };
    let domain = Secret::from(address.bytes().rsplit(|byte| *byte == b'@').next().unwrap_or_default());
    Some(vec![address, Value::Text(targets), Value::Int(listed.position), Value::Text(domain)])
}

/// Returns a text; `None` for any other value, which no question asks about.
fn text(row: &dyn Row, index: usize) -> Option<Value> {
    match row.cell(index) {
        Cell::Text(text) => Some(Value::Text(Secret::from(text))),
        _ => None,
    }
}
