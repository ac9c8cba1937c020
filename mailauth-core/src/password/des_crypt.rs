//! Traditional crypt(3): 2 characters of salt and 11 of hash, by 25 rounds of a modified DES. Also BSDi's extension of
//! it: `_`, 4 characters of rounds, 4 of salt and 11 of hash.
//!
//! The traditional form reads 8 characters of 7 bits and ignores the rest by design, so every password that begins
//! with the same 8 characters matches.

use super::scheme::{Read, Scheme, Verifier};
use super::{Cost, Flaw, HashRules, Kind, encoding};
use crate::Secret;
use subtle::ConstantTimeEq;

pub const SCHEMES: &[Scheme] = &[Scheme::text(&["DES-CRYPT"], &[], read).with_shape(has_its_shape)];

const DES: usize = 13;
const BSDI: usize = 20;

/// Maximum rounds of the extension. A value can hold up to 2^24, which takes several seconds.
const MAX_ROUNDS: u32 = 1 << 20;

struct DesCrypt {
    rounds: Option<u32>,
    stored: Secret,
}

/// Returns true if the value has the shape of one of the two forms.
fn has_its_shape(stored: &[u8]) -> bool {
    let alphabet = |text: &[u8]| text.iter().all(|b| encoding::crypt64_value(*b).is_some());
    match stored {
        [b'_', rest @ ..] => rest.len() == BSDI - 1 && alphabet(rest),
        all => all.len() == DES && alphabet(all),
    }
}

fn read(text: &[u8], _: &HashRules) -> Read {
    let scheme = if text.starts_with(b"_") { "BSDI-CRYPT" } else { "DES-CRYPT" };
    if !has_its_shape(text) {
        Flaw::of_length(scheme, text.len(), if text.starts_with(b"_") { BSDI } else { DES })?;
        return Err(Flaw::Malformed { scheme, what: "it has a character outside crypt's alphabet" });
    }
    let rounds = text.strip_prefix(b"_").map(|rest| {
        let digit = |(at, b): (usize, &u8)| u32::from(encoding::crypt64_value(*b).unwrap_or(0)) << (6 * at);
        rest.iter().take(4).enumerate().map(digit).sum::<u32>()
    });
    match rounds {
        Some(0) => Err(Flaw::Malformed { scheme, what: "it has no rounds" }),
        Some(rounds) if rounds > MAX_ROUNDS => Err(Flaw::TooCostly { scheme, what: "it has more than 2^20 rounds" }),
        rounds => Ok(Box::new(DesCrypt { rounds, stored: text.into() })),
    }
}

impl Verifier for DesCrypt {
    fn kind(&self) -> Kind {
        match self.rounds {
            None => Kind { scheme: "DES-CRYPT", cost: [0; 3] },
            Some(rounds) => Kind { scheme: "BSDI-CRYPT", cost: [rounds, 0, 0] },
        }
    }

    fn cost(&self) -> Cost {
        if self.rounds.is_some() { Cost::Heavy { memory: 0 } } else { Cost::Cheap }
    }

    #[expect(deprecated, reason = "the warning is about new hashes; these are existing ones")]
    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        let stored = std::str::from_utf8(self.stored.expose()).unwrap_or_default();
        let made = match self.rounds {
            None => crypt3_rs::crypt::unix::hash_with(stored, password),
            Some(_) => crypt3_rs::crypt::bsdi::hash_with(stored, password),
        };
        let made = made.map(|made| Secret::new(made.to_string().into_bytes()));
        Ok(made.is_ok_and(|made| made.expose().ct_eq(self.stored.expose()).into()))
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        // The last character holds only four bits of the hash, so a character with more bits matches no password.
        let mut stored = self.stored.expose().to_vec();
        if let Some(last) = stored.last_mut() {
            *last = b'z';
        }
        Box::new(DesCrypt { rounds: self.rounds, stored: stored.into() })
    }
}
