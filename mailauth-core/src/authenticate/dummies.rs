//! Dummy passwords, which are tried if there is no stored one: for an unknown login, a locked account, or a row that
//! cannot be used.
//!
//! So that the time of an answer does not reveal which logins exist, each such login has a dummy of one of the kinds
//! (scheme and cost) that the table's accounts have, in the same proportions. A keyed hash of the login chooses the
//! kind, so a login always has the same dummy, as an account always has the same password. The kinds are learned from a
//! sample of the table ([`super::sample`]) and never from logins, which anyone can send.
//!
//! No dummy costs more than a new password, [`Policy::scheme`](super::Policy): otherwise every unknown login would cost
//! as much as the most expensive account. The difference to a more expensive account is hidden by the time at which
//! refusals are sent ([`crate::policy::RefusalTime`]).

use super::sample::Sample;
use crate::Login;
use crate::password::{Budget, Cost, HashRules, Kind, NewScheme, Stored};
use crate::scram::{ITERATIONS, SALT, ScramMechanism};
use crate::sync::{Mutex, MutexGuard, RwLock};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Maximum number of kinds whose time is kept. Tables rarely have more than four.
const MOST_KINDS: usize = 64;

/// The password that is tried to measure a kind. It is as long as a usual password.
const PROBE: &[u8] = b"correct horse battery";

/// Time that a measurement waits for a permit to hash.
const PATIENCE: Duration = Duration::from_secs(10);

/// Key of the choice.
pub(super) type DummyKey = Zeroizing<[u8; 32]>;

/// The dummies, and the time that each kind of stored password takes.
pub(super) struct Dummies {
    new: Arc<Stored>,
    choice: RwLock<Arc<Choice>>,
    times: Mutex<HashMap<Kind, Duration>>,
}

/// The choice of a kind for each login.
struct Choice {
    key: DummyKey,
    /// The shares of the kinds, in order. The last one has the rest.
    shares: Vec<Share>,
}

/// The logins that are treated as if their password were of one kind.
#[derive(Clone)]
struct Share {
    /// End of the share in the numbers that the keyed hash returns.
    end: u64,
    dummy: Arc<Stored>,
    /// Mechanism and number of iterations of the kind, if it is one of SCRAM. The dummy may be of another kind.
    scram: Option<(ScramMechanism, u32)>,
}

impl Dummies {
    /// Creates dummies for the time before the table is known, all of the scheme of new passwords.
    pub fn new(scheme: NewScheme, rules: &HashRules) -> Self {
        let stored = Stored::parse(scheme.specimen().as_bytes(), rules).map(|stored| stored.dummy());
        let new = Arc::new(stored.unwrap_or_else(|_| Stored::never_matching()));
        let choice = Choice { key: random_key(), shares: Vec::new() };
        Dummies { new, choice: RwLock::new(Arc::new(choice)), times: Mutex::default() }
    }

    /// Returns a stored value that no password matches.
    pub fn of(&self, login: &Login) -> Arc<Stored> {
        let choice = self.choice();
        Arc::clone(choice.share(login).map_or(&self.new, |share| &share.dummy))
    }

    /// Returns the number of iterations of a login whose keys are not stored.
    pub fn iterations(&self, mechanism: ScramMechanism, login: &Login) -> u32 {
        match self.choice().share(login).and_then(|share| share.scram) {
            Some((of, iterations)) if of == mechanism => iterations,
            _ => ITERATIONS,
        }
    }

    /// Returns a salt that is always the same for a login, and that cannot be predicted without the key.
    pub fn salt(&self, mechanism: ScramMechanism, login: &[u8]) -> Vec<u8> {
        // No login that may have a dummy contains a NUL, so this is no text that a dummy is chosen by.
        let code = self.choice().code(&[b"\0", mechanism.name().as_bytes(), b"\0", login]);
        code.into_iter().take(SALT).collect()
    }

    /// Uses this key from now on.
    pub fn use_key(&self, key: DummyKey) {
        let old = self.choice();
        self.put(Choice { key, shares: old.shares.clone() });
    }

    /// Copies the choice and the measured times of `other`.
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
            let scram = dummy.scram().map(|keys| (keys.mechanism(), keys.iterations()));
            shares.push(Share { end, dummy: if dear { Arc::clone(&self.new) } else { Arc::new(dummy) }, scram });
        }
        if !go_on() {
            return;
        }
        if sample.complete {
            // A kind that the table no longer has does not delay anything.
            let known: Vec<_> = times.iter().map(|(kind, _)| *kind).chain([self.new.kind()]).collect();
            self.lock_times().retain(|kind, _| known.contains(kind));
        }
        self.put(Choice { key: self.choice().key.clone(), shares });
    }

    /// Returns how long a password takes that is tried on `stored`, and measures it if that is not known yet. `None`
    /// for kinds that take microseconds.
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
                // Only the time is needed.
                let _ = stored.verify("", PROBE);
                begin.elapsed()
            });
            if let Ok(took) = tried {
                self.observe(stored.kind(), took);
            }
        }
        self.lock_times().get(&stored.kind()).copied().unwrap_or_default()
    }

    /// Records how long a password took that was tried on a stored one of this kind. The shortest time is kept; longer
    /// ones come from a busy processor.
    pub fn observe(&self, kind: Kind, took: Duration) {
        let mut times = self.lock_times();
        let full = times.len() >= MOST_KINDS;
        match times.get_mut(&kind) {
            Some(known) => *known = took.min(*known),
            None if full => {}
            None => drop(times.insert(kind, took)),
        }
    }

    /// Returns the shortest time that a password took which was tried on a stored one of this kind, or zero if none was.
    pub fn time_of(&self, kind: Kind) -> Duration {
        self.lock_times().get(&kind).copied().unwrap_or_default()
    }

    /// Returns the time of the most expensive known kind.
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
    /// Returns the share that a login is in, which is always the same.
    fn share(&self, login: &Login) -> Option<&Share> {
        let number = self.number(login);
        self.shares.iter().find(|share| number < share.end).or(self.shares.last())
    }

    /// Returns a number that is always the same for a login, and that cannot be predicted without the key.
    fn number(&self, login: &Login) -> u64 {
        let code = self.code(&[login.as_str().as_bytes()]);
        code.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }

    fn code(&self, text: &[&[u8]]) -> [u8; 32] {
        // HMAC takes a key of any length, so there is no error.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&*self.key) else { return [0; 32] };
        text.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }
}

/// Returns a key of this process only.
fn random_key() -> DummyKey {
    let mut key = DummyKey::default();
    if let Err(error) = getrandom::fill(&mut *key) {
        tracing::warn!(%error, "no random numbers: the time of a refusal may tell whether a login exists");
    }
    key
}
