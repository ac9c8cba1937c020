//! `mailauth quota`, together with Courier's own programs on the same mailboxes.

use mailauth_tests::{Accounts, Kind, MailHost, Scratch, ended, output_with_input, program, run};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const LIMITS: &str = "100000S,1000C";

/// Creates a Maildir with two messages of 100 and 200 bytes, and one of 300 in a folder.
fn mailbox(at: &Path) -> PathBuf {
    for folder in [".", ".Sent"] {
        for part in ["tmp", "new", "cur"] {
            fs::create_dir_all(at.join(folder).join(part)).expect("a Maildir");
        }
    }
    for (file, size) in [("new/1.a,S=100", 100), ("cur/2.a:2,S", 200), (".Sent/cur/3.a,S=300:2,S", 300)] {
        fs::write(at.join(file), vec![b'x'; size]).expect("a message");
    }
    std::os::unix::fs::chown(at, Some(MailHost::OWNER.uid), Some(MailHost::OWNER.gid)).expect("its owner");
    at.to_owned()
}

/// Runs `mailauth quota` without a configuration, in a folder that has none.
#[track_caller]
fn quota(folder: &Scratch, arguments: &[&str], code: i32) -> String {
    let mut command = Command::new(program("mailauth"));
    command.arg("quota").args(arguments).current_dir(folder.path()).env("MAILAUTH_CONFIG", "/nonexistent");
    ended(&output_with_input(&mut command, ""), code)
}

fn maildirsize(mailbox: &Path) -> String {
    fs::read_to_string(mailbox.join("maildirsize")).unwrap_or_default()
}

/// Returns accounts whose mail is in `folder`.
fn accounts(folder: &Scratch, logins: &[&str]) -> Accounts {
    let row = |login: &&str| {
        let home = folder.join(login.split('@').next().expect("a name"));
        format!("{login},{},\"{LIMITS}\"\n", home.display())
    };
    let rows: String = logins.iter().map(row).collect();
    Accounts::empty(Kind::Sqlite).with(&format!("login,home,quota\n{rows}"))
}

#[test]
fn a_mailbox_named_by_its_path_needs_no_database() {
    let folder = Scratch::new("quota");
    let path = mailbox(&folder.join("Maildir"));
    let told = quota(&folder, &["recount", "--maildir", path.to_str().unwrap(), "--limit", LIMITS, "--json"], 0);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&told["bytes"], &told["messages"], &told["folders"]), (&600.into(), &3.into(), &2.into()));
    assert_eq!(maildirsize(&path), "100000S,1000C\n600 3\n");
}

#[test]
fn courier_accepts_our_maildirsize_and_counts_as_we_do() {
    let folder = Scratch::new("quota");
    let path = mailbox(&folder.join("Maildir"));
    let arguments = ["--maildir", path.to_str().unwrap(), "--limit", LIMITS];
    quota(&folder, &[&["recount"][..], &arguments].concat(), 0);
    let inode = fs::metadata(path.join("maildirsize")).unwrap().ino();
    let message = "From: a\nSubject: b\n\nc\n";
    let mut deliver = Command::new("deliverquota.courier");
    ended(&output_with_input(deliver.arg(&path).arg(LIMITS), message), 0);
    assert_eq!(fs::metadata(path.join("maildirsize")).unwrap().ino(), inode, "it was not counted again");
    assert!(quota(&folder, &[&["check"][..], &arguments].concat(), 0).contains("1 correct, 0 incorrect"));
    fs::remove_file(path.join("maildirsize")).unwrap();
    run(Command::new("maildirmake.courier").args(["-q", LIMITS]).arg(&path));
    assert!(quota(&folder, &[&["check"][..], &arguments].concat(), 0).contains("1 correct, 0 incorrect"));
}

