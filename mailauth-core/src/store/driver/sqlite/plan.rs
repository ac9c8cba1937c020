//! The plans of SQLite: the lines of `EXPLAIN QUERY PLAN`.

use crate::store::driver::access::{Access, Plan};

/// Adds a line such as `SEARCH m USING INDEX mailbox_domain (domain=?)`.
pub(super) fn add_line(plan: &mut Plan, line: &str) {
    if line.starts_with("USE TEMP B-TREE FOR ORDER BY") {
        plan.sorts = true;
        return;
    }
    let Some((verb @ ("SCAN" | "SEARCH"), rest)) = line.split_once(' ') else { return };
    let (table, how) = rest.split_once(' ').unwrap_or((rest, ""));
    // Names in brackets are those of subqueries, and `SCAN CONSTANT ROW` reads no table.
    if table.starts_with('(') || how == "ROW" {
        return;
    }
    let access = match (verb, index(how)) {
        // With a first column of any value, all of the index is read in parts.
        ("SEARCH", Some(index)) if !how.contains("(ANY(") => Access::Index(index),
        (_, Some(index)) => Access::InOrder(index),
        // An automatic index is made of all rows for each run of the statement.
        (_, None) => Access::Scan,
    };
    plan.add(table, access);
}

/// Returns the index in the rest of a line; `None` if there is none that lasts.
fn index(how: &str) -> Option<String> {
    let how = how.strip_prefix("USING ")?;
    if how.starts_with("INTEGER PRIMARY KEY") {
        return Some("PRIMARY KEY".to_owned());
    }
    let how = how.strip_prefix("COVERING ").unwrap_or(how);
    let how = how.strip_prefix("INDEX ")?;
    Some(how.rsplit_once(" (").map_or(how, |(name, _)| name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(lines: &[&str]) -> Plan {
        let mut plan = Plan::default();
        lines.iter().for_each(|line| add_line(&mut plan, line));
        plan
    }

    #[test]
    fn a_search_uses_its_index_and_a_scan_none() {
        let found = plan(&[
            "COMPOUND QUERY",
            "SEARCH m USING INDEX sqlite_autoindex_mailbox_1 (username=?)",
            "SEARCH d USING COVERING INDEX d_name (domain=? AND x>?)",
            "SEARCH u USING INTEGER PRIMARY KEY (rowid=?)",
            "SCAN a",
            "SCAN b USING INDEX b_name",
            "SEARCH b USING INDEX b_name (ANY(name) AND active=?)",
            "SEARCH l USING AUTOMATIC COVERING INDEX (domain=?)",
            "SCAN (subquery-1)",
            "SCAN CONSTANT ROW",
            "SCALAR SUBQUERY 2",
        ]);
        let index = |name: &str| Access::Index(name.to_owned());
        let expected = [
            ("m", index("sqlite_autoindex_mailbox_1")),
            ("d", index("d_name")),
            ("u", index("PRIMARY KEY")),
            ("a", Access::Scan),
            ("b", Access::InOrder("b_name".to_owned())),
            ("b", Access::InOrder("b_name".to_owned())),
            ("l", Access::Scan),
        ];
        let found: Vec<_> = found.tables.into_iter().map(|table| (table.table, table.access)).collect();
        assert_eq!(found, expected.map(|(table, access)| (table.to_owned(), access)));
    }

    #[test]
    fn a_temporary_tree_for_the_order_is_a_sort() {
        assert!(plan(&["SCAN a", "USE TEMP B-TREE FOR ORDER BY"]).sorts);
        assert!(!plan(&["SCAN a USING INDEX i", "USE TEMP B-TREE FOR GROUP BY"]).sorts);
    }
}
