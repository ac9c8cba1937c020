//! Fingerprints of wrong passwords, which tell whether a password was tried before without storing it.
//!
//! A fingerprint is 16 bits of HMAC-SHA256 under a random key, over the login and the password. Two passwords have the
//! same fingerprint by chance once in 65,536 pairs, which hardly helps a guesser. Wrong passwords are often similar to
//! the right one. An attacker that reads the memory or the file has the key too, but 16 bits reveal little more than
//! that most guesses were not tried.

use crate::account::Login;
use crate::stack::wiped;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Maximum number of fingerprints that are kept for a login and a network.
pub const MAX_FINGERPRINTS: usize = 16;

/// Number of bytes of the key: one block of SHA-256.
pub const KEY: usize = 64;

/// The fingerprint of a wrong password.
pub type Fingerprint = u16;

/// A key for fingerprints.
#[derive(Clone)]
pub struct FingerprintKey(pub(super) Zeroizing<[u8; KEY]>);

impl FingerprintKey {
    /// Returns a random key.
    pub fn random() -> Self {
        let mut key = Zeroizing::new([0; KEY]);
        if let Err(error) = getrandom::fill(&mut *key) {
            // A key of zeros still distinguishes passwords, so that counting works. Only its secrecy is lost.
            tracing::warn!(%error, "no random numbers: fingerprints of wrong passwords are made with a known key");
        }
        FingerprintKey(key)
    }

    /// Returns the fingerprint of a password, or of the parts of another proof of the login.
    pub fn fingerprint(&self, login: &Login, tried: &[&[u8]]) -> Fingerprint {
        let code = Zeroizing::new(wiped(|| {
            let mut mac = Hmac::<Sha256>::new((&*self.0).into());
            mac.update(login.as_str().as_bytes());
            for part in tried {
                mac.update(&(part.len() as u64).to_be_bytes());
                mac.update(part);
            }
            <[u8; 32]>::from(mac.finalize().into_bytes())
        }));
        u16::from_be_bytes([code[0], code[1]])
    }
}

/// The most recent fingerprints, the newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecentFingerprints {
    kept: [Fingerprint; MAX_FINGERPRINTS],
    length: u8,
}

impl RecentFingerprints {
    /// Adds a fingerprint. Returns true if it is new.
    pub fn add(&mut self, fingerprint: Fingerprint) -> bool {
        let kept = &mut self.kept[..MAX_FINGERPRINTS.min(usize::from(self.length))];
        if let Some(at) = kept.iter().position(|known| *known == fingerprint) {
            kept[..=at].rotate_right(1);
            return false;
        }
        self.length = self.length.saturating_add(1).min(MAX_FINGERPRINTS as u8);
        self.kept[..usize::from(self.length)].rotate_right(1);
        self.kept[0] = fingerprint;
        true
    }

    /// Returns the fingerprints, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = Fingerprint> {
        self.kept.into_iter().take(usize::from(self.length))
    }
}

/// Collects fingerprints, the newest first.
impl FromIterator<Fingerprint> for RecentFingerprints {
    fn from_iter<I: IntoIterator<Item = Fingerprint>>(fingerprints: I) -> Self {
        let mut all = RecentFingerprints::default();
        for (slot, fingerprint) in all.kept.iter_mut().zip(fingerprints) {
            *slot = fingerprint;
            all.length += 1;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_new_once_and_the_oldest_is_replaced() {
        let mut fingerprints = RecentFingerprints::default();
        assert!(fingerprints.add(7) && !fingerprints.add(7));
        (100..100 + MAX_FINGERPRINTS as u16 - 1).for_each(|fingerprint| assert!(fingerprints.add(fingerprint)));
        assert!(!fingerprints.add(7), "the first of {MAX_FINGERPRINTS} is still kept, and is now the most recent");
        assert!(fingerprints.add(900) && !fingerprints.add(7) && fingerprints.add(100));
        assert_eq!(fingerprints.iter().count(), MAX_FINGERPRINTS);
        assert_eq!(fingerprints.iter().collect::<RecentFingerprints>(), fingerprints);
    }

    #[test]
    fn a_fingerprint_depends_on_key_login_and_password() {
        let login = |name: &str| Login::parse(name.as_bytes(), None).unwrap();
        let (one, other) = (FingerprintKey::random(), FingerprintKey::random());
        let fingerprints = |key: &FingerprintKey| -> Vec<_> {
            [("anna", "a"), ("anna", "b"), ("ben", "a")]
                .map(|(name, tried)| key.fingerprint(&login(name), &[tried.as_bytes()]))
                .into()
        };
        assert_eq!(fingerprints(&one), fingerprints(&one));
        assert_ne!(fingerprints(&one), fingerprints(&other));
        let [a, b, c] = fingerprints(&one)[..] else { panic!() };
        assert!(a != b || b != c);
    }
}
