//! Pages of another program's rows, on SQLite.

use super::*;
use crate::schema::{AliasDomainQuery, AliasQuery, DomainQuery, ForeignAccounts, Separator};
use crate::store::driver::sqlite::Sqlite;
use crate::store::hosts::Hosts;
use crate::store::{AccountStore, Administration, AliasRow, SqlStore, StoreError};
use std::sync::Arc;
use std::time::Duration;

const TABLES: &str = "
    CREATE TABLE realm (id INTEGER PRIMARY KEY, name TEXT UNIQUE, active INTEGER DEFAULT 1);
    CREATE TABLE box (
        id INTEGER PRIMARY KEY, address TEXT UNIQUE, local TEXT, realm INTEGER, secret TEXT, home,
        UNIQUE (local, realm));
    CREATE TABLE forward (id INTEGER PRIMARY KEY, address TEXT, targets);
    CREATE TABLE room (address TEXT PRIMARY KEY, targets TEXT);
    CREATE TABLE other_name (name TEXT PRIMARY KEY, target TEXT);
    INSERT INTO realm (id, name, active) VALUES (1, 'x.example', 1), (2, 'y.example', 0), (3, 'Z.example', 1);
";

fn named(sql: &str, parameters: &[Parameter]) -> NamedSql {
    NamedSql { sql: sql.into(), parameters: parameters.to_vec() }
}

fn listing(from: &str, columns: [&str; 2], key: &str) -> Listing {
    Listing { from: from.into(), filter: None, columns: columns.map(str::to_owned), key: vec![key.to_owned()] }
}

fn model(key: &[&str]) -> ForeignModel {
    let field = |field: Field| match field {
        Field::Login => Some("LOWER(b.address)".to_owned()),
        Field::Password => Some("b.secret".to_owned()),
        Field::DomainEnabled => Some("r.active".to_owned()),
        Field::Home => Some("b.home".to_owned()),
        _ => None,
    };
    let forward = listing("forward f", ["LOWER(f.address)", "f.targets"], "f.id");
    ForeignModel {
        profile: "kontor".into(),
        program: "Kontor".into(),
        accounts: ForeignAccounts {
            from: "box b JOIN realm r ON r.id = b.realm".into(),
            find: named("b.address = ?", &[Parameter::Login]),
            filter: Some("b.local <> 'hall' OR b.local IS NULL".into()),
            key: key.iter().map(|column| (*column).to_owned()).collect(),
            fields: Field::READ.map(field),
            quota: None,
            options_disable_services: false,
            write_password: None,
        },
        domains: Some(DomainQuery {
            find: named("SELECT LOWER(r.name), r.active FROM realm r WHERE r.name = ?", &[Parameter::Domain]),
            list: Some(vec![listing("realm r", ["LOWER(r.name)", "r.active"], "r.name")]),
        }),
        aliases: Some(AliasQuery {
            find: named("SELECT f.address, f.targets FROM forward f WHERE f.address = ?", &[Parameter::Address]),
            separator: Separator::Comma,
            list: Some(vec![forward, listing("room o", ["o.address", "o.targets"], "o.address")]),
        }),
        alias_domains: Some(AliasDomainQuery {
            find: named("SELECT x.name, x.target FROM other_name x WHERE x.name = ?", &[Parameter::Domain]),
            list: Some(vec![listing("other_name x", ["x.name", "x.target"], "x.name")]),
        }),
        reads: Vec::new(),
        versions: Vec::new(),
    }
}

struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new(rows: &str) -> Self {
        let scratch = Scratch { folder: tempfile::tempdir().unwrap() };
        scratch.sql(TABLES);
        scratch.sql(rows);
        scratch
    }

    fn sql(&self, sql: &str) {
        rusqlite::Connection::open(self.folder.path().join("kontor.db")).unwrap().execute_batch(sql).unwrap();
    }

    fn open(&self, model: ForeignModel) -> SqlStore {
        let deadline = Duration::from_secs(5);
        let driver = Arc::new(Sqlite::new(&self.folder.path().join("kontor.db"), deadline));
        SqlStore::foreign(Hosts::single(vec![driver], "kontor".into(), deadline), Arc::new(model))
    }
}

/// Returns the logins of all pages, and the messages about rows that cannot be used.
fn all(store: &SqlStore, limit: usize) -> (Vec<String>, Vec<String>) {
    let (mut good, mut bad, mut after) = (Vec::new(), Vec::new(), None);
    for _ in 0..1000 {
        let page = store.enumerate(after.as_ref(), limit).unwrap();
        assert!(page.rows.len() <= limit);
        for row in page.rows {
            match row {
                Ok(row) => good.push(row.login.to_string()),
                Err(unusable) => bad.push(unusable.to_string()),
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return (good, bad),
        }
    }
    panic!("the list does not end")
}

const MANY: &str = "
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25)
        INSERT INTO box (id, address, local, realm, secret)
        SELECT 100 - i, 'u' || i || '@x.example', 'u' || i, 1 + i % 2, 'secret' FROM n;
    INSERT INTO box (address, local, realm) VALUES ('hall@x.example', 'hall', 1);
