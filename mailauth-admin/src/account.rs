//! `mailauth account`.

use crate::account_columns::Columns;
use crate::context::{Context, read_domain};
use crate::csv_export::Export;
use crate::csv_import::Import;
use crate::failure::{Exit, Failure};
use crate::hash::{Storing, make_permitted, read_stored};
use crate::listing::{INCOMPLETE, each_account};
use crate::output::{List, ListRow, Sheet, json, remark, say, say_in_colour, yes_no};
use crate::proposed;
use crate::quota::figures;
use crate::stored_login::{self, Exact};
use crate::{
    account_columns, account_csv, account_rename, lookup, mailbox, nearby, password_prompt, switch, validation,
};
use clap::{Args, Subcommand};
use mailauth_core::Service;
use mailauth_core::account::{AccountRow, Login, Password};
use mailauth_core::config::Config;
use mailauth_core::password::{Flaw, Stored};
use mailauth_core::quota::Limits;
use mailauth_core::spelling::readable;
use mailauth_core::store::{AccountChange, AccountStore, Administration, Changed, SqlStore, StoreError};
use mailauth_core::{DomainName, Services};
use serde::Serialize;
use std::borrow::Cow;
use std::ffi::OsString;

#[derive(Subcommand)]
pub enum Verb {
    /// Add an account; asks for its password
    ///
    /// For example: mailauth account add anna@example.org --name "Anna Example" --quota 1G
    Add {
        /// Login, such as anna@example.org
        login: String,
        #[command(flatten)]
        password: NewPassword,
        /// Set no password: logins are refused until one is set
        #[arg(long, conflicts_with = "password_stdin")]
        no_password: bool,
        /// Read the hash of a password, such as $6$... or {SSHA256}..., from the standard input and store it
        #[arg(long, conflicts_with_all = ["password_stdin", "no_password", "scheme"])]
        hash_stdin: bool,
        #[command(flatten)]
        columns: Columns,
        /// Also create the home and the Maildir if they are missing; must run as root or as the owner of the mailbox
        #[arg(long)]
        make_mailbox: bool,
    },
    /// List all accounts, or those of one domain
    ///
    /// With several conditions, accounts that meet all of them are listed. 'mailauth quota report --over 100' lists the
    /// accounts that are over their quota.
    List {
        /// Name of the domain, such as example.org
        #[arg(value_parser = read_domain)]
        domain: Option<DomainName>,
        #[command(flatten)]
        only: Only,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show an account, including the values that the configuration supplies
    Show {
        /// Login, such as anna@example.org
        login: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change an account; only the given options are changed
    Set {
        /// Login, such as anna@example.org
        login: String,
        /// Read the hash of a password, such as $6$... or {SSHA256}..., from the standard input and store it
        #[arg(long)]
        hash_stdin: bool,
        #[command(flatten)]
        columns: Columns,
        /// Also create the home and the Maildir if they are missing; must run as root or as the owner of the mailbox
        #[arg(long)]
        make_mailbox: bool,
    },
    /// Set a new password; asks for it
    Passwd {
        /// Login, such as anna@example.org
        login: String,
        #[command(flatten)]
        password: NewPassword,
        /// Remove the password: logins are refused until one is set
        #[arg(long, conflicts_with = "password_stdin")]
        no_password: bool,
    },
    /// Remove an account; stored mail is not removed
    Remove {
        /// Login, such as anna@example.org
        login: OsString,
        #[command(flatten)]
        exact: Exact,
    },
    /// Give an account another login
    ///
    /// Aliases with the old login as a target get the new one, and the size of the mailbox counts towards the quota of the
    /// new domain. Stored mail is not moved unless --move-mailbox is given. If the account has no home of its own, move
    /// the mail, or keep the former place with 'mailauth account set NEW --home PATH'.
    Rename {
        /// Login, such as anna@example.org
        old: OsString,
        /// New login, such as anna.example@example.org, in an existing domain
        new: String,
        /// Move the home, or the Maildir if it is outside the home, to the place of the new login
        ///
        /// The new place must be on the same file system and must not exist. If the database rejects the new login, the
        /// mailbox is not moved.
        #[arg(long)]
        move_mailbox: bool,
        #[command(flatten)]
        exact: Exact,
    },
    /// Add all accounts of a CSV file and their domains, or nothing if a row is invalid
    #[command(long_about = account_csv::IMPORT_HELP)]
    Import(Import),
    /// Print all accounts as CSV, including the stored passwords
    #[command(long_about = account_csv::EXPORT_HELP)]
    Export(Export),
}

/// Conditions for the accounts that are listed.
#[derive(Args)]
pub struct Only {
    /// Only enabled accounts, in enabled domains
    #[arg(long, conflicts_with = "disabled")]
    enabled: bool,
    /// Only disabled accounts, and accounts in disabled domains
    #[arg(long)]
    disabled: bool,
    /// Only accounts that may use this service, such as imap
    #[arg(long, value_name = "SERVICE", value_parser = proposed::service(read_service), hide_possible_values = true)]
    service: Option<Service>,
    /// Only accounts without a password
    #[arg(long)]
    without_password: bool,
}

impl Only {
    fn has(&self, row: &AccountRow, config: &Config) -> bool {
        let enabled = row.enabled && row.domain_enabled;
        let unknown = config.login.unknown_services;
        switch::from_options(self.enabled, self.disabled).is_none_or(|wanted| wanted == enabled)
            && self.service.as_ref().is_none_or(|service| row.services.permit(service, unknown))
            && (!self.without_password || row.password.0.is_empty())
    }
}

/// Reads the name of one service.
fn read_service(name: &str) -> Result<Service, String> {
    match Services::parse(name) {
        Ok(Services::Only(list)) if list.len() == 1 => list.into_iter().next().ok_or_else(String::new),
        _ => Err("give one service, such as imap".to_owned()),
    }
}

#[derive(Args)]
pub struct NewPassword {
    /// Read the password from the standard input
    #[arg(long)]
    password_stdin: bool,
    /// Scheme of the hash: sha512-crypt, sha256-crypt, bcrypt, argon2id or yescrypt; or plain to store the password in
    /// clear, which only CRAM-MD5 and APOP need [default: the configured scheme]
    #[arg(long, value_parser = proposed::scheme(), hide_possible_values = true)]
    scheme: Option<Storing>,
}

impl NewPassword {
    fn make(&self, login: &Login, config: &Config) -> Result<Password, Failure> {
        let password = match self.password_stdin {
            true => password_prompt::from_stdin()?,
            false => password_prompt::ask_new(&format!("New password for {login}: "))?,
        };
        make_permitted(self.scheme.unwrap_or(Storing::Hashed(config.password.scheme)), &password, config).map(Password)
    }
}

impl Verb {
    /// Fails if this changes accounts that belong to another program, before a password is asked for in vain.
    fn ensure_permitted(&self, store: &SqlStore) -> Result<(), StoreError> {
        match self {
            Verb::List { .. } | Verb::Show { .. } | Verb::Export(_) => Ok(()),
            // It creates the mailbox at most.
            Verb::Set { columns, hash_stdin: false, .. } if columns.is_empty() => Ok(()),
            Verb::Passwd { .. } => store.keeps_passwords().map_or(Ok(()), Err),
            _ => store.ensure_own(),
        }
    }

    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        self.ensure_permitted(&store)?;
        let config = &context.config;
        match self {
            Verb::Add { login, password, no_password, hash_stdin, columns, make_mailbox } => {
                let (login, mut change) = validation::new_account(context.new_login(&login), &columns, config)?;
                warn_of(&change);
                let source = match (no_password, hash_stdin) {
                    (true, _) => None,
                    (_, true) => {
                        change.password = Some(stored_from_stdin(config)?);
                        None
                    }
                    _ => Some(password),
                };
                let row = add(context, &store, login, change, source)?;
                if make_mailbox {
                    mailbox::make(row, config)?;
                } else {
                    mailbox::remark_missing(row, config);
                }
            }
            Verb::List { domain, only, json } => list(&store, domain.as_ref(), &only, json, config)?,
            Verb::Show { login, json } => show(&store, &context.login(&login)?, json, config)?,
            Verb::Set { login, hash_stdin, columns, make_mailbox } => {
                let login = context.login(&login)?;
                let nothing = columns.is_empty() && !hash_stdin;
                if nothing && make_mailbox {
                    mailbox::make(lookup::account(&store, &login)?, config)?;
                    return Ok(Exit::Yes);
                }
                if nothing {
                    return Err(Failure::usage("nothing to change; 'mailauth account set --help' lists the options"));
                }
                let mut change = validation::change(&store, &login, &columns, config)?;
                if hash_stdin {
                    change.password = Some(stored_from_stdin(config)?);
                }
                warn_of(&change);
                set(context, &store, &login, &change)?;
                say(format_args!("changed the account {}", login.readable()))?;
                if change.quota_bytes.is_some() || change.quota_messages.is_some() {
                    crate::quota::follow(&store, &login, config)?;
                }
                if make_mailbox {
                    mailbox::make(lookup::account(&store, &login)?, config)?;
                }
            }
            Verb::Passwd { login, password, no_password } => {
                let login = context.login(&login)?;
                lookup::account(&store, &login)?;
                let new = if no_password { Password::default() } else { password.make(&login, config)? };
                set(context, &store, &login, &AccountChange { password: Some(new), ..AccountChange::default() })?;
                say(format_args!(
                    "{} the password of {}",
                    if no_password { "removed" } else { "changed" },
                    login.readable()
                ))?;
            }
            Verb::Remove { login, exact } => {
                let login = exact.bytes(context, &login)?;
                let what: Vec<_> = stored_login::change_notice(&login).into_iter().collect();
                let removed = context.change(&store, &what, |store| store.remove_stored_account(&login));
                removed.map_err(|error| nearby::refused(&store, error, false))?;
                say(format_args!(
                    "removed the account {}; stored mail was not removed",
                    stored_login::readable(&login)
                ))?;
            }
            Verb::Rename { old, new, move_mailbox, exact } => {
                let old = exact.bytes(context, &old)?;
                account_rename::rename(context, &store, &old, context.new_login(&new)?, move_mailbox)?;
            }
            Verb::Import(import) => account_csv::import(context, &store, &import)?,
            Verb::Export(export) => account_csv::export(&store, &export)?,
        }
        Ok(Exit::Yes)
    }
}

/// Changes a row and tells the daemon.
fn set(context: &Context, store: &SqlStore, login: &Login, change: &AccountChange) -> Result<(), Failure> {
    let done = context.change(store, &[Changed::Account(login.clone())], |store| store.set_account(login, change));
    done.map_err(|error| nearby::refused(store, error, false))
}

fn add(
    context: &Context,
    store: &SqlStore,
    login: Login,
    change: AccountChange,
    password: Option<NewPassword>,
) -> Result<AccountRow, Failure> {
    // These checks come before the password is asked for, which would be in vain.
    let domain = DomainName::parse(login.domain()).map_err(|error| Failure::usage(error.to_string()))?;
    if store.find_domain(domain.as_str())?.is_none() {
        return Err(nearby::no_domain(store, domain.as_str(), true));
    }
    if store.find(&login)?.is_some() {
        let (what, name) = ("account", login.to_string());
        return Err(mailauth_core::store::AdminError::Exists { what, name }.into());
    }
    let mut row = AccountRow::new(login);
    if let Some(password) = password {
        row.password = password.make(&row.login, &context.config)?;
    }
    change.apply(&mut row);
    let added = context.change(store, &[Changed::Account(row.login.clone())], |store| store.add_account(&row));
    added.map_err(|error| nearby::refused(store, error, true))?;
    if let Some(note) = crate::alias::of_account(store, &row.login) {
        remark(format_args!("note: {note}"));
    }
    say(format_args!("added the account {}", row.login.readable()))?;
    Ok(row)
}

/// Warns about a change that is doubtful but permitted.
fn warn_of(change: &AccountChange) {
    if let Some(doubt) = account_columns::doubt(change) {
        remark(format_args!("warning: --quota: {doubt}"));
    }
}

/// Reads a stored password from the standard input, and rejects one that no password can match.
fn stored_from_stdin(config: &Config) -> Result<Password, Failure> {
    let stored = password_prompt::hash_from_stdin()?;
    let problem = |problem| Failure::usage(format!("the hash on the standard input: {problem}"));
    match Stored::parse(stored.expose(), &config.password.rules) {
        Err(flaw @ (Flaw::Empty | Flaw::Locked)) => {
            Err(problem(format!("{flaw}; 'mailauth account passwd LOGIN --no-password' removes a password")))
        }
        _ => read_stored(stored.expose(), config).map_err(problem),
    }
}

/// An account in JSON: the columns as they are stored in the table.
#[derive(Serialize)]
struct AccountJson<'a> {
    #[serde(skip)]
    row: &'a AccountRow,
    login: &'a str,
    /// In Unicode, if that is different.
    #[serde(skip_serializing_if = "Option::is_none")]
    readable: Option<Cow<'a, str>>,
    enabled: bool,
    domain_enabled: bool,
    receives: bool,
    services: Option<Vec<&'a str>>,
    uid: Option<u32>,
    gid: Option<u32>,
    home: Option<&'a str>,
    maildir: Option<&'a str>,
    quota_bytes: Option<u64>,
    quota_messages: Option<u64>,
    name: Option<&'a str>,
    options: Option<&'a str>,
}

