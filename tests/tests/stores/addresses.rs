//! Lookups of domains and aliases, as the routing of a message needs them.

use crate::database::{DEADLINE, Database, domain};
use mailauth_core::DomainName;
use mailauth_core::store::{Administration, AliasRow, DomainRow, MailStore, SqlStore, StoreError};
use mailauth_tests::{Kind, on_each_database_and_mysql};
use std::time::Instant;

on_each_database_and_mysql!(
    a_domain_is_enabled_disabled_or_unknown,
    a_domain_with_an_invalid_flag_is_an_error,
    the_targets_of_an_alias_keep_their_order,
    a_catch_all_is_an_alias_of_its_domain_only,
    only_exact_addresses_and_domains_are_found,
    an_invalid_alias_target_is_an_error,
    an_alias_with_too_many_targets_is_an_error,
    missing_tables_are_an_error_and_not_an_unknown_address,
);

mod servers {
    use super::a_stopped_or_frozen_server_is_an_error;
    mailauth_tests::on_each_server_and_mysql!(a_stopped_or_frozen_server_is_an_error);
}

fn enabled(store: &SqlStore, name: &str) -> Result<Option<bool>, StoreError> {
    store.domain_enabled(&DomainName::parse(name).unwrap())
}

fn alias(address: &str, targets: &[&str]) -> AliasRow {
    let targets = targets.iter().map(|target| (*target).to_owned()).collect();
    AliasRow { address: address.into(), targets }
}

/// Inserts a row without using mailauth.
fn insert(database: &Database, address: &str, target: &str, position: u32) {
    let target = target.replace('\'', "''");
    database.sql(&format!("INSERT INTO aliases (address, domain, target, position) VALUES ('{address}', 'x.example', '{target}', {position})"));
}

fn a_domain_is_enabled_disabled_or_unknown(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    store.add_domain(&DomainRow { enabled: false, ..domain("off.example") }).unwrap();
    store.add_domain(&domain("xn--mller-kva.example")).unwrap();
    for store in [database.store(), database.pooled()] {
        assert_eq!(enabled(&store, "x.example").unwrap(), Some(true));
        assert_eq!(enabled(&store, "off.example").unwrap(), Some(false));
        for spelling in ["MÜLLER.example", "mu\u{308}ller.example", "XN--MLLER-KVA.example"] {
            assert_eq!(enabled(&store, spelling).unwrap(), Some(true), "{spelling}");
        }
        for other in ["y.example", "example", "x.exampl_", "muller.example", "a.x.example"] {
            assert_eq!(enabled(&store, other).unwrap(), None, "{other}");
        }
    }
    store.set_domain(&DomainRow { enabled: false, ..domain("x.example") }).unwrap();
    assert_eq!(enabled(&store, "x.example").unwrap(), Some(false));
}

fn a_domain_with_an_invalid_flag_is_an_error(kind: Kind) {
    let database = Database::empty(kind).filled();
    let unchecked = match kind {
        Kind::Postgres => "ALTER TABLE domains DROP CONSTRAINT domains_enabled_0_or_1;".into(),
        _ => database.unchecked(),
    };
    database.sql(&format!("{unchecked} UPDATE domains SET enabled = 2"));
    let error = enabled(&database.store(), "x.example").unwrap_err();
    assert!(matches!(&error, StoreError::UnusableDomain { column: "enabled", .. }), "{error:?}");
}

fn the_targets_of_an_alias_keep_their_order(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    store.add_alias(&alias("all@x.example", &["z@else.example", "Anna@X.example", "m@x.example"])).unwrap();
    store.add_alias(&alias("all@x.example", &["a@x.example"])).unwrap();
    store.add_alias(&alias("ünï@x.example", &["ö@x.example"])).unwrap();
    for store in [database.store(), database.pooled()] {
        let targets = store.alias_targets("all@x.example").unwrap();
        assert_eq!(targets, ["z@else.example", "Anna@X.example", "m@x.example", "a@x.example"]);
        assert_eq!(store.alias_targets("ünï@x.example").unwrap(), ["ö@x.example"]);
        for other in ["anna@x.example", "nobody@x.example", "all@y.example", "", "' OR 1 = 1 --"] {
            assert!(store.alias_targets(other).unwrap().is_empty(), "{other}");
        }
    }
    insert(&database, "by-hand@x.example", "last@x.example", 70_000);
    insert(&database, "by-hand@x.example", "second@x.example", 10);
    insert(&database, "by-hand@x.example", "first@x.example", 9);
    let targets = store.alias_targets("by-hand@x.example").unwrap();
    assert_eq!(targets, ["first@x.example", "second@x.example", "last@x.example"]);
}

fn a_catch_all_is_an_alias_of_its_domain_only(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    store.add_alias(&alias("@x.example", &["anna@x.example"])).unwrap();
    assert_eq!(store.alias_targets("@x.example").unwrap(), ["anna@x.example"]);
    assert!(
        store.alias_targets("whoever@x.example").unwrap().is_empty(),
        "the caller decides which addresses are caught"
    );
    assert!(store.alias_targets("x.example").unwrap().is_empty());
}

