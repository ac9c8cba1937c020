//! Which mailboxes are meant: an account's, all accounts', or one named by its path.

use crate::account::find;
use crate::failure::{Exit, Failure};
use crate::listing::each_account;
use crate::output::{remark, say};
use crate::setup::Setup;
use clap::Args;
use mailauth_core::account::{AccountRow, Login};
use mailauth_core::config::Config;
use mailauth_core::mailbox::Unusable;
use mailauth_core::quota::pools::{Member, PoolStore};
use mailauth_core::quota::room;
use mailauth_core::quota::{Effort, Limits, LimitsError, MaildirQuota, QuotaError, Rules, Usage};
use mailauth_core::store::{SqlStore, StoreError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A mailbox that may have no mail yet.
#[derive(Clone, Debug)]
pub struct Mailbox {
    /// The account's login, or the path it was named by.
    pub name: String,
    /// Its account's; `None` when it was named by its path.
    pub login: Option<Login>,
    /// Its Maildir.
    pub path: PathBuf,
    /// Its owner's home; the Maildir itself when it was named by its path.
    pub home: PathBuf,
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
        let path = room::maildir(&account);
        let owner = Some((account.uid, account.gid));
        let (name, limits, home) = (account.login.to_string(), account.quota, PathBuf::from(account.home));
        Ok(Mailbox { name, login: Some(account.login), path, home, limits, owner, rules: config.quota.rules() })
    }

    /// One named by its path.
    pub fn at(path: &Path, limits: Limits, count_trash: bool) -> Self {
        let (name, rules) = (path.display().to_string(), Rules { count_trash });
        let (home, path) = (path.to_owned(), path.to_owned());
        Mailbox { name, login: None, path, home, limits, owner: None, rules }
    }

    /// Opens it; `None` when there is no mailbox yet.
    pub fn open(&self) -> Result<Option<MaildirQuota>, QuotaError> {
        room::open(&self.path, self.limits, self.rules, self.owner.map(|(uid, _)| uid))
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
    /// Where their domains' pools are; none for a mailbox named by its path.
    pub store: Option<SqlStore>,
    pub mailboxes: Vec<Mailbox>,
    pub unusable: Vec<String>,
    /// More than one may be meant.
    pub several: bool,
}

impl Selection {
    pub fn meant(&self, setup: impl FnOnce() -> Result<Setup, Failure>) -> Result<Meant, Failure> {
        if let Some(mailbox) = self.by_path.mailbox() {
            return Ok(Meant { store: None, mailboxes: vec![mailbox], unusable: Vec::new(), several: false });
        }
        let setup = setup()?;
        match &self.login {
            Some(login) => {
                let (mailbox, store) = account(&setup, login)?;
                Ok(Meant { store: Some(store), mailboxes: vec![mailbox], unusable: Vec::new(), several: false })
            }
            None => all(&setup),
        }
    }
}

/// The mailbox of one account, and the store that knows it.
pub fn account(setup: &Setup, login: &str) -> Result<(Mailbox, SqlStore), Failure> {
    let store = setup.store()?;
    let row = find(&store, &setup.login(login)?)?;
    let mailbox = Mailbox::of(row, &setup.config).map_err(|unusable| Failure::not_now(unusable.to_string()))?;
    let mut mailboxes = [mailbox];
    under_pools(&store, &mut mailboxes)?;
    let [mailbox] = mailboxes;
    Ok((mailbox, store))
}

/// Keeps mailboxes that have no quota of their own under their domain's, as deliveries do.
fn under_pools(store: &SqlStore, mailboxes: &mut [Mailbox]) -> Result<(), StoreError> {
    let mut domains: BTreeMap<String, Limits> = BTreeMap::new();
    for mailbox in mailboxes {
        let Some(login) = mailbox.login.as_ref().filter(|_| mailbox.limits == Limits::NONE) else { continue };
        mailbox.limits = match domains.get(login.domain()) {
            Some(limits) => *limits,
            None => {
                let limits = store.pool_limits(login.domain())?;
                domains.insert(login.domain().to_owned(), limits);
                limits
            }
        };
    }
    Ok(())
}

/// Tells the pool of its domain, if that has one, what a mailbox holds.
pub fn publish(store: Option<&SqlStore>, mailbox: &Mailbox, usage: Usage) -> Result<(), StoreError> {
    let (Some(store), Some(login)) = (store, &mailbox.login) else { return Ok(()) };
    match Member::of(store, login)? {
        Some(member) => member.publish(usage).map(drop),
        None => Ok(()),
    }
}

/// The mailboxes of all accounts.
pub fn all(setup: &Setup) -> Result<Meant, Failure> {
    let store = setup.store()?;
    let (mut mailboxes, mut unusable) = (Vec::new(), Vec::new());
    let unreadable = each_account(&store, None, |row| {
        match Mailbox::of(row, &setup.config) {
            Ok(mailbox) => mailboxes.push(mailbox),
            Err(problem) => unusable.push(problem.to_string()),
        }
        Ok(())
    })?;
    unusable.extend(unreadable.lines());
    under_pools(&store, &mut mailboxes)?;
    Ok(Meant { store: Some(store), mailboxes, unusable, several: true })
}

/// Brings an account's maildirsize to limits that were just changed. The change itself stands, whatever becomes of it.
pub fn follow(store: &SqlStore, login: &Login, config: &Config) -> Result<(), Failure> {
    let row = find(store, login)?;
    let outcome = Mailbox::of(row, config).map_err(|unusable| unusable.to_string()).and_then(|mailbox| {
        let mut mailboxes = [mailbox];
        under_pools(store, &mut mailboxes).map_err(|error| error.to_string())?;
        let [mailbox] = mailboxes;
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
