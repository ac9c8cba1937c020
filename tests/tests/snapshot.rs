//! The copy of the tables that answers while no database does: logins continue, nothing bounces, nothing is undone.

use mailauth_tests::people::{ANNA, BRUNO, CARLA, DORA, DORAS_PASSWORD, PASSWORD, UNKNOWN, many, people};
use mailauth_tests::wire::{Manner, Outcome, ask, login, passwd, pre};
use mailauth_tests::{Accounts, Kind, Mailauth, eventually, on_each_server};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

on_each_server!(
    the_snapshot_decides_logins_only_during_an_outage,
    a_frozen_server_counts_as_unreachable,
    changes_just_before_an_outage_count,
    changes_by_other_programs_are_copied,
    a_command_that_fails_in_an_outage_keeps_the_snapshot_usable,
    changed_aliases_and_domains_are_copied_at_once,
    an_import_with_unknown_outcome_leaves_other_logins_usable,
    hosts_added_during_an_outage_keep_the_snapshot_usable,
    the_old_snapshot_answers_until_the_new_one_is_complete,
    a_damaged_snapshot_gives_no_wrong_answer_and_is_rebuilt,
    a_transaction_open_during_several_refreshes_is_copied,
    a_killed_daemon_answers_when_started_without_its_database,
);

const SOON: Duration = Duration::from_secs(20);

fn accounts(kind: Kind, outage: &str) -> Accounts {
    Accounts::on_own_server(kind).with(&people(Path::new("/var/mail"))).with_snapshot(outage)
}

/// Starts a daemon with a snapshot and without a cache, which would hide it.
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

fn word(server: &Mailauth, user: &str, password: &str) -> &'static str {
    login(server.socket(), user, password).word()
}

fn send(server: &Mailauth, request: &str) -> String {
    String::from_utf8(ask(server.socket(), request.as_bytes(), Manner::Whole).bytes).expect("text")
}

fn change(server: &Mailauth, old: &str, new: &str) -> Outcome {
    ask(server.socket(), &passwd(ANNA, old, new), Manner::Whole).outcome()
}

/// Returns the output of `mailauth check`.
fn check(accounts: &Accounts) -> String {
    String::from_utf8(accounts.try_admin(&["check"], "").stdout).expect("text")
}

fn check_code(accounts: &Accounts) -> Option<i32> {
    accounts.try_admin(&["check"], "").status.code()
}

/// Asserts that each kind of login is decided as with the database.
fn logins_are_decided(server: &Mailauth) {
    for (user, password, right) in [
        (ANNA, PASSWORD, "ACCOUNT"),
        (ANNA, "wrong", "FAIL"),
        (DORA, DORAS_PASSWORD, "ACCOUNT"),
        (CARLA, PASSWORD, "FAIL"),
        (UNKNOWN, PASSWORD, "FAIL"),
    ] {
        assert_eq!(word(server, user, password), right, "{user} with {password:?}\n{}", server.log());
    }
    assert_eq!(ask(server.socket(), &pre("imap", UNKNOWN), Manner::Whole).outcome(), Outcome::Fail);
    assert_eq!(ask(server.socket(), &pre("imap", BRUNO), Manner::Whole).outcome(), Outcome::Fail, "POP3 alone");
    let listed = ask(server.socket(), b"ENUMERATE\n", Manner::Whole).outcome();
    assert!(matches!(&listed, Outcome::List(entries) if entries.len() == 4), "{listed:?}");
}