#[test]
fn a_check_shows_the_difference_and_changes_nothing() {
    let folder = Scratch::new("quota");
    let path = mailbox(&folder.join("Maildir"));
    fs::write(path.join("maildirsize"), "100000S,1000C\n500 4\n").unwrap();
    let arguments = ["check", "--maildir", path.to_str().unwrap(), "--limit", LIMITS];
    let told = quota(&folder, &arguments, 1);
    assert!(told.contains("-100") && told.contains("+1") && told.contains("0 correct, 1 incorrect"), "{told}");
    assert_eq!(maildirsize(&path), "100000S,1000C\n500 4\n");
    let told: Value = serde_json::from_str(&quota(&folder, &[&arguments[..], &["--json"]].concat(), 1)).expect("JSON");
    assert_eq!((&told[0]["bytes"], &told[0]["messages"]), (&(-100).into(), &1.into()));
    fs::write(path.join("maildirsize"), "100000S,1000C\n600 3").unwrap();
    assert!(quota(&folder, &arguments, 1).contains("its last line is cut off"));
}

#[test]
fn a_recount_shows_the_recorded_and_the_actual_usage() {
    let folder = Scratch::new("quota");
    let path = mailbox(&folder.join("Maildir"));
    let arguments = ["recount", "--maildir", path.to_str().unwrap(), "--limit", LIMITS];
    assert!(quota(&folder, &arguments, 0).contains("no maildirsize -> 600 B in 3 messages"));
    assert!(quota(&folder, &arguments, 0).contains("600 B in 3 messages, unchanged"));
    fs::write(path.join("maildirsize"), "100000S,1000C\n50000 40\n").unwrap();
    assert!(quota(&folder, &arguments, 0).contains("48.8 KiB in 40 messages -> 600 B in 3 messages"));
    fs::write(path.join("maildirsize"), "100000S,1000C\n90000 5\n").unwrap();
    let told: Value = serde_json::from_str(&quota(&folder, &[&arguments[..], &["--json"]].concat(), 0)).expect("JSON");
    assert_eq!(told["before"], serde_json::json!({ "bytes": 90_000, "messages": 5 }));
    assert_eq!((&told["bytes"], &told["changed"], &told["doubt"]), (&600.into(), &true.into(), &Value::Null));
}

#[test]
fn a_recount_of_all_lists_mailboxes_with_wrong_figures() {
    let folder = Scratch::new("quota");
    let accounts = accounts(&folder, &["anna@example.org", "bruno@example.org"]);
    for name in ["anna", "bruno"] {
        mailbox(&folder.join(name).join("Maildir"));
    }
    accounts.admin(&["quota", "recount", "--all"], "");
    fs::write(folder.join("bruno/Maildir/maildirsize"), format!("{LIMITS}\n99999 3\n")).unwrap();
    let told = accounts.admin(&["quota", "recount", "--all"], "");
    assert!(told.starts_with("bruno@example.org: 97.6 KiB in 3 messages -> 600 B in 3 messages\n"), "{told}");
    assert!(told.contains("the figures of 1 changed") && !told.contains("anna"), "{told}");
}

#[test]
fn a_message_fits_is_over_quota_or_is_not_now() {
    let folder = Scratch::new("quota");
    let path = mailbox(&folder.join("Maildir"));
    let ask = |path: &Path, size: &str, code| {
        let path = path.to_str().unwrap();
        quota(&folder, &["may-store", "--maildir", path, "--limit", "1000S,10C", "--size", size], code)
    };
    assert_eq!(ask(&path, "400", 0), "it fits\n");
    let told = ask(&path, "401", 77);
    assert!(told.contains("600 of 1000 bytes used, and this message would be 1 over it"), "{told}");
    ask(&folder.join("nowhere"), "1", 75);
    fs::write(folder.join("file"), "").unwrap();
    ask(&folder.join("file"), "1", 75);
    ask(&path, "much", 2);
    ask(&path, "9223372036854775808", 2);
}

#[test]
fn the_trash_counts_if_configured() {
    let folder = Scratch::new("quota");
    let path = mailbox(&folder.join("Maildir"));
    fs::rename(path.join(".Sent"), path.join(".Trash")).unwrap();
    let arguments = ["recount", "--maildir", path.to_str().unwrap(), "--limit", LIMITS];
    assert!(quota(&folder, &arguments, 0).contains("300 B in 2 messages"));
    assert!(quota(&folder, &[&arguments[..], &["--count-trash"]].concat(), 0).contains("600 B in 3 messages"));
}

