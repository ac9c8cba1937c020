//! Addresses in the tables of other programs.

use super::*;

/// Returns a router over the tables of another program.
fn over(table: MemoryStore) -> Router {
    router_by(&Arc::new(table), "+", AddressRules::Foreign)
}

fn is_no_alias(router: &Router, address: &str) -> bool {
    router.alias(address.as_bytes()) == Err(Refusal::No(No::UnknownAlias))
}

#[test]
fn an_address_of_an_alias_domain_has_one_target() {
    let router = over(
        table()
            .with_alias_domain()
            .and_alias("info@x.example", &["anna@x.example", "b@else.example"])
            .and_alias("@y.example", &["bruno@x.example"]),
    );
    assert_eq!(router.domain(b"y.example"), KEPT);
    for name in ["anna", "info", "gone", "unknown", "anna+news", "+"] {
        let (address, target) = (format!("{name}@y.example"), format!("{name}@x.example"));
        assert_eq!(router.alias(address.as_bytes()), targets([&target]), "{address}");
    }
    assert_eq!(send(&router, "anna@y.example", 0), YES);
    assert_eq!(send(&router, "anna+news@y.example", 0), YES);
    assert_eq!(send(&router, "info@y.example", 0), YES);
    assert_eq!(send(&router, "unknown@y.example", 0), Err(Refusal::No(No::UnknownLogin)), "no catch-all");
    assert_eq!(send(&router, "gone@y.example", 0), Err(Refusal::No(No::AccountDisabled)));
    assert_eq!(destination(&router, "anna+news@y.example"), to("anna@x.example", "news"));
}

#[test]
fn aliases_and_accounts_in_an_alias_domain_go_first() {
    let gone = AccountRow { enabled: false, ..row("gone@y.example") };
    let rows = ["anna@x.example", "bruno@x.example", "carla@x.example", "bruno@y.example", "gone@x.example"].map(row);
    let router = over(
        table()
            .with_accounts(rows.into_iter().chain([gone]))
            .with_alias_domain()
            .and_alias("info@y.example", &["anna@x.example"])
            .and_alias("bruno@y.example", &["bruno@y.example"]),
    );
    assert_eq!(router.alias(b"info@y.example"), targets(["anna@x.example"]));
    assert_eq!(router.alias(b"info+news@y.example"), targets(["anna+news@x.example"]));
    assert_eq!(send(&router, "info@y.example", 0), YES);
    assert!(is_no_alias(&router, "bruno@y.example"));
    assert_eq!(login_of(router.account(b"bruno@y.example")), "bruno@y.example");
    assert_eq!(destination(&router, "bruno+news@y.example"), to("bruno@y.example", "news"));
    assert!(is_no_alias(&router, "gone@y.example"));
    assert_eq!(send(&router, "gone@y.example", 0), Err(Refusal::No(No::AccountDisabled)));
    assert_eq!(router.alias(b"carla@y.example"), targets(["carla@x.example"]));
}

#[test]
fn a_disabled_alias_domain_accepts_no_mail() {
    let router = over(
        table()
            .with_domain("y.example", false, alias_of("x.example"))
            .with_domain("z.example", true, alias_of("off.example"))
            .and_alias("info@y.example", &["anna@x.example"]),
    );
    for address in ["anna@y.example", "info@y.example", "carla@z.example"] {
        assert_eq!(send(&router, address, 0), Err(Refusal::No(No::DomainDisabled)), "{address}");
    }
    assert!(is_no_alias(&router, "anna@y.example"));
    assert!(is_no_alias(&router, "info@y.example"));
}

