//! A copy of the tables in a file of this machine, which answers while no database does.
//!
//! [`Snapshot`] is put in front of another store. As long as that store answers, its answers count. When it cannot be
//! reached, or does not answer in time, what a login needs is read from the copy, if that is recent enough; otherwise
//! the store's error is passed on, which means "not now". Any other error is an answer of the database, and is never
//! hidden.
//!
//! # What is answered from the copy
//!
//! | question | from the copy |
//! |---|---|
//! | look-ups for a login, lists of accounts, domains, aliases, limits of a domain | yes |
//! | the current row ([`AccountStore::find`]), as before a change of a password | no |
//! | changes, and what the mailboxes of a domain hold | no |
//!
//! Mail must not bounce because of a copy: code that refuses mail calls [`MailStore::certain_since`] first.
//! `docs/internals/ages.md` says which answers may be given by a copy's row, compared with rows of other ages.
//!
//! # Changes
//!
//! A password that is changed through this store, and what [`AccountStore::forget`] is told, is noted in the file and
//! copied again at once. While such a note exists, the copy does not answer about what the note names, and answers
//! about everything else. A password is noted before it is changed, so the old one does not come back if this process
//! or the database dies at any point. `docs/internals/changes.md` describes the protocol.
//!
//! # Age
//!
//! Everything in the copy is at least as new as the beginning of the last reading of all tables. In between, rows that
//! have a time of change are read by that time, which does not make the stated age younger: rows that were deleted, or
//! changed without a new time, are missed by it. The age is taken from two clocks, the system's and, within one
//! process, the monotonic one; the higher age counts. A copy that claims to be from the future, by more than some
//! minutes, is too old.
//!
//! # Another database
//!
//! If the configuration names another database, the file goes on answering until all of the new one is copied into
//! tables of their own in it. A URL with other hosts, of which one is the same, is the same database.
//!
//! # Another program's tables
//!
//! Tables of another program are listed in the order of their own keys, and always read completely, at `[outage]
//! refresh` but not for more than about a tenth of the time. Their rows are stored as they were understood: whether the
//! domain of an account is enabled is part of whether the account is. A changed account is copied again at once; all
//! other notes wait for the next complete reading. What cannot be listed is not copied, and the copy does not answer
//! questions about it. A copy that was made by another `[schema]` is not used.
//!
//! # Damage
//!
//! Data that is found to be damaged is not used, and the file is made again from the database once that can be reached.

mod about;
mod clock;
mod copy;
mod file;
mod freshness;
mod layout;
mod listed;
mod notes;
mod notices;
mod origin;
mod original;
mod pages;
mod refresher;
mod sections;
#[cfg(test)]
mod tests;
mod unavailable;

pub use listed::ListedPage;
pub(super) use listed::{account as copied_account, unusable_account as copied_unusable};
pub use original::{CopiedRow, Original, Part, Value};
pub use sections::{Section, not_copied};

use super::driver::sqlite::Sqlite;
use super::hosts::Hosts;
use super::{
    AccountStore, Changed, Cursor, DomainStanding, Lookup, MailStore, Page, PoolStore, PoolUse, SnapshotState,
    SqlStore, StoreError, StoreState,
};
use crate::DomainName;
use crate::account::{AccountRow, Login, Password};
use crate::config::{Config, DatabaseConfig};
use crate::model::limits::Limits;
use crate::model::usage::{Kind, Usage};
use crate::schema::{ForeignModel, TableModel, Tables};
use crate::sync::Mutex;
use about::About;
use clock::{Clock, age_at};
use copy::{Copy, CopyStatus};
use freshness::CopyFreshness;
use notices::Notices;
use origin::Origin;
use refresher::{Refresher, Work};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use unavailable::Unavailable;

/// Longest wait for the file.
const PATIENCE: Duration = Duration::from_secs(1);

/// Longest time for which another process's file is searched for damaged pages.
const EXAMINED: Duration = Duration::from_secs(2);

/// A store that answers from a copy of `S` while `S` cannot answer.
pub struct Snapshot<S> {
    inner: Arc<S>,
    keeper: Option<Keeper>,
}

