//! The tables after FROM, so that two spellings of the same joins compare as equal.

use super::dialect::Dialect;
use super::tokens::{Kind, Tokens, tokenize};
use std::collections::BTreeSet;

/// Tables that are joined, and the conditions of the joins.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Joins {
    tables: BTreeSet<String>,
    conditions: BTreeSet<String>,
}

impl Joins {
    /// Reads tables that are joined by commas and inner joins, whose order has no meaning. Returns `None` for others.
    pub fn read(from: &str, dialect: Dialect) -> Option<Joins> {
        let list = tokenize(from, dialect).ok()?;
        let mut joins = Joins::default();
        for part in Tokens::new(from, &list).split(",") {
            for table in part.split("JOIN") {
                joins.add(table)?;
            }
        }
        Some(joins)
    }

    /// Adds a table and the condition behind it.
    fn add(&mut self, table: Tokens<'_>) -> Option<()> {
        let mut count = table.list().len();
        // The kind of the next join stands behind the condition.
        if table.list().last().is_some_and(|last| table.is(last, "INNER")) {
            count -= 1;
        }
        let table = table.part(0..count);
        const OTHERS: [&str; 7] = ["LEFT", "RIGHT", "FULL", "OUTER", "CROSS", "NATURAL", "USING"];
        if table.outside_brackets().any(|(_, token)| OTHERS.iter().any(|word| table.is(token, word))) {
            return None;
        }
        let mut parts = table.split("ON").into_iter();
        let name = parts.next().filter(|name| !name.is_empty())?;
        let words = name.list().iter().filter(|token| !name.is(token, "AS"));
        let words: Vec<_> = words.map(|token| name.text_of(token).to_lowercase()).collect();
        self.tables.insert(words.join(" "));
        for condition in parts {
            let condition = condition.inside_brackets().unwrap_or(condition);
            for term in condition.split("AND") {
                let mut sides: Vec<_> = term.split("=").iter().map(|side| side.normal(false)).collect();
                sides.sort_unstable();
                self.conditions.insert(sides.join(" = "));
            }
        }
        Some(())
    }

    /// Returns true if these are the other tables, perhaps with more joined to them.
    pub fn extend(&self, other: &Joins) -> bool {
        other.tables.is_subset(&self.tables) && other.conditions.is_subset(&self.conditions)
    }
}

/// Returns the name under which the only table is known.
pub fn only_table(from: &str, dialect: Dialect) -> Option<String> {
    let list = tokenize(from, dialect).ok()?;
    let tokens = Tokens::new(from, &list);
    let names: Vec<_> = list.iter().filter(|token| !tokens.is(token, "AS")).collect();
    let is_name = names.iter().all(|token| matches!(token.kind, Kind::Word | Kind::Name));
    match names.as_slice() {
        [.., last] if names.len() <= 2 && is_name => Some(tokens.text_of(last).to_owned()),
        _ => None,
    }
}
