//! `mailauth domain alias import` and `export`: alias domains as CSV.

use crate::csv_export::Export;
use crate::csv_import::{CsvTable, Names, Value};
use crate::domain_csv::name;
use crate::failure::Failure;
use crate::listing::each_alias_domain;
use crate::output::yes_no;
use crate::progress::Progress;
use crate::switch;
use mailauth_core::store::{
    Administration, AliasDomainRecord, ImportError, ImportMode, ImportSource, ImportSummary, SqlStore,
};

pub const IMPORT_HELP: &str = "\
Add all alias domains of a CSV file, or nothing if a row is invalid.

The columns are name, target and enabled: yes or no, and yes if it is empty or missing. The targets have to exist as \
domains. Each invalid row is listed with its line, the column and the reason, and then nothing is imported.

With --update, alias domains that exist are changed in the columns that the file has.";

/// The table of alias domains.
pub struct AliasDomainCsv;

/// Exports alias domains.
pub fn export(store: &SqlStore, export: &Export) -> Result<(), Failure> {
    export.run(
        AliasDomainCsv::COLUMNS,
        || Progress::of("alias domains", || None),
        |rows| each_alias_domain(store, |row| rows.add([row.name.as_str(), &row.target, yes_no(row.enabled)])),
    )
}

impl CsvTable for AliasDomainCsv {
    const COLUMNS: &'static [&'static str] = &["name", "target", "enabled"];
    const NEEDED: &'static [&'static str] = &["name"];
    const NAMES: Names = Names { one: "alias domain", many: "alias domains" };
    type Record = AliasDomainRecord;

    fn read(&self, values: &[Value<'_>]) -> Result<AliasDomainRecord, Vec<String>> {
        let (mut record, mut problems) = (AliasDomainRecord::default(), Vec::new());
        for value in values {
            let read = match value.column {
                "name" => name(value).map(|name| record.name = name),
                "target" => name(value).map(|name| record.target = Some(name)),
                _ => switch::parse(value.bytes).map(|read| record.enabled = Some(read)),
            };
            if let Err(problem) = read {
                problems.push(format!("{}: {problem}", value.column));
            }
        }
        if problems.is_empty() { Ok(record) } else { Err(problems) }
    }

    fn key(record: &AliasDomainRecord) -> &str {
        &record.name
    }

    fn import(
        &self,
        store: &SqlStore,
        source: &mut dyn ImportSource<AliasDomainRecord>,
        mode: ImportMode,
    ) -> Result<ImportSummary, ImportError> {
        store.import_alias_domains(source, mode)
    }
}
