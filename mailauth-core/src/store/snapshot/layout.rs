//! The tables of the file, and which of their rows are meant.

use super::original::{CopiedRow, Value};
use crate::schema::Field;
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use sha2::{Digest, Sha256};

/// One of its tables.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) name: &'static str,
    pub(super) columns: &'static [&'static str],
    /// So many of the first columns are the key.
    pub(super) key: usize,
    /// Rows are found by their domain too.
    pub(super) of_domain: bool,
}

/// The fields that are read, with the domain in the place of what is known of the domain.
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

/// Which of two sets of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The one that answers.
    Used,
    /// One that is being filled from another database, and takes its place when it is whole.
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

/// Rows of a table that are next to each other in it.
#[derive(Clone, Copy)]
pub(super) enum Range<'a> {
    /// Those whose key begins with this.
    Of(&'a [u8]),
    /// Those whose keys are after `after` and not after `last`; neither is a bound where it is empty. Of one domain, where
    /// that is given.
    Between { domain: Option<&'a [u8]>, after: &'a [&'a [u8]], last: &'a [&'a [u8]] },
}

impl<'a> Range<'a> {
    /// As a condition, and its parameters.
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

/// What stands beside a row's values, so that a damaged one is known for it.
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

/// The values of a row and, after them, its checksum.
pub(super) fn read(row: &rusqlite::Row<'_>, layout: &Layout) -> (CopiedRow, Value) {
    let count = layout.columns.len();
    ((0..count).map(|index| Value::of(row, index)).collect(), Value::of(row, count))
}

pub(super) fn key<'a>(row: &'a [Value], layout: &Layout) -> Vec<&'a [u8]> {
    row.iter().take(layout.key).map(Value::bytes).collect()
}

/// Text of any bytes.
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
            // Nothing that a column may hold is a fraction.
            Value::Other => ValueRef::Real(0.5),
        }))
    }
}
