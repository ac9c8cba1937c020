//! The copy of the tables that answers while no database does: logins go on, nothing bounces, nothing is undone.

use mailauth_tests::people::{ANNA, BRUNO, CARLA, DORA, DORAS_PASSWORD, PASSWORD, UNKNOWN, many, people};
use mailauth_tests::wire::{Manner, Outcome, ask, login, passwd, pre};
use mailauth_tests::{Accounts, Kind, Mailauth, eventually, on_each_server};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

on_each_server!(
    logins_are_decided_while_the_server_is_away_and_by_it_at_once_when_it_is_back,
    a_frozen_server_is_a_server_that_is_away,
    what_was_changed_just_before_counts,
    changes_from_elsewhere_are_copied,
    no_command_that_fails_in_an_outage_ends_the_answers_of_the_copy,
    a_daemon_that_was_killed_and_starts_without_its_database_answers,
);

const SOON: Duration = Duration::from_secs(20);

fn accounts(kind: Kind, outage: &str) -> Accounts {
    Accounts::on_own_server(kind).with(&people(Path::new("/var/mail"))).with_snapshot(outage)
}

/// A daemon that has a copy, without a cache, which would hide it.
fn server(accounts: &Accounts) -> Mailauth {
    let server = start(accounts, "[cache]\nenabled = false");
    eventually("a copy", SOON, || accounts.snapshot_is_whole());
    server
}

fn start(accounts: &Accounts, more: &str) -> Mailauth {
    Mailauth::configured(|socket| {
        accounts.are_served_on(socket);
        let config = Mailauth::config(accounts, socket, more);
        config.replacen("[database]", "[database]\ndeadline = \"1s\"", 1)
    })
}

fn word(server: &Mailauth, who: &str, password: &str) -> &'static str {
    login(server.socket(), who, password).word()
}

fn send(server: &Mailauth, request: &str) -> String {
    String::from_utf8(ask(server.socket(), request.as_bytes(), Manner::Whole).bytes).expect("text")
}

fn change(server: &Mailauth, old: &str, new: &str) -> Outcome {
    ask(server.socket(), &passwd(ANNA, old, new), Manner::Whole).outcome()
}

/// What `mailauth check` says.
fn check(accounts: &Accounts) -> String {
    String::from_utf8(accounts.try_admin(&["check"], "").stdout).expect("text")
}

fn check_code(accounts: &Accounts) -> Option<i32> {
    accounts.try_admin(&["check"], "").status.code()
}

/// Each kind of login is decided as it would be with the database.
fn logins_are_decided(server: &Mailauth) {
    for (who, password, right) in [
        (ANNA, PASSWORD, "ACCOUNT"),
        (ANNA, "wrong", "FAIL"),
        (DORA, DORAS_PASSWORD, "ACCOUNT"),
        (CARLA, PASSWORD, "FAIL"),
        (UNKNOWN, PASSWORD, "FAIL"),
    ] {
        assert_eq!(word(server, who, password), right, "{who} with {password:?}\n{}", server.log());
    }
    assert_eq!(ask(server.socket(), &pre("imap", UNKNOWN), Manner::Whole).outcome(), Outcome::Fail);
    assert_eq!(ask(server.socket(), &pre("imap", BRUNO), Manner::Whole).outcome(), Outcome::Fail, "POP3 alone");
    let listed = ask(server.socket(), b"ENUMERATE\n", Manner::Whole).outcome();
    assert!(matches!(&listed, Outcome::List(entries) if entries.len() == 4), "{listed:?}");
}

fn logins_are_decided_while_the_server_is_away_and_by_it_at_once_when_it_is_back(kind: Kind) {
    let accounts = accounts(kind, "");
    accounts.admin(&["alias", "add", "info@example.org", ANNA], "");
    let server = server(&accounts);
    let mode = fs::metadata(accounts.snapshot_file()).expect("the copy").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    accounts.server().crash();
    (0..20).for_each(|_| logins_are_decided(&server));
    let log = server.log();
    assert!(log.contains("reason=\"wrong-password\" from=\"snapshot\""), "{log}");
    assert_eq!(log.matches("logins are decided from the snapshot").count(), 1, "once a minute\n{log}");

    // Mail that has a place goes there, and no other bounces.
    assert_eq!(send(&server, &format!("ASK recipient 1 {ANNA}\n")), "OK\n");
    assert_eq!(send(&server, "ASK alias info@example.org\n"), format!("OK {ANNA}\n"));
    for question in [format!("recipient 1 {UNKNOWN}"), format!("account {CARLA}"), "domain elsewhere.example".into()] {
        let reply = send(&server, &format!("ASK {question}\n"));
        assert!(reply.starts_with("LATER "), "{reply:?} to {question}");
    }

    assert_eq!(change(&server, PASSWORD, "new words"), Outcome::Closed);
    assert_eq!(change(&server, "wrong", "new words"), Outcome::Closed);
    assert_eq!((word(&server, ANNA, PASSWORD), word(&server, ANNA, "new words")), ("ACCOUNT", "FAIL"));

    accounts.server().start();
    eventually("a change of a password", SOON, || change(&server, PASSWORD, "new words") == Outcome::Done);
    assert_eq!((word(&server, ANNA, PASSWORD), word(&server, ANNA, "new words")), ("FAIL", "ACCOUNT"));
    assert_eq!(send(&server, &format!("ASK recipient 1 {UNKNOWN}\n")), "FAIL\n");
    server.wait_for_log("the database answers again");
}

