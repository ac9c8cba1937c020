//! What a scheme is: how its stored values are recognized and read, and how a password is verified against one.

use super::{Cost, Family, Flaw, HashRules, HmacMd5State, Kind, ScramKeys, Task};

/// A stored value that has been read.
pub trait Verifier: Send + Sync {
    /// Returns the scheme and its cost parameters.
    fn kind(&self) -> Kind;

    /// Returns the cost of one verification.
    fn cost(&self) -> Cost {
        Cost::Cheap
    }

    /// Returns true if `password` matches. It is neither empty nor contains a NUL.
    fn verify(&self, login: &str, password: &[u8]) -> Result<bool, Flaw>;

    /// Returns a value of the same scheme and cost that no password matches.
    fn dummy(&self) -> Box<dyn Verifier>;

    /// Returns the family of values that are verified together with this one, if there is one.
    fn family(&self) -> Option<Family> {
        None
    }

    /// Returns what to compute of `password` to verify it together with others, or `None` if [`Verifier::verify`] decides
    /// without hashing it. It is neither empty nor contains a NUL.
    fn task(&self, _password: &[u8]) -> Option<Task> {
        None
    }

    /// Returns true if `digest`, which was computed by the task of `password`, is the right one. Compares in constant time.
    fn is_digest(&self, _password: &[u8], _digest: &[u8]) -> bool {
        false
    }

    /// Returns the clear password if that is what is stored.
    fn clear(&self) -> Option<&[u8]> {
        None
    }

    /// Returns the states for CRAM-MD5 if those are what is stored.
    fn hmac_md5(&self) -> Option<&HmacMd5State> {
        None
    }

    /// Returns the keys of SCRAM if those are what is stored.
    fn scram(&self) -> Option<&ScramKeys> {
        None
    }
}

/// The result of reading a stored value.
pub type Read = Result<Box<dyn Verifier>, Flaw>;

/// What follows the prefix of a scheme.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// A password, which may be any text.
    Clear,
    /// Text in the scheme's own format, such as a crypt(3) string.
    Text,
    /// Bytes in hexadecimal or base64.
    Bytes,
}

/// One format of stored values.
pub struct Scheme {
    /// The names of such a value's prefix, `{NAME}`, in upper case.
    pub prefixes: &'static [&'static str],
    /// What such a value begins with if it has no prefix.
    pub ids: &'static [&'static str],
    /// Returns true if a value without a prefix and an id has a shape that only this scheme has.
    pub shape: Option<fn(&[u8]) -> bool>,
    /// What follows the prefix.
    pub payload: Payload,
    /// Reads what follows the prefix, including the id.
    pub read: fn(&[u8], &HashRules) -> Read,
}

impl Scheme {
    /// Returns a scheme that stores clear passwords.
    pub const fn clear(prefixes: &'static [&'static str], read: fn(&[u8], &HashRules) -> Read) -> Self {
        Scheme { prefixes, ids: &[], shape: None, payload: Payload::Clear, read }
    }

    /// Returns a scheme whose values are text.
    pub const fn text(
        prefixes: &'static [&'static str],
        ids: &'static [&'static str],
        read: fn(&[u8], &HashRules) -> Read,
    ) -> Self {
        Scheme { prefixes, ids, shape: None, payload: Payload::Text, read }
    }

    /// Returns a scheme whose values are bytes. `read` must accept hexadecimal, in addition to what else it accepts.
    pub const fn bytes(
        prefixes: &'static [&'static str],
        ids: &'static [&'static str],
        read: fn(&[u8], &HashRules) -> Read,
    ) -> Self {
        Scheme { prefixes, ids, shape: None, payload: Payload::Bytes, read }
    }

    /// Returns the same scheme, recognized by the shape of its values too.
    pub const fn with_shape(self, shape: fn(&[u8]) -> bool) -> Self {
        Scheme { shape: Some(shape), ..self }
    }
}
