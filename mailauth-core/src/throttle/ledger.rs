//! What was counted: one ledger for the whole process, whatever configurations come and go.

use super::bounded::Bounded;
use super::count::{Allowance, Count};
use super::network::{Network, Site};
use super::prints::{Print, PrintKey, Prints};
use crate::account::Login;
use crate::sync::{Mutex, MutexGuard};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Entries of each kind that are kept.
pub const MOST: usize = 100_000;

/// Networks of an account that are known.
pub const MOST_KNOWN: usize = 16;

/// For so long the time at which a login came from a known network is not written again.
pub(super) const SAME_TIME: u64 = 3600;

/// What was counted so many seconds ago is dropped: longer than the longest `[throttle] window` takes to give it back.
const OLD: u64 = 30 * 24 * 3600;

/// The longest `[throttle] remember`.
const VERY_OLD: u64 = 366 * 24 * 3600;

/// A login, by a keyed hash, so that it is one number whatever it is called.
pub(super) type LoginId = u64;

/// Seconds since 1970, which never go back while the process lives.
pub(super) type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

/// Wrong passwords, and the networks from which right ones came. Shared by all that decide logins in this process.
pub struct Ledger {
    pub(super) key: PrintKey,
    books: Mutex<Books>,
    hasher: RandomState,
    clock: Clock,
    /// Grows with each change, so that what is unchanged need not be written.
    changes: AtomicU64,
    pub(super) delayed: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) put_off: AtomicU64,
}

/// All of it.
pub(super) struct Books {
    /// Of a login and a network; `None` is all clients without an address of their own.
    pub pairs: Bounded<(LoginId, Option<Network>), Pair>,
    /// Of a login, from all networks that it does not know.
    pub logins: Bounded<LoginId, Attacked>,
    /// Of a site, at all logins that do not know its networks.
    pub sites: Bounded<Site, Count>,
    /// Where logins came from with the right password.
    pub known: Bounded<LoginId, Known>,
}

/// Wrong passwords of one login from one network.
pub(super) struct Pair {
    pub login: Arc<str>,
    pub count: Count,
    pub prints: Prints,
}

/// Wrong passwords of one login from all networks that it does not know.
pub(super) struct Attacked {
    pub login: Arc<str>,
    pub count: Count,
    /// While too many are counted: when the next password may be tried, in seconds since 1970.
    pub next: f64,
}

/// Networks from which a login came with the right password, the last one first, and when.
pub(super) struct Known {
    pub login: Arc<str>,
    pub networks: Vec<(Network, u64)>,
}

/// How many are kept and what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Logins and networks of which wrong passwords are counted.
    pub counted: usize,
    /// Logins of which networks are known.
    pub known: usize,
    /// The most of each.
    pub most: usize,
    /// Refusals that were delayed.
    pub delayed: u64,
    /// Passwords that were refused without being tried.
    pub refused: u64,
    /// Passwords that were not tried, for too many were at one account.
    pub put_off: u64,
}

/// A wrong password.
pub(super) struct Wrong<'a> {
    pub id: LoginId,
    pub login: &'a Login,
    /// `None` for a client without an address of its own.
    pub network: Option<Network>,
    /// The login came from there with the right password.
    pub is_known: bool,
    pub print: Print,
}

/// How much is allowed of each kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowances {
    pub pair: Allowance,
    pub login: Allowance,
    pub site: Allowance,
}

impl Default for Ledger {
    /// An empty one.
    fn default() -> Self {
        let (begin, time) = (Instant::now(), SystemTime::now());
        let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ledger::by_clock(Box::new(move || time + begin.elapsed()))
    }
}

impl Ledger {
    pub(super) fn by_clock(clock: Clock) -> Self {
        let (key, books) = (PrintKey::random(), Mutex::default());
        let (changes, delayed, refused, put_off) = Default::default();
        Ledger { key, books, hasher: RandomState::new(), clock, changes, delayed, refused, put_off }
    }

    pub(super) fn now(&self) -> Duration {
        (self.clock)()
    }

    pub(super) fn id(&self, login: &str) -> LoginId {
        self.hasher.hash_one(login)
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock()
    }

    pub(super) fn touch(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// A number that grows with each change.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// How much is kept, and what was done since the start.
    pub fn totals(&self) -> Totals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let books = self.books();
        Totals {
            counted: books.pairs.len(),
            known: books.known.len(),
            most: MOST,
            delayed: read(&self.delayed),
            refused: read(&self.refused),
            put_off: read(&self.put_off),
        }
    }
}

impl Default for Books {
    fn default() -> Self {
        Books {
            pairs: Bounded::new(MOST),
            logins: Bounded::new(MOST),
            sites: Bounded::new(MOST),
            known: Bounded::new(MOST),
        }
    }
}

impl Books {
    /// When a login came from this network with the right password, if that was within so many seconds.
    pub fn known_since(&self, login: LoginId, network: Network, remember: u64, now: u64) -> Option<u64> {
        let known = self.known.get(&login)?;
        let (_, at) = known.networks.iter().find(|(known, _)| *known == network)?;
        (now.saturating_sub(*at) <= remember).then_some(*at)
    }

    /// Takes note that a login came from this network with the right password. Returns true if that says anything new.
    pub fn know(&mut self, id: LoginId, login: &Login, network: Network, now: u64) -> bool {
        let make = || Known { login: login.as_str().into(), networks: Vec::new() };
        let networks = &mut self.known.entry(id, make, Known::last).networks;
        let at = networks.iter().position(|(known, _)| *known == network);
        if let Some(0) = at
            && networks.first().is_some_and(|(_, at)| now.saturating_sub(*at) < SAME_TIME)
        {
            return false;
        }
        if let Some(at) = at {
            networks.remove(at);
        }
        networks.insert(0, (network, now));
        networks.truncate(MOST_KNOWN);
        true
    }

    /// Counts a wrong password, unless it is the repetition of one. Returns true if it was counted.
    pub fn count(&mut self, wrong: &Wrong<'_>, of: &Allowances, now: u64) -> bool {
        let worth = |count: &Count, allowance: &Allowance| (count.level(allowance, now), count.parts().1);
        let login = wrong.login.as_str();
        let make = || Pair { login: login.into(), count: Count::default(), prints: Prints::default() };
        let pair = self.pairs.entry((wrong.id, wrong.network), make, |pair| worth(&pair.count, &of.pair));
        if !pair.prints.add(wrong.print) {
            return false;
        }
        pair.count.add(&of.pair, now);
        if let (Some(network), false) = (wrong.network, wrong.is_known) {
            let make = || Attacked { login: login.into(), count: Count::default(), next: 0.0 };
            self.logins.entry(wrong.id, make, |one| worth(&one.count, &of.login)).count.add(&of.login, now);
            self.sites.entry(network.site(), Count::default, |count| worth(count, &of.site)).add(&of.site, now);
        }
        true
    }

    /// Drops what is so old that it says nothing.
    pub fn sweep(&mut self, now: u64) {
        let young = |count: &Count| now.saturating_sub(count.parts().1) < OLD;
        self.pairs.retain(|_, pair| young(&pair.count));
        self.logins.retain(|_, login| young(&login.count));
        self.sites.retain(|_, count| young(count));
        self.known.retain(|_, known| now.saturating_sub(known.last()) < VERY_OLD);
    }
}

impl Known {
    /// When a login came last.
    pub fn last(&self) -> u64 {
        self.networks.first().map_or(0, |(_, at)| *at)
    }
}