fn a_frozen_server_is_a_server_that_is_away(kind: Kind) {
    let accounts = accounts(kind, "");
    let server = server(&accounts);
    accounts.server().freeze();
    let begin = Instant::now();
    logins_are_decided(&server);
    logins_are_decided(&server);
    let took = begin.elapsed();
    accounts.server().thaw();
    // The deadline for each kept connection at worst, and then nobody waits for it.
    assert!(took < Duration::from_secs(15), "{took:?}");
    eventually("the database", SOON, || change(&server, PASSWORD, "new words") == Outcome::Done);
}

fn what_was_changed_just_before_counts(kind: Kind) {
    let accounts = accounts(kind, "refresh = \"1h\"");
    let server = server(&accounts);
    let mut password = PASSWORD.to_owned();
    for round in 0..5 {
        let new = format!("new words {round}");
        assert_eq!(change(&server, &password, &new), Outcome::Done);
        if round == 4 {
            accounts.admin(&["account", "set", DORA, "--disabled"], "");
        }
        accounts.server().crash();
        assert!(matches!(word(&server, ANNA, &new), "ACCOUNT" | "CLOSED"), "{}", server.log());
        assert!(matches!(word(&server, ANNA, &password), "FAIL" | "CLOSED"), "{}", server.log());
        accounts.server().start();
        password = new;
        eventually("the database", SOON, || word(&server, ANNA, &password) == "ACCOUNT");
        eventually("a write", SOON, || change(&server, "wrong", "whatever") == Outcome::Fail);
    }
    // The rows follow within moments, and from then on the copy knows them.
    eventually("the rows", SOON, || accounts.snapshot_is_whole());
    accounts.server().crash();
    assert_eq!((word(&server, ANNA, &password), word(&server, DORA, DORAS_PASSWORD)), ("ACCOUNT", "FAIL"));
}

fn no_command_that_fails_in_an_outage_ends_the_answers_of_the_copy(kind: Kind) {
    let accounts = accounts(kind, "");
    let server = server(&accounts);
    let csv = accounts.folder().join("more.csv");
    fs::write(&csv, "login\nemil@example.org\n").expect("a file");
    let csv = csv.to_str().expect("text");
    accounts.server().crash();
    for (command, input) in [
        (&["domain", "add", "new.example"][..], ""),
        (&["domain", "set", "example.org", "--disabled"], ""),
        (&["domain", "remove", "example.org", "--contents"], ""),
        (&["account", "import", csv], ""),
        (&["account", "import", "/nonexistent.csv"], ""),
        (&["account", "import", "-"], "login\nno login\n"),
        (&["account", "set", ANNA, "--disabled"], ""),
        (&["account", "passwd", ANNA, "--password-stdin"], "new words"),
        (&["account", "remove", ANNA], ""),
        (&["account", "add", "emil@example.org", "--no-password"], ""),
        (&["alias", "add", "info@example.org", ANNA], ""),
        (&["alias", "remove", "info@example.org"], ""),
    ] {
        let output = accounts.try_admin(command, input);
        assert!(!output.status.success(), "{command:?}");
        logins_are_decided(&server);
    }
    assert!(accounts.snapshot_is_whole(), "nothing was told");
}

fn changes_from_elsewhere_are_copied(kind: Kind) {
    let accounts = accounts(kind, "refresh = \"1s\"").with(&many(2500));
    let server = server(&accounts);
    // By the command of a machine that has no daemon to tell.
    accounts.are_served_on(Path::new("/nonexistent/socket"));
    accounts.admin(&["account", "passwd", ANNA, "--password-stdin"], "new words");
    accounts.admin(&["account", "remove", "user7@many.example"], "");
    accounts.admin(&["account", "set", DORA, "--disabled"], "");
    let size = || check(&accounts).contains(": 2504 accounts, ");
    eventually("the new rows in the copy", SOON, size);
    eventually("one more refresh", SOON, || check(&accounts).contains(" 0 s old"));
    accounts.server().crash();
    assert_eq!((word(&server, ANNA, PASSWORD), word(&server, ANNA, "new words")), ("FAIL", "ACCOUNT"));
    assert_eq!(word(&server, DORA, DORAS_PASSWORD), "FAIL");
    assert_eq!(word(&server, "user7@many.example", PASSWORD), "FAIL");
    assert_eq!(word(&server, "user2499@many.example", PASSWORD), "ACCOUNT");
}

