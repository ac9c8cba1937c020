//! The keys of SCRAM (RFC 5802, RFC 7677): what a server stores of a password, and the proofs that are made with it.

use crate::Secret;
use ::pbkdf2::pbkdf2_hmac;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Mechanism, which determines the digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScramMechanism {
    /// `SCRAM-SHA-1`
    Sha1,
    /// `SCRAM-SHA-256`
    Sha256,
}

impl ScramMechanism {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            ScramMechanism::Sha1 => "SCRAM-SHA-1",
            ScramMechanism::Sha256 => "SCRAM-SHA-256",
        }
    }

    /// Returns the number of bytes of a digest.
    pub fn digest_size(self) -> usize {
        match self {
            ScramMechanism::Sha1 => 20,
            ScramMechanism::Sha256 => 32,
        }
    }

    fn digest(self, text: &[u8]) -> Secret {
        match self {
            ScramMechanism::Sha1 => Sha1::digest(text).to_vec().into(),
            ScramMechanism::Sha256 => Sha256::digest(text).to_vec().into(),
        }
    }

    fn hmac(self, key: &[u8], text: &[u8]) -> Secret {
        match self {
            ScramMechanism::Sha1 => mac(Hmac::<Sha1>::new_from_slice(key), text),
            ScramMechanism::Sha256 => mac(Hmac::<Sha256>::new_from_slice(key), text),
        }
    }

    fn salted_password(self, password: &[u8], salt: &[u8], iterations: u32) -> Secret {
        let mut salted = Secret::new(vec![0; self.digest_size()]);
        match self {
            ScramMechanism::Sha1 => pbkdf2_hmac::<Sha1>(password, salt, iterations, salted.expose_mut()),
            ScramMechanism::Sha256 => pbkdf2_hmac::<Sha256>(password, salt, iterations, salted.expose_mut()),
        }
        salted
    }
}

fn mac<M: Mac, E>(keyed: Result<M, E>, text: &[u8]) -> Secret {
    // HMAC takes a key of any length, so there is no error. An empty digest would match nothing.
    keyed.map_or(Secret::default(), |mac| mac.chain_update(text).finalize().into_bytes().to_vec().into())
}

/// The keys of a password under a salt.
pub struct ScramKeys {
    pub(super) mechanism: ScramMechanism,
    pub(super) iterations: u32,
    pub(super) salt: Secret,
    /// Digest of the client's key.
    pub(super) stored: Secret,
    pub(super) server: Secret,
}

impl ScramKeys {
    /// Derives the keys of a password. The time is proportional to `iterations`; 4096 take a millisecond.
    pub fn derive(mechanism: ScramMechanism, password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let salted = mechanism.salted_password(password, salt, iterations);
        let client = mechanism.hmac(salted.expose(), b"Client Key");
        let stored = mechanism.digest(client.expose());
        let server = mechanism.hmac(salted.expose(), b"Server Key");
        ScramKeys { mechanism, iterations, salt: salt.into(), stored, server }
    }

    /// Returns the mechanism that uses the keys.
    pub fn mechanism(&self) -> ScramMechanism {
        self.mechanism
    }

    /// Returns the number of iterations.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Returns the salt.
    pub fn salt(&self) -> &[u8] {
        self.salt.expose()
    }

    /// Returns the proof that a client makes with its password.
    pub fn prove(&self, password: &[u8], exchange: &[u8]) -> Secret {
        let salted = self.mechanism.salted_password(password, self.salt.expose(), self.iterations);
        let mut proof = self.mechanism.hmac(salted.expose(), b"Client Key");
        let signature = self.mechanism.hmac(self.mechanism.digest(proof.expose()).expose(), exchange);
        for (byte, other) in proof.expose_mut().iter_mut().zip(signature.expose()) {
            *byte ^= other;
        }
        proof
    }

    /// Returns true if `other` has the same stored key.
    pub(super) fn has_stored_key_of(&self, other: &ScramKeys) -> bool {
        self.stored.expose().ct_eq(other.stored.expose()).into()
    }

    /// Returns the server's signature of the exchange if the client's proof was made with the password.
    pub fn verify(&self, exchange: &[u8], proof: &Secret) -> Option<Secret> {
        let signature = self.mechanism.hmac(self.stored.expose(), exchange);
        if proof.len() != signature.len() {
            return None;
        }
        let mut client_key = signature;
        for (byte, other) in client_key.expose_mut().iter_mut().zip(proof.expose()) {
            *byte ^= other;
        }
        let is_right: bool = self.mechanism.digest(client_key.expose()).expose().ct_eq(self.stored.expose()).into();
        is_right.then(|| self.mechanism.hmac(self.server.expose(), exchange))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::Engine;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn the_examples_of_the_rfcs_are_verified() {
        // RFC 5802, section 5, and RFC 7677, section 3.
        let examples = [
            (
                ScramMechanism::Sha1,
                "QSXCR+Q6sek8bf92",
                "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,\
                 i=4096,c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
                "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            ),
            (
                ScramMechanism::Sha256,
                "W22ZaJ0SNY7soEsUEjb6gQ==",
                "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                 s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
                "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ),
        ];
        for (mechanism, salt, exchange, proof, signature) in examples {
            let salt = STANDARD.decode(salt).unwrap();
            let verify = |password: &[u8], proof: &[u8]| {
                ScramKeys::derive(mechanism, password, &salt, 4096).verify(exchange.as_bytes(), &proof.into())
            };
            let proof = STANDARD.decode(proof).unwrap();
            assert_eq!(verify(b"pencil", &proof).unwrap().expose(), STANDARD.decode(signature).unwrap());
            assert!(verify(b"Pencil", &proof).is_none());
            let mut other = proof.clone();
            other[0] ^= 1;
            for wrong in [other.as_slice(), &proof[1..], b"", &[proof.as_slice(), b"x"].concat()] {
                assert!(verify(b"pencil", wrong).is_none());
            }
        }
    }
}
