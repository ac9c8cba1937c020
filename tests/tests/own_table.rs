//! docs/own-table.md is correct: each block is used as printed, on the tables of its program.

#[path = "readme/page.rs"]
#[allow(dead_code, reason = "tests/readme.rs uses all of it")]
mod page;

use mailauth_tests::people::{CHEAP_HASH, PASSWORD};
use mailauth_tests::schemas::{Question, Schema, Want, of};
use mailauth_tests::wire::{Manner, ask, login};
use mailauth_tests::{Accounts, Courier, Kind, Mailauth, Scratch, output_with_input, program};
use page::{Piece, page, repository};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PAGE: &str = "docs/own-table.md";

/// A profile's configuration and the statements for its database user, as printed.
struct Printed {
    profile: String,
    config: String,
    grants: String,
}

fn blocks() -> Vec<Piece> {
    page(PAGE).into_iter().filter(|piece| piece.language().is_some()).collect()
}

/// Returns the value of a key in a text of TOML.
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
    values.next().unwrap_or_else(|| panic!("no {key} in {text}")).trim_matches('"')
}

/// Returns the blocks that have statements for a database user below them.
fn printed() -> Vec<Printed> {
    let blocks = blocks();
    let pairs = blocks.windows(2).filter(|pair| pair[1].language() == Some("sql"));
    pairs
        .map(|pair| Printed {
            profile: value(&pair[0].text, "profile").to_owned(),
            config: pair[0].text.clone(),
            grants: pair[1].text.clone(),
        })
        .collect()
}

