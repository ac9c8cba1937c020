//! The database stops, hangs, is disconnected or sends garbage, under load: no answer is ever wrong, and everything
//! continues by itself once it is back.

use mailauth_tests::people::{ANNA, DORA, PASSWORD, UNKNOWN, many, people};
use mailauth_tests::wire::{Manner, Outcome, ask, auth, login, passwd, pre};
use mailauth_tests::{Accounts, Kind, Mailauth, Server, eventually, on_each_server_and_mysql};
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

on_each_server_and_mysql!(
    a_restart_under_load_causes_no_wrong_answer,
    a_frozen_database_counts_as_unreachable,
    closed_connections_lose_no_login,
    a_failed_listing_or_change_never_looks_complete,
    a_daemon_started_before_its_database_serves_once_it_is_up,
    a_missing_table_is_not_an_unknown_login,
);

const DEADLINE: Duration = Duration::from_secs(1);
/// Maximum time of a request: its own deadline, a retry on a new connection, and a busy machine.
const ANSWER: Duration = Duration::from_secs(5);

fn accounts(kind: Kind) -> Accounts {
    Accounts::on_own_server(kind).with(&people(Path::new("/var/mail"))).with(&many(300))
}

/// Starts a daemon without a cache, which would hide faults of the database from most requests. tests/cache.rs tests
/// that.
fn server(accounts: &Accounts) -> Mailauth {
    server_with_deadline(accounts, "1s")
}

fn server_with_deadline(accounts: &Accounts, deadline: &str) -> Mailauth {
    let database = format!("[database]\ndeadline = {deadline:?}");
    Mailauth::configured(|socket| {
        Mailauth::config(accounts, socket, "[cache]\nenabled = false").replacen("[database]", &database, 1)
    })
}

/// An answer under load.
struct Answer {
    asked: &'static str,
    right: &'static str,
    got: Outcome,
    from: Instant,
    to: Instant,
}

/// Sends requests with known answers from several clients while `during` runs.
fn under_load(socket: &Path, during: impl FnOnce()) -> Vec<Answer> {
    let requests = [
        ("the right password", auth("imap", ANNA, PASSWORD), "ACCOUNT"),
        ("a wrong password", auth("imap", ANNA, "wrong"), "FAIL"),
        ("a look-up", pre("imap", DORA), "ACCOUNT"),
        ("an unknown login", pre("imap", UNKNOWN), "FAIL"),
        ("an unknown login with a password", auth("imap", UNKNOWN, PASSWORD), "FAIL"),
    ];
    let (answers, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (requests, answers, over) = (&requests, &answers, &over);
            scope.spawn(move || {
                for (asked, request, right) in requests.iter().cycle().skip(client) {
                    let from = Instant::now();
                    let got = ask(socket, request, Manner::Whole).outcome();
                    let answer = Answer { asked, right, got, from, to: Instant::now() };
                    answers.lock().expect("no panic with the lock held").push(answer);
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
            });
        }
        during();
        over.store(true, Ordering::Relaxed);
    });
    answers.into_inner().expect("no panic with the lock held")
}

/// Asserts that every answer is right, or missing at a time when that is expected, and that none took too long.
fn assert_right_or_silent(answers: &[Answer], away: Option<(Instant, Instant)>, log: &str) {
    let log = log.lines().rev().take(20).collect::<Vec<_>>().join("\n");
    for Answer { asked, right, got, from, to } in answers {
        let took = *to - *from;
        assert!(took < ANSWER, "{asked}: {got:?} after {took:?}\n{log}");
        if got.word() == *right {
            continue;
        }
        assert_eq!(got.word(), "CLOSED", "{asked}: neither the right answer nor none\n{log}");
        let excused = away.is_some_and(|(start, end)| *to >= start && *from <= end);
        assert!(excused, "{asked}: no answer though the database was up\n{log}");
    }
}

fn silent(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.got == Outcome::Closed).count()
}

/// Maximum time until the daemon answers again after the database is back. On an idle machine it is the deadline of
/// the waiting requests.
const RECOVERY: Duration = Duration::from_secs(10);
/// Number of logins in a row that have to be answered before missing answers are no longer excused.
const WELL: usize = 20;

