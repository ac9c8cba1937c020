//! The rules that decisions follow, from the configuration.

mod refusal_time;

pub use refusal_time::RefusalTime;

use crate::detail::Delimiters;
use crate::mailbox::MailboxDefaults;
use crate::password::{HashRules, NewScheme};

/// The rules of [`crate::authenticate::Authenticator`] and [`crate::routing::Router`]. [`crate::config::Config::policy`]
/// reads them from a configuration.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Domain appended to a login without `@`.
    pub default_domain: Option<String>,
    /// Characters of which the last one in a login replaces a missing `@`.
    pub separators: String,
    /// Values for empty columns.
    pub mailbox: MailboxDefaults,
    /// Rules for reading stored passwords.
    pub rules: HashRules,
    /// Scheme of new hashes.
    pub scheme: NewScheme,
    /// Minimum number of characters of a new password.
    pub min_length: usize,
    /// Whether an account without a restriction may use a service with an unknown name.
    pub unknown_services: bool,
    /// Whether users may log in with the other names of their domain.
    pub alias_domains: bool,
    /// Characters that separate details in addresses.
    pub delimiters: Delimiters,
    /// Time at which refusals are sent.
    pub refusal_time: RefusalTime,
}
