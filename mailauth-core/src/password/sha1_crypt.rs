//! NetBSD's `$sha1$iterations$salt$hash` (crypt(5)): HMAC-SHA1 with the password as its key, first of the salt
//! followed by `$sha1$` and the iterations, then repeatedly of its own result.
//!
//! The hash has 28 characters in crypt(3)'s alphabet, for the 20 bytes followed by the first of them.

use super::pbkdf2::iterations;
use super::scheme::{Read, Scheme, Verifier};
use super::{Cost, Flaw, HashRules, Kind, encoding};
use crate::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

pub const SCHEMES: &[Scheme] = &[Scheme::text(&["SHA1-CRYPT"], &["$sha1$"], read)];

const NAME: &str = "SHA1-CRYPT";
const HASH: usize = 28;
const MAX_SALT: usize = 64;

struct Sha1Crypt {
    iterations: u32,
    salt: Secret,
    /// The hash as it is stored, in crypt(3)'s alphabet.
    hash: Secret,
}

fn read(text: &[u8], rules: &HashRules) -> Read {
    let malformed = |what| Flaw::Malformed { scheme: NAME, what };
    let rest = text.strip_prefix(b"$sha1$").ok_or(malformed("it does not begin with $sha1$"))?;
    let mut fields = rest.split(|b| *b == b'$');
    let rounds = fields.next().unwrap_or_default();
    let salt = fields.next().unwrap_or_default();
    let hash = fields.next().unwrap_or_default();
    if fields.next().is_some() || salt.len() > MAX_SALT {
        return Err(malformed(
            "it does not have exactly the fields iterations, salt and hash, or its salt is too long",
        ));
    }
    let iterations = iterations(NAME, rounds, rules)?;
    Flaw::of_length(NAME, hash.len(), HASH)?;
    Ok(Box::new(Sha1Crypt { iterations, salt: salt.into(), hash: hash.into() }))
}

impl Sha1Crypt {
    fn hash_of(&self, password: &[u8]) -> Option<Secret> {
        let keyed = Hmac::<Sha1>::new_from_slice(password).ok()?;
        let first = keyed.clone().chain_update(self.salt.expose()).chain_update(format!("$sha1${}", self.iterations));
        let mut digest = first.finalize().into_bytes();
        for _ in 1..self.iterations {
            digest = keyed.clone().chain_update(digest).finalize().into_bytes();
        }
        let bytes: Vec<u32> = digest.iter().chain(digest.first()).map(|byte| u32::from(*byte)).collect();
        let mut text = String::with_capacity(HASH);
        for group in bytes.chunks(3) {
            encoding::crypt64_group(&mut text, group.iter().fold(0, |bits, byte| bits << 8 | byte), 4);
        }
        Some(text.into_bytes().into())
    }
}

impl Verifier for Sha1Crypt {
    fn kind(&self) -> Kind {
        Kind { scheme: NAME, cost: [self.iterations, 0, 0] }
    }

    fn cost(&self) -> Cost {
        Cost::Heavy { memory: 0 }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        Ok(self.hash_of(password).is_some_and(|made| made.expose().ct_eq(self.hash.expose()).into()))
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        // This is outside crypt(3)'s alphabet, so no password matches it.
        Box::new(Sha1Crypt { salt: self.salt.clone(), hash: vec![b'!'; HASH].into(), ..*self })
    }
}
