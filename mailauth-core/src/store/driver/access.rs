//! How a database finds the rows of a statement.

/// Number of rows up to which sorting does not count: for so few, databases prefer it to an index in the right order.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(super) const FEW_SORTED: i64 = 1000;

/// The way in which a statement would be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The tables that are read, in the order of the database.
    pub tables: Vec<TableAccess>,
    /// True if many rows are sorted before the first of them is returned.
    pub sorts: bool,
}

/// How a statement finds the rows of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableAccess {
    /// Name that the statement gives the table.
    pub table: String,
    /// How its rows are found.
    pub access: Access,
}

/// How rows of a table are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// By values that this index is searched for.
    Index(String),
    /// In the order of this index, from its beginning.
    InOrder(String),
    /// By reading all of them.
    Scan,
}

impl Plan {
    /// Adds a table.
    pub(super) fn add(&mut self, table: &str, access: Access) {
        self.tables.push(TableAccess { table: table.to_owned(), access });
    }
}
