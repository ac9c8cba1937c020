//! Lists, quotas and exports over the tables of another program.

use mailauth_tests::schemas::of;
use mailauth_tests::wire::{Entry, Manner, Outcome, ask, login};
use mailauth_tests::{Accounts, Kind, Mailauth, Scratch, on_each_database, on_each_database_and_mysql};
use serde_json::Value;
use std::fs;

on_each_database_and_mysql!(
    accounts_domains_and_aliases_are_listed,
    rows_that_cannot_be_used_are_named_by_lists,
    an_export_moves_the_accounts_to_own_tables,
);

mod of_mailboxes {
    use super::quotas_are_reported_and_counted;
    super::on_each_database!(quotas_are_reported_and_counted);
}

mod of_many {
    use super::many_accounts_are_listed_in_pages;
    super::on_each_database!(many_accounts_are_listed_in_pages);
}

/// The logins of PostfixAdmin's accounts, as they are written in its table.
const LOGINS: [&str; 16] = [
    "agnes@hill.example",
    "boris@hill.example",
    "clara@hill.example",
    "dario@hill.example",
    "elsa@hill.example",
    "felix@hill.example",
    "greta@moor.example",
    "henri@hill.example",
    "iris@lake.example",
    "jonas@hill.example",
    "karla@term.example",
    "liam@term.example",
    "mira@hill.example",
    "o'neil@hill.example",
    "pavel@hill.example",
    "robin@spare.example",
];

/// Returns what is listed on this database: one with capitals that no login finds is not.
fn known(kind: Kind) -> Vec<&'static str> {
    LOGINS.into_iter().filter(|login| finds_capitals(kind) || *login != "felix@hill.example").collect()
}

/// Returns PostfixAdmin's tables without the rows that cannot be used.
fn usable(kind: Kind) -> Accounts {
    let accounts = Accounts::of(&of("postfixadmin"), kind);
    let names = BAD_ALIASES.map(|name| format!("'{name}@hill.example'")).join(", ");
    accounts.run_sql(&format!("DELETE FROM alias WHERE address IN ({names})"));
    if !finds_capitals(kind) {
        accounts.run_sql("DELETE FROM mailbox WHERE username = 'Felix@Hill.example'");
    }
    accounts
}

/// Aliases whose targets are no addresses.
const BAD_ALIASES: [&str; 5] = ["root", "pipe", "file", "fail", "mixed"];

fn finds_capitals(kind: Kind) -> bool {
    matches!(kind, Kind::MariaDb | Kind::MySql)
}

fn enumerated(server: &Mailauth) -> Vec<Entry> {
    match ask(server.socket(), b"ENUMERATE\n", Manner::Whole).outcome() {
        Outcome::List(mut entries) => {
            entries.sort();
            entries
        }
        other => panic!("{other:?}: {}", server.log()),
    }
}

fn json(accounts: &Accounts, arguments: &[&str]) -> Value {
    let output = accounts.try_admin(&[arguments, &["--json"]].concat(), "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {said}"))
}

/// Returns the sorted texts under this key of a list in JSON.
fn texts(list: &Value, key: &str) -> Vec<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    let mut texts: Vec<_> = list.iter().map(|item| item[key].as_str().expect("a text").to_owned()).collect();
    texts.sort();
    texts
}

fn rows_that_cannot_be_used_are_named_by_lists(kind: Kind) {
    let accounts = Accounts::of(&of("postfixadmin"), kind);
    let output = accounts.try_admin(&["alias", "list"], "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{said}");
    for name in BAD_ALIASES {
        assert!(said.contains(&format!("alias {name}@hill.example: its target")), "{name}: {said}");
    }
    let output = accounts.try_admin(&["account", "list"], "");
    let said = String::from_utf8_lossy(&output.stderr);
    if finds_capitals(kind) {
        assert!(output.status.success(), "{said}");
    } else {
        assert_eq!(output.status.code(), Some(75), "{said}");
        assert!(said.contains("account felix@hill.example: column login is not in lower case"), "{said}");
    }
}

fn accounts_domains_and_aliases_are_listed(kind: Kind) {
    let accounts = usable(kind);
    let server = Mailauth::unthrottled(&accounts, "");
    let entries = enumerated(&server);
    let logins: Vec<&str> = entries.iter().map(|entry| entry.login.as_str()).collect();
    for login in known(kind) {
        // authenumerate's list is of accounts that are enabled.
        assert!(
            logins.contains(&login) || login.starts_with("dario") || login.starts_with("greta"),
            "{login}: {logins:?}"
        );
    }
    assert!(
        entries.iter().all(|entry| entry.ids == (5000, 5000) && entry.home.starts_with("/var/vmail/")),
        "{entries:?}"
    );
    assert_eq!(texts(&json(&accounts, &["account", "list"]), "login"), known(kind));
    let domains = texts(&json(&accounts, &["domain", "list"]), "domain");
    for domain in ["hill.example", "lake.example", "moor.example", "term.example"] {
        assert!(domains.iter().any(|name| name == domain), "{domain}: {domains:?}");
    }
    assert!(!domains.iter().any(|name| name == "spare.example" || name.eq_ignore_ascii_case("all")), "{domains:?}");
    let aliases = accounts.admin(&["alias", "list"], "");
    for text in ["info@hill.example", "@lake.example", "press@hill.example"] {
        assert!(aliases.contains(text), "{text}: {aliases}");
    }
    assert!(!aliases.contains("sleep@hill.example"), "{aliases}");
    let shown = json(&accounts, &["account", "show", "agnes@hill.example"]);
    assert_eq!(shown["login"], "agnes@hill.example", "{shown}");
}