#[test]
fn chains_and_loops_of_alias_domains_end() {
    let router = over(
        table()
            .with_alias_domain()
            .with_domain("z.example", true, alias_of("y.example"))
            .with_domain("a.example", true, alias_of("b.example"))
            .with_domain("b.example", true, alias_of("a.example"))
            .with_domain("c.example", true, alias_of("c.example"))
            .and_alias("bruno@x.example", &["bruno@y.example"]),
    );
    assert_eq!(router.alias(b"anna@z.example"), targets(["anna@y.example"]));
    assert_eq!(send(&router, "anna@z.example", 0), YES);
    assert_eq!(send(&router, "anna@a.example", 0), Err(Refusal::No(No::UnknownLogin)));
    assert!(is_no_alias(&router, "anna@c.example"));
    assert_eq!(send(&router, "anna@c.example", 0), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(send(&router, "bruno@x.example", 0), YES, "the mailbox of the same name");
}

#[test]
fn a_target_without_a_local_part_keeps_that_of_the_address() {
    let router = over(
        table()
            .with_domain("wide.example", true, DomainKind::Own)
            .and_alias("@wide.example", &["@x.example", "copy@else.example"])
            .and_alias("info@wide.example", &["@X.example"]),
    );
    assert_eq!(router.alias(b"anna@wide.example"), targets(["anna@x.example", "copy@else.example"]));
    assert_eq!(router.alias(b"anna+news@wide.example"), targets(["anna+news@x.example", "copy@else.example"]));
    assert_eq!(router.alias(b"info@wide.example"), targets(["info@X.example"]));
    assert_eq!(router.alias(b"info+news@wide.example"), targets(["info+news@X.example"]));
    assert_eq!(send(&router, "info@wide.example", 0), Err(Refusal::No(No::UnknownLogin)));
    let narrow =
        over(table().with_domain("wide.example", true, DomainKind::Own).and_alias("@wide.example", &["@x.example"]));
    assert_eq!(send(&narrow, "anna@wide.example", 0), YES);
    assert_eq!(send(&narrow, "anna+news@wide.example", 0), YES);
    assert_eq!(send(&narrow, "unknown@wide.example", 0), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(send(&narrow, "gone@wide.example", 0), Err(Refusal::No(No::AccountDisabled)));
}

#[test]
fn no_target_is_made_from_what_mail_cannot_be_sent_on_to() {
    let router = over(
        table()
            .with_alias_domain()
            .with_domain("wide.example", true, DomainKind::Own)
            .and_alias("@wide.example", &["@x.example"]),
    );
    for local in ["a,b", "\"a\"", "a..b", ":include:/etc/passwd", "a@b", "<a"] {
        for domain in ["wide.example", "y.example"] {
            let address = format!("{local}@{domain}");
            assert!(is_no_alias(&router, &address), "{address}");
            assert_eq!(send(&router, &address, 0), Err(Refusal::No(No::UnknownLogin)), "{address}");
        }
    }
    let long = format!("{}@x", "a".repeat(Login::MAX - 2));
    let router = over(table().with_domain("x", true, alias_of("longer.example")));
    assert!(is_no_alias(&router, &long));
}

#[test]
fn an_alias_that_leads_only_to_itself_is_no_alias() {
    let router = over(
        table()
            .and_alias("anna@x.example", &["Anna@x.example"])
            .and_alias("gone@x.example", &["gone@x.example"])
            .and_alias("bruno@x.example", &["bruno@x.example", "copy@else.example"])
            .and_alias("@x.example", &["box@x.example"]),
    );
    for address in ["anna@x.example", "anna+news@x.example", "gone@x.example", "box@x.example"] {
        assert!(is_no_alias(&router, address), "{address}");
    }
    assert_eq!(send(&router, "anna@x.example", 0), YES);
    assert_eq!(destination(&router, "anna+news@x.example"), to("anna@x.example", "news"));
    assert_eq!(send(&router, "gone@x.example", 0), Err(Refusal::No(No::AccountDisabled)));
    assert_eq!(router.alias(b"bruno@x.example"), targets(["bruno@x.example", "copy@else.example"]));
    assert_eq!(send(&router, "box@x.example", 0), Err(Refusal::No(No::UnknownLogin)));
}

#[test]
fn an_account_goes_before_the_catch_all_even_if_it_is_disabled() {
    let silent = AccountRow { receives: false, ..row("silent@x.example") };
    let rows = [row("anna@x.example"), AccountRow { enabled: false, ..row("gone@x.example") }, silent];
    let router = over(table().with_accounts(rows).and_alias("@x.example", &["anna@x.example"]));
    for address in ["anna@x.example", "gone@x.example", "silent@x.example", "gone+news@x.example"] {
        assert!(is_no_alias(&router, address), "{address}");
    }
    assert_eq!(send(&router, "gone@x.example", 0), Err(Refusal::No(No::AccountDisabled)));
    assert_eq!(send(&router, "silent@x.example", 0), Err(Refusal::No(No::NoMail)));
    assert_eq!(router.alias(b"unknown@x.example"), targets(["anna@x.example"]));
}

#[test]
fn mail_for_a_machine_without_a_dot_in_its_name_leaves() {
    let router = over(table().and_alias("noreply@x.example", &["null@localhost"]));
    assert_eq!(router.alias(b"noreply@x.example"), targets(["null@localhost"]));
    assert_eq!(send(&router, "noreply@x.example", 0), YES);
}

#[test]
fn a_login_sends_as_the_addresses_that_lead_to_it() {
    let router = over(
        table()
            .with_alias_domain()
            .with_domain("wide.example", true, DomainKind::Own)
            .and_alias("@wide.example", &["@x.example"])
            .and_alias("info@y.example", &["bruno@x.example"]),
    );
    for (login, address) in [("anna", "anna@y.example"), ("anna", "anna@wide.example"), ("bruno", "info@y.example")] {
        assert_eq!(router.sender(format!("{login}@x.example").as_bytes(), address.as_bytes()), YES, "{address}");
    }
    for (login, address) in [("anna", "bruno@wide.example"), ("anna", "info@y.example"), ("bruno", "anna@y.example")] {
        let answer = router.sender(format!("{login}@x.example").as_bytes(), address.as_bytes());
        assert_eq!(answer, Err(Refusal::No(No::NotOwnAddress)), "{address}");
    }
}

#[test]
fn an_outage_is_not_now_in_an_alias_domain_too() {
    for answered in 0..4 {
        let away = over(failing_after(answered, table().with_alias_domain()));
        assert!(matches!(send(&away, "unknown@y.example", 0), Err(Refusal::NotNow(_))), "{answered}");
    }
    let copy = over(copy_of(table().with_alias_domain()));
    assert_eq!(copy.alias(b"unknown@y.example"), targets(["unknown@x.example"]));
    assert!(matches!(send(&copy, "unknown@y.example", 0), Err(Refusal::NotNow(_))));
}
