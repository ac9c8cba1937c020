//! What guessing at passwords costs the one who guesses, and not the owner of an account.
//!
//! Wrong passwords are counted for each login and network. Only different ones count: a telephone that repeats an old
//! password for weeks has made one guess. What is counted goes back with time (`count`). It does not matter whether the
//! login exists: all of this is the same for one that does not.
//!
//! | who | after the allowance | after twice as much |
//! |---|---|---|
//! | a network from which the login came with the right password | refusals are delayed | the same |
//! | clients without an address, on the loopback, or in `[throttle] shared` | refusals are delayed | the same |
//! | any other network | refusals are delayed | refused without being tried |
//!
//! Two more counts are for guesses that are spread. A *site* that tries passwords at many logins is delayed, and then
//! refused, at all logins that do not know its network. At a *login* that many unknown networks try, passwords from such
//! networks are tried at the rate of one a second, and the others are "not now".
//!
//! A right password is never delayed. Where a password is refused untried, nothing is looked up or compared, a password that
//! is remembered included: otherwise guesses at that would be free.
//!
//! [`Ledger`] is what was counted, [`Throttle`] decides by it and by the rules of one configuration.

mod bounded;
mod count;
mod keeper;
mod ledger;
mod listing;
mod network;
mod prints;
mod state_file;

#[cfg(test)]
mod tests;

pub use keeper::Keeper;
pub use ledger::{Ledger, Totals};
pub use listing::{Entry, Kind, Page, Standing, Subject};
pub use network::{Network, NetworkRange, NoNetwork, Origin, Site, address};

use crate::account::Login;
use crate::config::ThrottleConfig;
use crate::counters::count as count_one;
use count::Allowance;
use ledger::{Allowances, Books, LoginId, Wrong};
use std::sync::Arc;
use std::time::Duration;

/// Passwords that are tried at once at a login that many networks attack, after a pause.
const BURST: f64 = 5.0;

/// Decides by what was counted.
pub struct Throttle {
    ledger: Arc<Ledger>,
    config: ThrottleConfig,
    allowances: Allowances,
}

/// An attempt at a login that may go on.
#[derive(Clone, Debug)]
pub struct Guess {
    login: Login,
    id: LoginId,
    origin: Origin,
    /// When the login came from this network with the right password.
    known: Option<u64>,
}

/// What is to become of an attempt at a login.
#[derive(Debug)]
pub enum Ruling {
    /// It goes on.
    Try(Guess),
    /// It is refused, after so long.
    Refuse(Duration),
    /// It is not the time for it: too many are at this login.
    PutOff,
}

impl Throttle {
    /// By the rules of `config`; `None` if it switches this off.
    pub fn new(ledger: Arc<Ledger>, config: &ThrottleConfig) -> Option<Self> {
        let allowance = |most| Allowance { most, window: config.window.as_secs() };
        let allowances = Allowances {
            pair: allowance(config.allowance),
            login: allowance(config.per_account),
            site: allowance(config.per_network),
        };
        config.enabled.then(|| Throttle { ledger, config: config.clone(), allowances })
    }

    /// What was counted.
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

    /// Judges an attempt before anything is looked up for it.
    pub fn judge(&self, login: &Login, client: Option<&str>) -> Ruling {
        let origin = self.origin(client);
        let id = self.ledger.id(login.as_str());
        let mut guess = Guess { login: login.clone(), id, origin, known: None };
        let Origin::From(network) = origin else { return Ruling::Try(guess) };
        let now = self.ledger.now();
        let mut books = self.ledger.books();
        guess.known = books.known_since(id, network, self.config.remember.as_secs(), now.as_secs());
        if guess.known.is_some() {
            return Ruling::Try(guess);
        }
        let verdict = if self.refuses(&books, id, network, now.as_secs()) {
            Some(Ruling::Refuse(self.config.delay))
        } else if !self.may_try_now(&mut books, id, now) {
            Some(Ruling::PutOff)
        } else {
            None
        };
        drop(books);
        match &verdict {
            Some(Ruling::Refuse(_)) => self.count_refusal(),
            Some(_) => count_one(&self.ledger.put_off),
            None => {}
        }
        verdict.unwrap_or(Ruling::Try(guess))
    }

