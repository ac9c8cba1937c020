//! The daemon's cache: it saves hashes and queries, and never changes an answer.

use mailauth_tests::people::{
    ANNA, BRUNO, CARLA, DORA, DORAS_PASSWORD, PASSWORD, SLOW_HASH, SLOW_PASSWORD, UNKNOWN, many, people,
};
use mailauth_tests::wire::{Manner, Outcome, ask, auth, login, passwd, pre};
use mailauth_tests::{
    Accounts, Courier, Kind, Mailauth, User, as_user, ended, eventually, on_each_database, on_each_server,
};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

on_each_database!(
    changes_by_the_command_take_effect_at_once,
    a_password_changed_through_the_daemon_takes_effect_at_once,
    a_new_password_set_elsewhere_works_at_once,
    an_old_password_stops_working_within_the_cache_lifetime,
);

mod away {
    use super::{
        a_flush_in_an_outage_is_not_now_and_locks_no_user_out, a_frozen_database_delays_no_login_from_memory,
        cached_accounts_log_in_while_the_database_is_down,
    };
    super::on_each_server!(
        cached_accounts_log_in_while_the_database_is_down,
        a_frozen_database_delays_no_login_from_memory,
        a_flush_in_an_outage_is_not_now_and_locks_no_user_out,
    );
}

/// Age up to which a cached row may be used for a refusal.
const PAUSE: Duration = Duration::from_secs(1);

fn accounts(kind: Kind) -> Accounts {
    Accounts::empty(kind).with(&people(Path::new("/var/mail")))
}

fn word(server: &Mailauth, user: &str, password: &str) -> &'static str {
    login(server.socket(), user, password).word()
}

fn looked_up(server: &Mailauth, user: &str) -> &'static str {
    ask(server.socket(), &pre("imap", user), Manner::Whole).outcome().word()
}

/// Changes an account by the command on another machine, which cannot report it to the daemon.
fn elsewhere(accounts: &Accounts, server: &Mailauth, arguments: &[&str], input: &str) {
    accounts.are_served_on(Path::new("/nonexistent/socket"));
    accounts.admin(arguments, input);
    accounts.are_served_on(server.socket());
}

fn passwd_elsewhere(accounts: &Accounts, server: &Mailauth, password: &str) {
    elsewhere(accounts, server, &["account", "passwd", ANNA, "--password-stdin"], password);
}

fn changes_by_the_command_take_effect_at_once(kind: Kind) {
    let accounts = accounts(kind);
    let server = Mailauth::over(&accounts);
    assert_eq!(word(&server, ANNA, PASSWORD), "ACCOUNT");
    accounts.admin(&["account", "passwd", ANNA, "--password-stdin"], "new words");
    assert_eq!((word(&server, ANNA, PASSWORD), word(&server, ANNA, "new words")), ("FAIL", "ACCOUNT"));

    accounts.admin(&["account", "set", ANNA, "--disabled"], "");
    assert_eq!((word(&server, ANNA, "new words"), looked_up(&server, ANNA)), ("FAIL", "FAIL"));
    accounts.admin(&["account", "set", ANNA, "--enabled"], "");
    assert_eq!((word(&server, ANNA, "new words"), looked_up(&server, CARLA)), ("ACCOUNT", "FAIL"));

    accounts.admin(&["domain", "set", "example.org", "--disabled"], "");
    assert_eq!(word(&server, ANNA, "new words"), "FAIL");
    accounts.admin(&["domain", "set", "example.org", "--enabled"], "");
    assert_eq!(word(&server, ANNA, "new words"), "ACCOUNT");

    assert_eq!(looked_up(&server, UNKNOWN), "FAIL");
    accounts.admin(&["account", "add", UNKNOWN, "--no-password"], "");
    assert_eq!(looked_up(&server, UNKNOWN), "ACCOUNT");
    accounts.admin(&["account", "remove", UNKNOWN], "");
    assert_eq!(looked_up(&server, UNKNOWN), "FAIL");
    accounts.admin(&["account", "import", "-"], &format!("login\n{UNKNOWN}\n"));
    assert_eq!(looked_up(&server, UNKNOWN), "ACCOUNT");
}

