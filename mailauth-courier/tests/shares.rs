//! One user takes no connection slots from others.

mod harness;

use harness::*;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const HOSTILE: u32 = 65_533;
const ACCOMPLICE: u32 = 65_532;
const HARMLESS: u32 = 65_531;

/// Starts a daemon that three users may connect to, with at most `max_connections` connections.
fn serve_three(max_connections: usize) -> Served {
    let server = serve_with(&two_accounts(), |courier| {
        courier.socket_mode = 0o666;
        courier.max_connections = max_connections;
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
    // The connection may be closed before the request is written.
    let _ = client.write_all(auth("anna", "secret").as_bytes());
    read_to_end(&mut client) == record("anna")
}

/// Returns true if `number` of these connections are open. The daemon counts a connection that it turns away before it
/// closes it.
fn are_open(clients: &[UnixStream], number: usize) -> bool {
    clients.iter().filter(|client| is_open(client)).count() == number
}

#[test]
fn one_user_cannot_take_the_slots_of_root_or_others() {
    if is_not_root() {
        return;
    }
    let server = serve_three(40);
    let hostile = silent(&server, HOSTILE, 60);
    wait_until("it has reached its maximum", || status(&server).turned_away.over_share == 40);
    wait_until("the others are closed", || are_open(&hostile, 20));
    assert_eq!(status(&server).connections.max_per_user, 20);
    assert!((0..50).all(|_| logs_in(&server)), "root");
    assert!(as_user(HARMLESS, || (0..50).all(|_| logs_in(&server))), "another user");
    // Two such users take everything except the slots reserved for root.
    wait_until("the logins have given their slots back", || status(&server).connections.open == 21);
    let accomplice = silent(&server, ACCOMPLICE, 30);
    wait_until("all others are turned away", || status(&server).turned_away.crowded == 14);
    wait_until("they are closed", || are_open(&accomplice, 16));
    assert!(!as_user(HARMLESS, || logs_in(&server)));
    assert!((0..50).all(|_| logs_in(&server)), "root");
    wait_until("the logins have given their slots back", || status(&server).connections.open == 37);
    let root: Vec<UnixStream> = (0..3).map(|_| server.connect()).collect();
    wait_until("root uses the reserved slots", || status(&server).connections.open == 40);
    assert!(root.iter().all(is_open));
    // Closed connections give their slots back.
    drop(hostile);
    wait_until("there is room again", || as_user(HARMLESS, || logs_in(&server)));
    drop((accomplice, root));
    wait_until("all are closed", || status(&server).connections.open == 1);
}

#[test]
fn a_user_that_keeps_connecting_hardly_delays_other_logins() {
    if is_not_root() {
        return;
    }
    let server = serve_three(40);
    let held = silent(&server, HOSTILE, 20);
    wait_until("all have a slot", || status(&server).connections.open == 21);
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
        // A login that had to wait for one of the idle connections would take minutes.
        assert!(took[20] < Duration::from_millis(500), "{took:?}");
    });
    assert!(held.iter().all(is_open));
}
