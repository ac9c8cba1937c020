//! Logins that only a collation finds, and characters that the tables of another program lack.

use super::program::Program;
use crate::database::{Database, login};
use mailauth_core::store::{AccountStore, MailStore};
use mailauth_tests::{Kind, MariaDb, Postgres, on_mysql};

/// Checks that what a collation finds is not taken for what was asked for, and that a character that the tables lack is
/// in no row.
fn what_a_collation_finds(kind: Kind, database: Database, options: &str, absent: &[&str]) {
    let program = Program::within(kind, database, options);
    let store = program.store();
    program.sql("UPDATE \"user\" SET local = 'ANNA' WHERE id = 1");
    let found = store.find(&login("anna@kontor.example")).unwrap();
    let ignores_case = matches!(kind, Kind::MariaDb | Kind::MySql);
    assert_eq!(found.is_some(), ignores_case, "found in capitals");
    for absent in absent {
        for _ in 0..2 {
            assert_eq!(store.find(&login(&format!("{absent}@kontor.example"))), Ok(None), "{absent}");
            assert_eq!(store.alias_targets(&format!("{absent}@kontor.example")), Ok(Vec::new()), "{absent}");
        }
    }
    assert!(store.find(&login("dora@kontor.example")).unwrap().is_some());
}

#[test]
fn a_login_that_only_a_collation_of_mariadb_finds_is_unknown() {
    let database = || Database::MariaDb(MariaDb::shared().database());
    let absent = ["\u{e1}nna", "\u{c4}nna", "\u{3c9}mega", "\u{e01}\u{e32}", "\u{1f600}"];
    for options in [
        " CHARACTER SET latin1 COLLATE latin1_general_ci",
        " CHARACTER SET latin1",
        " CHARACTER SET utf8mb4",
        " CHARACTER SET utf8mb3",
    ] {
        what_a_collation_finds(Kind::MariaDb, database(), options, &absent);
    }
}

fn a_login_that_only_a_collation_of_mysql_finds_is_unknown(kind: Kind) {
    let absent = ["\u{e1}nna", "\u{3c9}mega", "\u{1f600}"];
    let database = Database::empty(kind);
    what_a_collation_finds(kind, database, " CHARACTER SET latin1 COLLATE latin1_general_ci", &absent);
}

on_mysql!(a_login_that_only_a_collation_of_mysql_finds_is_unknown);

#[test]
fn a_login_that_an_encoding_of_postgres_lacks_is_unknown() {
    for encoding in ["LATIN1", "UTF8", "SQL_ASCII"] {
        let database = Database::Postgres(Postgres::shared().database_in(encoding));
        what_a_collation_finds(Kind::Postgres, database, "", &["\u{e1}nna", "\u{3c9}mega", "\u{1f600}"]);
    }
}
