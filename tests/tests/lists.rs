//! Lists of accounts, with rows written by SQL that no login can match.

use mailauth_tests::people::{ANNA, CHEAP_HASH, PASSWORD, SHA512_CRYPT_HASH};
use mailauth_tests::wire::{Manner, Outcome, ask, login};
use mailauth_tests::{Accounts, Kind, Mailauth, on_each_database_and_mysql};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

on_each_database_and_mysql!(
    rows_that_no_login_matches_are_listed_once,
    a_table_of_bad_rows_only_is_listed_to_its_end,
    an_enumeration_omits_rows_that_no_login_matches,
    a_row_that_no_login_matches_can_be_renamed_and_removed,
    renaming_an_account_reports_where_its_mail_stays,
);

mod of_a_hundred_thousand {
    use super::lists_are_not_held_in_memory;

    mailauth_tests::on_each_database!(lists_are_not_held_in_memory);
}

/// More than a page, before and after all others in byte order.
const BEFORE: usize = 1100;
const BETWEEN: usize = 1300;
const BEHIND: usize = 1200;

/// Adds accounts of these logins to example.org by SQL.
fn insert(accounts: &Accounts, logins: &[String]) {
    let values: Vec<_> = logins.iter().map(|login| format!("('{login}', 'example.org')")).collect();
    for values in values.chunks(500) {
        accounts.sql_without_checks(&format!("INSERT INTO accounts (login, domain) VALUES {}", values.join(", ")));
    }
}

/// Returns bad logins. ASCII capitals come before the small letters, and other capitals after them.
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

/// Returns the lines about rows on the standard error of a command that exited with 75.
#[track_caller]
fn complaints(output: &Output) -> Vec<String> {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{told}");
    let told = match serde_json::from_str::<serde_json::Value>(&told) {
        Ok(error) => error["error"].as_str().expect("a text").to_owned(),
        Err(_) => told.into_owned(),
    };
    let lines = told.lines().filter(|line| line.contains("account ") && line.contains("column login"));
    lines.map(str::to_owned).collect()
}

/// Asserts that each line is about another row, and that together with the rows that are only counted they are
/// complete.
#[track_caller]
fn each_bad_row_once(output: &Output) {
    let lines = complaints(output);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(lines.iter().collect::<BTreeSet<_>>().len(), lines.len());
    assert!(told.contains(&format!("and {} more", BEFORE + BEHIND - lines.len())), "{}: {told}", lines.len());
}

fn rows_that_no_login_matches_are_listed_once(kind: Kind) {
    let (accounts, good) = filled(kind);
    let of_json = |output: &Output| -> Vec<String> {
        let list: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let rows = list.as_array().expect("a list");
        rows.iter().map(|row| row["login"].as_str().expect("a login").to_owned()).collect()
    };
    for arguments in [&["account", "list", "--json"][..], &["account", "list", "example.org", "--json"]] {
        let listed = accounts.try_admin(arguments, "");
        each_bad_row_once(&listed);
        assert!(of_json(&listed).iter().eq(good.iter()), "{arguments:?}");
    }
    for arguments in [&["account", "list"][..], &["account", "export"]] {
        let listed = accounts.try_admin(arguments, "");
        each_bad_row_once(&listed);
        let text = String::from_utf8_lossy(&listed.stdout);
        let logins = text.lines().skip(1).map(|line| line.split([' ', ',']).next().unwrap_or_default());
        assert!(logins.eq(good.iter().map(String::as_str)), "{arguments:?}");
    }
    let shown = accounts.try_admin(&["domain", "show", "example.org"], "");
    each_bad_row_once(&shown);
    assert!(String::from_utf8_lossy(&shown.stdout).contains(&format!("accounts     {BETWEEN}\n")));
    for arguments in [&["quota", "recount", "--all"][..], &["quota", "report"], &["quota", "check", "--all"]] {
        each_bad_row_once(&accounts.try_admin(arguments, ""));
    }
}