/// The copy, and what is known of it.
struct Keeper {
    copy: Arc<Copy>,
    reader: SqlStore,
    /// The model of the database's tables, if they are another program's.
    foreign: Option<Arc<ForeignModel>>,
    max_age: Duration,
    freshness: Arc<CopyFreshness>,
    /// Number of answers that were given from the copy.
    answers: AtomicU64,
    /// Error of the database when it last failed to answer.
    error: Mutex<Option<StoreError>>,
    notices: Notices,
    clock: Clock,
    refresher: Option<Refresher>,
}

impl<S: Original + 'static> Snapshot<S> {
    /// Keeps a copy of `inner`, if `config` wants one, by a thread that ends with this value.
    pub fn new(inner: S, config: &Config) -> Self {
        Self::by_clock(Arc::new(inner), config, Arc::new(|| (Instant::now(), SystemTime::now())))
    }

    fn by_clock(inner: Arc<S>, config: &Config, clock: Clock) -> Self {
        let path = config.outage.snapshot_of(&config.database.url);
        let keeper = path.map(|path| {
            let copy = Arc::new(Copy::new(path, Origin::of(&config.database.url, &config.database.tables)));
            let foreign = match &config.database.tables {
                Tables::Own => None,
                Tables::Foreign(model) => Some(Arc::clone(model)),
            };
            let freshness = Arc::<CopyFreshness>::default();
            let work = Work {
                original: Arc::clone(&inner),
                foreign: foreign.clone(),
                copy: Arc::clone(&copy),
                freshness: Arc::clone(&freshness),
                interval: config.outage.refresh,
                max_age: config.outage.max_age,
                clock: Arc::clone(&clock),
            };
            let refresher = Refresher::start(work)
                .inspect_err(|error| tracing::warn!("no snapshot is kept: cannot start its thread: {error}"))
                .ok();
            let hosts =
                Hosts::single(vec![Arc::new(Sqlite::new(path, PATIENCE))], path.display().to_string(), PATIENCE);
            let reader = match &foreign {
                None => SqlStore::new(hosts, TableModel::own()),
                Some(model) => SqlStore::foreign(hosts, Arc::new(sections::model_of_copy(model))),
            };
            Keeper {
                copy,
                reader,
                foreign,
                max_age: config.outage.max_age,
                freshness,
                answers: AtomicU64::new(0),
                error: Mutex::default(),
                notices: Notices::default(),
                clock,
                refresher,
            }
        });
        Snapshot { inner, keeper }
    }
}

impl<S> Snapshot<S> {
    /// Returns true if the tables are another program's and hold no such rows, whatever the database does.
    fn are_absent(&self, section: Section) -> bool {
        let foreign = self.keeper.as_ref().and_then(|keeper| keeper.foreign.as_ref());
        foreign.is_some_and(|model| sections::are_absent(model, section))
    }

