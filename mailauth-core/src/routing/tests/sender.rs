//! Which logins may send as which addresses.

use super::*;
use crate::account::AccountRow;

fn may(router: &Router, login: &str, address: &str) -> bool {
    match router.sender(login.as_bytes(), address.as_bytes()) {
        Ok(()) => true,
        Err(Refusal::No(_)) => false,
        Err(Refusal::NotNow(why)) => panic!("{login} as {address}: {why}"),
    }
}

#[track_caller]
fn check(router: &Router, login: &str, as_these: &[&str], not_as: &[&str]) {
    for address in as_these {
        assert!(may(router, login, address), "{login} as {address}");
    }
    for address in not_as {
        assert!(!may(router, login, address), "{login} as {address}");
    }
}

#[test]
fn a_login_sends_as_itself_in_every_spelling_and_as_nobody_else() {
    let own = ["anna@x.example", "ANNA@X.Example", "anna+news@x.example", "anna@y.example", "anna+a@y.example", "anna"];
    let others = [
        "bruno@x.example",
        "bruno+anna@x.example",
        "unknown@x.example",
        "anna@z.example",
        "anna@off.example",
        "@x.example",
        "anna@x.example@x.example",
        "\u{212a}urt@x.example",
    ];
    check(&over(table().with_alias_domain()), "anna@x.example", &own, &others);
    check(&over(table()), "anna@x.example", &[], &["anna@y.example"]);
    let without = router_with(&Arc::new(table()), "");
    check(&without, "anna@x.example", &["anna@x.example"], &["anna+news@x.example"]);
}

#[test]
fn mail_without_a_sender_may_be_sent_by_those_that_may_log_in() {
    let router = over(table());
    check(&router, "anna@x.example", &[""], &["<>"]);
    check(&router, "unknown@x.example", &[], &["", "unknown@x.example"]);
    assert_eq!(router.sender(b"gone@x.example", b""), Err(Refusal::No(No::AccountDisabled)));
    assert_eq!(router.sender(b"gone@x.example", b"gone@x.example"), Err(Refusal::No(No::AccountDisabled)));
    assert_eq!(router.sender(b"carla@off.example", b"carla@off.example"), Err(Refusal::No(No::DomainDisabled)));
    assert_eq!(router.sender(b"anna@x.example", b"bruno@x.example"), Err(Refusal::No(No::NotOwnAddress)));
}

#[test]
fn an_account_that_receives_no_mail_sends_as_itself() {
    let router = over(table().with_accounts([AccountRow { receives: false, ..row("robot@x.example") }]));
    check(&router, "robot@x.example", &["robot@x.example", "robot+a@x.example"], &["anna@x.example"]);
}

#[test]
fn an_alias_is_for_those_that_it_leads_to() {
    let router = over(
        table()
            .with_alias_domain()
            .and_alias("info@x.example", &["Anna@X.example"])
            .and_alias("team@x.example", &["anna@x.example", "bruno@x.example"])
            .and_alias("all@x.example", &["team@x.example", "other@elsewhere.example"])
            .and_alias("news@x.example", &["anna+news@x.example"])
            .and_alias("loop@x.example", &["pool@x.example"])
            .and_alias("pool@x.example", &["loop@x.example"]),
    );
    let both = ["team@x.example", "all@x.example", "TEAM@y.example", "team+a@x.example"];
    check(&router, "anna@x.example", &both, &["loop@x.example", "pool@x.example", "other@elsewhere.example"]);
    check(&router, "anna@x.example", &["info@x.example", "news@x.example", "info@y.example"], &[]);
    check(&router, "bruno@x.example", &both, &["info@x.example", "news@x.example", "anna@x.example"]);
}

#[test]
fn a_forward_of_an_account_gives_its_address_to_nobody() {
    let forwards = table()
        .with_alias_domain()
        .and_alias("bruno@x.example", &["bruno@x.example", "anna@x.example"])
        .and_alias("sales@x.example", &["bruno@x.example"])
        .and_alias("gone@x.example", &["anna@x.example"]);
    let not = ["bruno@x.example", "bruno+a@x.example", "bruno@y.example", "sales@x.example", "gone@x.example"];
    check(&over(forwards), "anna@x.example", &["anna@x.example"], &not);
}

#[test]
fn a_whole_address_with_a_detail_belongs_to_its_own_account_or_alias() {
    let table = table()
        .with_accounts([row("anna@x.example"), row("anna+shop@x.example"), row("bruno@x.example")])
        .and_alias("anna+team@x.example", &["bruno@x.example"]);
    let router = over(table);
    check(&router, "anna@x.example", &["anna+news@x.example"], &["anna+shop@x.example", "anna+team@x.example"]);
    check(&router, "bruno@x.example", &["anna+team@x.example"], &["anna+shop@x.example"]);
    check(&router, "anna+shop@x.example", &["anna+shop@x.example"], &["anna@x.example", "anna+news@x.example"]);
}

#[test]
fn a_catch_all_permits_sending_as_unknown_addresses_only() {
    let router = over(table().and_alias("@x.example", &["anna@x.example"]));
    check(&router, "anna@x.example", &["other@x.example"], &["bruno@x.example", "gone@x.example", "a@y.example"]);
    check(&router, "bruno@x.example", &[], &["other@x.example"]);
}

