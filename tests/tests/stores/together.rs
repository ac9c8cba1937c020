//! Look-ups that wait for a server share its next statement, and each gets the answer that it would get alone.

use crate::database::{Database, account, domain, login, password};
use mailauth_core::store::{AccountStore, Administration, SqlStore};
use mailauth_core::{AccountRow, Login};
use mailauth_tests::{Kind, eventually, on_each_database_and_mysql};
use std::time::{Duration, Instant};

on_each_database_and_mysql!(each_of_many_look_ups_at_once_gets_its_own_answer);

/// Number of threads that look up at the same time, more than a pool has connections.
const THREADS: usize = 24;
/// Number of look-ups of each thread.
const TURNS: usize = 40;

/// Asserts that look-ups on many threads answer as a command does, which looks up one account after the other.
pub fn answers_are_the_same_at_once(alone: &SqlStore, pooled: &SqlStore, logins: &[Login]) {
    let expected: Vec<_> = logins.iter().map(|login| alone.find(login)).collect();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let expected = &expected;
            scope.spawn(move || {
                for turn in 0..TURNS {
                    // Neighbouring threads ask for the same login now and then.
                    let index = (thread / 2 * 7 + turn) % logins.len();
                    let deadline = Instant::now() + Duration::from_secs(60);
                    let found = pooled.look_up(&logins[index], deadline).map(|found| found.row.as_deref().cloned());
                    assert_eq!(found, expected[index], "{}", logins[index]);
                }
            });
        }
    });
}

/// Returns 30 accounts, and their logins with those of accounts that do not exist, or that a collation considers equal.
fn crowd(store: &SqlStore) -> Vec<Login> {
    store.add_domain(&domain("off.example")).expect("a domain");
    for number in 0..30 {
        let domain = if number % 5 == 0 { "off.example" } else { "x.example" };
        let row = account(&format!("user{number}@{domain}"));
        let row = AccountRow { enabled: number % 7 != 0, password: password(&format!("{{PLAIN}}{number}")), ..row };
        store.add_account(&row).expect("an account");
    }
    let exist =
        (0..30).map(|number| format!("user{number}@{}", if number % 5 == 0 { "off.example" } else { "x.example" }));
    let others = ["nobody@x.example", "anna@x.example", "\u{e4}nna@x.example", "anna@off.example", "\u{e01}@x.example"];
    exist.chain(others.map(str::to_owned)).map(|name| login(&name)).collect()
}

fn each_of_many_look_ups_at_once_gets_its_own_answer(kind: Kind) {
    let database = Database::empty(kind).filled();
    let store = database.store();
    let logins = crowd(&store);
    // One row cannot be used, which concerns no other.
    let unchecked = match kind {
        Kind::Postgres => "ALTER TABLE accounts DROP CONSTRAINT accounts_services_list;".to_owned(),
        _ => database.unchecked(),
    };
    database
        .sql(&format!("{unchecked} UPDATE accounts SET services = 'carrier pigeon' WHERE login = 'user3@x.example'"));
    answers_are_the_same_at_once(&store, &database.pooled(), &logins);
}

#[test]
fn a_login_that_a_table_cannot_hold_spoils_no_other_look_up() {
    let database = crate::encodings::mysql(Kind::MariaDb, "latin1");
    let store = database.store();
    let logins = crowd(&store);
    answers_are_the_same_at_once(&store, &database.pooled(), &logins);
}

#[test]
fn look_ups_that_wait_are_sent_in_fewer_statements() {
    let database = Database::on_own_server(Kind::MariaDb).filled();
    let logins = crowd(&database.store());
    let executed = || {
        let status = database.sql("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'");
        status.split_whitespace().last().and_then(|number| number.parse::<usize>().ok()).expect("a number")
    };
    let before = executed();
    answers_are_the_same_at_once(&database.store(), &database.pooled(), &logins);
    let (sent, look_ups) = (executed() - before, THREADS * TURNS);
    assert!(sent < look_ups * 3 / 4, "{sent} statements for {look_ups} look-ups");
}

#[test]
fn look_ups_in_a_frozen_server_end_in_time_and_work_again_afterwards() {
    for kind in [Kind::MariaDb, Kind::Postgres] {
        let database = Database::on_own_server(kind).filled();
        let pooled = database.pooled();
        let anna = login("anna@x.example");
        assert!(pooled.find(&anna).is_ok());
        database.server().freeze();
        let begin = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let found = pooled.find(&anna);
                    assert!(found.as_ref().is_err_and(|error| error.is_outage()), "{kind:?}: {found:?}");
                });
            }
        });
        assert!(begin.elapsed() < 4 * crate::database::DEADLINE, "{kind:?}: {:?}", begin.elapsed());
        database.server().thaw();
        eventually("the server answers again", Duration::from_secs(60), || pooled.find(&anna).is_ok());
    }
}
