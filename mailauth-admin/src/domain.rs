//! `mailauth domain`.

use crate::context::{Context, read_domain, read_new_domain};
use crate::csv_export::Export;
use crate::csv_import::Import;
use crate::failure::{Exit, Failure};
use crate::listing::{INCOMPLETE, each_account, each_alias, each_domain};
use crate::output::{List, ListRow, Sheet, json, remark, say, say_in_colour, yes_no};
use crate::quota::figures;
use crate::{domain_alias, domain_csv, lookup, nearby, switch};
use clap::{Args, Subcommand};
use mailauth_core::DomainName;
use mailauth_core::quota::{Limits, Usage};
use mailauth_core::spelling::readable_domain;
use mailauth_core::store::{Administration, Changed, DomainRow, PoolStore, PoolUse, SqlStore};
use serde::Serialize;
use std::borrow::Cow;

#[derive(Subcommand)]
pub enum Verb {
    /// Add a domain
    Add {
        /// Name of the domain, such as example.org or bücher.example
        #[arg(value_parser = read_new_domain)]
        domain: DomainName,
        #[command(flatten)]
        columns: Columns,
    },
    /// List all domains
    List {
        /// Only enabled domains
        #[arg(long, conflicts_with = "disabled")]
        enabled: bool,
        /// Only disabled domains
        #[arg(long)]
        disabled: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a domain
    Show {
        /// Name of the domain, such as example.org
        #[arg(value_parser = read_domain)]
        domain: DomainName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a domain; only the given options are changed
    Set {
        /// Name of the domain, such as example.org
        #[arg(value_parser = read_domain)]
        domain: DomainName,
        #[command(flatten)]
        columns: Columns,
    },
    /// Alias domains: other names of domains
    #[command(subcommand)]
    Alias(domain_alias::Verb),
    /// Add all domains of a CSV file, or nothing if a row is invalid
    #[command(long_about = domain_csv::IMPORT_HELP)]
    Import(Import),
    /// Print all domains as CSV, in the form that 'mailauth domain import' reads
    Export(Export),
    /// Remove a domain that has no accounts, aliases or alias domains
    Remove {
        /// Name of the domain, such as example.org
        #[arg(value_parser = read_domain)]
        domain: DomainName,
        /// Also remove its accounts, aliases and alias domains; stored mail is not removed
        #[arg(long)]
        contents: bool,
    },
}

#[derive(Args)]
pub struct Columns {
    /// Description for administrators; empty for none
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Permit logins and mail for its accounts; the default for a new domain
    #[arg(long, conflicts_with = "disabled")]
    enabled: bool,
    /// Forbid logins and reject mail for all of its accounts
    #[arg(long)]
    disabled: bool,
    /// Make this host a backup MX: mail for all addresses of the domain is accepted and sent on, and it has no accounts
    #[arg(long, conflicts_with = "no_backup")]
    backup: bool,
    /// Store its mail on this host; the default for a new domain
    #[arg(long)]
    no_backup: bool,
    /// Maximum size and number of messages of all its mailboxes together, such as 10G,100000; none for no limit, which is the
    /// default for a new domain
    #[arg(long, value_parser = read_quota, value_name = "QUOTA", allow_hyphen_values = true)]
    quota: Option<Limits>,
}

/// A domain in JSON.
#[derive(Serialize)]
struct DomainJson {
    /// The name as it is in the table.
    domain: String,
    /// The name in Unicode, if that is different.
    #[serde(skip_serializing_if = "Option::is_none")]
    readable: Option<String>,
    enabled: bool,
    backup: bool,
    description: Option<String>,
    quota_bytes: Option<u64>,
    quota_messages: Option<u64>,
    /// Use of its quota, if it has one.
    used: Option<UsageJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aliases: Option<usize>,
}

/// Use of a domain's quota in JSON.
#[derive(Clone, Copy, Serialize)]
struct UsageJson {
    bytes: u64,
    messages: u64,
    /// Number of mailboxes that are counted.
    mailboxes: u64,
}

impl DomainJson {
    fn new(store: &impl PoolStore, row: DomainRow) -> Result<Self, Failure> {
        let DomainRow { name, enabled, description, quota, backup } = row;
        let used = if quota == Limits::NONE {
            None
        } else {
            let PoolUse { usage: Usage { bytes, messages }, mailboxes } = store.pool_use(&name)?;
            Some(UsageJson { bytes, messages, mailboxes })
        };
        let (quota_bytes, quota_messages) = (quota.bytes, quota.messages);
        let (accounts, aliases) = (None, None);
        let readable = Some(readable_domain(&name)).filter(|readable| *readable != name).map(Cow::into_owned);
        Ok(DomainJson {
            domain: name,
            readable,
            enabled,
            backup,
            description,
            quota_bytes,
            quota_messages,
            used,
            accounts,
            aliases,
        })
    }

    fn quota(&self) -> String {
        match figures::limits(self.quota_bytes, self.quota_messages) {
            quota if quota.is_empty() => "none".to_owned(),
            quota => quota,
        }
    }

    fn used(&self) -> String {
        let usage = |used: UsageJson| figures::used(Usage { bytes: used.bytes, messages: used.messages });
        self.used.map(usage).unwrap_or_default()
    }
}

/// Parses a quota as an administrator writes it.
fn read_quota(text: &str) -> Result<Limits, String> {
    Limits::parse_human(text).map_err(|error| error.to_string())
}

/// Note after a domain got a quota.
pub const RECOUNT: &str =
    "mailboxes count towards this quota only after they have been counted: run 'mailauth quota recount --all'";

/// Reads a description.
pub fn check_description(text: &str) -> Result<Option<String>, String> {
    if text.contains(char::is_control) || text.chars().count() > 255 {
        return Err("it has more than 255 characters or a control character".to_owned());
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

impl Columns {
    fn is_empty(&self) -> bool {
        self.description.is_none()
            && !self.enabled
            && !self.disabled
            && !self.backup
            && !self.no_backup
            && self.quota.is_none()
    }

    fn apply(self, row: &mut DomainRow) -> Result<(), Failure> {
        if let Some(text) = self.description {
            let checked = check_description(&text);
            row.description = checked.map_err(|problem| Failure::usage(format!("the description: {problem}")))?;
        }
        row.quota = self.quota.unwrap_or(row.quota);
        if let Some(doubt) = self.quota.and_then(Limits::doubt) {
            remark(format_args!("warning: --quota: {doubt}"));
        }
        row.enabled = switch::from_options(self.enabled, self.disabled).unwrap_or(row.enabled);
        row.backup = switch::from_options(self.backup, self.no_backup).unwrap_or(row.backup);
        Ok(())
    }
}

impl Verb {
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        if matches!(self, Verb::Add { .. } | Verb::Set { .. } | Verb::Remove { .. }) {
            store.ensure_own()?;
        }
        match self {
            Verb::Alias(verb) => verb.run(context, &store)?,
            Verb::Add { domain, columns } => {
                let mut row = DomainRow::new(domain.as_str());
                columns.apply(&mut row)?;
                context.change(&store, &[Changed::Domain(domain.clone())], |store| store.add_domain(&row))?;
                say(format_args!("added the domain {}", domain.readable()))?;
            }
            Verb::List { enabled, disabled, json: as_json } => {
                list(&store, switch::from_options(enabled, disabled), as_json)?
            }
            Verb::Show { domain, json: as_json } => show(&store, &domain, as_json)?,
            Verb::Set { domain, columns } => {
                if columns.is_empty() {
                    return Err(Failure::usage("nothing to change; 'mailauth domain set --help' lists the options"));
                }
                let mut row = lookup::domain(&store, &domain)?;
                let before = row.quota;
                columns.apply(&mut row)?;
                let set = context.change(&store, &[Changed::Domain(domain.clone())], |store| store.set_domain(&row));
                set.map_err(|error| nearby::refused(&store, error, false))?;
                say(format_args!("changed the domain {}", domain.readable()))?;
                if before == Limits::NONE && row.quota != Limits::NONE {
                    remark(RECOUNT);
                }
            }
            Verb::Import(import) => domain_csv::import(context, &store, &import)?,
            Verb::Export(export) => domain_csv::export(&store, &export)?,
            Verb::Remove { domain, contents } => {
                let what = if contents { domain_alias::names_of(&store, &domain)? } else { Vec::new() };
                let what: Vec<_> = [domain.clone()].into_iter().chain(what).map(Changed::Domain).collect();
                let removed = context.change(&store, &what, |store| store.remove_domain(domain.as_str(), contents));
                removed.map_err(|error| nearby::refused(&store, error, false))?;
                let name = domain.readable();
                say(format_args!("removed the domain {name}; stored mail was not removed"))?;
            }
        }
        Ok(Exit::Yes)
    }
}

fn list(store: &SqlStore, enabled: Option<bool>, as_json: bool) -> Result<(), Failure> {
    let mut list = List::new(["DOMAIN", "ENABLED", "QUOTA", "USED", "DESCRIPTION"], as_json);
    let unusable = each_domain(store, |row| match enabled.is_none_or(|wanted| wanted == row.enabled) {
        true => list.add(&DomainJson::new(store, row)?),
        false => Ok(()),
    })?;
    list.end()?;
    unusable.complain(INCOMPLETE)
}

impl ListRow<5> for DomainJson {
    fn cells(&self) -> [Cow<'_, str>; 5] {
        let description = self.description.as_deref().unwrap_or_default();
        [
            readable_domain(&self.domain),
            yes_no(self.enabled).into(),
            self.quota().into(),
            self.used().into(),
            description.into(),
        ]
    }
}

fn show(store: &SqlStore, domain: &DomainName, as_json: bool) -> Result<(), Failure> {
    let mut shown = DomainJson::new(store, lookup::domain(store, domain)?)?;
    let (mut accounts, mut aliases) = (0, 0);
    let mut unusable = each_account(store, Some(domain), |_| {
        accounts += 1;
        Ok(())
    })?;
    unusable.append(each_alias(store, Some(domain), |_| {
        aliases += 1;
        Ok(())
    })?);
    (shown.accounts, shown.aliases) = (Some(accounts), Some(aliases));
    if as_json {
        json(&shown)?;
    } else {
        let mut sheet = Sheet::new();
        let readable = readable_domain(&shown.domain);
        sheet.line("domain", &readable);
        if readable != shown.domain {
            sheet.line("in ASCII", &shown.domain);
        }
        sheet.line("enabled", yes_no(shown.enabled));
        sheet.line("mail", if shown.backup { "sent on, because this host is a backup MX" } else { "kept here" });
        sheet.line("description", shown.description.as_deref().unwrap_or_default());
        sheet.line("quota", shown.quota());
        if let Some(used) = shown.used {
            sheet.line("used", format_args!("{}, of {} mailboxes", shown.used(), used.mailboxes));
        }
        sheet.line("accounts", accounts);
        sheet.line("aliases", aliases);
        say_in_colour(&sheet)?;
    }
    unusable.complain(INCOMPLETE)
}
