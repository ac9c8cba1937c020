//! Subjects of questions to the copy.

use crate::account::Login;

/// Subject of a question to the copy.
#[derive(Clone, Copy)]
pub(super) enum About<'a> {
    Login(&'a Login),
    /// The targets of an address.
    Alias(&'a str),
    /// A domain, by its name.
    Domain(&'a str),
    AllLogins,
}

/// Returns the part after the last `@` of an address.
pub(super) fn domain_of(address: &str) -> &str {
    address.rsplit('@').next().unwrap_or_default()
}