impl<'a> From<&'a AccountRow> for AccountJson<'a> {
    fn from(row: &'a AccountRow) -> Self {
        AccountJson {
            row,
            login: row.login.as_str(),
            readable: Some(row.login.readable()).filter(|readable| *readable != row.login.as_str()),
            enabled: row.enabled,
            domain_enabled: row.domain_enabled,
            receives: row.receives,
            services: match &row.services {
                Services::All => None,
                Services::Only(list) => Some(list.iter().map(mailauth_core::Service::name).collect()),
            },
            uid: row.uid,
            gid: row.gid,
            home: row.home.as_deref(),
            maildir: row.maildir.as_deref(),
            quota_bytes: row.quota_bytes,
            quota_messages: row.quota_messages,
            name: row.name.as_deref(),
            options: row.options.as_deref(),
        }
    }
}

fn list(
    store: &SqlStore,
    domain: Option<&DomainName>,
    only: &Only,
    as_json: bool,
    config: &Config,
) -> Result<(), Failure> {
    if let Some(domain) = domain {
        lookup::domain(store, domain)?;
    }
    let mut list = List::new(["LOGIN", "ENABLED", "SERVICES", "QUOTA", "NAME"], as_json);
    let unusable = each_account(store, domain, |row| match only.has(&row, config) {
        true => list.add(&AccountJson::from(&row)),
        false => Ok(()),
    })?;
    list.end()?;
    unusable.complain(INCOMPLETE)
}

