//! The tables of the file, and selections of their rows.

use super::original::{CopiedRow, Value};
use crate::schema::Field;
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use sha2::{Digest, Sha256};

/// A table of the file.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) name: &'static str,
    pub(super) columns: &'static [&'static str],
    /// Number of columns, from the first on, that are the key.
    pub(super) key: usize,
    /// True if rows are also found by their domain.
    pub(super) of_domain: bool,
}

/// The fields that are read, with the domain in place of the domain's state.
const ACCOUNT: [&str; Field::READ.len()] = {
    let (mut names, mut index) = ([""; Field::READ.len()], 0);
    while index < names.len() {
        names[index] = match Field::READ[index] {
            Field::DomainEnabled => Field::Domain.name(),
            field => field.name(),
        };
        index += 1;
    }
    names
};

pub(super) const ACCOUNTS: Layout = Layout { name: "accounts", columns: &ACCOUNT, key: 1, of_domain: true };
pub(super) const DOMAINS: Layout = Layout {
    name: "domains",
    columns: &["name", "enabled", "quota_bytes", "quota_messages", "backup"],
    key: 1,
    of_domain: false,
};
pub(super) const ALIASES: Layout =
    Layout { name: "aliases", columns: &["address", "target", "position", "domain"], key: 2, of_domain: true };
pub(super) const ALIAS_DOMAINS: Layout =
    Layout { name: "alias_domains", columns: &["name", "target", "enabled"], key: 1, of_domain: false };
pub(super) const ALL: [Layout; 4] = [DOMAINS, ALIAS_DOMAINS, ALIASES, ACCOUNTS];

/// One of two sets of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The set that answers.
    Used,
    /// A set that is being filled from another database, and replaces the first when it is complete.
    Next,
}

impl Side {
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Side::Used => "",
            Side::Next => "_next",
        }
    }
}

/// Adjacent rows of a table.
#[derive(Clone, Copy)]
pub(super) enum Range<'a> {
    /// The rows whose key begins with this value.
    Of(&'a [u8]),
    /// The rows whose keys are after `after` and not after `last`. An empty bound is no limit. If `domain` is
    /// given, only its rows.
    Between { domain: Option<&'a [u8]>, after: &'a [&'a [u8]], last: &'a [&'a [u8]] },
}

impl<'a> Range<'a> {
    /// Returns the range as an SQL condition, and its parameters.
    pub(super) fn condition(&self, layout: &Layout) -> (String, Vec<Text<'a>>) {
        match *self {
            Range::Of(key) => (format!("{} = ?", layout.columns[0]), vec![Text(key)]),
            Range::Between { domain, after, last } => {
                let keys = layout.columns[..layout.key].join(", ");
                let mut condition = domain.map_or("1", |_| "domain = ?").to_owned();
                for (sign, key) in [(">", after), ("<=", last)] {
                    if !key.is_empty() {
                        condition += &format!(" AND ({keys}) {sign} ({})", vec!["?"; key.len()].join(", "));
                    }
                }
                (condition, domain.iter().chain(after).chain(last).map(|part| Text(part)).collect())
            }
        }
    }
}

/// Returns the checksum that is stored with a row's values, so that damage is detected.
pub(super) fn checksum(row: &[Value]) -> i64 {
    let mut hash = Sha256::new();
    for value in row {
        match value {
            Value::Null => hash.update([0]),
            Value::Int(number) => hash.update([&[1][..], &number.to_le_bytes()].concat()),
            Value::Text(text) => {
                hash.update([2]);
                hash.update((text.expose().len() as u64).to_le_bytes());
                hash.update(text.expose());
            }
            Value::Other => hash.update([3]),
        }
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    i64::from_le_bytes(first)
}

/// Returns the values of a row and the checksum stored after them.
pub(super) fn read(row: &rusqlite::Row<'_>, layout: &Layout) -> (CopiedRow, Value) {
    let count = layout.columns.len();
    ((0..count).map(|index| Value::of(row, index)).collect(), Value::of(row, count))
}

pub(super) fn key<'a>(row: &'a [Value], layout: &Layout) -> Vec<&'a [u8]> {
    row.iter().take(layout.key).map(Value::bytes).collect()
}

/// A text of any bytes.
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.expose()),
            // No column may hold a fraction.
            Value::Other => ValueRef::Real(0.5),
        }))
    }
}