fn a_password_changed_through_the_daemon_takes_effect_at_once(kind: Kind) {
    let accounts = accounts(kind);
    let server = Mailauth::over(&accounts);
    let (mut old, mut new) = (PASSWORD, "another one");
    for _ in 0..10 {
        assert_eq!(word(&server, ANNA, old), "ACCOUNT");
        assert_eq!(ask(server.socket(), &passwd(ANNA, old, new), Manner::Whole).outcome(), Outcome::Done);
        assert_eq!((word(&server, ANNA, old), word(&server, ANNA, new)), ("FAIL", "ACCOUNT"));
        std::mem::swap(&mut old, &mut new);
    }
}

fn a_new_password_set_elsewhere_works_at_once(kind: Kind) {
    let accounts = accounts(kind);
    let server = Mailauth::with(&accounts, "[cache]\nfound = \"1h\"");
    assert_eq!(word(&server, ANNA, PASSWORD), "ACCOUNT");
    std::thread::sleep(PAUSE);
    passwd_elsewhere(&accounts, &server, "new words");
    assert_eq!(word(&server, ANNA, "new words"), "ACCOUNT");
    assert_eq!(word(&server, ANNA, PASSWORD), "FAIL", "the row has changed");
    elsewhere(&accounts, &server, &["account", "set", CARLA, "--enabled"], "");
    assert_eq!(word(&server, CARLA, PASSWORD), "ACCOUNT");
}

fn an_old_password_stops_working_within_the_cache_lifetime(kind: Kind) {
    let accounts = accounts(kind);
    let server = Mailauth::with(&accounts, "[cache]\nfound = \"2s\"");
    assert_eq!(word(&server, ANNA, PASSWORD), "ACCOUNT");
    passwd_elsewhere(&accounts, &server, "new words");
    let changed = Instant::now();
    while changed.elapsed() < Duration::from_secs(2) {
        // Using the row does not extend its lifetime.
        assert!(matches!(word(&server, ANNA, PASSWORD), "ACCOUNT" | "FAIL"));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!((word(&server, ANNA, PASSWORD), word(&server, ANNA, "new words")), ("FAIL", "ACCOUNT"));
}

fn cached_accounts_log_in_while_the_database_is_down(kind: Kind) {
    const LIFETIME: Duration = Duration::from_secs(6);
    let accounts = Accounts::on_own_server(kind).with(&people(Path::new("/var/mail")));
    let server = Mailauth::configured(|socket| {
        let config = Mailauth::config(&accounts, socket, "[cache]\nfound = \"6s\"\nunknown = \"6s\"");
        config.replacen("[database]", "[database]\ndeadline = \"1s\"", 1)
    });
    assert_eq!((word(&server, ANNA, PASSWORD), looked_up(&server, UNKNOWN)), ("ACCOUNT", "FAIL"));
    let seen = Instant::now();
    accounts.server().crash();
    std::thread::sleep(PAUSE);
    let answers = [
        ("she was seen", word(&server, ANNA, PASSWORD), "ACCOUNT"),
        ("as was that there is no such", looked_up(&server, UNKNOWN), "FAIL"),
        ("her password may be another by now", word(&server, ANNA, "new words"), "CLOSED"),
        ("and a guess has not ended what is kept", word(&server, ANNA, PASSWORD), "ACCOUNT"),
        ("there may be such an account by now", word(&server, UNKNOWN, PASSWORD), "CLOSED"),
        ("she was not seen", word(&server, DORA, DORAS_PASSWORD), "CLOSED"),
    ];
    assert!(seen.elapsed() < LIFETIME, "too slow a machine for this: {:?}", seen.elapsed());
    for (why, got, right) in answers {
        assert_eq!(got, right, "{why}\n{}", server.log());
    }
    std::thread::sleep(LIFETIME.saturating_sub(seen.elapsed()));
    assert_eq!((word(&server, ANNA, PASSWORD), looked_up(&server, UNKNOWN)), ("CLOSED", "CLOSED"));
    accounts.server().start();
    eventually("a login after the database is back", Duration::from_secs(10), || {
        word(&server, ANNA, PASSWORD) == "ACCOUNT"
    });
}

/// More clients than threads wait for a database that is frozen, and others still log in from memory.
fn a_frozen_database_delays_no_login_from_memory(kind: Kind) {
    const WAITING: usize = 12;
    let accounts = Accounts::on_own_server(kind).with(&people(Path::new("/var/mail"))).with(&many(WAITING));
    let server = Mailauth::configured(|socket| {
        let config = Mailauth::config(&accounts, socket, "request = \"60s\"\n[cache]\nfound = \"60s\"");
        config.replacen("[database]", "[database]\ndeadline = \"40s\"\npool = 2", 1)
    });
    let from_memory = || {
        // Bruno's password is not hashed again.
        let bruno = ask(server.socket(), &auth("pop3", BRUNO, PASSWORD), Manner::Whole).outcome().word();
        [word(&server, ANNA, PASSWORD), bruno, looked_up(&server, ANNA)]
    };
    assert_eq!(from_memory(), ["ACCOUNT"; 3]);
    accounts.server().freeze();
    let answers = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..WAITING {
            let (server, answers) = (&server, &answers);
            scope.spawn(move || {
                let got = word(server, &format!("user{number}@many.example"), PASSWORD);
                answers.fetch_add(1, Ordering::SeqCst);
                assert_ne!(got, "FAIL", "a frozen database is no wrong password");
            });
        }
        accounts.are_served_on(server.socket());
        eventually("look-ups that wait", Duration::from_secs(20), || {
            let status = accounts.admin(&["status", "--json"], "");
            let status: Value = serde_json::from_str(&status).expect("JSON");
            let queues = status["queues"].as_array().expect("queues").clone();
            queues.iter().any(|queue| queue["name"] == "look-ups" && queue["waiting"].as_u64() > Some(0))
        });
        for _ in 0..10 {
            assert_eq!(from_memory(), ["ACCOUNT"; 3], "{}", server.log());
        }
        assert_eq!(answers.load(Ordering::SeqCst), 0, "the others have waited all the time");
        accounts.server().thaw();
    });
}

