//! Limits on password guessing that do not lock out the owner of an account.
//!
//! Wrong passwords are counted for each login and network. Only different passwords count: a telephone that repeats an
//! old password for weeks has made one guess. Counts decrease with time (`count`). Logins that do not exist are
//! treated in the same way.
//!
//! | client | after the allowance | after twice the allowance |
//! |---|---|---|
//! | in a network from which the right password for this login came before | refusals are delayed | the same |
//! | without an address, on the loopback, or in `[throttle] shared` | refusals are delayed | the same |
//! | in any other network | refusals are delayed | refused without being tried |
//!
//! Two more counts are for distributed guessing. A *site* that tries passwords for many logins is delayed, and then
//! refused, for all logins that do not know its network. If many unknown networks try one *login*, one password per
//! second is tried from these networks, and the others get "not now".
//!
//! A right password is never delayed. If a password is refused without being tried, nothing is looked up or compared,
//! not even with a remembered password: otherwise guesses at that password would cost nothing.
//!
//! [`Ledger`] contains the counts. [`Throttle`] decides with them and with the limits of one configuration.

mod bounded_map;
mod count;
mod fingerprints;
mod ledger;
mod ledger_writer;
mod listing;
mod network;
mod state_file;

#[cfg(test)]
mod tests;

pub use ledger::{Ledger, Totals};
pub use ledger_writer::LedgerWriter;
pub use listing::{Entry, Kind, Page, State, Subject};
pub use network::{Network, NetworkError, NetworkRange, Origin, Site, address};

use crate::account::Login;
use crate::config::ThrottleConfig;
use crate::counters::count as count_one;
use count::Allowance;
use ledger::{Allowances, LoginId, Tables, WrongPassword};
use std::sync::Arc;
use std::time::Duration;

/// Number of passwords that are tried immediately, after a pause, for a login that many networks attack.
const BURST: f64 = 5.0;

/// Decides whether a password is tried, refused, or put off.
pub struct Throttle {
    ledger: Arc<Ledger>,
    config: ThrottleConfig,
    allowances: Allowances,
}

/// A login attempt whose password may be tried.
#[derive(Clone, Debug)]
pub struct Guess {
    login: Login,
    id: LoginId,
    origin: Origin,
    /// When the right password for this login last came from this network.
    known: Option<u64>,
}

/// The decision about a login attempt.
#[derive(Debug)]
pub enum Ruling {
    /// The password is tried.
    Try(Guess),
    /// The attempt is refused after this delay.
    Refuse(Duration),
    /// The attempt gets "not now", because too many passwords are being tried for this login.
    PutOff,
}

impl Throttle {
    /// Returns a throttle with the limits of `config`; `None` if that disables it.
    pub fn new(ledger: Arc<Ledger>, config: &ThrottleConfig) -> Option<Self> {
        let allowance = |most| Allowance { most, window: config.window.as_secs() };
        let allowances = Allowances {
            pair: allowance(config.allowance),
            login: allowance(config.per_account),
            site: allowance(config.per_network),
        };
        config.enabled.then(|| Throttle { ledger, config: config.clone(), allowances })
    }

