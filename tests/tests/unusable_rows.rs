//! Rows that can never be used: they affect only themselves, and the command does not write them.

use mailauth_tests::people::{ANNA, CHEAP_HASH, PASSWORD, people};
use mailauth_tests::wire::{Manner, Outcome, ask, login, passwd, pre};
use mailauth_tests::{Accounts, Kind, Mailauth, Scratch, on_each_database};
use serde_json::Value;
use std::fs;
use std::path::Path;

on_each_database!(an_unusable_row_affects_only_itself, check_counts_unusable_rows_and_explains_what_to_do,);

/// Logins of rows that can be used only after a change, each with the invalid column.
const BAD: [(&str, &str); 5] = [
    ("sales/eu@example.org", "login"),
    ("..@example.org", "login"),
    (".@example.org", "login"),
    ("root@example.org", "uid"),
    ("wheel@example.org", "gid"),
];

fn with_bad_rows(kind: Kind, mail: &Path) -> Accounts {
    let accounts = Accounts::empty(kind).with(&people(mail));
    for (user, column) in BAD {
        let (uid, gid) = (if column == "uid" { "0" } else { "NULL" }, if column == "gid" { "0" } else { "NULL" });
        accounts.sql_without_checks(&format!(
            "INSERT INTO accounts (login, domain, password, uid, gid) \
             VALUES ('{user}', 'example.org', '{CHEAP_HASH}', {uid}, {gid})"
        ));
    }
    accounts
}

fn text(server: &Mailauth, request: &str) -> String {
    String::from_utf8(ask(server.socket(), request.as_bytes(), Manner::Whole).bytes).expect("text")
}

/// Returns the logins of a complete list of all accounts.
fn listed(server: &Mailauth) -> Vec<String> {
    match ask(server.socket(), b"ENUMERATE\n", Manner::Whole).outcome() {
        Outcome::List(entries) => entries.into_iter().map(|entry| entry.login).collect(),
        other => panic!("{other:?}: {}", server.log()),
    }
}

fn an_unusable_row_affects_only_itself(kind: Kind) {
    let accounts = with_bad_rows(kind, Path::new("/var/mail"));
    let server = Mailauth::over(&accounts);
    let logins = listed(&server);
    assert!(
        logins.contains(&ANNA.to_owned()) && BAD.iter().all(|(user, _)| !logins.iter().any(|l| l == user)),
        "{logins:?}"
    );
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
    for (user, column) in BAD {
        let words = [PASSWORD, "wrong"].map(|password| login(server.socket(), user, password).word());
        assert_eq!(words, ["FAIL"; 2], "{user}: {}", server.log());
        assert_eq!(ask(server.socket(), &pre("imap", user), Manner::Whole).outcome().word(), "FAIL", "{user}");
        assert_eq!(ask(server.socket(), &passwd(user, PASSWORD, "a new one"), Manner::Whole).outcome().word(), "FAIL");
        // An error of the administrator bounces no mail.
        assert_eq!(ask(server.socket(), &pre("courier", user), Manner::Whole).outcome().word(), "CLOSED", "{user}");
        for question in ["account", "recipient 100"] {
            let said = text(&server, &format!("ASK {question} {user}\n"));
            assert!(said.starts_with(&format!("LATER account {user}: column {column} ")), "{said}");
        }
        let told = accounts.try_admin(&["auth", user, "--password-stdin", "--json"], &format!("{PASSWORD}\n"));
        let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
        assert_eq!((&told["answer"], &told["code"]), (&"no".into(), &"unusable-account".into()), "{told}");
    }
    let log = server.log();
    for (user, column) in BAD {
        let about = |line: &&str| line.contains(user) && line.contains(&format!("column {column} "));
        let lines: Vec<_> = log.lines().filter(about).collect();
        assert!(lines.iter().any(|line| line.contains("reason=\"unusable-account\"")), "{user}: {log}");
        assert!(lines.iter().any(|line| line.contains("WARN") && line.contains("left out of a list")), "{user}: {log}");
    }
}

