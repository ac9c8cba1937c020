//! Addresses with a detail.

use super::*;

#[test]
fn an_address_with_a_detail_leads_to_the_one_without_it() {
    let router = over(table());
    for address in ["anna+news@x.example", "Anna+NEWS@X.example", "anna+news"] {
        assert_eq!(send(&router, address, 0), YES, "{address}");
        assert_eq!(destination(&router, address), to("anna@x.example", "news"), "{address}");
        assert_eq!(router.alias(address.as_bytes()), Err(Refusal::No(No::UnknownAlias)), "{address}");
    }
    assert_eq!(destination(&router, "anna@x.example"), to("anna@x.example", ""));
    assert_eq!(destination(&router, "anna+@x.example"), to("anna@x.example", ""));
    assert_eq!(destination(&router, "anna+a+b@x.example"), to("anna@x.example", "a+b"));
    for address in ["+news@x.example", "unknown+news@x.example", "anna-news@x.example"] {
        assert_eq!(send(&router, address, 0), Err(Refusal::No(No::UnknownLogin)), "{address}");
        assert_eq!(router.account(address.as_bytes()), Err(Refusal::No(No::UnknownLogin)), "{address}");
    }
    assert_eq!(send(&router, "gone+news@x.example", 0), Err(Refusal::No(No::AccountDisabled)));
}

#[test]
fn a_detail_that_could_lead_out_of_a_mailbox_is_dropped() {
    let router = over(table());
    for detail in ["../../etc", ".", "a.b", "a/b", "\u{fc}", "$home"] {
        assert_eq!(destination(&router, &format!("anna+{detail}@x.example")), to("anna@x.example", ""), "{detail}");
    }
}

#[test]
fn the_delimiters_are_those_of_the_configuration() {
    let table = Arc::new(table());
    let (both, none) = (router_with(&table, "-+"), router_with(&table, ""));
    assert_eq!(destination(&both, "anna-a+b@x.example"), to("anna@x.example", "a+b"));
    assert_eq!(destination(&both, "anna+a-b@x.example"), to("anna@x.example", "a-b"));
    assert_eq!(send(&none, "anna+news@x.example", 0), Err(Refusal::No(No::UnknownLogin)));
}

#[test]
fn the_whole_address_is_tried_before_the_one_without_its_detail() {
    let gone = AccountRow { enabled: false, ..row("anna+gone@x.example") };
    let router = over(
        table()
            .with_accounts([row("anna@x.example"), row("anna+own@x.example"), gone])
            .and_alias("anna+list@x.example", &["bruno@else.example"])
            .and_alias("info@x.example", &["anna@x.example"])
            .and_alias("@x.example", &["all@else.example"]),
    );
    assert_eq!(destination(&router, "anna+own@x.example"), to("anna+own@x.example", ""));
    assert_eq!(router.alias(b"anna+own@x.example"), Err(Refusal::No(No::UnknownAlias)));
    assert_eq!(router.alias(b"anna+list@x.example"), targets(["bruno@else.example"]));
    assert_eq!(router.account(b"anna+gone@x.example"), Err(Refusal::No(No::AccountDisabled)));
    assert_eq!(router.alias(b"anna+news@x.example"), Err(Refusal::No(No::UnknownAlias)), "the catch-all comes last");
    assert_eq!(router.alias(b"unknown+news@x.example"), targets(["all@else.example"]));
    assert_eq!(router.alias(b"+news@x.example"), targets(["all@else.example"]));
}

#[test]
fn an_alias_passes_a_detail_to_targets_that_are_kept_here() {
    let router = over(
        table()
            .with_domain("y.example", true, alias_of("x.example"))
            .with_domain("backup.example", true, DomainKind::Backup)
            .and_alias("info@x.example", &["Anna@X.example", "a@else.example", "b@y.example", "c@backup.example"])
            .and_alias("own@x.example", &["anna+work@x.example"]),
    );
    let expected = ["Anna+news@X.example", "a@else.example", "b+news@y.example", "c@backup.example"];
    assert_eq!(router.alias(b"info+news@x.example"), targets(expected));
    let plain = ["Anna@X.example", "a@else.example", "b@y.example", "c@backup.example"];
    assert_eq!(router.alias(b"info+@x.example"), targets(plain));
    assert_eq!(router.alias(b"own+news@x.example"), targets(["anna+work@x.example"]));
    assert_eq!(send(&router, "own+news@x.example", 0), YES);
    for detail in ["a,|x", "a:b", "\"", "<a>", "a@b"] {
        let address = format!("info+{detail}@x.example");
        assert_eq!(router.alias(address.as_bytes()), targets(plain), "{detail} would be more than an address");
    }
}

#[test]
fn an_alias_to_itself_keeps_the_mailbox_for_details_too() {
    let router = over(table().and_alias("anna@x.example", &["anna@x.example", "copy@else.example"]));
    assert_eq!(router.alias(b"anna+news@x.example"), targets(["anna+news@x.example", "copy@else.example"]));
    assert_eq!(destination(&router, "anna+news@x.example"), to("anna@x.example", "news"));
    assert_eq!(send(&router, "anna+news@x.example", 0), YES);
}

#[test]
fn an_invalid_alias_of_the_base_does_not_affect_the_whole_address() {
    let router = over(table().with_accounts([row("anna+own@x.example")]).and_alias("anna@x.example", &["broken"]));
    assert_eq!(destination(&router, "anna+own@x.example"), to("anna+own@x.example", ""));
}

#[test]
fn a_detail_costs_one_more_look_up() {
    let calls = |address: &str| {
        let table = Arc::new(table());
        assert_eq!(send(&router(&table), address, 0), YES);
        table.calls()
    };
    // The fake asks for two aliases one by one, which a database does at once.
    assert_eq!(calls("anna+news@x.example") - 1, calls("anna@x.example") + 1);
}
