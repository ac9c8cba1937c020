//! Aliases and catch-alls.

use super::*;

#[test]
fn an_alias_leads_to_its_targets_as_they_are_written() {
    let router = over(table().and_alias("info@x.example", &["Anna@X.example"]));
    assert_eq!(router.alias(b"info@x.example"), targets(["Anna@X.example"]));
    assert_eq!(send(&router, "info@x.example", 0), YES);
    assert_eq!(router.account(b"info@x.example"), Err(Refusal::No(No::UnknownLogin)));
    let in_a_domain_without_a_row = over(table().and_alias("info@y.example", &["anna@x.example"]));
    assert_eq!(send(&in_a_domain_without_a_row, "info@y.example", 0), Err(Refusal::No(No::UnknownDomain)));
    assert_eq!(in_a_domain_without_a_row.alias(b"info@y.example"), Err(Refusal::No(No::UnknownAlias)));
}

#[test]
fn one_target_that_accepts_the_message_is_enough() {
    let router = over(
        table()
            .and_alias("all@x.example", &["unknown@x.example", "gone@x.example", "anna@x.example"])
            .and_alias("none@x.example", &["gone@x.example", "unknown@x.example"])
            .and_alias("lists@x.example", &["none@x.example", "all@x.example"]),
    );
    assert_eq!(router.alias(b"all@x.example"), targets(["unknown@x.example", "gone@x.example", "anna@x.example"]));
    assert_eq!(send(&router, "all@x.example", 0), YES);
    assert_eq!(send(&router, "lists@x.example", 0), YES);
    assert_eq!(send(&router, "none@x.example", 0), Err(Refusal::No(No::AccountDisabled)));
}

#[test]
fn an_alias_to_another_host_accepts_the_message() {
    let router = over(table().and_alias("away@x.example", &["unknown@x.example", "anna@else.example"]));
    assert_eq!(send(&router, "away@x.example", 0), YES);
    assert_eq!(
        send(&router, "anna@else.example", 0),
        Err(Refusal::No(No::UnknownDomain)),
        "clients cannot relay mail through this host"
    );
}

#[test]
fn a_loop_of_aliases_ends() {
    let router = over(table().and_alias("a@x.example", &["b@x.example"]).and_alias("b@x.example", &["a@x.example"]));
    assert_eq!(send(&router, "a@x.example", 0), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(router.alias(b"a@x.example"), targets(["b@x.example"]));
}

#[test]
fn an_alias_with_its_own_address_as_target_keeps_the_mailbox() {
    let router = over(
        table()
            .and_alias("anna@x.example", &["ANNA@x.example", "copy@else.example"])
            .and_alias("bruno@x.example", &["c@x.example"])
            .and_alias("c@x.example", &["bruno@x.example"]),
    );
    assert_eq!(router.alias(b"anna@x.example"), targets(["ANNA@x.example", "copy@else.example"]));
    assert_eq!(login_of(router.account(b"anna@x.example")), "anna@x.example");
    assert_eq!(send(&router, "anna@x.example", 0), YES);
    assert_eq!(send(&router, "bruno@x.example", 0), YES);
    assert_eq!(
        send(&router, "c@x.example", 0),
        Err(Refusal::No(No::UnknownLogin)),
        "the loop ends at c, which has no mailbox"
    );
}

#[test]
fn an_alias_that_is_reached_twice_is_followed_twice() {
    let folder = tempfile::tempdir().unwrap();
    let full = AccountRow { quota_bytes: Some(10), ..resident(&folder, "full") };
    // The alias bruno@x.example replaces the mailbox of the same name, which gets nothing.
    let router = over(
        table()
            .with_accounts([full, resident(&folder, "bruno")])
            .and_alias("bruno@x.example", &["full@x.example"])
            .and_alias("one@x.example", &["bruno@x.example"])
            .and_alias("two@x.example", &["bruno@x.example"])
            .and_alias("all@x.example", &["one@x.example", "two@x.example", "bruno@x.example"]),
    );
    assert!(matches!(send(&router, "all@x.example", 11), Err(Refusal::No(No::OverQuota(_)))));
    assert_eq!(send(&router, "all@x.example", 10), YES);
}

#[test]
fn a_catch_all_takes_what_is_neither_alias_nor_account() {
    let router = over(
        table()
            .and_alias("@x.example", &["bruno@x.example", "box@else.example"])
            .and_alias("info@x.example", &["a@x.example"]),
    );
    assert_eq!(router.alias(b"other@x.example"), targets(["bruno@x.example", "box@else.example"]));
    assert_eq!(send(&router, "other@x.example", 0), YES);
    assert_eq!(router.alias(b"info@x.example"), targets(["a@x.example"]));
    for taken in [b"anna@x.example".as_slice(), b"gone@x.example", b"anna@y.example"] {
        assert_eq!(router.alias(taken), Err(Refusal::No(No::UnknownAlias)), "{}", taken.escape_ascii());
    }
    assert_eq!(send(&router, "gone@x.example", 0), Err(Refusal::No(No::AccountDisabled)));
    assert_eq!(router.alias(b"@x.example"), Err(Refusal::No(No::UnusableLogin(LoginError::Incomplete))));
}

#[test]
fn a_catch_all_that_leads_to_itself_ends() {
    let router = over(table().and_alias("@x.example", &["box@x.example"]));
    assert_eq!(send(&router, "other@x.example", 0), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(send(&router, "box@x.example", 0), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(send(&router, "anna@x.example", 0), YES);
}

#[test]
fn an_unusable_row_does_not_affect_other_targets_of_an_alias() {
    let lost = AccountRow { home: Some("mail".into()), ..row("lost@x.example") };
    let rows = [lost, row("anna@x.example")];
    let both = &["lost@x.example", "anna@x.example"];
    let none = &["lost@x.example", "unknown@x.example"];
    let router = over(table().with_accounts(rows).and_alias("all@x.example", both).and_alias("none@x.example", none));
    assert_eq!(send(&router, "all@x.example", 0), YES);
    let answer = send(&router, "none@x.example", 0);
    assert!(matches!(answer, Err(Refusal::NotNow(NotNow::Store(StoreError::Unusable(_))))), "{answer:?}");
}

#[test]
fn an_alias_is_followed_to_a_hundred_addresses_at_most() {
    let chain = |links: usize| {
        let link = |table: MemoryStore, n: usize| {
            let next = if n + 1 == links { "anna@x.example".to_owned() } else { format!("a{}@x.example", n + 1) };
            table.and_alias(&format!("a{n}@x.example"), &[&next])
        };
        over((0..links).fold(table(), link))
    };
    assert_eq!(send(&chain(MOST_ADDRESSES - 1), "a0@x.example", 0), YES);
    assert_eq!(send(&chain(MOST_ADDRESSES), "a0@x.example", 0), Err(Refusal::NotNow(NotNow::Late)));
    let unknown: Vec<String> = (0..MOST_ADDRESSES).map(|n| format!("n{n}@x.example")).collect();
    let list: Vec<&str> = unknown.iter().map(String::as_str).collect();
    let router = over(
        table()
            .and_alias("list@x.example", &list)
            .and_alias("first@x.example", &[&["anna@x.example"], &list[..]].concat()),
    );
    assert_eq!(send(&router, "list@x.example", 0), Err(Refusal::NotNow(NotNow::Late)));
    assert_eq!(send(&router, "first@x.example", 0), YES, "one is found in time");
}
