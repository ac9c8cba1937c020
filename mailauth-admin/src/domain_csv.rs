//! `mailauth domain import` and `export`: domains as CSV.

use crate::account_columns::show_quota;
use crate::context::{Context, read_domain};
use crate::csv_export::Export;
use crate::csv_import::{CsvTable, Import, Names, Value};
use crate::domain::{RECOUNT, check_description};
use crate::failure::Failure;
use crate::listing::each_domain;
use crate::output::{remark, yes_no};
use crate::progress::Progress;
use crate::switch;
use mailauth_core::quota::Limits;
use mailauth_core::store::{
    Administration, DomainRecord, ImportError, ImportMode, ImportSource, ImportSummary, SqlStore,
};

pub const IMPORT_HELP: &str = "\
Add all domains of a CSV file, or nothing if a row is invalid.

The first line names the columns, in any order: domain, and any of description, enabled, backup and quota. enabled and \
backup are yes or no; if they are empty or missing, a domain is enabled, and no backup domain. An empty quota, and none, \
is no limit. Each invalid row is listed with its line, the column and the reason, and then nothing is imported.

With --update, domains that exist are changed in the columns that the file has.

For example:
  domain,description,quota
  example.org,Example Ltd.,\"10G,100000\"
  example.com,,none";

/// The table of domains.
pub struct DomainCsv;

/// Imports domains.
pub fn import(context: &Context, store: &SqlStore, import: &Import) -> Result<(), Failure> {
    let done = import.run(context, store, &DomainCsv)?;
    if done.wrote && done.summary.columns.contains_key("quota") {
        remark(RECOUNT);
    }
    Ok(())
}

/// Exports domains.
pub fn export(store: &SqlStore, export: &Export) -> Result<(), Failure> {
    export.run(
        DomainCsv::COLUMNS,
        || Progress::of("domains", || None),
        |rows| {
            each_domain(store, |row| {
                let quota = show_quota(row.quota.bytes, row.quota.messages);
                let description = row.description.as_deref().unwrap_or_default();
                rows.add([row.name.as_str(), description, yes_no(row.enabled), yes_no(row.backup), &quota])
            })
        },
    )
}

impl CsvTable for DomainCsv {
    const COLUMNS: &'static [&'static str] = &["domain", "description", "enabled", "backup", "quota"];
    const NEEDED: &'static [&'static str] = &["domain"];
    const NAMES: Names = Names { one: "domain", many: "domains" };
    type Record = DomainRecord;

    fn read(&self, values: &[Value<'_>]) -> Result<DomainRecord, Vec<String>> {
        let (mut record, mut problems) = (DomainRecord::default(), Vec::new());
        for value in values {
            let read = match value.column {
                "domain" => name(value).map(|name| record.name = name),
                "description" => value.text().and_then(|text| {
                    let text = check_description(text)?;
                    record.description = Some(text);
                    Ok(())
                }),
                "enabled" => switch::parse(value.bytes).map(|read| record.enabled = Some(read)),
                "backup" => switch::parse_or(value.bytes, false).map(|read| record.backup = Some(read)),
                _ => value.text().and_then(quota).map(|read| record.quota = Some(read)),
            };
            if let Err(problem) = read {
                problems.push(format!("{}: {problem}", value.column));
            }
        }
        if problems.is_empty() { Ok(record) } else { Err(problems) }
    }

    fn key(record: &DomainRecord) -> &str {
        &record.name
    }

    fn doubt(&self, record: &DomainRecord) -> Option<String> {
        record.quota.and_then(Limits::doubt).map(|doubt| format!("quota: {doubt}"))
    }

    fn import(
        &self,
        store: &SqlStore,
        source: &mut dyn ImportSource<DomainRecord>,
        mode: ImportMode,
    ) -> Result<ImportSummary, ImportError> {
        store.import_domains(source, mode)
    }
}

/// Reads the name of a domain.
pub fn name(value: &Value<'_>) -> Result<String, String> {
    value.key()?;
    read_domain(value.text()?).map(|name| name.to_string())
}

/// Reads a quota, of which an empty one is no limit.
fn quota(text: &str) -> Result<Limits, String> {
    if text.is_empty() { Ok(Limits::NONE) } else { Limits::parse_human(text).map_err(|error| error.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv_import::read_text;

    #[test]
    fn a_domain_has_defaults_in_empty_columns_only() {
        let (records, problems) = read_text(
            &DomainCsv,
            "domain,quota,backup,enabled,description\nBücher.example,none,,,NULL\na.example,\"1G,5\",yes,no, x \n",
        );
        assert_eq!(problems, [""; 0]);
        let record = |name: &str, quota, flags: [bool; 2], description: Option<&str>| DomainRecord {
            name: name.into(),
            quota: Some(quota),
            backup: Some(flags[0]),
            enabled: Some(flags[1]),
            description: Some(description.map(Into::into)),
        };
        let limits = Limits { bytes: Some(1 << 30), messages: Some(5) };
        let first = record("xn--bcher-kva.example", Limits::NONE, [false, true], None);
        assert_eq!(records, [first, record("a.example", limits, [true, false], Some("x"))]);
        let (records, _) = read_text(&DomainCsv, "domain\na.example\n");
        assert_eq!(records, [DomainRecord { name: "a.example".into(), ..DomainRecord::default() }]);
    }

    #[test]
    fn all_problems_of_a_row_are_reported() {
        let (records, problems) = read_text(&DomainCsv, "domain,quota,backup\n@,1.5G,perhaps\nNULL,,\n");
        assert!(records.is_empty());
        let starts = ["2: domain: ", "2: quota: ", "2: backup: write yes or no", "3: domain: it is NULL"];
        assert_eq!(problems.len(), starts.len(), "{problems:?}");
        assert!(problems.iter().zip(starts).all(|(problem, start)| problem.starts_with(start)), "{problems:?}");
    }
}
