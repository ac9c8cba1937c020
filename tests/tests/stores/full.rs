//! A server that refuses connections, because it is full or refuses the user, is an outage with a reason.

use crate::database::{DEADLINE, Database, account, login};
use mailauth_core::Secret;
use mailauth_core::config::DatabaseConfig;
use mailauth_core::store::{AccountStore, SqlStore, StoreError, open_pooled, open_single};
use mailauth_tests::{Kind, Server, eventually, on_each_server_and_mysql};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

on_each_server_and_mysql!(
    two_connections_of_a_full_server_answer_all_requests,
    a_full_server_is_reported_as_an_outage,
    a_refused_connection_is_an_outage_with_a_reason,
    a_full_host_is_used_through_its_open_connections,
    a_completely_full_server_is_an_outage_until_it_has_room,
);

const SOON: Duration = Duration::from_secs(20);

fn find(store: &SqlStore) -> Result<(), StoreError> {
    assert_eq!(store.find(&login("anna@x.example"))?, Some(account("anna@x.example")));
    Ok(())
}

/// Limits the number of concurrent connections of the database's user; 0 is no limit.
fn limit(database: &Database, most: u32) {
    match database {
        Database::Sqlite(_) => panic!("SQLite has no users"),
        Database::MariaDb(of) => {
            of.server().admin(&format!("ALTER USER {}@'%' WITH MAX_USER_CONNECTIONS {most}", of.name()))
        }
        Database::Postgres(of) => {
            let most = if most == 0 { -1 } else { i64::from(most) };
            of.server().admin(&format!("ALTER ROLE {} CONNECTION LIMIT {most}", of.name()))
        }
    };
}

fn is_full(error: &StoreError) -> bool {
    let text = error.to_string();
    matches!(error, StoreError::Unreachable { .. })
        && error.is_outage()
        && (text.contains("max_user_connections") || text.to_lowercase().contains("too many"))
}

/// Sends lookups from many threads, each of which has to be answered correctly and in time.
fn serves_a_crowd(store: &SqlStore) {
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let start = Instant::now();
                    find(store).unwrap();
                    assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
                }
            });
        }
    });
}

fn two_connections_of_a_full_server_answer_all_requests(kind: Kind) {
    let database = Database::empty(kind).filled();
    limit(&database, 2);
    let store = database.pooled();
    eventually("a connection", SOON, || find(&store).is_ok());
    eventually("the limit is known", SOON, || {
        serves_a_crowd(&store);
        store.state().hosts[0].full
    });
    let state = store.state();
    assert!(state.hosts[0].live, "{state:?}");
    limit(&database, 0);
    eventually("it has room again", SOON, || {
        serves_a_crowd(&store);
        !store.state().hosts[0].full
    });
}

fn a_full_server_is_reported_as_an_outage(kind: Kind) {
    let database = Database::empty(kind).filled();
    limit(&database, 1);
    let first = database.store();
    eventually("the one connection", SOON, || find(&first).is_ok());
    for store in [database.store(), database.pooled()] {
        let start = Instant::now();
        let error = find(&store).unwrap_err();
        assert!(is_full(&error), "{error:?}");
        assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
        let state = store.state();
        assert!(state.hosts[0].full && state.hosts[0].live, "{state:?}");
    }
    let pooled = database.pooled();
    assert!(find(&pooled).is_err());
    drop(first);
    eventually("the connection is free", SOON, || find(&pooled).is_ok());
    assert!(!pooled.state().hosts[0].full || pooled.state().hosts[0].live);
}

