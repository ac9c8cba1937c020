//! A copy of the tables in a file of this machine, which answers while no database does.
//!
//! [`Snapshot`] stands before another store. As long as that answers, its word goes. When it cannot be reached, or does
//! not answer in time, what a login needs is read from the copy, if that is young enough; otherwise the store's error
//! goes on, which is "not now". Any other error is an answer of the database, and is never covered up.
//!
//! # What is answered from the copy
//!
//! | question | from the copy |
//! |---|---|
//! | look-ups for a login, lists of accounts, domains, aliases, limits of a domain | yes |
//! | what stands there now ([`AccountStore::find`]), as before a change of a password | no |
//! | changes, and what the mailboxes of a domain hold | no |
//!
//! Mail must not bounce on the word of a copy: who refuses it asks [`MailStore::certain_since`] first.
//!
//! # What the daemon changes itself
//!
//! A login whose password is changed through this store, or of which [`AccountStore::forget`] is told, is noted in the
//! file and copied again at once. While such a note stands, the copy does not answer for that login. A password is noted
//! before it is changed, so the old one does not come back whenever this process or the database dies.
//!
//! # Age
//!
//! Everything in the copy is at least as new as the beginning of the last refresh that succeeded. Of two clocks the one
//! that says the copy is older is believed: the system's, and within one process the one that nobody sets. A copy that
//! claims to be from the future, by more than some minutes, is too old.

mod copy;
mod notices;
mod original;
mod refresher;
#[cfg(test)]
mod tests;

pub use original::{CopiedRow, Original, Part, Value};

use super::hosts::Hosts;
use super::sqlite::Sqlite;
use super::{AccountStore, Changed, Cursor, MailStore, Page, Seen, SnapshotState, SqlStore, StoreError, StoreState};
use crate::DomainName;
use crate::account::{AccountRow, Login, Password};
use crate::config::{Config, DatabaseUrl};
use crate::quota::pools::{PoolStore, PoolUse};
use crate::quota::{Limits, Usage};
use crate::schema::TableModel;
use copy::Copy;
use notices::Notices;
use refresher::{Refresher, Work};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock may be set back so far without making the copy useless.
const SET_BACK: Duration = Duration::from_secs(300);

/// The longest wait for the file.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells the time, by the clock that nobody sets and by the system's.
type Clock = Arc<dyn Fn() -> (Instant, SystemTime) + Send + Sync>;

/// Answers from a copy of `S` while `S` cannot.
pub struct Snapshot<S> {
    inner: Arc<S>,
    keeper: Option<Keeper>,
}

/// The copy, and what is known of it.
struct Keeper {
    copy: Arc<Copy>,
    reader: SqlStore,
    max_age: Duration,
    fresh: Arc<Fresh>,
    /// Answers that were given from it.
    stand_ins: AtomicU64,
    /// What the database said last when it did not answer.
    error: Mutex<Option<StoreError>>,
    notices: Notices,
    clock: Clock,
    refresher: Option<Refresher>,
}

/// What this process knows of the copy and the file does not.
#[derive(Default)]
struct Fresh {
    /// When the last refresh that succeeded began.
    began: Mutex<Option<Instant>>,
    /// Changes that could not be noted in the file, and how many of them are in it since.
    lost: AtomicU64,
    made_good: AtomicU64,
}

/// What is asked about.
#[derive(Clone, Copy)]
enum About<'a> {
    Login(&'a Login),
    /// Domains or aliases.
    Addresses,
    AllLogins,
}

/// Why the copy does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Useless {
    Missing,
    Old(Duration),
    Pending,
}

impl Fresh {
    fn is_doubted(&self) -> bool {
        self.lost.load(Ordering::SeqCst) != self.made_good.load(Ordering::SeqCst)
    }

    fn began(&self) -> Option<Instant> {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A refresh that began then has succeeded.
    fn refreshed(&self, began: Instant) {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) = Some(began);
    }
}

