//! Kinds of domains.

use super::*;

#[test]
fn a_disabled_domain_is_kept_here_and_accepts_no_mail() {
    let router =
        over(table().and_alias("all@off.example", &["anna@x.example"]).and_alias("@off.example", &["anna@x.example"]));
    assert_eq!(router.domain(b"off.example"), KEPT);
    assert_eq!(router.account(b"carla@off.example"), Err(Refusal::No(No::DomainDisabled)));
    for address in ["carla@off.example", "all@off.example", "other@off.example"] {
        assert_eq!(send(&router, address, 0), Err(Refusal::No(No::DomainDisabled)), "{address}");
        assert_eq!(router.alias(address.as_bytes()), Err(Refusal::No(No::UnknownAlias)), "{address}");
    }
    assert_eq!(send(&over(table()), "other@off.example", 0), Err(Refusal::No(No::UnknownLogin)));
}

#[test]
fn a_domain_is_found_in_any_case_and_invalid_names_are_not() {
    let router = over(table());
    assert_eq!(router.domain(b"x.example"), KEPT);
    assert_eq!(router.domain(b"X.Example"), KEPT);
    for name in [b"y.example".as_slice(), b"", b"x.example.", b"@x.example", b"x .example", b"x\xff.example", b"x\n"] {
        assert_eq!(router.domain(name), Err(Refusal::No(No::UnknownDomain)), "{}", name.escape_ascii());
    }
}

#[test]
fn an_address_of_an_alias_domain_is_the_same_as_in_its_domain() {
    let router = over(
        table()
            .with_alias_domain()
            .and_alias("info@x.example", &["a@x.example"])
            .and_alias("@x.example", &["b@x.example"]),
    );
    assert_eq!(router.domain(b"y.example"), KEPT);
    assert_eq!(send(&router, "anna@y.example", 0), YES);
    assert_eq!(destination(&router, "anna+news@y.example"), to("anna@x.example", "news"));
    assert_eq!(router.alias(b"info@y.example"), targets(["a@x.example"]));
    assert_eq!(router.alias(b"info+news@y.example"), targets(["a+news@x.example"]));
    assert_eq!(router.alias(b"other@y.example"), targets(["b@x.example"]));
    assert_eq!(router.account(b"gone@y.example"), Err(Refusal::No(No::AccountDisabled)));
    let router = over(table().with_alias_domain());
    assert_eq!(send(&router, "unknown@y.example", 0), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(
        send(&over(table().with_alias_domain().and_alias("away@x.example", &["anna@y.example"])), "away@x.example", 0),
        YES
    );
}

#[test]
fn an_alias_domain_accepts_mail_while_both_domains_are_enabled() {
    let off = over(table().with_domain("y.example", false, alias_of("x.example")));
    assert_eq!(off.domain(b"y.example"), KEPT, "no other host should be sent its mail");
    assert_eq!(send(&off, "anna@y.example", 0), Err(Refusal::No(No::DomainDisabled)));
    assert_eq!(off.account(b"anna@y.example"), Err(Refusal::No(No::DomainDisabled)));
    let of_disabled = over(table().with_domain("y.example", true, alias_of("off.example")));
    assert_eq!(send(&of_disabled, "carla@y.example", 0), Err(Refusal::No(No::DomainDisabled)));
}

#[test]
fn chains_and_loops_of_alias_domains_end() {
    let round = table().with_domain("a.example", true, alias_of("b.example")).with_domain(
        "b.example",
        true,
        alias_of("a.example"),
    );
    assert_eq!(send(&over(round), "anna@a.example", 0), Err(Refusal::No(No::UnknownLogin)));
    let chain = over(table().with_alias_domain().with_domain("z.example", true, alias_of("y.example")));
    assert_eq!(send(&chain, "anna@z.example", 0), Err(Refusal::No(No::UnknownLogin)), "a chain is not followed");
    let itself = over(table().with_alias_domain().and_alias("anna@x.example", &["anna@y.example"]));
    assert_eq!(send(&itself, "anna@x.example", 0), YES, "the mailbox of the same name");
}

#[test]
fn a_backup_domain_accepts_all_mail_and_sends_it_on() {
    let router = over(table().with_domain("backup.example", true, DomainKind::Backup));
    assert_eq!(router.domain(b"backup.example"), Ok(DomainMail::SentOn));
    assert_eq!(send(&router, "other@backup.example", u64::MAX), YES);
    assert_eq!(router.account(b"other@backup.example"), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(router.alias(b"other@backup.example"), Err(Refusal::No(No::UnknownAlias)));
    let off = over(table().with_domain("backup.example", false, DomainKind::Backup));
    assert_eq!(off.domain(b"backup.example"), KEPT, "nothing is sent on");
    assert_eq!(send(&off, "other@backup.example", 0), Err(Refusal::No(No::DomainDisabled)));
}