    /// Judges an attempt again that has waited for its turn: others may have failed meanwhile. Returns how long its
    /// refusal is delayed, if it is refused.
    pub fn judge_again(&self, guess: &Guess) -> Option<Duration> {
        let Origin::From(network) = guess.origin else { return None };
        if guess.known.is_some() {
            return None;
        }
        let now = self.ledger.now().as_secs();
        let books = self.ledger.books();
        // The owner may have come from there meanwhile, with the right password.
        let refused = self.refuses(&books, guess.id, network, now)
            && books.known_since(guess.id, network, self.config.remember.as_secs(), now).is_none();
        drop(books);
        refused.then(|| {
            self.count_refusal();
            self.config.delay
        })
    }

    fn count_refusal(&self) {
        count_one(&self.ledger.refused);
    }

    fn refuses(&self, books: &Books, id: LoginId, network: Network, now: u64) -> bool {
        let of = &self.allowances;
        let twice = |allowance: &Allowance| allowance.most as f32 * 2.0;
        let pair = books.pairs.get(&(id, Some(network)));
        pair.is_some_and(|pair| pair.count.level(&of.pair, now) > twice(&of.pair) - 1.0)
            || books.sites.get(&network.site()).is_some_and(|count| count.level(&of.site, now) > twice(&of.site) - 1.0)
    }

    /// Returns true if the login is not attacked by many networks, or this is the time for one more password.
    fn may_try_now(&self, books: &mut Books, id: LoginId, now: Duration) -> bool {
        let of = &self.allowances.login;
        let Some(attacked) = books.logins.get_mut(&id) else { return true };
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

    /// Takes note that the password of `guess` was right.
    pub fn succeeded(&self, guess: &Guess) {
        let Origin::From(network) = guess.origin else { return };
        let now = self.ledger.now().as_secs();
        // The most frequent case, which needs no lock.
        if guess.known.is_some_and(|at| now.saturating_sub(at) < ledger::SAME_TIME) || self.config.remember.is_zero() {
            return;
        }
        if self.ledger.books().know(guess.id, &guess.login, network, now) {
            self.ledger.touch();
        }
    }

    /// Takes note that `tried`, the parts of what was to prove the login, was wrong. Returns how long the refusal is
    /// delayed.
    pub fn failed(&self, guess: &Guess, tried: &[&[u8]]) -> Duration {
        let network = match guess.origin {
            Origin::From(network) => Some(network),
            Origin::Shared => None,
            Origin::Exempt => return Duration::ZERO,
        };
        let (of, now) = (&self.allowances, self.ledger.now().as_secs());
        let (id, login, print) = (guess.id, &guess.login, self.ledger.key.print(&guess.login, tried));
        let wrong = Wrong { id, login, network, is_known: guess.known.is_some(), print };
        let mut books = self.ledger.books();
        if books.count(&wrong, of, now) {
            self.ledger.touch();
        }
        let pair = books.pairs.get(&(guess.id, network)).map_or(0.0, |pair| pair.count.level(&of.pair, now));
        let mut delay = self.delay(pair, &of.pair);
        if let (Some(network), None) = (network, guess.known) {
            let site = books.sites.get(&network.site()).map_or(0.0, |count| count.level(&of.site, now));
            let login = books.logins.get(&guess.id).map_or(0.0, |one| one.count.level(&of.login, now));
            delay = delay.max(self.delay(site, &of.site)).max(self.delay(login, &of.login));
        }
        drop(books);
        if !delay.is_zero() {
            count_one(&self.ledger.delayed);
        }
        delay
    }

    /// How long a refusal is delayed at this level: nothing up to the allowance, then more with each password, and the whole
    /// delay from half as many more on.
    fn delay(&self, level: f32, allowance: &Allowance) -> Duration {
        let most = allowance.most as f32;
        let share = (level - most) / (most / 2.0).max(1.0);
        self.config.delay.mul_f32(share.clamp(0.0, 1.0))
    }
}