";

#[test]
fn pages_have_every_row_once_in_the_order_of_the_key() {
    let scratch = Scratch::new(MANY);
    for (key, order) in [
        (&["b.id"][..], "b.id"),
        (&["b.address"], "b.address"),
        (&["b.local", "b.realm"], "b.local, b.realm"),
        (&["b.realm", "b.id"], "b.realm, b.id"),
    ] {
        let connection = rusqlite::Connection::open(scratch.folder.path().join("kontor.db")).unwrap();
        let sql = format!("SELECT address FROM box b WHERE local <> 'hall' ORDER BY {order}");
        let mut statement = connection.prepare(&sql).unwrap();
        let expected: Vec<String> =
            statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        let store = scratch.open(model(key));
        for limit in [1, 4, 25, 26, 1000] {
            assert_eq!(all(&store, limit), (expected.clone(), Vec::new()), "{key:?} {limit}");
        }
    }
}

#[test]
fn a_database_without_row_values_gets_the_same_condition() {
    let sqlite = &crate::store::driver::sqlite::DIALECT;
    let without = &Dialect { row_values: false, ..*sqlite };
    let key = ["a", "b", "c"].map(str::to_owned);
    let (condition, given) = after(&key, without);
    assert_eq!(condition, "a > ? OR (a = ? AND (b > ? OR (b = ? AND (c > ?))))");
    assert_eq!(given, [0, 0, 1, 1, 2]);
    assert_eq!(after(&key[..1], without), ("a > ?".to_owned(), vec![0]));
    assert_eq!(after(&key, sqlite), ("(a, b, c) > (?, ?, ?)".to_owned(), vec![0, 1, 2]));
}

#[test]
fn accounts_without_a_key_cannot_be_listed() {
    let scratch = Scratch::new("");
    let store = scratch.open(model(&[]));
    let error = store.enumerate(None, 10).unwrap_err().to_string();
    assert!(error.contains("set [schema.accounts] key to the columns of a unique index"), "{error}");
}

#[test]
fn a_key_that_is_null_or_a_fraction_is_an_error() {
    for address in ["NULL", "1.5"] {
        let scratch = Scratch::new(&format!("INSERT INTO box (address, realm) VALUES ({address}, 1)"));
        scratch.sql("UPDATE box SET address = NULL WHERE address = '1.5'");
        let error = scratch.open(model(&["b.address"])).enumerate(None, 10).unwrap_err().to_string();
        assert!(error.contains("a row of [schema.accounts] has a key that is NULL"), "{error}");
    }
}

#[test]
fn an_invalid_place_is_an_error() {
    let scratch = Scratch::new(MANY);
    let (one, two) = (scratch.open(model(&["b.id"])), scratch.open(model(&["b.local", "b.realm"])));
    let places: [&[u8]; 12] = [
        b"",
        b"\x01",
        b"\x01\x00i",
        b"\x01\x00i1234567",
        b"\x01\x00x12345678",
        b"\x01\x00t\x00\x00\x00\x09short",
        b"\x01\x00t\xff\xff\xff\xffshort",
        b"\x01\x01i12345678",
        b"\x01\xff",
        b"\x02anna",
        b"\x00",
        b"\x01\x00i12345678i12345678i12345678",
    ];
    for place in places {
        for store in [&one, &two] {
            let error = store.enumerate(Some(&Cursor::behind(place)), 10).unwrap_err();
            assert!(matches!(error, StoreError::Refused { .. }), "{place:?}: {error:?}");
        }
    }
    assert!(two.enumerate(Some(&Cursor::behind("anna")), 10).is_err(), "a key of two columns");
}

#[test]
fn a_written_place_is_read_as_the_same_place() {
    let scratch = Scratch::new("");
    let store = scratch.open(model(&["b.local", "b.realm"]));
    let foreign = store.foreign.as_ref().unwrap();
    let text = |text: &str| KeyValue::Text(text.into());
    for key in [vec![text("anna"), KeyValue::Int(i64::MIN)], vec![text(""), text("\u{1}ü")], vec![]] {
        let place = Place { part: 0, key };
        let parts = foreign.lists.parts(ACCOUNTS);
        assert_eq!(Place::read(&place.written(parts), parts), Some(place));
    }
    let parts = foreign.lists.parts(DOMAINS);
    for name in ["x.example", "\u{1}", "\u{2}x", ""] {
        let place = Place { part: 0, key: vec![text(name)] };
        assert_eq!(Place::read(&place.written(parts), parts), Some(place), "{name:?}");
    }
    assert_eq!(Place { part: 0, key: vec![text("x.example")] }.written(parts), Cursor::behind("x.example"));
}