impl ListRow<5> for AccountJson<'_> {
    fn cells(&self) -> [Cow<'_, str>; 5] {
        let row = self.row;
        let enabled = if row.domain_enabled { yes_no(row.enabled) } else { "domain disabled" };
        let quota = figures::limits(row.quota_bytes, row.quota_messages);
        let name = row.name.as_deref().unwrap_or_default();
        [readable(self.login), enabled.into(), in_words(&row.services).into(), or_default(quota), name.into()]
    }
}

fn in_words(services: &Services) -> String {
    match services {
        Services::All => "all".to_owned(),
        only => only.to_string(),
    }
}

fn or_default(text: String) -> Cow<'static, str> {
    if text.is_empty() { "default".into() } else { text.into() }
}

/// An account with everything that `account show` prints, in JSON.
#[derive(Serialize)]
struct AccountDetailsJson<'a> {
    #[serde(flatten)]
    row: AccountJson<'a>,
    password: PasswordJson,
    mailbox: Option<MailboxJson>,
    problem: Option<String>,
    created: String,
    updated: String,
    password_changed: String,
}

/// Facts about a stored password that do not reveal it.
#[derive(Serialize)]
struct PasswordJson {
    scheme: Option<&'static str>,
    problem: Option<String>,
}

/// Place and owner of the mail, including values from the configuration.
#[derive(Serialize)]
struct MailboxJson {
    uid: u32,
    gid: u32,
    home: String,
    maildir: Option<String>,
    quota: String,
}

