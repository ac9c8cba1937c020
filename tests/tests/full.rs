//! A database server that refuses new connections: logins continue, and the status shows the cause.

use mailauth_tests::people::{ANNA, BRUNO, PASSWORD, people};
use mailauth_tests::wire::login;
use mailauth_tests::{Accounts, Kind, Mailauth, eventually, on_each_server};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

on_each_server!(
    a_full_server_answers_not_now_and_has_the_status_full,
    a_wrong_database_password_is_an_outage_and_is_logged,
);

const SOON: Duration = Duration::from_secs(20);

fn accounts(kind: Kind) -> Accounts {
    Accounts::on_own_server(kind).with(&people(Path::new("/var/mail"))).with_snapshot("")
}

fn server(accounts: &Accounts) -> Mailauth {
    let server = Mailauth::configured(|socket| {
        accounts.are_served_on(socket);
        let config = Mailauth::config(accounts, socket, "[cache]\nenabled = false");
        config.replacen("[database]", "[database]\ndeadline = \"1s\"", 1)
    });
    eventually("a copy", SOON, || accounts.snapshot_is_whole());
    server
}

fn host(accounts: &Accounts) -> Value {
    let status: Value = serde_json::from_str(&accounts.admin(&["status", "--json"], "")).expect("JSON");
    status["hosts"][0].clone()
}

/// Refuses all connections of the daemon's user, or allows any number again.
fn give_connections(accounts: &Accounts, any: bool) {
    match accounts.kind() {
        Kind::Sqlite => panic!("SQLite is never full"),
        Kind::MariaDb | Kind::MySql => {
            let most = if any { 0 } else { -1 };
            let of = accounts.mariadb();
            of.server().admin(&format!("ALTER USER {}@'%' WITH MAX_USER_CONNECTIONS {most}", of.name()))
        }
        Kind::Postgres => {
            let (of, most) = (accounts.postgres(), if any { -1 } else { 0 });
            of.server().admin(&format!("ALTER ROLE {} CONNECTION LIMIT {most}", of.name()))
        }
    };
}

fn a_full_server_answers_not_now_and_has_the_status_full(kind: Kind) {
    let accounts = accounts(kind);
    let server = server(&accounts);
    let word = |user, password| login(server.socket(), user, password).word();
    assert_eq!((word(ANNA, PASSWORD), word(BRUNO, "wrong")), ("ACCOUNT", "FAIL"));
    give_connections(&accounts, false);
    // It continues with the open connections.
    assert_eq!((word(ANNA, PASSWORD), word(BRUNO, "wrong")), ("ACCOUNT", "FAIL"));
    accounts.server().cut_connections();
    for _ in 0..20 {
        assert_eq!((word(ANNA, PASSWORD), word(ANNA, "wrong")), ("ACCOUNT", "FAIL"), "{}", server.log());
    }
    assert!(server.log().contains("from=\"snapshot\""), "{}", server.log());
    assert_eq!(host(&accounts)["full"], true);
    assert_eq!(host(&accounts)["live"], true);
    assert!(accounts.admin(&["status"], "").contains("  live, but full  "));
    server.wait_for_log("this database server accepts no new connection");
    give_connections(&accounts, true);
    eventually("room", SOON, || word(ANNA, PASSWORD) == "ACCOUNT" && host(&accounts)["full"] == false);
    assert!(accounts.admin(&["status"], "").contains("  live  "));
}

fn a_wrong_database_password_is_an_outage_and_is_logged(kind: Kind) {
    let accounts = accounts(kind);
    let server = server(&accounts);
    let (sql, said) = match kind {
        Kind::Sqlite => panic!("SQLite has no passwords"),
        Kind::MariaDb | Kind::MySql => ("ALTER USER name@'%' IDENTIFIED BY 'another'", "Access denied for user"),
        Kind::Postgres => ("ALTER ROLE name PASSWORD 'another'", "password authentication failed"),
    };
    match kind {
        Kind::MariaDb | Kind::MySql => {
            accounts.mariadb().server().admin(&sql.replace("name", accounts.mariadb().name()))
        }
        _ => accounts.postgres().server().admin(&sql.replace("name", accounts.postgres().name())),
    };
    accounts.server().cut_connections();
    let word = |password| login(server.socket(), ANNA, password).word();
    eventually("the copy answers", SOON, || {
        assert_eq!((word(PASSWORD), word("wrong")), ("ACCOUNT", "FAIL"), "{}", server.log());
        server.log().contains("from=\"snapshot\"")
    });
    server.wait_for_log(said);
    assert_eq!((&host(&accounts)["live"], &host(&accounts)["full"]), (&Value::Bool(false), &Value::Bool(false)));
    let check = accounts.try_admin(&["check"], "");
    assert!(String::from_utf8_lossy(&check.stdout).contains(said), "{check:?}");
}
