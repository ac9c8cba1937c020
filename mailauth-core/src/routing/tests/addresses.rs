//! Single addresses: accounts, invalid addresses, and databases that fail.

use super::*;

#[test]
fn an_account_accepts_mail_and_an_unknown_address_does_not() {
    let router = over(table());
    assert_eq!(send(&router, "anna@x.example", 0), YES);
    assert_eq!(send(&router, "unknown@x.example", 0), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(send(&router, "anna@y.example", 0), Err(Refusal::No(No::UnknownDomain)));
    assert_eq!(login_of(router.account(b"anna@x.example")), "anna@x.example");
    assert_eq!(router.account(b"unknown@x.example"), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(router.account(b"anna@y.example"), Err(Refusal::No(No::UnknownLogin)));
    assert_eq!(router.alias(b"anna@x.example"), Err(Refusal::No(No::UnknownAlias)));
    assert_eq!(router.alias(b"anna@y.example"), Err(Refusal::No(No::UnknownAlias)));
}

#[test]
fn a_disabled_account_accepts_no_mail() {
    let router = over(table());
    assert_eq!(send(&router, "gone@x.example", 0), Err(Refusal::No(No::AccountDisabled)));
    assert_eq!(router.account(b"gone@x.example"), Err(Refusal::No(No::AccountDisabled)));
}

#[test]
fn an_account_that_receives_no_mail_leaves_none_to_the_catch_all() {
    let silent = AccountRow { receives: false, ..row("silent@x.example") };
    let router =
        over(table().with_accounts([silent, row("anna@x.example")]).and_alias("@x.example", &["anna@x.example"]));
    for address in ["silent@x.example", "silent+news@x.example"] {
        assert_eq!(send(&router, address, 0), Err(Refusal::No(No::NoMail)), "{address}");
        assert_eq!(router.account(address.as_bytes()), Err(Refusal::No(No::NoMail)), "{address}");
        assert_eq!(router.alias(address.as_bytes()), Err(Refusal::No(No::UnknownAlias)), "{address}");
    }
}

#[test]
fn an_address_is_found_in_any_case_and_without_its_domain() {
    let router = over(table().and_alias("info@x.example", &["anna@x.example"]));
    for address in ["Anna@X.Example", "anna", "INFO@x.example", "Info"] {
        assert_eq!(send(&router, address, 0), YES, "{address}");
    }
    assert_eq!(login_of(router.account(b"ANNA@X.EXAMPLE")), "anna@x.example");
    assert_eq!(router.alias(b"INFO"), targets(["anna@x.example"]));
}

#[test]
fn invalid_addresses_are_refused_without_a_query() {
    let asked = Arc::new(table().and_alias("@x.example", &["anna@x.example"]));
    let router = router(&asked);
    let deadline = Instant::now() + Duration::from_secs(60);
    for (address, why) in [
        (b"".as_slice(), LoginError::Empty),
        (b"\xff@x.example", LoginError::NotUtf8),
        (b"an na@x.example", LoginError::Unprintable),
        (b"anna@x.example\0", LoginError::Unprintable),
        (b"@x.example", LoginError::Incomplete),
        (b"anna@", LoginError::Incomplete),
        (&[b'x'; 255], LoginError::TooLong),
    ] {
        let why = No::UnusableLogin(why);
        assert_eq!(router.account(address), Err(Refusal::No(why.clone())));
        assert_eq!(router.alias(address), Err(Refusal::No(why.clone())));
        assert_eq!(router.recipient(address, 0, deadline), Err(Refusal::No(why)));
    }
    assert_eq!(asked.calls(), 0, "and the database is not asked");
}

#[test]
fn an_outage_at_any_step_is_not_now_and_never_no() {
    let folder = tempfile::tempdir().unwrap();
    let mail = || {
        table()
            .with_accounts([resident(&folder, "anna"), resident(&folder, "bruno")])
            .with_pool("100S", &[("bruno@x.example", 100, 1)])
            .and_alias("all@x.example", &["unknown@x.example", "anna@x.example"])
            .and_alias("@x.example", &["bruno@x.example"])
    };
    let questions: [fn(&Router) -> Answer<()>; 8] = [
        |router| router.domain(b"x.example").map(drop),
        |router| router.domain(b"y.example").map(drop),
        |router| router.account(b"anna@x.example").map(drop),
        |router| router.account(b"unknown@x.example").map(drop),
        |router| router.alias(b"all@x.example").map(drop),
        |router| router.alias(b"anna@x.example").map(drop),
        |router| send(router, "all@x.example", 10),
        |router| send(router, "anna@y.example", 10),
    ];
    for (number, ask) in questions.into_iter().enumerate() {
        for answered in 0.. {
            let table = Arc::new(failing_after(answered, mail()));
            let answer = ask(&router(&table));
            if table.calls() <= answered {
                assert!(answered > 0 && !matches!(answer, Err(Refusal::NotNow(_))), "question {number}: {answer:?}");
                break;
            }
            assert!(matches!(answer, Err(Refusal::NotNow(_))), "question {number} after {answered} calls: {answer:?}");
        }
    }
}

#[test]
fn an_unusable_row_is_not_now() {
    let lost = AccountRow { home: Some("mail".into()), ..row("lost@x.example") };
    let router = over(table().with_accounts([lost]).and_alias("all@x.example", &["lost@x.example"]));
    let unusable = |answer: Answer<()>| matches!(answer, Err(Refusal::NotNow(NotNow::Store(StoreError::Unusable(_)))));
    assert!(unusable(router.account(b"lost@x.example").map(drop)));
    assert!(unusable(send(&router, "lost@x.example", 0)));
    assert!(unusable(send(&router, "all@x.example", 0)));
}

#[test]
fn no_step_begins_after_the_deadline() {
    let slow = Duration::from_millis(20);
    let unknown: Vec<String> = (0..MOST_ADDRESSES).map(|n| format!("n{n}@x.example")).collect();
    let list: Vec<&str> = unknown.iter().map(String::as_str).collect();
    let table = Arc::new(slow_by(slow, table().and_alias("list@x.example", &list)));
    let router = router(&table);
    let begin = Instant::now();
    let answer = router.recipient(b"list@x.example", 0, begin + slow * 10);
    assert_eq!(answer, Err(Refusal::NotNow(NotNow::Late)));
    // Each address is some calls, of which hundreds would follow.
    assert!((5..30).contains(&table.calls()), "{:?}", begin.elapsed());
    table.reset_calls();
    assert_eq!(router.recipient(b"anna@x.example", 0, begin), Err(Refusal::NotNow(NotNow::Late)));
    assert_eq!(table.calls(), 0);
}
