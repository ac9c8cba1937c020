//! MD5-crypt: FreeBSD's `$1$salt$hash`, and Apache's `$apr1$salt$hash`, which includes its own id in the hash instead.
//!
//! It is a thousand rounds of MD5 over password, salt and digest, in an order that depends on the round (crypt(5)).
//! The salt has up to 8 characters. The hash has 22 characters in crypt(3)'s alphabet.

use super::scheme::{Read, Scheme, Verifier};
use super::{Cost, Flaw, HashRules, Kind, encoding};
use crate::Secret;
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

pub const SCHEMES: &[Scheme] =
    &[Scheme::text(&["MD5-CRYPT"], &["$1$"], read), Scheme::text(&["APR1-CRYPT"], &["$apr1$"], read_apr1)];

const HASH: usize = 22;
const MAX_SALT: usize = 8;
const ROUNDS: usize = 1000;

struct Md5Crypt {
    scheme: &'static str,
    id: &'static str,
    salt: Secret,
    hash: Secret,
}

/// Reads `$1$`. It is public because some programs write `{MD5}` before it.
pub fn read(text: &[u8], _: &HashRules) -> Read {
    read_with("MD5-CRYPT", "$1$", text)
}

fn read_apr1(text: &[u8], _: &HashRules) -> Read {
    read_with("APR1-CRYPT", "$apr1$", text)
}

fn read_with(scheme: &'static str, id: &'static str, text: &[u8]) -> Read {
    let malformed = |what| Flaw::Malformed { scheme, what };
    let rest = text.strip_prefix(id.as_bytes()).ok_or(malformed("it does not begin with its id"))?;
    let at = rest.iter().position(|b| *b == b'$').ok_or(Flaw::Truncated { scheme, found: 0, wanted: HASH })?;
    let (salt, hash) = (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default());
    if salt.len() > MAX_SALT {
        return Err(malformed("its salt has more than 8 characters"));
    }
    Flaw::of_length(scheme, hash.len(), HASH)?;
    Ok(Box::new(Md5Crypt { scheme, id, salt: salt.into(), hash: hash.into() }))
}

impl Verifier for Md5Crypt {
    fn kind(&self) -> Kind {
        Kind { scheme: self.scheme, cost: [0; 3] }
    }

    fn cost(&self) -> Cost {
        Cost::Heavy { memory: 0 }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        let mut digest = digest(self.id.as_bytes(), self.salt.expose(), password);
        let made = Secret::new(encode(&digest).into_bytes());
        digest.zeroize();
        Ok(made.expose().ct_eq(self.hash.expose()).into())
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        let hash = vec![b'.'; HASH].into();
        Box::new(Md5Crypt { scheme: self.scheme, id: self.id, salt: self.salt.clone(), hash })
    }
}

fn digest(id: &[u8], salt: &[u8], password: &[u8]) -> [u8; 16] {
    let inner: [u8; 16] = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize().into();
    let mut outer = Md5::new().chain_update(password).chain_update(id).chain_update(salt);
    for start in (0..password.len()).step_by(inner.len()) {
        outer.update(&inner[..inner.len().min(password.len() - start)]);
    }
    // For each bit of the length: a NUL if it is set, otherwise the password's first byte. The reason is unknown.
    let first = &password[..password.len().min(1)];
    let mut bits = password.len();
    while bits > 0 {
        outer.update(if bits & 1 == 1 { b"\0".as_slice() } else { first });
        bits >>= 1;
    }
    let mut digest: [u8; 16] = outer.finalize().into();
    for round in 0..ROUNDS {
        let odd = round % 2 == 1;
        let mut hash = Md5::new();
        hash.update(if odd { password } else { &digest });
        if round % 3 != 0 {
            hash.update(salt);
        }
        if round % 7 != 0 {
            hash.update(password);
        }
        hash.update(if odd { &digest } else { password });
        digest = hash.finalize().into();
    }
    digest
}

fn encode(digest: &[u8; 16]) -> String {
    let byte = |at: usize| u32::from(digest[at]);
    let mut text = String::with_capacity(HASH);
    for [high, middle, low] in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
        encoding::crypt64_group(&mut text, byte(high) << 16 | byte(middle) << 8 | byte(low), 4);
    }
    encoding::crypt64_group(&mut text, byte(11), 2);
    text
}
