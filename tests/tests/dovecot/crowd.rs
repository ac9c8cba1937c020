//! Many connections that do nothing, and clients that read nothing: none of them delays others.

use super::client::{Client, plain};
use super::is_ok;
use super::site::{Site, accounts};
use mailauth_tests::people::{ANNA, PASSWORD};
use mailauth_tests::{Kind, eventually, on_each_database, processor_time};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{ErrorKind, Write};
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