    /// Returns the counts.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn origin(&self, client: Option<&str>) -> Origin {
        let Some(client) = client.and_then(address) else { return Origin::Shared };
        let among = |ranges: &[NetworkRange]| ranges.iter().any(|range| range.contains(client));
        if among(&self.config.exempt) {
            Origin::Exempt
        } else if client.is_loopback() || among(&self.config.shared) {
            Origin::Shared
        } else {
            Origin::From(Network::of(client))
        }
    }

    /// Decides about an attempt, before anything is looked up for it.
    pub fn judge(&self, login: &Login, client: Option<&str>) -> Ruling {
        let origin = self.origin(client);
        let id = self.ledger.id(login.as_str());
        let mut guess = Guess { login: login.clone(), id, origin, known: None };
        let Origin::From(network) = origin else { return Ruling::Try(guess) };
        let now = self.ledger.now();
        let mut tables = self.ledger.tables();
        guess.known = tables.known_since(id, network, self.config.remember.as_secs(), now.as_secs());
        if guess.known.is_some() {
            return Ruling::Try(guess);
        }
        let verdict = if self.refuses(&tables, id, network, now.as_secs()) {
            Some(Ruling::Refuse(self.config.delay))
        } else if !self.may_try_now(&mut tables, id, now) {
            Some(Ruling::PutOff)
        } else {
            None
        };
        drop(tables);
        match &verdict {
            Some(Ruling::Refuse(_)) => self.count_refusal(),
            Some(_) => count_one(&self.ledger.put_off),
            None => {}
        }
        verdict.unwrap_or(Ruling::Try(guess))
    }

    /// Decides again about an attempt that has waited in a queue, because other attempts may have failed in the
    /// meantime. Returns the delay of its refusal if it is refused.
    pub fn judge_again(&self, guess: &Guess) -> Option<Duration> {
        let Origin::From(network) = guess.origin else { return None };
        if guess.known.is_some() {
            return None;
        }
        let now = self.ledger.now().as_secs();
        let tables = self.ledger.tables();
        // In the meantime, the owner may have logged in from this network.
        let refused = self.refuses(&tables, guess.id, network, now)
            && tables.known_since(guess.id, network, self.config.remember.as_secs(), now).is_none();
        drop(tables);
        refused.then(|| {
            self.count_refusal();
            self.config.delay
        })
    }

    fn count_refusal(&self) {
        count_one(&self.ledger.refused);
    }

    fn refuses(&self, tables: &Tables, id: LoginId, network: Network, now: u64) -> bool {
        let of = &self.allowances;
        let twice = |allowance: &Allowance| allowance.most as f32 * 2.0;
        let pair = tables.pairs.get(&(id, Some(network)));
        pair.is_some_and(|pair| pair.count.level(&of.pair, now) > twice(&of.pair) - 1.0)
            || tables.sites.get(&network.site()).is_some_and(|count| count.level(&of.site, now) > twice(&of.site) - 1.0)
    }

    /// Returns true if the login is not attacked by many networks, or if it is time to try one more password.
    fn may_try_now(&self, tables: &mut Tables, id: LoginId, now: Duration) -> bool {
        let of = &self.allowances.login;
        let Some(attacked) = tables.logins.get_mut(&id) else { return true };
        if attacked.count.level(of, now.as_secs()) <= of.most as f32 - 1.0 {
            return true;
        }
        let now = now.as_secs_f64();
        let next = attacked.next.max(now);
        if next - now >= BURST {
            return false;
        }
        attacked.next = next + 1.0;
        true
    }

    /// Records that the password of `guess` was right.
    pub fn succeeded(&self, guess: &Guess) {
        let Origin::From(network) = guess.origin else { return };
        let now = self.ledger.now().as_secs();
        // This is the most frequent case, and it needs no lock.
        if guess.known.is_some_and(|at| now.saturating_sub(at) < ledger::KNOWN_UPDATE_INTERVAL)
            || self.config.remember.is_zero()
        {
            return;
        }
        if self.ledger.tables().know(guess.id, &guess.login, network, now) {
            self.ledger.touch();
        }
    }

    /// Records that `tried` was wrong: the password, or the parts of another proof of the login. Returns the delay of
    /// the refusal.
    pub fn failed(&self, guess: &Guess, tried: &[&[u8]]) -> Duration {
        let network = match guess.origin {
            Origin::From(network) => Some(network),
            Origin::Shared => None,
            Origin::Exempt => return Duration::ZERO,
        };
        let (of, now) = (&self.allowances, self.ledger.now().as_secs());
        let (id, login, fingerprint) = (guess.id, &guess.login, self.ledger.key.fingerprint(&guess.login, tried));
        let wrong = WrongPassword { id, login, network, is_known: guess.known.is_some(), fingerprint };
        let mut tables = self.ledger.tables();
        if tables.count(&wrong, of, now) {
            self.ledger.touch();
        }
        let pair = tables.pairs.get(&(guess.id, network)).map_or(0.0, |pair| pair.count.level(&of.pair, now));
        let mut delay = self.delay(pair, &of.pair);
        if let (Some(network), None) = (network, guess.known) {
            let site = tables.sites.get(&network.site()).map_or(0.0, |count| count.level(&of.site, now));
            let login = tables.logins.get(&guess.id).map_or(0.0, |one| one.count.level(&of.login, now));
            delay = delay.max(self.delay(site, &of.site)).max(self.delay(login, &of.login));
        }
        drop(tables);
        if !delay.is_zero() {
            count_one(&self.ledger.delayed);
        }
        delay
    }

    /// Returns the delay of a refusal at this level: zero up to the allowance, then growing with each
    /// password, up to the full delay at one and a half times the allowance.
    fn delay(&self, level: f32, allowance: &Allowance) -> Duration {
        let most = allowance.most as f32;
        let share = (level - most) / (most / 2.0).max(1.0);
        self.config.delay.mul_f32(share.clamp(0.0, 1.0))
    }
}