impl<S: Original + 'static> Snapshot<S> {
    /// Keeps a copy of `inner`, if `config` wants one, by a thread that ends with this value.
    pub fn new(inner: S, config: &Config) -> Self {
        Self::by_clock(Arc::new(inner), config, Arc::new(|| (Instant::now(), SystemTime::now())))
    }

    fn by_clock(inner: Arc<S>, config: &Config, clock: Clock) -> Self {
        let path = config.outage.snapshot_of(&config.database.url);
        let keeper = path.map(|path| {
            let copy = Arc::new(Copy::new(path, config.database.url.to_string()));
            let fresh = Arc::<Fresh>::default();
            let work = Work {
                original: Arc::clone(&inner),
                copy: Arc::clone(&copy),
                fresh: Arc::clone(&fresh),
                interval: config.outage.refresh,
                clock: Arc::clone(&clock),
            };
            let refresher = Refresher::start(work)
                .inspect_err(|error| tracing::warn!("no snapshot is kept: no thread can be had for it: {error}"))
                .ok();
            let hosts = Hosts::one(vec![Arc::new(Sqlite::new(path, PATIENCE))], path.display().to_string(), PATIENCE);
            Keeper {
                copy,
                reader: SqlStore::new(hosts, TableModel::copied()),
                max_age: config.outage.max_age,
                fresh,
                stand_ins: AtomicU64::new(0),
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
    /// The answer of the inner store, or that of the copy to the same question.
    fn or_copy<T>(
        &self,
        answer: Result<T, StoreError>,
        about: About<'_>,
        ask: impl FnOnce(&SqlStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(keeper) = &self.keeper else { return answer };
        match answer {
            Err(error) if error.is_outage() => keeper.stand_in(error, about, ask),
            answer => {
                keeper.notices.back();
                answer
            }
        }
    }
}

impl Keeper {
    fn stand_in<T>(
        &self,
        error: StoreError,
        about: About<'_>,
        ask: impl FnOnce(&SqlStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let now = (self.clock)().0;
        let age = match self.usable_for(about) {
            Ok(age) => age,
            Err(why) => {
                self.notices.useless(now, self.copy.path(), why, self.max_age, &error);
                return Err(error);
            }
        };
        match ask(&self.reader) {
            Err(of_copy) if of_copy.is_outage() || matches!(of_copy, StoreError::Schema(_)) => {
                self.notices.useless(now, self.copy.path(), Useless::Missing, self.max_age, &error);
                Err(error)
            }
            answer => {
                *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
                // Before anybody can act on the answer.
                self.stand_ins.fetch_add(1, Ordering::SeqCst);
                self.notices.in_use(now, self.copy.path(), age, &error);
                answer
            }
        }
    }

    /// How old the copy is, if it may answer.
    fn usable_for(&self, about: About<'_>) -> Result<Duration, Useless> {
        let login = if let About::Login(login) = about { Some(login) } else { None };
        let standing = self.copy.standing(login).ok().flatten().ok_or(Useless::Missing)?;
        let pending = match about {
            About::Login(_) | About::Addresses => standing.pending,
            About::AllLogins => self.copy.has_pending().unwrap_or(true),
        };
        let age = self.age(standing.taken);
        if age > self.max_age {
            Err(Useless::Old(age))
        } else if pending || self.fresh.is_doubted() {
            Err(Useless::Pending)
        } else {
            Ok(age)
        }
    }

    fn age(&self, taken: u64) -> Duration {
        let (now, time) = (self.clock)();
        let known = self.fresh.began().map(|began| now.saturating_duration_since(began));
        match age_at(time, taken) {
            Some(age) => age.max(known.unwrap_or_default()),
            None => known.unwrap_or(Duration::MAX),
        }
    }

    /// Has a login copied again soon, or everything.
    fn note(&self, login: Option<&Login>) {
        if self.copy.note(login, false).is_err() {
            self.fresh.lost.fetch_add(1, Ordering::SeqCst);
        }
        self.ring();
    }

    fn ring(&self) {
        if let Some(refresher) = &self.refresher {
            refresher.ring();
        }
    }

    fn state(&self) -> Option<SnapshotState> {
        let standing = self.copy.standing(None).ok().flatten()?;
        let in_use = self.notices.is_in_use();
        let path = self.copy.path();
        Some(SnapshotState { age: self.age(standing.taken), ..state(path, standing.accounts, in_use)? })
    }
}

impl<S: Original + 'static> AccountStore for Snapshot<S> {
    /// Asks the store itself: what is to be changed has to be what stands there.
    fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.inner.find(login)
    }

    /// Asks the store itself: a copy may lack a change.
    fn find_newest(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.inner.find_newest(login)
    }

    fn may_lag(&self) -> bool {
        self.inner.may_lag()
    }

    fn look_up(&self, login: &Login, deadline: Instant) -> Result<Seen, StoreError> {
        let seen = self.inner.look_up(login, deadline);
        self.or_copy(seen, About::Login(login), |copy| copy.find(login).map(Seen::copied))
    }

    fn look_up_newest(&self, login: &Login) -> Result<Seen, StoreError> {
        let seen = self.inner.look_up_newest(login);
        self.or_copy(seen, About::Login(login), |copy| copy.find(login).map(Seen::copied))
    }

    /// What a replica said before all were away stands where the copy says the same. Where they differ nobody knows which
    /// is newer.
    fn look_again(&self, login: &Login, seen: &Seen, deadline: Instant) -> Result<Option<Seen>, StoreError> {
        match self.inner.look_again(login, seen, deadline) {
            Err(error) if error.is_outage() => {
                let copied = self.or_copy(Err(error.clone()), About::Login(login), |copy| copy.find(login))?;
                if copied == seen.row { Ok(None) } else { Err(error) }
            }
            again => again,
        }
    }

    fn forget(&self, changed: &Changed) {
        self.inner.forget(changed);
        if let Some(keeper) = &self.keeper {
            keeper.note(if let Changed::Account(login) = changed { Some(login) } else { None });
        }
    }

    fn state(&self) -> StoreState {
        let snapshot = self.keeper.as_ref().and_then(Keeper::state);
        StoreState { snapshot, ..self.inner.state() }
    }

    fn set_password(&self, login: &Login, old: &Password, new: &Password) -> Result<bool, StoreError> {
        let Some(keeper) = &self.keeper else { return self.inner.set_password(login, old, new) };
        let note = keeper.copy.note(Some(login), true);
        let changed = self.inner.set_password(login, old, new);
        // Whatever came of it: where it is not known whether it was done, the row is not known either.
        match note.and_then(|note| keeper.copy.release(note, login)) {
            Ok(()) => keeper.ring(),
            Err(_) => keeper.note(Some(login)),
        }
        changed
    }

    fn enumerate(&self, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        self.or_copy(self.inner.enumerate(after, limit), About::AllLogins, |copy| copy.enumerate(after, limit))
    }
}

impl<S: Original + 'static> PoolStore for Snapshot<S> {
    fn pool_limits(&self, domain: &str) -> Result<Limits, StoreError> {
        self.or_copy(self.inner.pool_limits(domain), About::Addresses, |copy| copy.pool_limits(domain))
    }

    fn pool_use(&self, domain: &str) -> Result<PoolUse, StoreError> {
        self.inner.pool_use(domain)
    }

    fn publish(&self, login: &Login, usage: Usage) -> Result<PoolUse, StoreError> {
        self.inner.publish(login, usage)
    }
}

impl<S: Original + 'static> MailStore for Snapshot<S> {
    fn newest(&self) -> Option<Box<dyn MailStore + '_>> {
        self.inner.newest()
    }

    fn domain_enabled(&self, name: &DomainName) -> Result<Option<bool>, StoreError> {
        self.or_copy(self.inner.domain_enabled(name), About::Addresses, |copy| copy.domain_enabled(name))
    }

    fn alias_targets(&self, address: &str) -> Result<Vec<String>, StoreError> {
        self.or_copy(self.inner.alias_targets(address), About::Addresses, |copy| copy.alias_targets(address))
    }

    fn doubts(&self) -> u64 {
        self.keeper.as_ref().map_or(0, |keeper| keeper.stand_ins.load(Ordering::SeqCst))
    }

    fn certain_since(&self, doubts: u64) -> Result<(), StoreError> {
        let Some(keeper) = self.keeper.as_ref().filter(|_| self.doubts() != doubts) else { return Ok(()) };
        let error = keeper.error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        error.map_or(Ok(()), Err)
    }
}

