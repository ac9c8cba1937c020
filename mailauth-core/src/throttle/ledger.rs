//! The counts of wrong passwords. A process has one ledger, which remains when the configuration is reloaded.

use super::bounded_map::BoundedMap;
use super::count::{Allowance, Count};
use super::fingerprints::{Fingerprint, FingerprintKey, RecentFingerprints};
use super::network::{Network, Site};
use crate::account::Login;
use crate::sync::{Mutex, MutexGuard};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Maximum number of entries in each table.
pub const MAX_ENTRIES: usize = 100_000;

/// Maximum number of known networks of an account.
pub const MAX_KNOWN_NETWORKS: usize = 16;

/// Seconds during which the time of a login from a known network is not updated.
pub(super) const KNOWN_UPDATE_INTERVAL: u64 = 3600;

/// Age in seconds at which counts are removed. It is longer than the longest `[throttle] window`, after which they are
/// zero anyway.
const MAX_AGE: u64 = 30 * 24 * 3600;

/// Age in seconds at which known networks are removed: the longest `[throttle] remember`.
const MAX_KNOWN_AGE: u64 = 366 * 24 * 3600;

/// A keyed hash of a login, so that all logins have the same size as a key.
pub(super) type LoginId = u64;

/// A clock that returns the time since 1970. It never goes back in a running process.
pub(super) type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

/// Counts of wrong passwords, and the networks from which right ones came. All authenticators of this process share
/// it.
pub struct Ledger {
    pub(super) key: FingerprintKey,
    tables: Mutex<Tables>,
    hasher: RandomState,
    clock: Clock,
    /// Increases with each change, so that an unchanged ledger need not be written.
    changes: AtomicU64,
    pub(super) delayed: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) put_off: AtomicU64,
}

/// The tables of the ledger.
pub(super) struct Tables {
    /// Counts for a login and a network. `None` means all clients without an address of their own.
    pub pairs: BoundedMap<(LoginId, Option<Network>), Pair>,
    /// Counts for a login, from all networks that it does not know.
    pub logins: BoundedMap<LoginId, LoginCount>,
    /// Counts for a site, for all logins that do not know its networks.
    pub sites: BoundedMap<Site, Count>,
    /// The networks from which the right password for a login came.
    pub known: BoundedMap<LoginId, KnownNetworks>,
}

/// Wrong passwords for a login from a network.
pub(super) struct Pair {
    pub login: Arc<str>,
    pub count: Count,
    pub fingerprints: RecentFingerprints,
}

/// Wrong passwords for a login from all networks that it does not know.
pub(super) struct LoginCount {
    pub login: Arc<str>,
    pub count: Count,
    /// Time at which the next password may be tried while the count is too high, in seconds since 1970.
    pub next: f64,
}

/// Networks from which the right password for a login came, with the times, the most recent first.
pub(super) struct KnownNetworks {
    pub login: Arc<str>,
    pub networks: Vec<(Network, u64)>,
}

/// Numbers of entries, and of attempts since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Pairs of a login and a network with counted wrong passwords.
    pub counted: usize,
    /// Logins with known networks.
    pub known: usize,
    /// Maximum number of each of these.
    pub most: usize,
    /// Delayed refusals.
    pub delayed: u64,
    /// Passwords that were refused without being tried.
    pub refused: u64,
    /// Passwords that were not tried because too many were sent for one account.
    pub put_off: u64,
}

/// A wrong password.
pub(super) struct WrongPassword<'a> {
    pub id: LoginId,
    pub login: &'a Login,
    /// `None` for a client without an address of its own.
    pub network: Option<Network>,
    /// Whether the right password for this login came from this network before.
    pub is_known: bool,
    pub fingerprint: Fingerprint,
}

/// The allowance for each kind of count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowances {
    pub pair: Allowance,
    pub login: Allowance,
    pub site: Allowance,
}

impl Default for Ledger {
    /// Returns an empty ledger.
    fn default() -> Self {
        let (begin, time) = (Instant::now(), SystemTime::now());
        let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ledger::by_clock(Box::new(move || time + begin.elapsed()))
    }
}

