//! bcrypt: `$2b$cc$`, 22 characters of salt and 31 of hash, 60 in total; and passlib's `$bcrypt-sha256$`.
//!
//! Only the first 72 bytes of a password count, as in crypt(3). `$2a$`, `$2b$` and `$2y$` are the same function in
//! practice. `$2x$` marks hashes by an old library that read bytes above 127 with the wrong sign. For 7-bit passwords
//! that is the same function. Other passwords cannot be verified reliably, so they never match.

use super::family::{Family, Task};
use super::scheme::{Read, Scheme, Verifier};
use super::{Cost, Flaw, HashRules, Kind, encoding};
use crate::Secret;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub const SCHEMES: &[Scheme] = &[
    Scheme::text(&["BLF-CRYPT", "BCRYPT"], &["$2a$", "$2b$", "$2x$", "$2y$"], read),
    Scheme::text(&["BCRYPT-SHA256"], &["$bcrypt-sha256$"], read_sha256),
];

const NAME: &str = "BLF-CRYPT";
const SHA256_NAME: &str = "BCRYPT-SHA256";

/// Maximum number of bytes of a password that count.
pub const MAX_PASSWORD: usize = 72;

/// Bytes of memory that Blowfish's tables need.
pub const MEMORY: u64 = 5 << 10;

