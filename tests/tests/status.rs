//! The status of the daemon: `mailauth status`, and the metrics for Prometheus.

use mailauth_tests::metrics::{GET, scrape, with_metrics};
use mailauth_tests::people::{ANNA, PASSWORD, people};
use mailauth_tests::wire::{Manner, Outcome, ask, login};
use mailauth_tests::{Accounts, Courier, Kind, Mailauth, User, as_user, eventually, free_port, on_each_server};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

on_each_server!(an_outage_is_shown_while_it_lasts_and_afterwards);

/// Longer than any of this takes.
const LONG: Duration = Duration::from_secs(20);

fn accounts(kind: Kind) -> Accounts {
    Accounts::empty(kind).with(&people(Path::new("/var/mail")))
}

fn status(accounts: &Accounts) -> Value {
    serde_json::from_str(&accounts.admin(&["status", "--json"], "")).expect("JSON")
}

#[test]
fn status_shows_what_the_daemon_did() {
    let accounts = accounts(Kind::Sqlite);
    let server = Mailauth::over(&accounts);
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
    (0..2).for_each(|_| assert_eq!(login(server.socket(), ANNA, "wrong"), Outcome::Fail));
    let text = accounts.admin(&["status"], "");
    assert!(
        text.starts_with(&format!("daemon       mailauth-courier {}, process ", env!("CARGO_PKG_VERSION"))),
        "{text}"
    );
    assert!(text.contains("\nlogins       1 yes, 2 no, 0 not now\n  no         2 wrong-password\n"), "{text}");
    assert!(text.contains("\nsnapshot     none\n\nDATABASE "), "{text}");
    let told = status(&accounts);
    assert_eq!(told["logins"]["no"]["wrong-password"], 2);
    assert_eq!((&told["hosts"][0]["live"], &told["hosts"][0]["last_error"]), (&Value::Bool(true), &Value::Null));
    assert!(told["hosts"][0]["latency_seconds"].as_f64().is_some_and(|latency| latency > 0.0), "{told}");
    server.reload();
    server.wait_for_log("configuration read again");
    assert_eq!(status(&accounts)["logins"]["yes"], 1, "a reload forgets nothing that was counted");
}

#[test]
fn status_without_a_daemon_is_not_now_with_advice() {
    let accounts = accounts(Kind::Sqlite);
    accounts.are_served_on(Path::new("/nonexistent/socket"));
    let output = accounts.try_admin(&["status"], "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(said.contains("/nonexistent/socket") && said.contains("start mailauth-courier"), "{said}");
}

#[test]
fn a_real_authdaemond_has_no_status() {
    let accounts = accounts(Kind::Sqlite);
    let courier = Courier::over(&accounts);
    accounts.are_served_on(&courier.socket());
    let output = accounts.try_admin(&["status"], "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(said.contains("Courier's authdaemond"), "{said}");
}

#[test]
fn only_root_and_the_daemons_user_see_the_status() {
    let accounts = accounts(Kind::Sqlite);
    let server = Mailauth::with(&accounts, "socket_mode = \"0666\"\nallow_users = [\"nobody\"]");
    let asked = || ask(server.socket(), b"STATUS\n", Manner::Whole).outcome();
    assert_eq!(as_user(User::named("nobody"), asked), Outcome::Fail);
    server.wait_for_log("a client may not use STATUS");
    assert!(matches!(asked(), Outcome::Odd(_, text) if text.starts_with("OK {\"version\":")));
}

fn an_outage_is_shown_while_it_lasts_and_afterwards(kind: Kind) {
    let accounts = Accounts::on_own_server(kind).with(&people(Path::new("/var/mail")));
    let server = Mailauth::configured(|socket| {
        accounts.are_served_on(socket);
        let config = Mailauth::config(&accounts, socket, "[cache]\nenabled = false");
        config.replacen("[database]", "[database]\ndeadline = \"500ms\"", 1)
    });
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
    assert_eq!(status(&accounts)["hosts"][0]["live"], true);
    accounts.server().freeze();
    assert_eq!(login(server.socket(), ANNA, PASSWORD), Outcome::Closed);
    // The login that was kept waiting, or the probe of every second, has marked the host.
    eventually("a host that is down", LONG, || status(&accounts)["hosts"][0]["live"] == false);
    let away = status(&accounts);
    let host = &away["hosts"][0];
    let not_now = away["logins"]["not_now"].as_object().expect("reasons");
    assert_eq!(not_now.values().filter_map(Value::as_u64).sum::<u64>(), 1, "{away}");
    assert!(host["last_error"].as_str().is_some_and(|error| error.contains("500 ms")), "{away}");
    assert!(accounts.admin(&["status"], "").contains(" down "));
    accounts.server().thaw();
    eventually("logins again", LONG, || login(server.socket(), ANNA, PASSWORD).word() == "ACCOUNT");
    let back = status(&accounts);
    assert_eq!(back["hosts"][0]["live"], true, "{back}");
    assert!(back["hosts"][0]["last_error_seconds"].as_f64().is_some_and(|ago| ago > 0.0), "{back}");
}

#[test]
fn a_reload_moves_the_metrics_for_prometheus() {
    let accounts = accounts(Kind::Sqlite);
    let (first, second) = (free_port(), free_port());
    let at = |port: u16| format!("127.0.0.1:{port}");
    let server = Mailauth::configured(|socket| with_metrics(&accounts, socket, &at(first), ""));
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
    let text = scrape(first).expect("metrics");
    let yes = "\nmailauth_answers_total{about=\"login\",answer=\"yes\",reason=\"ok\"} 1\n";
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains(yes), "{text}");

    let change = |text: String| {
        fs::write(server.config_path(), text).expect("another configuration");
        server.reload();
    };
    change(with_metrics(&accounts, server.socket(), &at(second), ""));
    eventually("metrics at the other port", LONG, || scrape(second).is_some_and(|text| text.contains(yes)));
    eventually("the first port is closed", LONG, || scrape(first).is_none());

    change(with_metrics(&accounts, server.socket(), "0.0.0.0:9187", ""));
    server.wait_for_log("metrics are served only on this machine");
    assert!(scrape(second).is_some(), "a bad configuration changes nothing");

    change(Mailauth::config(&accounts, server.socket(), ""));
    eventually("no metrics", LONG, || scrape(second).is_none());
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
}

#[test]
fn a_metrics_socket_is_open_to_its_group_only() {
    let accounts = accounts(Kind::Sqlite);
    let server = Mailauth::configured(|socket| {
        let listen = format!("unix:{}", socket.with_file_name("metrics.sock").display());
        with_metrics(&accounts, socket, &listen, "socket_group = \"daemon\"")
    });
    let path = server.socket().with_file_name("metrics.sock");
    // It is created after the socket for logins.
    eventually("the socket", LONG, || path.exists());
    let found = fs::metadata(&path).expect("the socket");
    assert_eq!((found.mode() & 0o777, found.gid()), (0o660, User::named("daemon").gid));
    let reached = as_user(User::named("nobody"), || UnixStream::connect(&path).is_ok());
    assert!(!reached, "by no user");
    let mut client = UnixStream::connect(&path).expect("a connection");
    client.write_all(GET).expect("a request");
    let mut reply = String::new();
    client.read_to_string(&mut reply).expect("a reply");
    assert!(reply.contains("\nmailauth_database_up{place=\""), "{reply}");
}
