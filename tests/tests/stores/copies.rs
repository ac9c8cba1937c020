//! What a snapshot is made of: rows as they stand in the tables, in pages, and by their times.

use crate::database::{Database, account, login};
use mailauth_core::store::snapshot::{CopiedRow, Original, Part, Value};
use mailauth_core::store::{Administration, AliasRow, DomainRow, SqlStore};
use mailauth_tests::{Kind, on_each_database};

on_each_database!(pages_of_rows_are_whole_and_in_order, an_account_is_changed_when_its_row_or_its_domains_is,);

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => String::from_utf8(text.expose().to_vec()).expect("UTF-8"),
        other => panic!("{other:?} is no text"),
    }
}

fn firsts(rows: &[CopiedRow]) -> Vec<String> {
    rows.iter().map(|row| text(&row[0])).collect()
}

fn pages_of_rows_are_whole_and_in_order(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    for name in ["ümit@x.example", "zoe@x.example", "a-b@x.example", "a.b@x.example"] {
        store.add_account(&account(name)).unwrap();
    }
    let targets = ["b@y.example", "a@y.example", "B@y.example"].map(str::to_owned).to_vec();
    store.add_alias(&AliasRow { address: "all@x.example".into(), targets }).unwrap();
    store.add_alias(&AliasRow { address: "@x.example".into(), targets: vec!["zoe@x.example".into()] }).unwrap();

    let (mut logins, mut after) = (Vec::new(), String::new());
    loop {
        let page = store.copy(Part::Accounts { after: after.as_bytes() }, 2).unwrap();
        logins.extend(firsts(&page));
        match logins.last() {
            Some(last) if !page.is_empty() => after.clone_from(last),
            _ => break,
        }
    }
    assert_eq!(logins, ["a-b@x.example", "a.b@x.example", "anna@x.example", "zoe@x.example", "ümit@x.example"]);

    let first = store.copy(Part::Aliases { after: (b"", b"") }, 2).unwrap();
    let rest = store.copy(Part::Aliases { after: (b"all@x.example", b"B@y.example") }, 9).unwrap();
    let pairs = |rows: &[CopiedRow]| rows.iter().map(|row| text(&row[1])).collect::<Vec<_>>();
    assert_eq!(
        (firsts(&first), pairs(&first)),
        (vec!["@x.example".into(), "all@x.example".into()], vec!["zoe@x.example".into(), "B@y.example".into()])
    );
    assert_eq!(pairs(&rest), ["a@y.example", "b@y.example"]);

    assert_eq!(firsts(&store.copy(Part::Domains { after: b"" }, 9).unwrap()), ["x.example"]);
    assert!(store.copy(Part::Domains { after: b"x.example" }, 9).unwrap().is_empty());
    assert_eq!(firsts(&store.copy(Part::Account(&login("zoe@x.example")), 9).unwrap()), ["zoe@x.example"]);
    assert!(store.copy(Part::Account(&login("ZOE@y.example")), 9).unwrap().is_empty());
}

fn changed(store: &SqlStore, since: &[u8]) -> Vec<String> {
    firsts(&store.copy(Part::Changed { since, after: b"" }, 9).unwrap())
}

fn an_account_is_changed_when_its_row_or_its_domains_is(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    store.add_domain(&DomainRow::new("y.example")).unwrap();
    store.add_account(&account("ben@x.example")).unwrap();
    store.add_account(&account("carl@y.example")).unwrap();
    let now = store.time().unwrap();
    assert_eq!(now.len(), "2026-11-23 20:00:00".len(), "{now:?}");
    assert_eq!(changed(&store, b"2020-01-01 00:00:00").len(), 3);
    assert_eq!(changed(&store, b"9020-01-01 00:00:00"), [""; 0]);
    let long_ago = "updated_at = '2020-01-01 00:00:00'";
    database.sql(&format!("UPDATE accounts SET {long_ago}; UPDATE domains SET {long_ago}"));
    assert_eq!(changed(&store, &now), [""; 0]);
    store.set_account(&login("ben@x.example"), &mailauth_core::store::AccountChange::default()).unwrap();
    assert_eq!(changed(&store, &now), ["ben@x.example"]);
    store.set_domain(&DomainRow { enabled: false, ..DomainRow::new("y.example") }).unwrap();
    assert_eq!(changed(&store, &now), ["ben@x.example", "carl@y.example"]);
    let next = store.copy(Part::Changed { since: &now, after: b"ben@x.example" }, 9).unwrap();
    assert_eq!(firsts(&next), ["carl@y.example"]);
}
