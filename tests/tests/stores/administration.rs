//! Changes by an administrator: of accounts, domains and aliases, and imports.

use crate::database::{Database, account, domain, full_account, import, login};
use mailauth_core::store::{AccountChange, AccountStore, AdminError, Administration, AliasRow, StoreError};
use mailauth_core::{AccountRow, Services};
use mailauth_tests::{Kind, on_each_database_and_mysql};
use std::time::{Duration, Instant};

on_each_database_and_mysql!(
    a_change_affects_only_the_named_columns,
    existing_and_missing_rows_are_reported,
    a_domain_is_removed_with_its_contents_or_not_at_all,
    an_alias_keeps_its_targets_in_order,
    ten_thousand_accounts_are_imported_within_seconds,
    an_import_with_a_bad_row_changes_nothing,
);

fn a_change_affects_only_the_named_columns(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    store.add_account(&full_account("full@x.example")).unwrap();
    let user = login("full@x.example");
    let change = AccountChange {
        enabled: Some(true),
        services: Some(Services::All),
        uid: Some(None),
        home: Some(None),
        quota_bytes: Some(Some(7)),
        name: Some(Some("New".into())),
        ..AccountChange::default()
    };
    let expected = AccountRow {
        enabled: true,
        services: Services::All,
        uid: None,
        home: None,
        quota_bytes: Some(7),
        name: Some("New".into()),
        ..full_account("full@x.example")
    };
    for _ in 0..2 {
        store.set_account(&user, &change).unwrap();
        assert_eq!(store.find(&user).unwrap().as_ref(), Some(&expected));
    }
    store.set_account(&user, &AccountChange::default()).unwrap();
    assert_eq!(store.find(&user).unwrap(), Some(expected));
    assert_eq!(store.find(&login("anna@x.example")).unwrap(), Some(account("anna@x.example")));
}

fn existing_and_missing_rows_are_reported(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    let said = |outcome: Result<(), AdminError>| outcome.unwrap_err().to_string();
    assert_eq!(said(store.add_account(&account("anna@x.example"))), "the account anna@x.example exists already");
    assert_eq!(said(store.add_account(&account("a@y.example"))), "there is no such domain: y.example");
    assert_eq!(said(store.add_domain(&domain("x.example"))), "the domain x.example exists already");
    assert_eq!(said(store.set_domain(&domain("y.example"))), "there is no such domain: y.example");
    assert_eq!(said(store.remove_domain("y.example", true)), "there is no such domain: y.example");
    let nobody = login("nobody@x.example");
    assert_eq!(said(store.remove_account(&nobody)), "there is no such account: nobody@x.example");
    let change = AccountChange { enabled: Some(true), ..AccountChange::default() };
    assert_eq!(said(store.set_account(&nobody, &change)), "there is no such account: nobody@x.example");
    let alias = AliasRow { address: "a@y.example".into(), targets: vec!["b@x.example".into()] };
    assert_eq!(said(store.add_alias(&alias)), "there is no such domain: y.example");
    assert_eq!(said(store.remove_alias(&alias)), "there is no such alias: a@y.example -> b@x.example");
    store.remove_account(&login("anna@x.example")).unwrap();
    assert_eq!(store.find(&login("anna@x.example")).unwrap(), None);
}

fn a_domain_is_removed_with_its_contents_or_not_at_all(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    store.add_alias(&AliasRow { address: "@x.example".into(), targets: vec!["anna@x.example".into()] }).unwrap();
    let in_use = AdminError::InUse { domain: "x.example".into(), accounts: 1, aliases: 1, alias_domains: 0 };
    assert_eq!(store.remove_domain("x.example", false).unwrap_err(), in_use);
    assert!(store.find(&login("anna@x.example")).unwrap().is_some());
    store.remove_domain("x.example", true).unwrap();
    assert!(store.domains().unwrap().is_empty() && store.aliases(None).unwrap().is_empty());
    assert_eq!(store.find(&login("anna@x.example")).unwrap(), None);
}

fn an_alias_keeps_its_targets_in_order(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    let alias = |targets: &[&str]| AliasRow {
        address: "all@x.example".into(),
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
    };
    store.add_alias(&alias(&["z@else.example", "a@x.example"])).unwrap();
    store.add_alias(&alias(&["a@x.example", "m@x.example"])).unwrap();
    assert_eq!(store.aliases(None).unwrap(), [alias(&["z@else.example", "a@x.example", "m@x.example"])]);
    assert!(store.remove_alias(&alias(&["m@x.example", "no@x.example"])).is_err());
    assert_eq!(store.aliases(None).unwrap()[0].targets.len(), 3, "everything or nothing");
    store.remove_alias(&alias(&["a@x.example"])).unwrap();
    assert_eq!(store.aliases(Some("x.example")).unwrap(), [alias(&["z@else.example", "m@x.example"])]);
    store.remove_alias(&alias(&[])).unwrap();
    assert!(store.aliases(Some("x.example")).unwrap().is_empty());
}

fn ten_thousand_accounts_are_imported_within_seconds(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    let rows: Vec<AccountRow> = (0..10_000).map(|n| full_account(&format!("user{n}@d{}.example", n % 10))).collect();
    let start = Instant::now();
    import(&store, &rows).unwrap();
    let taken = start.elapsed();
    println!("{kind:?}: 10,000 accounts imported in {} ms", taken.as_millis());
    assert!(taken < Duration::from_secs(15), "{taken:?}: 5 s are allowed, on a machine that does nothing else");
    assert_eq!(store.report().unwrap().accounts, 10_001);
    assert_eq!(store.find(&rows[7777].login).unwrap().as_ref(), Some(&rows[7777]));
}

fn an_import_with_a_bad_row_changes_nothing(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    let good: Vec<AccountRow> = (0..1000).map(|n| account(&format!("u{n}@new.example"))).collect();
    let with = |at: usize, bad: AccountRow| {
        let mut rows = good.clone();
        rows[at] = bad;
        import(&store, &rows).unwrap_err()
    };
    let relative = |name: &str| AccountRow { home: Some("relative".into()), ..account(name) };
    let refused = with(850, relative("bad@new.example"));
    assert!(matches!(&refused[..], [(850, AdminError::Store(StoreError::Refused { .. }))]), "{refused:?}");
    let exists = |name: &str| AdminError::Exists { what: "account", name: name.into() };
    assert_eq!(with(299, good[3].clone()), [(299, exists("u3@new.example"))], "in the same batch");
    assert_eq!(with(999, good[3].clone()), [(999, exists("u3@new.example"))], "in another batch");
    assert_eq!(with(0, account("anna@x.example")), [(0, exists("anna@x.example"))]);
    // Everything that is refused is found, also in a domain that is added with it, and in one that cannot be added.
    let mut rows = good.clone();
    for (at, bad) in [
        (1, account("anna@x.example")),
        (2, relative("b@other.example")),
        (600, good[0].clone()),
        (601, account("c@sp/ce.example")),
        (602, relative("d@x.example")),
        (999, good[5].clone()),
    ] {
        rows[at] = bad;
    }
    let mut places: Vec<_> = import(&store, &rows).unwrap_err().into_iter().map(|(place, _)| place).collect();
    places.sort_unstable();
    assert_eq!(places, [1, 2, 600, 601, 602, 999]);
    assert_eq!((store.enumerate(None, 999).unwrap().rows.len(), store.domains().unwrap().len()), (1, 1));
    import(&store, &good).unwrap();
    assert_eq!(store.enumerate(None, 9999).unwrap().rows.len(), 1001);
}
