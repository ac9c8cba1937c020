//! Rows that are kept in memory, before another store.
//!
//! Kept is what look-ups by login found: an account's row for `found`, that there is none for `unknown`, both in one
//! table of so many rows and so many bytes at most. What is too old is swept out of it. A row's age counts from before the query that read it was sent. Aliases and domains are not
//! kept.
//!
//! # What is answered from memory
//!
//! `docs/internals/ages.md` has the whole table, with rows of other ages.
//!
//! | answer | from a kept row |
//! |---|---|
//! | yes, to a password, a challenge or a look-up | within its lifetime |
//! | no, for there is no account: a look-up without a password | within its lifetime |
//! | any other no, and "not now" for a row that cannot be used | only if the row was read within the last second |
//!
//! In the last case the row is read anew first ([`AccountStore::look_again`]), so that a new password works and a
//! disabled account is open again at once, wherever that was changed. An unknown login with a password is treated as a
//! wrong password is: the time that an answer takes must not tell them apart. So that guesses do not turn the cache off,
//! a login is read anew once in a second at most, and all logins together [`REREADS`] times. Beyond that, and where
//! reading anew fails, the answer is "not now": the kept row stays, and goes on to say yes. So a flood of wrong passwords
//! costs the database no more than that, refuses nobody who has a new password, and keeps nobody out who has the right
//! one. What a replica said is read anew whenever it would refuse, within the same number.
//!
//! # Changes
//!
//! - A password that is changed through this store, and what [`AccountStore::forget`] is told, is seen at once: a query
//!   that was under way meanwhile is not kept.
//! - Changes from elsewhere are seen when the lifetime is over: a yes may be that late.
//! - When a lifetime is over and the store cannot tell, the answer is "not now". A row is not served beyond its lifetime.
//! - What the store has from a copy, because its database does not answer, is not kept, and overrules no kept row.
//!
//! # Queries
//!
//! Requests for one login that come together share one query: one of them sends it, and the others wait for it, each
//! until its own deadline. An error is the answer to all of them; when the one panics, another takes its place. No lock
//! is held while a query runs. Reading anew before a refusal shares no query with look-ups, which a replica may answer,
//! and what it has read is not replaced by what was asked for before.

mod flights;
mod memory;
mod rate;
#[cfg(test)]
mod tests;

use super::{AccountStore, Changed, Cursor, DomainStanding, MailStore, Page, Seen, StoreError, StoreState};
use crate::DomainName;
use crate::account::{AccountRow, Login, Password};
use crate::config::CacheConfig;
use crate::counters::{Counters, count};
use crate::quota::pools::{PoolStore, PoolUse};
use crate::quota::{Kind, Limits, Usage};
use flights::{Flights, Shared};
use memory::{Lifetimes, Rows, Weight};
use rate::Rate;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// A row that was read within so long is not read anew before a refusal.
const PAUSE: Duration = Duration::from_secs(1);

/// The most rows that are read anew before a refusal, in a second and at once.
pub const REREADS: u32 = 100;

/// Why a refusal by a kept row is not confirmed.
const TOO_MANY: &str = "more than 100 such rows would have to be read again in this second";
const COPY_DIFFERS: &str = "no database answers, and its copy has another row";

/// Tells the time.
type Clock = Box<dyn Fn() -> Instant + Send + Sync>;

/// Keeps what look-ups in `S` found.
pub struct Cache<S> {
    inner: S,
    /// What the inner store is called in messages.
    place: String,
    lifetimes: Lifetimes,
    kept: Arc<Rows>,
    /// Ends the sweeping when it is dropped.
    _sweeping: Option<Sender<()>>,
    flights: Flights<Query, Result<Arc<Kept>, StoreError>>,
    rereads: Rate,
    counters: Arc<Counters>,
    clock: Clock,
}

/// A query that may be under way.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Query {
    login: Login,
    /// It goes to a host that has every change.
    newest: bool,
}

impl Query {
    fn all_of(login: &Login) -> [Query; 2] {
        [false, true].map(|newest| Query { login: login.clone(), newest })
    }
}

/// What a query found.
struct Kept {
    row: Option<AccountRow>,
    /// When the query was sent.
    read: Instant,
    /// A replica answered it.
    behind: bool,
    /// It was answered from a copy. Such a row is not kept: once the database is back, its word goes.
    copied: bool,
}

