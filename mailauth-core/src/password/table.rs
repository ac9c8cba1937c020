//! The table of all schemes, and the search for the scheme of a stored value.

use super::encoding::{self, Encoding};
use super::scheme::{Payload, Read, Scheme};
use super::{Flaw, HashRules};
use crate::Secret;

/// Every scheme. `{CRYPT}` is not in the table: it means that the value names its scheme itself.
pub static SCHEMES: &[&[Scheme]] = &[
    super::plain::SCHEMES,
    super::digest::SCHEMES,
    super::sha_crypt::SCHEMES,
    super::md5_crypt::SCHEMES,
    super::des_crypt::SCHEMES,
    super::bcrypt::SCHEMES,
    super::argon2::SCHEMES,
    super::yescrypt::SCHEMES,
    super::pbkdf2::SCHEMES,
    super::scram::SCHEMES,
    super::cram_md5::SCHEMES,
    super::digest_md5::SCHEMES,
    super::nt::SCHEMES,
    super::phpass::SCHEMES,
    super::sha1_crypt::SCHEMES,
    super::mysql::SCHEMES,
    super::postgres::SCHEMES,
];

/// Ids of crypt(3) that are recognized but not supported, so that the log can name the scheme.
const UNSUPPORTED: &[(&str, &str)] = &[("$gy$", "GOST-YESCRYPT"), ("$md5", "SUN-MD5")];

/// Values that lock an account in shadow files and similar tables. The last two are what crypt(3) returns on failure.
const LOCKS: &[&[u8]] = &[b"*", b"!", b"!!", b"x", b"*LK*", b"*NP*", b"NP", b"*0", b"*1"];

/// Prefixes that are put before a hash to lock an account, and removed to unlock it.
const LOCKS_BEFORE_A_HASH: &[&[u8]] = &[b"!$", b"!{", b"!!$", b"!!{", b"*$", b"*{", b"*LOCKED*"];

/// The scheme of values that have no prefix, id or shape of their own: `[password] default_scheme`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultScheme(&'static str);

impl Default for DefaultScheme {
    fn default() -> Self {
        DefaultScheme("CRYPT")
    }
}

impl DefaultScheme {
    /// Returns the scheme with this name, in upper or lower case: `crypt`, or any name that a prefix may have.
    pub fn from_name(name: &str) -> Option<Self> {
        let names = std::iter::once("CRYPT").chain(prefixes());
        names.into_iter().find(|known| known.eq_ignore_ascii_case(name)).map(DefaultScheme)
    }

    /// Returns the name in lower case.
    pub fn name(self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// Returns all names in lower case.
    pub fn names() -> Vec<String> {
        std::iter::once("CRYPT").chain(prefixes()).map(str::to_ascii_lowercase).collect()
    }
}

fn all() -> impl Iterator<Item = &'static Scheme> {
    SCHEMES.iter().flat_map(|family| family.iter())
}

fn prefixes() -> impl Iterator<Item = &'static str> {
    all().flat_map(|scheme| scheme.prefixes.iter().copied())
}

fn by_prefix(name: &str) -> Option<&'static Scheme> {
    all().find(|scheme| scheme.prefixes.iter().any(|prefix| prefix.eq_ignore_ascii_case(name)))
}

/// Reads a value that is not empty. Its scheme is found by prefix, id, shape, or the configured default, in this
/// order.
pub fn read(stored: &[u8], rules: &HashRules) -> Read {
    if let Some((name, rest)) = encoding::prefix(stored) {
        return read_prefixed(name, rest, rules);
    }
    let default = by_prefix(rules.default_scheme.0);
    let clear = default.is_some_and(|scheme| scheme.payload == Payload::Clear);
    if is_lock(stored, clear) {
        return Err(Flaw::Locked);
    }
    if let Some(read) = by_id(stored, rules) {
        return read;
    }
    // A shape proves less than an id: if the default is a scheme of clear passwords, 13 letters are a clear password.
    if let Some(read) = (!clear).then(|| by_shape(stored, rules)).flatten() {
        return read;
    }
    default.map_or(Err(Flaw::UnknownScheme), |scheme| (scheme.read)(stored, rules))
}

/// Reads `{NAME}rest` or `{NAME.ENC}rest`. ENC is the encoding of everything after the prefix.
fn read_prefixed(name: &str, rest: &[u8], rules: &HashRules) -> Read {
    let (name, encoding) = match name.split_once('.') {
        None => (name, None),
        Some((name, word)) => (name, Some(Encoding::from_name(word).ok_or(Flaw::UnknownScheme)?)),
    };
    let scheme = by_prefix(name);
    if scheme.is_none() && !name.eq_ignore_ascii_case("CRYPT") {
        return Err(Flaw::UnknownScheme);
    }
    let payload = scheme.map_or(Payload::Text, |scheme| scheme.payload);
    let decoded = match encoding {
        None => None,
        Some(encoding) if payload == Payload::Bytes => Some(encoding.to_hex(rest)?),
        Some(encoding) => Some(encoding.decode(rest)?),
    };
    let rest = decoded.as_ref().map_or(rest, Secret::expose);
    if rest.is_empty() {
        return Err(Flaw::Empty);
    }
    if payload != Payload::Clear && is_lock(rest, false) {
        return Err(Flaw::Locked);
    }
    match scheme {
        Some(scheme) => (scheme.read)(rest, rules),
        None => by_id(rest, rules).or_else(|| by_shape(rest, rules)).unwrap_or(Err(Flaw::UnknownScheme)),
    }
}

/// Returns the scheme of values with this name.
pub fn scheme_of(name: &str) -> Option<&'static Scheme> {
    // Its values have the prefix of the other form of DES.
    by_prefix(if name == "BSDI-CRYPT" { "DES-CRYPT" } else { name })
}

fn by_id(stored: &[u8], rules: &HashRules) -> Option<Read> {
    if let Some(scheme) = all().find(|scheme| scheme.ids.iter().any(|id| stored.starts_with(id.as_bytes()))) {
        return Some((scheme.read)(stored, rules));
    }
    let (_, scheme) = UNSUPPORTED.iter().find(|(id, _)| stored.starts_with(id.as_bytes()))?;
    Some(Err(Flaw::Unsupported { scheme }))
}

fn by_shape(stored: &[u8], rules: &HashRules) -> Option<Read> {
    let scheme = all().find(|scheme| scheme.shape.is_some_and(|shape| shape(stored)))?;
    Some((scheme.read)(stored, rules))
}

/// Returns true if the value locks an account. If it may be a clear password, a `!` that is not followed by a hash is
/// part of the password.
fn is_lock(stored: &[u8], may_be_clear: bool) -> bool {
    LOCKS.contains(&stored)
        || LOCKS_BEFORE_A_HASH.iter().any(|lock| stored.starts_with(lock))
        || (!may_be_clear && stored.starts_with(b"!"))
}
