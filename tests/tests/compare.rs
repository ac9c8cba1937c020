//! `mailauth compare` with the real courier-authdaemond and mailauth's daemon.

use mailauth_tests::people::{ANNA, BRUNO, CARLA, DORA, UNKNOWN, many, people};
use mailauth_tests::{Accounts, Courier, Kind, Mailauth, on_each_database, output_with_input};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

on_each_database!(the_same_rows_give_the_same_answers, each_difference_is_listed);

/// Runs the command on these sockets, with these logins on its standard input.
fn compare(accounts: &Accounts, old: &Path, new: &Path, more: &[&str], logins: &str) -> Output {
    let (old, new) = (old.display().to_string(), new.display().to_string());
    let arguments = [&["compare", "--socket", &old, "--to", &new], more, &["-"]].concat();
    accounts.try_admin(&arguments, logins)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns the words of each line.
fn words(output: &Output) -> Vec<Vec<String>> {
    text(&output.stdout).lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

fn the_same_rows_give_the_same_answers(kind: Kind) {
    let accounts = Accounts::empty(kind).with(&people(Path::new("/var/mail"))).with(&many(20));
    let (courier, mailauth) = (Courier::over(&accounts), Mailauth::over(&accounts));
    let many: String = (0..25).map(|number| format!("user{number}@many.example\n")).collect();
    let logins = format!("{ANNA}\n{DORA}\r\n\n  {UNKNOWN}\n{many}Ω@example.org\n");
    let output = compare(&accounts, &courier.socket(), mailauth.socket(), &[], &logins);
    assert_eq!(
        text(&output.stdout),
        "29 logins: 29 the same (22 yes, 7 no), 0 different, 0 without an answer\n",
        "{output:?}"
    );
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    // The configuration names mailauth's socket.
    let courier = courier.socket().display().to_string();
    let output = accounts.try_admin(&["compare", "--socket", &courier, "-", "--service", "pop3"], ANNA);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

fn each_difference_is_listed(kind: Kind) {
    let old = Accounts::empty(kind).with(&people(Path::new("/srv/old")));
    let new = Accounts::empty(kind).with(&people(Path::new("/srv/mail")));
    new.admin(
        &["account", "set", ANNA, "--uid", "5001", "--quota", "20000000S,1000C", "--maildir", "/srv/mail/anna/Mail"],
        "",
    );
    new.admin(&["account", "remove", DORA], "");
    old.admin(&["account", "set", ANNA, "--options", "wbnodsn=1,group=staff"], "");
    old.admin(&["account", "set", DORA, "--options", "disablepop3=1"], "");
    let (courier, mailauth) = (Courier::over(&old), Mailauth::over(&new));
    let logins = [ANNA, BRUNO, CARLA, DORA, UNKNOWN].join("\n");
    let output = compare(&new, &courier.socket(), mailauth.socket(), &[], &logins);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let rows = words(&output);
    let expected = [
        "LOGIN WHAT OLD MAILAUTH",
        "anna@example.org uid 5000 5001",
        "anna@example.org home /srv/old/anna /srv/mail/anna",
        "anna@example.org maildir /srv/old/anna/Maildir /srv/mail/anna/Mail",
        "anna@example.org quota 10000000S,1000C 20000000S,1000C",
        // Courier knows no services and no switch for an account.
        "bruno@example.org answer yes no",
        "carla@example.org answer yes no",
        "dora@example.org answer yes no",
        "5 logins: 1 the same (0 yes, 1 no), 4 different, 0 without an answer",
        "differences: 3 answer, 1 home, 1 maildir, 1 quota, 1 uid",
        "'mailauth auth LOGIN' prints the reason of mailauth's answer",
    ];
    assert_eq!(rows.iter().map(|row| row.join(" ")).collect::<Vec<_>>(), expected);
    // An option that disables the service is a no.
    let output = compare(&new, &courier.socket(), mailauth.socket(), &["--service", "pop3"], DORA);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let ignore = ["--ignore", "uid,home", "--ignore", "maildir", "--json"];
    let output = compare(&new, &courier.socket(), mailauth.socket(), &ignore, ANNA);
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let expected = serde_json::json!({
        "differences": [
            { "login": ANNA, "what": "quota", "old": "10000000S,1000C", "mailauth": "20000000S,1000C" },
        ],
        "complete": true,
        "summary": {
            "logins": 1, "same": 0, "same_yes": 0, "different": 1, "unanswered": 0, "by_kind": { "quota": 1 },
        },
    });
    assert_eq!((found, output.status.code()), (expected, Some(1)));
}

#[test]
fn a_daemon_that_does_not_answer_is_no_difference() {
    let accounts = Accounts::on_own_server(Kind::MariaDb).with(&people(Path::new("/var/mail")));
    let (courier, mailauth) = (Courier::over(&accounts), Mailauth::with(&accounts, "[cache]\nenabled = false"));
    let absent = accounts.folder().join("no-socket");
    let output = compare(&accounts, &absent, mailauth.socket(), &[], &[ANNA, UNKNOWN].join("\n"));
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    let shown = text(&output.stdout);
    assert!(shown.contains("not now: "), "{shown}");
    assert!(shown.contains("2 logins: 0 the same (0 yes, 0 no), 0 different, 2 without an answer"), "{shown}");
    // After many, it is not asked any more.
    let many: String = (0..2000).map(|number| format!("user{number}@many.example\n")).collect();
    let output = compare(&accounts, &absent, mailauth.socket(), &["--json"], &many);
    assert_eq!(output.status.code(), Some(75));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&found["complete"], &found["summary"]["different"]), (&Value::Bool(false), &Value::from(0)));
    let said = text(&output.stderr);
    assert!(said.contains("the old daemon does not answer any more; the logins from number "), "{said}");
    // Both close without an answer while the database is away.
    accounts.server().crash();
    let output = compare(&accounts, &courier.socket(), mailauth.socket(), &[], ANNA);
    assert_eq!(output.status.code(), Some(75), "{output:?}");
}

#[test]
fn a_long_file_is_compared_in_order() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&many(3000));
    let (courier, mailauth) = (Courier::over(&accounts), Mailauth::over(&accounts));
    for number in [0, 600, 2999] {
        accounts.admin(&["account", "set", &format!("user{number}@many.example"), "--disabled"], "");
    }
    let file = accounts.folder().join("logins");
    let mut logins: String = (0..3000).map(|number| format!("user{number}@many.example\n")).collect();
    logins += &"x".repeat(5000);
    std::fs::write(&file, logins).expect("a file");
    let old = courier.socket().display().to_string();
    let (new, file) = (mailauth.socket().display().to_string(), file.display().to_string());
    let mut command = accounts.admin_command(&["compare", "--socket", &old, "--to", &new, &file]);
    let output = output_with_input(&mut command, "");
    let shown = words(&output);
    let listed: Vec<&str> = shown.iter().skip(1).take(3).map(|row| row[0].as_str()).collect();
    assert_eq!(listed, ["user0@many.example", "user600@many.example", "user2999@many.example"]);
    assert!(
        text(&output.stdout).contains("3001 logins: 2997 the same (2997 yes, 0 no), 3 different, 1 without an answer")
    );
    let said = text(&output.stderr);
    assert_eq!(said, "mailauth: warning: line 3001 is too long for a login; the daemons were not asked about it\n");
    assert_eq!(output.status.code(), Some(75));
}

#[test]
fn mistakes_on_the_command_line_are_explained() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let mailauth = Mailauth::over(&accounts);
    let output = compare(&accounts, mailauth.socket(), mailauth.socket(), &[], ANNA);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("is mailauth's own socket"), "{output:?}");
    let output = accounts.try_admin(&["compare", "--socket", "/run/other", "/no/such/file"], "");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("/no/such/file cannot be read: No such file"), "{output:?}");
    let output = accounts.try_admin(&["compare", "--socket", "/run/other", "--ignore", "answer", "-"], "");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
