//! Renaming of accounts: what is changed with them, and what is left unchanged if it fails.

use mailauth_tests::people::{ANNA, CHEAP_HASH, PASSWORD};
use mailauth_tests::{Accounts, Kind, MailHost, ended, on_each_database_and_mysql};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};

on_each_database_and_mysql!(
    aliases_of_a_renamed_account_point_to_its_new_login,
    a_mailbox_moves_with_its_account,
    a_mailbox_is_not_moved_if_the_database_refuses_the_login,
);

const NEW: &str = "anne@example.org";

#[track_caller]
fn told(accounts: &Accounts, arguments: &[&str], code: i32) -> String {
    ended(&accounts.try_admin(arguments, ""), code)
}

/// Returns accounts whose homes follow from their logins, below a folder of their own.
fn accounts(kind: Kind) -> (Accounts, PathBuf) {
    let accounts = Accounts::empty(kind).with(&format!("login,password\n{ANNA},{CHEAP_HASH}\nben@example.org,\n"));
    let mail = accounts.folder().join("mail");
    let config =
        accounts.config().replacen("[mailbox]\n", &format!("[mailbox]\nhome = \"{}/%d/%n\"\n", mail.display()), 1);
    fs::write(accounts.config_path(), config).expect("the configuration");
    (accounts, mail)
}

/// Delivers a message to a home.
fn deliver(home: &Path) {
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(home.join("Maildir").join(part)).expect("a Maildir");
    }
    fs::write(home.join("Maildir/new/1"), "mail").expect("a message");
    chown(home, Some(MailHost::OWNER.uid), Some(MailHost::OWNER.gid)).expect("its owner");
}

#[track_caller]
fn targets(accounts: &Accounts, address: &str) -> Vec<String> {
    let list: Value = serde_json::from_str(&accounts.admin(&["alias", "list", "--json"], "")).expect("JSON");
    let alias = list.as_array().expect("a list").iter().find(|alias| alias["address"] == address);
    let targets = alias.expect("the alias")["targets"].as_array().expect("a list").clone();
    targets.iter().map(|target| target.as_str().expect("a text").to_owned()).collect()
}

fn aliases_of_a_renamed_account_point_to_its_new_login(kind: Kind) {
    let (accounts, _) = accounts(kind);
    for (address, to) in [
        ("info@example.org", &["ben@example.org", "Anna@Example.org", "x@else.example"][..]),
        ("both@example.org", &[NEW, "x@else.example", ANNA]),
        ("ben2@example.org", &["ben@example.org"]),
        (ANNA, &[ANNA, "ben@example.org"]),
    ] {
        accounts.admin(&[&["alias", "add", address], to].concat(), "");
    }
    let said = told(&accounts, &["account", "rename", ANNA, NEW], 0);
    assert!(
        said.contains("mail for anna@example.org, both@example.org, info@example.org now goes to anne@example.org"),
        "{said}"
    );
    assert_eq!(targets(&accounts, "info@example.org"), ["ben@example.org", NEW, "x@else.example"], "in place");
    assert_eq!(targets(&accounts, "both@example.org"), [NEW, "x@else.example"], "once");
    assert_eq!(targets(&accounts, "ben2@example.org"), ["ben@example.org"]);
    assert_eq!(targets(&accounts, ANNA), [NEW, "ben@example.org"]);
    // A rename that is refused changes no alias.
    told(&accounts, &["account", "rename", NEW, "ben@example.org"], 1);
    told(&accounts, &["account", "rename", NEW, "anne@nowhere.example"], 1);
    assert_eq!(targets(&accounts, "both@example.org"), [NEW, "x@else.example"]);
    accounts.admin(&["domain", "add", "other.example"], "");
    accounts.admin(&["alias", "add", "dora@other.example", "ben@example.org"], "");
    let said = told(&accounts, &["account", "rename", NEW, "dora@other.example"], 0);
    assert!(said.contains("dora@other.example is also an alias: its mail goes to ben@example.org"), "{said}");
    assert!(said.contains("'mailauth alias add anne@example.org dora@other.example' forwards it"), "{said}");
    assert!(said.contains("the quota of the domain other.example"), "{said}");
}