#[test]
fn an_account_is_shown_with_its_usage_and_quota() {
    let folder = Scratch::new("quota");
    mailbox(&folder.join("anna/Maildir"));
    let accounts = accounts(&folder, &["anna@example.org", "bruno@example.org"]);
    let shown = |login: &str| -> Value {
        serde_json::from_str(&accounts.admin(&["quota", "show", login, "--json"], "")).expect("JSON")
    };
    let anna = shown("anna@example.org");
    assert_eq!((&anna["bytes"], &anna["limit_bytes"], &anna["percent"]), (&600.into(), &100_000.into(), &0.into()));
    assert_eq!(anna["doubt"], "it does not exist");
    assert_eq!(maildirsize(&folder.join("anna/Maildir")), "", "showing writes nothing");
    accounts.admin(&["quota", "recount", "anna@example.org"], "");
    assert_eq!(shown("anna@example.org")["doubt"], Value::Null);
    assert_eq!(shown("bruno@example.org")["messages"], 0);
    let text = accounts.admin(&["quota", "show", "bruno@example.org"], "");
    assert!(text.contains("no mail yet"), "{text}");
}

#[test]
fn a_new_quota_reaches_the_mailbox() {
    let folder = Scratch::new("quota");
    let path = mailbox(&folder.join("anna/Maildir"));
    let accounts = accounts(&folder, &["anna@example.org"]);
    accounts.admin(&["account", "set", "anna@example.org", "--quota", "5000S,70C"], "");
    assert_eq!(maildirsize(&path), "5000S,70C\n600 3\n");
    accounts.admin(&["account", "set", "anna@example.org", "--name", "Anna"], "");
    assert_eq!(maildirsize(&path), "5000S,70C\n600 3\n");
    accounts.admin(&["account", "set", "anna@example.org", "--quota", "none"], "");
    assert!(!path.join("maildirsize").exists());
}

#[test]
fn all_mailboxes_are_counted_checked_and_reported() {
    let folder = Scratch::new("quota");
    for name in ["anna", "carla"] {
        mailbox(&folder.join(name).join("Maildir"));
    }
    fs::write(folder.join("carla/Maildir/new/big,S=90000"), "").unwrap();
    let accounts = accounts(&folder, &["anna@example.org", "bruno@example.org", "carla@example.org"]);
    let told = accounts.admin(&["quota", "recount", "--all", "--jobs", "2"], "");
    assert!(told.contains("counted 2 mailboxes") && told.contains("1 have no mail yet, 0 failed"), "{told}");
    let told = accounts.admin(&["quota", "check", "--all"], "");
    assert!(told.contains("3 correct, 0 incorrect"), "{told}");
    let report: Value = serde_json::from_str(&accounts.admin(&["quota", "report", "--json"], "")).expect("JSON");
    let logins: Vec<_> = report.as_array().unwrap().iter().map(|line| line["login"].as_str().unwrap()).collect();
    assert_eq!(logins, ["carla@example.org", "anna@example.org", "bruno@example.org"]);
    let full = accounts.admin(&["quota", "report", "--over", "89"], "");
    assert!(full.contains("carla@example.org  90 %  [#########.]") && !full.contains("anna"), "{full}");
    assert!(!accounts.admin(&["quota", "report", "--top", "1"], "").contains("anna"));
}

#[test]
fn one_mailbox_that_fails_is_named_and_does_not_stop_the_others() {
    let folder = Scratch::new("quota");
    mailbox(&folder.join("anna/Maildir"));
    fs::create_dir_all(folder.join("bruno")).unwrap();
    fs::write(folder.join("bruno/Maildir"), "no folder").unwrap();
    let accounts = accounts(&folder, &["anna@example.org", "bruno@example.org"]);
    for verb in ["recount", "check"] {
        let told = ended(&accounts.try_admin(&["quota", verb, "--all"], ""), 75);
        assert!(told.contains("bruno@example.org: ") && told.contains("is no Maildir"), "{told}");
    }
    assert_eq!(maildirsize(&folder.join("anna/Maildir")), "100000S,1000C\n600 3\n");
    let told = ended(&accounts.try_admin(&["quota", "recount", "nobody@example.org"], ""), 1);
    assert!(told.contains("no such account"), "{told}");
}