fn a_refused_connection_is_an_outage_with_a_reason(kind: Kind) {
    let database = Database::empty(kind).filled();
    let good = database.config_tcp(&["127.0.0.1"]);
    let url = good.url.to_string();
    let name = url.rsplit('/').next().unwrap().to_owned();
    let other_user = format!("nobody_{name}");
    let wrong_password = DatabaseConfig { password: Secret::from("wrong words"), ..good.clone() };
    let wrong_user = DatabaseConfig {
        url: url.replacen(&format!("{name}@"), &format!("{other_user}@"), 1).parse().unwrap(),
        ..good.clone()
    };
    let no_database = DatabaseConfig {
        url: format!("{}/no_such_database", url.rsplit_once('/').unwrap().0).parse().unwrap(),
        ..good.clone()
    };
    let said = |kind| match kind {
        Kind::MariaDb | Kind::MySql => ["Access denied for user", "Access denied for user", "no_such_database"],
        _ => ["password authentication failed", &other_user, "\"no_such_database\" does not exist"]
            .map(|said| Box::leak(said.to_owned().into_boxed_str()) as &str),
    };
    for (config, said) in [wrong_password, wrong_user, no_database].iter().zip(said(kind)) {
        for store in [open_single(config).unwrap(), open_pooled(config).unwrap()] {
            let error = find(&store).unwrap_err();
            let text = error.to_string();
            // MySQL may ask an unknown user for a proof that the client does not have, and a user with a wrong
            // password for the password itself.
            let others = ["the server does not know the user", "asked for the password itself"];
            let is_said = text.contains(said) || kind == Kind::MySql && others.iter().any(|said| text.contains(said));
            assert!(error.is_outage() && is_said && !text.contains("wrong words"), "{text}");
            let state = store.state();
            assert!(!state.hosts[0].live && !state.hosts[0].full, "{state:?}");
        }
    }
}

/// Two names of one server, as two hosts: the connections of both probing threads and both pools share one limit.
fn a_full_host_is_used_through_its_open_connections(kind: Kind) {
    let database = Database::empty(kind).filled();
    // The probing threads have one connection each, and the pools have the rest.
    limit(&database, 5);
    // Longer than a query waits on a busy machine: one that times out would lose a connection.
    let config = DatabaseConfig { deadline: 4 * DEADLINE, ..database.config_tcp(&["127.0.0.1", "127.0.0.2"]) };
    let store = open_pooled(&config).unwrap();
    eventually("both are known", SOON, || {
        find(&store).is_ok() && store.state().hosts.iter().all(|host| host.role.name() == "primary")
    });
    let over = AtomicBool::new(false);
    // Look-ups of logins outside ASCII share no statement, so that each of them uses a connection.
    let nobody = login("\u{e4}nna@x.example");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let found = store.find(&nobody);
                    assert_eq!(found, Ok(None), "{:?}", store.state());
                }
            });
        }
        let start = Instant::now();
        let mut full = false;
        // Some rounds of the probing threads.
        while start.elapsed() < Duration::from_secs(5) {
            let state = store.state();
            full |= state.hosts[0].full;
            assert!(state.hosts[0].live, "{state:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        over.store(true, Ordering::Relaxed);
        assert!(full, "{:?}", store.state());
    });
}

fn a_completely_full_server_is_an_outage_until_it_has_room(kind: Kind) {
    let database = Database::on_own_server(kind).filled();
    let store = database.pooled();
    let name = match &database {
        Database::Sqlite(_) => panic!("SQLite has no users"),
        Database::MariaDb(of) => of.name(),
        Database::Postgres(of) => of.name(),
    };
    let crowd = match &database {
        Database::Sqlite(_) => panic!("SQLite is never full"),
        Database::MariaDb(of) => of.server().fill_up(name),
        Database::Postgres(of) => of.server().fill_up(name),
    };
    let error = find(&store).unwrap_err();
    assert!(is_full(&error), "{error:?}");
    let state = store.state();
    assert!(state.hosts[0].live && state.hosts[0].full, "{state:?}");
    drop(crowd);
    eventually("an answer", SOON, || find(&store).is_ok());
    eventually("room", SOON, || find(&store).is_ok() && !store.state().hosts[0].full);
}
