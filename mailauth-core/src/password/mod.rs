//! Stored passwords: recognizing them, limiting their cost, verifying them, and making new ones.
//!
//! The scheme of a stored value is found in one of three ways, tried in this order: a prefix `{NAME}` or `{NAME.ENC}`
//! as Dovecot and Courier write it, an id `$id$` as crypt(3) writes it, or a shape that only one scheme has. All other
//! values have the scheme that the configuration sets for values without a prefix. A value is never guessed to be a
//! clear password.
//!
//! Each family of schemes is one file, with one `Scheme` for each format of stored values. To add a family, write its
//! file, declare it below, and add a line to the table in `table.rs`. Reading a value checks all lengths and costs,
//! before any work is done or memory is used.

mod budget;
mod encoding;
mod family;
mod flaw;
mod hmac_md5;
mod limits;
mod new;
mod scheme;
mod scram_keys;
mod strength;
mod table;

mod argon2;
mod bcrypt;
mod cram_md5;
mod des_crypt;
mod digest;
mod digest_md5;
mod md5_crypt;
mod mysql;
mod nt;
mod pbkdf2;
mod phpass;
mod plain;
mod postgres;
mod scram;
mod sha1_crypt;
mod sha_crypt;
mod yescrypt;

pub(crate) use budget::Permit;
pub use budget::{Budget, Busy};
pub(crate) use encoding::hex;
pub use family::Family;
pub(crate) use family::{Engine, Task};
pub use flaw::Flaw;
pub use hmac_md5::HmacMd5State;
pub use limits::CostLimits;
pub use new::{HashError, HashParameters, NewScheme, hash, in_clear, keep_or_improve};
pub use scram_keys::{ScramKeys, ScramMechanism};
pub use strength::{Effort, SUMMARIES, SchemeSummary, Strength};
pub use table::DefaultScheme;

use crate::stack::{deeply_wiped, wiped};
use scheme::Verifier;

#[cfg(test)]
mod tests;

/// Maximum number of bytes of a password that is verified or hashed; the same as in libxcrypt. The time of some
/// schemes grows with the square of the length.
pub const MAX_PASSWORD: usize = 512;

/// Maximum number of bytes of a stored value.
const MAX_STORED: usize = 4096;

/// Rules for reading stored values.
#[derive(Clone, Debug, Default)]
pub struct HashRules {
    /// Scheme of values that have no prefix, id or shape of their own.
    pub default_scheme: DefaultScheme,
    /// Whether white space at the end is ignored. CHAR columns and spreadsheets add it.
    pub trim: bool,
    /// Limits on the cost of a verification.
    pub limits: CostLimits,
}

/// The cost of one verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Microseconds: it may run on the thread that received the request.
    Cheap,
    /// Milliseconds.
    Heavy {
        /// Bytes of memory that it uses.
        memory: u64,
    },
}

/// A scheme and its cost parameters. Values of the same kind cost the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    scheme: &'static str,
    cost: [u32; 3],
}

/// A stored value that has been read and can be verified.
///
/// ```
/// use mailauth_core::password::{HashRules, Stored};
/// let stored = Stored::parse(b"{SSHA}fGZ+XCmHDv3ji7DwSPv21bDUcJ1YGulH", &HashRules::default()).unwrap();
/// assert_eq!(stored.scheme(), "SSHA");
/// assert_eq!(stored.verify("anna@example.org", b"Secret-Passw0rd"), Ok(true));
/// ```
pub struct Stored(Box<dyn Verifier>);

impl Stored {
    /// Reads a stored value.
    ///
    /// # Errors
    /// Fails if no password can ever match it. The [`Flaw`] says why, and never contains any part of the value.
    pub fn parse(stored: &[u8], rules: &HashRules) -> Result<Stored, Flaw> {
        let stored = if rules.trim { stored.trim_ascii_end() } else { stored };
        if stored.is_empty() {
            return Err(Flaw::Empty);
        }
        if stored.len() > MAX_STORED {
            return Err(Flaw::TooLong);
        }
        if stored.contains(&0) {
            return Err(Flaw::Malformed { scheme: "stored password", what: "it contains a NUL" });
        }
        table::read(stored, rules).map(Stored)
    }

    /// Returns the scheme's name, as Dovecot spells it if Dovecot supports it.
    pub fn scheme(&self) -> &'static str {
        self.0.kind().scheme
    }

    /// Returns the cost of a verification.
    pub fn cost(&self) -> Cost {
        self.0.cost()
    }

    /// Returns the scheme and its cost parameters.
    pub fn kind(&self) -> Kind {
        self.0.kind()
    }

    /// Returns true if the password matches. `login` matters only for the few schemes that hash it too.
    ///
    /// An empty password never matches. Neither does one that contains a NUL, where C programs would end it, or one of
    /// more than [`MAX_PASSWORD`] bytes.
    ///
    /// # Errors
    /// Fails if the value cannot be verified, which for some schemes is detected only here.
    pub fn verify(&self, login: &str, password: &[u8]) -> Result<bool, Flaw> {
        if !is_possible(password) {
            return Ok(false);
        }
        match self.cost() {
            Cost::Cheap => wiped(|| self.0.verify(login, password)),
            Cost::Heavy { .. } => deeply_wiped(|| self.0.verify(login, password)),
        }
    }

    /// Returns the family of values that are verified together with this one. `None` if there is none, or if
    /// this processor verifies them no faster together than one after the other.
    pub fn family(&self) -> Option<Family> {
        self.0.family().filter(|family| family.has_lanes())
    }

    /// Returns what to compute of `password` to verify it together with others. `None` if [`Stored::verify`] decides without
    /// hashing it.
    pub(crate) fn task(&self, password: &[u8]) -> Option<Task> {
        if is_possible(password) { self.0.task(password) } else { None }
    }

    /// Returns true if the digest that was computed by the task of `password` is the right one.
    pub(crate) fn is_digest(&self, password: &[u8], digest: &[u8]) -> bool {
        is_possible(password) && self.0.is_digest(password, digest)
    }

    /// Returns the clear password if that is what is stored.
    pub fn clear(&self) -> Option<&[u8]> {
        self.0.clear()
    }

    /// Returns the states for CRAM-MD5 if those are what is stored.
    pub fn hmac_md5(&self) -> Option<&HmacMd5State> {
        self.0.hmac_md5()
    }

    /// Returns the keys of SCRAM if those are what is stored.
    pub fn scram(&self) -> Option<&ScramKeys> {
        self.0.scram()
    }

    /// Returns a value that costs the same and that no password matches.
    pub fn dummy(&self) -> Stored {
        Stored(self.0.dummy())
    }

    /// Returns a value without cost that no password matches.
    pub fn never_matching() -> Stored {
        Stored(Box::new(plain::NeverMatches(plain::KIND)))
    }
}

/// Returns true if a password may match a stored value at all.
fn is_possible(password: &[u8]) -> bool {
    !password.is_empty() && password.len() <= MAX_PASSWORD && !password.contains(&0)
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stored({})", self.scheme())
    }
}
