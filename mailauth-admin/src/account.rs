//! `mailauth account`.

use crate::account_columns::{Columns, show_quota};
use crate::failure::{Exit, Failure, no_such};
use crate::hash::{Storing, make_permitted, read_scheme};
use crate::listing::{INCOMPLETE, each_account};
use crate::output::{List, ListRow, Sheet, json, printable, remark, say, yes_no};
use crate::setup::{Setup, read_domain};
use crate::{account_columns, account_csv, judgement, mailbox, password_prompt};
use clap::{Args, Subcommand};
use mailauth_core::account::{AccountRow, Login, Password};
use mailauth_core::config::Config;
use mailauth_core::password::Stored;
use mailauth_core::spelling::readable;
use mailauth_core::store::{AccountChange, AccountStore, Administration, Changed, SqlStore};
use mailauth_core::{DomainName, Services};
use serde::Serialize;
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum Verb {
    /// Add an account to a domain; asks for its password
    ///
    /// For example: mailauth account add anna@example.org --name "Anna Example" --quota 1G,10000 --services imap,smtp
    Add {
        /// As anna@example.org
        login: String,
        #[command(flatten)]
        password: NewPassword,
        /// Give it no password: nobody can log in until one is set
        #[arg(long, conflicts_with = "password_stdin")]
        no_password: bool,
        #[command(flatten)]
        columns: Columns,
        /// Make its home and Maildir too, as far as they are missing; as root, or as the mailbox's user
        #[arg(long)]
        make_mailbox: bool,
    },
    /// List all accounts, or those of one domain
    List {
        /// As example.org
        #[arg(value_parser = read_domain)]
        domain: Option<DomainName>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one account, and where its mail is once the defaults are filled in
    Show {
        /// As anna@example.org
        login: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change columns of an account
    Set {
        /// As anna@example.org
        login: String,
        #[command(flatten)]
        columns: Columns,
        /// Make its home and Maildir, as far as they are missing; as root, or as the mailbox's user
        #[arg(long)]
        make_mailbox: bool,
    },
    /// Set a new password; asks for it
    Passwd {
        /// As anna@example.org
        login: String,
        #[command(flatten)]
        password: NewPassword,
        /// Take the password away: nobody can log in until one is set
        #[arg(long, conflicts_with = "password_stdin")]
        no_password: bool,
    },
    /// Remove an account; its mail stays where it is
    Remove {
        /// As anna@example.org
        login: OsString,
        #[command(flatten)]
        exact: Exact,
    },
    /// Give an account another login
    ///
    /// Everything else in its row stays as it is, and so does its mail, where it is: if the row has no home of its own, move
    /// the mail, or set the former home with 'mailauth account set NEW --home PATH'. Aliases that name the old login as a
    /// target go on doing so.
    Rename {
        /// As anna@example.org
        old: OsString,
        /// As anna.example@example.org, in a domain that exists
        new: String,
        #[command(flatten)]
        exact: Exact,
    },
    /// Add all accounts of a CSV file, and the domains they are in, or nothing
    #[command(long_about = account_csv::IMPORT_HELP)]
    Import {
        /// The file, or - for the standard input
        file: PathBuf,
    },
    /// Print all accounts as CSV, with their stored passwords
    #[command(long_about = account_csv::EXPORT_HELP)]
    Export {
        /// A file to create that nobody else may read [default: the standard output]
        file: Option<PathBuf>,
    },
}

#[derive(Args)]
pub struct Exact {
    /// Take the login byte for byte as it is in the table, also when it is no valid login
    ///
    /// Lists show such logins as a shell reads them in $'...': mailauth account remove --exact $'\xc3\x84rger@example.org'
    #[arg(long)]
    exact: bool,
}

impl Exact {
    /// The bytes of a login in the table.
    fn bytes(&self, setup: &Setup, text: &OsStr) -> Result<Vec<u8>, Failure> {
        if self.exact {
            return Ok(text.as_bytes().to_vec());
        }
        let not_text = || Failure::usage(format!("{text:?}: the login is not UTF-8; --exact takes it as it is"));
        setup.login(text.to_str().ok_or_else(not_text)?).map(|login| login.as_str().as_bytes().to_vec())
    }
}

/// A login for people: escaped where it is not a valid one.
fn shown(stored: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(stored) {
        Ok(text) => printable(text),
        Err(_) => stored.escape_ascii().to_string().into(),
    }
}

/// What the daemon is told of a row: nothing if no login comes to it.
fn changed(stored: &[u8]) -> Option<Changed> {
    Login::parse(stored, None).ok().map(Changed::Account)
}

#[derive(Args)]
pub struct NewPassword {
    /// Read the password from the standard input
    #[arg(long)]
    password_stdin: bool,
    /// sha512-crypt, sha256-crypt, bcrypt, argon2id or yescrypt [default: as configured]; or plain, in clear, which only
    /// CRAM-MD5 and APOP need
    #[arg(long, value_parser = read_scheme)]
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
    pub fn run(self, setup: &Setup) -> Result<Exit, Failure> {
        let store = setup.store()?;
        let config = &setup.config;
        match self {
            Verb::Add { login, password, no_password, columns, make_mailbox } => {
                let (login, change) = judgement::new_account(setup.new_login(&login), &columns, config)?;
                warn_of(&change);
                let row = add(setup, &store, login, change, password, no_password)?;
                if make_mailbox {
                    mailbox::make(row, config)?;
                } else {
                    mailbox::remark_missing(row, config);
                }
            }
            Verb::List { domain, json } => list(&store, domain.as_ref(), json)?,
            Verb::Show { login, json } => show(&store, &setup.login(&login)?, json, config)?,
            Verb::Set { login, columns, make_mailbox } => {
                let login = setup.login(&login)?;
                if columns.is_empty() && make_mailbox {
                    mailbox::make(find(&store, &login)?, config)?;
                    return Ok(Exit::Yes);
                }
                if columns.is_empty() {
                    return Err(Failure::usage("nothing to change; 'mailauth account set --help' shows the columns"));
                }
                let change = judgement::change(&store, &login, &columns, config)?;
                warn_of(&change);
                hint_at_services(change.services.as_ref());
                set(setup, &store, &login, &change)?;
                say(format_args!("changed the account {}", login.readable()))?;
                if change.quota_bytes.is_some() || change.quota_messages.is_some() {
                    crate::quota::follow(&store, &login, config)?;
                }
                if make_mailbox {
                    mailbox::make(find(&store, &login)?, config)?;
                }
            }
            Verb::Passwd { login, password, no_password } => {
                let login = setup.login(&login)?;
                find(&store, &login)?;
                let new = if no_password { Password::default() } else { password.make(&login, config)? };
                set(setup, &store, &login, &AccountChange { password: Some(new), ..AccountChange::default() })?;
                say(format_args!(
                    "{} the password of {}",
                    if no_password { "removed" } else { "changed" },
                    login.readable()
                ))?;
            }
            Verb::Remove { login, exact } => {
                let login = exact.bytes(setup, &login)?;
                let what: Vec<_> = changed(&login).into_iter().collect();
                setup.change(&store, &what, |store| store.remove_stored_account(&login))?;
                say(format_args!("removed the account {}; mail that is stored stays where it is", shown(&login)))?;
            }
            Verb::Rename { old, new, exact } => {
                let old = exact.bytes(setup, &old)?;
                rename(setup, &store, &old, setup.new_login(&new)?)?;
            }
            Verb::Import { file } => {
                account_csv::import(&store, &file, setup)?;
            }
            Verb::Export { file } => account_csv::export(&store, file.as_deref())?,
        }
        Ok(Exit::Yes)
    }
}

/// Changes a row, and lets the daemon know.
fn set(setup: &Setup, store: &SqlStore, login: &Login, change: &AccountChange) -> Result<(), Failure> {
    Ok(setup.change(store, &[Changed::Account(login.clone())], |store| store.set_account(login, change))?)
}

fn add(
    setup: &Setup,
    store: &SqlStore,
    login: Login,
    change: AccountChange,
    password: NewPassword,
    no_password: bool,
) -> Result<AccountRow, Failure> {
    // Before the password is asked for, which would be in vain.
    let domain = DomainName::parse(login.domain()).map_err(|error| Failure::usage(error.to_string()))?;
    crate::domain::find(store, &domain)?;
    if store.find(&login)?.is_some() {
        let (what, name) = ("account", login.to_string());
        return Err(mailauth_core::store::AdminError::Exists { what, name }.into());
    }
    hint_at_services(change.services.as_ref());
    let mut row = AccountRow::new(login);
    if !no_password {
        row.password = password.make(&row.login, &setup.config)?;
    }
    apply(change, &mut row);
    setup.change(store, &[Changed::Account(row.login.clone())], |store| store.add_account(&row))?;
    if let Some(note) = crate::alias::of_account(store, &row.login) {
        remark(format_args!("note: {note}"));
    }
    say(format_args!("added the account {}", row.login.readable()))?;
    Ok(row)
}

fn rename(setup: &Setup, store: &SqlStore, old: &[u8], new: Login) -> Result<(), Failure> {
    judgement::rename(store, old, &new, &setup.config)?;
    let what: Vec<_> = changed(old).into_iter().chain([Changed::Account(new.clone())]).collect();
    setup.change(store, &what, |store| store.rename_account(old, &new))?;
    say(format_args!("renamed the account {} to {new}", shown(old)))?;
    // It is done; that nothing can be said of the home is no failure.
    let Ok(row) = find(store, &new) else { return Ok(()) };
    let home = |login: Login| {
        let mailbox = setup.config.mailbox.resolve(AccountRow { login, ..row.clone() }).ok()?;
        Some(mailauth_core::quota::room::maildir(&mailbox))
    };
    let before = Login::as_it_stands(old).and_then(&home);
    if let (Some(before), Some(after)) = (before, home(new))
        && before != after
    {
        remark(format_args!(
            "note: its mail stays in {}, and is looked for in {} from now on: move it there, or set the former home with \
             'mailauth account set --home'",
            before.display(),
            after.display()
        ));
    }
    Ok(())
}

/// Fills in what a change names.
pub fn apply(change: AccountChange, row: &mut AccountRow) {
    fn put<T>(field: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *field = value;
        }
    }
    put(&mut row.password, change.password);
    put(&mut row.enabled, change.enabled);
    put(&mut row.services, change.services);
    put(&mut row.uid, change.uid);
    put(&mut row.gid, change.gid);
    put(&mut row.home, change.home);
    put(&mut row.maildir, change.maildir);
    put(&mut row.quota_bytes, change.quota_bytes);
    put(&mut row.quota_messages, change.quota_messages);
    put(&mut row.name, change.name);
    put(&mut row.options, change.options);
    put(&mut row.receives, change.receives);
}

/// What two opposite switches say; nothing if neither is there.
pub fn switch(on: bool, off: bool) -> Option<bool> {
    (on || off).then_some(on)
}

/// Says what is doubtful about a change, though it is made.
fn warn_of(change: &AccountChange) {
    if let Some(doubt) = account_columns::doubt(change) {
        remark(format_args!("warning: --quota: {doubt}"));
    }
}

/// A service that this program does not know is permitted, and more often a slip.
fn hint_at_services(services: Option<&Services>) {
    let Some(Services::Only(list)) = services else { return };
    for service in list {
        if let mailauth_core::Service::Other(name) = service {
            remark(format_args!("note: {name} is no service that mailauth knows; it means whoever calls itself that"));
        }
    }
}

/// The row of an account that has to be there.
pub fn find(store: &SqlStore, login: &Login) -> Result<AccountRow, Failure> {
    store.find(login)?.ok_or_else(|| Failure::no(no_such("account", login.as_str())))
}

/// An account as JSON has it: the columns as they stand in the table.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(skip)]
    row: &'a AccountRow,
    login: &'a str,
    /// In the letters of its language, where that is another form.
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

impl<'a> From<&'a AccountRow> for Shown<'a> {
    fn from(row: &'a AccountRow) -> Self {
        Shown {
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

fn list(store: &SqlStore, domain: Option<&DomainName>, as_json: bool) -> Result<(), Failure> {
    if let Some(domain) = domain {
        crate::domain::find(store, domain)?;
    }
    let mut list = List::new(["LOGIN", "ENABLED", "SERVICES", "QUOTA", "NAME"], as_json);
    let unusable = each_account(store, domain, |row| list.add(&Shown::from(&row)))?;
    list.end()?;
    unusable.complain(INCOMPLETE)
}

impl ListRow<5> for Shown<'_> {
    fn cells(&self) -> [Cow<'_, str>; 5] {
        let row = self.row;
        let enabled = if row.domain_enabled { yes_no(row.enabled) } else { "domain disabled" };
        let quota = show_quota(row.quota_bytes, row.quota_messages);
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

/// One account as JSON has it.
#[derive(Serialize)]
struct ShownWhole<'a> {
    #[serde(flatten)]
    row: Shown<'a>,
    password: ShownPassword,
    mailbox: Option<Mailbox>,
    problem: Option<String>,
    created: String,
    updated: String,
    password_changed: String,
}

/// What can be said of a stored password without telling it.
#[derive(Serialize)]
struct ShownPassword {
    scheme: Option<&'static str>,
    problem: Option<String>,
}

/// Where the mail is, with the defaults filled in.
#[derive(Serialize)]
struct Mailbox {
    uid: u32,
    gid: u32,
    home: String,
    maildir: Option<String>,
    quota: String,
}

fn show(store: &SqlStore, login: &Login, as_json: bool, config: &Config) -> Result<(), Failure> {
    let row = find(store, login)?;
    let times = store.account_times(login)?.unwrap_or_default();
    let password = match Stored::parse(row.password.0.expose(), &config.password.rules) {
        Ok(stored) => ShownPassword { scheme: Some(stored.scheme()), problem: None },
        Err(flaw) => ShownPassword { scheme: None, problem: Some(flaw.to_string()) },
    };
    let (mailbox, problem) = match config.mailbox.resolve(row.clone()) {
        Ok(account) => {
            let (home, maildir, quota) = (account.home, account.maildir, account.quota.to_string());
            (Some(Mailbox { uid: account.uid, gid: account.gid, home, maildir, quota }), None)
        }
        Err(unusable) => (None, Some(unusable.to_string())),
    };
    if as_json {
        let (created, updated, password_changed) = (times.created, times.updated, times.password_changed);
        let row = Shown::from(&row);
        return json(&ShownWhole { row, password, mailbox, problem, created, updated, password_changed });
    }
    let mut sheet = Sheet::new();
    let shown_login = row.login.readable();
    sheet.line("login", &shown_login);
    if shown_login != row.login.as_str() {
        sheet.line("in ASCII", &row.login);
    }
    sheet.line("name", row.name.as_deref().unwrap_or_default());
    sheet.line("enabled", if row.domain_enabled { yes_no(row.enabled) } else { "no, for its domain is disabled" });
    sheet.line("services", in_words(&row.services));
    sheet.line("receives mail", yes_no(row.receives));
    sheet.line("password", password.scheme.map(str::to_owned).or(password.problem).unwrap_or_default());
    if let Some(problem) = problem {
        sheet.line("problem", problem);
    }
    // A value in brackets is the configuration's, not the row's.
    let whose = |own: bool, value: String| if own { value } else { format!("({value})") };
    if let Some(mailbox) = mailbox {
        sheet.line("uid", whose(row.uid.is_some(), mailbox.uid.to_string()));
        sheet.line("gid", whose(row.gid.is_some(), mailbox.gid.to_string()));
        sheet.line("home", whose(row.home.is_some(), mailbox.home));
        sheet.line("maildir", whose(row.maildir.is_some(), mailbox.maildir.unwrap_or_default()));
        let own = row.quota_bytes.or(row.quota_messages).is_some();
        sheet.line("quota", whose(own, if mailbox.quota.is_empty() { "none".to_owned() } else { mailbox.quota }));
    }
    sheet.line("options", row.options.as_deref().unwrap_or_default());
    sheet.line("created", times.created);
    sheet.line("updated", times.updated);
    sheet.line("password set", if times.password_changed.is_empty() { "never" } else { &times.password_changed });
    say(sheet)
}