fn an_export_moves_the_accounts_to_own_tables(kind: Kind) {
    let accounts = usable(kind);
    let csv = accounts.admin(&["account", "export"], "");
    assert_eq!(csv.lines().count(), known(kind).len() + 1, "{csv}");
    // Elsa's sum in hexadecimal has no prefix.
    let own = Accounts::empty(Kind::Sqlite).with_mailbox("[password]\ndefault_scheme = \"plain-md5\"\n");
    own.admin(&["account", "import", "-"], &csv);
    for (login, password, code) in [
        ("agnes@hill.example", "agnes opens", 0),
        ("agnes@hill.example", "wrong", 1),
        ("boris@hill.example", "boris opens", 0),
        ("dario@hill.example", "dario opens", 1),
        ("elsa@hill.example", "elsa opens", 0),
        ("jonas@hill.example", "jonas opens", 0),
        ("o'neil@hill.example", "o'neil opens", 0),
    ] {
        let output = own.try_admin(&["auth", login, "--password-stdin"], password);
        assert_eq!(output.status.code(), Some(code), "{login}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

fn quotas_are_reported_and_counted(kind: Kind) {
    let schema = of("postfixadmin");
    let mail = Scratch::new("vmail");
    let config = schema.config.replace("/var/vmail", &mail.path().display().to_string());
    let accounts = usable(kind).with_schema(&config);
    let maildir = mail.path().join("hill.example/agnes");
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(maildir.join(part)).expect("a Maildir");
    }
    fs::write(maildir.join("cur/1.message.host:2,S"), "x".repeat(3000)).expect("a message");
    mailauth_tests::run(std::process::Command::new("chown").args(["-R", "5000:5000"]).arg(mail.path()));
    accounts.run_sql("UPDATE mailbox SET quota = 4000 WHERE username = 'agnes@hill.example'");
    accounts.admin(&["quota", "recount", "--all"], "");
    let sizes = fs::read_to_string(maildir.join("maildirsize")).expect("figures");
    assert!(sizes.starts_with("4000S"), "{sizes}");
    let report = accounts.admin(&["quota", "report", "--over", "70"], "");
    assert!(report.contains("agnes@hill.example") && !report.contains("jonas@hill.example"), "{report}");
    let shown = accounts.admin(&["quota", "show", "agnes@hill.example"], "");
    assert!(shown.contains("3000") || shown.contains("3.0") || shown.contains("2.9"), "{shown}");
    // At RCPT, 1000 bytes more have room and 1001 have not.
    let server = Mailauth::unthrottled(&accounts, "");
    for (size, answer) in [(1000, "OK"), (1001, "OVER")] {
        let request = format!("ASK recipient {size} agnes@hill.example\n");
        let bytes = ask(server.socket(), request.as_bytes(), Manner::Whole).bytes;
        let said = String::from_utf8_lossy(&bytes).into_owned();
        assert!(said.to_uppercase().starts_with(answer), "{size}: {said}");
    }
}

/// More than two pages.
const MANY: usize = 2500;

fn many_accounts_are_listed_in_pages(kind: Kind) {
    let accounts = usable(kind);
    let row = |number| {
        format!("('user{number}@many.example', '{{PLAIN}}x', '', 'many.example/{number}/', 0, 'u', 'hill.example')")
    };
    let rows: Vec<String> = (0..MANY).map(row).collect();
    accounts.run_sql(&format!(
        "INSERT INTO mailbox (username, password, name, maildir, quota, local_part, domain) VALUES {}",
        rows.join(",\n")
    ));
    let listed = texts(&json(&accounts, &["account", "list"]), "login");
    assert_eq!(listed.iter().filter(|login| login.ends_with("@many.example")).count(), MANY);
    assert_eq!(listed.len(), MANY + known(kind).len());
    let server = Mailauth::unthrottled(&accounts, "");
    let entries = enumerated(&server);
    assert_eq!(entries.iter().filter(|entry| entry.login.ends_with("@many.example")).count(), MANY);
    assert_eq!(login(server.socket(), "user7@many.example", "x").word(), "ACCOUNT");
}
