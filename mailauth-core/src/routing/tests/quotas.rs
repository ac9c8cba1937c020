//! Quotas, over mailboxes in a real file system.

use super::*;

#[test]
fn a_mailbox_can_be_filled_to_its_quota_and_not_beyond() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "anna", &[400, 500]);
    put(&folder, "bruno", &[10, 10]);
    let router = over(table().with_accounts([
        AccountRow { quota_bytes: Some(1000), quota_messages: Some(3), ..resident(&folder, "anna") },
        AccountRow { quota_messages: Some(2), ..resident(&folder, "bruno") },
    ]));
    assert_eq!(send(&router, "anna@x.example", 100), YES);
    assert_eq!(
        send(&router, "anna@x.example", 101),
        full("over quota: 900 of 1000 bytes used, and this message would be 1 over it")
    );
    assert!(matches!(send(&router, "anna@x.example", u64::MAX), Err(Refusal::No(No::OverQuota(_)))));
    assert_eq!(
        send(&router, "bruno@x.example", 0),
        full("over quota: 2 of 2 messages used, and this message would be 1 over it")
    );
}

#[test]
fn a_mailbox_that_does_not_exist_yet_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let router = over(table().with_accounts([AccountRow { quota_bytes: Some(1000), ..resident(&folder, "anna") }]));
    assert_eq!(send(&router, "anna@x.example", 1000), YES);
    assert_eq!(
        send(&router, "anna@x.example", 1001),
        full("over quota: 0 of 1000 bytes used, and this message would be 1 over it")
    );
    assert!(!folder.path().join("anna").exists(), "asking makes no mailbox");
}

#[test]
fn a_mailbox_that_cannot_be_counted_is_not_now() {
    let folder = tempfile::tempdir().unwrap();
    let limited = |name| AccountRow { quota_bytes: Some(1000), ..resident(&folder, name) };
    fs::create_dir_all(folder.path().join("anna/Maildir")).unwrap();
    fs::create_dir(folder.path().join("bruno")).unwrap();
    fs::write(folder.path().join("bruno/Maildir"), "a file").unwrap();
    put(&folder, "carla", &[]);
    let stranger = AccountRow { uid: Some(40_001), ..limited("carla") };
    let free = AccountRow { quota_bytes: Some(0), login: parse("free@x.example"), ..limited("bruno") };
    let router = over(
        table()
            .with_accounts([limited("anna"), limited("bruno"), stranger, free])
            .and_alias("all@x.example", &["anna@x.example"]),
    );
    let unknown = |address| match send(&router, address, 10) {
        Err(Refusal::NotNow(NotNow::Quota(why))) => why,
        other => panic!("{address}: {other:?}"),
    };
    assert!(unknown("anna@x.example").contains("is no Maildir"));
    assert!(unknown("bruno@x.example").contains("is no Maildir"));
    assert!(unknown("all@x.example").contains("is no Maildir"));
    if rustix::process::geteuid().is_root() {
        assert!(unknown("carla@x.example").contains("belongs to user 0"));
    }
    assert_eq!(send(&router, "free@x.example", 10), YES, "a mailbox without a quota is not looked into");
}

#[test]
fn the_quota_of_a_domain_can_be_filled_and_not_exceeded() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "anna", &[]);
    let mail = table()
        .with_accounts(["anna", "bruno"].map(|name| resident(&folder, name)))
        .with_pool("1000S", &[("carla@x.example", 900, 1), ("dora@y.example", 5000, 1)]);
    let router = over(mail);
    for address in ["anna@x.example", "bruno@x.example"] {
        assert_eq!(send(&router, address, 100), YES, "{address}");
        assert_eq!(
            send(&router, address, 101),
            full("over the quota of the domain x.example: 900 of 1000 bytes used, and this message would be 1 over it"),
            "{address}"
        );
    }
}

#[test]
fn a_mailbox_is_counted_before_its_domain_refuses_mail() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "anna", &[10]);
    let table =
        Arc::new(table().with_accounts([resident(&folder, "anna")]).with_pool("1000S", &[("anna@x.example", 1000, 5)]));
    assert_eq!(send(&router(&table), "anna@x.example", 990), YES);
    assert_eq!(table.published()[&parse("anna@x.example")], Usage { bytes: 10, messages: 1 });
}

