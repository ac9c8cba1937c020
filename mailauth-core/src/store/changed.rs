//! Changes in the database, as its caches are told of them.

use crate::{DomainName, Login};

/// A change, for the parts that keep a copy of rows: the cache in memory, and the copy for outages.
///
/// It names everything that the change may have touched, also if it is unknown whether the change was made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Changed {
    /// An account that was added, changed or removed.
    Account(Login),
    /// The targets of an alias address: `local@domain`, or `@domain` for all other mail to the domain.
    Alias(String),
    /// A domain, and possibly any of its accounts and aliases.
    Domain(DomainName),
    /// Accounts and domains that were added. What existed before is unchanged.
    Additions,
    /// An unknown change, which may have touched anything.
    Everything,
}

impl Changed {
    /// Returns the alias address in `text`, as it is looked up; `None` if no alias can have it.
    pub fn alias(text: &str) -> Option<Self> {
        let address = match text.strip_prefix('@') {
            Some(domain) => format!("@{}", DomainName::parse(domain).ok()?),
            None => Login::parse(text.as_bytes(), None).ok()?.to_string(),
        };
        Some(Changed::Alias(address))
    }
}
