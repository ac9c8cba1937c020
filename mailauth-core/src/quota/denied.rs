//! Why a message is not let into a mailbox: the one negative answer of all quota decisions.
//!
//! A decision is `Ok(())` (it fits) or one of these. "Over" is an answer about the quota; [`Denied::Unknown`] is none, and
//! is never turned into one: the mail waits.

use super::Over;
use crate::maildir::QuotaError;
use crate::store::StoreError;
use std::fmt;

/// The reason why a message may not be stored.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// The message would break this limit of the mailbox.
    #[error("{0}")]
    Mailbox(Over),
    /// The message would break this limit of the domain.
    #[error("{0}")]
    Domain(PoolOver),
    /// It is not known now whether the message fits.
    #[error(transparent)]
    Unknown(PoolError),
}

impl Denied {
    /// Returns true if the message would break a limit, and false if that is not known.
    pub fn is_over(&self) -> bool {
        !matches!(self, Denied::Unknown(_))
    }
}

impl<E: Into<PoolError>> From<E> for Denied {
    fn from(error: E) -> Self {
        Denied::Unknown(error.into())
    }
}

/// The limit of a domain that a message would break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolOver {
    /// Name of the domain.
    pub domain: String,
    /// The limit, the excess, and the usage of the domain's mailboxes without the message.
    pub over: Over,
}

impl fmt::Display for PoolOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "over the quota of the domain {}: {}", self.domain, self.over.figures())
    }
}

/// The reason why it is not known whether a message fits.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The database could not be read or written.
    #[error("the domain's quota is not known: {0}")]
    Store(#[from] StoreError),
    /// The mailbox could not be counted.
    #[error(transparent)]
    Mailbox(#[from] QuotaError),
}

impl PoolError {
    /// Returns true if this user may not look into the mailbox, or its database user not into the figures; a
    /// delivery can tell.
    pub fn is_forbidden(&self) -> bool {
        match self {
            PoolError::Store(error) => matches!(error, StoreError::Refused { .. }),
            PoolError::Mailbox(error) => error.is_forbidden(),
        }
    }
}
