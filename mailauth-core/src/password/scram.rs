//! SCRAM keys (RFC 5802): `{SCRAM-SHA-1}iterations,salt,stored key,server key` as Dovecot writes them, and
//! PostgreSQL's `SCRAM-SHA-256$iterations:salt$stored:server`. Salt and keys are base64.
//!
//! A password matches if H(HMAC(Hi(password), "Client Key")) is the stored key. The server key is not needed to verify
//! it.

use super::pbkdf2::iterations;
use super::scheme::{Read, Scheme, Verifier};
use super::{Cost, Flaw, HashRules, Kind, encoding};
use crate::Secret;
use ::pbkdf2::pbkdf2_hmac;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub const SCHEMES: &[Scheme] = &[
    Scheme::text(&["SCRAM-SHA-1"], &[], read_sha1),
    Scheme::text(&["SCRAM-SHA-256"], &["SCRAM-SHA-256$"], read_sha256),
];

/// A function that computes the stored key of a password.
type StoredKey = fn(&[u8], &[u8], u32) -> Option<Secret>;

struct Scram {
    scheme: &'static str,
    derive: StoredKey,
    iterations: u32,
    salt: Secret,
    stored: Secret,
}

fn sha1_key(password: &[u8], salt: &[u8], iterations: u32) -> Option<Secret> {
    let mut salted = zeroize::Zeroizing::new([0; 20]);
    pbkdf2_hmac::<Sha1>(password, salt, iterations, salted.as_mut());
    let client =
        Hmac::<Sha1>::new_from_slice(salted.as_ref()).ok()?.chain_update(b"Client Key").finalize().into_bytes();
    Some(Sha1::digest(client).to_vec().into())
}

fn sha256_key(password: &[u8], salt: &[u8], iterations: u32) -> Option<Secret> {
    let mut salted = zeroize::Zeroizing::new([0; 32]);
    pbkdf2_hmac::<Sha256>(password, salt, iterations, salted.as_mut());
    let client =
        Hmac::<Sha256>::new_from_slice(salted.as_ref()).ok()?.chain_update(b"Client Key").finalize().into_bytes();
    Some(Sha256::digest(client).to_vec().into())
}

fn read_sha1(text: &[u8], rules: &HashRules) -> Read {
    read("SCRAM-SHA-1", 20, sha1_key, text, b",,,", rules)
}

fn read_sha256(text: &[u8], rules: &HashRules) -> Read {
    match text.strip_prefix(b"SCRAM-SHA-256$") {
        Some(rest) => read("SCRAM-SHA-256", 32, sha256_key, rest, b":$:", rules),
        None => read("SCRAM-SHA-256", 32, sha256_key, text, b",,,", rules),
    }
}

/// Reads four fields that are separated by the three `separators`.
fn read(
    scheme: &'static str,
    size: usize,
    derive: StoredKey,
    text: &[u8],
    separators: &[u8; 3],
    rules: &HashRules,
) -> Read {
    let malformed = |what| Flaw::Malformed { scheme, what };
    let mut rest = text;
    let mut fields = [b"".as_slice(); 3];
    for (field, separator) in fields.iter_mut().zip(separators) {
        let at = rest.iter().position(|b| b == separator).ok_or(malformed("it does not have four fields"))?;
        let (before, after) = rest.split_at(at);
        *field = before;
        rest = after.get(1..).unwrap_or_default();
    }
    let [rounds, salt, stored] = fields;
    let iterations = iterations(scheme, rounds, rules)?;
    let salt = encoding::base64(salt).filter(|salt| !salt.is_empty()).ok_or(malformed("its salt is not base64"))?;
    let key = |text: &[u8]| {
        Flaw::of_length(scheme, text.len(), size.div_ceil(3) * 4)?;
        let key = encoding::base64(text).filter(|key| key.len() == size);
        key.ok_or(malformed("its keys are not base64 of the digest's length"))
    };
    let stored = key(stored)?;
    // The server key is checked only because it ends the value: if it is complete, the value was not truncated.
    key(rest)?;
    Ok(Box::new(Scram { scheme, derive, iterations, salt: salt.into(), stored: stored.into() }))
}

impl Verifier for Scram {
    fn kind(&self) -> Kind {
        Kind { scheme: self.scheme, cost: [self.iterations, 0, 0] }
    }

    fn cost(&self) -> Cost {
        Cost::Heavy { memory: 0 }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        let made = (self.derive)(password, self.salt.expose(), self.iterations);
        Ok(made.is_some_and(|made| made.expose().ct_eq(self.stored.expose()).into()))
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        let stored = vec![0; self.stored.len()].into();
        Box::new(Scram { salt: self.salt.clone(), stored, ..*self })
    }
}
