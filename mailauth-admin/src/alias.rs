//! `mailauth alias`.

mod notes;

pub use notes::of_account;

use crate::alias_csv::{self, AliasCsv};
use crate::context::{Context, read_domain};
use crate::csv_export::Export;
use crate::csv_import::Import;
use crate::failure::{Exit, Failure};
use crate::listing::{INCOMPLETE, each_alias};
use crate::output::{List, ListRow, json, remark, say};
use crate::{lookup, nearby};
use clap::Subcommand;
use mailauth_core::alias::{check_target, read_address};
use mailauth_core::config::Config;
use mailauth_core::spelling::{readable, respelt_target};
use mailauth_core::store::{AdminError, Administration, AliasRow, Changed};
use mailauth_core::{DomainName, Login};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Subcommand)]
pub enum Verb {
    /// Add targets to an address; existing targets are kept
    ///
    /// The address @example.org is a catch-all: it gets the mail for all addresses of the domain that do not exist. To also
    /// keep the mail in the mailbox of the same name, give the address itself as one of the targets.
    Add {
        /// Address, such as info@example.org, or @example.org for a catch-all
        address: String,
        /// Addresses that its mail goes to, such as anna@example.org; separated by spaces or commas
        #[arg(required = true)]
        target: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List all aliases, or those of one domain
    List {
        /// Name of the domain, such as example.org
        #[arg(value_parser = read_domain)]
        domain: Option<DomainName>,
        /// Only aliases that have this address as a target
        #[arg(long, value_name = "ADDRESS")]
        to: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Add all aliases of a CSV file, or nothing if a row is invalid
    #[command(long_about = alias_csv::IMPORT_HELP)]
    Import(Import),
    /// Print all aliases as CSV, in the form that 'mailauth alias import' reads
    Export(Export),
    /// Remove targets of an address, or the whole alias if no target is given
    Remove {
        /// Address, such as info@example.org, or @example.org for a catch-all
        address: String,
        /// Targets to remove
        target: Vec<String>,
    },
}

#[derive(Serialize)]
struct AliasJson {
    address: String,
    targets: Vec<String>,
}

/// An alias that was added, in JSON.
#[derive(Serialize)]
struct AddedJson<'a> {
    address: &'a str,
    targets: &'a [String],
    notes: &'a [String],
}

impl Verb {
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Verb::Add { address, target, json } => add(context, &read(&address, &target, &context.config)?, json)?,
            Verb::List { domain, to, json: as_json } => {
                let store = context.store()?;
                if let Some(domain) = &domain {
                    lookup::domain(&store, domain)?;
                }
                let mut list = List::new(["ADDRESS", "TARGETS"], as_json);
                let to = to.map(|to| context.login(&to)).transpose()?;
                let leads_there = |target: &String| Login::parse(target.as_bytes(), None).ok() == to;
                let unusable = each_alias(&store, domain.as_ref(), |AliasRow { address, targets }| {
                    match to.is_none() || targets.iter().any(leads_there) {
                        true => list.add(&AliasJson { address, targets }),
                        false => Ok(()),
                    }
                })?;
                list.end()?;
                unusable.complain(INCOMPLETE)?;
            }
            Verb::Import(import) => {
                import.run(context, &context.store()?, &AliasCsv(&context.config))?;
            }
            Verb::Export(export) => alias_csv::export(&context.store()?, &export)?,
            Verb::Remove { address, target } => remove(context, &address, target)?,
        }
        Ok(Exit::Yes)
    }
}

impl ListRow<2> for AliasJson {
    fn cells(&self) -> [Cow<'_, str>; 2] {
        [readable(&self.address), readable_list(&self.targets).into()]
    }
}

fn readable_list(targets: &[String]) -> String {
    targets.iter().map(|target| readable(target)).collect::<Vec<_>>().join(", ")
}

