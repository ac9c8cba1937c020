//! `mailauth domain alias`: domains that are other names of a domain.

use crate::context::{Context, read_domain};
use crate::failure::{Failure, no_such};
use crate::listing::{INCOMPLETE, each_alias_domain};
use crate::output::{List, ListRow, say, yes_no};
use crate::switch;
use clap::Subcommand;
use csv::{ReaderBuilder, WriterBuilder};
use mailauth_core::DomainName;
use mailauth_core::store::{AdminError, Administration, AliasDomainRow, Changed, SqlStore};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Maximum number of bytes of a CSV file.
const MAX_FILE: u64 = 16 << 20;

#[derive(Subcommand)]
pub enum Verb {
    /// Add another name of a domain
    ///
    /// Each address of the alias domain is the same as that address of the target: accounts, aliases and the catch-all
    /// exist under both names. Users can log in with the other name if alias_domains is true in the section login
    /// of the configuration.
    Add {
        /// Alias domain, such as old.example, which must not have been added as a domain
        #[arg(value_parser = read_domain)]
        name: DomainName,
        /// Domain that has the accounts, such as example.org
        #[arg(value_parser = read_domain)]
        target: DomainName,
        /// Reject mail for its addresses
        #[arg(long)]
        disabled: bool,
    },
    /// List all alias domains
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change an alias domain; only the given options are changed
    Set {
        /// Alias domain, such as old.example
        #[arg(value_parser = read_domain)]
        name: DomainName,
        /// Domain that has the accounts
        #[arg(long, value_parser = read_domain)]
        target: Option<DomainName>,
        /// Accept mail for its addresses
        #[arg(long, conflicts_with = "disabled")]
        enabled: bool,
        /// Reject mail for its addresses
        #[arg(long)]
        disabled: bool,
    },
    /// Remove an alias domain
    Remove {
        /// Alias domain, such as old.example
        #[arg(value_parser = read_domain)]
        name: DomainName,
    },
    /// Add all alias domains of a CSV file, or nothing if a row is invalid
    ///
    /// The columns are name, target and enabled: yes or no, and yes if it is empty or missing.
    Import {
        /// CSV file, or - for the standard input
        file: PathBuf,
    },
    /// Print all alias domains as CSV
    Export,
}

/// An alias domain in JSON and CSV.
#[derive(Serialize)]
struct AliasDomainJson {
    name: String,
    target: String,
    enabled: bool,
}

impl From<AliasDomainRow> for AliasDomainJson {
    fn from(AliasDomainRow { name, target, enabled }: AliasDomainRow) -> Self {
        AliasDomainJson { name, target, enabled }
    }
}

impl ListRow<3> for AliasDomainJson {
    fn cells(&self) -> [Cow<'_, str>; 3] {
        [self.name.as_str().into(), self.target.as_str().into(), yes_no(self.enabled).into()]
    }
}

impl Verb {
    pub fn run(self, context: &Context, store: &SqlStore) -> Result<(), Failure> {
        if !matches!(self, Verb::List { .. } | Verb::Export) {
            store.ensure_own()?;
        }
        match self {
            Verb::Add { name, target, disabled } => {
                let row = AliasDomainRow { name: name.to_string(), target: target.to_string(), enabled: !disabled };
                let added = context.change(store, &[Changed::Domain(name.clone())], |store| {
                    store.add_alias_domains(std::slice::from_ref(&row))
                });
                added.map_err(|(_, error)| error)?;
                say(format_args!("each address of {name} is now the same as that address of {target}"))
            }
            Verb::List { json } => {
                let mut list = List::new(["NAME", "TARGET", "ENABLED"], json);
                let unusable = each_alias_domain(store, |row| list.add(&AliasDomainJson::from(row)))?;
                list.end()?;
                unusable.complain(INCOMPLETE)
            }
            Verb::Set { name, target, enabled, disabled } => {
                let enabled = switch::from_options(enabled, disabled);
                if target.is_none() && enabled.is_none() {
                    return Err(Failure::usage("nothing to change; give --target, --enabled or --disabled"));
                }
                let mut row = find(store, &name)?;
                row.enabled = enabled.unwrap_or(row.enabled);
                row.target = target.map_or(row.target, |target| target.to_string());
                context.change(store, &[Changed::Domain(name.clone())], |store| store.set_alias_domain(&row))?;
                say(format_args!("changed the alias domain {name}"))
            }
            Verb::Remove { name } => {
                let what = [Changed::Domain(name.clone())];
                context.change(store, &what, |store| store.remove_alias_domain(name.as_str()))?;
                say(format_args!("removed the alias domain {name}"))
            }
            Verb::Import { file } => import(context, store, &file),
            Verb::Export => export(store),
        }
    }
}

