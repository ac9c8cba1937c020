//! `mailauth domain`.

use crate::account::{all_accounts, switch};
use crate::failure::{Exit, Failure, no_such};
use crate::output::{Sheet, Table, json, say, yes_no};
use crate::setup::{Setup, read_domain};
use clap::{Args, Subcommand};
use mailauth_core::DomainName;
use mailauth_core::store::{Administration, DomainRow};
use serde::Serialize;

#[derive(Subcommand)]
pub enum Verb {
    /// Add a domain
    Add {
        /// As example.org
        #[arg(value_parser = read_domain)]
        domain: DomainName,
        #[command(flatten)]
        columns: Columns,
    },
    /// List all domains
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one domain
    Show {
        /// As example.org
        #[arg(value_parser = read_domain)]
        domain: DomainName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a domain
    Set {
        /// As example.org
        #[arg(value_parser = read_domain)]
        domain: DomainName,
        #[command(flatten)]
        columns: Columns,
    },
    /// Remove a domain that has no accounts and no aliases
    Remove {
        /// As example.org
        #[arg(value_parser = read_domain)]
        domain: DomainName,
        /// Remove its accounts and aliases too; mail that is stored stays where it is
        #[arg(long)]
        contents: bool,
    },
}

#[derive(Args)]
pub struct Columns {
    /// A note for people; empty for none
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Its accounts may log in and receive mail
    #[arg(long, conflicts_with = "disabled")]
    enabled: bool,
    /// None of its accounts may log in or receive mail
    #[arg(long)]
    disabled: bool,
}

/// A domain as JSON has it.
#[derive(Serialize)]
struct Shown {
    domain: String,
    enabled: bool,
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aliases: Option<usize>,
}

impl From<DomainRow> for Shown {
    fn from(row: DomainRow) -> Self {
        let DomainRow { name, enabled, description } = row;
        Shown { domain: name, enabled, description, accounts: None, aliases: None }
    }
}

impl Columns {
    fn is_empty(&self) -> bool {
        self.description.is_none() && !self.enabled && !self.disabled
    }

    fn apply(self, row: &mut DomainRow) -> Result<(), Failure> {
        if let Some(text) = self.description {
            if text.contains(char::is_control) || text.chars().count() > 255 {
                return Err(Failure::usage(
                    "the description is longer than 255 characters or holds a control character",
                ));
            }
            row.description = Some(text).filter(|text| !text.is_empty());
        }
        row.enabled = switch(self.enabled, self.disabled).unwrap_or(row.enabled);
        Ok(())
    }
}

impl Verb {
    pub fn run(self, setup: &Setup) -> Result<Exit, Failure> {
        let store = setup.store()?;
        match self {
            Verb::Add { domain, columns } => {
                let mut row = DomainRow { name: domain.to_string(), enabled: true, description: None };
                columns.apply(&mut row)?;
                store.add_domain(&row)?;
                say(format_args!("added the domain {domain}"))?;
            }
            Verb::List { json: as_json } => list(&store, as_json)?,
            Verb::Show { domain, json: as_json } => show(&store, &domain, as_json)?,
            Verb::Set { domain, columns } => {
                if columns.is_empty() {
                    return Err(Failure::usage("nothing to change; 'mailauth domain set --help' shows what there is"));
                }
                let mut row = find(&store, &domain)?;
                columns.apply(&mut row)?;
                store.set_domain(&row)?;
                say(format_args!("changed the domain {domain}"))?;
            }
            Verb::Remove { domain, contents } => {
                store.remove_domain(domain.as_str(), contents)?;
                say(format_args!("removed the domain {domain}; mail that is stored stays where it is"))?;
            }
        }
        Ok(Exit::Yes)
    }
}

/// The row of a domain that has to be there.
pub fn find(store: &impl Administration, domain: &DomainName) -> Result<DomainRow, Failure> {
    let found = store.domains()?.into_iter().find(|row| row.name == domain.as_str());
    found.ok_or_else(|| Failure::no(no_such("domain", domain.as_str())))
}

fn list(store: &impl Administration, as_json: bool) -> Result<(), Failure> {
    let domains = store.domains()?;
    if as_json {
        return json(&domains.into_iter().map(Shown::from).collect::<Vec<_>>());
    }
    let mut table = Table::new(["DOMAIN", "ENABLED", "DESCRIPTION"]);
    for row in &domains {
        table.row([&row.name, yes_no(row.enabled), row.description.as_deref().unwrap_or_default()]);
    }
    say(table)
}

fn show(store: &impl Administration, domain: &DomainName, as_json: bool) -> Result<(), Failure> {
    let mut shown = Shown::from(find(store, domain)?);
    let mut accounts = 0;
    let unreadable = all_accounts(store, |row| accounts += usize::from(row.login.domain() == domain.as_str()))?;
    let aliases = store.aliases(Some(domain.as_str()))?.len();
    (shown.accounts, shown.aliases) = (Some(accounts), Some(aliases));
    if as_json {
        json(&shown)?;
    } else {
        let mut sheet = Sheet::new();
        sheet.line("domain", &shown.domain);
        sheet.line("enabled", yes_no(shown.enabled));
        sheet.line("description", shown.description.as_deref().unwrap_or_default());
        sheet.line("accounts", accounts);
        sheet.line("aliases", aliases);
        say(sheet)?;
    }
    unreadable.complain()
}
