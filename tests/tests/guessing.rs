//! What a client can learn from refusals: their times do not reveal which logins exist.

use mailauth_tests::people::{CHEAP_HASH, PASSWORD, SHA512_CRYPT_HASH, SLOW_HASH, SLOW_PASSWORD};
use mailauth_tests::{Accounts, Kind, Mailauth, eventually};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A bcrypt hash with a cost of 6, of an arbitrary password.
const BCRYPT_HASH: &str = "$2b$06$abcdefghijklmnopqrstuuQrZ7yDnVXW5FVqF0YwPkyxPpO5Zxzjq";

/// Number of samples of each kind.
const SAMPLES: usize = 600;

/// Number of concurrent clients.
const CLIENTS: usize = 12;

/// Targets of the guesses: five accounts for each kind of password, one of which is locked, and unknown logins.
const KINDS: [&str; 5] = ["sha256", "sha512-crypt", "bcrypt", "locked", "unknown"];

fn mixed() -> Accounts {
    let mut csv = "login,password,enabled\n".to_owned();
    for number in 0..5 {
        for (kind, hash) in KINDS.iter().zip([CHEAP_HASH, SHA512_CRYPT_HASH, BCRYPT_HASH, "!"]) {
            csv += &format!("{kind}{number}@example.org,{hash},{}\n", number != 4);
        }
    }
    Accounts::empty(Kind::Sqlite).with(&csv)
}

fn login(kind: usize, number: usize) -> String {
    format!("{}{}@example.org", KINDS[kind], number % 5)
}

/// Starts a daemon without the throttle, which delays refusals for a guessed login for longer, whether it exists or
/// not.
fn refusing_after(accounts: &Accounts, time: &str) -> Mailauth {
    Mailauth::unthrottled(accounts, &format!("[login]\nrefusal_time = \"{time}\"\n"))
}

/// Sends a login by `AUTH`.
fn send(socket: &Path, login: &str, password: &str) -> UnixStream {
    let data = format!("imap\nlogin\n{login}\n{password}\n");
    let mut stream = UnixStream::connect(socket).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
    stream.write_all(format!("AUTH {}\n{data}", data.len()).as_bytes()).expect("sent");
    stream
}

fn reply(mut stream: UnixStream) -> String {
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply in time");
    reply
}

/// Returns how long a login takes, and whether it was right.
fn timed(socket: &Path, login: &str, password: &str) -> (Duration, bool) {
    let begin = Instant::now();
    let reply = reply(send(socket, login, password));
    assert!(!reply.is_empty(), "not now: {login}");
    (begin.elapsed(), reply != "FAIL\n")
}

/// Returns the times of `number` refusals of each kind, in turn, with many clients.
fn sample(socket: &Path, number: usize) -> Vec<Vec<f64>> {
    let (next, times) = (AtomicUsize::new(0), Mutex::new(vec![Vec::new(); KINDS.len()]));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    if turn >= number * KINDS.len() {
                        return;
                    }
                    let (kind, number) = (turn % KINDS.len(), turn / KINDS.len());
                    let (time, right) = timed(socket, &login(kind, number), "a wrong password");
                    assert!(!right);
                    times.lock().unwrap()[kind].push(time.as_secs_f64());
                }
            });
        }
    });
    times.into_inner().unwrap()
}

/// Returns the result of the rank test of Mann and Whitney: by how many standard deviations the ranks of `a` among
/// both samples differ from those expected for equal distributions.
fn deviations(a: &[f64], b: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> =
        a.iter().map(|time| (*time, true)).chain(b.iter().map(|time| (*time, false))).collect();
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (m, n) = (a.len() as f64, b.len() as f64);
    let ranks: f64 = (1..).zip(&all).filter(|(_, (_, of_a))| *of_a).map(|(rank, _)| f64::from(rank)).sum();
    (ranks - m * (m + n + 1.0) / 2.0) / (m * n * (m + n + 1.0) / 12.0).sqrt()
}

/// Compares each kind with the unknown logins.
fn against_unknown(times: &[Vec<f64>]) -> Vec<f64> {
    let (unknown, known) = times.split_last().expect("kinds");
    known.iter().map(|times| deviations(times, unknown)).collect()
}

/// Guesses at one account with a cheap hash, which once made unknown logins as cheap.
fn guess_at_a_cheap_hash(socket: &Path) {
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| (0..40).for_each(|i| assert!(!timed(socket, &login(0, 0), &format!("guess {i}")).1)));
        }
    });
}

