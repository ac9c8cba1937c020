//! Why a message is not let into a mailbox: the one negative answer of all quota decisions.
//!
//! A decision is `Ok(())` if the message fits, else [`Denied`]. "Over" is an answer about the quota. [`Denied::Unknown`] is
//! not, and is never turned into "over": the mail waits.

use super::Over;
use crate::maildir::QuotaError;
use crate::store::StoreError;
use std::fmt;

/// Reason why a message may not be stored.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// The message would exceed this limit of the mailbox.
    #[error("{0}")]
    Mailbox(Over),
    /// The message would exceed this limit of the domain.
    #[error("{0}")]
    Domain(PoolOver),
    /// It is not known now whether the message fits.
    #[error(transparent)]
    Unknown(PoolError),
}

impl Denied {
    /// Returns true if the message would exceed a limit, and false if that is not known.
    pub fn is_over(&self) -> bool {
        !matches!(self, Denied::Unknown(_))
    }
}

impl<E: Into<PoolError>> From<E> for Denied {
    fn from(error: E) -> Self {
        Denied::Unknown(error.into())
    }
}

/// A limit of a domain that a message would exceed.
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

/// Reason why it is not known whether a message fits.
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
    /// Returns true if this user may not read the mailbox, or its database user may not read the figures. A delivery,
    /// which has the rights of the owner, can find out.
    pub fn is_forbidden(&self) -> bool {
        match self {
            PoolError::Store(error) => matches!(error, StoreError::Refused { .. }),
            PoolError::Mailbox(error) => error.is_forbidden(),
        }
    }
}
