//! What was changed in the database.

use crate::{DomainName, Login};

/// A change, for everything that keeps a copy of rows: the cache, and the snapshot for outages.
///
/// It names everything that the change may have touched, also if it is unknown whether the change was made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Changed {
    /// An account was added, changed or removed.
    Account(Login),
    /// The targets of an alias address: `local@domain`, or `@domain` for the catch-all of the domain.
    Alias(String),
    /// A domain, and possibly any of its accounts and aliases.
    Domain(DomainName),
    /// Accounts and domains were added. Earlier ones did not change.
    Additions,
    /// The change is unknown.
    Everything,
}

impl Changed {
    /// Returns the alias address in `text` as it is looked up; `None` if no alias can have it.
    pub fn alias(text: &str) -> Option<Self> {
        let address = match text.strip_prefix('@') {
            Some(domain) => format!("@{}", DomainName::parse(domain).ok()?),
            None => Login::parse(text.as_bytes(), None).ok()?.to_string(),
        };
        Some(Changed::Alias(address))
    }
}