#[test]
fn every_profile_has_a_block() {
    let files = fs::read_dir(repository().join("mailauth-core/profiles")).expect("the profiles");
    let profiles: BTreeSet<String> = files
        .map(|file| file.expect("a file").path().file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(printed().into_iter().map(|printed| printed.profile).collect::<BTreeSet<_>>(), profiles);
}

#[test]
fn every_profile_answers_as_printed() {
    let faults: Vec<String> = printed().iter().flat_map(answers_as_printed).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Uses the blocks of a profile on the tables of its program, and returns what is wrong.
fn answers_as_printed(printed: &Printed) -> Vec<String> {
    let schema: Schema = of(&printed.profile);
    let accounts = Accounts::of(&schema, Kind::MariaDb);
    let config = own_configuration(&accounts, &printed.config, &printed.grants);
    let shown = mailauth(&accounts, &config, &["schema", "show", "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap_or_else(|error| panic!("{error}: {shown:?}"));
    let mut faults = wrong_grants(printed, &shown);
    let tried = mailauth(&accounts, &config, &["schema", "try"]);
    // The rows of the tests are also such that cannot be used.
    if !matches!(tried.status.code(), Some(0 | 1)) {
        faults.push(format!("{tried:?}"));
    }
    let text = fs::read_to_string(&config).expect("the configuration");
    let server = Mailauth::configured(|socket| format!("{text}[courier]\nsocket = \"{}\"\n", socket.display()));
    let mut right = 0;
    for case in schema.cases_on(Kind::MariaDb) {
        let Question::Login { service: "imap", password } = case.question else { continue };
        let answer = login(server.socket(), case.input, password);
        match (answer.word(), case.want) {
            ("ACCOUNT", Want::Yes(_)) => right += 1,
            // Some rows of the tests have homes in other folders, which the printed configuration does not permit;
            // tests/profiles.rs has one that does.
            (_, Want::Yes(_)) | ("FAIL", Want::No) | ("FAIL" | "CLOSED", Want::NotNow) => {}
            (word, _) => faults.push(format!("{word} to {}: {}", case.input, case.reason)),
        }
    }
    if right < 3 {
        faults.push(format!("only {right} logins are accepted: {}", server.log()));
    }
    faults.iter().map(|fault| format!("{}: {fault}", printed.profile)).collect()
}

/// Creates the database user by the printed statements, and writes the printed configuration with the names of the test.
/// Returns its path.
fn own_configuration(accounts: &Accounts, config: &str, grants: &str) -> PathBuf {
    let (place, server) = (accounts.mariadb(), accounts.mariadb().server());
    let name = place.name();
    // A user of its own, because all programs are on one server.
    let user = format!("own_{}", &name[name.len().saturating_sub(20)..]);
    let database = value(config, "url").split(['/', '?']).nth(3).expect("a database").to_owned();
    let grants = grants
        .replace("mailauth@localhost", &format!("{user}@localhost"))
        .replace(&format!(" {database}."), &format!(" {name}."));
    accounts.run_sql(&grants);
    let password = accounts.folder().join("own-password");
    fs::write(&password, "a long password\n").expect("the password");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).expect("its mode");
    let text = config
        .replace("mailauth@localhost/", &format!("{user}@localhost/"))
        .replace(&format!("/{database}?"), &format!("/{name}?"))
        .replace("/run/mysqld/mysqld.sock", &server.socket().display().to_string())
        .replace("/etc/mailauth/database.password", &password.display().to_string());
    let throttle = accounts.folder().join("throttle");
    let path = accounts.folder().join("own.toml");
    let text = format!("{text}\n[outage]\nenabled = false\n[throttle]\nfile = \"{}\"\n", throttle.display());
    fs::write(&path, text).expect("the configuration");
    path
}

fn mailauth(accounts: &Accounts, config: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program("mailauth"));
    command.arg("--config").arg(config).args(arguments).current_dir(accounts.folder());
    output_with_input(&mut command, "")
}

/// Compares the printed rights with those that `mailauth schema show` prints.
fn wrong_grants(printed: &Printed, shown: &Value) -> Vec<String> {
    // The names of the database and the user differ; quotes and line breaks do not matter.
    let plain = |statement: &str| {
        let words: Vec<_> = statement.split_whitespace().collect();
        let (rights, place) = words
            .join(" ")
            .replace(['`', '\'', ';'], "")
            .rsplit_once(" ON ")
            .map_or_else(|| panic!("no right: {statement}"), |(rights, place)| (rights.to_owned(), place.to_owned()));
        let table = place.split(" TO ").next().and_then(|table| table.rsplit('.').next()).expect("a table").to_owned();
        format!("{rights} ON {table}")
    };
    let needed: Vec<String> = shown["grants"]
        .as_array()
        .expect("statements")
        .iter()
        .map(|grant| plain(grant.as_str().expect("a statement")))
        .collect();
    let statements = printed.grants.split(';').filter(|statement| statement.trim_start().starts_with("GRANT"));
    let found: Vec<String> = statements.map(plain).collect();
    match found == needed {
        true => Vec::new(),
        false => vec![format!("the rights are\n{}", needed.join("\n"))],
    }
}

/// Returns the first block in TOML under a heading.
fn block(heading: &str) -> String {
    let found = blocks().into_iter().find(|piece| piece.heading == heading && piece.language() == Some("toml"));
    found.unwrap_or_else(|| panic!("no block under {heading}")).text
}

/// Returns the answers to these logins and passwords, in words.
fn answers<const N: usize>(accounts: &Accounts, logins: [(&str, &str); N]) -> [&'static str; N] {
    let server = Mailauth::over(accounts);
    logins.map(|(name, password)| login(server.socket(), name, password).word())
}

#[test]
fn parts_of_a_profile_are_replaced_as_printed() {
    let schema = of("postfixadmin");
    let sql = schema.sql(Kind::MariaDb)
        + "UPDATE mailbox SET username = 'test-elsa@hill.example' WHERE username = 'elsa@hill.example';"
        + "ALTER TABLE mailbox DROP COLUMN smtp_active;";
    let accounts = Accounts::holding(Kind::MariaDb, &sql, &block("What differs from the profile"));
    let logins = [("agnes@hill.example", "agnes opens"), ("test-elsa@hill.example", "elsa opens")];
    assert_eq!(answers(&accounts, logins), ["ACCOUNT", "FAIL"]);
    for (address, answer) in [("agnes@twin.example", Some(1)), ("agnes@hill.example", Some(0))] {
        let mut command = Command::new(program("mailauth-exim"));
        command.arg("--config").arg(accounts.config_path()).args(["account", address]);
        let output = output_with_input(&mut command, "");
        assert_eq!(output.status.code(), answer, "{address}: {output:?}");
    }
}

#[test]
fn a_table_of_any_form_is_read_as_printed() {
    let sql = format!(
        "CREATE TABLE sites (id INTEGER PRIMARY KEY, name VARCHAR(100) UNIQUE);
         CREATE TABLE people (mail VARCHAR(100) PRIMARY KEY, site INTEGER, secret VARCHAR(200), active INTEGER, megabytes BIGINT);
         CREATE TABLE forwards (address VARCHAR(100) PRIMARY KEY, target VARCHAR(200));
         INSERT INTO sites VALUES (1, 'example.org');
         INSERT INTO people VALUES ('anna@example.org', 1, '{CHEAP_HASH}', 1, 5), ('ben@example.org', 1, '{CHEAP_HASH}', 0, 5);
         INSERT INTO forwards VALUES ('info@example.org', 'anna@example.org,someone@far.example');"
    );
    for kind in [Kind::Sqlite, Kind::MariaDb, Kind::Postgres] {
        let accounts = Accounts::holding(kind, &sql, &block("Tables of any form"));
        let logins = [("Anna@example.org", PASSWORD), ("anna@example.org", "guessed"), ("ben@example.org", PASSWORD)];
        assert_eq!(answers(&accounts, logins), ["ACCOUNT", "FAIL", "FAIL"]);
        let tried = accounts.try_admin(&["schema", "try", "--json"], "");
        assert_eq!(tried.status.code(), Some(0), "{tried:?}");
        let mut command = Command::new(program("mailauth-exim"));
        command.arg("--config").arg(accounts.config_path()).args(["alias", "info@example.org"]);
        let output = output_with_input(&mut command, "");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            "anna@example.org, someone@far.example",
            "{output:?}"
        );
        let shown = accounts.admin(&["account", "show", "anna@example.org", "--json"], "");
        assert!(shown.contains("5242880"), "{shown}");
    }
}

#[test]
fn people_change_their_passwords_as_printed() {
    let schema = of("postfixadmin");
    let sections = block("Let people change their passwords");
    let accounts = Accounts::holding(Kind::MariaDb, &schema.sql(Kind::MariaDb), &sections);
    let server = Mailauth::over(&accounts);
    let request = b"PASSWD imap\tagnes@hill.example\tagnes opens\tan entirely new one\n";
    assert_eq!(ask(server.socket(), request, Manner::Whole).bytes, b"OK\n", "{}", server.log());
    assert_eq!(login(server.socket(), "agnes@hill.example", "an entirely new one").word(), "ACCOUNT");
    assert_eq!(login(server.socket(), "agnes@hill.example", "agnes opens").word(), "FAIL");
    let stored = accounts.execute("SELECT password FROM mailbox WHERE username = 'agnes@hill.example'");
    assert!(stored.contains("$6$"), "{stored}");
    let refused = accounts.try_admin(&["account", "set", "agnes@hill.example", "--quota", "1G"], "");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("PostfixAdmin"), "{refused:?}");
}

