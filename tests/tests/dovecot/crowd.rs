//! Many connections that do nothing, and clients that read nothing: none of them delays others.

use super::client::{Client, plain};
use super::is_ok;
use super::site::{Site, accounts};
use mailauth_tests::people::{ANNA, PASSWORD};
use mailauth_tests::{Kind, eventually, on_each_database, processor_time};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

on_each_database!(a_login_takes_under_50_ms_among_a_thousand_connections);

/// Sends requests until the server reads no more, and reads no answer.
fn reads_nothing(site: &Site) -> Client {
    let mut client = Client::connect(&site.client());
    let stream = client.stream();
    stream.set_write_timeout(Some(Duration::from_millis(200))).expect("a time limit");
    let resp = plain(ANNA, PASSWORD);
    for id in 1..200_000 {
        let line = format!("AUTH\t{id}\tPLAIN\tservice=smtp\tresp={resp}\n");
        match stream.write_all(line.as_bytes()) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return client,
            Err(error) => panic!("the connection of a client that does not read stays open for some time: {error}"),
        }
    }
    panic!("the server reads without end from a client that does not read");
}

fn a_login_takes_under_50_ms_among_a_thousand_connections(kind: Kind) {
    // The test needs more descriptors than a shell allows by default.
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("more descriptors");
    let accounts = accounts(kind);
    let mut site = Site::over(&accounts, "");
    let idle: Vec<Client> = (0..700)
        .map(|_| {
            let mut client = Client::connect(&site.client());
            client.plain("1", ANNA, PASSWORD, &[]);
            let line = client.line();
            assert!(is_ok(line.as_deref(), "1", ANNA), "{line:?}");
            client
        })
        .collect();
    let silent: Vec<UnixStream> = (0..300).map(|_| UnixStream::connect(site.client()).expect("a connection")).collect();
    let begin = Instant::now();
    let deaf: Vec<Client> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(|| reads_nothing(&site))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client")).collect()
    });
    let mut times: Vec<Duration> = (0..31)
        .map(|_| {
            let begin = Instant::now();
            let mut client = Client::connect(&site.client());
            client.plain("1", ANNA, PASSWORD, &[]);
            assert!(is_ok(client.line().as_deref(), "1", ANNA));
            begin.elapsed()
        })
        .collect();
    times.sort();
    let median = times[times.len() / 2];
    // A client that has read nothing for a minute is closed, which would prove nothing.
    assert!(begin.elapsed() < Duration::from_secs(50), "the machine is too busy for this test");
    assert!(median < Duration::from_millis(50), "{median:?}");

    let pid = site.daemon.process().pid();
    eventually("a daemon that does nothing for them", Duration::from_secs(20), || {
        let before = processor_time(pid);
        std::thread::sleep(Duration::from_millis(500));
        processor_time(pid) - before < Duration::from_millis(25)
    });
    drop((idle, silent, deaf));
    let log = site.daemon.log();
    assert!(!log.contains(" ERROR ") && !log.contains("panicked"), "{log}");
}

#[test]
fn the_status_counts_connections_by_kind_of_socket() {
    let accounts = accounts(Kind::Sqlite);
    let site = Site::over(&accounts, "max_connections = 2\n");
    let mut client = Client::connect(&site.client());
    for id in ["1", "2"] {
        client.plain(id, ANNA, PASSWORD, &[]);
        assert!(is_ok(client.line().as_deref(), id, ANNA));
    }
    let userdb = Client::connect_for_lookups(&site.userdb());
    let mut third = UnixStream::connect(site.master()).expect("a connection");
    assert_eq!(third.read(&mut [0; 64]).expect("the end"), 0, "two connections are open");
    let kept = || {
        let status: Value = serde_json::from_str(&accounts.admin(&["status", "--json"], "")).expect("JSON");
        status["kept"].clone()
    };
    let now = kept();
    assert_eq!(now["max"], 2);
    for (name, open, accepted, questions, turned_away) in [
        ("dovecot-client", 1, 1, 2, 0),
        ("dovecot-login", 0, 0, 0, 0),
        ("dovecot-userdb", 1, 1, 0, 0),
        ("dovecot-master", 0, 0, 0, 1),
        ("postfix-socketmap", 0, 0, 0, 0),
        ("postfix-policy", 0, 0, 0, 0),
    ] {
        let sockets = now["sockets"].as_array().expect("a list");
        let socket = sockets.iter().find(|socket| socket["name"] == name).unwrap_or_else(|| panic!("{name}: {now}"));
        let found = ["open", "accepted", "questions", "turned_away"].map(|key| socket[key].as_u64());
        assert_eq!(found, [open, accepted, questions, turned_away].map(Some), "{name}");
    }
    let text = accounts.admin(&["status"], "");
    assert!(text.contains("\nkept         2 of 2 connections, 1 turned away\n"), "{text}");
    assert!(text.contains("dovecot-client: 1 open, 1 accepted, 2 questions\n"), "{text}");
    drop((client, userdb));
    eventually("no connection", Duration::from_secs(20), || kept()["sockets"][0]["open"] == 0);
}
