//! The plans of MySQL and MariaDB: the rows of `EXPLAIN`.

use crate::store::driver::access::{Access, FEW_SORTED, Plan};
use crate::store::driver::{Cell, Row};

/// Indexes of the columns that are read.
struct Columns {
    table: usize,
    kind: usize,
    possible: usize,
    key: usize,
    rows: usize,
    extra: usize,
}

const MARIADB: Columns = Columns { table: 2, kind: 3, possible: 4, key: 5, rows: 8, extra: 9 };
const MYSQL: Columns = Columns { table: 2, kind: 4, possible: 5, key: 6, rows: 9, extra: 11 };

/// Adds a row, which describes one table.
pub(super) fn add_row(plan: &mut Plan, row: &dyn Row) {
    // MariaDB has ten columns; MySQL has twelve, with the partitions and the share of rows that remain.
    let columns = if matches!(row.cell(MYSQL.extra), Cell::Other) { MARIADB } else { MYSQL };
    let text = |index| match row.cell(index) {
        Cell::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    };
    let table = text(columns.table);
    // Results of subqueries are named such as `<derived2>`. There is no name if no table has to be read, as for a value
    // that a unique index lacks.
    if table.is_empty() || table.starts_with('<') {
        return;
    }
    let (kind, possible, key) = (text(columns.kind), text(columns.possible), text(columns.key));
    let rows = match row.cell(columns.rows) {
        Cell::Int(rows) => rows,
        _ => 0,
    };
    plan.sorts |= text(columns.extra).contains("Using filesort") && rows > FEW_SORTED;
    let first = |names: &str| names.split(',').next().unwrap_or_default().to_owned();
    let access = match kind.as_str() {
        // A small table is read whole even if an index would serve.
        "ALL" | "index" if !possible.is_empty() => Access::Index(first(&possible)),
        "index" => Access::InOrder(key),
        "ALL" => Access::Scan,
        _ => Access::Index(key),
    };
    plan.add(&table, access);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of texts, of which an empty one is NULL, and of one number.
    struct Texts(Vec<&'static str>);

    impl Row for Texts {
        fn cell(&self, index: usize) -> Cell<'_> {
            match self.0.get(index) {
                None => Cell::Other,
                Some(&"") => Cell::Null,
                Some(text) if index + 3 >= self.0.len() && text.bytes().all(|b| b.is_ascii_digit()) => {
                    Cell::Int(text.parse().unwrap())
                }
                Some(text) => Cell::Text(text.as_bytes()),
            }
        }
    }

    fn plan(rows: &[&[&'static str]]) -> Plan {
        let mut plan = Plan::default();
        rows.iter().for_each(|row| add_row(&mut plan, &Texts(row.to_vec())));
        plan
    }

    #[test]
    fn both_products_are_read() {
        let mariadb = plan(&[
            &["1", "SIMPLE", "m", "const", "PRIMARY", "PRIMARY", "767", "const", "1", ""],
            &["1", "SIMPLE", "a", "ALL", "", "", "", "", "9000", "Using where; Using filesort"],
        ]);
        let mysql = plan(&[
            &["1", "SIMPLE", "m", "", "const", "PRIMARY", "PRIMARY", "767", "const", "1", "100.00", ""],
            &["1", "SIMPLE", "a", "", "ALL", "", "", "", "", "9000", "100.00", "Using where; Using filesort"],
        ]);
        assert_eq!(mariadb, mysql);
        let mut expected = Plan { sorts: true, ..Plan::default() };
        expected.add("m", Access::Index("PRIMARY".to_owned()));
        expected.add("a", Access::Scan);
        assert_eq!(mariadb, expected);
    }

    #[test]
    fn a_small_table_is_not_called_without_an_index() {
        let found = plan(&[
            &["1", "SIMPLE", "d", "ALL", "PRIMARY,domain", "", "", "", "2", "Using where; Using filesort"],
            &["1", "SIMPLE", "m", "index", "", "PRIMARY", "767", "", "9", ""],
            &["1", "SIMPLE", "", "", "", "", "", "", "", "Impossible WHERE"],
            &["2", "UNION RESULT", "<union1,2>", "ALL", "", "", "", "", "", ""],
        ]);
        assert!(!found.sorts);
        let accesses: Vec<_> = found.tables.into_iter().map(|table| table.access).collect();
        assert_eq!(accesses, [Access::Index("PRIMARY".to_owned()), Access::InOrder("PRIMARY".to_owned())]);
    }
}
