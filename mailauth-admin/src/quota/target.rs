//! Which mailboxes are meant: an account's, all accounts', or one named by its path.

use crate::account::{all_accounts, find};
use crate::failure::{Exit, Failure};
use crate::output::{remark, say};
use crate::setup::Setup;
use clap::Args;
use mailauth_core::account::AccountRow;
use mailauth_core::config::Config;
use mailauth_core::mailbox::Unusable;
use mailauth_core::quota::{Effort, Limits, LimitsError, MaildirQuota, QuotaError, Rules};
use mailauth_core::store::SqlStore;
use std::io;
use std::path::{Path, PathBuf};

/// A mailbox that may have no mail yet.
#[derive(Clone, Debug)]
pub struct Mailbox {
    /// The account's login, or the path it was named by.
    pub name: String,
    /// Its Maildir.
    pub path: PathBuf,
    /// What it may hold.
    pub limits: Limits,
    /// The user and group it has to belong to; `None` when it was named by its path.
    pub owner: Option<(u32, u32)>,
    /// How it is counted.
    pub rules: Rules,
}

impl Mailbox {
    /// An account's.
    pub fn of(row: AccountRow, config: &Config) -> Result<Self, Unusable> {
        let account = config.mailbox.resolve(row)?;
        let path = Path::new(&account.home).join(account.maildir.as_deref().unwrap_or("Maildir"));
        let owner = Some((account.uid, account.gid));
        let (name, limits) = (account.login.to_string(), account.quota);
        Ok(Mailbox { name, path, limits, owner, rules: config.quota.rules() })
    }

    /// One named by its path.
    pub fn at(path: &Path, limits: Limits, count_trash: bool) -> Self {
        let (name, rules) = (path.display().to_string(), Rules { count_trash });
        Mailbox { name, path: path.to_owned(), limits, owner: None, rules }
    }

    /// Opens it; `None` when there is no mailbox yet.
    pub fn open(&self) -> Result<Option<MaildirQuota>, QuotaError> {
        let opened = match MaildirQuota::open(&self.path, self.limits, self.rules) {
            Err(QuotaError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        match self.owner {
            // Who is not root is held back by the system itself.
            Some((uid, _)) if rustix::process::geteuid().is_root() => opened.owned_by(uid).map(Some),
            _ => Ok(Some(opened)),
        }
    }

    /// Opens it; that there is none is an error.
    pub fn open_existing(&self) -> Result<MaildirQuota, Failure> {
        let opened = self.open().map_err(|error| Failure::not_now(error.to_string()))?;
        opened.ok_or_else(|| Failure::not_now(format!("there is no mailbox {} yet", self.path.display())))
    }
}

/// A mailbox by its path.
#[derive(Args)]
pub struct ByPath {
    /// A mailbox by its path; no database and no configuration is needed
    #[arg(long, value_name = "DIR", requires = "limit")]
    pub maildir: Option<PathBuf>,
    /// Its limits, as 10000000S,1000C or 10M,1000, or none
    #[arg(long, value_name = "LIMITS", requires = "maildir", value_parser = read_limits)]
    pub limit: Option<Limits>,
    /// Count its trash too
    #[arg(long, requires = "maildir")]
    pub count_trash: bool,
}

impl ByPath {
    pub fn mailbox(&self) -> Option<Mailbox> {
        let path = self.maildir.as_deref()?;
        Some(Mailbox::at(path, self.limit.unwrap_or_default(), self.count_trash))
    }
}

pub fn read_limits(text: &str) -> Result<Limits, LimitsError> {
    Limits::parse_human(text)
}

/// One account, all of them, or a path.
#[derive(Args)]
#[group(skip)]
pub struct Selection {
    /// An account, as anna@example.org
    #[arg(required_unless_present_any = ["all", "maildir"], conflicts_with_all = ["all", "maildir"])]
    login: Option<String>,
    /// The mailboxes of all accounts
    #[arg(long, conflicts_with = "maildir")]
    all: bool,
    #[command(flatten)]
    by_path: ByPath,
}

/// The mailboxes meant, and the accounts that have none that could be used.
pub struct Meant {
    pub mailboxes: Vec<Mailbox>,
    pub unusable: Vec<String>,
    /// More than one may be meant.
    pub several: bool,
    /// Where the accounts are, if accounts were meant.
    pub store: Option<SqlStore>,
}

impl Selection {
    pub fn meant(&self, setup: impl FnOnce() -> Result<Setup, Failure>) -> Result<Meant, Failure> {
        if let Some(mailbox) = self.by_path.mailbox() {
            return Ok(Meant { mailboxes: vec![mailbox], unusable: Vec::new(), several: false, store: None });
        }
        let setup = setup()?;
        match &self.login {
            Some(login) => {
                let mailboxes = vec![account(&setup, login)?];
                Ok(Meant { mailboxes, unusable: Vec::new(), several: false, store: Some(setup.store()?) })
            }
            None => all(&setup),
        }
    }
}

/// The mailbox of one account.
pub fn account(setup: &Setup, login: &str) -> Result<Mailbox, Failure> {
    let row = find(&setup.store()?, &setup.login(login)?)?;
    Mailbox::of(row, &setup.config).map_err(|unusable| Failure::not_now(unusable.to_string()))
}

/// The mailboxes of all accounts.
pub fn all(setup: &Setup) -> Result<Meant, Failure> {
    let (mut mailboxes, mut unusable) = (Vec::new(), Vec::new());
    let store = setup.store()?;
    let unreadable = all_accounts(&store, |row| match Mailbox::of(row, &setup.config) {
        Ok(mailbox) => mailboxes.push(mailbox),
        Err(problem) => unusable.push(problem.to_string()),
    })?;
    unusable.extend(unreadable.lines());
    Ok(Meant { mailboxes, unusable, several: true, store: Some(store) })
}

/// Brings an account's maildirsize to limits that were just changed. The change itself stands, whatever becomes of it.
pub fn follow(store: &SqlStore, login: &mailauth_core::Login, config: &Config) -> Result<(), Failure> {
    let row = find(store, login)?;
    let outcome = Mailbox::of(row, config).map_err(|unusable| unusable.to_string()).and_then(|mailbox| {
        let Some(open) = mailbox.open().map_err(|error| error.to_string())? else { return Ok(None) };
        let path = mailbox.path.display();
        let told = match mailbox.limits {
            Limits::NONE => open.forget().map(|()| format!("{path} has no maildirsize any more")),
            limits => open
                .recount(Effort::Changed)
                .map(|counted| format!("{path} has a maildirsize for {limits}, and holds {}", counted.usage)),
        };
        told.map(Some).map_err(|error| error.to_string())
    });
    match outcome {
        Ok(Some(told)) => say(told)?,
        Ok(None) => {}
        Err(problem) => {
            remark(format_args!("warning: the mailbox has not been told of its new quota: {problem}"));
            remark(format_args!("tell it with 'mailauth quota recount {login}'"));
        }
    }
    Ok(())
}

/// The exit code, and the complaints, of work on several mailboxes.
pub fn finish(problems: &[String], otherwise: Exit) -> Result<Exit, Failure> {
    if problems.is_empty() { Ok(otherwise) } else { Err(Failure::not_now(problems.join("\n"))) }
}
