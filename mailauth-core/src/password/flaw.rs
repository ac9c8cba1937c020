//! Reasons why a stored value cannot be verified.

/// What is wrong with a stored value. This is for the log, because a client only receives "no". It names the cause and
/// never contains any part of the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Nothing is stored, or nothing follows the prefix.
    #[error("no password is stored")]
    Empty,
    /// A value that locks the account: `!`, `*`, `x`, `*LK*`, or a hash after a `!`.
    #[error("the stored password is locked")]
    Locked,
    /// The prefix, id and shape are unknown.
    #[error("its scheme is unknown; values without a prefix need [password] default_scheme")]
    UnknownScheme,
    /// The scheme is recognized, but this program cannot verify it.
    #[error("its scheme {scheme} is not supported")]
    Unsupported {
        /// Name of the scheme.
        scheme: &'static str,
    },
    /// The value has too few characters for its scheme, usually because the column is too short.
    #[error(
        "the {scheme} value is truncated: it has {found} characters instead of {wanted}; check the length of the column"
    )]
    Truncated {
        /// Name of the scheme.
        scheme: &'static str,
        /// Number of characters of the hash.
        found: usize,
        /// Number of characters that the scheme's hashes have.
        wanted: usize,
    },
    /// The value does not have the scheme's format.
    #[error("the {scheme} value is malformed: {what}")]
    Malformed {
        /// Name of the scheme.
        scheme: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A verification would cost more than the configuration allows.
    #[error("the {scheme} value is too expensive to verify: {what}")]
    TooCostly {
        /// Name of the scheme.
        scheme: &'static str,
        /// The parameter, and the configuration key of its limit.
        what: &'static str,
    },
    /// The value is longer than that of any scheme.
    #[error("the stored password is longer than a value of any scheme")]
    TooLong,
}

impl Flaw {
    /// Returns an error unless a hash has exactly `wanted` characters.
    pub(super) fn of_length(scheme: &'static str, found: usize, wanted: usize) -> Result<(), Flaw> {
        match found.cmp(&wanted) {
            std::cmp::Ordering::Less => Err(Flaw::Truncated { scheme, found, wanted }),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(Flaw::Malformed { scheme, what: "its hash is too long" }),
        }
    }
}