/// Waits until logins are answered again. Missing answers are no longer excused afterwards.
fn recovered(socket: &Path) -> Instant {
    let mut row = 0;
    eventually("logins in a row", RECOVERY, || {
        row = if login(socket, ANNA, PASSWORD).word() == "ACCOUNT" { row + 1 } else { 0 };
        row >= WELL
    });
    Instant::now()
}

fn a_restart_under_load_causes_no_wrong_answer(kind: Kind) {
    let accounts = accounts(kind);
    let server = server(&accounts);
    let mut away = None;
    let answers = under_load(server.socket(), || {
        std::thread::sleep(Duration::from_millis(300));
        let start = Instant::now();
        accounts.server().stop();
        std::thread::sleep(Duration::from_millis(700));
        accounts.server().start();
        away = Some((start, recovered(server.socket())));
        std::thread::sleep(Duration::from_millis(500));
    });
    assert_right_or_silent(&answers, away, &server.log());
    assert!(silent(&answers) > 0, "the database was down, and all {} requests were answered", answers.len());
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
}

fn a_frozen_database_counts_as_unreachable(kind: Kind) {
    let accounts = accounts(kind);
    let server = server(&accounts);
    let mut away = None;
    let answers = under_load(server.socket(), || {
        std::thread::sleep(Duration::from_millis(300));
        let start = Instant::now();
        accounts.server().freeze();
        std::thread::sleep(3 * DEADLINE);
        accounts.server().thaw();
        away = Some((start, recovered(server.socket())));
        std::thread::sleep(Duration::from_millis(500));
    });
    assert_right_or_silent(&answers, away, &server.log());
    assert!(silent(&answers) > 0, "the database was frozen, and all {} requests were answered", answers.len());
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
}

fn closed_connections_lose_no_login(kind: Kind) {
    let accounts = accounts(kind);
    // Many new connections at once may take a second on a busy machine.
    let server = server_with_deadline(&accounts, "4s");
    let answers = under_load(server.socket(), || {
        for _ in 0..4 {
            std::thread::sleep(Duration::from_millis(250));
            accounts.server().cut_connections();
        }
        std::thread::sleep(Duration::from_millis(250));
    });
    assert_right_or_silent(&answers, None, &server.log());
    assert!(answers.len() > 100, "only {} answers", answers.len());
}

fn a_failed_listing_or_change_never_looks_complete(kind: Kind) {
    let accounts = accounts(kind);
    let server = server(&accounts);
    let listing = || ask(server.socket(), b"ENUMERATE\n", Manner::Whole).outcome();
    let change = || ask(server.socket(), &passwd(ANNA, PASSWORD, "new words"), Manner::Whole).outcome();
    assert!(matches!(listing(), Outcome::List(entries) if entries.len() == 304));
    type Act = fn(&dyn Server);
    let faults: [[Act; 2]; 2] =
        [[|server| server.freeze(), |server| server.thaw()], [|server| server.stop(), |server| server.start()]];
    for [begin, end] in faults {
        begin(accounts.server());
        assert!(matches!(listing().word(), "CLOSED" | "CUT OFF"), "a listing");
        assert!(matches!(change().word(), "CLOSED" | "FAIL"), "a change");
        end(accounts.server());
        eventually("a login", Duration::from_secs(10), || login(server.socket(), ANNA, PASSWORD).word() == "ACCOUNT");
        assert!(matches!(listing(), Outcome::List(entries) if entries.len() == 304));
    }
}

fn a_daemon_started_before_its_database_serves_once_it_is_up(kind: Kind) {
    let accounts = accounts(kind);
    accounts.server().stop();
    let server = server(&accounts);
    assert_eq!(login(server.socket(), ANNA, PASSWORD), Outcome::Closed);
    accounts.server().start();
    eventually("a login", Duration::from_secs(10), || login(server.socket(), ANNA, PASSWORD).word() == "ACCOUNT");
}

