//! The NT hash, which is MD4 of the password in UTF-16LE: hexadecimal digits after `{NTLM}`, or after FreeBSD's
//! `$3$$`.

use super::scheme::{Read, Scheme, Verifier};
use super::{Flaw, HashRules, Kind, encoding};
use md4::{Digest, Md4};
use subtle::ConstantTimeEq;

pub const SCHEMES: &[Scheme] = &[Scheme::bytes(&["NTLM", "NT"], &["$3$$"], read)];

struct NtHash([u8; 16]);

fn read(text: &[u8], _: &HashRules) -> Read {
    let digits = text.strip_prefix(b"$3$$").unwrap_or(text);
    Flaw::of_length("NTLM", digits.len(), 32)?;
    let hash = encoding::hex_array(digits).ok_or(Flaw::Malformed { scheme: "NTLM", what: "it is not hexadecimal" })?;
    Ok(Box::new(NtHash(hash)))
}

impl Verifier for NtHash {
    fn kind(&self) -> Kind {
        Kind { scheme: "NTLM", cost: [0; 3] }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        // A password that is not UTF-8 cannot be converted to UTF-16.
        let Ok(text) = std::str::from_utf8(password) else { return Ok(false) };
        let mut hash = Md4::new();
        for unit in text.encode_utf16() {
            hash.update(unit.to_le_bytes());
        }
        Ok(hash.finalize().as_slice().ct_eq(&self.0).into())
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        Box::new(NtHash([0; 16]))
    }
}