    /// Returns the answer of the inner store, or during an outage the copy's answer to the same question. An answer for
    /// which `is_absence` is true may be wrong if something was added since.
    fn or_copy<T>(
        &self,
        answer: Result<T, StoreError>,
        about: About<'_>,
        is_absence: impl FnOnce(&T) -> bool,
        ask: impl FnOnce(&SqlStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(keeper) = &self.keeper else { return answer };
        match answer {
            Err(error) if error.is_outage() => keeper.answer_from_copy(error, about, is_absence, ask),
            answer => {
                keeper.notices.report_return();
                answer
            }
        }
    }
}

impl Keeper {
    fn answer_from_copy<T>(
        &self,
        error: StoreError,
        about: About<'_>,
        is_absence: impl FnOnce(&T) -> bool,
        ask: impl FnOnce(&SqlStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let now = (self.clock)().0;
        let unavailable = |why| {
            self.notices.report_unavailable(now, self.copy.path(), why, self.max_age, &error);
            Err(error.clone())
        };
        let (age, absence_waits) = match self.usable_for(about) {
            Ok(usable) => usable,
            Err(why) => return unavailable(why),
        };
        let answer = match ask(&self.reader) {
            Err(of_copy) if of_copy.is_outage() || matches!(of_copy, StoreError::Schema(_)) => {
                return unavailable(Unavailable::Missing);
            }
            // A local file has no rights and no rules that could cause a refusal.
            Err(StoreError::Refused { reason, .. }) => {
                self.copy.suspect(&reason);
                return unavailable(Unavailable::Damaged(reason));
            }
            Ok(answer) if absence_waits && is_absence(&answer) => return unavailable(Unavailable::Pending),
            Err(StoreError::Unusable(unusable)) => Err(StoreError::Doubtful(unusable)),
            answer => answer,
        };
        *self.error.lock() = Some(error.clone());
        // Before the caller can act on the answer.
        self.answers.fetch_add(1, Ordering::SeqCst);
        self.notices.report_use(now, self.copy.path(), age, &error);
        answer
    }

    /// Returns how old the copy is, if it may answer, and whether something that it lacks may have been added.
    fn usable_for(&self, about: About<'_>) -> Result<(Duration, bool), Unavailable> {
        if let Some(lacking) = self.foreign.as_ref().and_then(|model| sections::lacking(model, about)) {
            return Err(Unavailable::NotCopied(lacking));
        }
        let status = self.copy.status().map_err(|error| Unavailable::from(&error))?;
        let status = status.filter(|status| self.is_answerable(status)).ok_or(Unavailable::Missing)?;
        let age = self.age(status.taken);
        if age > self.max_age {
            return Err(Unavailable::Old(age));
        }
        let noted = self.copy.waiting(about).map_err(|error| Unavailable::from(&error))?;
        let lost = self.freshness.waiting(about);
        if noted.rows || lost.rows {
            return Err(Unavailable::Pending);
        }
        self.copy.verify(about).map_err(|error| Unavailable::from(&error))?;
        // In a damaged file only the rows that are present are believed.
        Ok((age, noted.absence || lost.absence || self.copy.damage().is_some()))
    }

    /// Returns true if the copy is of the configured database, or no other process keeps it. A copy of another database
    /// answers until one of this database replaces it, unless its tables are read in another way.
    fn is_answerable(&self, status: &CopyStatus) -> bool {
        self.copy.is_of(status) || (self.freshness.is_ours.load(Ordering::SeqCst) && self.copy.is_readable(status))
    }

    fn age(&self, taken: u64) -> Duration {
        let (now, time) = (self.clock)();
        let known = self.freshness.began().map(|began| now.saturating_duration_since(began));
        match age_at(time, taken) {
            Some(age) => age.max(known.unwrap_or_default()),
            None => known.unwrap_or(Duration::MAX),
        }
    }

    /// Notes what was changed, so that it is copied again soon.
    fn note(&self, changed: &Changed) {
        if self.copy.note(changed, false).is_err() {
            self.freshness.lose(changed);
        }
        self.wake();
    }

    fn wake(&self) {
        if let Some(refresher) = &self.refresher {
            refresher.wake();
        }
    }

    fn state(&self) -> Option<SnapshotState> {
        let status = self.copy.status().ok().flatten()?;
        let (in_use, path) = (self.notices.is_in_use(), self.copy.path());
        let failure = self.freshness.failure.lock().clone();
        let failure = failure.map(|(since, why)| ((self.clock)().0.saturating_duration_since(since), why));
        let (age, max_age) = (self.age(status.taken), Some(self.max_age));
        Some(SnapshotState { age, max_age, failure, ..state(path, status.accounts, in_use)? })
    }
}

impl<S: Original + 'static> AccountStore for Snapshot<S> {
    /// Asks the inner store: a row that is to be changed must be the current one.
    fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.inner.find(login)
    }

    /// Asks the inner store: a copy may lack a change.
    fn find_newest(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.inner.find_newest(login)
    }

    fn may_lag(&self) -> bool {
        self.inner.may_lag()
    }

    fn alias_domain(&self, name: &DomainName) -> Result<Option<DomainName>, StoreError> {
        if self.are_absent(Section::AliasDomains) {
            return Ok(None);
        }
        let about = About::Domain(name.as_str());
        self.or_copy(self.inner.alias_domain(name), about, Option::is_none, |copy| copy.alias_domain(name))
    }

