//! The rules that decisions follow, from the configuration.

mod refusal_time;

pub use refusal_time::RefusalTime;

use crate::detail::Delimiters;
use crate::mailbox::MailboxDefaults;
use crate::password::{HashRules, NewScheme};
use crate::schema::Tables;

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
    /// How aliases and alias domains lead to other addresses.
    pub addresses: AddressRules,
    /// Characters that separate details in addresses.
    pub delimiters: Delimiters,
    /// Time at which refusals are sent.
    pub refusal_time: RefusalTime,
}

/// How aliases and alias domains lead to other addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressRules {
    /// As our own tables have it: an alias domain has no aliases and accounts of its own, an address in it is the same
    /// address in the other domain, and each target is an address.
    #[default]
    Own,
    /// As the tables of other programs have it: aliases and accounts in an alias domain go first, and any other address
    /// in it is an alias of the same local part in the other domain. A target `@example.org` keeps the local part. An
    /// alias that leads only to itself is no alias.
    Foreign,
}

impl AddressRules {
    /// Returns the rules for addresses in these tables.
    pub fn of(tables: &Tables) -> Self {
        match tables {
            Tables::Own => AddressRules::Own,
            Tables::Foreign(_) => AddressRules::Foreign,
        }
    }
}
