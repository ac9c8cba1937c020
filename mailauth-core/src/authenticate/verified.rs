//! Recently verified passwords, so that a client that logs in every minute does not cost a hash each time.
//!
//! Only passwords of schemes that take milliseconds are remembered, and only right ones: a wrong password is never
//! remembered. For each login, HMAC-SHA256 of the login, the stored value and the password, under a random key of this
//! process, is kept. It is valid for that stored value only, and of no use once the row has another. It is never used
//! for a challenge, nor if the account may not be used for the requested service, so that the time of an answer reveals
//! nothing about a disabled account.
//!
//! # What an attacker gains that reads the memory of this process
//!
//! The key and the codes are both there, and the stored values too. The attacker can try passwords of users that logged
//! in within `verified_for` at the speed of HMAC-SHA256, millions in a second, instead of that of the stored hash.
//! Without the key the codes reveal nothing, and this program never writes any of this to a disk. To rule this out, set
//! `[cache] verified` to 0.

use crate::config::CacheConfig;
use crate::stack::wiped;
use crate::sync::Mutex;
use crate::{Login, Secret};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::cell::Cell;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Interval at which entries that are too old are removed.
const SWEEP: Duration = Duration::from_secs(60);

/// Returns the present time.
type Clock = Box<dyn Fn() -> Instant + Send + Sync>;

/// Remembers verified passwords.
pub(super) struct VerifiedPasswords {
    key: Zeroizing<[u8; 64]>,
    lifetime: Duration,
    kept: quick_cache::sync::Cache<Login, Proof>,
    swept: Mutex<Instant>,
    clock: Clock,
}

#[derive(Clone)]
struct Proof {
    code: [u8; 32],
    since: Instant,
}

impl VerifiedPasswords {
    /// Returns `None` if the configuration disables it, or if the system has no random numbers for a key.
    pub fn new(config: &CacheConfig) -> Option<Self> {
        Self::by_clock(config, Box::new(Instant::now))
    }

    fn by_clock(config: &CacheConfig, clock: Clock) -> Option<Self> {
        if !config.keeps_verified() {
            return None;
        }
        let mut key = Zeroizing::new([0; 64]);
        if let Err(error) = getrandom::fill(&mut *key) {
            tracing::warn!(%error, "no random numbers: every password is hashed at every login");
            return None;
        }
        let kept = quick_cache::sync::Cache::new(config.verified);
        Some(VerifiedPasswords { key, lifetime: config.verified_for, kept, swept: Mutex::new(clock()), clock })
    }

    /// Returns true if `password` was verified for `stored` recently.
    pub fn knows(&self, login: &Login, stored: &Secret, password: &Secret) -> bool {
        let Some(proof) = self.kept.get(login) else { return false };
        if self.is_over(&proof, (self.clock)()) {
            self.kept.remove_if(login, |now| now.since == proof.since);
            return false;
        }
        self.code(login, stored, password).ct_eq(&proof.code).into()
    }

    /// Records that the password matches.
    pub fn remember(&self, login: &Login, stored: &Secret, password: &Secret) {
        let now = (self.clock)();
        self.kept.insert(login.clone(), Proof { code: self.code(login, stored, password), since: now });
        self.sweep(now);
    }

    /// Forgets this login, or all.
    pub fn forget(&self, login: Option<&Login>) {
        match login {
            Some(login) => drop(self.kept.remove(login)),
            None => self.kept.clear(),
        }
    }

    /// Forgets the logins for which `is_named` returns true, and returns their number.
    pub fn flush(&self, is_named: impl Fn(&Login) -> bool) -> usize {
        let forgotten = Cell::new(0);
        self.kept.retain(|login, _| {
            let goes = is_named(login);
            forgotten.set(forgotten.get() + usize::from(goes));
            !goes
        });
        forgotten.get()
    }

    fn is_over(&self, proof: &Proof, now: Instant) -> bool {
        now.duration_since(proof.since) >= self.lifetime
    }

    fn sweep(&self, now: Instant) {
        {
            let mut swept = self.swept.lock();
            if now.duration_since(*swept) < SWEEP {
                return;
            }
            *swept = now;
        }
        self.kept.retain(|_, proof| !self.is_over(proof, now));
    }

