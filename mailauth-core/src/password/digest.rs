//! Plain and salted digests: `{SHA}`, `{SSHA}` and similar schemes.
//!
//! The value is the digest, or H(password ‖ salt) ‖ salt, in padded base64 or in hexadecimal. A plain digest is
//! hexadecimal if it has exactly twice the digest's length. A salted one is hexadecimal if it is longer than that and
//! consists of hexadecimal digits only, which does not happen by chance to base64 of that many random bytes.

use super::scheme::{Read, Scheme, Verifier};
use super::{Flaw, HashRules, Kind, encoding, md5_crypt};
use crate::Secret;
use md4::Md4;
use md5::Md5;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha256, Sha512};
use std::marker::PhantomData;
use subtle::ConstantTimeEq;

pub const SCHEMES: &[Scheme] = &[
    Scheme::bytes(&["MD5"], &[], read_md5),
    Scheme::bytes(&["PLAIN-MD5", "LDAP-MD5", "MD5RAW"], &[], read_plain::<Md5>),
    Scheme::bytes(&["PLAIN-MD4"], &[], read_plain::<Md4>),
    Scheme::bytes(&["SHA", "SHA1"], &[], read_plain::<Sha1>),
    Scheme::bytes(&["SHA256"], &[], read_plain::<Sha256>),
    Scheme::bytes(&["SHA512"], &[], read_plain::<Sha512>),
    Scheme::bytes(&["SMD5"], &[], read_salted::<Md5>),
    Scheme::bytes(&["SSHA"], &[], read_salted::<Sha1>),
    Scheme::bytes(&["SSHA256"], &[], read_salted::<Sha256>),
    Scheme::bytes(&["SSHA512"], &[], read_salted::<Sha512>),
];

/// Maximum length of a salt. Programs that write these values use 4 to 32 bytes.
const MAX_SALT: usize = 256;

/// A digest with the names of its two schemes.
trait Named: Digest + Send + Sync + 'static {
    const PLAIN: &'static str;
    const SALTED: &'static str;
}

impl Named for Md4 {
    const PLAIN: &'static str = "PLAIN-MD4";
    const SALTED: &'static str = "SMD4";
}

impl Named for Md5 {
    const PLAIN: &'static str = "PLAIN-MD5";
    const SALTED: &'static str = "SMD5";
}

impl Named for Sha1 {
    const PLAIN: &'static str = "SHA";
    const SALTED: &'static str = "SSHA";
}

impl Named for Sha256 {
    const PLAIN: &'static str = "SHA256";
    const SALTED: &'static str = "SSHA256";
}

impl Named for Sha512 {
    const PLAIN: &'static str = "SHA512";
    const SALTED: &'static str = "SSHA512";
}

struct Digested<D> {
    digest: Secret,
    /// `None` for a plain digest.
    salt: Option<Secret>,
    of: PhantomData<fn() -> D>,
}

/// Reads `{MD5}`: MD5-crypt if the value looks like it, as for Dovecot; otherwise a plain digest, as for Courier and
/// Exim.
fn read_md5(text: &[u8], rules: &HashRules) -> Read {
    if text.starts_with(b"$1$") { md5_crypt::read(text, rules) } else { read_plain::<Md5>(text, rules) }
}

fn read_plain<D: Named>(text: &[u8], _: &HashRules) -> Read {
    let size = <D as Digest>::output_size();
    let digest = if text.len() == 2 * size { encoding::hex(text) } else { encoding::base64(text) };
    let digest = digest.ok_or_else(|| unreadable(D::PLAIN, text, size.div_ceil(3) * 4))?;
    Flaw::of_length(D::PLAIN, digest.len(), size)?;
    Ok(Box::new(Digested::<D> { digest: digest.into(), salt: None, of: PhantomData }))
}

/// Returns what is wrong with a text that is neither hexadecimal nor base64 and should have `wanted` characters.
fn unreadable(scheme: &'static str, text: &[u8], wanted: usize) -> Flaw {
    let alphabet = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    if text.len() < wanted && text.iter().all(alphabet) {
        return Flaw::Truncated { scheme, found: text.len(), wanted };
    }
    Flaw::Malformed { scheme, what: "it is neither base64 nor hexadecimal" }
}

fn read_salted<D: Named>(text: &[u8], _: &HashRules) -> Read {
    let size = <D as Digest>::output_size();
    let hex = (text.len() > 2 * size).then(|| encoding::hex(text)).flatten();
    let mut digest = hex
        .or_else(|| encoding::base64(text))
        .ok_or_else(|| unreadable(D::SALTED, text, text.len().next_multiple_of(4)))?;
    if digest.len() < size {
        return Err(Flaw::Truncated { scheme: D::SALTED, found: digest.len(), wanted: size });
    }
    let salt = digest.split_off(size);
    if salt.is_empty() || salt.len() > MAX_SALT {
        return Err(Flaw::Malformed { scheme: D::SALTED, what: "its salt is missing or too long" });
    }
    Ok(Box::new(Digested::<D> { digest: digest.into(), salt: Some(salt.into()), of: PhantomData }))
}

impl<D: Named> Verifier for Digested<D> {
    fn kind(&self) -> Kind {
        Kind { scheme: if self.salt.is_some() { D::SALTED } else { D::PLAIN }, cost: [0; 3] }
    }

    fn verify(&self, _: &str, password: &[u8]) -> Result<bool, Flaw> {
        let salt = self.salt.as_ref().map_or(b"".as_slice(), Secret::expose);
        let digest = D::new().chain_update(password).chain_update(salt).finalize();
        Ok(self.digest.expose().ct_eq(&digest).into())
    }

    fn dummy(&self) -> Box<dyn Verifier> {
        // No password whose digest is all zeros is known.
        let digest = vec![0; <D as Digest>::output_size()].into();
        Box::new(Digested::<D> { digest, salt: self.salt.clone(), of: PhantomData })
    }
}
