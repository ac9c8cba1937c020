//! Aliases as an administrator writes them, and how the daemon handles those that other programs wrote.

use mailauth_tests::people::{ANNA, BRUNO, people};
use mailauth_tests::wire::{Manner, ask};
use mailauth_tests::{Accounts, Kind, Mailauth, on_each_database};
use serde_json::Value;
use std::path::Path;

on_each_database!(aliases_set_by_the_command_are_used_by_the_daemon, a_bad_target_written_by_sql_can_be_removed);

fn people_at(kind: Kind) -> Accounts {
    Accounts::empty(kind).with(&people(Path::new("/var/mail")))
}

/// Adds an alias, which has to exit with `code`. Returns the standard error.
#[track_caller]
fn add(accounts: &Accounts, arguments: &[&str], code: i32) -> String {
    let output = accounts.try_admin(&[&["alias", "add"], arguments].concat(), "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

fn alias(server: &Mailauth, address: &str) -> String {
    let question = format!("ASK alias {address}\n");
    String::from_utf8(ask(server.socket(), question.as_bytes(), Manner::Whole).bytes).expect("text")
}

fn aliases_set_by_the_command_are_used_by_the_daemon(kind: Kind) {
    let accounts = people_at(kind);
    let server = Mailauth::over(&accounts);
    for bad in
        ["<a@x.example>", "a@x.example,", "a@@x.example", ":fail:@x.example", "@x.example", "a b@x.example", "a;b@x"]
    {
        let said = add(&accounts, &["info@example.org", bad], 2);
        assert!(said.contains("target"), "{bad}: {said}");
    }
    let said = add(&accounts, &["*@example.org", ANNA], 2);
    assert!(said.contains("write @example.org"), "{said}");
    assert_eq!(alias(&server, "info@example.org"), "FAIL\n");
    add(&accounts, &["info@example.org", &format!("{ANNA},{BRUNO}"), "ben@else.example"], 0);
    add(&accounts, &["team@example.org", &format!("{ANNA}, {BRUNO}")], 0);
    add(&accounts, &["@example.org", ANNA], 0);
    assert_eq!(alias(&server, "info@example.org"), format!("OK {ANNA}, {BRUNO}, ben@else.example\n"));
    assert_eq!(alias(&server, "team@example.org"), format!("OK {ANNA}, {BRUNO}\n"));
    assert_eq!(alias(&server, "whoever@example.org"), format!("OK {ANNA}\n"));
}

fn a_bad_target_written_by_sql_can_be_removed(kind: Kind) {
    let accounts = people_at(kind);
    let server = Mailauth::over(&accounts);
    add(&accounts, &["info@example.org", ANNA, BRUNO], 0);
    let both = format!("{ANNA},{BRUNO}");
    for (position, target) in [&both, "a@@x.example"].into_iter().enumerate() {
        accounts.sql_without_checks(&format!(
            "INSERT INTO aliases (address, domain, target, position) \
             VALUES ('info@example.org', 'example.org', '{target}', {})",
            position + 2
        ));
    }
    // Mail is deferred, and the reason says what to do.
    let said = alias(&server, "info@example.org");
    assert!(said.starts_with("LATER ") && said.contains(&format!("remove info@example.org \"{both}\"")), "{said}");
    accounts.admin(&["alias", "remove", "info@example.org", &both], "");
    accounts.admin(&["alias", "remove", "info@example.org", "a@@x.example"], "");
    assert_eq!(alias(&server, "info@example.org"), format!("OK {ANNA}, {BRUNO}\n"));
    accounts.admin(&["alias", "remove", "info@example.org", &both], "");
    assert_eq!(alias(&server, "info@example.org"), "FAIL\n");
}

#[test]
fn all_errors_of_an_alias_are_reported_at_once() {
    let accounts = people_at(Kind::Sqlite);
    let said = add(&accounts, &["*@example.org", "a@@x.example", ANNA, "<b@x.example>"], 2);
    assert_eq!(said.lines().count(), 3, "{said}");
    for wrong in ["\"*@example.org\"", "\"a@@x.example\"", "\"<b@x.example>\""] {
        assert!(said.contains(wrong), "{said}");
    }
}

#[test]
fn an_alias_that_hides_an_account_or_leads_nowhere_gets_a_note() {
    let accounts = people_at(Kind::Sqlite);
    let said = add(&accounts, &[BRUNO, ANNA], 0);
    assert!(said.contains(&format!("'mailauth alias add {BRUNO} {BRUNO}' also keeps it")), "{said}");
    assert_eq!(add(&accounts, &[BRUNO, BRUNO], 0), "", "a copy stays");
    let said = add(&accounts, &["info@example.org", "annna@example.org"], 0);
    assert!(said.contains("the target annna@example.org does not exist"), "{said}");
    assert_eq!(add(&accounts, &["sales@example.org", "anna@else.example"], 0), "", "other hosts refuse it themselves");
    let said = add(&accounts, &["old@example.org", "carla@example.org"], 0);
    assert!(said.contains("carla@example.org accepts no mail: the account is disabled"), "{said}");
    let said = add(&accounts, &["none@example.org", "none@example.org"], 0);
    assert!(said.contains("there is no account none@example.org"), "{said}");
    add(&accounts, &["a@example.org", "b@example.org"], 0);
    let said = add(&accounts, &["b@example.org", "a@example.org"], 0);
    assert!(said.contains("a@example.org sends mail for b@example.org back"), "{said}");
}

#[test]
fn adding_an_account_hidden_by_an_alias_gets_a_note() {
    let accounts = people_at(Kind::Sqlite);
    let account = |login: &str| {
        let output = accounts.try_admin(&["account", "add", login, "--no-password"], "");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    add(&accounts, &["info@example.org", ANNA], 0);
    let said = account("info@example.org");
    assert!(said.contains("'mailauth alias add info@example.org info@example.org' also keeps it"), "{said}");
    add(&accounts, &["both@example.org", ANNA, "both@example.org"], 0);
    for login in ["both@example.org", "new@example.org"] {
        let said = account(login);
        assert!(!said.contains("also keeps it"), "{said}");
    }
}

#[test]
fn notes_about_an_alias_are_in_json_too() {
    let accounts = people_at(Kind::Sqlite);
    let added = |arguments: &[&str]| -> Value {
        let text = accounts.admin(&[&["alias", "add"], arguments, &["--json"]].concat(), "");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    let told = added(&["info@example.org", "annna@example.org,anna@example.org"]);
    assert_eq!(told["targets"], Value::from(vec!["annna@example.org", ANNA]));
    assert!(told["notes"][0].as_str().is_some_and(|note| note.contains("annna@example.org")), "{told}");
    assert_eq!(added(&["team@example.org", ANNA])["notes"], Value::Array(Vec::new()));
}