fn the_snapshot_decides_logins_only_during_an_outage(kind: Kind) {
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

    // Mail for existing recipients is accepted, and no other mail bounces.
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

fn a_frozen_server_counts_as_unreachable(kind: Kind) {
    let accounts = accounts(kind, "");
    let server = server(&accounts);
    accounts.server().freeze();
    let begin = Instant::now();
    logins_are_decided(&server);
    logins_are_decided(&server);
    let took = begin.elapsed();
    accounts.server().thaw();
    // At worst the deadline for each pooled connection. After that no login waits for it.
    assert!(took < Duration::from_secs(15), "{took:?}");
    eventually("the database", SOON, || change(&server, PASSWORD, "new words") == Outcome::Done);
}

fn changes_just_before_an_outage_count(kind: Kind) {
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
    // The rows are copied within moments, and from then on the snapshot has them.
    eventually("the rows", SOON, || accounts.snapshot_is_whole());
    accounts.server().crash();
    assert_eq!((word(&server, ANNA, &password), word(&server, DORA, DORAS_PASSWORD)), ("ACCOUNT", "FAIL"));
}

fn a_command_that_fails_in_an_outage_keeps_the_snapshot_usable(kind: Kind) {
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
    assert!(accounts.snapshot_is_whole(), "nothing was reported");
}

fn changed_aliases_and_domains_are_copied_at_once(kind: Kind) {
    let accounts = accounts(kind, "refresh = \"1h\"");
    accounts.admin(&["alias", "add", "info@example.org", ANNA], "");
    let server = server(&accounts);
    accounts.admin(&["alias", "add", "new@example.org", BRUNO], "");
    accounts.admin(&["alias", "remove", "info@example.org"], "");
    accounts.admin(&["alias", "add", "info@example.org", DORA], "");
    accounts.admin(&["domain", "add", "new.example"], "");
    accounts.admin(&["account", "import", "-"], "login,password\nemil@import.example,{PLAIN}secret\n");
    let taken = accounts.in_snapshot("SELECT taken FROM copy");
    eventually("the rows", SOON, || accounts.snapshot_is_whole());
    assert_eq!(accounts.in_snapshot("SELECT taken FROM copy"), taken, "not everything was read for this");
    accounts.server().crash();
    assert_eq!(send(&server, "ASK alias info@example.org\n"), format!("OK {DORA}\n"));
    assert_eq!(send(&server, "ASK alias new@example.org\n"), format!("OK {BRUNO}\n"));
    assert_eq!(send(&server, "ASK domain new.example\n"), "OK\n");
    assert_eq!(word(&server, "emil@import.example", "secret"), "ACCOUNT");
    accounts.server().start();
    eventually("the database", SOON, || change(&server, "wrong", "whatever") == Outcome::Fail);
    accounts.admin(&["domain", "set", "example.org", "--disabled"], "");
    eventually("its row", SOON, || accounts.snapshot_is_whole());
    accounts.server().crash();
    assert_eq!((word(&server, ANNA, PASSWORD), word(&server, "emil@import.example", "secret")), ("FAIL", "ACCOUNT"));
}

/// The command reports this if the connection was lost during the COMMIT of many accounts.
fn an_import_with_unknown_outcome_leaves_other_logins_usable(kind: Kind) {
    let accounts = accounts(kind, "");
    let server = server(&accounts);
    accounts.server().crash();
    assert_eq!(send(&server, "CHANGED additions\n"), "OK\n");
    for (user, password, right) in [
        (ANNA, PASSWORD, "ACCOUNT"),
        (ANNA, "wrong", "FAIL"),
        (DORA, DORAS_PASSWORD, "ACCOUNT"),
        (CARLA, PASSWORD, "FAIL"),
        (UNKNOWN, PASSWORD, "CLOSED"),
    ] {
        assert_eq!(word(&server, user, password), right, "{user}\n{}", server.log());
    }
    // A change that names nothing affects nothing.
    assert_eq!(send(&server, "FORGET\n"), "OK\n");
    assert_eq!(word(&server, ANNA, PASSWORD), "ACCOUNT");
    // A change that names an account affects only that.
    assert_eq!(send(&server, &format!("FORGET {ANNA}\n")), "OK\n");
    assert_eq!((word(&server, ANNA, PASSWORD), word(&server, DORA, DORAS_PASSWORD)), ("CLOSED", "ACCOUNT"));
    accounts.server().start();
    eventually("all", SOON, || accounts.snapshot_is_whole());
    accounts.server().crash();
    logins_are_decided(&server);
}

/// Gives the daemon another configuration by SIGHUP.
fn configure(server: &Mailauth, change: impl Fn(&str) -> String) {
    let config = fs::read_to_string(server.config_path()).expect("the configuration");
    let before = server.log().matches("configuration read again").count();
    let changed = change(&config);
    assert_ne!(changed, config);
    fs::write(server.config_path(), changed).expect("the configuration");
    server.reload();
    eventually("the new configuration", SOON, || server.log().matches("configuration read again").count() > before);
}

fn hosts_added_during_an_outage_keep_the_snapshot_usable(kind: Kind) {
    let accounts = accounts(kind, "");
    let server = server(&accounts);
    accounts.server().crash();
    logins_are_decided(&server);
    // A standby that does not exist yet.
    configure(&server, |config| config.replacen("@localhost/", "@localhost,127.0.0.1:9/", 1));
    logins_are_decided(&server);
    let said = check(&accounts);
    assert!(said.contains("the snapshot answers logins for "), "{said}");
    accounts.server().start();
    eventually("the database", SOON, || change(&server, "wrong", "whatever") == Outcome::Fail);
}

fn the_old_snapshot_answers_until_the_new_one_is_complete(kind: Kind) {
    let first = accounts(kind, "");
    let server = server(&first);
    let second = Accounts::on_own_server(kind).with("login,password\nemil@second.example,{PLAIN}secret\n");
    first.server().crash();
    second.server().crash();
    let (url, of_second) = (first.url(), second.config());
    let password = |config: &str| {
        let line = config.lines().find(|line| line.starts_with("password_file = "));
        line.expect("a password").to_owned()
    };
    configure(&server, |config| {
        config.replacen(&url, &second.url(), 1).replacen(&password(config), &password(&of_second), 1)
    });
    eventually("its turn", SOON, || word(&server, ANNA, PASSWORD) == "ACCOUNT");
    logins_are_decided(&server);
    second.server().start();
    eventually("the new database", SOON, || word(&server, "emil@second.example", "secret") == "ACCOUNT");
    eventually("all of it", SOON, || first.in_snapshot("SELECT COUNT(*) FROM accounts") == Some(1));
    second.server().crash();
    assert_eq!((word(&server, "emil@second.example", "secret"), word(&server, ANNA, PASSWORD)), ("ACCOUNT", "FAIL"));
}

fn a_damaged_snapshot_gives_no_wrong_answer_and_is_rebuilt(kind: Kind) {
    let accounts = accounts(kind, "refresh = \"1s\"").with(&many(2500));
    let mut server = server(&accounts);
    server.terminate();
    server.wait(SOON);
    accounts.server().crash();
    accounts.damage_snapshot();
    let said = check(&accounts);
    assert!(said.contains("snapshot.db cannot be used: "), "{said}");
    server.start_again();
    for number in (0..2500).step_by(25) {
        let word = word(&server, &format!("user{number}@many.example"), PASSWORD);
        assert!(matches!(word, "ACCOUNT" | "CLOSED"), "{word} for {number}\n{}", server.log());
    }
    accounts.server().start();
    server.wait_for_log("it is made from the database again");
    eventually("a new file", SOON, || accounts.in_snapshot("SELECT accounts FROM copy WHERE taken > 0") == Some(2505));
    assert_eq!(server.log().matches("it is made from the database again").count(), 1, "{}", server.log());
    eventually("a good word", SOON, || check(&accounts).contains("snapshot.db: 2505 accounts, "));
    accounts.server().crash();
    some_logins_continue(&server);
}

fn some_logins_continue(server: &Mailauth) {
    for number in (0..2500).step_by(250) {
        assert_eq!(word(server, &format!("user{number}@many.example"), PASSWORD), "ACCOUNT", "{}", server.log());
    }
}

fn a_transaction_open_during_several_refreshes_is_copied(kind: Kind) {
    let accounts = accounts(kind, "refresh = \"1s\"").with(&many(2500));
    let server = server(&accounts);
    let refreshed = || accounts.in_snapshot("SELECT refreshed FROM copy").unwrap_or(0);
    let disable = format!(
        "UPDATE accounts SET enabled = 0, updated_at = {} WHERE login = '{DORA}'",
        if kind == Kind::Postgres { "now() AT TIME ZONE 'UTC'" } else { "UTC_TIMESTAMP()" }
    );
    accounts.while_uncommitted(&disable, || {
        let begin = refreshed();
        eventually("several refreshes", SOON, || refreshed() >= begin + 4);
    });
    let committed = refreshed();
    eventually("two more", SOON, || refreshed() >= committed + 2);
    accounts.server().crash();
    assert_eq!((word(&server, DORA, DORAS_PASSWORD), word(&server, ANNA, PASSWORD)), ("FAIL", "ACCOUNT"));
}

fn changes_by_other_programs_are_copied(kind: Kind) {
    // Rows that were removed are found when everything is read, which is at least every quarter of this age.
    let accounts = accounts(kind, "max_age = \"80s\"\nrefresh = \"1s\"").with(&many(2500));
    let server = server(&accounts);
    // By the command of a machine without a daemon to report to.
    accounts.are_served_on(Path::new("/nonexistent/socket"));
    accounts.admin(&["account", "passwd", ANNA, "--password-stdin"], "new words");
    accounts.admin(&["account", "remove", "user7@many.example"], "");
    accounts.admin(&["account", "set", DORA, "--disabled"], "");
    let size = || check(&accounts).contains(": 2504 accounts, ");
    eventually("the new rows in the copy", SOON * 3, size);
    eventually("one more refresh", SOON, || check(&accounts).contains(" 0 s old"));
    accounts.server().crash();
    assert_eq!((word(&server, ANNA, PASSWORD), word(&server, ANNA, "new words")), ("FAIL", "ACCOUNT"));
    assert_eq!(word(&server, DORA, DORAS_PASSWORD), "FAIL");
    assert_eq!(word(&server, "user7@many.example", PASSWORD), "FAIL");
    assert_eq!(word(&server, "user2499@many.example", PASSWORD), "ACCOUNT");
}

fn a_killed_daemon_answers_when_started_without_its_database(kind: Kind) {
    let accounts = accounts(kind, "").with(&many(2500));
    drop(server(&accounts));
    for pause in 0..8 {
        let mut server = start(&accounts, "");
        // Everything is copied again, and the daemon is killed during that.
        let _ = send(&server, "FORGET\n");
        std::thread::sleep(Duration::from_millis(pause * 10));
        server.signal(Signal::KILL);
        server.wait(SOON);
    }
    let decide = |others: &[&str]| {
        let server = start(&accounts, "");
        for (user, password, answer) in [
            (ANNA, PASSWORD, "ACCOUNT"),
            (ANNA, "wrong", "FAIL"),
            (CARLA, PASSWORD, "FAIL"),
            (UNKNOWN, PASSWORD, "FAIL"),
            ("user2499@many.example", PASSWORD, "ACCOUNT"),
        ] {
            let word = word(&server, user, password);
            assert!(word == answer || others.contains(&word), "{word} for {user}\n{}", server.log());
        }
    };
    // Rows that it was told to copy again are not used until that is done, and a restart does not change that.
    accounts.server().crash();
    decide(&["CLOSED"]);
    accounts.server().start();
    let server = start(&accounts, "");
    eventually("the remaining changes", SOON, || accounts.snapshot_is_whole());
    drop(server);
    accounts.server().crash();
    decide(&[]);
}

#[test]
fn a_snapshot_that_is_too_old_decides_nothing() {
    let accounts = accounts(Kind::MariaDb, "max_age = \"8s\"\nrefresh = \"1s\"");
    let server = server(&accounts);
    let said = check(&accounts);
    assert!(said.contains("snapshot.db: 5 accounts, "), "{said}");
    accounts.server().crash();
    let begin = Instant::now();
    assert_eq!((word(&server, ANNA, PASSWORD), check_code(&accounts)), ("ACCOUNT", Some(1)), "{}", check(&accounts));
    let said = check(&accounts);
    assert!(said.contains("the snapshot answers logins for "), "{said}");
    eventually("its end", SOON, || word(&server, ANNA, PASSWORD) == "CLOSED");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    server.wait_for_log("older than [outage] max_age (8 s)");
    let said = check(&accounts);
    assert!(said.contains("it is too old to answer logins"), "{said}");
    assert_eq!(check_code(&accounts), Some(2));
}

#[test]
fn a_reload_keeps_the_snapshot_and_one_refresh_thread() {
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
fn a_missing_folder_is_warned_about_and_disables_the_snapshot() {
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
    assert!(said.contains("there is no snapshot"), "{said}");
}
