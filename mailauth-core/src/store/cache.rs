//! Rows kept in memory, in front of another store.
//!
//! The cache keeps what look-ups by login found: an account's row, for the lifetime `found`, or its absence, for the
//! lifetime `unknown`. Both are in one table that is limited in rows and in bytes. Entries that are too old are removed
//! from it. A row's age counts from before the query that read it was sent. Aliases and domains are not kept.
//!
//! # What is answered from memory
//!
//! `docs/internals/ages.md` has the whole table, with rows of other ages.
//!
//! | answer | from a kept row |
//! |---|---|
//! | yes, to a password, a challenge or a look-up | within its lifetime |
//! | no, because the account does not exist: a look-up without a password | within its lifetime |
//! | any other no, and "not now" for a row that cannot be used | only if the row was read within the last second |
//!
//! In the last case the row is read again first ([`AccountStore::look_again`]), so that a new password works and a
//! re-enabled account is open at once, wherever that was changed. An unknown login with a password is treated like a
//! wrong password, because the time that an answer takes must not tell them apart. So that guesses do not disable the
//! cache, a login is read again at most once a second, and all logins together at most [`REREADS`] times. Beyond that,
//! and if reading again fails, the answer is "not now": the kept row stays, and goes on to say yes. So a flood of wrong
//! passwords costs the database no more than that, does not refuse a user with a new password, and does not lock out a
//! user with the right one. What a replica said is read again whenever it would refuse, within the same limit.
//!
//! # Changes
//!
//! - A password that is changed through this store, and what [`AccountStore::forget`] is told, is seen at once: the
//!   result of a query that was running meanwhile is not kept.
//! - Changes made elsewhere are seen once the lifetime is over: a yes may be that late.
//! - If a lifetime is over and the store cannot say, the answer is "not now". A row is not served beyond its lifetime.
//! - What the store has from a copy, because its database does not answer, is not kept, and replaces no kept row.
//!
//! # Queries
//!
//! Simultaneous requests for one login share one query: one of them sends it, and the others wait for it, each until
//! its own deadline. An error is the answer to all of them; if the thread that sends it panics, another takes its
//! place. No lock is held while a query runs. Reading again before a refusal shares no query with look-ups, which a
//! replica may answer, and its result is not replaced by that of an earlier query.

mod flights;
mod memory;
mod rate;
#[cfg(test)]
mod tests;

use super::{
    AccountStore, Changed, Cursor, DomainStanding, Lookup, MailStore, Page, PoolStore, PoolUse, StoreError, StoreState,
};
use crate::DomainName;
use crate::account::{AccountRow, Login, Password};
use crate::config::CacheConfig;
use crate::counters::{Counters, count};
use crate::model::limits::Limits;
use crate::model::usage::{Kind, Usage};
use flights::{Flights, Shared};
use memory::{Lifetimes, Rows, Weight};
use rate::Rate;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// Age below which a row is not read again before a refusal.
const PAUSE: Duration = Duration::from_secs(1);

/// Maximum number of rows read again before a refusal, in a second and at once.
pub const REREADS: u32 = 100;

/// Reason why a refusal by a kept row is not confirmed.
const TOO_MANY: &str = "more than 100 such rows would have to be read again in this second";
const COPY_DIFFERS: &str = "no database answers, and its copy has another row";

/// Source of the time, which tests replace.
type Clock = Box<dyn Fn() -> Instant + Send + Sync>;

/// A store that keeps what look-ups in `S` found.
pub struct Cache<S> {
    inner: S,
    /// Name of the inner store in messages.
    place: String,
    lifetimes: Lifetimes,
    kept: Arc<Rows>,
    /// Channel that ends the sweeping when it is dropped.
    _sweeping: Option<Sender<()>>,
    flights: Flights<Query, Result<Arc<Kept>, StoreError>>,
    rereads: Rate,
    counters: Arc<Counters>,
    clock: Clock,
}

/// Key of a query that may be running.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Query {
    login: Login,
    /// True if it goes to a host that has every change.
    newest: bool,
}

impl Query {
    fn all_of(login: &Login) -> [Query; 2] {
        [false, true].map(|newest| Query { login: login.clone(), newest })
    }
}

/// Result of a query.
struct Kept {
    row: Option<Arc<AccountRow>>,
    /// Time when the query was sent.
    read: Instant,
    /// True if a replica answered it.
    behind: bool,
    /// True if it was answered from a copy. Such a row is not kept: once the database is back, only its answers count.
    copied: bool,
}