/// Reads an alias as the daemon uses it.
///
/// # Errors
/// Fails with all problems of the address and the targets.
fn read(address: &str, targets: &[String], config: &Config) -> Result<AliasRow, Failure> {
    let read = read_parts(address, targets.iter().map(String::as_str), config);
    read.map_err(|problems| Failure::usage(problems.join("\n")))
}

/// Reads an alias, or returns all its problems. Each text may have several targets, with commas between them.
pub fn read_parts<'t>(
    address: &str,
    targets: impl Iterator<Item = &'t str>,
    config: &Config,
) -> Result<AliasRow, Vec<String>> {
    let default_domain = config.login.default_domain.as_deref();
    let mut problems = Vec::new();
    let address = read_address(address, default_domain).unwrap_or_else(|why| {
        problems.push(format!("the address {address:?}: {why}"));
        String::new()
    });
    let mut known: Vec<String> = Vec::new();
    for text in targets.flat_map(|text| text.split(',')).map(str::trim) {
        let target = complete(text, default_domain);
        match check_target(&target) {
            Err(_) if text.is_empty() => problems.push("a target is empty; remove the extra comma".to_owned()),
            Err(why) => problems.push(format!("the target {text:?}: {why}")),
            Ok(()) if known.contains(&target) => {}
            Ok(()) => known.push(target),
        }
    }
    if problems.is_empty() { Ok(AliasRow { address, targets: known }) } else { Err(problems) }
}

/// Returns a target as it was written, because only its host decides what a local part means. A target without a domain
/// gets the default domain.
fn complete(text: &str, default_domain: Option<&str>) -> String {
    match default_domain {
        Some(domain) if !text.is_empty() && !text.contains('@') => format!("{text}@{domain}"),
        _ => respelt_target(text).into_owned(),
    }
}

fn add(context: &Context, alias: &AliasRow, as_json: bool) -> Result<(), Failure> {
    let store = Arc::new(context.store()?);
    store.ensure_own()?;
    let added = context.change(&store, &[Changed::Alias(alias.address.clone())], |store| store.add_alias(alias));
    added.map_err(|error| nearby::refused(&store, error, true))?;
    let notes = notes::notes(&store, &context.config, &alias.address, &alias.targets);
    if as_json {
        json(&AddedJson { address: &alias.address, targets: &alias.targets, notes: &notes })?;
    } else {
        say(format_args!("mail for {} goes to {}", readable(&alias.address), readable_list(&alias.targets)))?;
    }
    notes.iter().for_each(|note| remark(format_args!("note: {note}")));
    Ok(())
}

/// Removes the rows that match the arguments byte for byte, because rows of other programs need not be valid addresses;
/// if there are none, the rows of the normalized addresses.
fn remove(context: &Context, address: &str, targets: Vec<String>) -> Result<(), Failure> {
    let store = context.store()?;
    store.ensure_own()?;
    let as_written = AliasRow { address: address.to_owned(), targets: targets.clone() };
    let normalized = match read(address, &targets, &context.config) {
        Ok(alias) => alias,
        // The address is still normalized, even if a target is invalid.
        Err(_) => AliasRow { address: read_address(address, None).unwrap_or_else(|_| address.to_owned()), targets },
    };
    let what: BTreeSet<_> = [as_written.address.clone(), normalized.address.clone()].into();
    let what: Vec<_> = what.into_iter().map(Changed::Alias).collect();
    let removed = context.change(&store, &what, |store| match store.remove_alias(&as_written) {
        Err(AdminError::NoSuch { .. }) if as_written != normalized => {
            store.remove_alias(&normalized).map(|()| &normalized)
        }
        done => done.map(|()| &as_written),
    });
    let removed = removed.map_err(|error| nearby::refused(&store, error, false))?;
    match removed.targets.is_empty() {
        true => say(format_args!("removed the alias {}", readable(&removed.address))),
        false => say(format_args!(
            "mail for {} no longer goes to {}",
            readable(&removed.address),
            readable_list(&removed.targets)
        )),
    }
}
