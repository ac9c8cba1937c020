//! The portable hash of PHP programs, `$P$` (phpBB: `$H$`): one character of cost, 8 of salt, 22 of hash, 34 in total.
//!
//! The hash is MD5(salt ‖ password), followed by 2^cost times MD5(digest ‖ password), in crypt(3)'s alphabet.

use super::limits::rounds_by_length;
use super::scheme::{Read, Scheme, Verifier};
use super::{Cost, Flaw, HashRules, Kind, encoding};
use crate::Secret;
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

pub const SCHEMES: &[Scheme] = &[Scheme::text(&["PHPASS"], &["$P$", "$H$"], read)];

const NAME: &str = "PHPASS";
const WHOLE: usize = 34;

/// 2^20 rounds of MD5 take about a quarter of a second.
const MAX_COST: u32 = 20;

struct Phpass {
    cost: u32,
    salt: Secret,
    hash: [u8; 16],
}

fn read(text: &[u8], _: &HashRules) -> Read {
    let malformed = |what| Flaw::Malformed { scheme: NAME, what };
    Flaw::of_length(NAME, text.len(), WHOLE)?;
    let cost = text.get(3).and_then(|b| encoding::crypt64_value(*b)).map_or(0, u32::from);
    match cost {
        7..=MAX_COST => {}
        21..=30 => return Err(Flaw::TooCostly { scheme: NAME, what: "it has more than 2^20 rounds" }),
        _ => return Err(malformed("its cost is not from 7 to 30")),
    }
    let (salt, hash) = text.get(4..).and_then(|rest| rest.split_at_checked(8)).unwrap_or_default();
    let hash = encoding::decode_crypt64(hash).and_then(|hash| hash.try_into().ok());
    let hash = hash.ok_or(malformed("its hash has a character outside crypt's alphabet"))?;
    Ok(Box::new(Phpass { cost, salt: salt.into(), hash }))
}

impl Verifier for Phpass {
    fn kind(&self) -> Kind {
        Kind { scheme: NAME, cost: [self.cost, 0, 0] }
    }

    fn cost(&self) -> Cost {
        Cost::Heavy { memory: 0 }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        if rounds_by_length(1 << self.cost, password) > 1 << MAX_COST {
            let what = "it has too many rounds for a password of this length";
            return Err(Flaw::TooCostly { scheme: NAME, what });
        }
        let mut digest = Md5::new().chain_update(self.salt.expose()).chain_update(password).finalize();
        for _ in 0..1_u32 << self.cost {
            digest = Md5::new().chain_update(digest).chain_update(password).finalize();
        }
        Ok(digest.as_slice().ct_eq(&self.hash).into())
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        Box::new(Phpass { cost: self.cost, salt: self.salt.clone(), hash: [0; 16] })
    }
}