fn a_mailbox_moves_with_its_account(kind: Kind) {
    let (accounts, mail) = accounts(kind);
    deliver(&mail.join("example.org/anna"));
    accounts.admin(&["domain", "add", "other.example"], "");
    let said = told(&accounts, &["account", "rename", ANNA, "anne@other.example", "--move-mailbox"], 0);
    let (from, to) = (mail.join("example.org/anna"), mail.join("other.example/anne"));
    assert!(said.contains(&format!("moved its mailbox from {} to {}", from.display(), to.display())), "{said}");
    assert_eq!(fs::read(to.join("Maildir/new/1")).expect("the message"), b"mail");
    assert!(!from.exists());
    let shown: Value =
        serde_json::from_str(&accounts.admin(&["account", "show", "anne@other.example", "--json"], "")).unwrap();
    assert_eq!(shown["mailbox"]["home"], to.to_str().unwrap());
    accounts.admin(&["auth", "anne@other.example", "--password-stdin"], PASSWORD);
    // Without the option the mail stays, and the output says so.
    let said = told(&accounts, &["account", "rename", "anne@other.example", ANNA], 0);
    assert!(said.contains("its mail is still in") && said.contains("--move-mailbox would have moved it"), "{said}");
    assert!(to.join("Maildir/new/1").exists());
}

fn a_mailbox_is_not_moved_if_the_database_refuses_the_login(kind: Kind) {
    let (accounts, mail) = accounts(kind);
    let home = mail.join("example.org/anna");
    deliver(&home);
    for (new, why) in
        [("ben@example.org", "exists already"), ("anna@nowhere.example", "no such domain nowhere.example")]
    {
        let said = told(&accounts, &["account", "rename", ANNA, new, "--move-mailbox"], 1);
        assert!(said.contains(why), "{said}");
        assert!(home.join("Maildir/new/1").exists() && !mail.join("example.org/ben").exists());
    }
    told(&accounts, &["account", "show", ANNA], 0);
    // The new place is not empty.
    fs::create_dir_all(mail.join("example.org/anne")).expect("a folder");
    let said = told(&accounts, &["account", "rename", ANNA, NEW, "--move-mailbox"], 1);
    assert!(said.contains("nothing was changed") && said.contains("anne exists already"), "{said}");
    told(&accounts, &["account", "show", ANNA], 0);
    assert!(home.join("Maildir/new/1").exists());
}

#[test]
fn a_moved_mailbox_is_moved_back_if_the_database_fails() {
    let (accounts, mail) = accounts(Kind::Sqlite);
    let home = mail.join("example.org/anna");
    deliver(&home);
    // A constraint that is checked when the transaction is committed, and that no rename can satisfy.
    accounts.sql_without_checks(
        "CREATE TABLE parents (login TEXT PRIMARY KEY);
         CREATE TABLE children (login TEXT REFERENCES parents (login) DEFERRABLE INITIALLY DEFERRED);
         CREATE TRIGGER spoil AFTER UPDATE OF login ON accounts BEGIN INSERT INTO children VALUES (NEW.login); END",
    );
    let said = ended(&accounts.try_admin(&["account", "rename", ANNA, NEW, "--move-mailbox"], ""), 75);
    assert!(said.contains("its mailbox was moved back to"), "{said}");
    assert!(home.join("Maildir/new/1").exists() && !mail.join("example.org/anne").exists());
    told(&accounts, &["account", "show", ANNA], 0);
    told(&accounts, &["account", "show", NEW], 1);
}

#[test]
fn links_and_folders_of_other_users_are_not_moved() {
    let (accounts, mail) = accounts(Kind::Sqlite);
    let elsewhere = mail.join("elsewhere");
    deliver(&elsewhere);
    fs::create_dir_all(mail.join("example.org")).expect("a folder");
    symlink(&elsewhere, mail.join("example.org/anna")).expect("a link");
    let said = told(&accounts, &["account", "rename", ANNA, NEW, "--move-mailbox"], 1);
    assert!(said.contains("is not a folder but a link"), "{said}");
    fs::remove_file(mail.join("example.org/anna")).expect("no link");
    deliver(&mail.join("example.org/anna"));
    chown(mail.join("example.org"), Some(4711), Some(4711)).expect("an owner");
    let said = told(&accounts, &["account", "rename", ANNA, NEW, "--move-mailbox"], 1);
    assert!(said.contains("belongs to user 4711"), "{said}");
    told(&accounts, &["account", "show", ANNA], 0);
}

#[test]
fn accounts_with_their_own_home_or_no_mail_move_no_mailbox() {
    let (accounts, mail) = accounts(Kind::Sqlite);
    let said = told(&accounts, &["account", "rename", ANNA, NEW, "--move-mailbox"], 0);
    assert!(said.contains("there is no mailbox in"), "{said}");
    let home = mail.join("own");
    deliver(&home);
    accounts.admin(&["account", "set", NEW, "--home", home.to_str().unwrap()], "");
    let said = told(&accounts, &["account", "rename", NEW, ANNA, "--move-mailbox"], 0);
    assert!(said.contains("its mailbox stays in"), "{said}");
    assert!(home.join("Maildir/new/1").exists());
}