fn a_daemon_that_was_killed_and_starts_without_its_database_answers(kind: Kind) {
    let accounts = accounts(kind, "").with(&many(2500));
    drop(server(&accounts));
    for pause in 0..8 {
        let mut server = start(&accounts, "");
        // Everything is copied again, and the daemon is killed meanwhile.
        let _ = send(&server, "FORGET\n");
        std::thread::sleep(Duration::from_millis(pause * 10));
        server.signal(Signal::KILL);
        server.wait(SOON);
    }
    let decide = |others: &[&str]| {
        let server = start(&accounts, "");
        for (who, password, answer) in [
            (ANNA, PASSWORD, "ACCOUNT"),
            (ANNA, "wrong", "FAIL"),
            (CARLA, PASSWORD, "FAIL"),
            (UNKNOWN, PASSWORD, "FAIL"),
            ("user2499@many.example", PASSWORD, "ACCOUNT"),
        ] {
            let word = word(&server, who, password);
            assert!(word == answer || others.contains(&word), "{word} for {who}\n{}", server.log());
        }
    };
    // What it was told to copy again is not believed until that is done, and it has not forgotten that.
    accounts.server().crash();
    decide(&["CLOSED"]);
    accounts.server().start();
    let server = start(&accounts, "");
    eventually("what was left to do", SOON, || accounts.snapshot_is_whole());
    drop(server);
    accounts.server().crash();
    decide(&[]);
}

#[test]
fn a_copy_that_is_too_old_decides_nothing_and_check_says_how_it_stands() {
    let accounts = accounts(Kind::MariaDb, "max_age = \"8s\"\nrefresh = \"1s\"");
    let server = server(&accounts);
    let said = check(&accounts);
    assert!(said.contains("snapshot.db: 5 accounts, "), "{said}");
    accounts.server().crash();
    let begin = Instant::now();
    assert_eq!((word(&server, ANNA, PASSWORD), check_code(&accounts)), ("ACCOUNT", Some(1)), "{}", check(&accounts));
    let said = check(&accounts);
    assert!(said.contains("the snapshot decides logins for "), "{said}");
    eventually("its end", SOON, || word(&server, ANNA, PASSWORD) == "CLOSED");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    server.wait_for_log("[outage] max_age lets 8 s pass: logins wait");
    let said = check(&accounts);
    assert!(said.contains("it decides nothing any more"), "{said}");
    assert_eq!(check_code(&accounts), Some(2));
}

#[test]
fn reading_the_configuration_again_keeps_the_copy_and_one_refresher() {
    let accounts = accounts(Kind::Postgres, "refresh = \"1s\"");
    let server = server(&accounts);
    for _ in 0..5 {
        server.reload();
    }
    server.wait_for_log("configuration read again");
    let threads = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", server.pid().as_raw_nonzero())).expect("threads");
        let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        tasks.flatten().map(name).filter(|name| name.trim() == "snapshot").count()
    };
    eventually("one thread", SOON, || threads() == 1);
    accounts.admin(&["account", "set", DORA, "--disabled"], "");
    eventually("a refresh", SOON, || check(&accounts).contains(" 0 s old"));
    accounts.server().crash();
    eventually("the copy", SOON, || word(&server, ANNA, PASSWORD) == "ACCOUNT");
    assert_eq!(word(&server, DORA, DORAS_PASSWORD), "FAIL");
}

#[test]
fn without_a_folder_there_is_a_warning_and_no_copy() {
    let accounts = accounts(Kind::MariaDb, "refresh = \"1s\"");
    let file = accounts.snapshot_file().display().to_string();
    let server = Mailauth::configured(|socket| {
        Mailauth::config(&accounts, socket, "[cache]\nenabled = false").replacen(&file, "/nonexistent/snapshot.db", 1)
    });
    server.wait_for_log("no snapshot can be kept at /nonexistent/snapshot.db: No such file or directory");
    assert_eq!(word(&server, ANNA, PASSWORD), "ACCOUNT");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(server.log().matches("no snapshot can be kept").count(), 1, "{}", server.log());
    accounts.server().crash();
    assert_eq!(word(&server, ANNA, PASSWORD), "CLOSED");
    let said = check(&accounts);
    assert!(said.contains("there is none at"), "{said}");
}