    fn unnoted(&self) -> Vec<Changed> {
        let Some(keeper) = &self.keeper else { return Vec::new() };
        let lost = keeper.freshness.lost.lock();
        if lost.all { vec![Changed::Everything] } else { lost.changes.clone() }
    }

    fn look_up(&self, login: &Login, deadline: Instant) -> Result<Lookup, StoreError> {
        let seen = self.inner.look_up(login, deadline);
        self.or_copy(seen, About::Login(login), is_unknown, |copy| copy.find(login).map(Lookup::copied))
    }

    fn look_up_newest(&self, login: &Login) -> Result<Lookup, StoreError> {
        let seen = self.inner.look_up_newest(login);
        self.or_copy(seen, About::Login(login), is_unknown, |copy| copy.find(login).map(Lookup::copied))
    }

    /// Accepts what a replica said before all hosts became unreachable if the copy says the same. If they differ, it is
    /// unknown which is newer.
    fn look_again(&self, login: &Login, seen: &Lookup, deadline: Instant) -> Result<Option<Lookup>, StoreError> {
        match self.inner.look_again(login, seen, deadline) {
            Err(error) if error.is_outage() => {
                let copied =
                    self.or_copy(Err(error.clone()), About::Login(login), Option::is_none, |copy| copy.find(login))?;
                if copied.as_ref() == seen.row.as_deref() { Ok(None) } else { Err(error) }
            }
            again => again,
        }
    }

    fn forget(&self, changed: &Changed) {
        self.inner.forget(changed);
        if let Some(keeper) = &self.keeper {
            keeper.note(changed);
        }
    }

    /// Asks the inner store. The copy is compared with the tables anyway, and a note would stop its answers about these
    /// rows if the database went away before that.
    fn flush(&self, what: &Changed) -> usize {
        self.inner.flush(what)
    }

    fn state(&self) -> StoreState {
        let snapshot = self.keeper.as_ref().and_then(Keeper::state);
        StoreState { snapshot, ..self.inner.state() }
    }

    fn keeps_passwords(&self) -> Option<StoreError> {
        self.inner.keeps_passwords()
    }

    fn set_password(&self, login: &Login, old: &Password, new: &Password) -> Result<bool, StoreError> {
        let Some(keeper) = &self.keeper else { return self.inner.set_password(login, old, new) };
        let note = keeper.copy.note(&Changed::Account(login.clone()), true);
        let changed = self.inner.set_password(login, old, new);
        // Whatever the result: if it is unknown whether the change was made, the row is unknown too.
        match note.and_then(|note| keeper.copy.release(note, login)) {
            Ok(()) => keeper.wake(),
            Err(_) => keeper.note(&Changed::Account(login.clone())),
        }
        changed
    }

    fn enumerate(&self, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let answer = match &self.keeper {
            Some(keeper) if keeper.foreign.is_some() => {
                return keeper.enumerate_lists(&*self.inner, after, limit);
            }
            _ => self.inner.enumerate(after, limit),
        };
        self.or_copy(answer, About::AllLogins, |_| false, |copy| copy.enumerate(after, limit))
    }
}

impl<S: Original + 'static> PoolStore for Snapshot<S> {
    fn pool_limits(&self, domain: &str) -> Result<Limits, StoreError> {
        if self.keeper.as_ref().is_some_and(|keeper| keeper.foreign.is_some()) {
            // They have no quota, whatever the database does.
            return self.inner.pool_limits(domain);
        }
        self.or_copy(self.inner.pool_limits(domain), About::Domain(domain), |_| false, |copy| copy.pool_limits(domain))
    }

    fn pool_use(&self, domain: &str) -> Result<PoolUse, StoreError> {
        self.inner.pool_use(domain)
    }

    fn publish(&self, login: &Login, usage: Usage) -> Result<PoolUse, StoreError> {
        self.inner.publish(login, usage)
    }

    fn largest_uses(&self, login: &Login, kind: Kind, most: usize) -> Result<Vec<(Login, Usage)>, StoreError> {
        self.inner.largest_uses(login, kind, most)
    }
}