impl Kept {
    /// Returns the row as a row that was kept, without copying it.
    fn seen(&self) -> Lookup {
        Lookup::kept(self.row.clone(), self.read).behind(self.behind)
    }

    /// Returns the row as a new request sees it.
    fn fresh(&self) -> Lookup {
        let row = self.row.clone();
        if self.copied { Lookup::copied(row) } else { Lookup::new(row).behind(self.behind) }
    }
}

impl<S: AccountStore> Cache<S> {
    /// Creates a cache in front of `inner`, which messages call `place`.
    pub fn new(inner: S, place: String, config: &CacheConfig, counters: Arc<Counters>) -> Self {
        let mut cache = Self::by_clock(inner, place, config, counters, Box::new(Instant::now));
        cache._sweeping = cache.lifetimes.sweep_always(&cache.kept);
        cache
    }

    fn by_clock(inner: S, place: String, config: &CacheConfig, counters: Arc<Counters>, clock: Clock) -> Self {
        Cache {
            inner,
            place,
            lifetimes: Lifetimes { found: config.found, unknown: config.unknown },
            kept: Arc::new(Weight::rows(config)),
            _sweeping: None,
            flights: Flights::default(),
            rereads: Rate::new(REREADS, clock()),
            counters,
            clock,
        }
    }

    /// Returns the entry of `login` if it was read less than `age` ago.
    fn kept_within(&self, login: &Login, age: impl Fn(&Kept) -> Duration) -> Option<Arc<Kept>> {
        let now = (self.clock)();
        self.kept.get(login).filter(|kept| now.duration_since(kept.read) < age(kept))
    }

    fn lifetime(&self, kept: &Kept) -> Duration {
        self.lifetimes.of(kept)
    }

    /// Sends `query` by `ask`, unless it is running already, or its answer was read within `age`.
    fn read(
        &self,
        query: &Query,
        deadline: Instant,
        age: impl Fn(&Kept) -> Duration,
        ask: impl Fn() -> Result<Lookup, StoreError>,
    ) -> Result<Lookup, StoreError> {
        let begin = (self.clock)();
        let known = || self.kept_within(&query.login, &age).map(Ok);
        let ask = || {
            let read = (self.clock)();
            ask().map(|seen| {
                let (behind, copied) = (seen.behind, seen.is_copied());
                Arc::new(Kept { row: seen.row, read, behind, copied })
            })
        };
        match self.flights.share(query, deadline, known, ask, |result| self.keep(&query.login, result)) {
            Shared::Known(result) => result.map(|kept| kept.seen()),
            Shared::Asked(result) => result.map(|kept| kept.fresh()),
            Shared::Followed(result) => {
                count(&self.counters.coalesced);
                result.map(|kept| kept.fresh())
            }
            Shared::Late => {
                count(&self.counters.coalesced);
                let after = (self.clock)().duration_since(begin);
                Err(StoreError::Timeout { place: self.place.clone(), after })
            }
        }
    }

    fn keep(&self, login: &Login, result: &Result<Arc<Kept>, StoreError>) {
        match result {
            Ok(kept) if kept.copied => {}
            // A query that was sent earlier may be answered later.
            Ok(kept) if self.kept.get(login).is_some_and(|there| there.read > kept.read) => {}
            Ok(kept) => self.kept.insert(login.clone(), Arc::clone(kept)),
            // The store has answered, so the kept row is no longer right.
            Err(StoreError::Unusable(_)) => drop(self.kept.remove(login)),
            Err(_) => {}
        }
    }

    /// Drops the entries that a change may concern, and returns their number.
    fn drop_kept(&self, changed: &Changed) -> usize {
        let dropped = Cell::new(0);
        let drop_each = |is_old: &dyn Fn(&Login, &Kept) -> bool| {
            self.kept.retain(|login, kept| {
                let goes = is_old(login, kept);
                dropped.set(dropped.get() + usize::from(goes));
                !goes
            });
        };
        match changed {
            Changed::Account(login) => {
                let remove = || dropped.set(usize::from(self.kept.remove(login).is_some()));
                self.flights.forget(&Query::all_of(login), remove);
            }
            // Aliases are not kept.
            Changed::Alias(_) => {}
            Changed::Domain(name) => {
                self.flights.forget_all(|| drop_each(&|login, _| login.domain() == name.as_str()));
            }
            Changed::Additions => self.flights.forget_all(|| drop_each(&|_, kept| kept.row.is_none())),
            Changed::Everything => self.flights.forget_all(|| {
                dropped.set(self.kept.len());
                self.kept.clear();
            }),
        }
        dropped.get()
    }
}