fn a_missing_table_is_not_an_unknown_login(kind: Kind) {
    let accounts = accounts(kind);
    let server = server(&accounts);
    let admin = |sql: &str| match kind {
        Kind::MariaDb | Kind::MySql => accounts.mariadb().execute_admin(sql),
        _ => accounts.postgres().execute_admin(sql),
    };
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
    admin("ALTER TABLE accounts RENAME TO elsewhere");
    for password in [PASSWORD, "wrong"] {
        assert_eq!(login(server.socket(), ANNA, password), Outcome::Closed);
    }
    admin("ALTER TABLE elsewhere RENAME TO accounts");
    eventually("a login", Duration::from_secs(10), || login(server.socket(), ANNA, PASSWORD).word() == "ACCOUNT");
}

/// Files and folders in place of an SQLite database.
#[test]
fn a_file_that_is_no_database_counts_as_unreachable() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let (file, kept) = (accounts.file(), accounts.folder().join("kept"));
    std::fs::rename(&file, &kept).expect("the database set aside");
    for (what, content) in [("nothing", None), ("an empty file", Some("")), ("a letter", Some("Dear Anna,\n"))] {
        if let Some(content) = content {
            std::fs::write(&file, content.repeat(1000)).expect("something else");
        }
        let server = server(&accounts);
        for request in [auth("imap", ANNA, PASSWORD), auth("imap", ANNA, "wrong"), pre("imap", UNKNOWN)] {
            assert_eq!(ask(server.socket(), &request, Manner::Whole).outcome(), Outcome::Closed, "{what}");
        }
        assert_eq!(file.exists(), content.is_some(), "{what}: no database is created where there was none");
        std::fs::copy(&kept, &file).expect("the database is back");
        eventually(what, Duration::from_secs(10), || login(server.socket(), ANNA, PASSWORD).word() == "ACCOUNT");
        drop(server);
        for beside in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{beside}", file.display()));
        }
    }
}

#[test]
fn a_locked_sqlite_delays_no_login_and_fails_no_change() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let server = server(&accounts);
    let writer = rusqlite::Connection::open(accounts.file()).expect("the database");
    writer.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    for _ in 0..5 {
        let reply = ask(server.socket(), &auth("imap", ANNA, PASSWORD), Manner::Whole);
        assert_eq!(reply.outcome().word(), "ACCOUNT");
        assert!(reply.took < Duration::from_millis(500), "{:?}", reply.took);
    }
    let reply = ask(server.socket(), &passwd(ANNA, PASSWORD, "new words"), Manner::Whole);
    assert!(matches!(reply.outcome(), Outcome::Closed | Outcome::Fail), "{:?}", reply.outcome());
    assert!(reply.took < ANSWER, "{:?}", reply.took);
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT", "nothing was changed");
    writer.execute_batch("ROLLBACK").expect("the end of it");
    let changed = ask(server.socket(), &passwd(ANNA, PASSWORD, "new words"), Manner::Whole);
    assert_eq!(changed.outcome(), Outcome::Done);
}

/// A server that sends the greeting of no database, and one that sends nothing.
#[test]
fn garbage_and_silence_count_as_unreachable() {
    for greeting in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[0xff; 5000], &[0], b""] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its number").port();
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.expect("a client");
                let _ = stream.write_all(greeting);
                kept.push(stream);
            }
        });
        for scheme in ["mysql", "postgres"] {
            let server = Mailauth::configured(|socket| {
                format!(
                    "[database]\nurl = \"{scheme}://user@127.0.0.1:{port}/mail\"\ndeadline = \"1s\"\n\
                     [courier]\nsocket = \"{}\"\n",
                    socket.display()
                )
            });
            for request in [auth("imap", ANNA, PASSWORD), pre("imap", ANNA), b"ENUMERATE\n".to_vec()] {
                let reply = ask(server.socket(), &request, Manner::Whole);
                assert_eq!(reply.outcome(), Outcome::Closed, "{scheme}, {greeting:?}");
                assert!(reply.took < ANSWER, "{scheme}, {greeting:?}: {:?}", reply.took);
            }
        }
    }
}