impl Ledger {
    pub(super) fn by_clock(clock: Clock) -> Self {
        let (key, tables) = (FingerprintKey::random(), Mutex::default());
        let (changes, delayed, refused, put_off) = Default::default();
        Ledger { key, tables, hasher: RandomState::new(), clock, changes, delayed, refused, put_off }
    }

    pub(super) fn now(&self) -> Duration {
        (self.clock)()
    }

    pub(super) fn id(&self, login: &str) -> LoginId {
        self.hasher.hash_one(login)
    }

    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock()
    }

    pub(super) fn touch(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns a number that increases with each change.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Returns the numbers of entries, and of attempts since the start of the process.
    pub fn totals(&self) -> Totals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let tables = self.tables();
        Totals {
            counted: tables.pairs.len(),
            known: tables.known.len(),
            most: MAX_ENTRIES,
            delayed: read(&self.delayed),
            refused: read(&self.refused),
            put_off: read(&self.put_off),
        }
    }
}

impl Default for Tables {
    fn default() -> Self {
        Tables {
            pairs: BoundedMap::new(MAX_ENTRIES),
            logins: BoundedMap::new(MAX_ENTRIES),
            sites: BoundedMap::new(MAX_ENTRIES),
            known: BoundedMap::new(MAX_ENTRIES),
        }
    }
}

impl Tables {
    /// Returns when the right password for a login last came from this network, if that was at most `remember` seconds
    /// ago.
    pub fn known_since(&self, login: LoginId, network: Network, remember: u64, now: u64) -> Option<u64> {
        let known = self.known.get(&login)?;
        let (_, at) = known.networks.iter().find(|(known, _)| *known == network)?;
        (now.saturating_sub(*at) <= remember).then_some(*at)
    }

    /// Records that the right password for a login came from this network. Returns true if that changed anything.
    pub fn know(&mut self, id: LoginId, login: &Login, network: Network, now: u64) -> bool {
        let make = || KnownNetworks { login: login.as_str().into(), networks: Vec::new() };
        let networks = &mut self.known.entry(id, make, KnownNetworks::last).networks;
        let at = networks.iter().position(|(known, _)| *known == network);
        if let Some(0) = at
            && networks.first().is_some_and(|(_, at)| now.saturating_sub(*at) < KNOWN_UPDATE_INTERVAL)
        {
            return false;
        }
        if let Some(at) = at {
            networks.remove(at);
        }
        networks.insert(0, (network, now));
        networks.truncate(MAX_KNOWN_NETWORKS);
        true
    }

    /// Counts a wrong password, unless it was counted before. Returns true if it was counted.
    pub fn count(&mut self, wrong: &WrongPassword<'_>, of: &Allowances, now: u64) -> bool {
        let worth = |count: &Count, allowance: &Allowance| (count.level(allowance, now), count.parts().1);
        let login = wrong.login.as_str();
        let make =
            || Pair { login: login.into(), count: Count::default(), fingerprints: RecentFingerprints::default() };
        let pair = self.pairs.entry((wrong.id, wrong.network), make, |pair| worth(&pair.count, &of.pair));
        if !pair.fingerprints.add(wrong.fingerprint) {
            return false;
        }
        pair.count.add(&of.pair, now);
        if let (Some(network), false) = (wrong.network, wrong.is_known) {
            let make = || LoginCount { login: login.into(), count: Count::default(), next: 0.0 };
            self.logins.entry(wrong.id, make, |one| worth(&one.count, &of.login)).count.add(&of.login, now);
            self.sites.entry(network.site(), Count::default, |count| worth(count, &of.site)).add(&of.site, now);
        }
        true
    }

    /// Removes entries that are too old to matter.
    pub fn sweep(&mut self, now: u64) {
        let young = |count: &Count| now.saturating_sub(count.parts().1) < MAX_AGE;
        self.pairs.retain(|_, pair| young(&pair.count));
        self.logins.retain(|_, login| young(&login.count));
        self.sites.retain(|_, count| young(count));
        self.known.retain(|_, known| now.saturating_sub(known.last()) < MAX_KNOWN_AGE);
    }
}

impl KnownNetworks {
    /// Returns the time of the last login.
    pub fn last(&self) -> u64 {
        self.networks.first().map_or(0, |(_, at)| *at)
    }
}
