//! The columns of the rows that statements return, apart from those of accounts, which are [`Field`]s.
//!
//! [`Field`]: crate::schema::Field

use crate::store::driver::{Cell, Row};

/// Defines a list of columns. Statements select them in the order of the list, and rows are read by their names.
macro_rules! columns {
    ($($(#[$doc:meta])* $name:ident { $($column:ident),* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(in crate::store) enum $name {
            $($column),*
        }

        impl $name {
            /// The columns in their order.
            const ALL: &[Self] = &[$(Self::$column),*];

            /// Number of columns.
            pub(in crate::store) const COUNT: usize = Self::ALL.len();

            /// Returns the list of columns that a statement selects, of which `sql` writes each.
            pub(in crate::store) fn select<S: ToString>(sql: impl Fn(Self) -> S) -> String {
                Self::select_first(Self::COUNT, sql)
            }

            /// Returns the list of the first `count` columns.
            pub(in crate::store) fn select_first<S: ToString>(count: usize, sql: impl Fn(Self) -> S) -> String {
                let columns = Self::ALL.iter().take(count);
                columns.map(|column| sql(*column).to_string()).collect::<Vec<_>>().join(", ")
            }
        }

        impl Column for $name {
            fn index(self) -> usize {
                self as usize
            }
        }
    )*};
}

/// A column of a row that a statement returns.
pub(in crate::store) trait Column: Copy {
    /// Returns the index of the column in the row.
    fn index(self) -> usize;

    /// Returns the bytes of a text, or nothing for any other value.
    fn bytes(self, row: &dyn Row) -> Vec<u8> {
        bytes(row, self.index())
    }

    /// Reads a whole number.
    fn number(self, row: &dyn Row) -> Option<i64> {
        number(row, self.index())
    }

    /// Reads a whole number that is not negative.
    fn amount(self, row: &dyn Row) -> Option<u64> {
        self.number(row).and_then(|number| u64::try_from(number).ok())
    }

    /// Returns true if the value is the text `wanted`, byte for byte.
    fn is_text(self, row: &dyn Row, wanted: &[u8]) -> bool {
        is_text(row, self.index(), wanted)
    }
}

columns! {
    /// Columns of a domain. Statements that do not need its description leave that out.
    DomainColumn { Name, Enabled, QuotaBytes, QuotaMessages, Backup, Description }

    /// Columns of a domain or an alias domain, as mail is decided by them.
    StandingColumn { Name, Enabled, Backup, Target, IsAlias }

    /// Columns of one target of an alias.
    AliasColumn { Address, Target, Position }

    /// Columns of an alias domain.
    AliasDomainColumn { Name, Target, Enabled }

    /// Columns of the usage that a mailbox published.
    UseColumn { Login, Bytes, Messages }

    /// Columns of a domain's usage.
    SumColumn { Bytes, Messages, Mailboxes }

    /// Columns of a domain's quota.
    QuotaColumn { Bytes, Messages }
}

impl DomainColumn {
    /// Number of columns before the description.
    pub(in crate::store) const WITHOUT_DESCRIPTION: usize = DomainColumn::Description as usize;
}

/// Returns true if the value is the text `wanted`, byte for byte.
pub(in crate::store) fn is_text(row: &dyn Row, index: usize, wanted: &[u8]) -> bool {
    matches!(row.cell(index), Cell::Text(bytes) if bytes == wanted)
}

/// Returns the bytes of a text, or nothing for any other value.
pub(in crate::store) fn bytes(row: &dyn Row, index: usize) -> Vec<u8> {
    match row.cell(index) {
        Cell::Text(bytes) => bytes.to_vec(),
        _ => Vec::new(),
    }
}

/// A value that is not a whole number.
pub(in crate::store) struct NotWhole;

/// Reads a whole number, also if it is stored as text. An empty text is as good as NULL.
pub(in crate::store) fn number_or_text(cell: Cell<'_>) -> Result<Option<i64>, NotWhole> {
    match cell {
        Cell::Null | Cell::Text(b"") => Ok(None),
        Cell::Int(number) => Ok(Some(number)),
        Cell::Text(bytes) => {
            std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).map(Some).ok_or(NotWhole)
        }
        Cell::Other => Err(NotWhole),
    }
}

/// Reads a whole number.
pub(in crate::store) fn number(row: &dyn Row, index: usize) -> Option<i64> {
    match row.cell(index) {
        Cell::Int(number) => Some(number),
        _ => None,
    }
}
