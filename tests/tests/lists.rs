//! Lists of accounts, among which are rows that SQL wrote and no login can match.

use mailauth_tests::wire::{Manner, Outcome, ask};
use mailauth_tests::{Accounts, Kind, Mailauth, on_each_database};
use std::collections::BTreeSet;
use std::process::Output;

on_each_database!(
    rows_that_no_login_matches_are_listed_once_wherever_they_are,
    a_table_with_nothing_else_ends_too,
    an_enumeration_ends_at_a_row_that_no_login_matches,
);

/// More than a page, before and behind all others in the order of bytes.
const BEFORE: usize = 1100;
const BETWEEN: usize = 1300;
const BEHIND: usize = 1200;

/// Adds the accounts of these logins to example.org by SQL.
fn insert(accounts: &Accounts, logins: &[String]) {
    let values: Vec<_> = logins.iter().map(|login| format!("('{login}', 'example.org')")).collect();
    for values in values.chunks(500) {
        accounts.sql_without_checks(&format!("INSERT INTO accounts (login, domain) VALUES {}", values.join(", ")));
    }
}

/// Capitals in ASCII come before, and those of other letters behind the small letters.
fn bad() -> Vec<String> {
    let before = (0..BEFORE).map(|n| format!("A{n:05}@example.org"));
    before.chain((0..BEHIND).map(|n| format!("Ä{n:05}@example.org"))).collect()
}

fn filled(kind: Kind) -> (Accounts, BTreeSet<String>) {
    let good: Vec<_> = (0..BETWEEN).map(|n| format!("m{n:05}@example.org")).collect();
    let accounts = Accounts::empty(kind).with(&format!("login\n{}\n", good.join("\n")));
    insert(&accounts, &bad());
    (accounts, good.into_iter().collect())
}

/// The lines about rows on the standard error, after which it ended with 75.
#[track_caller]
fn complaints(output: &Output) -> Vec<String> {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{told}");
    let lines = told.lines().filter(|line| line.contains("account ") && line.contains("column login"));
    lines.map(str::to_owned).collect()
}

/// Each complaint is about another row, and together with those that are only counted they are as many as there are.
#[track_caller]
fn every_bad_row_once(output: &Output) {
    let lines = complaints(output);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(lines.iter().collect::<BTreeSet<_>>().len(), lines.len());
    assert!(told.contains(&format!("and {} more", BEFORE + BEHIND - lines.len())), "{}: {told}", lines.len());
}

fn rows_that_no_login_matches_are_listed_once_wherever_they_are(kind: Kind) {
    let (accounts, good) = filled(kind);
    let of_json = |output: &Output| -> Vec<String> {
        let list: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let rows = list.as_array().expect("a list");
        rows.iter().map(|row| row["login"].as_str().expect("a login").to_owned()).collect()
    };
    for arguments in [&["account", "list", "--json"][..], &["account", "list", "example.org", "--json"]] {
        let listed = accounts.try_admin(arguments, "");
        every_bad_row_once(&listed);
        assert!(of_json(&listed).iter().eq(good.iter()), "{arguments:?}");
    }
    for arguments in [&["account", "list"][..], &["account", "export"]] {
        let listed = accounts.try_admin(arguments, "");
        every_bad_row_once(&listed);
        let text = String::from_utf8_lossy(&listed.stdout);
        let logins = text.lines().skip(1).map(|line| line.split([' ', ',']).next().unwrap_or_default());
        assert!(logins.eq(good.iter().map(String::as_str)), "{arguments:?}");
    }
    let shown = accounts.try_admin(&["domain", "show", "example.org"], "");
    every_bad_row_once(&shown);
    assert!(String::from_utf8_lossy(&shown.stdout).contains(&format!("accounts     {BETWEEN}\n")));
    for arguments in [&["quota", "recount", "--all"][..], &["quota", "report"], &["quota", "check", "--all"]] {
        every_bad_row_once(&accounts.try_admin(arguments, ""));
    }
}

fn a_table_with_nothing_else_ends_too(kind: Kind) {
    let accounts = Accounts::empty(kind);
    accounts.admin(&["domain", "add", "example.org"], "");
    insert(&accounts, &bad());
    let listed = accounts.try_admin(&["account", "list", "--json"], "");
    every_bad_row_once(&listed);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).trim(), "[]");
    every_bad_row_once(&accounts.try_admin(&["account", "export"], ""));
}

fn an_enumeration_ends_at_a_row_that_no_login_matches(kind: Kind) {
    let (accounts, good) = filled(kind);
    let server = Mailauth::over(&accounts);
    let listed = || ask(server.socket(), b"ENUMERATE\n", Manner::Whole).outcome();
    let cut = listed();
    assert!(!matches!(cut, Outcome::List(_)), "a list that lacks accounts looks complete: {cut:?}");
    server.wait_for_log("an ENUMERATE was cut off before its end");
    accounts.sql_without_checks("DELETE FROM accounts WHERE login LIKE 'A%' OR login LIKE 'Ä%'");
    let whole = listed();
    assert!(matches!(&whole, Outcome::List(entries) if entries.len() == good.len()), "{whole:?}");
}