#[test]
fn refusal_times_do_not_reveal_which_logins_exist() {
    let accounts = mixed();
    // Long enough for bcrypt on a busy machine.
    let daemon = refusing_after(&accounts, "150ms");
    guess_at_a_cheap_hash(daemon.socket());
    let times = sample(daemon.socket(), SAMPLES);
    assert!(times.iter().flatten().all(|time| *time >= 0.15), "no refusal is early");
    let found = against_unknown(&times);
    // Six standard deviations occur by chance once in a thousand million times.
    assert!(found.iter().all(|deviations| deviations.abs() < 6.0), "{KINDS:?}: {found:?}");
}

#[test]
fn without_the_minimum_time_logins_could_be_distinguished() {
    let accounts = mixed();
    let daemon = refusing_after(&accounts, "0s");
    guess_at_a_cheap_hash(daemon.socket());
    let found = against_unknown(&sample(daemon.socket(), SAMPLES / 2));
    assert!(found.iter().any(|deviations| deviations.abs() > 8.0), "{KINDS:?}: {found:?}");
}

#[test]
fn a_refusal_takes_longer_than_the_slowest_hash_in_the_table() {
    let csv = format!("login,password\ncheap@example.org,{CHEAP_HASH}\ndear@example.org,{SLOW_HASH}\n");
    let accounts = Accounts::empty(Kind::Sqlite).with(&csv);
    let daemon = Mailauth::with(&accounts, "[cache]\nverified = 0\n");
    let right = |_| {
        let (time, right) = timed(daemon.socket(), "dear@example.org", SLOW_PASSWORD);
        assert!(right);
        time
    };
    let mut dear = (0..3).map(right).min().expect("three");
    for login in ["cheap@example.org", "dear@example.org", "nobody@example.org", "\u{212a}urt@example.org"] {
        let (time, is_right) = timed(daemon.socket(), login, "wrong");
        // The machine may have become less busy since the first measurement.
        dear = dear.min(right(0));
        assert!(!is_right && time > dear, "{login}: {time:?}, and the right password of the slowest hash {dear:?}");
    }
    let (time, right) = timed(daemon.socket(), "cheap@example.org", PASSWORD);
    assert!(right && time < dear, "a right password is answered at once, not after {time:?}");
}

#[test]
fn delayed_refusals_block_no_login_and_are_sent_at_shutdown() {
    let accounts = mixed();
    let mut daemon = Mailauth::with(&accounts, "max_connections = 40\n[login]\nrefusal_time = \"10s\"\n");
    let begin = Instant::now();
    // At one account with a cheap password, so that none waits to be hashed.
    let wrong = |i| send(daemon.socket(), &login(0, i), "a wrong password");
    let mut held: Vec<_> = (0..20).map(wrong).collect();
    // More than can be delayed: some are answered early.
    held.extend((0..60).map(|i| {
        let stream = wrong(i);
        let (_, right) = timed(daemon.socket(), "sha2560@example.org", PASSWORD);
        assert!(right, "a right password finds a place");
        stream
    }));
    daemon.terminate();
    for stream in held {
        assert_eq!(reply(stream), "FAIL\n");
    }
    assert!(daemon.wait(Duration::from_secs(30)).success());
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[test]
fn a_client_that_disconnects_frees_its_place() {
    let accounts = mixed();
    let daemon = Mailauth::with(&accounts, "max_connections = 40\n[login]\nrefusal_time = \"10s\"\n");
    for i in 0..300 {
        drop(send(daemon.socket(), &login(0, i), "a wrong password"));
        // The refusals themselves would occupy the places for ten seconds.
        eventually("a right password finds a place", Duration::from_secs(5), || gets_in(daemon.socket()));
    }
}

/// Returns false if the client was rejected.
fn gets_in(socket: &Path) -> bool {
    let mut reply = String::new();
    let mut stream = UnixStream::connect(socket).expect("a connection");
    let data = format!("imap\nlogin\nsha2560@example.org\n{PASSWORD}\n");
    let sent = stream.write_all(format!("AUTH {}\n{data}", data.len()).as_bytes());
    sent.and_then(|()| stream.read_to_string(&mut reply)).is_ok() && reply.contains("ADDRESS=")
}
