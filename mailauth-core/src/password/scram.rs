//! SCRAM keys (RFC 5802): `{SCRAM-SHA-1}iterations,salt,stored key,server key` as Dovecot writes them, and
//! PostgreSQL's `SCRAM-SHA-256$iterations:salt$stored:server`. Salt and keys are base64.
//!
//! A password matches if H(HMAC(Hi(password), "Client Key")) is the stored key. The server key is not needed to verify
//! it.

use super::pbkdf2::iterations;
use super::scheme::{Read, Scheme, Verifier};
use super::{Cost, Flaw, HashRules, Kind, ScramKeys, ScramMechanism, encoding};
use crate::Secret;

pub const SCHEMES: &[Scheme] = &[
    Scheme::text(&["SCRAM-SHA-1"], &[], read_sha1),
    Scheme::text(&["SCRAM-SHA-256"], &["SCRAM-SHA-256$"], read_sha256),
];

struct Scram(ScramKeys);

fn read_sha1(text: &[u8], rules: &HashRules) -> Read {
    read(ScramMechanism::Sha1, text, b",,,", rules)
}

fn read_sha256(text: &[u8], rules: &HashRules) -> Read {
    match text.strip_prefix(b"SCRAM-SHA-256$") {
        Some(rest) => read(ScramMechanism::Sha256, rest, b":$:", rules),
        None => read(ScramMechanism::Sha256, text, b",,,", rules),
    }
}

/// Reads four fields that are separated by the three `separators`.
fn read(mechanism: ScramMechanism, text: &[u8], separators: &[u8; 3], rules: &HashRules) -> Read {
    let (scheme, size) = (mechanism.name(), mechanism.digest_size());
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
    // The server key is last: if it is complete, the value was not truncated.
    let (stored, server) = (key(stored)?.into(), key(rest)?.into());
    Ok(Box::new(Scram(ScramKeys { mechanism, iterations, salt: salt.into(), stored, server })))
}

impl Verifier for Scram {
    fn kind(&self) -> Kind {
        Kind { scheme: self.0.mechanism.name(), cost: [self.0.iterations, 0, 0] }
    }

    fn cost(&self) -> Cost {
        Cost::Heavy { memory: 0 }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        let ScramKeys { mechanism, iterations, ref salt, .. } = self.0;
        Ok(ScramKeys::derive(mechanism, password, salt.expose(), iterations).has_stored_key_of(&self.0))
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        let ScramKeys { mechanism, iterations, ref salt, ref stored, ref server } = self.0;
        let nothing = |key: &Secret| Secret::new(vec![0; key.len()]);
        let (stored, server) = (nothing(stored), nothing(server));
        Box::new(Scram(ScramKeys { mechanism, iterations, salt: salt.clone(), stored, server }))
    }

    fn scram(&self) -> Option<&ScramKeys> {
        Some(&self.0)
    }
}
