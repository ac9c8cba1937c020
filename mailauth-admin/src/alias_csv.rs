//! `mailauth alias import` and `export`: aliases as CSV.

use crate::alias::read_parts;
use crate::csv_export::Export;
use crate::csv_import::{CsvTable, Names, Value};
use crate::failure::Failure;
use crate::listing::{Complaints, each_alias};
use crate::progress::Progress;
use mailauth_core::alias::{check_target, read_address};
use mailauth_core::config::Config;
use mailauth_core::store::{Administration, AliasRow, ImportError, ImportMode, ImportSource, ImportSummary, SqlStore};

pub const IMPORT_HELP: &str = "\
Add all aliases of a CSV file, or nothing if a row is invalid.

The columns are address and targets. Each address has one row, with its targets in order, separated by commas, in quotes. \
@example.org is a catch-all. The domains of the addresses have to exist. Each invalid row is listed with its line, the \
column and the reason, and then nothing is imported.

With --update, an alias that exists gets exactly the targets of the file.

For example:
  address,targets
  info@example.org,\"anna@example.org,ben@else.example\"
  @example.com,anna@example.org";

/// The table of aliases.
pub struct AliasCsv<'c>(pub &'c Config);

/// Exports aliases.
pub fn export(store: &SqlStore, export: &Export) -> Result<(), Failure> {
    export.run(
        AliasCsv::COLUMNS,
        || Progress::of("aliases", || None),
        |rows| {
            let mut unusable = Complaints::default();
            let unread = each_alias(store, None, |alias| match problem(&alias) {
                Some(problem) => {
                    unusable.add(format_args!("alias {}: {problem}", alias.address));
                    Ok(())
                }
                None => rows.add([alias.address.as_str(), &alias.targets.join(",")]),
            })?;
            unusable.append(unread);
            Ok(unusable)
        },
    )
}

/// Returns the reason why an import would not read an alias as it is, such as a target with a comma.
fn problem(alias: &AliasRow) -> Option<String> {
    match read_address(&alias.address, None) {
        Ok(address) if address == alias.address => {}
        Ok(address) => return Some(format!("no mail is looked up by this spelling; write {address}")),
        Err(why) => return Some(why.to_string()),
    }
    let refused = |target: &String| check_target(target).err().map(|why| format!("the target {target:?}: {why}"));
    alias.targets.iter().find_map(refused)
}

impl CsvTable for AliasCsv<'_> {
    const COLUMNS: &'static [&'static str] = &["address", "targets"];
    const NEEDED: &'static [&'static str] = &["address", "targets"];
    const NAMES: Names = Names { one: "alias", many: "aliases" };
    type Record = AliasRow;

    fn read(&self, values: &[Value<'_>]) -> Result<AliasRow, Vec<String>> {
        let (mut address, mut targets, mut problems) = ("", "", Vec::new());
        for value in values {
            let read = match value.column {
                "address" => value.key().and_then(|_| value.text()).map(|text| address = text),
                _ => value.text().map(|text| targets = text),
            };
            if let Err(problem) = read {
                problems.push(format!("{}: {problem}", value.column));
            }
        }
        if problems.is_empty() && targets.is_empty() {
            problems.push("targets: there is none; 'mailauth alias remove' removes an alias".to_owned());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        read_parts(address, [targets].into_iter(), self.0)
    }

    fn key(record: &AliasRow) -> &str {
        &record.address
    }

    fn import(
        &self,
        store: &SqlStore,
        source: &mut dyn ImportSource<AliasRow>,
        mode: ImportMode,
    ) -> Result<ImportSummary, ImportError> {
        store.import_aliases(source, mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv_import::read_text;

    #[test]
    fn an_alias_has_one_row_with_all_targets() {
        let config = Config::default();
        let (records, problems) = read_text(
            &AliasCsv(&config),
            "targets,address\n\"Anna@x.example, b@y.example,Anna@x.example\",Info@X.example\na@x.example,@x.example\n",
        );
        assert_eq!(problems, [""; 0]);
        let row = |address: &str, targets: &[&str]| AliasRow {
            address: address.into(),
            targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        };
        let info = row("info@x.example", &["Anna@x.example", "b@y.example"]);
        assert_eq!(records, [info, row("@x.example", &["a@x.example"])]);
    }

    #[test]
    fn all_problems_of_an_alias_are_reported() {
        let config = Config::default();
        let (records, problems) = read_text(
            &AliasCsv(&config),
            "address,targets\n*@x.example,\"a@@x.example,|cmd\"\na@x.example,\nNULL,a@x.example\n",
        );
        assert!(records.is_empty());
        assert_eq!(problems.len(), 5, "{problems:#?}");
        assert!(problems[3].starts_with("3: targets: there is none"), "{problems:?}");
        assert!(problems[4].starts_with("4: address: it is NULL"), "{problems:?}");
    }
}
