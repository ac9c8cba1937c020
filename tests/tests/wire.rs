//! The authdaemon protocol on the wire, with each database: one table of cases for mailauth's daemon and authdaemond.
//!
//! The real courier-authdaemond is run with the same cases, so that the table stays correct; with
//! `MAILAUTH_TEST_PEER=courier` also with those that wait for its timeouts.

#[path = "wire/cases.rs"]
mod cases;

use cases::Case;
use mailauth_tests::people::{ANNA, BRUNO, CARLA, DORA, DORAS_PASSWORD, EMIL, PASSWORD, UNKNOWN, many, people};
use mailauth_tests::wire::{Entry, Manner, Outcome, Record, ask, auth, connect, login, passwd, pre};
use mailauth_tests::{Accounts, Courier, Kind, Mailauth, on_each_database};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

on_each_database!(
    look_ups,
    logins,
    lengths,
    challenges,
    refused_changes,
    others,
    unfinished_requests_are_closed_after_ten_seconds,
    authdaemond_answers_as_the_table_says,
    replies_contain_what_authdaemond_sends,
    hashes_and_clear_passwords_are_sent_only_if_configured,
    only_the_changed_password_logs_in,
    a_password_change_keeps_or_improves_the_scheme,
    a_client_that_leaves_early_affects_no_other,
    two_hundred_simultaneous_clients_get_their_own_answers,
);

fn accounts(kind: Kind) -> Accounts {
    Accounts::empty(kind).with(&people(Path::new("/var/mail")))
}

/// Sends all requests to mailauth's daemon, and reports all wrong answers at once.
fn check(kind: Kind, cases: Vec<Case>) {
    let accounts = accounts(kind);
    let server = Mailauth::over(&accounts);
    let wrong = wrong_answers(server.socket(), &cases, |case| case.right.to_vec());
    assert!(wrong.is_empty(), "{}\n\n{}", wrong.join("\n"), server.log());
}

fn wrong_answers(socket: &Path, cases: &[Case], right: impl Fn(&Case) -> Vec<&'static str>) -> Vec<String> {
    let answers: Vec<_> = cases.iter().map(|case| ask(socket, &case.request, case.manner).outcome()).collect();
    let alive = login(socket, ANNA, PASSWORD);
    assert_eq!(alive.word(), "ACCOUNT", "a good login after {} requests", cases.len());
    let pairs = cases.iter().zip(answers);
    pairs
        .filter(|(case, got)| !right(case).contains(&got.word()))
        .map(|(case, got)| format!("{}: {got:?}, wanted {}", case.name, right(case).join(" or ")))
        .collect()
}

fn look_ups(kind: Kind) {
    check(kind, cases::look_ups());
}

fn logins(kind: Kind) {
    check(kind, cases::logins());
}

fn lengths(kind: Kind) {
    check(kind, cases::lengths());
}

fn challenges(kind: Kind) {
    check(kind, cases::challenges());
}

fn refused_changes(kind: Kind) {
    check(kind, cases::refused_changes());
}

fn others(kind: Kind) {
    check(kind, cases::others());
}

fn unfinished_requests_are_closed_after_ten_seconds(kind: Kind) {
    let accounts = accounts(kind);
    let server = Mailauth::over(&accounts);
    wait_out(server.socket());
    if std::env::var("MAILAUTH_TEST_PEER").is_ok_and(|peer| peer == "courier") {
        wait_out(&Courier::over(&accounts).socket());
    }
}

/// Sends all at once, because authdaemond has five children.
fn wait_out(socket: &Path) {
    std::thread::scope(|scope| {
        for case in cases::unfinished() {
            scope.spawn(move || {
                let reply = ask(socket, &case.request, case.manner);
                assert!(case.right.contains(&reply.outcome().word()), "{}: {:?}", case.name, reply.outcome());
                let seconds = reply.took.as_secs_f64();
                assert!((8.0..20.0).contains(&seconds), "{}: after {seconds:.1} s", case.name);
            });
        }
    });
}

