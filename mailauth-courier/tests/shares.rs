//! One user takes no places from others.

mod harness;

use harness::*;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const HOSTILE: u32 = 65_533;
const ACCOMPLICE: u32 = 65_532;
const HARMLESS: u32 = 65_531;

/// A server that the three may connect to, with `places` for connections.
fn serve_three(places: usize) -> Served {
    let server = serve_with(&two_accounts(), |courier| {
        courier.socket_mode = 0o666;
        courier.max_connections = places;
        courier.allow_users = [HOSTILE, ACCOMPLICE, HARMLESS].map(|uid| uid.to_string()).into();
        // Longer than the test.
        courier.idle = LONG * 10;
    });
    open_folder(&server);
    server
}

fn silent(server: &Served, uid: u32, number: usize) -> Vec<UnixStream> {
    as_user(uid, || (0..number).map(|_| server.connect()).collect())
}

fn is_open(mut client: &UnixStream) -> bool {
    client.set_nonblocking(true).unwrap();
    client.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn logs_in(server: &Served) -> bool {
    let mut client = server.connect();
    // It may be closed before the request is written.
    let _ = client.write_all(auth("anna", "secret").as_bytes());
    read_to_end(&mut client) == record("anna")
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn one_user_that_connects_without_end_takes_no_place_from_root_or_others() {
    if is_not_root() {
        return;
    }
    let server = serve_three(40);
    let hostile = silent(&server, HOSTILE, 60);
    wait_until("its share is taken", || status(&server).turned_away.over_share == 40);
    assert_eq!(hostile.iter().filter(|client| is_open(client)).count(), 20);
    assert_eq!(status(&server).connections.max_per_user, 20);
    assert!((0..50).all(|_| logs_in(&server)), "root");
    assert!(as_user(HARMLESS, || (0..50).all(|_| logs_in(&server))), "another user");
    // Two users that do so take all but what is kept for root.
    let accomplice = silent(&server, ACCOMPLICE, 30);
    wait_until("all others are turned away", || status(&server).turned_away.crowded == 14);
    assert_eq!(accomplice.iter().filter(|client| is_open(client)).count(), 16);
    assert!(!as_user(HARMLESS, || logs_in(&server)));
    assert!((0..50).all(|_| logs_in(&server)), "root");
    let root: Vec<UnixStream> = (0..3).map(|_| server.connect()).collect();
    wait_until("root has places that nobody else gets", || status(&server).connections.open == 40);
    assert!(root.iter().all(is_open));
    // Who has gone has no place any more.
    drop(hostile);
    wait_until("there is room again", || as_user(HARMLESS, || logs_in(&server)));
    drop((accomplice, root));
    wait_until("all have gone", || status(&server).connections.open == 1);
}

#[test]
fn a_user_that_is_turned_away_again_and_again_hardly_delays_the_logins_of_others() {
    if is_not_root() {
        return;
    }
    let server = serve_three(40);
    let held = silent(&server, HOSTILE, 20);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                as_user(HOSTILE, || {
                    while !over.load(Ordering::Relaxed) {
                        drop(UnixStream::connect(&server.socket));
                    }
                });
            });
        }
        wait_until("it is turned away", || status(&server).turned_away.over_share > 1000);
        let mut took: Vec<Duration> = (0..41)
            .map(|_| {
                let begin = Instant::now();
                assert!(logs_in(&server));
                begin.elapsed()
            })
            .collect();
        over.store(true, Ordering::Relaxed);
        took.sort_unstable();
        // The idle connections that it holds would keep a place for minutes.
        assert!(took[20] < Duration::from_millis(500), "{took:?}");
    });
    assert!(held.iter().all(is_open));
}