impl<S: AccountStore> AccountStore for Cache<S> {
    /// Asks the inner store.
    fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.inner.find(login)
    }

    /// Asks the inner store.
    fn find_newest(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.inner.find_newest(login)
    }

    fn may_lag(&self) -> bool {
        self.inner.may_lag()
    }

    /// Asks the inner store.
    fn alias_domain(&self, name: &DomainName) -> Result<Option<DomainName>, StoreError> {
        self.inner.alias_domain(name)
    }

    fn unnoted(&self) -> Vec<Changed> {
        self.inner.unnoted()
    }

    fn recall(&self, login: &Login) -> Option<Lookup> {
        let kept = self.kept_within(login, |kept| self.lifetime(kept))?;
        count(&self.counters.hits);
        Some(kept.seen())
    }

    fn look_up(&self, login: &Login, deadline: Instant) -> Result<Lookup, StoreError> {
        if let Some(seen) = self.recall(login) {
            return Ok(seen);
        }
        count(&self.counters.misses);
        let query = Query { login: login.clone(), newest: false };
        self.read(&query, deadline, |kept| self.lifetime(kept), || self.inner.look_up(login, deadline))
    }

    fn look_again(&self, login: &Login, seen: &Lookup, deadline: Instant) -> Result<Option<Lookup>, StoreError> {
        if !seen.may_be_old() {
            return Ok(None);
        }
        let is_young = |read: Instant| (self.clock)().duration_since(read) < PAUSE;
        if !seen.behind && seen.kept_since().is_some_and(is_young) {
            return Ok(None);
        }
        // What a replica said is not final.
        let age = |kept: &Kept| if kept.behind { Duration::ZERO } else { PAUSE };
        if let Some(newer) = self.kept_within(login, age) {
            return Ok(Some(newer.seen()));
        }
        if !self.rereads.admit((self.clock)()) {
            return Err(StoreError::Unconfirmed(TOO_MANY));
        }
        count(&self.counters.rereads);
        let query = Query { login: login.clone(), newest: true };
        let newer = self.read(&query, deadline, age, || self.inner.look_up_newest(login))?;
        match newer.is_copied() {
            false => Ok(Some(newer)),
            // What was read in the database within its lifetime is not replaced by a copy.
            true if newer.row == seen.row => Ok(None),
            true => Err(StoreError::Unconfirmed(COPY_DIFFERS)),
        }
    }

    fn forget(&self, changed: &Changed) {
        // Before the entries are dropped: every later query must know of the change.
        self.inner.forget(changed);
        self.drop_kept(changed);
    }

    fn flush(&self, what: &Changed) -> usize {
        self.inner.flush(what) + self.drop_kept(what)
    }

    fn state(&self) -> StoreState {
        self.inner.state()
    }

    fn keeps_passwords(&self) -> Option<StoreError> {
        self.inner.keeps_passwords()
    }

    fn set_password(&self, login: &Login, old: &Password, new: &Password) -> Result<bool, StoreError> {
        let changed = self.inner.set_password(login, old, new);
        // Whatever the result: if it is unknown whether the change was made, the row is unknown too.
        self.drop_kept(&Changed::Account(login.clone()));
        changed
    }

    fn enumerate(&self, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        self.inner.enumerate(after, limit)
    }
}

impl<S: PoolStore> PoolStore for Cache<S> {
    fn pool_limits(&self, domain: &str) -> Result<Limits, StoreError> {
        self.inner.pool_limits(domain)
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

impl<S: MailStore> MailStore for Cache<S> {
    fn newest(&self) -> Option<Box<dyn MailStore + '_>> {
        self.inner.newest()
    }

    fn domain(&self, name: &DomainName) -> Result<Option<DomainStanding>, StoreError> {
        self.inner.domain(name)
    }

    fn alias_targets(&self, address: &str) -> Result<Vec<String>, StoreError> {
        self.inner.alias_targets(address)
    }

    fn alias_targets_of(&self, addresses: [&str; 2]) -> Result<[Result<Vec<String>, StoreError>; 2], StoreError> {
        self.inner.alias_targets_of(addresses)
    }

    fn doubts(&self) -> u64 {
        self.inner.doubts()
    }

    fn certain_since(&self, doubts: u64) -> Result<(), StoreError> {
        self.inner.certain_since(doubts)
    }
}
