//! What the mailboxes of a domain hold together, as a store keeps it.

use super::StoreError;
use crate::account::Login;
use crate::model::limits::Limits;
use crate::model::usage::{Kind, Usage};

/// What the mailboxes of a domain hold together, as far as they have published it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolUse {
    /// Their sum; each number is at most 2^63 - 1. No mailbox counts for more than 2^53.
    pub usage: Usage,
    /// Number of mailboxes that have published.
    pub mailboxes: u64,
}

/// A store of domain pools. Calls block, for at most the configured deadline each.
pub trait PoolStore: Send + Sync {
    /// Returns what the mailboxes of `domain` may hold together; no limit if there is no such domain.
    ///
    /// # Errors
    /// Fails if the store cannot know.
    fn pool_limits(&self, domain: &str) -> Result<Limits, StoreError>;

    /// Returns what the mailboxes of `domain` hold together.
    ///
    /// # Errors
    /// Fails if the store cannot know.
    fn pool_use(&self, domain: &str) -> Result<PoolUse, StoreError>;

    /// Stores what the mailbox of `login` holds, and returns the sum of its domain including it. Of two mailboxes that
    /// publish at the same time, one is included in the sum that the other receives.
    ///
    /// # Errors
    /// Fails if there is no such account, or it is unknown whether the usage was stored.
    fn publish(&self, login: &Login, usage: Usage) -> Result<PoolUse, StoreError>;

    /// Returns the mailboxes of the domain of `login` that published the most of this kind, at most `most` of them, and
    /// what they published; the largest first. In a large domain only some are compared: the first ones, and those after
    /// `login` in the order of logins. A store that keeps no figures returns none.
    ///
    /// # Errors
    /// Fails if the store cannot know.
    fn largest_uses(&self, _login: &Login, _kind: Kind, _most: usize) -> Result<Vec<(Login, Usage)>, StoreError> {
        Ok(Vec::new())
    }
}