/// Tables of other programs are not compared byte by byte.
fn only_exact_addresses_and_domains_are_found(kind: Kind) {
    let database = Database::empty(kind).filled();
    database.sql(match kind {
        Kind::Sqlite => {
            "DROP TABLE aliases; DROP TABLE alias_domains; DROP TABLE domain_use; DROP TABLE mailbox_use;
             DROP TABLE accounts; DROP TABLE domains;
             CREATE TABLE domains (name TEXT COLLATE NOCASE PRIMARY KEY, enabled INTEGER NOT NULL DEFAULT 1,
                 backup INTEGER NOT NULL DEFAULT 0);
             CREATE TABLE alias_domains (name TEXT COLLATE NOCASE PRIMARY KEY, target TEXT, enabled INTEGER DEFAULT 1);
             CREATE TABLE aliases (address TEXT COLLATE NOCASE, domain TEXT, target TEXT, position INTEGER);"
        }
        Kind::MariaDb | Kind::MySql => {
            "DROP TABLE aliases; DROP TABLE alias_domains; DROP TABLE domain_use; DROP TABLE mailbox_use;
             DROP TABLE accounts; DROP TABLE domains;
             CREATE TABLE domains (name VARCHAR(252) PRIMARY KEY, enabled TINYINT NOT NULL DEFAULT 1,
                 backup TINYINT NOT NULL DEFAULT 0) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
             CREATE TABLE alias_domains (name VARCHAR(252) PRIMARY KEY, target VARCHAR(252), enabled TINYINT DEFAULT 1)
                 CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
             CREATE TABLE aliases (address VARCHAR(254), domain VARCHAR(252), target VARCHAR(254), position INTEGER)
                 CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;"
        }
        Kind::Postgres => {
            "CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             DROP TABLE aliases; DROP TABLE alias_domains; DROP TABLE domain_use; DROP TABLE mailbox_use;
             DROP TABLE accounts; DROP TABLE domains;
             CREATE TABLE domains (name VARCHAR(252) COLLATE folded PRIMARY KEY, enabled SMALLINT NOT NULL DEFAULT 1,
                 backup SMALLINT NOT NULL DEFAULT 0);
             CREATE TABLE alias_domains (name VARCHAR(252) COLLATE folded PRIMARY KEY, target VARCHAR(252),
                 enabled SMALLINT DEFAULT 1);
             CREATE TABLE aliases (address VARCHAR(254) COLLATE folded, domain VARCHAR(252), target VARCHAR(254),
                 position INTEGER);
             GRANT ALL ON domains, aliases, alias_domains TO PUBLIC;"
        }
    });
    database.sql("INSERT INTO domains (name) VALUES ('Y.example'), ('z.example')");
    for (address, position) in [("Info@x.example", 0), ("INFO@x.example", 1), ("info@x.example", 2)] {
        insert(&database, address, &format!("target{position}@x.example"), position);
    }
    insert(&database, "Berta@x.example", "anna@x.example", 0);
    let store = database.store();
    assert_eq!(enabled(&store, "z.example").unwrap(), Some(true));
    assert_eq!(enabled(&store, "y.example").unwrap(), None);
    assert_eq!(store.alias_targets("info@x.example").unwrap(), ["target2@x.example"]);
    assert!(store.alias_targets("berta@x.example").unwrap().is_empty());
}

fn an_invalid_alias_target_is_an_error(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    let bad = ["bruno", "|/bin/sh", "/var/mail/x", ":fail: no", "a@x.example, b@x.example", "a b@x.example", "a@"];
    for (number, target) in bad.into_iter().enumerate() {
        let address = format!("bad{number}@x.example");
        insert(&database, &address, "anna@x.example", 0);
        insert(&database, &address, target, 1);
        let error = store.alias_targets(&address).unwrap_err();
        let StoreError::UnusableAlias { address: named, problem } = &error else { panic!("{target}: {error:?}") };
        assert_eq!(*named, address);
        assert!(problem.contains(&format!("{target:?}")) && problem.contains("name@example.org"), "{problem}");
    }
    insert(&database, "good@x.example", "o'neil+x@x.example", 0);
    assert_eq!(store.alias_targets("good@x.example").unwrap(), ["o'neil+x@x.example"]);
}

fn an_alias_with_too_many_targets_is_an_error(kind: Kind) {
    let database = Database::empty(kind).filled();
    let rows = |address: &str, number: usize| {
        let row = |n| format!("('{address}', 'x.example', 'u{n}@x.example', {n})");
        let rows: Vec<String> = (0..number).map(row).collect();
        database.sql(&format!("INSERT INTO aliases (address, domain, target, position) VALUES {}", rows.join(", ")));
    };
    rows("many@x.example", 1000);
    rows("more@x.example", 1001);
    let store = database.store();
    let targets = store.alias_targets("many@x.example").unwrap();
    assert_eq!((targets.len(), targets[999].as_str()), (1000, "u999@x.example"));
    let error = store.alias_targets("more@x.example").unwrap_err();
    assert!(
        matches!(&error, StoreError::UnusableAlias { problem, .. } if problem.contains("mailing list")),
        "{error:?}"
    );
}

fn missing_tables_are_an_error_and_not_an_unknown_address(kind: Kind) {
    let store = Database::empty(kind);
    let store = store.store();
    for error in [enabled(&store, "x.example").unwrap_err(), store.alias_targets("all@x.example").unwrap_err()] {
        assert!(matches!(&error, StoreError::Schema(said) if said.contains("mailauth init")), "{error:?}");
    }
}

fn a_stopped_or_frozen_server_is_an_error(kind: Kind) {
    let database = Database::on_own_server(kind).filled();
    let store = database.pooled();
    assert_eq!(enabled(&store, "x.example").unwrap(), Some(true));
    let begin = Instant::now();
    let outage = || {
        for error in [enabled(&store, "nowhere.example").unwrap_err(), store.alias_targets("a@x.example").unwrap_err()]
        {
            assert!(matches!(error, StoreError::Unreachable { .. } | StoreError::Timeout { .. }), "{error:?}");
        }
    };
    database.server().freeze();
    outage();
    database.server().thaw();
    database.server().stop();
    outage();
    assert!(begin.elapsed() < DEADLINE * 6, "{:?}", begin.elapsed());
}