#[test]
fn the_options_of_a_row_give_it_its_whole_domain() {
    let with = |options: &str| AccountRow { options: Some(options.into()), ..row("anna@x.example") };
    let router = |options| over(table().with_accounts([with(options), row("bruno@x.example")]).with_alias_domain());
    for options in ["send-as=domain", "sharedgroup=a,send-as=domain"] {
        let all = ["other@x.example", "bruno@x.example", "other@y.example"];
        check(&router(options), "anna@x.example", &all, &["a@z.example", "carla@off.example", "a@sub.x.example"]);
    }
    for options in ["", "send-as", "send-as=", "send-as=domains", "Xsend-as=domain", "send-as=x.example"] {
        check(&router(options), "anna@x.example", &["anna@x.example"], &["bruno@x.example", "other@x.example"]);
    }
}

#[test]
fn an_alias_that_leads_to_very_many_is_followed_to_a_bound() {
    let many: Vec<String> = (0..1000).map(|i| format!("list{i}@x.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).chain(["bruno@x.example"]).collect();
    let table = table().and_alias("all@x.example", &many).and_alias("list999@x.example", &["anna@x.example"]);
    let table = Arc::new(table);
    check(&router(&table), "bruno@x.example", &["all@x.example"], &[]);
    check(&router(&table), "anna@x.example", &["list999@x.example"], &["all@x.example"]);
    assert!(table.calls() < 1000);
}

#[test]
fn in_an_outage_yes_may_be_said_by_a_copy_and_no_is_not() {
    let copy = over(copy_of(table()));
    assert_eq!(copy.sender(b"anna@x.example", b"anna+a@x.example"), YES);
    for address in ["bruno@x.example", "unknown@x.example"] {
        assert!(matches!(copy.sender(b"anna@x.example", address.as_bytes()), Err(Refusal::NotNow(_))), "{address}");
    }
    assert!(matches!(copy.sender(b"unknown@x.example", b""), Err(Refusal::NotNow(_))));
    for answered in 0..2 {
        let away = over(failing_after(answered, table()));
        assert!(matches!(away.sender(b"anna@x.example", b"bruno@x.example"), Err(Refusal::NotNow(_))), "{answered}");
    }
}

/// Returns the logins that may send as `address`, one after the other; none if the answer is no.
fn logins(router: &Router, address: &str) -> String {
    match router.sender_logins(address.as_bytes()) {
        Ok(logins) => logins.join(" "),
        Err(Refusal::No(_)) => String::new(),
        Err(Refusal::NotNow(why)) => panic!("{address}: {why}"),
    }
}

#[test]
fn the_logins_of_an_address_are_those_that_may_send_as_it() {
    let robot = AccountRow { receives: false, ..row("robot@x.example") };
    let gone = AccountRow { enabled: false, ..row("gone@x.example") };
    let accounts = [row("anna@x.example"), row("bruno@x.example"), row("anna+shop@x.example"), gone, robot];
    let table = table()
        .with_accounts(accounts.into_iter().chain([row("carla@off.example")]))
        .with_alias_domain()
        .and_alias("team@x.example", &["Bruno@X.example", "anna+news@x.example", "other@elsewhere.example"])
        .and_alias("all@x.example", &["team@x.example", "gone@x.example"])
        .and_alias("bruno@x.example", &["bruno@x.example", "anna@x.example"])
        .and_alias("loop@x.example", &["loop@x.example"])
        .and_alias("@x.example", &["robot@x.example"]);
    let router = over(table);
    for (address, expected) in [
        ("anna@x.example", "anna@x.example"),
        ("ANNA+News@Y.example", "anna@x.example"),
        ("anna+shop@x.example", "anna+shop@x.example"),
        ("bruno@y.example", "bruno@x.example"),
        ("team@x.example", "anna@x.example bruno@x.example"),
        ("all@y.example", "anna@x.example bruno@x.example"),
        ("unknown@x.example", "robot@x.example"),
        ("loop@x.example", ""),
        ("gone@x.example", ""),
        ("carla@off.example", ""),
        ("anna@elsewhere.example", ""),
        ("@x.example", ""),
        ("", ""),
    ] {
        assert_eq!(logins(&router, address), expected, "{address}");
        let senders = ["anna", "bruno", "anna+shop", "gone", "robot"].map(|name| format!("{name}@x.example"));
        for login in senders.iter().map(String::as_str).chain(["carla@off.example"]) {
            let is_listed = expected.split(' ').any(|listed| listed == login);
            assert_eq!(is_listed, !address.is_empty() && may(&router, login, address), "{login} as {address}");
        }
    }
}

#[test]
fn no_login_is_missing_in_the_list_of_an_address_that_leads_to_many() {
    let many: Vec<String> = (0..1000).map(|i| format!("a{i}@x.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let table = table().with_accounts(many.iter().map(|login| row(login))).and_alias("all@x.example", &many);
    let logins = over(table).sender_logins(b"all@x.example").unwrap();
    assert!(many.iter().all(|login| logins.iter().any(|listed| listed == login)));
}

#[test]
fn the_logins_of_an_address_are_never_those_of_a_copy() {
    let not_now = |router: &Router, address: &str| {
        assert!(matches!(router.sender_logins(address.as_bytes()), Err(Refusal::NotNow(_))), "{address}");
    };
    for address in ["anna@x.example", "unknown@x.example"] {
        not_now(&over(copy_of(table())), address);
        for answered in 0..2 {
            not_now(&over(failing_after(answered, table())), address);
        }
    }
}
