//! Hashing new passwords.

use super::{Cost, MAX_PASSWORD, Stored, argon2, bcrypt, encoding, sha_crypt, yescrypt};
use crate::Secret;
use crate::stack::deeply_wiped;
use base64::engine::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Cost of new bcrypt hashes: about 57 ms on a processor of 2024.
const BCRYPT_COST: u32 = 10;

/// Maximum number of bytes of a password that is stored in clear. Its base64 fits into the column.
const MAX_CLEAR: usize = 512;

/// A scheme for hashing new passwords: `[password] scheme`. All are written as crypt(3) or PHC strings without a
/// prefix, so that every program that reads the table understands them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewScheme {
    /// `$6$` with 5000 rounds, which is supported everywhere.
    #[default]
    Sha512Crypt,
    /// `$5$` with 5000 rounds.
    Sha256Crypt,
    /// `$2b$10$`.
    Bcrypt,
    /// `$argon2id$` with 64 MiB and 3 passes.
    Argon2id,
    /// `$y$j9T$` with 16 MiB.
    Yescrypt,
}

impl NewScheme {
    /// All schemes.
    pub const ALL: [NewScheme; 5] =
        [NewScheme::Sha512Crypt, NewScheme::Sha256Crypt, NewScheme::Bcrypt, NewScheme::Argon2id, NewScheme::Yescrypt];

    /// Returns the name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            NewScheme::Sha512Crypt => "sha512-crypt",
            NewScheme::Sha256Crypt => "sha256-crypt",
            NewScheme::Bcrypt => "bcrypt",
            NewScheme::Argon2id => "argon2id",
            NewScheme::Yescrypt => "yescrypt",
        }
    }

    /// Returns the scheme with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.name() == name)
    }

    /// Returns the cost of making one hash.
    pub fn cost(self) -> Cost {
        HashParameters::from(self).cost()
    }

    /// Returns a value in the format of a new hash, made without hashing. No password that matches it is known, and a
    /// verification costs the same.
    pub fn specimen(self) -> String {
        let zeros = |count| ".".repeat(count);
        match self {
            NewScheme::Sha512Crypt => format!("$6${}${}", zeros(16), zeros(86)),
            NewScheme::Sha256Crypt => format!("$5${}${}", zeros(16), zeros(43)),
            NewScheme::Bcrypt => format!("$2b${BCRYPT_COST}${}", zeros(53)),
            NewScheme::Argon2id => {
                let [kib, passes, lanes] = argon2::NEW;
                format!("$argon2id$v=19$m={kib},t={passes},p={lanes}${}${}", "A".repeat(22), "A".repeat(43))
            }
            NewScheme::Yescrypt => format!("$y$j9T${}${}", zeros(22), zeros(43)),
        }
    }

    /// Returns how expensive it is to guess the password of a hash: 1 is fast on graphics cards, 2 less so, 3 is slow,
    /// and 4 is slow and needs much memory.
    fn strength(self) -> u8 {
        match self {
            NewScheme::Sha256Crypt => 1,
            NewScheme::Sha512Crypt => 2,
            NewScheme::Bcrypt => 3,
            NewScheme::Argon2id | NewScheme::Yescrypt => 4,
        }
    }
}

/// A scheme and its cost for a new hash. Each [`NewScheme`] has its usual cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashParameters {
    scheme: NewScheme,
    /// The parameters, in the order of [`super::Kind`].
    cost: [u32; 3],
}

impl From<NewScheme> for HashParameters {
    fn from(scheme: NewScheme) -> Self {
        let cost = match scheme {
            NewScheme::Sha512Crypt | NewScheme::Sha256Crypt => [sha_crypt::NEW_ROUNDS, 0, 0],
            NewScheme::Bcrypt => [BCRYPT_COST, 0, 0],
            NewScheme::Argon2id => argon2::NEW,
            NewScheme::Yescrypt => yescrypt::NEW,
        };
        HashParameters { scheme, cost }
    }
}

impl HashParameters {
    /// Returns the scheme.
    pub fn scheme(self) -> NewScheme {
        self.scheme
    }

    /// Returns the cost of making one hash.
    pub fn cost(self) -> Cost {
        let memory = match self.scheme {
            NewScheme::Sha512Crypt | NewScheme::Sha256Crypt => 0,
            NewScheme::Bcrypt => bcrypt::MEMORY,
            NewScheme::Argon2id => argon2::memory(self.cost),
            NewScheme::Yescrypt => yescrypt::memory_of(self.cost),
        };
        Cost::Heavy { memory }
    }

    /// Returns its cost as one number, by which two hashes of the same scheme can be compared.
    fn work(self) -> u64 {
        let [first, second, _] = self.cost.map(u64::from);
        match self.scheme {
            NewScheme::Sha512Crypt | NewScheme::Sha256Crypt | NewScheme::Bcrypt => first,
            NewScheme::Argon2id => first.saturating_mul(second),
            NewScheme::Yescrypt => 1_u64.checked_shl(self.cost[0]).unwrap_or(u64::MAX).saturating_mul(second),
        }
    }
}

