//! What a password is tried on where no stored one is: for an unknown login, a locked account, a row that cannot be used.
//!
//! So that the time of an answer does not tell which logins exist, each such login has a dummy of one of the kinds (scheme
//! and cost) that the table's accounts have, and as many logins have each kind as accounts do. A keyed hash of the login
//! chooses, so a login has the same dummy each time, as an account has the same password. The kinds are learned from a
//! sample of the table ([`super::sample`]) and never from logins, which strangers choose.
//!
//! No dummy costs more than a new password, [`Policy::scheme`](super::Policy): else every unknown login would cost what one
//! account does. The difference to a costlier account is hidden by the time at which refusals are sent
//! ([`super::refusal_time`]).

use super::sample::Sample;
use crate::Login;
use crate::password::{Budget, Cost, Kind, NewScheme, Rules, Stored};
use crate::sync::{Mutex, MutexGuard, RwLock};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Kinds whose time is kept. Tables rarely have more than four.
const MOST_KINDS: usize = 64;

/// What is tried to measure a kind: as long as a password of a person.
const PROBE: &[u8] = b"correct horse battery";

/// How long measuring waits for a place among the passwords that are hashed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The key of the choice.
pub(super) type DummyKey = Zeroizing<[u8; 32]>;

/// The dummies, and what each kind of stored password costs.
pub(super) struct Dummies {
    new: Arc<Stored>,
    choice: RwLock<Arc<Choice>>,
    times: Mutex<HashMap<Kind, Duration>>,
}

/// A kind for each login.
struct Choice {
    key: DummyKey,
    /// Each with the end of its share of the numbers that the keyed hash gives. The last one has what is left.
    shares: Vec<(u64, Arc<Stored>)>,
}

impl Dummies {
    /// Before the table is known, every dummy is of the scheme that new passwords get.
    pub fn new(scheme: NewScheme, rules: &Rules) -> Self {
        let stored = Stored::parse(scheme.specimen().as_bytes(), rules).map(|stored| stored.dummy());
        let new = Arc::new(stored.unwrap_or_else(|_| Stored::nothing()));
        let choice = Choice { key: random_key(), shares: Vec::new() };
        Dummies { new, choice: RwLock::new(Arc::new(choice)), times: Mutex::default() }
    }

    /// A stored value that nothing fits.
    pub fn of(&self, login: &Login) -> Arc<Stored> {
        let choice = self.choice();
        let number = choice.number(login);
        let share = choice.shares.iter().find(|(end, _)| number < *end).or(choice.shares.last());
        Arc::clone(share.map_or(&self.new, |(_, dummy)| dummy))
    }

    /// Chooses by this key from now on.
    pub fn use_key(&self, key: DummyKey) {
        let old = self.choice();
        self.put(Choice { key, shares: old.shares.clone() });
    }

    /// Chooses as `other` does, and knows what that knows.
    pub fn take_over(&self, other: &Dummies) {
        *self.choice.write() = other.choice();
        *self.lock_times() = other.lock_times().clone();
    }

    /// Chooses among the kinds of `sample`, after measuring those that take longer than microseconds.
    pub fn learn(&self, sample: Sample, budget: &Budget, go_on: &dyn Fn() -> bool) {
        let measured = |stored: &Stored| if go_on() { self.measured(stored, budget) } else { Duration::ZERO };
        let new = measured(&self.new);
        let mut shares = Vec::new();
        let mut end = 0u64;
        let total = sample.kinds.values().map(|(number, _)| *number).sum::<u64>().max(1);
        let times: Vec<_> = sample.kinds.iter().map(|(kind, (_, dummy))| (*kind, measured(dummy))).collect();
        for ((number, dummy), (_, time)) in sample.kinds.into_values().zip(&times) {
            let share = u128::from(u64::MAX) * u128::from(number) / u128::from(total);
            end = end.saturating_add(u64::try_from(share).unwrap_or(u64::MAX));
            let dear = *time > new && dummy.kind() != self.new.kind();
            shares.push((end, if dear { Arc::clone(&self.new) } else { Arc::new(dummy) }));
        }
        if !go_on() {
            return;
        }
        if sample.complete {
            // What the table has no more of slows nothing down.
            let known: Vec<_> = times.iter().map(|(kind, _)| *kind).chain([self.new.kind()]).collect();
            self.lock_times().retain(|kind, _| known.contains(kind));
        }
        self.put(Choice { key: self.choice().key.clone(), shares });
    }

    /// Returns how long a password takes that is tried on `stored`, and tries one if that is not known yet. Nothing for
    /// what takes microseconds.
    fn measured(&self, stored: &Stored, budget: &Budget) -> Duration {
        let cost = stored.cost();
        if cost == Cost::Cheap {
            return Duration::ZERO;
        }
        if let Some(known) = self.lock_times().get(&stored.kind()) {
            return *known;
        }
        for _ in 0..2 {
            let tried = budget.run(cost, Instant::now() + PATIENCE, || {
                let begin = Instant::now();
                // Only the time that it takes is wanted.
                let _ = stored.verify("", PROBE);
                begin.elapsed()
            });
            if let Ok(took) = tried {
                self.observe(stored.kind(), took);
            }
        }
        self.lock_times().get(&stored.kind()).copied().unwrap_or_default()
    }

    /// Notes how long a password took that was tried on a stored one of this kind. The shortest time is kept: longer ones
    /// are those of a processor that had other work.
    pub fn observe(&self, kind: Kind, took: Duration) {
        let mut times = self.lock_times();
        let full = times.len() >= MOST_KINDS;
        match times.get_mut(&kind) {
            Some(known) => *known = took.min(*known),
            None if full => {}
            None => drop(times.insert(kind, took)),
        }
    }

    /// The time of the costliest kind that is known.
    pub fn slowest(&self) -> Duration {
        self.lock_times().values().max().copied().unwrap_or_default()
    }

    fn choice(&self) -> Arc<Choice> {
        Arc::clone(&self.choice.read())
    }

    fn put(&self, choice: Choice) {
        *self.choice.write() = Arc::new(choice);
    }

    fn lock_times(&self) -> MutexGuard<'_, HashMap<Kind, Duration>> {
        self.times.lock()
    }
}

impl Choice {
    /// A number that is the same for a login each time, and that only the holder of the key can tell.
    fn number(&self, login: &Login) -> u64 {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&*self.key) else { return 0 };
        mac.update(login.as_str().as_bytes());
        let code: [u8; 32] = mac.finalize().into_bytes().into();
        code.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }
}

/// A key of this process alone.
fn random_key() -> DummyKey {
    let mut key = DummyKey::default();
    if let Err(error) = getrandom::fill(&mut *key) {
        tracing::warn!(%error, "no random numbers: the time of a refusal may tell whether a login exists");
    }
    key
}
