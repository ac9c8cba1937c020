//! `mailauth alias`.

use crate::failure::{Exit, Failure};
use crate::listing::{INCOMPLETE, each_alias};
use crate::output::{List, ListRow, say};
use crate::setup::{Setup, read_domain, read_login};
use clap::Subcommand;
use mailauth_core::DomainName;
use mailauth_core::config::Config;
use mailauth_core::store::{Administration, AliasRow, Changed};
use serde::Serialize;
use std::borrow::Cow;

/// The most bytes of a target.
const MAX_TARGET: usize = 254;

#[derive(Subcommand)]
pub enum Verb {
    /// Add targets to an address; those it has already stay as they are
    ///
    /// An address @example.org stands for whatever else comes to the domain. To keep a copy in the mailbox of the same
    /// name, name the address as a target of itself.
    Add {
        /// As info@example.org, or @example.org
        address: String,
        /// Where its mail goes, as anna@example.org
        #[arg(required = true)]
        target: Vec<String>,
    },
    /// List all aliases, or those of one domain
    List {
        /// As example.org
        #[arg(value_parser = read_domain)]
        domain: Option<DomainName>,
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
struct Shown {
    address: String,
    targets: Vec<String>,
}

impl Verb {
    pub fn run(self, setup: &Setup) -> Result<Exit, Failure> {
        let store = setup.store()?;
        let config = &setup.config;
        match self {
            Verb::Add { address, target } => {
                let alias = alias(&address, &target, config)?;
                let what = [Changed::Alias(alias.address.clone())];
                setup.change(&store, &what, |store| store.add_alias(&alias))?;
                say(format_args!("mail for {} goes to {}", alias.address, alias.targets.join(", ")))?;
            }
            Verb::List { domain, json: as_json } => {
                if let Some(domain) = &domain {
                    crate::domain::find(&store, domain)?;
                }
                let mut list = List::new(["ADDRESS", "TARGETS"], as_json);
                let unusable = each_alias(&store, domain.as_ref(), |AliasRow { address, targets }| {
                    list.add(&Shown { address, targets })
                })?;
                list.end()?;
                unusable.complain(INCOMPLETE)?;
            }
            Verb::Remove { address, target } => {
                let alias = alias(&address, &target, config)?;
                let what = [Changed::Alias(alias.address.clone())];
                setup.change(&store, &what, |store| store.remove_alias(&alias))?;
                match alias.targets.is_empty() {
                    true => say(format_args!("removed the alias {}", alias.address))?,
                    false => {
                        say(format_args!("mail for {} goes no more to {}", alias.address, alias.targets.join(", ")))?
                    }
                }
            }
        }
        Ok(Exit::Yes)
    }
}

impl ListRow<2> for Shown {
    fn cells(&self) -> [Cow<'_, str>; 2] {
        [self.address.as_str().into(), self.targets.join(", ").into()]
    }
}

fn alias(address: &str, targets: &[String], config: &Config) -> Result<AliasRow, Failure> {
    let address = match address.strip_prefix('@') {
        Some(domain) => read_domain(domain).map(|domain| format!("@{domain}")),
        None => read_login(address.as_bytes(), config).map(|login| login.to_string()),
    }
    .map_err(|problem| Failure::usage(format!("the address {address:?}: {problem}")))?;
    let mut known: Vec<String> = Vec::new();
    for target in targets {
        let target = read_target(target, config)?;
        if !known.contains(&target) {
            known.push(target);
        }
    }
    Ok(AliasRow { address, targets: known })
}

/// An address as it was written, for the local part belongs to whoever gets it. A bare one gets the default domain.
fn read_target(text: &str, config: &Config) -> Result<String, Failure> {
    let target = match (text.contains('@'), &config.login.default_domain) {
        (false, Some(domain)) => format!("{text}@{domain}"),
        _ => text.to_owned(),
    };
    let complete = target.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    let unprintable = target.contains(|c: char| c.is_control() || c.is_whitespace());
    if !complete || unprintable || target.len() > MAX_TARGET {
        return Err(Failure::usage(format!("the target {text:?} is not an address; write it as name@example.org")));
    }
    Ok(target)
}