    fn code(&self, login: &Login, stored: &Secret, password: &Secret) -> [u8; 32] {
        wiped(|| {
            let mut mac = Hmac::<Sha256>::new((&*self.key).into());
            // Each part has its length before it, so that no two triples give the same bytes.
            for part in [login.as_str().as_bytes(), stored.expose(), password.expose()] {
                mac.update(&(part.len() as u64).to_be_bytes());
                mac.update(part);
            }
            mac.finalize().into_bytes().into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    struct Story {
        verified: VerifiedPasswords,
        now: Arc<Mutex<Instant>>,
    }

    fn story(config: &CacheConfig) -> Story {
        let now = Arc::new(Mutex::new(Instant::now()));
        let clock = Arc::clone(&now);
        let verified = VerifiedPasswords::by_clock(config, Box::new(move || *clock.lock())).expect("a key");
        Story { verified, now }
    }

    impl Story {
        fn wait(&self, time: Duration) {
            *self.now.lock() += time;
        }

        fn knows(&self, who: &str, stored: &str, password: &str) -> bool {
            self.verified.knows(&login(who), &stored.into(), &password.into())
        }

        fn remember(&self, who: &str, stored: &str, password: &str) {
            self.verified.remember(&login(who), &stored.into(), &password.into());
        }
    }

    fn login(name: &str) -> Login {
        Login::parse(name.as_bytes(), None).unwrap()
    }

    #[test]
    fn it_holds_for_this_login_this_stored_value_and_this_password() {
        let story = story(&CacheConfig::default());
        assert!(!story.knows("anna", "$6$hash", "secret"));
        story.remember("anna", "$6$hash", "secret");
        assert!(story.knows("anna", "$6$hash", "secret"));
        for (who, stored, password) in [
            ("ben", "$6$hash", "secret"),
            ("anna", "$6$other", "secret"),
            ("anna", "$6$hash", "Secret"),
            ("anna", "$6$has", "hsecret"),
            ("anna", "", "$6$hashsecret"),
        ] {
            assert!(!story.knows(who, stored, password), "{who} {stored} {password}");
        }
        assert!(story.knows("anna", "$6$hash", "secret"), "wrong guesses do not end it");
    }

    #[test]
    fn it_ends_with_its_time_and_when_it_is_forgotten() {
        let story = story(&CacheConfig { verified_for: Duration::from_secs(600), ..CacheConfig::default() });
        story.remember("anna", "$6$hash", "secret");
        story.remember("ben", "$6$hash", "secret");
        story.wait(Duration::from_secs(599));
        assert!(story.knows("anna", "$6$hash", "secret"));
        story.verified.forget(Some(&login("anna")));
        assert!(!story.knows("anna", "$6$hash", "secret") && story.knows("ben", "$6$hash", "secret"));
        story.wait(Duration::from_secs(1));
        assert!(!story.knows("ben", "$6$hash", "secret"));
        story.remember("ben", "$6$hash", "secret");
        story.verified.forget(None);
        assert!(!story.knows("ben", "$6$hash", "secret"));
    }

    #[test]
    fn what_is_over_does_not_stay_in_memory_and_the_number_is_bounded() {
        let story = story(&CacheConfig { verified: 100, ..CacheConfig::default() });
        for number in 0..10_000 {
            story.remember(&format!("user{number}"), "$6$hash", "secret");
        }
        assert!(story.verified.kept.len() <= 100, "{}", story.verified.kept.len());
        story.wait(Duration::from_secs(600));
        story.remember("anna", "$6$hash", "secret");
        assert_eq!(story.verified.kept.len(), 1);
    }

    #[test]
    fn each_process_has_a_key_of_its_own() {
        let codes = [(); 2].map(|()| {
            let story = story(&CacheConfig::default());
            story.verified.code(&login("anna"), &"$6$hash".into(), &"secret".into())
        });
        assert_ne!(codes[0], codes[1]);
    }

    #[test]
    fn it_can_be_switched_off() {
        assert!(VerifiedPasswords::new(&CacheConfig { verified: 0, ..CacheConfig::default() }).is_none());
        assert!(VerifiedPasswords::new(&CacheConfig { enabled: false, ..CacheConfig::default() }).is_none());
    }
}
