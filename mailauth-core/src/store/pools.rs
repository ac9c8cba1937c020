//! What the mailboxes of a domain hold together, as a store keeps it.

use super::StoreError;
use crate::account::Login;
use crate::model::limits::Limits;
use crate::model::usage::{Kind, Usage};

/// What the mailboxes of a domain hold together, as far as they have published it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolUse {
    /// Their sum; at most 2^63 - 1 each. No mailbox counts for more than 2^53.
    pub usage: Usage,
    /// How many have published.
    pub mailboxes: u64,
}

/// Where pools are kept. Calls block, for at most the configured deadline each.
pub trait PoolStore: Send + Sync {
    /// What the mailboxes of `domain` may hold together; no limit where there is no such domain.
    ///
    /// # Errors
    /// Fails if the store cannot tell.
    fn pool_limits(&self, domain: &str) -> Result<Limits, StoreError>;

    /// What the mailboxes of `domain` hold together.
    ///
    /// # Errors
    /// Fails if the store cannot tell.
    fn pool_use(&self, domain: &str) -> Result<PoolUse, StoreError>;

    /// Writes down what the mailbox of `login` holds, and returns what its domain then does. Of two that are published, one
    /// is in the sum that the other returns.
    ///
    /// # Errors
    /// Fails if there is no such account, or it is not known whether that was done.
    fn publish(&self, login: &Login, usage: Usage) -> Result<PoolUse, StoreError>;

    /// The mailboxes of the domain of `login` that published the most of this kind, `most` of them at most, and what they
    /// published; the largest first. In a large domain not all are looked through, but the first ones and those after
    /// `login` in the order of logins. Where nothing is kept, there are none.
    ///
    /// # Errors
    /// Fails if the store cannot tell.
    fn largest_uses(&self, _login: &Login, _kind: Kind, _most: usize) -> Result<Vec<(Login, Usage)>, StoreError> {
        Ok(Vec::new())
    }
}