/// An account whose hash takes a quarter of a second.
const DEAR: &str = "dear@example.org";

fn timed(server: &Mailauth, password: &str) -> (&'static str, Duration) {
    let reply = ask(server.socket(), &auth("imap", DEAR, password), Manner::Whole);
    (reply.outcome().word(), reply.took)
}

#[test]
fn a_right_password_is_hashed_once_and_a_wrong_one_every_time() {
    let accounts = accounts(Kind::Sqlite).with(&format!("login,password\n{DEAR},{SLOW_HASH}\n"));
    let server = Mailauth::over(&accounts);
    let (first, hash) = timed(&server, SLOW_PASSWORD);
    assert_eq!(first, "ACCOUNT");
    let begin = Instant::now();
    (0..20).for_each(|_| assert_eq!(timed(&server, SLOW_PASSWORD).0, "ACCOUNT"));
    assert!(begin.elapsed() < hash, "{:?} for twenty, {hash:?} for the first", begin.elapsed());
    for _ in 0..3 {
        let (answer, took) = timed(&server, "guessed");
        assert_eq!(answer, "FAIL");
        assert!(took > hash / 4, "{took:?} for a guess, {hash:?} for a hash");
    }
    let log = server.log();
    for from in ["database", "verified"] {
        assert!(log.contains(&format!("answer=\"yes\" reason=\"ok\" from=\"{from}\"")), "{log}");
    }
    accounts.admin(&["account", "passwd", DEAR, "--password-stdin", "--scheme", "sha256-crypt"], "other words");
    assert_eq!((timed(&server, SLOW_PASSWORD).0, timed(&server, "other words").0), ("FAIL", "ACCOUNT"));
}