#[test]
fn courier_is_replaced_step_by_step_as_printed() {
    let accounts = Accounts::of(&of("postfixadmin"), Kind::MariaDb);
    let courier = Courier::over_columns(&accounts, &Courier::POSTFIXADMIN);
    let folder = Scratch::new("migration");
    let (trial, logins) = (folder.join("trial.toml"), folder.join("logins"));
    let said = |arguments: &[&str]| {
        let mut command = Command::new(program("mailauth"));
        let output = output_with_input(command.args(arguments).current_dir(folder.path()), "");
        (output.status.code(), [output.stdout, output.stderr].concat())
    };
    let (old, out) = (courier.accounts_file(&accounts).display().to_string(), trial.display().to_string());
    let (code, text) = said(&["convert", &old, "--out", &out]);
    let text = String::from_utf8_lossy(&text).into_owned();
    assert_eq!(code, Some(0), "{text}");
    for switch in ["password_expiry", "smtp_active", "domain.active"] {
        assert!(text.contains(switch), "{switch}: {text}");
    }

    let printed =
        block("Move from Courier's authdaemond").replace("/run/mailauth-trial", &folder.path().display().to_string());
    let converted = fs::read_to_string(&trial).expect("the configuration") + "\n" + &printed;
    fs::write(&trial, &converted).expect("the configuration");
    let (code, text) = said(&["--config", &out, "schema", "try", "--all"]);
    assert!(matches!(code, Some(0 | 1)), "{}", String::from_utf8_lossy(&text));
    let server = Mailauth::configured(|socket| {
        let listens = converted.replace(&folder.join("courier").display().to_string(), &socket.display().to_string());
        listens.replace("\"database.password\"", &format!("\"{}\"", folder.join("database.password").display()))
    });

    let names = ["agnes", "boris", "clara", "dario", "elsa", "henri", "jonas", "pavel", "nobody"];
    let list: String =
        names.map(|name| format!("{name}@hill.example\n")).concat() + "greta@moor.example\nkarla@term.example\n";
    fs::write(&logins, list).expect("a file");
    let (socket, file) = (courier.socket().display().to_string(), logins.display().to_string());
    let to = server.socket().display().to_string();
    for service in ["imap", "pop3"] {
        let compared =
            said(&["--config", &out, "compare", "--socket", &socket, "--to", &to, "--service", service, &file]);
        let shown = String::from_utf8_lossy(&compared.1).into_owned();
        assert_eq!(compared.0, Some(0), "{shown}");
        assert!(shown.contains("11 logins: 11 the same (9 yes, 2 no)"), "{shown}");
    }
}

#[test]
fn a_profile_is_stricter_than_the_old_daemon_as_printed() {
    let accounts = Accounts::of(&of("postfixadmin"), Kind::MariaDb);
    let courier = Courier::over_columns(&accounts, &Courier::POSTFIXADMIN);
    let server = Mailauth::over(&accounts);
    let (old, new) = (courier.socket().display().to_string(), server.socket().display().to_string());
    let arguments = ["compare", "--socket", &old, "--to", &new, "--ignore", "home", "--json", "--service", "smtp", "-"];
    // An account of a domain that is off, one whose password has expired, one that may not send, and one like the others.
    let logins = "greta@moor.example\nkarla@term.example\nhenri@hill.example\nagnes@hill.example\n";
    let output = accounts.try_admin(&arguments, logins);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let differences = found["differences"].as_array().expect("a list");
    let rows: Vec<[&str; 3]> = differences
        .iter()
        .map(|row| ["login", "old", "mailauth"].map(|name| row[name].as_str().expect("a text")))
        .collect();
    let stricter = ["greta@moor.example", "karla@term.example", "henri@hill.example"];
    assert_eq!(rows, stricter.map(|login| [login, "yes", "no"]));
}
