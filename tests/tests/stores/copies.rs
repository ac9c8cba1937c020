//! The content of a snapshot: rows as they are in the tables, in pages, and by their times.

use crate::database::{Database, account, login};
use mailauth_core::store::snapshot::{CopiedRow, Original, Part, Value};
use mailauth_core::store::{Administration, AliasRow, DomainRow, SqlStore};
use mailauth_tests::{Kind, on_each_database_and_mysql};

on_each_database_and_mysql!(
    pages_of_rows_are_complete_and_in_order,
    pages_of_changes_are_complete,
    changes_are_read_in_the_order_of_their_time,
);

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => String::from_utf8(text.expose().to_vec()).expect("UTF-8"),
        other => panic!("{other:?} is no text"),
    }
}

fn firsts(rows: &[CopiedRow]) -> Vec<String> {
    rows.iter().map(|row| text(&row[0])).collect()
}

fn pages_of_rows_are_complete_and_in_order(kind: Kind) {
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
    store.add_domain(&DomainRow::new("w.example")).unwrap();
    store.add_alias(&AliasRow { address: "all@w.example".into(), targets: vec!["c@y.example".into()] }).unwrap();
    let of_domain = |after| {
        let page = store.copy(Part::AliasesOfDomain { domain: b"x.example", after }, 3).unwrap();
        page.iter().map(|row| (text(&row[1]), text(&row[3]))).collect::<Vec<_>>()
    };
    let of_x = |target: &str| (target.to_owned(), "x.example".to_owned());
    assert_eq!(of_domain((b"", b"")), ["zoe@x.example", "B@y.example", "a@y.example"].map(of_x));
    assert_eq!(of_domain((b"all@x.example", b"a@y.example")), ["b@y.example"].map(of_x));
    assert_eq!(firsts(&store.copy(Part::Domain(b"x.example"), 9).unwrap()), ["x.example"]);
    assert!(store.copy(Part::Domain(b"X.example"), 9).unwrap().is_empty());
    store.remove_domain("w.example", true).unwrap();

    assert_eq!(firsts(&store.copy(Part::Domains { after: b"" }, 9).unwrap()), ["x.example"]);
    assert!(store.copy(Part::Domains { after: b"x.example" }, 9).unwrap().is_empty());
    assert_eq!(firsts(&store.copy(Part::Account(&login("zoe@x.example")), 9).unwrap()), ["zoe@x.example"]);
    assert!(store.copy(Part::Account(&login("ZOE@y.example")), 9).unwrap().is_empty());
}

fn changed(store: &SqlStore, since: &[u8]) -> Vec<String> {
    firsts(&store.copy(Part::Changed { since, after: b"" }, 9).unwrap())
}

fn changes_are_read_in_the_order_of_their_time(kind: Kind) {
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
    let domains = store.copy(Part::ChangedDomains { since: &now, after: b"" }, 9).unwrap();
    assert_eq!(firsts(&domains), ["y.example"]);
    assert_eq!(changed(&store, &now), ["ben@x.example"]);
    let of_domain =
        |after: &str| firsts(&store.copy(Part::OfDomain { domain: b"x.example", after: after.as_bytes() }, 9).unwrap());
    assert_eq!(of_domain(""), ["anna@x.example", "ben@x.example"]);
    assert_eq!(of_domain("anna@x.example"), ["ben@x.example"]);
}

/// The rows of one time are more than a page, and later changes have any login.
fn pages_of_changes_are_complete(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    let target = |target: &str| AliasRow { address: "all@x.example".into(), targets: vec![target.into()] };
    for (name, time) in [("d", "07"), ("b", "08"), ("c", "08"), ("e", "08"), ("a", "09")] {
        let name = format!("{name}@x.example");
        store.add_account(&account(&name)).unwrap();
        store.add_alias(&target(&name)).unwrap();
        store.add_alias(&AliasRow { address: name.clone(), targets: vec!["x@y.example".into()] }).unwrap();
        let then = format!("updated_at = '2025-01-01 00:00:{time}'");
        database.sql(&format!(
            "UPDATE accounts SET {then} WHERE login = '{name}';
             UPDATE aliases SET {then} WHERE target = '{name}' OR address = '{name}'"
        ));
    }
    database.sql("UPDATE accounts SET updated_at = '2024-12-31 00:00:00' WHERE login = 'anna@x.example'");
    let mut since = b"2025-01-01 00:00:08".to_vec();
    let (mut after, mut found) = (Vec::new(), Vec::new());
    while let Some(last) = {
        let page = store.copy(Part::Changed { since: &since, after: &after }, 2).unwrap();
        found.extend(firsts(&page));
        page.into_iter().next_back()
    } {
        (since, after) = (text(last.last().unwrap()).into_bytes(), text(&last[0]).into_bytes());
    }
    assert_eq!(found, ["b@x.example", "c@x.example", "e@x.example", "a@x.example"]);

    let mut since = b"2025-01-01 00:00:08".to_vec();
    let (mut after, mut found) = ((Vec::new(), Vec::new()), Vec::new());
    while let Some(last) = {
        let page = store.copy(Part::ChangedAliases { since: &since, after: (&after.0, &after.1) }, 2).unwrap();
        found.extend(page.iter().map(|row| format!("{} {}", &text(&row[0])[..1], &text(&row[1])[..1])));
        page.into_iter().next_back()
    } {
        since = text(last.last().unwrap()).into_bytes();
        after = (text(&last[0]).into_bytes(), text(&last[1]).into_bytes());
    }
    // Each is the first letter of its address and of its target: `all` has one for each account.
    assert_eq!(found, ["a b", "a c", "a e", "b x", "c x", "e x", "a x", "a a"]);
}