/// Returns the row of an alias domain that must exist.
fn find(store: &SqlStore, name: &DomainName) -> Result<AliasDomainRow, Failure> {
    store.find_alias_domain(name.as_str())?.ok_or_else(|| Failure::no(no_such("alias domain", name.as_str())))
}

/// Returns the other names of a domain.
pub fn names_of(store: &SqlStore, domain: &DomainName) -> Result<Vec<DomainName>, Failure> {
    let names = store.alias_domains_of(domain.as_str())?;
    Ok(names.iter().filter_map(|name| DomainName::parse(name).ok()).collect())
}

/// A row of a CSV file.
#[derive(Deserialize)]
struct Row {
    name: String,
    target: String,
    #[serde(default)]
    enabled: Option<String>,
}

impl Row {
    fn read(&self) -> Result<AliasDomainRow, String> {
        let domain = |column: &str, text: &str| read_domain(text).map_err(|problem| format!("{column}: {problem}"));
        let enabled = switch::parse(self.enabled.as_deref().unwrap_or_default().as_bytes());
        Ok(AliasDomainRow {
            name: domain("name", &self.name)?.to_string(),
            target: domain("target", &self.target)?.to_string(),
            enabled: enabled.map_err(|problem| format!("enabled: {problem}"))?,
        })
    }
}

fn import(context: &Context, store: &SqlStore, file: &Path) -> Result<(), Failure> {
    let shown = file.display();
    let read: Box<dyn Read> = match file.as_os_str() == "-" {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(file).map_err(|error| Failure::no(format!("{shown} cannot be read: {error}")))?),
    };
    let mut text = Vec::new();
    let count = read.take(MAX_FILE + 1).read_to_end(&mut text);
    let count = count.map_err(|error| Failure::no(format!("{shown} cannot be read: {error}")))?;
    if count as u64 > MAX_FILE {
        return Err(Failure::no(format!("{shown} has more than {MAX_FILE} bytes; import it in parts")));
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    let (rows, lines) = read_rows(text).map_err(|problems| Failure::no(problems.join("\n")))?;
    let what: Vec<_> = rows.iter().filter_map(|row| DomainName::parse(&row.name).ok()).map(Changed::Domain).collect();
    let added = context.change(store, &what, |store| store.add_alias_domains(&rows));
    added.map_err(|(place, error)| match error {
        AdminError::Store(error) => error.into(),
        error => {
            let line = lines.get(place).copied().unwrap_or_default();
            Failure::no(format!("line {line}: {}\nnothing was added", Failure::from(error).message))
        }
    })?;
    say(format_args!("added {} alias domains", rows.len()))
}

/// Reads the rows and their line numbers, or returns their problems.
fn read_rows(text: &[u8]) -> Result<(Vec<AliasDomainRow>, Vec<u64>), Vec<String>> {
    let mut reader = ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    let (mut rows, mut lines, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    let mut records = reader.deserialize::<Row>();
    loop {
        let line = records.reader().position().line();
        let Some(record) = records.next() else { break };
        let line = if line == 1 { 2 } else { line };
        match record.map_err(|error| error.to_string()).and_then(|row| row.read()) {
            Ok(row) => {
                rows.push(row);
                lines.push(line);
            }
            Err(problem) => problems.push(format!("line {line}: {problem}")),
        }
        if problems.len() >= 100 {
            break;
        }
    }
    if problems.is_empty() {
        return Ok((rows, lines));
    }
    problems.push("nothing was added".to_owned());
    Err(problems)
}

fn export(store: &SqlStore) -> Result<(), Failure> {
    let mut writer = WriterBuilder::new().from_writer(io::stdout().lock());
    let unwritten = |error: csv::Error| Failure::not_now(format!("the output cannot be written: {error}"));
    writer.write_record(["name", "target", "enabled"]).map_err(unwritten)?;
    let unusable = each_alias_domain(store, |row| {
        writer.write_record([row.name.as_str(), &row.target, yes_no(row.enabled)]).map_err(unwritten)
    })?;
    writer.flush()?;
    unusable.complain(INCOMPLETE)
}
