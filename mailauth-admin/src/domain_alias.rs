//! `mailauth domain alias`: domains that are other names of a domain.

use crate::alias_domain_csv::{self, AliasDomainCsv};
use crate::context::{Context, read_domain};
use crate::csv_export::Export;
use crate::csv_import::Import;
use crate::failure::{Failure, no_such};
use crate::listing::{INCOMPLETE, each_alias_domain};
use crate::output::{List, ListRow, say, yes_no};
use crate::switch;
use clap::Subcommand;
use mailauth_core::DomainName;
use mailauth_core::store::{Administration, AliasDomainRow, Changed, SqlStore};
use serde::Serialize;
use std::borrow::Cow;

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
    #[command(long_about = alias_domain_csv::IMPORT_HELP)]
    Import(Import),
    /// Print all alias domains as CSV, in the form that 'mailauth domain alias import' reads
    Export(Export),
}

/// An alias domain in JSON.
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
        if !matches!(self, Verb::List { .. } | Verb::Export(_)) {
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
            Verb::Import(import) => import.run(context, store, &AliasDomainCsv).map(drop),
            Verb::Export(export) => alias_domain_csv::export(store, &export),
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
