//! `mailauth init` while others change the same tables, and backups of them.

#[path = "init/backup.rs"]
mod backup;

use mailauth_tests::{Accounts, Kind, eventually, on_each_database};
use rusqlite::Connection;
use std::time::{Duration, Instant};

on_each_database!(changing_the_tables_may_take_longer_than_a_query,);

/// Longer than a query's deadline of three seconds.
const LONG: Duration = Duration::from_secs(4);

/// Creating an index on a million rows takes this long. Here another change does, for which this one waits.
fn changing_the_tables_may_take_longer_than_a_query(kind: Kind) {
    let accounts = Accounts::on_own_server(kind);
    std::thread::scope(|scope| {
        match kind {
            Kind::Sqlite => {
                let connection = Connection::open(accounts.file()).expect("the file");
                connection.execute_batch("BEGIN IMMEDIATE").expect("its lock");
                scope.spawn(move || {
                    std::thread::sleep(LONG);
                    drop(connection);
                });
            }
            Kind::MariaDb | Kind::MySql => {
                let database = accounts.mariadb();
                let lock = "DO GET_LOCK('mailauth schema', 1)";
                scope.spawn(move || database.execute_admin(&format!("{lock}; DO SLEEP({})", LONG.as_secs())));
                eventually("the lock is held", LONG / 2, || {
                    database.execute_admin("SELECT IS_FREE_LOCK('mailauth schema')") == "0\n"
                });
            }
            Kind::Postgres => {
                let database = accounts.postgres();
                let lock = "SELECT pg_advisory_lock(7881692223226315880)";
                scope.spawn(move || database.execute_admin(&format!("{lock}; SELECT pg_sleep({})", LONG.as_secs())));
                eventually("the lock is held", LONG / 2, || {
                    database.execute_admin("SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory'") == "1\n"
                });
            }
        }
        let begin = Instant::now();
        let done = accounts.try_admin(&["init"], "");
        assert_eq!(done.status.code(), Some(0), "after {:?}: {done:?}", begin.elapsed());
    });
}
