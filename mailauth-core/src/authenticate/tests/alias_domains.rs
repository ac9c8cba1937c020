//! Logins in alias domains.

use super::*;
use crate::DomainName;
use crate::policy::AddressRules;
use crate::store::{DomainKind, DomainStanding};

/// Returns an authenticator over anna and bruno in x.example, and bruno in its alias domain y.example.
fn users(addresses: AddressRules) -> Authenticator {
    let names = ["anna@x.example", "bruno@x.example", "bruno@y.example"];
    let alias = DomainKind::AliasOf(DomainName::parse("x.example").unwrap());
    let table = MemoryStore::with(names.map(|name| row(name, SHA256_OF_SECRET)))
        .and_domain("y.example", DomainStanding { enabled: true, kind: alias });
    let policy = Policy { alias_domains: true, addresses, ..policy() };
    Authenticator::new(Arc::new(table), policy, Arc::new(Budget::new(2, 64 << 20)))
}

fn account_of(users: &Authenticator, login: &str) -> String {
    yes(try_password(users, login, "secret")).login.to_string()
}

#[test]
fn an_alias_domain_of_our_own_tables_has_no_accounts() {
    let users = users(AddressRules::Own);
    assert_eq!(account_of(&users, "anna@y.example"), "anna@x.example");
    assert_eq!(account_of(&users, "bruno@y.example"), "bruno@x.example");
}

#[test]
fn an_account_in_another_programs_alias_domain_goes_first() {
    let users = users(AddressRules::Foreign);
    assert_eq!(account_of(&users, "anna@y.example"), "anna@x.example");
    assert_eq!(account_of(&users, "bruno@y.example"), "bruno@y.example");
    assert_eq!(account_of(&users, "bruno@x.example"), "bruno@x.example");
    assert_eq!(no(try_password(&users, "unknown@y.example", "secret")), No::UnknownLogin);
}