impl<S: Original + 'static> MailStore for Snapshot<S> {
    fn newest(&self) -> Option<Box<dyn MailStore + '_>> {
        self.inner.newest()
    }

    fn domain(&self, name: &DomainName) -> Result<Option<DomainStanding>, StoreError> {
        let about = About::Domain(name.as_str());
        self.or_copy(self.inner.domain(name), about, Option::is_none, |copy| copy.domain(name))
    }

    fn alias_targets(&self, address: &str) -> Result<Vec<String>, StoreError> {
        if self.are_absent(Section::Aliases) {
            return Ok(Vec::new());
        }
        self.or_copy(
            self.inner.alias_targets(address),
            About::Alias(address),
            |_| false,
            |copy| copy.alias_targets(address),
        )
    }

    fn alias_targets_of(&self, addresses: [&str; 2]) -> Result<[Result<Vec<String>, StoreError>; 2], StoreError> {
        if self.are_absent(Section::Aliases) {
            return Ok([Ok(Vec::new()), Ok(Vec::new())]);
        }
        match self.inner.alias_targets_of(addresses) {
            Err(error) if error.is_outage() && self.keeper.is_some() => {
                let [first, second] = addresses.map(|address| {
                    let about = About::Alias(address);
                    match self.or_copy(Err(error.clone()), about, |_| false, |copy| copy.alias_targets(address)) {
                        Err(of_one @ StoreError::UnusableAlias { .. }) => Ok(Err(of_one)),
                        found => found.map(Ok),
                    }
                });
                Ok([first?, second?])
            }
            found => found,
        }
    }

    fn doubts(&self) -> u64 {
        self.keeper.as_ref().map_or(0, |keeper| keeper.answers.load(Ordering::SeqCst))
    }

    fn certain_since(&self, doubts: u64) -> Result<(), StoreError> {
        let Some(keeper) = self.keeper.as_ref().filter(|_| self.doubts() != doubts) else { return Ok(()) };
        let error = keeper.error.lock().clone();
        error.map_or(Ok(()), Err)
    }
}

fn is_unknown(seen: &Lookup) -> bool {
    seen.row.is_none()
}

/// The copy that another process keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// State of the copy.
    pub state: SnapshotState,
    /// Time since the last refresh that succeeded.
    pub refreshed: Duration,
    /// The database that it is a copy of, if that is not the configured one.
    pub of_other: Option<String>,
    /// False if its rows were read in another way than `[schema]` says, so that it does not answer.
    pub is_readable: bool,
    /// Duration of the last reading of all rows, if the tables are another program's.
    pub took: Option<Duration>,
}

/// Returns what is known of the copy that another process keeps at `path`; `None` while there is no complete one.
///
/// # Errors
/// Fails with a sentence if the file cannot be read or is damaged.
pub fn look(path: &Path, database: &DatabaseConfig) -> Result<Option<Kept>, String> {
    let status = match copy::look(path, EXAMINED) {
        Ok(status) => status,
        Err(error) if error.is_absence() => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let now = SystemTime::now();
    let ago = |time| age_at(now, time).unwrap_or(Duration::MAX);
    Ok(status.and_then(|status| {
        let failure = status.failure.clone().map(|(since, why)| (ago(since), why));
        let state = SnapshotState { age: ago(status.taken), failure, ..state(path, status.accounts, false)? };
        let origin = Origin::of(&database.url, &database.tables);
        let of_other = (!origin.is_same(&status.origin)).then(|| origin::shown(&status.origin));
        let is_readable = origin.has_same_schema(&status.origin);
        let is_foreign = Origin::is_foreign(&status.origin);
        let took = is_foreign.then(|| Duration::from_secs(status.refreshed.saturating_sub(status.taken)));
        Some(Kept { state, refreshed: ago(status.refreshed), of_other, is_readable, took })
    }))
}

fn state(path: &Path, accounts: u64, in_use: bool) -> Option<SnapshotState> {
    let bytes = fs::metadata(path).ok()?.len();
    let (path, age) = (path.to_owned(), Duration::ZERO);
    Some(SnapshotState { path, accounts, bytes, age, max_age: None, failure: None, in_use })
}