/// Reasons why a password was not hashed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The password is empty.
    #[error("the password is empty")]
    Empty,
    /// The password contains a NUL, at which C programs would end it.
    #[error("the password contains a NUL, which other programs treat as its end")]
    Nul,
    /// The password has more bytes than the scheme reads.
    #[error("the password is longer than {0} bytes, the maximum for {1}")]
    TooLong(usize, &'static str),
    /// The password contains a control character. Such a clear password cannot be sent to a mail server.
    #[error("the password contains a control character, which is not possible in a password stored in clear")]
    Control,
    /// The system provides no random numbers.
    #[error("the system provides no random numbers: {0}")]
    NoRandomness(String),
    /// The scheme's function failed.
    #[error("{0} could not hash the password")]
    Failed(&'static str),
}

/// Hashes `password` with a random salt. Returns a crypt(3) or PHC string without a prefix.
///
/// ```
/// use mailauth_core::password::{NewScheme, HashRules, Stored, hash};
/// let made = hash(NewScheme::Sha512Crypt, b"open sesame").unwrap();
/// assert!(made.expose().starts_with(b"$6$"));
/// let stored = Stored::parse(made.expose(), &HashRules::default()).unwrap();
/// assert_eq!(stored.verify("anna@example.org", b"open sesame"), Ok(true));
/// ```
///
/// # Errors
/// Fails if the scheme does not allow the password, or if the system provides no random numbers.
pub fn hash(parameters: impl Into<HashParameters>, password: &[u8]) -> Result<Secret, HashError> {
    let HashParameters { scheme, cost } = parameters.into();
    let most = if scheme == NewScheme::Bcrypt { bcrypt::MAX_PASSWORD } else { MAX_PASSWORD };
    if password.is_empty() {
        return Err(HashError::Empty);
    }
    if password.contains(&0) {
        return Err(HashError::Nul);
    }
    if password.len() > most {
        return Err(HashError::TooLong(most, scheme.name()));
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| HashError::NoRandomness(error.to_string()))?;
    // 12 bytes are 16 characters, the longest salt of SHA-crypt.
    let text = encoding::crypt64(&random[..12]);
    let made = deeply_wiped(|| match scheme {
        NewScheme::Sha512Crypt => sha_crypt::new_sha512(cost[0], text.as_bytes(), password),
        NewScheme::Sha256Crypt => sha_crypt::new_sha256(cost[0], text.as_bytes(), password),
        NewScheme::Bcrypt => Some(bcrypt::new(cost[0], random, password)),
        NewScheme::Argon2id => argon2::new(cost, &random, password),
        NewScheme::Yescrypt => yescrypt::new(cost, &random, password),
    });
    made.ok_or(HashError::Failed(scheme.name()))
}

/// Returns the stored value of `password` in clear: `{PLAIN}` and the password, or `{PLAIN.b64}` and its base64 if it
/// is not UTF-8 or ends with white space, which other programs and `[password] trim` would remove.
///
/// Only challenges such as CRAM-MD5 and APOP need a clear password, and every program that reads the table can see it.
///
/// # Errors
/// Fails if the password cannot be stored in clear.
pub fn in_clear(password: &[u8]) -> Result<Secret, HashError> {
    if password.is_empty() {
        return Err(HashError::Empty);
    }
    if password.contains(&0) {
        return Err(HashError::Nul);
    }
    if password.iter().any(u8::is_ascii_control) {
        return Err(HashError::Control);
    }
    if password.len() > MAX_CLEAR {
        return Err(HashError::TooLong(MAX_CLEAR, "a column of the table"));
    }
    let is_text = std::str::from_utf8(password).is_ok_and(|text| text.trim_end().len() == text.len());
    let coded = (!is_text).then(|| Zeroizing::new(STANDARD.encode(password)));
    let (prefix, value) = match &coded {
        None => (&b"{PLAIN}"[..], password),
        Some(coded) => (&b"{PLAIN.b64}"[..], coded.as_bytes()),
    };
    let mut stored = Vec::with_capacity(prefix.len() + value.len());
    stored.extend_from_slice(prefix);
    stored.extend_from_slice(value);
    Ok(Secret::new(stored))
}

/// Returns how to hash a changed password: with the old hash's scheme and at least its cost, if that scheme can be
/// written here and is at least as strong as the configured one; otherwise with the configured scheme.
pub fn keep_or_improve(stored: Option<&Stored>, configured: NewScheme) -> HashParameters {
    let old = stored.and_then(|stored| {
        let scheme = match stored.scheme() {
            "SHA512-CRYPT" => NewScheme::Sha512Crypt,
            "SHA256-CRYPT" => NewScheme::Sha256Crypt,
            "BLF-CRYPT" => NewScheme::Bcrypt,
            "ARGON2ID" => NewScheme::Argon2id,
            "YESCRYPT" => NewScheme::Yescrypt,
            _ => return None,
        };
        Some(HashParameters { scheme, cost: stored.kind().cost })
    });
    match old {
        Some(old) if old.scheme.strength() >= configured.strength() => {
            let usual = HashParameters::from(old.scheme);
            if old.work() > usual.work() { old } else { usual }
        }
        _ => configured.into(),
    }
}
