//! The order of many concurrent logins with passwords that take milliseconds to hash.

mod harness;

use harness::*;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Stored password for `secret`, of the scheme bcrypt, which takes some tens of milliseconds.
const BCRYPT: &str = "$2b$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u";

/// Starts a daemon with `anna`, `ben` and `numbered` further accounts.
fn serve_accounts(numbered: usize, request: Duration) -> Served {
    let numbered = (0..numbered).map(|number| format!("u{number}"));
    let rows = ["anna", "ben"].map(str::to_owned).into_iter().chain(numbered);
    let table = Table::with(rows.map(|name| row(&format!("{name}@x.example"), BCRYPT)));
    serve_with(&table, |courier| courier.request = request)
}

fn guess(server: &Served, login: &str) -> UnixStream {
    let mut client = server.connect();
    client.write_all(auth(login, "wrong").as_bytes()).unwrap();
    client
}

/// Returns the number of passwords that were tried and were wrong.
fn tried(server: &Served) -> u64 {
    status(server).logins.no.get("wrong-password").copied().unwrap_or(0)
}

fn waiting(server: &Served) -> usize {
    status(server).queues.iter().find(|queue| queue.name == "hashing").unwrap().waiting
}

/// Returns the number of waiting passwords that were tried before a correct login was answered.
fn tried_before(server: &Served, login: &str) -> u64 {
    let before = tried(server);
    assert_eq!(server.ask(auth(login, "secret")), record(login));
    tried(server) - before
}

/// Maximum number of passwords that are hashed at the same time: up to four together on each of two threads.
const AT_ONCE: u64 = 8;

/// Maximum number of passwords that are tried before a login is answered: those that are being hashed when it arrives, as
/// many beside it, and some more until the numbers are read. Hundreds wait.
const FEW: u64 = 4 * AT_ONCE;

#[test]
fn guesses_at_one_account_do_not_delay_another_login() {
    let server = serve_accounts(0, LONG * 10);
    let guessers: Vec<UnixStream> = (0..200).map(|_| guess(&server, "anna")).collect();
    wait_until("the account has reached its maximum in the queue", || status(&server).turned_away.queue_full > 0);
    assert!(waiting(&server) > 60);
    let before = tried_before(&server, "ben");
    assert!(before <= FEW, "{before}");
    assert!(waiting(&server) > 40, "the queue was empty too early");
    // The owner of the attacked account has a turn too, from another address.
    let before = tried(&server);
    let owner = format!("TCPREMOTEIP=192.0.2.7\n{}", auth("anna", "secret"));
    assert_eq!(server.ask(owner), record("anna"));
    let tried = tried(&server) - before;
    assert!(tried <= FEW, "{tried}");
    assert!(waiting(&server) > 40, "the queue was empty too early");
    drop(guessers);
}

#[test]
fn guesses_at_many_accounts_do_not_delay_a_familiar_account() {
    let server = serve_accounts(300, LONG * 10);
    assert_eq!(server.ask(auth("ben", "secret")), record("ben"));
    let guessers: Vec<UnixStream> = (0..300).map(|number| guess(&server, &format!("u{number}"))).collect();
    wait_until("passwords wait", || waiting(&server) > 150);
    let before = tried_before(&server, "ben");
    assert!(before <= FEW, "{before}");
    assert!(waiting(&server) > 100, "the queue was empty too early");
    drop(guessers);
}

#[test]
fn a_full_queue_still_accepts_a_familiar_account() {
    let server = serve_accounts(1200, LONG * 10);
    assert_eq!(server.ask(auth("ben", "secret")), record("ben"));
    let guessers: Vec<UnixStream> = (0..1200).map(|number| guess(&server, &format!("u{number}"))).collect();
    wait_until("it is full", || status(&server).turned_away.queue_full > 20);
    let begin = tried(&server);
    let before = tried_before(&server, "ben");
    assert!(before <= FEW, "{before}");
    // While there are always familiar logins, the others still have turns.
    std::thread::scope(|scope| {
        let logins: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| (0..5).all(|_| server.ask(auth("ben", "secret")) == record("ben"))))
            .collect();
        assert!(logins.into_iter().all(|login| login.join().unwrap()));
    });
    assert!(tried(&server) - begin >= 5, "{begin} {}", tried(&server));
    drop(guessers);
}

#[test]
fn no_password_is_hashed_for_a_disconnected_client() {
    let server = serve_accounts(0, LONG * 10);
    let mut patient = guess(&server, "ben");
    half_close(&patient);
    let mut gone: Vec<UnixStream> = (0..100).map(|_| guess(&server, "anna")).collect();
    let mut last = gone.pop().unwrap();
    half_close(&last);
    drop(gone);
    let before = tried(&server);
    assert_eq!(read_to_end(&mut patient), "FAIL\n");
    assert_eq!(read_to_end(&mut last), "FAIL\n", "the clients before it have disconnected");
    wait_until("nothing waits", || waiting(&server) == 0);
    let status = status(&server);
    let tried = status.logins.no["wrong-password"];
    // The passwords that were being hashed, and those of the two clients that wait.
    assert!(tried <= before + AT_ONCE + 2, "{before} {tried}");
    assert_eq!(status.turned_away.gone + tried, 101);
}

#[test]
fn a_password_past_its_deadline_is_not_hashed() {
    let server = serve_accounts(100, Duration::from_millis(500));
    let clients: Vec<UnixStream> = (0..100).map(|number| guess(&server, &format!("u{number}"))).collect();
    for mut client in clients {
        assert!(["FAIL\n", ""].contains(&read_to_end(&mut client).as_str()));
    }
    let status = status(&server);
    let (tried, late) = (status.logins.all_no(), status.logins.all_not_now());
    assert!(late > 0 && tried + late == 100, "{:?}", status.logins);
}
