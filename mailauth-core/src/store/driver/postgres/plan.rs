//! The plans of PostgreSQL: `EXPLAIN (FORMAT YAML)`, which has a line for each property.

use crate::store::driver::access::{Access, FEW_SORTED, Plan};

/// The plan of a statement, and the conditions by which its indexes are searched.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Explained {
    pub plan: Plan,
    /// For each table of the plan, the condition that its index is searched for; empty if there is none.
    pub conditions: Vec<String>,
}

/// The properties of one step.
#[derive(Default)]
struct Step {
    kind: String,
    relation: String,
    alias: String,
    index: String,
    condition: String,
    rows: i64,
}

/// Reads a plan that was made without scans where an index serves.
pub(super) fn read(yaml: &str) -> Explained {
    let steps = steps(yaml);
    // An incremental sort reads only the rows that have the same first columns.
    let sorts = steps.iter().any(|step| step.kind == "Sort" && step.rows > FEW_SORTED);
    let mut explained = Explained { plan: Plan { sorts, ..Plan::default() }, ..Explained::default() };
    for (place, step) in steps.iter().enumerate().filter(|(_, step)| !step.relation.is_empty()) {
        let searched = match step.kind.as_str() {
            "Index Scan" | "Index Only Scan" => Some(step),
            // The steps below it search the indexes.
            "Bitmap Heap Scan" => steps.iter().skip(place + 1).find(|step| !step.index.is_empty()),
            _ => None,
        };
        let access = match searched {
            Some(step) if step.condition.is_empty() => Access::InOrder(step.index.clone()),
            Some(step) => Access::Index(step.index.clone()),
            None => Access::Scan,
        };
        explained.plan.add(if step.alias.is_empty() { &step.relation } else { &step.alias }, access);
        explained.conditions.push(searched.map(|step| step.condition.clone()).unwrap_or_default());
    }
    explained
}

fn steps(yaml: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in yaml.lines() {
        let line = line.trim_start().trim_start_matches("- ");
        let Some((name, value)) = line.split_once(": ") else { continue };
        let value = value.trim().trim_matches('"').to_owned();
        if name == "Node Type" {
            steps.push(Step { kind: value, ..Step::default() });
            continue;
        }
        let Some(step) = steps.last_mut() else { continue };
        match name {
            "Relation Name" => step.relation = value,
            "Alias" => step.alias = value,
            "Index Name" => step.index = value,
            "Index Cond" => step.condition = value,
            "Plan Rows" => step.rows = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "- Plan: \n    Node Type: \"Nested Loop\"\n    Plans: \n      - Node Type: \"Index Scan\"\n        \
        Relation Name: \"mailbox\"\n        Alias: \"m\"\n        Index Name: \"mailbox_pkey\"\n        \
        Plan Rows: 1\n        Index Cond: \"((username)::text = 'a: b'::text)\"\n      - Node Type: \"Seq Scan\"\n        \
        Relation Name: \"domain\"\n        Alias: \"d\"\n        Filter: \"(active AND (domain = 'x'))\"";

    #[test]
    fn each_table_has_its_access() {
        let Explained { plan: found, conditions } = read(YAML);
        assert_eq!(conditions, ["((username)::text = 'a: b'::text)", ""]);
        let mut expected = Plan::default();
        expected.add("m", Access::Index("mailbox_pkey".to_owned()));
        expected.add("d", Access::Scan);
        assert_eq!(found, expected);
    }

    #[test]
    fn an_index_without_a_condition_is_read_from_its_beginning() {
        let whole = YAML.replace("Index Cond", "Filter");
        assert_eq!(read(&whole).plan.tables[0].access, Access::InOrder("mailbox_pkey".to_owned()));
    }

    #[test]
    fn a_bitmap_is_of_the_index_below_it() {
        let yaml = "- Plan: \n    Node Type: \"Sort\"\n    Plan Rows: 5000\n    Plans: \n      - Node Type: \"Bitmap Heap Scan\"\n        \
            Relation Name: \"alias\"\n        Alias: \"a\"\n        Plans: \n          \
            - Node Type: \"Bitmap Index Scan\"\n            Index Name: \"alias_address\"\n            \
            Index Cond: \"(address = 'x')\"";
        let found = read(yaml).plan;
        assert!(found.sorts);
        assert_eq!(found.tables[0].access, Access::Index("alias_address".to_owned()));
    }
}
