//! The role of a domain on this host.

use crate::DomainName;

/// State of a domain in our tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainStanding {
    /// True if its addresses receive mail.
    pub enabled: bool,
    /// What happens to its mail.
    pub kind: DomainKind,
}

/// What happens to a domain's mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainKind {
    /// Kept on this host.
    Own,
    /// Accepted for any address and sent on: this host is only a backup MX.
    Backup,
    /// Delivered as if each address were the same address of this domain.
    AliasOf(DomainName),
}
