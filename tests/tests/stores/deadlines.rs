//! One deadline for a whole connect and one for a whole query, whatever the server does.

use crate::database::{DEADLINE, Database, account, login};
use mailauth_core::config::{DatabaseConfig, TlsMode};
use mailauth_core::store::{AccountStore, SqlStore, StoreError, open_pooled, open_single};
use mailauth_tests::{Kind, Proxy, ProxyMode, Server, eventually, on_each_server_and_mysql};
use rusqlite::Connection;
use std::time::{Duration, Instant};

on_each_server_and_mysql!(
    a_server_that_trickles_its_answer_times_out,
    a_server_that_trickles_its_greeting_times_out,
    a_server_that_trickles_over_tls_times_out,
);

/// Each byte arrives long before a limit for each read(2) has passed, and the whole answer does not.
const TRICKLE: ProxyMode = ProxyMode::Trickle(Duration::from_millis(200));

/// A read is retried on a new connection, within the same deadline except for the time needed at its end.
const LIMIT: Duration = Duration::from_secs(2 * 3 + 1);

const SOON: Duration = Duration::from_secs(20);

fn find(store: &SqlStore) -> Result<(), StoreError> {
    assert_eq!(store.find(&login("anna@x.example"))?, Some(account("anna@x.example")));
    Ok(())
}

fn by(proxy: &Proxy, database: &Database, host: &str, tls_mode: TlsMode) -> DatabaseConfig {
    let authority = match database {
        Database::Sqlite(_) => panic!("SQLite has no certificates"),
        Database::MariaDb(of) => of.server().certificates().authority.clone(),
        Database::Postgres(of) => of.server().certificates().authority.clone(),
    };
    DatabaseConfig {
        tls: Some(tls_mode),
        tls_ca: Some(authority),
        ..database.config_tcp(&[&format!("{host}:{}", proxy.port())])
    }
}

fn proxy(database: &Database) -> Proxy {
    Proxy::to(match database {
        Database::Sqlite(_) => panic!("SQLite has no port"),
        Database::MariaDb(of) => of.server().port(),
        Database::Postgres(of) => of.server().port(),
    })
}

#[track_caller]
fn is_given_up(store: &SqlStore) {
    let start = Instant::now();
    let error = find(store).unwrap_err();
    let taken = start.elapsed();
    assert!(error.is_outage(), "{error:?}");
    assert!(taken >= DEADLINE / 2 && taken < LIMIT, "{taken:?}: {error}");
}

fn a_server_that_trickles_its_answer_times_out(kind: Kind) {
    let database = Database::empty(kind).filled();
    let proxy = proxy(&database);
    let config = by(&proxy, &database, "127.0.0.1", TlsMode::Disable);
    for store in [open_single(&config).unwrap(), open_pooled(&config).unwrap()] {
        proxy.set(ProxyMode::Open);
        find(&store).unwrap();
        proxy.set(TRICKLE);
        is_given_up(&store);
        proxy.set(ProxyMode::Open);
        eventually("an answer", SOON, || find(&store).is_ok());
    }
}

fn a_server_that_trickles_its_greeting_times_out(kind: Kind) {
    let database = Database::empty(kind).filled();
    let proxy = proxy(&database);
    let config = by(&proxy, &database, "127.0.0.1", TlsMode::Disable);
    proxy.set(TRICKLE);
    for store in [open_single(&config).unwrap(), open_pooled(&config).unwrap()] {
        is_given_up(&store);
    }
}

fn a_server_that_trickles_over_tls_times_out(kind: Kind) {
    let database = Database::empty(kind).filled();
    let proxy = proxy(&database);
    let store = open_single(&by(&proxy, &database, "127.0.0.1", TlsMode::VerifyFull)).unwrap();
    find(&store).unwrap();
    proxy.set(TRICKLE);
    is_given_up(&store);
    is_given_up(&open_single(&by(&proxy, &database, "127.0.0.1", TlsMode::VerifyFull)).unwrap());
}

#[test]
fn a_locked_sqlite_file_times_out() {
    let database = Database::empty(Kind::Sqlite).filled();
    let Database::Sqlite(folder) = &database else { unreachable!("it is SQLite") };
    let store = database.store();
    find(&store).unwrap();
    let other = Connection::open(folder.join("mail.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = Instant::now();
    let changed = store.set_password(
        &login("anna@x.example"),
        &crate::database::password("$6$salt$hash"),
        &crate::database::password("{PLAIN}new"),
    );
    let taken = start.elapsed();
    assert!(matches!(changed, Err(StoreError::Timeout { .. })), "{changed:?}");
    assert!(taken >= DEADLINE / 2 && taken < LIMIT, "{taken:?}");
}
