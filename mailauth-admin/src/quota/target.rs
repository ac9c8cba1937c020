//! The mailboxes that a command line selects: that of an account, those of all accounts, or one given by its path.

use super::figures;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::listing::{Complaints, account_pages};
use crate::lookup;
use crate::output::{remark, say};
use clap::Args;
use mailauth_core::account::{AccountRow, Login};
use mailauth_core::config::Config;
use mailauth_core::mailbox::Unusable;
use mailauth_core::quota::pools::Member;
use mailauth_core::quota::room;
use mailauth_core::quota::{CountRules, Effort, Limits, LimitsError, MaildirQuota, QuotaError, Usage};
use mailauth_core::store::{PoolStore, SqlStore, StoreError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A mailbox that may have no mail yet.
#[derive(Clone, Debug)]
pub struct Mailbox {
    /// Login of its account, or the given path.
    pub name: String,
    /// Login of its account; `None` if it was given by its path.
    pub login: Option<Login>,
    /// Path of its Maildir.
    pub path: PathBuf,
    /// Home of its owner; the Maildir itself if it was given by its path.
    pub home: PathBuf,
    /// Limits of its size.
    pub limits: Limits,
    /// User and group that must own it; `None` if it was given by its path.
    pub owner: Option<(u32, u32)>,
    /// Rules of counting.
    pub rules: CountRules,
}

impl Mailbox {
    /// Returns the mailbox of an account.
    pub fn of(row: AccountRow, config: &Config) -> Result<Self, Unusable> {
        let account = config.mailbox.resolve(row)?;
        let path = account.maildir_path();
        let owner = Some((account.uid, account.gid));
        let (name, limits, home) = (account.login.to_string(), account.quota, PathBuf::from(account.home));
        Ok(Mailbox { name, login: Some(account.login), path, home, limits, owner, rules: config.quota.rules() })
    }

    /// Returns the mailbox at a path.
    pub fn at(path: &Path, limits: Limits, count_trash: bool) -> Self {
        let (name, rules) = (path.display().to_string(), CountRules { count_trash });
        let (home, path) = (path.to_owned(), path.to_owned());
        Mailbox { name, login: None, path, home, limits, owner: None, rules }
    }

    /// Opens it. Returns `None` if there is no mailbox yet.
    pub fn open(&self) -> Result<Option<MaildirQuota>, QuotaError> {
        room::open(&self.path, self.limits, self.rules, self.owner.map(|(uid, _)| uid))
    }

    /// Opens it, and fails if there is no mailbox.
    pub fn open_existing(&self) -> Result<MaildirQuota, Failure> {
        let opened = self.open().map_err(|error| Failure::not_now(error.to_string()))?;
        opened.ok_or_else(|| Failure::not_now(format!("there is no mailbox {} yet", self.path.display())))
    }
}

/// A mailbox given by its path.
#[derive(Args)]
pub struct ByPath {
    /// Path of a Maildir; needs --limit, but no database and no configuration
    #[arg(long, value_name = "DIR", requires = "limit")]
    pub maildir: Option<PathBuf>,
    /// Limits of the Maildir: size and number of messages, such as 10M,1000 or 10000000S,1000C; or none
    #[arg(long, value_name = "LIMITS", requires = "maildir", value_parser = read_limits)]
    pub limit: Option<Limits>,
    /// Count the messages in its trash
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
    /// Login of an account, such as anna@example.org
    #[arg(required_unless_present_any = ["all", "maildir"], conflicts_with_all = ["all", "maildir"])]
    login: Option<String>,
    /// Select the mailboxes of all accounts
    #[arg(long, conflicts_with = "maildir")]
    all: bool,
    #[command(flatten)]
    by_path: ByPath,
}

/// The mailboxes that are selected.
pub enum Selected {
    /// One mailbox, and the store with the quota of its domain; no store for a mailbox given by its path.
    One(Box<Mailbox>, Option<Box<SqlStore>>),
    /// The mailboxes of all accounts.
    All(Box<All>),
}

/// The accounts of a store; their mailboxes are read page by page.
pub struct All {
    pub store: SqlStore,
    config: Config,
}

/// The quotas of domains.
type Pools = BTreeMap<String, Limits>;

/// Maximum number of domains with remembered quotas.
const MOST_POOLS: usize = 10_000;

impl Selection {
    pub fn selected(&self, context: impl FnOnce() -> Result<Context, Failure>) -> Result<Selected, Failure> {
        if let Some(mailbox) = self.by_path.mailbox() {
            return Ok(Selected::One(Box::new(mailbox), None));
        }
        let context = context()?;
        match &self.login {
            Some(login) => {
                let (mailbox, store) = account(&context, login)?;
                Ok(Selected::One(Box::new(mailbox), Some(Box::new(store))))
            }
            None => Ok(Selected::All(Box::new(All::of(context)?))),
        }
    }
}

/// Returns the mailbox of an account, and the store.
pub fn account(context: &Context, login: &str) -> Result<(Mailbox, SqlStore), Failure> {
    let store = context.store()?;
    let row = lookup::account(&store, &context.login(login)?)?;
    let mut mailbox = Mailbox::of(row, &context.config).map_err(|unusable| Failure::not_now(unusable.to_string()))?;
    under_pool(&store, &mut mailbox, &mut Pools::new())?;
    Ok((mailbox, store))
}

/// Gives a mailbox without a quota of its own the limits of its domain, as deliveries do.
fn under_pool(store: &SqlStore, mailbox: &mut Mailbox, pools: &mut Pools) -> Result<(), StoreError> {
    if let Some(login) = &mailbox.login {
        mailbox.limits = mailbox.limits.or_else(|| pool_limits(store, login.domain(), pools))?;
    }
    Ok(())
}

/// Returns the quota of a domain, and remembers it in `pools`.
fn pool_limits(store: &SqlStore, domain: &str, pools: &mut Pools) -> Result<Limits, StoreError> {
    if let Some(limits) = pools.get(domain) {
        return Ok(*limits);
    }
    let limits = store.pool_limits(domain)?;
    if pools.len() >= MOST_POOLS {
        pools.clear();
    }
    pools.insert(domain.to_owned(), limits);
    Ok(limits)
}

/// Publishes the size of a mailbox for the quota of its domain, if the domain has one.
pub fn publish(store: Option<&SqlStore>, mailbox: &Mailbox, usage: Usage) -> Result<(), StoreError> {
    let (Some(store), Some(login)) = (store, &mailbox.login) else { return Ok(()) };
    match Member::of(store, login)? {
        Some(member) => member.publish(usage).map(drop),
        None => Ok(()),
    }
}

impl All {
    pub fn of(context: Context) -> Result<Self, Failure> {
        Ok(All { store: context.store()?, config: context.config })
    }

    /// Passes the mailboxes of each page of accounts to `each`. Returns the accounts without a usable mailbox.
    pub fn each_page(&self, mut each: impl FnMut(Vec<Mailbox>) -> Result<(), Failure>) -> Result<Complaints, Failure> {
        let (mut pools, mut without) = (Pools::new(), Complaints::default());
        let mut unusable = account_pages(&self.store, |rows| {
            let mut mailboxes = Vec::with_capacity(rows.len());
            for row in rows {
                match Mailbox::of(row, &self.config) {
                    Ok(mut mailbox) => {
                        under_pool(&self.store, &mut mailbox, &mut pools)?;
                        mailboxes.push(mailbox);
                    }
                    Err(problem) => without.add(problem),
                }
            }
            each(mailboxes)
        })?;
        unusable.append(without);
        Ok(unusable)
    }
}

/// Updates the maildirsize of an account whose limits were just changed. A failure does not undo that change.
pub fn follow(store: &SqlStore, login: &Login, config: &Config) -> Result<(), Failure> {
    let row = lookup::account(store, login)?;
    let outcome = Mailbox::of(row, config).map_err(|unusable| unusable.to_string()).and_then(|mut mailbox| {
        under_pool(store, &mut mailbox, &mut Pools::new()).map_err(|error| error.to_string())?;
        let Some(open) = mailbox.open().map_err(|error| error.to_string())? else { return Ok(None) };
        let path = mailbox.path.display();
        let message = match mailbox.limits {
            Limits::NONE => open.forget().map(|()| format!("removed the maildirsize of {path}")),
            limits => open.recount(Effort::Changed).map(|counted| {
                let (limits, used) = (figures::limits(limits.bytes, limits.messages), figures::used(counted.usage));
                format!("updated the maildirsize of {path}: limit {limits}; used {used}")
            }),
        };
        message.map(Some).map_err(|error| error.to_string())
    });
    match outcome {
        Ok(Some(message)) => say(message)?,
        Ok(None) => {}
        Err(problem) => {
            remark(format_args!("warning: maildirsize was not updated: {problem}"));
            remark(format_args!("run 'mailauth quota recount {login}'"));
        }
    }
    Ok(())
}

/// Returns the exit code `otherwise`, or fails with the problems.
pub fn finish(problems: Complaints, otherwise: Exit) -> Result<Exit, Failure> {
    problems.complain("").map(|()| otherwise)
}
