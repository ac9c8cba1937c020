//! MySQL's PASSWORD(): `*` and 40 hexadecimal digits of SHA1(SHA1(password)). Also OLD_PASSWORD(): 16 digits of a
//! 64-bit function that is not a cryptographic hash by today's standards.
//!
//! Neither writes a prefix, and `*...` means "locked" elsewhere. Without a prefix, they are read only if the
//! configuration says so.

use super::scheme::{Read, Scheme, Verifier};
use super::{Flaw, HashRules, Kind, encoding};
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

pub const SCHEMES: &[Scheme] = &[Scheme::text(&["MYSQL41"], &[], read_new), Scheme::text(&["MYSQL323"], &[], read_old)];

struct New([u8; 20]);

struct Old([u8; 8]);

fn read_new(text: &[u8], _: &HashRules) -> Read {
    let scheme = "MYSQL41";
    let digits = text.strip_prefix(b"*").ok_or(Flaw::Malformed { scheme, what: "it does not begin with *" })?;
    Flaw::of_length(scheme, digits.len(), 40)?;
    let digest = encoding::hex_array(digits).ok_or(Flaw::Malformed { scheme, what: "it is not hexadecimal" })?;
    Ok(Box::new(New(digest)))
}

fn read_old(text: &[u8], _: &HashRules) -> Read {
    let scheme = "MYSQL323";
    Flaw::of_length(scheme, text.len(), 16)?;
    let digest = encoding::hex_array(text).ok_or(Flaw::Malformed { scheme, what: "it is not hexadecimal" })?;
    Ok(Box::new(Old(digest)))
}

impl Verifier for New {
    fn kind(&self) -> Kind {
        Kind { scheme: "MYSQL41", cost: [0; 3] }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        Ok(Sha1::digest(Sha1::digest(password)).as_slice().ct_eq(&self.0).into())
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        Box::new(New([0; 20]))
    }
}

impl Verifier for Old {
    fn kind(&self) -> Kind {
        Kind { scheme: "MYSQL323", cost: [0; 3] }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        Ok(old_password(password).ct_eq(&self.0).into())
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        // The highest bit of each half is always 0 in a real hash.
        Box::new(Old([0xff; 8]))
    }
}

/// Computes OLD_PASSWORD() of MySQL before 4.1: two sums of 31 bits, which skip spaces and tabs.
fn old_password(password: &[u8]) -> [u8; 8] {
    let (mut first, mut second, mut add) = (1_345_345_333_u32, 0x1234_5671_u32, 7_u32);
    for byte in password.iter().filter(|byte| !matches!(byte, b' ' | b'\t')).map(|byte| u32::from(*byte)) {
        let sum = (first & 63).wrapping_add(add).wrapping_mul(byte).wrapping_add(first << 8);
        first ^= sum;
        second = second.wrapping_add((second << 8) ^ first);
        add = add.wrapping_add(byte);
    }
    let halves = u64::from(first & 0x7fff_ffff) << 32 | u64::from(second & 0x7fff_ffff);
    halves.to_be_bytes()
}