impl Kept {
    fn seen(&self) -> Seen {
        Seen::kept(self.row.clone(), self.read).behind(self.behind)
    }

    /// As whoever asks now sees it.
    fn fresh(&self) -> Seen {
        let row = self.row.clone();
        if self.copied { Seen::copied(row) } else { Seen::new(row).behind(self.behind) }
    }
}

impl<S: AccountStore> Cache<S> {
    /// Before `inner`, which messages call `place`.
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

    /// What is kept of `login` and was read less than `age` ago.
    fn kept_within(&self, login: &Login, age: impl Fn(&Kept) -> Duration) -> Option<Arc<Kept>> {
        let now = (self.clock)();
        self.kept.get(login).filter(|kept| now.duration_since(kept.read) < age(kept))
    }

    fn lifetime(&self, kept: &Kept) -> Duration {
        self.lifetimes.of(kept)
    }

    /// Sends `query` by `ask`, unless it is under way already, or its answer was read within `age`.
    fn read(
        &self,
        query: &Query,
        deadline: Instant,
        age: impl Fn(&Kept) -> Duration,
        ask: impl Fn() -> Result<Seen, StoreError>,
    ) -> Result<Seen, StoreError> {
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
            // The store has answered, and what was kept is not so any more.
            Err(StoreError::Unusable(_)) => drop(self.kept.remove(login)),
            Err(_) => {}
        }
    }

    fn drop_kept(&self, changed: &Changed) {
        match changed {
            Changed::Account(login) => {
                self.flights.forget(&Query::all_of(login), || drop(self.kept.remove(login)));
            }
            // Aliases are not kept.
            Changed::Alias(_) => {}
            Changed::Domain(name) => {
                self.flights.forget_all(|| self.kept.retain(|login, _| login.domain() != name.as_str()));
            }
            Changed::Additions => self.flights.forget_all(|| self.kept.retain(|_, kept| kept.row.is_some())),
            Changed::Everything => self.flights.forget_all(|| self.kept.clear()),
        }
    }
}

impl<S: AccountStore> AccountStore for Cache<S> {
    /// Asks the store itself.
    fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.inner.find(login)
    }

    /// Asks the store itself.
    fn find_newest(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.inner.find_newest(login)
    }

    fn may_lag(&self) -> bool {
        self.inner.may_lag()
    }

    /// Asks the store itself.
    fn alias_domain(&self, name: &DomainName) -> Result<Option<DomainName>, StoreError> {
        self.inner.alias_domain(name)
    }

    fn unnoted(&self) -> Vec<Changed> {
        self.inner.unnoted()
    }

    fn look_up(&self, login: &Login, deadline: Instant) -> Result<Seen, StoreError> {
        if let Some(kept) = self.kept_within(login, |kept| self.lifetime(kept)) {
            count(&self.counters.hits);
            return Ok(kept.seen());
        }
        count(&self.counters.misses);
        let query = Query { login: login.clone(), newest: false };
        self.read(&query, deadline, |kept| self.lifetime(kept), || self.inner.look_up(login, deadline))
    }

    fn look_again(&self, login: &Login, seen: &Seen, deadline: Instant) -> Result<Option<Seen>, StoreError> {
        if !seen.may_be_old() {
            return Ok(None);
        }
        let is_young = |read: Instant| (self.clock)().duration_since(read) < PAUSE;
        if !seen.behind && seen.kept_since().is_some_and(is_young) {
            return Ok(None);
        }
        // What a replica said is no reason to leave it at that.
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
            // What was read in the database within its lifetime is not overruled by a copy.
            true if newer.row == seen.row => Ok(None),
            true => Err(StoreError::Unconfirmed(COPY_DIFFERS)),
        }
    }

    fn forget(&self, changed: &Changed) {
        // Before: what is asked from now on has to know it.
        self.inner.forget(changed);
        self.drop_kept(changed);
    }

    fn state(&self) -> StoreState {
        self.inner.state()
    }

    fn set_password(&self, login: &Login, old: &Password, new: &Password) -> Result<bool, StoreError> {
        let changed = self.inner.set_password(login, old, new);
        // Whatever came of it: where it is not known whether it was done, the row is not known either.
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