fn a_table_of_bad_rows_only_is_listed_to_its_end(kind: Kind) {
    let accounts = Accounts::empty(kind);
    accounts.admin(&["domain", "add", "example.org"], "");
    insert(&accounts, &bad());
    let listed = accounts.try_admin(&["account", "list", "--json"], "");
    each_bad_row_once(&listed);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).trim(), "[]");
    each_bad_row_once(&accounts.try_admin(&["account", "export"], ""));
}

fn an_enumeration_omits_rows_that_no_login_matches(kind: Kind) {
    let (accounts, good) = filled(kind);
    let server = Mailauth::over(&accounts);
    let listed = || ask(server.socket(), b"ENUMERATE\n", Manner::Whole).outcome();
    for _ in 0..2 {
        let whole = listed();
        assert!(matches!(&whole, Outcome::List(entries) if entries.len() == good.len()), "{whole:?}");
    }
    server.wait_for_log("an account is left out of a list of all: column login");
}

/// Runs the command, which has to exit with `code`, and returns what it printed on both outputs.
#[track_caller]
fn ended(accounts: &Accounts, arguments: &[&OsStr], code: i32) -> String {
    mailauth_tests::ended(&accounts.try_admin_os(arguments), code)
}

#[track_caller]
fn told(accounts: &Accounts, arguments: &[&str], code: i32) -> String {
    ended(accounts, &arguments.iter().map(OsStr::new).collect::<Vec<_>>(), code)
}

fn a_row_that_no_login_matches_can_be_renamed_and_removed(kind: Kind) {
    let accounts = Accounts::empty(kind).with("login\nanna@example.org\nberta@example.org\n");
    insert(&accounts, &["Ärger@example.org", "BERTA@example.org", "Anna@example.org"].map(String::from));
    let complaints = told(&accounts, &["account", "list"], 75);
    assert!(
        complaints.contains(r"account \xc3\x84rger@example.org: column login is not in lower case"),
        "{complaints}"
    );
    assert!(complaints.contains("account rename --exact"), "{complaints}");
    // Without --exact, each is the account in lower case.
    let missing = told(&accounts, &["account", "remove", "Ärger@example.org"], 1);
    assert!(missing.contains("no such account ärger@example.org"), "{missing}");
    let missing = told(&accounts, &["account", "remove", "--exact", "ÄRGER@example.org"], 1);
    assert!(missing.contains(r"$'\xc3\x84RGER@example.org'"), "{missing}");
    let exists = told(&accounts, &["account", "rename", "--exact", "BERTA@example.org", "berta@example.org"], 1);
    assert!(exists.contains("the account berta@example.org exists already"), "{exists}");
    told(&accounts, &["account", "remove", "--exact", "BERTA@example.org"], 0);
    told(&accounts, &["account", "rename", "Ärger@example.org", "x@example.org", "--exact"], 0);
    let nowhere = told(&accounts, &["account", "rename", "--exact", "Anna@example.org", "a@nowhere.example"], 1);
    assert!(nowhere.contains("no such domain nowhere.example"), "{nowhere}");
    if kind == Kind::Sqlite {
        accounts.sql_without_checks(
            "INSERT INTO accounts (login, domain) VALUES (CAST(x'e4406578616d706c652e6f7267' AS TEXT), 'example.org')",
        );
        let bytes = OsStr::from_bytes(b"\xe4@example.org");
        let not_text = ended(&accounts, &["account".as_ref(), "remove".as_ref(), bytes], 2);
        assert!(not_text.contains("--exact"), "{not_text}");
        ended(&accounts, &["account".as_ref(), "remove".as_ref(), "--exact".as_ref(), bytes], 0);
    }
    told(&accounts, &["account", "remove", "--exact", "Anna@example.org"], 0);
    let listed = told(&accounts, &["account", "list"], 0);
    let logins: Vec<_> = listed.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(logins, ["anna@example.org", "berta@example.org", "x@example.org"]);
}