#[test]
fn an_unreadable_value_refuses_its_login_and_no_other() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let sets = [
        ("enabled", "enabled = 2"),
        ("services", "services = 'imap;pop3'"),
        ("uid", "uid = 4294967295"),
        ("quota_bytes", "quota_bytes = -5"),
        ("home", "home = 'mail'"),
        ("name", "name = 'x' || char(10) || 'UID=0'"),
        ("name", "name = CAST(x'ff' AS TEXT)"),
    ];
    let user = |number: usize| format!("bad{number}@example.org");
    for (number, (_, set)) in sets.into_iter().enumerate() {
        accounts.admin(&["account", "add", &user(number), "--password-stdin"], &format!("{PASSWORD}\n"));
        accounts.sql_without_checks(&format!("UPDATE accounts SET {set} WHERE login = '{}'", user(number)));
    }
    let server = Mailauth::over(&accounts);
    let logins = listed(&server);
    assert!(logins.contains(&ANNA.to_owned()) && !logins.iter().any(|login| login.starts_with("bad")), "{logins:?}");
    for (number, (column, set)) in sets.into_iter().enumerate() {
        let words = [PASSWORD, "wrong"].map(|password| login(server.socket(), &user(number), password).word());
        assert_eq!(words, ["FAIL"; 2], "{set}: {}", server.log());
        assert!(server.log().contains(&format!("{}: column {column} ", user(number))), "{set}: {}", server.log());
        let said = text(&server, &format!("ASK recipient 100 {}\n", user(number)));
        assert!(said.starts_with("LATER "), "{set}: {said}");
    }
}

/// Runs the command, which has to exit with `code`. Returns the standard error.
#[track_caller]
fn refused(accounts: &Accounts, arguments: &[&str], input: &str, code: i32) -> String {
    let output = accounts.try_admin(arguments, input);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

#[test]
fn the_command_writes_no_unusable_row() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    for user in ["sales/eu@example.org", "..@example.org", ".@example.org"] {
        let said = refused(&accounts, &["account", "add", user, "--no-password"], "", 2);
        assert!(said.contains("give the account a home of its own"), "{said}");
        accounts.admin(&["account", "add", user, "--no-password", "--home", "/srv/odd"], "");
        let said = refused(&accounts, &["account", "set", user, "--home", "default"], "", 2);
        assert!(said.contains("give the account a home of its own"), "{said}");
        accounts.admin(&["account", "remove", user], "");
        let said = refused(&accounts, &["account", "rename", "emil@example.org", user, "--exact"], "", 0);
        assert!(!said.contains("refused"), "its home is in its row: {said}");
        accounts.admin(&["account", "rename", user, "emil@example.org"], "");
    }
    accounts.admin(&["account", "set", "emil@example.org", "--home", "default"], "");
    let said = refused(&accounts, &["account", "rename", "emil@example.org", "e/mil@example.org"], "", 2);
    assert!(said.contains("give the account a home of its own"), "{said}");
    let said = refused(&accounts, &["account", "set", ANNA, "--uid", "0", "--home", "mail", "--quota", "x"], "", 2);
    assert!(["--uid: ", "--home: ", "--quota: "].iter().all(|option| said.contains(option)), "{said}");
    let bad = ["account", "add", "a/b@example.org", "--no-password", "--gid", "0", "--name", "a\nb"];
    let said = refused(&accounts, &bad, "", 2);
    assert!(["--gid: ", "--name: ", "column login "].iter().all(|part| said.contains(part)), "{said}");
}

#[test]
fn an_import_of_unusable_rows_is_refused_line_by_line() {
    let accounts = Accounts::empty(Kind::Sqlite);
    let csv = "login,uid,home\na@x.example,5000,/h\nsales/eu@x.example,5000,\n..@x.example,0,\n.@x.example,,/h\n";
    let said = refused(&accounts, &["account", "import", "-"], csv, 1);
    assert!(said.contains(":3: login would lead out of the default home"), "{said}");
    assert!(said.contains(":4: uid: 0 is root") && said.contains(":4: login would lead out"), "{said}");
    assert!(!said.contains(":2:") && !said.contains(":5:") && said.contains("nothing was imported"), "{said}");
}

/// Removes the user of the mailboxes from the configuration.
fn remove_the_user(accounts: &Accounts) {
    let config = accounts.config();
    let start = config.find("[outage]").expect("the section after [mailbox]");
    fs::write(accounts.config_path(), &config[start..]).expect("the configuration");
}