fn show(store: &SqlStore, login: &Login, as_json: bool, config: &Config) -> Result<(), Failure> {
    let row = lookup::account(store, login)?;
    let known_times = store.account_times(login)?;
    let (has_times, times) = (known_times.is_some(), known_times.unwrap_or_default());
    let password = match Stored::parse(row.password.0.expose(), &config.password.rules) {
        Ok(stored) => PasswordJson { scheme: Some(stored.scheme()), problem: None },
        Err(flaw) => PasswordJson { scheme: None, problem: Some(flaw.to_string()) },
    };
    let (mailbox, limits, problem) = match config.mailbox.resolve(row.clone()) {
        Ok(account) => {
            let (home, maildir, quota) = (account.home, account.maildir, account.quota.to_string());
            (Some(MailboxJson { uid: account.uid, gid: account.gid, home, maildir, quota }), account.quota, None)
        }
        Err(unusable) => (None, Limits::NONE, Some(unusable.to_string())),
    };
    if as_json {
        let exact = |time: &str| if time.is_empty() { String::new() } else { time.replacen(' ', "T", 1) + "Z" };
        let (created, updated) = (exact(&times.created), exact(&times.updated));
        let password_changed = exact(&times.password_changed);
        let row = AccountJson::from(&row);
        return json(&AccountDetailsJson { row, password, mailbox, problem, created, updated, password_changed });
    }
    let mut sheet = Sheet::new();
    let shown_login = row.login.readable();
    sheet.line("login", &shown_login);
    if shown_login != row.login.as_str() {
        sheet.line("in ASCII", &row.login);
    }
    sheet.line("name", row.name.as_deref().unwrap_or_default());
    sheet.line("enabled", if row.domain_enabled { yes_no(row.enabled) } else { "no, because its domain is disabled" });
    sheet.line("services", in_words(&row.services));
    sheet.line("receives mail", yes_no(row.receives));
    sheet.line("password", password.scheme.map(str::to_owned).or(password.problem).unwrap_or_default());
    if let Some(problem) = problem {
        sheet.line("problem", problem);
    }
    // A value in parentheses comes from the configuration, not from the row.
    let whose = |own: bool, value: String| if own { value } else { format!("({value})") };
    if let Some(mailbox) = mailbox {
        sheet.line("uid", whose(row.uid.is_some(), mailbox.uid.to_string()));
        sheet.line("gid", whose(row.gid.is_some(), mailbox.gid.to_string()));
        sheet.line("home", whose(row.home.is_some(), mailbox.home));
        sheet.line("maildir", whose(row.maildir.is_some(), mailbox.maildir.unwrap_or_default()));
        let own = row.quota_bytes.or(row.quota_messages).is_some();
        let quota = figures::limits(limits.bytes, limits.messages);
        sheet.line("quota", whose(own, if quota.is_empty() { "none".to_owned() } else { quota }));
    }
    sheet.line("options", row.options.as_deref().unwrap_or_default());
    let with_zone = |time: &str| if time.is_empty() { "never".to_owned() } else { format!("{time} UTC") };
    if has_times {
        sheet.line("created", with_zone(&times.created));
        sheet.line("updated", with_zone(&times.updated));
        sheet.line("password set", with_zone(&times.password_changed));
    }
    say_in_colour(&sheet)
}