#[test]
fn other_mailboxes_are_counted_before_their_domain_refuses_mail() {
    let folder = tempfile::tempdir().unwrap();
    for (name, sizes) in [("anna", &[10][..]), ("bruno", &[20]), ("carla", &[])] {
        put(&folder, name, sizes);
    }
    let accounts = ["anna", "bruno", "carla", "dora"].map(|name| resident(&folder, name));
    let published = [("anna@x.example", 400, 1), ("bruno@x.example", 400, 1), ("dora@x.example", 200, 1)];
    let table = Arc::new(table().with_accounts(accounts).with_pool("1000S", &published));
    let held = |name: &str| table.published()[&parse(name)].bytes;
    assert_eq!(send(&router(&table), "carla@x.example", 300), YES);
    assert_eq!((held("anna@x.example"), held("bruno@x.example")), (10, 400), "no more are counted than it takes");
    assert_eq!(send(&router(&table), "carla@x.example", 700), YES);
    assert_eq!(
        send(&router(&table), "carla@x.example", 800),
        full("over the quota of the domain x.example: 230 of 1000 bytes used, and this message would be 30 over it"),
        "a mailbox that is not there may be on a disk that is missing"
    );
    assert_eq!(held("dora@x.example"), 200);
}

#[test]
fn the_quota_of_an_account_applies_in_addition_to_its_domains() {
    let folder = tempfile::tempdir().unwrap();
    let small = AccountRow { quota_bytes: Some(50), ..resident(&folder, "anna") };
    let router = over(table().with_accounts([small, resident(&folder, "bruno")]).with_pool("1000S,10C", &[]));
    assert_eq!(
        send(&router, "anna@x.example", 51),
        full("over quota: 0 of 50 bytes used, and this message would be 1 over it")
    );
    let quota = |address: &str| match router.account(address.as_bytes()) {
        Ok(to) => to.account.quota.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(quota("anna@x.example"), "50S");
    assert_eq!(quota("bruno@x.example"), "1000S,10C", "the quota of the domain, as the account has none");
}

#[test]
fn one_target_with_room_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let limited = |name, bytes| AccountRow { quota_bytes: Some(bytes), ..resident(&folder, name) };
    fs::create_dir_all(folder.path().join("broken/Maildir")).unwrap();
    let router = over(
        table()
            .with_accounts([limited("small", 10), limited("large", 100), limited("broken", 100)])
            .and_alias("all@x.example", &["small@x.example", "large@x.example"])
            .and_alias("broken-first@x.example", &["broken@x.example", "large@x.example"])
            .and_alias("broken-last@x.example", &["small@x.example", "broken@x.example"])
            .and_alias("unknown-first@x.example", &["unknown@x.example", "small@x.example", "unknown@x.example"]),
    );
    assert_eq!(send(&router, "all@x.example", 100), YES);
    assert!(matches!(send(&router, "all@x.example", 101), Err(Refusal::No(No::OverQuota(_)))));
    assert_eq!(send(&router, "broken-first@x.example", 100), YES);
    assert!(matches!(send(&router, "broken-first@x.example", 101), Err(Refusal::NotNow(NotNow::Quota(_)))));
    assert!(matches!(send(&router, "broken-last@x.example", 11), Err(Refusal::NotNow(NotNow::Quota(_)))));
    assert!(matches!(send(&router, "unknown-first@x.example", 11), Err(Refusal::No(No::OverQuota(_)))));
}

#[test]
fn a_relative_maildir_is_below_the_home() {
    let account = |maildir: Option<&str>| Account {
        login: parse("anna@x.example"),
        uid: 5000,
        gid: 5000,
        home: "/home/anna".into(),
        maildir: maildir.map(str::to_owned),
        quota: Limits::NONE,
        name: String::new(),
        options: String::new(),
        password: Password::default(),
    };
    assert_eq!(account(None).maildir_path(), Path::new("/home/anna/Maildir"));
    assert_eq!(account(Some("Mail/in")).maildir_path(), Path::new("/home/anna/Mail/in"));
    assert_eq!(account(Some("/srv/anna")).maildir_path(), Path::new("/srv/anna"));
}