#[test]
fn an_account_without_a_user_is_refused_with_advice() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    remove_the_user(&accounts);
    let add = ["account", "add", "new@example.org", "--no-password"];
    let said = refused(&accounts, &add, "", 2);
    assert!(said.contains("[mailbox] uid") && said.contains("[mailbox] gid"), "{said}");
    refused(&accounts, &[&add[..], &["--uid", "5000", "--gid", "5000"]].concat(), "", 0);
    let unset = ["account", "set", "new@example.org", "--uid", "default"];
    assert!(refused(&accounts, &unset, "", 2).contains("[mailbox] uid"));
}

#[test]
fn an_unusable_row_can_be_corrected_column_by_column() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    accounts.sql_without_checks(&format!(
        "UPDATE accounts SET uid = 0, gid = 0, name = CAST(x'ff' AS TEXT) WHERE login = '{ANNA}'"
    ));
    accounts.admin(&["account", "set", ANNA, "--name", "Anna"], "");
    accounts.admin(&["account", "set", ANNA, "--uid", "5000"], "");
    accounts.admin(&["account", "set", ANNA, "--gid", "5000"], "");
    accounts.admin(&["auth", ANNA, "--password-stdin"], &format!("{PASSWORD}\n"));
}

/// Returns what `mailauth check` found, as (state, text) of this name.
fn found(accounts: &Accounts, what: &str) -> Vec<(String, String)> {
    let output = accounts.try_admin(&["check", "--json"], "");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let all = told["findings"].as_array().expect("findings").iter();
    let word = |value: &Value| value.as_str().expect("text").to_owned();
    all.filter(|f| f["what"] == what).map(|f| (word(&f["state"]), word(&f["text"]))).collect()
}

fn check_counts_unusable_rows_and_explains_what_to_do(kind: Kind) {
    let folder = Scratch::new("mailboxes");
    let accounts = with_bad_rows(kind, folder.path());
    fs::create_dir_all(folder.join("anna/Maildir/cur")).expect("a mailbox");
    fs::create_dir_all(folder.join("bruno")).expect("a home");
    let rows = [("cut@example.org", "$6$saltsalt$cut"), ("odd@example.org", "{FOO}bar")];
    for (user, hash) in rows {
        accounts.sql_without_checks(&format!(
            "INSERT INTO accounts (login, domain, password, home) \
             VALUES ('{user}', 'example.org', '{hash}', '{}/anna')",
            folder.path().display()
        ));
    }
    for (address, target) in [
        ("info", "annna@example.org"),
        ("info", ANNA),
        ("away", "anna@else.example"),
        ("chain", "away@example.org"),
        ("bad", "anna@example.org,bruno@example.org"),
    ] {
        accounts.sql_without_checks(&format!(
            "INSERT INTO aliases (address, domain, target) VALUES ('{address}@example.org', 'example.org', '{target}')"
        ));
    }
    let [_, (state, text)] = &found(&accounts, "accounts")[..] else { panic!("{:?}", found(&accounts, "accounts")) };
    assert!(state == "degraded" && text.starts_with("5 accounts can never be used"), "{text}");
    let named = BAD.iter().filter(|(user, _)| text.contains(&format!("account {user}: "))).count();
    assert!(named == 3 && text.contains(", and others; correct them with 'mailauth account set'"), "{text}");
    let passwords = found(&accounts, "passwords");
    let (state, text) = &passwords[0];
    assert!(state == "degraded" && text.starts_with("2 stored passwords match no password: "), "{text}");
    assert!(rows.iter().all(|(user, _)| text.contains(user)) && text.contains("account passwd"), "{text}");
    let mailboxes = found(&accounts, "mailboxes");
    let (state, text) = &mailboxes[1];
    assert!(state == "degraded" && text.starts_with("1 home has no mailbox: bruno@example.org ("), "{text}");
    // Carla is disabled.
    let (state, text) = &mailboxes[2];
    assert!(state == "ok" && text.starts_with("2 accounts have no home yet: dora@example.org ("), "{text}");
    let aliases = found(&accounts, "aliases");
    assert_eq!(aliases.len(), 2, "{aliases:?}");
    assert!(aliases[0].1.starts_with("1 alias has no effect: mail for bad@example.org is deferred"), "{aliases:?}");
    assert!(
        aliases[1].1.starts_with("1 target of an alias does not exist: info@example.org -> annna@example.org; correct"),
        "{aliases:?}"
    );
    assert_eq!(found(&accounts, "rows"), [("ok".to_owned(), "12 accounts and 4 aliases were checked".to_owned())]);
    assert_eq!(accounts.try_admin(&["check", "--all"], "").status.code(), Some(1));
}
