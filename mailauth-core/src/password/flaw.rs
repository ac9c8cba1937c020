//! Why a stored value cannot be verified.

/// What is wrong with a stored value. A client learns only "no"; this is for the log, so it names the cause and never
/// holds a part of the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Nothing is stored, or nothing after the prefix.
    #[error("no password is stored")]
    Empty,
    /// A value that is written to lock an account: `!`, `*`, `x`, `*LK*`, or a hash behind a `!`.
    #[error("the stored password is locked")]
    Locked,
    /// Neither prefix nor id nor shape is known.
    #[error("its scheme is not known; see [password] default_scheme for values without a prefix")]
    UnknownScheme,
    /// The scheme is known, and this program cannot verify it.
    #[error("its scheme {scheme} is not supported")]
    Unsupported {
        /// The scheme.
        scheme: &'static str,
    },
    /// Fewer characters than the scheme has: most often a column that is too short.
    #[error(
        "the {scheme} value is cut: it has {found} characters where {wanted} are needed; is the column long enough?"
    )]
    Cut {
        /// The scheme.
        scheme: &'static str,
        /// Characters of the hash that are there.
        found: usize,
        /// Characters that the hash has.
        wanted: usize,
    },
    /// Not written as the scheme writes it.
    #[error("the {scheme} value is malformed: {what}")]
    Malformed {
        /// The scheme.
        scheme: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// Verifying it would cost more than the configuration allows.
    #[error("the {scheme} value costs too much: {what}")]
    TooCostly {
        /// The scheme.
        scheme: &'static str,
        /// Which parameter, and the key of its bound.
        what: &'static str,
    },
    /// Longer than any scheme needs.
    #[error("the stored value is longer than any scheme writes")]
    TooLong,
}

impl Flaw {
    /// For a hash that must have exactly `wanted` characters.
    pub(super) fn of_length(scheme: &'static str, found: usize, wanted: usize) -> Result<(), Flaw> {
        match found.cmp(&wanted) {
            std::cmp::Ordering::Less => Err(Flaw::Cut { scheme, found, wanted }),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(Flaw::Malformed { scheme, what: "its hash is too long" }),
        }
    }
}
