//! The table of schemes, and how a stored value finds its row.

use super::encoding::{self, Encoding};
use super::{Cost, Flaw, HashRules, HmacMd5State, Kind};
use super::{argon2, bcrypt, cram_md5, des_crypt, digest, digest_md5, md5_crypt, mysql, nt, pbkdf2, phpass, plain};
use super::{postgres, scram, sha_crypt, sha1_crypt, yescrypt};
use crate::Secret;

/// A stored value of some scheme, ready for passwords to be tried on.
pub trait Verifier: Send + Sync {
    /// Scheme and cost parameters.
    fn kind(&self) -> Kind;

    /// What one verification costs.
    fn cost(&self) -> Cost {
        Cost::Cheap
    }

    /// Does this password, neither empty nor with a NUL, fit?
    fn verify(&self, login: &str, password: &[u8]) -> Result<bool, Flaw>;

    /// The same scheme and cost, and nothing fits.
    fn dummy(&self) -> Box<dyn Verifier>;

    /// The clear password, where that is what is stored.
    fn clear(&self) -> Option<&[u8]> {
        None
    }

    /// What CRAM-MD5 needs, where that is what is stored.
    fn hmac_md5(&self) -> Option<&HmacMd5State> {
        None
    }
}

/// What reading a value gives.
pub type Read = Result<Box<dyn Verifier>, Flaw>;

/// What follows the prefix of a scheme.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Payload {
    /// A password: any text may be one.
    Clear,
    /// Text of the scheme's own, such as a crypt(3) string.
    Text,
    /// Bytes, in hexadecimal or base64.
    Bytes,
}

/// One way to write a scheme.
pub struct Scheme {
    /// The words that stand in `{}` before such a value, in upper case.
    prefixes: &'static [&'static str],
    /// What such a value begins with when it has no prefix.
    ids: &'static [&'static str],
    /// Is a value without prefix and id of a shape that only this scheme has?
    shape: Option<fn(&[u8]) -> bool>,
    payload: Payload,
    /// Reads what follows the prefix, the id included.
    read: fn(&[u8], &HashRules) -> Read,
}

impl Scheme {
    /// A scheme of clear passwords.
    pub const fn clear(prefixes: &'static [&'static str], read: fn(&[u8], &HashRules) -> Read) -> Self {
        Scheme { prefixes, ids: &[], shape: None, payload: Payload::Clear, read }
    }

    /// A scheme whose values are text.
    pub const fn text(
        prefixes: &'static [&'static str],
        ids: &'static [&'static str],
        read: fn(&[u8], &HashRules) -> Read,
    ) -> Self {
        Scheme { prefixes, ids, shape: None, payload: Payload::Text, read }
    }

    /// A scheme whose values are bytes. `read` must take them in hexadecimal, whatever else it takes.
    pub const fn bytes(
        prefixes: &'static [&'static str],
        ids: &'static [&'static str],
        read: fn(&[u8], &HashRules) -> Read,
    ) -> Self {
        Scheme { prefixes, ids, shape: None, payload: Payload::Bytes, read }
    }

    /// The same scheme, known also by the shape of its values.
    pub const fn with_shape(self, shape: fn(&[u8]) -> bool) -> Self {
        Scheme { shape: Some(shape), ..self }
    }
}

/// Every scheme. `{CRYPT}` is not one: it says that the value tells its scheme itself.
pub static SCHEMES: &[&[Scheme]] = &[
    plain::SCHEMES,
    digest::SCHEMES,
    sha_crypt::SCHEMES,
    md5_crypt::SCHEMES,
    des_crypt::SCHEMES,
    bcrypt::SCHEMES,
    argon2::SCHEMES,
    yescrypt::SCHEMES,
    pbkdf2::SCHEMES,
    scram::SCHEMES,
    cram_md5::SCHEMES,
    digest_md5::SCHEMES,
    nt::SCHEMES,
    phpass::SCHEMES,
    sha1_crypt::SCHEMES,
    mysql::SCHEMES,
    postgres::SCHEMES,
];

/// Ids of crypt(3) that are known and not supported, so that the log can say so.
const UNSUPPORTED: &[(&str, &str)] = &[("$gy$", "GOST-YESCRYPT"), ("$md5", "SUN-MD5")];

/// Values that lock an account wherever shadow files and their likes write them; the last two are crypt(3)'s own for a
/// failure.
const LOCKS: &[&[u8]] = &[b"*", b"!", b"!!", b"x", b"*LK*", b"*NP*", b"NP", b"*0", b"*1"];

/// What is put before a hash to lock an account, and may be taken away again.
const LOCKS_BEFORE_A_HASH: &[&[u8]] = &[b"!$", b"!{", b"!!$", b"!!{", b"*$", b"*{", b"*LOCKED*"];

/// What a value without prefix, id or shape of its own is: `[password] default_scheme`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultScheme(&'static str);

impl Default for DefaultScheme {
    fn default() -> Self {
        DefaultScheme("CRYPT")
    }
}

impl DefaultScheme {
    /// The scheme of this name, in any case: `crypt`, or any word that may stand in `{}`.
    pub fn from_name(name: &str) -> Option<Self> {
        let names = std::iter::once("CRYPT").chain(prefixes());
        names.into_iter().find(|known| known.eq_ignore_ascii_case(name)).map(DefaultScheme)
    }

    /// Its name, in lower case.
    pub fn name(self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// All names, in lower case.
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

/// Reads a value that is not empty: by prefix, by id, by shape, by the configured default.
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
    // A shape proves less than an id: where clear passwords are expected, 13 letters are one.
    if let Some(read) = (!clear).then(|| by_shape(stored, rules)).flatten() {
        return read;
    }
    default.map_or(Err(Flaw::UnknownScheme), |scheme| (scheme.read)(stored, rules))
}

/// `{NAME}rest` or `{NAME.ENC}rest`, where ENC says in what all that follows is encoded.
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

/// Is this written to lock an account? Where it may be a clear password, a `!` before anything but a hash is not.
fn is_lock(stored: &[u8], may_be_clear: bool) -> bool {
    LOCKS.contains(&stored)
        || LOCKS_BEFORE_A_HASH.iter().any(|lock| stored.starts_with(lock))
        || (!may_be_clear && stored.starts_with(b"!"))
}
