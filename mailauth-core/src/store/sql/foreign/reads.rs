//! Which tables and columns of another program are read.

use super::Foreign;
use crate::schema::references::{ColumnName, References, bare};
use crate::schema::{Listing, TableColumns};
use crate::store::sql::SqlStore;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// The columns of a table that are read; `None` if not all of them are known.
type Columns = Option<BTreeSet<String>>;

impl SqlStore {
    /// Returns the tables of another program that are read, with the columns of each; without columns, all of them may
    /// be read. None if the tables are our own. Names are as the statements have them.
    pub fn reads(&self) -> Vec<TableColumns> {
        let Some(foreign) = &self.foreign else { return Vec::new() };
        let mut reads: BTreeMap<String, Columns> = BTreeMap::new();
        for sql in foreign.texts() {
            foreign.add_reads(&mut reads, &References::of(&sql));
        }
        let known = |(table, columns): (String, Columns)| TableColumns {
            table,
            columns: columns.unwrap_or_default().into_iter().collect(),
        };
        reads.into_iter().map(known).collect()
    }
}

impl Foreign {
    /// Returns the text of each statement, and that of each list.
    fn texts(&self) -> Vec<String> {
        let model = &self.model;
        let accounts = &model.accounts;
        let mut texts: Vec<_> =
            self.statements.questions().map(|(_, _, question)| question.statement.sql.clone()).collect();
        let mut listed = |columns: &str, from: &str, filter: Option<&String>| {
            let filter = filter.map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
            texts.push(format!("SELECT {columns} FROM {from}{filter}"));
        };
        if !accounts.key.is_empty() {
            listed(&accounts.key.join(", "), &accounts.from, accounts.filter.as_ref());
        }
        let lists: [Option<&Vec<Listing>>; 3] = [
            model.domains.as_ref().and_then(|query| query.list.as_ref()),
            model.aliases.as_ref().and_then(|query| query.list.as_ref()),
            model.alias_domains.as_ref().and_then(|query| query.list.as_ref()),
        ];
        for Listing { from, filter, columns, key } in lists.into_iter().flatten().flatten() {
            let columns: Vec<&str> = columns.iter().chain(key).map(String::as_str).collect();
            listed(&columns.join(", "), from, filter.as_ref());
        }
        texts
    }

    /// Adds what one statement reads.
    fn add_reads(&self, reads: &mut BTreeMap<String, Columns>, references: &References) {
        for named in &references.tables {
            reads.entry(named.table.clone()).or_insert_with(|| Some(BTreeSet::new()));
        }
        for column in &references.columns {
            let tables = match references.table_of(column) {
                Some(table) => vec![table],
                None => self.tables_with(column, references),
            };
            let is_known = !tables.is_empty() && column.column != "*";
            // A column of an unknown table may be of each.
            let all = || references.tables.iter().map(|named| named.table.as_str()).collect();
            for table in if tables.is_empty() { all() } else { tables } {
                let Some(columns) = reads.get_mut(table) else { continue };
                match columns {
                    Some(columns) if is_known => drop(columns.insert(column.column.clone())),
                    _ => *columns = None,
                }
            }
        }
    }

    /// Returns the tables of a statement that have this column, as far as the profile says.
    fn tables_with<'r>(&self, column: &ColumnName, references: &'r References) -> Vec<&'r str> {
        let has = |table: &str| {
            let known = self.model.reads.iter().find(|known| known.table == bare(table));
            known.is_some_and(|known| known.columns.iter().any(|known| known == bare(&column.column)))
        };
        references.tables.iter().map(|named| named.table.as_str()).filter(|table| has(table)).collect()
    }
}