fn renaming_an_account_reports_where_its_mail_stays(kind: Kind) {
    let csv = format!("login,password,home\n{ANNA},{CHEAP_HASH},\nhome@example.org,,/srv/home\n");
    let accounts = Accounts::empty(kind).with(&csv);
    let server = Mailauth::over(&accounts);
    // The cached rows of both logins are right at once.
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
    assert_eq!(login(server.socket(), "anne@example.org", PASSWORD).word(), "FAIL");
    let renamed = told(&accounts, &["account", "rename", ANNA, "anne@example.org"], 0);
    assert!(renamed.contains("its mail is still in /var/mail/example.org/anna/Maildir"), "{renamed}");
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "FAIL");
    assert_eq!(login(server.socket(), "anne@example.org", PASSWORD).word(), "ACCOUNT");
    let renamed = told(&accounts, &["account", "rename", "Home@Example.org", "House@Example.org"], 0);
    assert_eq!(renamed, "renamed the account home@example.org to house@example.org\n");
}

/// Maximum memory of a list, in KiB, whatever its length. The one here would take more if held in memory.
const MOST_MEMORY: u64 = 32 << 10;

/// Runs the command to its end, with its output in a file, and returns its peak memory in KiB.
fn peak(accounts: &Accounts, arguments: &[&str], output: &Path) -> u64 {
    let file = File::create(output).expect("a file");
    let mut child = accounts.admin_command(arguments).stdout(file).stdin(Stdio::null()).spawn().expect("mailauth");
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
        most = most.max(kilobytes.unwrap_or(0));
        if let Some(status) = child.try_wait().expect("its state") {
            assert!(status.success(), "{arguments:?} ended with {status}");
            return most;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn lists_are_not_held_in_memory(kind: Kind) {
    const COUNT: usize = 100_000;
    let accounts = Accounts::empty(kind);
    // The disk is busy with three such databases.
    fs::write(accounts.config_path(), accounts.config() + "deadline = \"60s\"\n").expect("the configuration");
    let [file, out] = ["accounts.csv", "out"].map(|name| accounts.folder().join(name));
    let rows = (0..COUNT).map(|n| format!("user{n:06}@d{:02}.example,{SHA512_CRYPT_HASH},Person number {n}\n", n % 50));
    fs::write(&file, format!("login,password,name\n{}", rows.collect::<String>())).expect("a file");
    let import = ["account", "import", file.to_str().expect("its name")];
    let mut peaks = vec![("import", peak(&accounts, &import, &out))];
    let aliases: Vec<_> =
        (0..COUNT).map(|n| format!("('a{n:06}@d{0:02}.example', 'd{0:02}.example', 'x@y.example')", n % 50)).collect();
    for values in aliases.chunks(1000) {
        let values = values.join(", ");
        accounts.sql_without_checks(&format!("INSERT INTO aliases (address, domain, target) VALUES {values}"));
    }
    for (arguments, lines) in [
        (&["account", "list"][..], COUNT + 1),
        (&["account", "list", "--json"], COUNT * 15 + 2),
        (&["account", "list", "d07.example"], COUNT / 50 + 1),
        (&["account", "export"], COUNT + 1),
        (&["account", "import", "--update", "--dry-run", import[2]], 1),
        (&["alias", "list"], COUNT + 1),
        (&["alias", "export"], COUNT + 1),
        (&["quota", "report"], COUNT + 1),
        (&["quota", "check", "--all"], 1),
        (&["quota", "recount", "--all"], 1),
    ] {
        peaks.push((arguments[1], peak(&accounts, arguments, &out)));
        let text = fs::read_to_string(&out).expect("the output");
        assert_eq!(text.lines().count(), lines, "{arguments:?}");
        if arguments.contains(&"--json") {
            let list: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(list.as_array().map(Vec::len), Some(COUNT));
        }
    }
    println!("{kind:?}: {peaks:?} KiB");
    assert!(peaks.iter().all(|(_, peak)| *peak < MOST_MEMORY), "{peaks:?}");
}
