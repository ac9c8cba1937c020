//! What was changed in the database.

use crate::{DomainName, Login};

/// What was changed, for those that keep something of it: memory, and the copy for outages.
///
/// It names all that the change may have touched, also when it is not known whether the change was made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Changed {
    /// An account: it was added, changed or removed.
    Account(Login),
    /// The targets of an alias address: `local@domain`, or `@domain` for whatever else comes to the domain.
    Alias(String),
    /// A domain, and with it perhaps any of its accounts and aliases.
    Domain(DomainName),
    /// Accounts and domains were added. What was there before is as it was.
    Additions,
    /// Nobody says what.
    Everything,
}

impl Changed {
    /// The alias address in `text`, as it is looked up; `None` where no alias can have it.
    pub fn alias(text: &str) -> Option<Self> {
        let address = match text.strip_prefix('@') {
            Some(domain) => format!("@{}", DomainName::parse(domain).ok()?),
            None => Login::parse(text.as_bytes(), None).ok()?.to_string(),
        };
        Some(Changed::Alias(address))
    }
}