/// bcrypt's alphabet, which is base64's in another order. Bits beyond the last byte must be zero, as crypt(3) writes
/// them.
const ALPHABET: GeneralPurpose = GeneralPurpose::new(
    &alphabet::BCRYPT,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Length of a value: 4 characters of id, 3 of cost with its separator, 53 of salt and hash.
const WHOLE: usize = 60;

struct Bcrypt {
    cost: u32,
    salt: [u8; 16],
    hash: [u8; 23],
    seven_bit_only: bool,
    /// The salt as passlib writes it, which is the key of the HMAC; `None` for plain bcrypt.
    hmac_salt: Option<Secret>,
}

fn read(text: &[u8], rules: &HashRules) -> Read {
    let malformed = |what| Flaw::Malformed { scheme: NAME, what };
    if !text.starts_with(b"$2") {
        return Err(malformed("it does not begin with $2"));
    }
    Flaw::of_length(NAME, text.len(), WHOLE)?;
    let (Some(b'a' | b'b' | b'x' | b'y'), Some(b'$'), Some(b'$')) = (text.get(2), text.get(3), text.get(6)) else {
        return Err(malformed("it does not begin with $2a$, $2b$, $2x$ or $2y$ and a cost of two digits"));
    };
    let cost = text.get(4..6).unwrap_or_default();
    let rest = text.get(7..).unwrap_or_default();
    let seven_bit_only = text.get(2) == Some(&b'x');
    let (salt, hash) = rest.split_at_checked(22).unwrap_or_default();
    assemble(NAME, cost, salt, hash, rules).map(|read| boxed(Bcrypt { seven_bit_only, ..read }))
}

/// Reads `$bcrypt-sha256$v=2,t=2b,r=12$salt$hash`: bcrypt of base64(HMAC-SHA256(salt, password)).
fn read_sha256(text: &[u8], rules: &HashRules) -> Read {
    let malformed = |what| Flaw::Malformed { scheme: SHA256_NAME, what };
    let rest = text.strip_prefix(b"$bcrypt-sha256$").ok_or(malformed("it does not begin with $bcrypt-sha256$"))?;
    let rest =
        rest.strip_prefix(b"v=2,t=2b,r=").ok_or(Flaw::Unsupported { scheme: "BCRYPT-SHA256 before version 2" })?;
    let mut fields = rest.split(|b| *b == b'$');
    let (Some(cost), Some(salt), Some(hash), None) = (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(malformed("it does not have exactly the fields cost, salt and hash"));
    };
    Flaw::of_length(SHA256_NAME, hash.len(), 31)?;
    let two_digits = if let [digit] = cost { vec![b'0', *digit] } else { cost.to_vec() };
    let read = assemble(SHA256_NAME, &two_digits, salt, hash, rules)?;
    Ok(boxed(Bcrypt { hmac_salt: Some(salt.into()), ..read }))
}

fn boxed(read: Bcrypt) -> Box<dyn Verifier> {
    Box::new(read)
}

fn assemble(scheme: &'static str, cost: &[u8], salt: &[u8], hash: &[u8], rules: &HashRules) -> Result<Bcrypt, Flaw> {
    let malformed = |what| Flaw::Malformed { scheme, what };
    let cost = match cost {
        [b'0', digit] => encoding::number(&[*digit]),
        two if two.len() == 2 => encoding::number(two),
        _ => None,
    };
    let cost = cost.filter(|cost| (4..=31).contains(cost)).ok_or(malformed("its cost is not from 04 to 31"))?;
    if cost > rules.limits.bcrypt_cost {
        return Err(Flaw::TooCostly { scheme, what: "its cost is above [password] max_bcrypt_cost" });
    }
    let not_base64 = malformed("its salt or hash is not valid in bcrypt's alphabet");
    let salt = ALPHABET.decode(salt).ok().and_then(|salt| salt.try_into().ok()).ok_or(not_base64.clone())?;
    let hash = ALPHABET.decode(hash).ok().and_then(|hash| hash.try_into().ok()).ok_or(not_base64)?;
    Ok(Bcrypt { cost, salt, hash, seven_bit_only: false, hmac_salt: None })
}

impl Verifier for Bcrypt {
    fn kind(&self) -> Kind {
        Kind { scheme: if self.hmac_salt.is_some() { SHA256_NAME } else { NAME }, cost: [self.cost, 0, 0] }
    }

    fn cost(&self) -> Cost {
        Cost::Heavy { memory: MEMORY }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        let made = raw(self.cost, self.salt, self.hashed(password)?.expose());
        Ok(self.is_digest(password, &made))
    }

    fn family(&self) -> Option<Family> {
        Some(Family::Bcrypt)
    }

    fn task(&self, password: &[u8]) -> Option<Task> {
        let key = key(self.hashed(password).ok()?.expose());
        Some(Task::Bcrypt(mailauth_lockstep::bcrypt::Task { cost: self.cost, salt: self.salt, key }))
    }

    fn is_digest(&self, password: &[u8], digest: &[u8]) -> bool {
        // The work was also done for a password that cannot match.
        let possible = !self.seven_bit_only || password.is_ascii();
        let same = digest.get(..self.hash.len()).is_some_and(|digest| digest.ct_eq(&self.hash).into());
        same && possible
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        let hmac_salt = self.hmac_salt.clone();
        Box::new(Bcrypt { hash: [0; 23], hmac_salt, seven_bit_only: self.seven_bit_only, ..*self })
    }
}

impl Bcrypt {
    /// Returns what bcrypt is computed of: the password, or for passlib's form the text of its HMAC.
    fn hashed(&self, password: &[u8]) -> Result<Secret, Flaw> {
        let Some(salt) = &self.hmac_salt else { return Ok(password.into()) };
        let mut mac =
            Hmac::<Sha256>::new_from_slice(salt.expose()).map_err(|_| Flaw::Unsupported { scheme: SHA256_NAME })?;
        mac.update(password);
        let text = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        Ok(Secret::new(text.into_bytes()))
    }
}

/// Returns the bytes of the password that count, and the NUL that terminates them.
fn key(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let counts = password.get(..MAX_PASSWORD).unwrap_or(password);
    // Has room for the NUL: if the key grew, a copy of it would remain in memory.
    let mut key = Zeroizing::new(Vec::with_capacity(counts.len() + 1));
    key.extend_from_slice(counts);
    if key.len() < MAX_PASSWORD {
        key.push(0);
    }
    key
}

/// Computes bcrypt of one password.
fn raw(cost: u32, salt: [u8; 16], password: &[u8]) -> [u8; 24] {
    bcrypt::bcrypt(cost, salt, &key(password))
}

/// Returns a new `$2b$` string.
pub fn new(cost: u32, salt: [u8; 16], password: &[u8]) -> Secret {
    let hash = raw(cost, salt, password);
    format!("$2b${cost:02}${}{}", ALPHABET.encode(salt), ALPHABET.encode(&hash[..23])).into_bytes().into()
}
