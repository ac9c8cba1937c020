//! The status of the daemon, on its socket and for Prometheus.

mod harness;

use harness::*;
use mailauth_core::answer::{NotNow, Refusal};
use mailauth_core::config::{CourierConfig, MetricsAddress};
use mailauth_courier::{MetricsError, MetricsListener};
use mailauth_protocol::client::Client;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Instant;

#[test]
fn answers_are_counted_by_kind_and_reason() {
    let table = two_accounts();
    let server = serve(&table);
    server.ask(pre("anna@x.example"));
    server.ask(auth("anna@x.example", "secret"));
    server.ask(auth("anna@x.example", "wrong"));
    server.ask(ask("domain nowhere.example"));
    table.fail(true);
    server.ask(auth("anna@x.example", "secret"));
    let status = status(&server);
    assert_eq!((status.logins.yes, status.logins.all_no(), status.logins.all_not_now()), (1, 1, 1));
    assert_eq!((status.lookups.yes, status.lookups.all_no()), (1, 0));
    assert_eq!(status.logins.no.get("wrong-password"), Some(&1));
    assert_eq!(status.logins.not_now.get("database-unreachable"), Some(&1));
    assert_eq!((status.addresses.yes, status.addresses.all_no()), (0, 1));
    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(status.pid, std::process::id());
}

#[test]
fn the_status_has_queues_and_clients_that_were_turned_away() {
    let table = two_accounts();
    let server = serve_with(&table, |courier| courier.max_connections = 3);
    let idle: Vec<_> = (0..2).map(|_| server.connect()).collect();
    // Clients may be accepted in any order.
    let until = Instant::now() + LONG;
    let before = loop {
        let now = status(&server);
        if now.connections.open == 3 {
            break now;
        }
        assert!(Instant::now() < until, "{} are open", now.connections.open);
    };
    assert_eq!(before.connections.max, 3);
    let names: Vec<_> = before.queues.iter().map(|queue| queue.name.as_str()).collect();
    assert_eq!(names, ["look-ups", "hashing", "changes", "recipients", "counts", "pages"]);
    assert!(before.queues.iter().all(|queue| queue.waiting == 0 && queue.max > 0));
    let third = server.connect();
    let begin = Instant::now();
    let client = Client::new(&server.socket, LONG);
    while client.status(Instant::now() + LONG).is_ok() {
        assert!(begin.elapsed() < LONG);
    }
    let mut fourth = server.connect();
    assert_eq!(read_to_end(&mut fourth), "");
    drop((idle, third));
    // The daemon notices closed connections a moment later.
    while client.status(Instant::now() + LONG).is_err() {
        assert!(begin.elapsed() < LONG);
    }
    assert!(status(&server).turned_away.crowded > 0);
}

#[test]
fn a_daemon_that_does_not_know_the_command_has_no_status() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let client = Client::new(&socket, LONG);
    let away = client.status(Instant::now() + LONG);
    assert!(matches!(away, Err(Refusal::NotNow(NotNow::NoDaemon(_)))), "{away:?}");
    // As a real authdaemond does.
    let listener = UnixListener::bind(&socket).unwrap();
    let other = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 7];
        client.read_exact(&mut request).unwrap();
        request
    });
    let closed = client.status(Instant::now() + LONG);
    assert!(matches!(closed, Err(Refusal::NotNow(NotNow::Daemon(_)))), "{closed:?}");
    assert_eq!(&other.join().unwrap(), b"STATUS\n");
}

fn value(reply: &str, sample: &str) -> Option<f64> {
    let line = reply.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
    line.parse().ok()
}

#[test]
fn a_scrape_sees_what_was_answered() {
    let mut server = serve(&two_accounts());
    let port = on_port(&mut server);
    let wrong = r#"mailauth_answers_total{about="login",answer="no",reason="wrong-password"}"#;
    let before = fetch(port, GET);
    assert!(
        before.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{before}"
    );
    assert_eq!(value(&before, wrong), Some(0.0));
    (0..3).for_each(|_| drop(server.ask(auth("anna@x.example", "wrong"))));
    let after = fetch(port, GET);
    assert_eq!(value(&after, wrong), Some(3.0));
    assert!(value(&after, "mailauth_uptime_seconds") > Some(0.0));
    assert!(fetch(port, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(fetch(port, "PUT /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(5000));
    assert!(fetch(port, &long).starts_with("HTTP/1.1 431 "));
}

#[test]
fn a_metrics_socket_has_its_mode_and_is_removed() {
    let mut server = serve(&two_accounts());
    let path: PathBuf = server.folder.path().join("metrics.sock");
    serve_metrics(&mut server, &MetricsAddress::Unix(path.clone()));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let mut client = connect(&path);
    client.write_all(GET.as_bytes()).unwrap();
    assert!(read_to_end(&mut client).contains("\nmailauth_connections_max "));
    server.running.as_mut().unwrap().serve_metrics(None).unwrap();
    assert!(!path.exists());
    serve_metrics(&mut server, &MetricsAddress::Unix(path.clone()));
    server.stop();
    assert!(!path.exists());
}

#[test]
fn metrics_can_move_and_a_used_port_is_refused_with_the_key() {
    let mut server = serve(&two_accounts());
    let (first, second) = (on_port(&mut server), on_port(&mut server));
    assert!(TcpStream::connect(first).is_err());
    assert!(fetch(second, GET).starts_with("HTTP/1.1 200 "));
    let courier = CourierConfig::default();
    let taken = MetricsListener::bind(&MetricsAddress::Tcp(second), &courier).unwrap_err();
    assert!(matches!(taken, MetricsError::Port { .. }));
    assert!(taken.to_string().starts_with(&format!("[metrics] listen: cannot listen on {second}: ")), "{taken}");
    let nowhere = server.folder.path().join("none/m.sock");
    let missing = MetricsListener::bind(&MetricsAddress::Unix(nowhere), &courier).unwrap_err().to_string();
    assert!(missing.starts_with("[metrics] listen: the folder of ") && missing.contains("create it"), "{missing}");
}
