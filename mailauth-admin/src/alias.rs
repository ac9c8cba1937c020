//! `mailauth alias`.

mod notes;

pub use notes::of_account;

use crate::failure::{Exit, Failure};
use crate::listing::{INCOMPLETE, each_alias};
use crate::output::{List, ListRow, json, remark, say};
use crate::setup::{Setup, read_domain};
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
    /// Add targets to an address; those it has already stay as they are
    ///
    /// An address @example.org stands for whatever else comes to the domain. To keep a copy in the mailbox of the same
    /// name, name the address as a target of itself.
    Add {
        /// As info@example.org, or @example.org
        address: String,
        /// Where its mail goes, as anna@example.org; several may have commas between them
        #[arg(required = true)]
        target: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List all aliases, or those of one domain
    List {
        /// As example.org
        #[arg(value_parser = read_domain)]
        domain: Option<DomainName>,
        /// Only those that have this address as a target, in any case
        #[arg(long, value_name = "ADDRESS")]
        to: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove targets of an address, or with none named the whole address
    Remove {
        /// As info@example.org, or @example.org
        address: String,
        /// Where its mail is to go no more
        target: Vec<String>,
    },
}

#[derive(Serialize)]
struct AliasJson {
    address: String,
    targets: Vec<String>,
}

/// What was added, as JSON has it.
#[derive(Serialize)]
struct AddedJson<'a> {
    address: &'a str,
    targets: &'a [String],
    notes: &'a [String],
}

impl Verb {
    pub fn run(self, setup: &Setup) -> Result<Exit, Failure> {
        match self {
            Verb::Add { address, target, json } => add(setup, &read(&address, &target, &setup.config)?, json)?,
            Verb::List { domain, to, json: as_json } => {
                let store = setup.store()?;
                if let Some(domain) = &domain {
                    lookup::domain(&store, domain)?;
                }
                let mut list = List::new(["ADDRESS", "TARGETS"], as_json);
                let to = to.map(|to| setup.login(&to)).transpose()?;
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
            Verb::Remove { address, target } => remove(setup, &address, target)?,
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

/// Reads an alias as the daemon uses it, or returns everything that is wrong with it.
fn read(address: &str, targets: &[String], config: &Config) -> Result<AliasRow, Failure> {
    let default_domain = config.login.default_domain.as_deref();
    let mut problems = Vec::new();
    let address = read_address(address, default_domain).unwrap_or_else(|why| {
        problems.push(format!("the address {address:?}: {why}"));
        String::new()
    });
    let mut known: Vec<String> = Vec::new();
    for text in targets.iter().flat_map(|text| text.split(',')).map(str::trim) {
        let target = complete(text, default_domain);
        match check_target(&target) {
            Err(_) if text.is_empty() => problems.push("a target is empty; is there a comma too many?".to_owned()),
            Err(why) => problems.push(format!("the target {text:?}: {why}")),
            Ok(()) if known.contains(&target) => {}
            Ok(()) => known.push(target),
        }
    }
    if problems.is_empty() {
        Ok(AliasRow { address, targets: known })
    } else {
        Err(Failure::usage(problems.join("\n")))
    }
}

/// Returns an address as it was written, because the local part belongs to its host. One without a domain gets the
/// default domain.
fn complete(text: &str, default_domain: Option<&str>) -> String {
    match default_domain {
        Some(domain) if !text.is_empty() && !text.contains('@') => format!("{text}@{domain}"),
        _ => respelt_target(text).into_owned(),
    }
}

fn add(setup: &Setup, alias: &AliasRow, as_json: bool) -> Result<(), Failure> {
    let store = Arc::new(setup.store()?);
    let added = setup.change(&store, &[Changed::Alias(alias.address.clone())], |store| store.add_alias(alias));
    added.map_err(|error| nearby::refused(&store, error, true))?;
    let notes = notes::notes(&store, &setup.config, &alias.address, &alias.targets);
    if as_json {
        json(&AddedJson { address: &alias.address, targets: &alias.targets, notes: &notes })?;
    } else {
        say(format_args!("mail for {} goes to {}", readable(&alias.address), readable_list(&alias.targets)))?;
    }
    notes.iter().for_each(|note| remark(format_args!("note: {note}")));
    Ok(())
}

/// Removes what is in the table as it was written here, or if there is none, what is meant by it: rows that other programs
/// wrote need not be addresses.
fn remove(setup: &Setup, address: &str, targets: Vec<String>) -> Result<(), Failure> {
    let store = setup.store()?;
    let as_written = AliasRow { address: address.to_owned(), targets: targets.clone() };
    let meant = match read(address, &targets, &setup.config) {
        Ok(alias) => alias,
        // Its address is folded nevertheless.
        Err(_) => AliasRow { address: read_address(address, None).unwrap_or_else(|_| address.to_owned()), targets },
    };
    let what: BTreeSet<_> = [as_written.address.clone(), meant.address.clone()].into();
    let what: Vec<_> = what.into_iter().map(Changed::Alias).collect();
    let removed = setup.change(&store, &what, |store| match store.remove_alias(&as_written) {
        Err(AdminError::NoSuch { .. }) if as_written != meant => store.remove_alias(&meant).map(|()| &meant),
        done => done.map(|()| &as_written),
    });
    let removed = removed.map_err(|error| nearby::refused(&store, error, false))?;
    match removed.targets.is_empty() {
        true => say(format_args!("removed the alias {}", readable(&removed.address))),
        false => say(format_args!(
            "mail for {} goes no more to {}",
            readable(&removed.address),
            readable_list(&removed.targets)
        )),
    }
}
