//! What CRAM-MD5 needs of a password, stored instead of the password: `{CRAM-MD5}`, `{HMAC-MD5}`, and Courier's
//! hmac-md5.
//!
//! The value is 64 hexadecimal digits: the two states of [`HmacMd5State`].

use super::scheme::{Read, Scheme, Verifier};
use super::{Flaw, HashRules, HmacMd5State, Kind, encoding};
use subtle::ConstantTimeEq;

pub const SCHEMES: &[Scheme] = &[Scheme::bytes(&["CRAM-MD5", "HMAC-MD5"], &[], read)];

fn read(text: &[u8], _: &HashRules) -> Read {
    Flaw::of_length("CRAM-MD5", text.len(), 64)?;
    let states = encoding::hex(text).ok_or(Flaw::Malformed { scheme: "CRAM-MD5", what: "it is not hexadecimal" })?;
    Ok(Box::new(HmacMd5State::from_bytes(states.into())))
}

impl Verifier for HmacMd5State {
    fn kind(&self) -> Kind {
        Kind { scheme: "CRAM-MD5", cost: [0; 3] }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        Ok(HmacMd5State::of(password).bytes().ct_eq(self.bytes()).into())
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        Box::new(HmacMd5State::from_bytes(vec![0; 32].into()))
    }

    fn hmac_md5(&self) -> Option<&HmacMd5State> {
        Some(self)
    }
}