#[test]
fn a_row_that_cannot_be_used_is_an_error_of_that_row() {
    let scratch = Scratch::new(MANY);
    scratch.sql("INSERT INTO box (address, local, realm, home) VALUES ('odd@x.example', 'odd', 1, 5)");
    scratch.sql("INSERT INTO box (address, local, realm) VALUES ('a b@x.example', 'a b', 1)");
    scratch.sql("INSERT INTO box (address, local, realm) VALUES ('Otto@x.example', 'otto', 1)");
    let (good, bad) = all(&scratch.open(model(&["b.id"])), 3);
    assert_eq!((good.len(), bad.len()), (25, 3), "{bad:?}");
    assert!(bad.iter().any(|why| why.contains("otto@x.example") && why.contains("not in lower case")), "{bad:?}");
}

#[test]
fn an_account_found_by_its_parts_is_listed_if_they_find_it() {
    let scratch = Scratch::new(MANY);
    scratch.sql("INSERT INTO box (address, local, realm) VALUES ('x', 'Otto', 1), ('y', 'a@b', 1), ('z', 'eva', 3)");
    let mut model = model(&["b.id"]);
    model.accounts.find = named("b.local = ? AND r.name = ?", &[Parameter::Local, Parameter::Domain]);
    model.accounts.fields[0] = Some("LOWER(b.local || '@' || r.name)".into());
    let (good, bad) = all(&scratch.open(model), 7);
    assert_eq!((good.len(), bad.len()), (26, 2), "{bad:?}");
    assert!(good.contains(&"a@b@x.example".to_owned()));
    assert!(bad[0].contains("otto@x.example") && bad[1].contains("eva@z.example"), "{bad:?}");
}

#[test]
fn accounts_of_one_domain_are_listed() {
    let scratch = Scratch::new(MANY);
    let store = scratch.open(model(&["b.id"]));
    let (mut logins, mut after) = (Vec::new(), None);
    loop {
        let page = store.domain_accounts("x.example", after.as_ref(), 2).unwrap();
        logins.extend(page.rows.into_iter().map(|row| row.unwrap().login.to_string()));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(logins.len(), 25);
    assert!(store.domain_accounts("nowhere.example", None, 5).unwrap().rows.is_empty());
}

fn aliases(store: &SqlStore, domain: Option<&str>) -> Vec<Result<AliasRow, StoreError>> {
    let mut found = Vec::new();
    let each = &mut |alias| {
        found.push(alias);
        std::ops::ControlFlow::Continue(())
    };
    store.each_alias(domain, each).unwrap();
    found
}

#[test]
fn aliases_are_listed_part_after_part() {
    let scratch = Scratch::new(
        "INSERT INTO forward (address, targets) VALUES
             ('info@x.example', 'a@x.example, b@x.example'), ('info@x.example', 'c@x.example'),
             ('a@x.example', 'a@x.example'), ('odd@x.example', 'root'), ('none@x.example', NULL),
             ('@y.example', '@x.example'), ('number@x.example', 5);
         INSERT INTO room VALUES ('hall@x.example', 'null@localhost')",
    );
    let store = scratch.open(model(&[]));
    let alias = |address: &str, targets: &[&str]| {
        Ok(AliasRow { address: address.into(), targets: targets.iter().map(|text| (*text).to_owned()).collect() })
    };
    let found = aliases(&store, None);
    assert_eq!(found.len(), 5, "{found:?}");
    assert_eq!(found[0], alias("info@x.example", &["a@x.example", "b@x.example", "c@x.example"]));
    assert!(matches!(&found[1], Err(StoreError::UnusableAlias { address, .. }) if address == "odd@x.example"));
    assert_eq!(found[2], alias("@y.example", &["@x.example"]));
    assert!(found[3].is_err());
    assert_eq!(found[4], alias("hall@x.example", &["null@localhost"]));
    assert_eq!(aliases(&store, Some("y.example")), [alias("@y.example", &["@x.example"])]);
}

#[test]
fn domains_and_alias_domains_are_listed() {
    let scratch = Scratch::new("INSERT INTO other_name VALUES ('z.example', 'x.example')");
    let store = scratch.open(model(&[]));
    let page = store.domain_page(None, 10).unwrap();
    let names: Vec<_> = page.rows.iter().flatten().map(|row| (row.name.as_str(), row.enabled)).collect();
    assert_eq!((names, page.rows.len()), (vec![("x.example", true), ("y.example", false)], 3), "{page:?}");
    let first = store.domain_page(None, 1).unwrap();
    assert_eq!(first.rows.len(), 1);
    assert_eq!(store.domain_page(first.next.as_ref(), 1).unwrap().rows.len(), 1);
    let others = store.alias_domain_page(None, 10).unwrap().rows;
    assert_eq!(others.into_iter().map(|row| row.unwrap().target).collect::<Vec<_>>(), ["x.example"]);
}

#[test]
fn lists_that_no_profile_describes_are_errors() {
    let mut model = model(&[]);
    model.domains.as_mut().unwrap().list = None;
    model.alias_domains = None;
    let scratch = Scratch::new("");
    let store = scratch.open(model);
    let error = store.domain_page(None, 10).unwrap_err().to_string();
    assert!(error.contains("the domains of profile \"kontor\" cannot be listed"), "{error}");
    assert_eq!(store.alias_domain_page(None, 10).unwrap().rows.len(), 0, "there are none");
}
