//! What is said about the plan of a statement.

use mailauth_core::store::{Access, StatementPlan, TablePlan};

/// Maximum number of characters of the name of an index; PostgreSQL permits 63.
const MOST: usize = 60;

/// What is said about a list that is sorted for each page.
pub const SORTS: &str =
    "sorts all rows for each page; set key in that section to the columns of a unique index of the first table";

/// Returns what is said about a statement: a sentence for each table, and one if it sorts all rows for each page.
pub fn sentences(plan: &StatementPlan) -> Vec<String> {
    let tables = plan.tables.iter().map(sentence);
    tables.chain(plan.sorts_pages().then(|| SORTS.to_owned())).collect()
}

/// Returns how the rows of a table are found, and the index that would help if all of them are read.
pub fn sentence(plan: &TablePlan) -> String {
    let TablePlan { table, access, rows, .. } = plan;
    match access {
        Access::Index(index) => format!("uses the index {index} of {table}"),
        Access::InOrder(index) => format!("reads {table} in the order of the index {index}"),
        Access::Scan => {
            let count = match rows {
                Some(1) => "the only row".to_owned(),
                Some(rows) => format!("{rows} rows"),
                None => "all rows".to_owned(),
            };
            let advice = match create_index(plan) {
                Some(statement) => format!("an index would help: {statement}"),
                None => "its condition compares no column as it is, so no index can help".to_owned(),
            };
            format!("scans {count} of {table}; {advice}")
        }
    }
}

/// Returns the statement that creates an index for a table that is read whole.
pub fn create_index(TablePlan { table, access, index_on, .. }: &TablePlan) -> Option<String> {
    if *access != Access::Scan || index_on.is_empty() {
        return None;
    }
    let bare = |name: &str| name.rsplit('.').next().unwrap_or(name).replace(['"', '`'], "");
    let name: Vec<String> = [table].into_iter().chain(index_on).map(|name| bare(name)).collect();
    let name: String = name.join("_").chars().filter(|c| c.is_alphanumeric() || *c == '_').take(MOST).collect();
    Some(format!("CREATE INDEX {name} ON {table} ({})", index_on.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(table: &str, rows: Option<u64>, on: &[&str]) -> TablePlan {
        let index_on = on.iter().map(|column| (*column).to_owned()).collect();
        TablePlan { table: table.to_owned(), access: Access::Scan, rows, index_on }
    }

    #[test]
    fn a_scan_names_the_index_that_would_help() {
        assert_eq!(
            sentence(&scan("aliases", Some(7), &["source"])),
            "scans 7 rows of aliases; an index would help: CREATE INDEX aliases_source ON aliases (source)"
        );
        assert_eq!(
            create_index(&scan("mail.\"groups\"", None, &["`name`", "domain_id"])).unwrap(),
            "CREATE INDEX groups_name_domain_id ON mail.\"groups\" (`name`, domain_id)"
        );
        assert!(sentence(&scan("t", None, &[])).contains("no index can help"));
    }

    #[test]
    fn an_index_is_named_with_its_table() {
        let plan = TablePlan { access: Access::Index("PRIMARY".to_owned()), ..scan("mailbox", None, &[]) };
        assert_eq!(sentence(&plan), "uses the index PRIMARY of mailbox");
        assert_eq!(create_index(&plan), None);
    }
}