#[test]
fn a_disabled_cache_remembers_nothing() {
    let accounts = accounts(Kind::Sqlite).with(&format!("login,password\n{DEAR},{SLOW_HASH}\n"));
    for off in ["enabled = false", "accounts = 0\nverified = 0"] {
        let server = Mailauth::with(&accounts, &format!("[cache]\n{off}"));
        let (_, hash) = timed(&server, SLOW_PASSWORD);
        let (again, took) = timed(&server, SLOW_PASSWORD);
        assert!(again == "ACCOUNT" && took > hash / 4, "{took:?} and {hash:?} with {off}");
        assert_eq!(word(&server, ANNA, PASSWORD), "ACCOUNT");
        passwd_elsewhere(&accounts, &server, "new words");
        assert_eq!((word(&server, ANNA, PASSWORD), word(&server, ANNA, "new words")), ("FAIL", "ACCOUNT"), "{off}");
        passwd_elsewhere(&accounts, &server, PASSWORD);
    }
}

#[test]
fn a_reload_empties_the_cache() {
    let accounts = accounts(Kind::Sqlite);
    let server = Mailauth::with(&accounts, "[cache]\nfound = \"1h\"");
    assert_eq!(word(&server, ANNA, PASSWORD), "ACCOUNT");
    passwd_elsewhere(&accounts, &server, "new words");
    server.reload();
    server.wait_for_log("configuration read again");
    assert_eq!((word(&server, ANNA, PASSWORD), word(&server, ANNA, "new words")), ("FAIL", "ACCOUNT"));
}

#[test]
fn only_permitted_users_make_the_daemon_forget() {
    let accounts = accounts(Kind::Sqlite);
    let more = "socket_mode = \"0666\"\nallow_users = [\"nobody\"]\n[cache]\nfound = \"1h\"";
    let server = Mailauth::with(&accounts, more);
    assert_eq!(word(&server, ANNA, PASSWORD), "ACCOUNT");
    passwd_elsewhere(&accounts, &server, "new words");
    let forget = |request: &[u8]| ask(server.socket(), request, Manner::Whole).outcome();
    for request in [&b"FORGET\n"[..], b"FORGET anna@example.org\n", b"CHANGED domain example.org\n"] {
        assert_eq!(as_user(User::named("nobody"), || forget(request)), Outcome::Fail);
    }
    assert_eq!(word(&server, ANNA, PASSWORD), "ACCOUNT", "it is cached");
    assert_eq!(forget(b"FORGET dora@example.org\n"), Outcome::Done);
    assert_eq!(word(&server, ANNA, PASSWORD), "ACCOUNT", "another account's row");
    assert_eq!(forget(b"FORGET Anna@example.org\n"), Outcome::Done);
    assert_eq!(word(&server, ANNA, PASSWORD), "FAIL");
}

#[test]
fn a_flush_makes_the_daemon_read_rows_again() {
    let accounts = accounts(Kind::Sqlite).with(&format!("login,password\n{DEAR},{SLOW_HASH}\n"));
    let server =
        Mailauth::with(&accounts, "socket_mode = \"0666\"\nallow_users = [\"nobody\"]\n[cache]\nfound = \"1h\"");
    let flush = |name: &[&str]| accounts.admin(&[&["cache", "flush"], name].concat(), "");
    assert_eq!(flush(&[]), "the daemon kept nothing\n");
    let flush_by_nobody = || ask(server.socket(), b"FLUSH\n", Manner::Whole).outcome();
    let [mut password, mut next] = [PASSWORD, "new words"];
    let flushed = [
        (ANNA, "1 look-ups and 0 verified passwords of anna@example.org"),
        ("Anna@EXAMPLE.org", "1 look-ups and 1 verified passwords of anna@example.org"),
        ("Example.org", "2 look-ups and 2 verified passwords of example.org"),
    ];
    for (name, counts) in flushed {
        assert_eq!((word(&server, ANNA, password), timed(&server, SLOW_PASSWORD).0), ("ACCOUNT", "ACCOUNT"));
        passwd_elsewhere(&accounts, &server, next);
        assert_eq!(as_user(User::named("nobody"), flush_by_nobody), Outcome::Fail);
        assert_eq!(flush(&["dora@example.org"]), "the daemon kept nothing of dora@example.org\n");
        assert_eq!(flush(&["else.example"]), "the daemon kept nothing of else.example\n");
        assert_eq!(word(&server, ANNA, password), "ACCOUNT", "her row is still kept");
        let told = flush(&[name]);
        assert!(told.contains(counts), "{told} of {name}");
        assert_eq!((word(&server, ANNA, password), word(&server, ANNA, next)), ("FAIL", "ACCOUNT"), "{name}");
        std::mem::swap(&mut password, &mut next);
    }
    assert_eq!(timed(&server, SLOW_PASSWORD).0, "ACCOUNT");
    let told: serde_json::Value = serde_json::from_str(&flush(&["--json"])).expect("JSON");
    assert_eq!(told, serde_json::json!({ "rows": 2, "passwords": 2 }));
    server.wait_for_log("what was kept in memory is forgotten");
    assert_eq!(accounts.try_admin(&["cache", "flush", "two words"], "").status.code(), Some(2));
    drop(server);
    let told = ended(&accounts.try_admin(&["cache", "flush"], ""), 75);
    assert!(told.contains("start mailauth-courier"), "{told}");
    let courier = Courier::over(&accounts);
    accounts.are_served_on(&courier.socket());
    let told = ended(&accounts.try_admin(&["cache", "flush"], ""), 75);
    assert!(told.contains("Courier's authdaemond keeps nothing"), "{told}");
}