fn authdaemond_answers_as_the_table_says(kind: Kind) {
    let accounts = accounts(kind);
    let real = Courier::over(&accounts);
    let cases = [
        cases::look_ups(),
        cases::logins(),
        cases::lengths(),
        cases::challenges(),
        cases::refused_changes(),
        cases::others(),
    ];
    let cases: Vec<Case> = cases.into_iter().flatten().collect();
    let right = |case: &Case| case.real.map_or_else(|| case.right.to_vec(), |(outcomes, _why)| outcomes.to_vec());
    let wrong = wrong_answers(&real.socket(), &cases, right);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn replies_contain_what_authdaemond_sends(kind: Kind) {
    let accounts = Accounts::empty(kind).with(&people(Path::new("/var/mail"))).with(&many(200));
    let ours = Mailauth::with(&accounts, "send_hash = true\nsend_clear = true");
    let real = Courier::over(&accounts);
    let mut requests = vec![
        pre("imap", ANNA),
        pre("courier", ANNA),
        pre("pop3", BRUNO),
        pre("imap", DORA),
        auth("imap", ANNA, PASSWORD),
        auth("imap", DORA, DORAS_PASSWORD),
    ];
    requests.extend((0..200).map(|number| pre("imap", &format!("user{number}@many.example"))));
    for request in requests {
        let [mine, theirs] = [ours.socket(), &real.socket()].map(|socket| record(socket, &request));
        assert_eq!(mine, theirs, "{}", String::from_utf8_lossy(&request));
    }
    let [mine, theirs] = [ours.socket(), &real.socket()].map(listing);
    let names: BTreeSet<&str> = mine.iter().map(|entry| entry.login.as_str()).collect();
    assert_eq!((mine.len(), names.contains(ANNA)), (204, true), "all but the disabled account");
    assert_eq!(mine, theirs.into_iter().filter(|entry| entry.login != CARLA).collect());
}

fn record(socket: &Path, request: &[u8]) -> Record {
    ask(socket, request, Manner::Whole).outcome().account()
}

fn listing(socket: &Path) -> BTreeSet<Entry> {
    match ask(socket, b"ENUMERATE\n", Manner::Whole).outcome() {
        Outcome::List(entries) => entries.into_iter().collect(),
        other => panic!("not a listing but {other:?}"),
    }
}

fn hashes_and_clear_passwords_are_sent_only_if_configured(kind: Kind) {
    let accounts = accounts(kind);
    let server = Mailauth::over(&accounts);
    for request in [pre("imap", ANNA), pre("imap", DORA), auth("imap", DORA, DORAS_PASSWORD)] {
        let record = record(server.socket(), &request);
        assert_eq!((record.get("PASSWD"), record.get("PASSWD2")), (None, None));
    }
    let log = server.log();
    assert!(!log.contains(DORAS_PASSWORD) && !log.contains("QQTTb42i"), "{log}");
}

fn only_the_changed_password_logs_in(kind: Kind) {
    let accounts = accounts(kind);
    let server = Mailauth::over(&accounts);
    let socket = server.socket();
    let long = "x".repeat(64);
    let mut old = PASSWORD;
    for new in ["new words", "it's \\ \"new\" $(domain) % ;--", "pässwörter", " spaces around ", &long, PASSWORD] {
        assert_eq!(ask(socket, &passwd(ANNA, old, new), Manner::Whole).outcome(), Outcome::Done, "{new}");
        assert_eq!(login(socket, ANNA, new).word(), "ACCOUNT", "{new}");
        assert_eq!(login(socket, ANNA, old), Outcome::Fail, "{old} after {new}");
        old = new;
    }
    let tab = format!("PASSWD imap\t{ANNA}\t{PASSWORD}\tnew words\tmore\n");
    for refused in [passwd(ANNA, PASSWORD, ""), passwd(ANNA, PASSWORD, "short"), tab.into_bytes()] {
        assert_eq!(ask(socket, &refused, Manner::Whole).outcome(), Outcome::Fail);
    }
    assert_eq!(login(socket, ANNA, PASSWORD).word(), "ACCOUNT", "a refused change changes nothing");
    for user in [EMIL, UNKNOWN] {
        assert_eq!(ask(socket, &passwd(user, "", "new words"), Manner::Whole).outcome(), Outcome::Fail);
    }
}

fn a_password_change_keeps_or_improves_the_scheme(kind: Kind) {
    let accounts = accounts(kind);
    let server = Mailauth::with(&accounts, "send_hash = true\nsend_clear = true");
    for (user, old) in [(ANNA, PASSWORD), (DORA, DORAS_PASSWORD)] {
        assert_eq!(ask(server.socket(), &passwd(user, old, "new words"), Manner::Whole).outcome(), Outcome::Done);
        let record = record(server.socket(), &pre("imap", user));
        let stored = record.get("PASSWD").unwrap_or_default();
        assert!(stored.starts_with("$6$") || stored.starts_with("{CRYPT}$6$"), "{user}: {stored}");
        assert_eq!(record.get("PASSWD2"), None, "{user}");
        assert_eq!(login(server.socket(), user, "new words").word(), "ACCOUNT");
    }
}

fn a_client_that_leaves_early_affects_no_other(kind: Kind) {
    let accounts = accounts(kind).with(&many(300));
    let server = Mailauth::over(&accounts);
    let good = auth("imap", ANNA, PASSWORD);
    for _ in 0..8 {
        let mut reader = connect(server.socket());
        reader.write_all(b"ENUMERATE\n").expect("a request");
        reader.read_exact(&mut [0; 20]).expect("the beginning of a listing");
    }
    for bytes in 0..300 {
        let mut client = connect(server.socket());
        client.write_all(&good[..bytes % good.len()]).expect("the beginning of a request");
    }
    for _ in 0..100 {
        connect(server.socket()).write_all(&good).expect("a request");
    }
    let begin = Instant::now();
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

fn two_hundred_simultaneous_clients_get_their_own_answers(kind: Kind) {
    let accounts = accounts(kind);
    let server = Mailauth::over(&accounts);
    let requests = [
        (auth("imap", ANNA, PASSWORD), "ACCOUNT"),
        (auth("imap", ANNA, "wrong"), "FAIL"),
        (pre("imap", DORA), "ACCOUNT"),
        (auth("imap", UNKNOWN, PASSWORD), "FAIL"),
    ];
    std::thread::scope(|scope| {
        for (request, right) in requests.iter().cycle().take(200) {
            let socket = server.socket();
            scope.spawn(move || assert_eq!(ask(socket, request, Manner::Whole).outcome().word(), *right));
        }
    });
}
