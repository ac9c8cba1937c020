//! Databases whose character set lacks some characters: what they cannot store is in no row, so the answer is "no".

use crate::database::{Database, account, import, login};
use mailauth_core::store::{AccountStore, AdminError, Administration, AliasRow, MailStore, SqlStore, StoreError};
use mailauth_tests::{Kind, Postgres, Scratch, on_mysql, output_with_input, program};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A login with Thai characters, which none of these sets has.
const UNKNOWN: &str = "\u{e01}\u{e32}@x.example";

fn postgres(encoding: &str) -> Database {
    Database::Postgres(Postgres::shared().database_in(encoding)).filled()
}

/// Returns tables in another character set, as from a dump whose text was changed.
pub fn mysql(kind: Kind, set: &str) -> Database {
    let database = Database::empty(kind);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema/mysql.sql");
    database.sql(&fs::read_to_string(path).expect("the tables").replace("utf8mb4", set));
    database.filled()
}

/// Asserts that every lookup of `unknown` finds nothing, and that `known`, which has characters beyond ASCII, is
/// found.
fn unstorable_login_is_unknown(database: &Database, known: &str, unknown: &str) {
    let single = database.store();
    single.add_account(&account(known)).expect("an account");
    for store in [single, database.pooled()] {
        for _ in 0..2 {
            assert_eq!(store.find(&login(unknown)), Ok(None));
            assert_eq!(store.alias_targets(unknown), Ok(Vec::new()));
            assert_eq!(store.find(&login(known)), Ok(Some(account(known))));
            assert_eq!(store.find(&login("anna@x.example")), Ok(Some(account("anna@x.example"))));
        }
        assert_eq!(store.find_domain(unknown), Ok(None));
        unstorable_login_is_refused(&store, unknown);
    }
}

fn unstorable_login_is_refused(store: &SqlStore, unknown: &str) {
    let refused = |done: Result<(), AdminError>| match done {
        Err(AdminError::Unstorable(why)) => assert!(why.contains("character") && !why.contains(unknown), "{why}"),
        other => panic!("{unknown}: {other:?}"),
    };
    refused(store.add_account(&account(unknown)));
    let named = mailauth_core::AccountRow { name: Some(unknown.to_owned()), ..account("ben@x.example") };
    refused(store.add_account(&named));
    let alias = AliasRow { address: "info@x.example".into(), targets: vec![unknown.into()] };
    refused(store.add_alias(&alias));
    let rows = [account("carl@x.example"), account(unknown), account("dora@x.example"), named];
    let refused = import(store, &rows).expect_err("a refusal");
    assert!(
        matches!(&refused[..], [(1, AdminError::Unstorable(_)), (3, AdminError::Unstorable(_))]),
        "each one is named, and no other: {refused:?}"
    );
}

#[test]
fn a_login_outside_postgres_character_set_is_unknown() {
    for (encoding, known) in [("LATIN1", "j\u{fc}rgen@x.example"), ("EUC_JP", "\u{65e5}\u{672c}@x.example")] {
        let database = postgres(encoding);
        unstorable_login_is_unknown(&database, known, UNKNOWN);
        let found = database.store().character_set().expect("an answer");
        assert_eq!(found.name, encoding);
        let problem = found.problem.expect("a warning");
        assert!(problem.contains(encoding) && problem.contains("ENCODING 'UTF8'"), "{problem}");
    }
    let usual = Database::empty(Kind::Postgres).filled().store().character_set().expect("an answer");
    assert_eq!((usual.name.as_str(), usual.problem), ("UTF8", None));
}

#[test]
fn a_login_outside_mariadb_character_set_is_unknown() {
    for (set, known, unknown) in
        [("latin1", "j\u{fc}rgen@x.example", UNKNOWN), ("utf8mb3", "\u{e01}\u{e32}@x.example", "\u{1f600}@x.example")]
    {
        columns_of(Kind::MariaDb, set, known, unknown);
    }
}

fn a_login_outside_mysql_character_set_is_unknown(kind: Kind) {
    columns_of(kind, "latin1", "j\u{fc}rgen@x.example", UNKNOWN);
}

on_mysql!(a_login_outside_mysql_character_set_is_unknown);

fn columns_of(kind: Kind, set: &str, known: &str, unknown: &str) {
    let database = mysql(kind, set);
    unstorable_login_is_unknown(&database, known, unknown);
    let problem = database.store().character_set().expect("an answer").problem.expect("a warning");
    assert!(
        problem.contains(&format!("accounts in {set}")) && problem.contains("mailauth account export"),
        "{problem}"
    );
    let usual = Database::empty(kind).filled().store().character_set().expect("an answer");
    assert_eq!(usual.problem, None);
}

#[test]
fn bytes_that_are_not_text_affect_only_their_own_row() {
    let database = postgres("SQL_ASCII");
    let store = database.store();
    store.add_account(&account("j\u{fc}rgen@x.example")).expect("an account");
    store.add_account(&account("bad@x.example")).expect("an account");
    database.sql(
        "SET client_encoding TO 'SQL_ASCII'; UPDATE accounts SET name = E'M\\xfcller' WHERE login = 'bad@x.example'",
    );
    for store in [database.store(), database.pooled()] {
        let known = "j\u{fc}rgen@x.example";
        assert_eq!(store.find(&login(known)), Ok(Some(account(known))));
        assert_eq!(store.find(&login(UNKNOWN)), Ok(None));
        let error = store.find(&login("bad@x.example")).expect_err("no answer");
        assert!(matches!(error, StoreError::Unusable(_)), "{error:?}");
        let page = store.enumerate(None, 10).expect("a page");
        assert_eq!(page.rows.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    }
    let found = store.character_set().expect("an answer");
    assert!(found.problem.expect("a warning").contains("SQL_ASCII"));
}

#[test]
fn init_and_check_report_an_encoding_that_lacks_characters() {
    let of = Postgres::shared().database_in("LATIN1");
    let files = Scratch::new("encoding");
    let (config, password) = (files.join("mailauth.toml"), files.join("password"));
    fs::write(&password, of.password()).expect("a file");
    let text = format!("[database]\nurl = '{}'\npassword_file = '{}'\n", of.url(), password.display());
    fs::write(&config, text).expect("a file");
    let said = |verb: &str| {
        let mut command = Command::new(program("mailauth"));
        let output = output_with_input(command.arg("--config").arg(&config).arg(verb), "");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let made = said("init");
    assert!(
        made.contains("created the tables") && made.contains("warning: the database's encoding is LATIN1"),
        "{made}"
    );
    let checked = said("check");
    let line = checked.lines().find(|line| line.contains(" encoding ")).unwrap_or_else(|| panic!("{checked}"));
    assert!(line.starts_with("degraded") && line.contains("LATIN1"), "{line}");
}
