//! What an import did, in words and in JSON.

use crate::failure::Failure;
use crate::output::{json, say, speaks_json};
use mailauth_core::store::{ImportMode, ImportSummary};
use serde::Serialize;
use std::collections::BTreeMap;

/// How messages name the rows of a table.
pub struct Names {
    /// One row, such as `account`.
    pub one: &'static str,
    /// Several rows, such as `accounts`.
    pub many: &'static str,
}

#[derive(Serialize)]
struct SummaryJson<'a> {
    done: String,
    dry_run: bool,
    added: u64,
    changed: u64,
    unchanged: u64,
    /// Number of changed rows for each changed column.
    columns: &'a BTreeMap<&'static str, u64>,
    /// Number of domains that were added for accounts.
    domains: u64,
    rejected: usize,
}

/// Returns the end of a message about an import that was not made.
pub fn nothing(mode: ImportMode) -> &'static str {
    if mode.dry_run { "nothing would be imported" } else { "nothing was imported" }
}

/// Prints what was done, or would be.
pub fn tell(summary: &ImportSummary, names: &Names, mode: ImportMode, rejected: usize) -> Result<(), Failure> {
    let done = in_words(summary, names, mode);
    if !speaks_json() {
        return say(done);
    }
    let ImportSummary { added, changed, unchanged, ref columns, domains } = *summary;
    json(&SummaryJson { done, dry_run: mode.dry_run, added, changed, unchanged, columns, domains, rejected })
}

fn in_words(summary: &ImportSummary, names: &Names, mode: ImportMode) -> String {
    let ImportSummary { added, changed, unchanged, columns, domains } = summary;
    if mode == ImportMode::default() {
        return format!("imported {added} {}", names.many);
    }
    let columns: Vec<_> = columns.iter().map(|(column, count)| format!("{column} {count}")).collect();
    let columns = if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
    let domains = match domains {
        0 => String::new(),
        1 => ", 1 new domain".to_owned(),
        several => format!(", {several} new domains"),
    };
    let (begin, end) = if mode.dry_run { ("would import", "; nothing was written") } else { ("imported", "") };
    let total = added + changed + unchanged;
    let many = if total == 1 { names.one } else { names.many };
    format!("{begin} {total} {many}: {added} added, {changed} changed{columns}, {unchanged} unchanged{domains}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_the_changed_columns() {
        let names = Names { one: "account", many: "accounts" };
        let columns = [("quota", 2), ("name", 1)].into();
        let summary = ImportSummary { added: 1, changed: 2, unchanged: 3, columns, domains: 1 };
        let told = |update, dry_run| in_words(&summary, &names, ImportMode { update, dry_run });
        let counts = "6 accounts: 1 added, 2 changed (name 1, quota 2), 3 unchanged, 1 new domain";
        assert_eq!(told(true, false), format!("imported {counts}"));
        assert_eq!(told(true, true), format!("would import {counts}; nothing was written"));
        assert_eq!(told(false, false), "imported 1 accounts");
    }
}
