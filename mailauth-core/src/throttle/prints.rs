//! Which wrong passwords were tried already, without keeping them.
//!
//! Of each wrong password 16 bits are kept, of HMAC-SHA256 under a random key, over the login and the password. Two
//! passwords have the same print by chance once in 65,536 pairs, which gives a guesser next to nothing. Wrong passwords are often
//! nearly right ones: 16 bits tell so little of them that a reader of the memory or of the file, who has the key, learns hardly
//! more than that some of many guesses were not tried.

use crate::account::Login;
use crate::stack::wiped;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Prints that are kept of one login and network.
pub const MOST: usize = 16;

/// Bytes of the key: a block of SHA-256.
pub const KEY: usize = 64;

/// What is kept of a wrong password.
pub type Print = u16;

/// Makes prints.
#[derive(Clone)]
pub struct PrintKey(pub(super) Zeroizing<[u8; KEY]>);

impl PrintKey {
    /// A random key.
    pub fn random() -> Self {
        let mut key = Zeroizing::new([0; KEY]);
        if let Err(error) = getrandom::fill(&mut *key) {
            // Prints then tell no secret that was one, and count as well as with a random key.
            tracing::warn!(%error, "no random numbers for the key of wrong passwords");
        }
        PrintKey(key)
    }

    /// The print of a password, or of what else proves a login, in its parts.
    pub fn print(&self, login: &Login, tried: &[&[u8]]) -> Print {
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

/// The last prints, the most recent first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prints {
    kept: [Print; MOST],
    length: u8,
}

impl Prints {
    /// Takes note of one, and returns true if it is new.
    pub fn add(&mut self, print: Print) -> bool {
        let kept = &mut self.kept[..MOST.min(usize::from(self.length))];
        if let Some(at) = kept.iter().position(|known| *known == print) {
            kept[..=at].rotate_right(1);
            return false;
        }
        self.length = self.length.saturating_add(1).min(MOST as u8);
        self.kept[..usize::from(self.length)].rotate_right(1);
        self.kept[0] = print;
        true
    }

    /// The prints, the most recent first.
    pub fn iter(&self) -> impl Iterator<Item = Print> {
        self.kept.into_iter().take(usize::from(self.length))
    }
}

/// From prints with the most recent first.
impl FromIterator<Print> for Prints {
    fn from_iter<I: IntoIterator<Item = Print>>(prints: I) -> Self {
        let mut all = Prints::default();
        for (place, print) in all.kept.iter_mut().zip(prints) {
            *place = print;
            all.length += 1;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_print_is_new_once_and_the_oldest_makes_room() {
        let mut prints = Prints::default();
        assert!(prints.add(7) && !prints.add(7));
        (100..100 + MOST as u16 - 1).for_each(|print| assert!(prints.add(print)));
        assert!(!prints.add(7), "the first is kept among {MOST}, and is the most recent now");
        assert!(prints.add(900) && !prints.add(7) && prints.add(100));
        assert_eq!(prints.iter().count(), MOST);
        assert_eq!(prints.iter().collect::<Prints>(), prints);
    }

    #[test]
    fn a_print_is_of_this_key_login_and_password() {
        let login = |name: &str| Login::parse(name.as_bytes(), None).unwrap();
        let (one, other) = (PrintKey::random(), PrintKey::random());
        let prints = |key: &PrintKey| -> Vec<_> {
            [("anna", "a"), ("anna", "b"), ("ben", "a")]
                .map(|(name, tried)| key.print(&login(name), &[tried.as_bytes()]))
                .into()
        };
        assert_eq!(prints(&one), prints(&one));
        assert_ne!(prints(&one), prints(&other));
        let [a, b, c] = prints(&one)[..] else { panic!() };
        assert!(a != b || b != c);
    }
}
