//! Stored passwords: recognizes, limits and verifies them, and makes new ones.
//!
//! A stored value names its scheme in one of three ways, tried in this order: a prefix `{NAME}` or `{NAME.ENC}` as
//! Dovecot and Courier write it, an id `$id$` as crypt(3) does, a form that only one scheme has. All other values
//! are what the configuration says about values without a prefix; nothing is ever guessed to be plain text.
//!
//! Each family of schemes is one file, with one `Scheme` for each format of stored values. To add a family, write its
//! file, declare it below, and add a line to the table in `table.rs`. Reading a value checks all lengths and costs, before
//! any work is done or memory is used.

mod budget;
mod encoding;
mod flaw;
mod hmac_md5;
mod limits;
mod new;
mod scheme;
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

pub use budget::{Budget, Busy};
pub(crate) use encoding::hex;
pub use flaw::Flaw;
pub use hmac_md5::HmacMd5State;
pub use limits::CostLimits;
pub use new::{HashError, NewScheme, Recipe, hash, in_clear, keep_or_improve};
pub use table::DefaultScheme;

use crate::stack::{deeply_wiped, wiped};
use scheme::Verifier;

#[cfg(test)]
mod tests;

/// The longest password that is tried or hashed, in bytes, as for libxcrypt. Some schemes take time in the square of it.
pub const MAX_PASSWORD: usize = 512;

/// The longest stored value that is read, in bytes.
const MAX_STORED: usize = 4096;

/// What decides how a stored value is read.
#[derive(Clone, Debug, Default)]
pub struct HashRules {
    /// What a value without prefix, id or shape of its own is.
    pub default_scheme: DefaultScheme,
    /// Leave out white space at the end, as CHAR columns and spreadsheets add it.
    pub trim: bool,
    /// What a verification may cost.
    pub limits: CostLimits,
}

/// What one verification costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Microseconds: it may run wherever the question came in.
    Cheap,
    /// Milliseconds.
    Heavy {
        /// Bytes of memory it takes meanwhile.
        memory: u64,
    },
}

/// A scheme and its cost parameters: two values of one kind cost the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    scheme: &'static str,
    cost: [u32; 3],
}

/// A stored value that was read and found sound.
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
    /// Fails if no password can ever fit it: the [`Flaw`] says why, and never holds a part of the value.
    pub fn parse(stored: &[u8], rules: &HashRules) -> Result<Stored, Flaw> {
        let stored = if rules.trim { stored.trim_ascii_end() } else { stored };
        if stored.is_empty() {
            return Err(Flaw::Empty);
        }
        if stored.len() > MAX_STORED {
            return Err(Flaw::TooLong);
        }
        if stored.contains(&0) {
            return Err(Flaw::Malformed { scheme: "stored password", what: "it holds a NUL" });
        }
        table::read(stored, rules).map(Stored)
    }

    /// The scheme's name, as Dovecot spells it where Dovecot has it.
    pub fn scheme(&self) -> &'static str {
        self.0.kind().scheme
    }

    /// What a verification costs.
    pub fn cost(&self) -> Cost {
        self.0.cost()
    }

    /// Scheme and cost parameters.
    pub fn kind(&self) -> Kind {
        self.0.kind()
    }

    /// Does the password fit? `login` matters to the few schemes that hash it too.
    ///
    /// An empty password fits nothing, and neither does one with a NUL, which C programs would cut there, or one of more
    /// than [`MAX_PASSWORD`] bytes.
    ///
    /// # Errors
    /// Fails if the value turns out to be unusable only now.
    pub fn verify(&self, login: &str, password: &[u8]) -> Result<bool, Flaw> {
        if password.is_empty() || password.len() > MAX_PASSWORD || password.contains(&0) {
            return Ok(false);
        }
        match self.cost() {
            Cost::Cheap => wiped(|| self.0.verify(login, password)),
            Cost::Heavy { .. } => deeply_wiped(|| self.0.verify(login, password)),
        }
    }

    /// The clear password, where that is what is stored.
    pub fn clear(&self) -> Option<&[u8]> {
        self.0.clear()
    }

    /// What CRAM-MD5 needs, where only that is stored.
    pub fn hmac_md5(&self) -> Option<&HmacMd5State> {
        self.0.hmac_md5()
    }

    /// A value that costs the same and that nothing fits.
    pub fn dummy(&self) -> Stored {
        Stored(self.0.dummy())
    }

    /// A value that costs nothing and that nothing fits.
    pub fn nothing() -> Stored {
        Stored(Box::new(plain::Nothing(plain::KIND)))
    }
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stored({})", self.scheme())
    }
}