/// What is known of the copy of `database` that another process keeps at `path`; `None` while there is no whole one.
///
/// # Errors
/// With a sentence, when the file cannot be read or is no copy of this database.
pub fn look(path: &Path, database: &DatabaseUrl) -> Result<Option<SnapshotState>, String> {
    match copy::look(path, &database.to_string()) {
        Ok(standing) => Ok(standing.and_then(|standing| {
            let age = age_at(SystemTime::now(), standing.taken).unwrap_or(Duration::MAX);
            Some(SnapshotState { age, ..state(path, standing.accounts, false)? })
        })),
        Err(trouble) if trouble.is_absence() => Ok(None),
        Err(trouble) => Err(trouble.to_string()),
    }
}

fn state(path: &Path, accounts: u64, in_use: bool) -> Option<SnapshotState> {
    let bytes = fs::metadata(path).ok()?.len();
    Some(SnapshotState { path: path.to_owned(), accounts, bytes, age: Duration::ZERO, in_use })
}

/// How old what was taken at `taken` is by the system's clock, if that can be.
fn age_at(now: SystemTime, taken: u64) -> Option<Duration> {
    let (now, taken) = (now.duration_since(UNIX_EPOCH).unwrap_or_default(), Duration::from_secs(taken));
    match now.checked_sub(taken) {
        Some(age) => Some(age),
        None => (taken - now <= SET_BACK).then_some(Duration::ZERO),
    }
}

/// Seconds since 1970, rounded down: what was taken then is never younger than it says.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