fn a_flush_in_an_outage_is_not_now_and_locks_no_user_out(kind: Kind) {
    let accounts = Accounts::on_own_server(kind).with(&people(Path::new("/var/mail"))).with_snapshot("");
    let server = Mailauth::configured(|socket| {
        accounts.are_served_on(socket);
        let config = Mailauth::config(&accounts, socket, "[cache]\nfound = \"1h\"");
        config.replacen("[database]", "[database]\ndeadline = \"1s\"", 1)
    });
    eventually("the copy", Duration::from_secs(20), || accounts.snapshot_is_whole());
    assert_eq!(word(&server, ANNA, PASSWORD), "ACCOUNT");
    passwd_elsewhere(&accounts, &server, "new words");
    accounts.server().crash();
    for name in [&[ANNA][..], &["example.org"], &[]] {
        let told = ended(&accounts.try_admin(&[&["cache", "flush"], name].concat(), ""), 75);
        assert!(told.contains("nothing was forgotten: the database at"), "{told}");
    }
    let logins = [(ANNA, PASSWORD), (DORA, DORAS_PASSWORD)];
    for (login, password) in logins {
        assert_eq!(word(&server, login, password), "ACCOUNT", "by what is kept, and by the copy\n{}", server.log());
    }
    accounts.server().start();
    eventually("a flush", Duration::from_secs(20), || accounts.try_admin(&["cache", "flush"], "").status.success());
    assert_eq!((word(&server, ANNA, PASSWORD), word(&server, ANNA, "new words")), ("FAIL", "ACCOUNT"));
    accounts.server().crash();
    assert_eq!(word(&server, DORA, DORAS_PASSWORD), "ACCOUNT", "the copy was not told of a change\n{}", server.log());
    accounts.server().start();
}

#[test]
fn the_command_needs_no_daemon_and_notes_one_that_hangs() {
    let accounts = accounts(Kind::Sqlite);
    let set = || {
        let begin = Instant::now();
        let output = accounts.try_admin(&["account", "set", ANNA, "--name", "Anna"], "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        (said, begin.elapsed())
    };
    assert_eq!(set().0, "", "there was no daemon");
    let server = Mailauth::over(&accounts);
    assert_eq!(set().0, "", "mailauth's daemon");
    server.signal(Signal::STOP);
    let (said, took) = set();
    server.signal(Signal::CONT);
    assert!(said.contains("note: mailauth-courier could not be notified, and may take up to 30 s"), "{said}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(server);
    assert_eq!(set().0, "", "the daemon has ended");
    let courier = Courier::over(&accounts);
    accounts.are_served_on(&courier.socket());
    assert_eq!(set().0, "", "authdaemond");
    assert!(fs::exists(courier.socket()).is_ok_and(|there| there));
}
