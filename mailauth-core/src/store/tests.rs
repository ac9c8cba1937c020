//! Tests on SQLite. `tests/tests/stores.rs` has the same ones for all three databases.

use super::*;
use crate::config::{DatabaseConfig, DatabaseUrl};
use crate::{Secret, Services};
use std::io;
use std::path::{Path, PathBuf};

struct Scratch {
    _directory: tempfile::TempDir,
    path: PathBuf,
    store: SqlStore,
}

fn config(path: &Path) -> DatabaseConfig {
    DatabaseConfig {
        url: DatabaseUrl::Sqlite { path: path.to_owned() },
        deadline: Duration::from_millis(300),
        ..DatabaseConfig::default()
    }
}

/// Accounts to import, and those that were refused.
struct Listed<'r> {
    rows: &'r [AccountRow],
    next: usize,
    refused: Vec<(u64, AdminError)>,
}

impl ImportSource<AccountRecord> for Listed<'_> {
    fn rewind(&mut self) -> io::Result<()> {
        (self.next, self.refused) = (0, Vec::new());
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<(u64, AccountRecord)>> {
        let record = |row: &AccountRow| AccountRecord { login: row.login.clone(), change: AccountChange::to(row) };
        let row = self.rows.get(self.next).map(|row| (self.next as u64, record(row)));
        self.next += 1;
        Ok(row)
    }

    fn refuse(&mut self, place: u64, why: AdminError) -> bool {
        self.refused.push((place, why));
        true
    }

    fn is_spoilt(&self) -> bool {
        !self.refused.is_empty()
    }
}

/// Imports accounts. Fails with the index of each refused account and the reason.
fn import(store: &SqlStore, rows: &[AccountRow]) -> Result<(), Vec<(u64, AdminError)>> {
    let mut source = Listed { rows, next: 0, refused: Vec::new() };
    let added = store.import_accounts(&mut source, ImportMode::default(), &|_, _| None).expect("an import").added;
    if source.is_spoilt() {
        assert_eq!(added, 0);
        return Err(source.refused);
    }
    assert_eq!(added, rows.len() as u64);
    Ok(())
}

/// Creates an empty database with our tables, and a domain.
fn scratch() -> Scratch {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mail.db");
    let store = open_single(&config(&path)).unwrap();
    assert_eq!(store.init().unwrap(), SchemaChange { from: 0, to: 4 });
    store.add_domain(&domain("x.example")).unwrap();
    Scratch { _directory: directory, path, store }
}

impl Scratch {
    /// Changes the file as an administrator might, without our rules.
    fn sql(&self, sql: &str) {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        connection.execute_batch("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF").unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

fn login(text: &str) -> Login {
    Login::parse(text.as_bytes(), None).unwrap()
}

fn domain(name: &str) -> DomainRow {
    DomainRow::new(name)
}

fn account(name: &str) -> AccountRow {
    AccountRow::new(login(name))
}

fn full(name: &str) -> AccountRow {
    AccountRow {
        login: login(name),
        password: Password(Secret::from("$6$salt$hash")),
        enabled: false,
        domain_enabled: true,
        services: Services::parse("imap,ftp").unwrap(),
        uid: Some(5000),
        gid: Some(u32::MAX - 1),
        home: Some("/srv/mail/ä".into()),
        maildir: Some("Maildir/".into()),
        quota_bytes: Some(0),
        quota_messages: Some(crate::model::limits::Limits::MAX),
        name: Some("Ännä Ö, \"quoted\"".into()),
        options: Some("disableimap=1,sharedgroup=x".into()),
        receives: false,
    }
}

#[test]
fn an_added_account_is_found_unchanged() {
    let Scratch { store, .. } = &scratch();
    for row in [full("anna@x.example"), account("bare@x.example"), account("ünï@x.example")] {
        store.add_account(&row).unwrap();
        assert_eq!(store.find(&row.login).unwrap(), Some(row));
    }
    assert_eq!(store.find(&login("unknown@x.example")).unwrap(), None);
}

#[test]
fn a_row_whose_login_is_not_the_one_asked_is_not_found() {
    let scratch = scratch();
    scratch.sql(
        "INSERT INTO accounts (login, domain) VALUES ('Anna@x.example', 'x.example'), ('b@x.example ', 'x.example')",
    );
    assert_eq!(scratch.store.find(&login("anna@x.example")).unwrap(), None);
    assert_eq!(scratch.store.find(&login("b@x.example")).unwrap(), None);
}

#[test]
fn a_disabled_domain_disables_each_of_its_accounts() {
    let Scratch { store, .. } = &scratch();
    store.add_account(&account("a@x.example")).unwrap();
    let off = DomainRow { enabled: false, description: Some("for sale".into()), ..domain("x.example") };
    store.set_domain(&off).unwrap();
    assert!(!store.find(&login("a@x.example")).unwrap().unwrap().domain_enabled);
    assert_eq!(store.domains().unwrap(), [off]);
}

#[test]
fn a_bad_value_makes_its_row_unusable_and_no_other() {
    let scratch = scratch();
    for (number, set) in [
        "enabled = 2",
        "services = 'imap;pop3'",
        "uid = -1",
        "gid = 4294967295",
        "home = CAST(x'2fff' AS TEXT)",
        "maildir = CAST(x'ff' AS TEXT)",
        "quota_bytes = -1",
        "quota_messages = -1",
        "name = CAST(x'ff' AS TEXT)",
        "options = CAST(x'ff' AS TEXT)",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("bad{number}@x.example");
        scratch.store.add_account(&account(&name)).unwrap();
        scratch.sql(&format!("UPDATE accounts SET {set} WHERE login = '{name}'"));
        let StoreError::Unusable(unusable) = scratch.store.find(&login(&name)).unwrap_err() else { panic!("{set}") };
        assert_eq!(unusable.column, set.split(' ').next().unwrap());
        assert_eq!(unusable.login, name);
    }
    scratch.store.add_account(&full("good@x.example")).unwrap();
    let page = scratch.store.enumerate(None, 100).unwrap().rows;
    assert_eq!((page.len(), page.iter().filter(|row| row.is_ok()).count()), (11, 1));
}

#[test]
fn a_password_that_is_not_utf_8_is_read_and_replaced_as_it_is() {
    let scratch = scratch();
    scratch.store.add_account(&account("a@x.example")).unwrap();
    scratch.sql("UPDATE accounts SET password = CAST(x'ff00fe' AS TEXT)");
    let row = scratch.store.find(&login("a@x.example")).unwrap().unwrap();
    assert_eq!(row.password.0.expose(), b"\xff\0\xfe");
    assert!(scratch.store.set_password(&row.login, &row.password, &Password(Secret::from("$6$new"))).unwrap());
}

#[test]
fn a_password_is_replaced_only_if_the_old_one_is_stored() {
    let Scratch { store, .. } = &scratch();
    let login_a = login("a@x.example");
    let password = |text: &str| Password(Secret::from(text));
    store.add_account(&account("a@x.example")).unwrap();
    assert_eq!(store.account_times(&login_a).unwrap().unwrap().password_changed, "");
    assert!(store.set_password(&login_a, &Password::default(), &password("one")).unwrap(), "NULL is no password");
    assert!(!store.set_password(&login_a, &password("One"), &password("two")).unwrap());
    assert!(!store.set_password(&login_a, &password("one "), &password("two")).unwrap());
    assert!(store.set_password(&login_a, &password("one"), &password("two")).unwrap());
    assert_eq!(store.find(&login_a).unwrap().unwrap().password, password("two"));
    assert!(!store.set_password(&login("b@x.example"), &Password::default(), &password("x")).unwrap());
    let times = store.account_times(&login_a).unwrap().unwrap();
    assert_eq!(times.password_changed.len(), "2026-11-23 20:00:00".len(), "{times:?}");
    assert!(times.password_changed >= times.created, "{times:?}");
}

#[test]
fn pages_hold_every_row_once_in_byte_order() {
    let Scratch { store, .. } = &scratch();
    let mut names: Vec<String> = (0..25).map(|n| format!("u{n}@x.example")).collect();
    names.extend(["z@x.example".into(), "é@x.example".into(), "a-b@x.example".into(), "a_b@x.example".into()]);
    import(store, &names.iter().map(|name| account(name)).collect::<Vec<_>>()).unwrap();
    names.sort();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.enumerate(after.as_ref(), 4).unwrap();
        assert!(page.rows.len() <= 4);
        seen.extend(page.rows.into_iter().map(|row| row.unwrap().login));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.iter().map(Login::as_str).collect::<Vec<_>>(), names);
}

#[test]
fn pages_of_rows_that_cannot_be_read_are_passed_once() {
    let scratch = scratch();
    let written =
        ["Ärger@x.example", "B1@x.example", "B2@x.example", "B3@x.example", "b@x.example\n", "Ölaf@x.example"];
    for name in written {
        scratch.sql(&format!("INSERT INTO accounts (login, domain) VALUES ('{name}', 'x.example')"));
    }
    scratch.sql("INSERT INTO accounts (login, domain) VALUES (CAST(x'ff40782e6578616d706c65' AS TEXT), 'x.example')");
    scratch.store.add_account(&account("c@x.example")).unwrap();
    for limit in 1..10 {
        let (mut good, mut bad, mut after) = (Vec::new(), Vec::new(), None);
        loop {
            let page = scratch.store.enumerate(after.as_ref(), limit).unwrap();
            for row in page.rows {
                match row {
                    Ok(row) => good.push(row.login.to_string()),
                    Err(unusable) => bad.push(unusable.login),
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(good, ["c@x.example"], "{limit}");
        assert_eq!(bad.len(), written.len() + 1, "{limit}: {bad:?}");
        assert!(bad.contains(&r"\xc3\x84rger@x.example".into()), "{limit}: {bad:?}");
    }
}

#[test]
fn a_change_changes_only_the_columns_that_it_names() {
    let Scratch { store, .. } = &scratch();
    store.add_account(&full("a@x.example")).unwrap();
    let login_a = login("a@x.example");
    let change = AccountChange {
        enabled: Some(true),
        services: Some(Services::All),
        home: Some(None),
        quota_bytes: Some(Some(7)),
        ..AccountChange::default()
    };
    store.set_account(&login_a, &change).unwrap();
    let expected =
        AccountRow { enabled: true, services: Services::All, home: None, quota_bytes: Some(7), ..full("a@x.example") };
    assert_eq!(store.find(&login_a).unwrap(), Some(expected));
    let missing = store.set_account(&login("b@x.example"), &change).unwrap_err();
    assert_eq!(missing.to_string(), "there is no such account: b@x.example");
}

#[test]
fn a_refused_value_is_named_by_its_constraint() {
    let Scratch { store, .. } = &scratch();
    let refused = |row: AccountRow| store.add_account(&row).unwrap_err().to_string();
    assert!(refused(AccountRow { home: Some("mail".into()), ..account("a@x.example") }).contains("home_absolute"));
    assert!(refused(AccountRow { name: Some("a\nb".into()), ..account("a@x.example") }).contains("name_printable"));
    assert!(
        refused(AccountRow { options: Some("a\0b".into()), ..account("a@x.example") }).contains("options_printable")
    );
    assert!(refused(account("bare")).contains("has no domain"));
    assert_eq!(store.enumerate(None, 9).unwrap().rows.len(), 0);
}

#[test]
fn existing_and_missing_rows_are_reported() {
    let Scratch { store, .. } = &scratch();
    store.add_account(&account("a@x.example")).unwrap();
    let said = |outcome: Result<(), AdminError>| outcome.unwrap_err().to_string();
    assert_eq!(said(store.add_account(&account("a@x.example"))), "the account a@x.example exists already");
    assert_eq!(said(store.add_account(&account("a@y.example"))), "there is no such domain: y.example");
    assert_eq!(said(store.add_domain(&domain("x.example"))), "the domain x.example exists already");
    assert_eq!(said(store.set_domain(&domain("y.example"))), "there is no such domain: y.example");
    assert_eq!(said(store.remove_domain("y.example", false)), "there is no such domain: y.example");
    assert_eq!(said(store.remove_account(&login("b@x.example"))), "there is no such account: b@x.example");
    let alias = AliasRow { address: "a@y.example".into(), targets: vec!["b@x.example".into()] };
    assert_eq!(said(store.add_alias(&alias)), "there is no such domain: y.example");
    assert_eq!(said(store.remove_alias(&alias)), "there is no such alias: a@y.example -> b@x.example");
}

#[test]
fn a_domain_in_use_is_removed_only_with_its_contents() {
    let Scratch { store, .. } = &scratch();
    store.add_account(&account("a@x.example")).unwrap();
    store.add_alias(&AliasRow { address: "@x.example".into(), targets: vec!["a@x.example".into()] }).unwrap();
    let in_use = AdminError::InUse { domain: "x.example".into(), accounts: 1, aliases: 1, alias_domains: 0 };
    assert_eq!(store.remove_domain("x.example", false).unwrap_err(), in_use);
    store.remove_domain("x.example", true).unwrap();
    assert!(store.domains().unwrap().is_empty() && store.aliases(None).unwrap().is_empty());
    assert_eq!(store.find(&login("a@x.example")).unwrap(), None);
}

#[test]
fn an_import_adds_everything_or_nothing() {
    let Scratch { store, .. } = &scratch();
    let good = [full("a@new.example"), account("b@x.example")];
    let bad = AccountRow { home: Some("relative".into()), ..account("c@other.example") };
    let refused = import(store, &[&good[..], &[bad]].concat()).unwrap_err();
    assert!(matches!(&refused[..], [(2, AdminError::Store(StoreError::Refused { .. }))]), "{refused:?}");
    let twice = import(store, &[good[0].clone(), good[1].clone(), good[0].clone()]).unwrap_err();
    assert_eq!(twice, [(2, AdminError::Exists { what: "account", name: "a@new.example".into() })]);
    assert_eq!((store.enumerate(None, 9).unwrap().rows.len(), store.domains().unwrap().len()), (0, 1));
    import(store, &good).unwrap();
    assert_eq!(store.find(&good[0].login).unwrap().as_ref(), Some(&good[0]));
}

#[test]
fn a_look_up_does_not_create_a_missing_database() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mail.db");
    let store = open_single(&config(&path)).unwrap();
    let StoreError::Schema(said) = store.find(&login("a@x.example")).unwrap_err() else { panic!() };
    assert!(said.contains("mailauth init"), "{said}");
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    let StoreError::Schema(said) = store.find(&login("a@x.example")).unwrap_err() else { panic!() };
    assert!(said.contains("mailauth init"), "{said}");
}

#[test]
fn init_again_changes_nothing_and_a_newer_schema_is_left_alone() {
    let scratch = scratch();
    assert_eq!(scratch.store.init().unwrap(), SchemaChange { from: 4, to: 4 });
    assert_eq!(scratch.store.domains().unwrap().len(), 1);
    scratch.sql("INSERT INTO schema_version (version) VALUES (9)");
    let newer = open_single(&config(&scratch.path)).unwrap();
    for error in [newer.init().unwrap_err(), newer.find(&login("a@x.example")).unwrap_err()] {
        assert!(matches!(&error, StoreError::Schema(said) if said.contains("version 9")), "{error}");
    }
}

#[test]
fn init_does_not_take_over_the_tables_of_other_programs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mail.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE accounts (id INTEGER)").unwrap();
    let error = open_single(&config(&path)).unwrap().init().unwrap_err();
    assert!(error.to_string().contains("a table accounts that is not mailauth's"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mail.db");
    std::fs::write(&path, "not a database, but as long as the header of one would be: ".repeat(20)).unwrap();
    let error = open_single(&config(&path)).unwrap().find(&login("a@x.example")).unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
}

#[test]
fn a_write_waits_for_a_locked_database_until_the_deadline() {
    let scratch = scratch();
    scratch.store.add_account(&account("a@x.example")).unwrap();
    let other = rusqlite::Connection::open(&scratch.path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let start = std::time::Instant::now();
    let error = scratch.store.add_account(&account("b@x.example")).unwrap_err();
    assert!(matches!(error, AdminError::Store(StoreError::Timeout { .. })), "{error:?}");
    assert!(start.elapsed() >= Duration::from_millis(250) && start.elapsed() < Duration::from_secs(5));
    assert!(scratch.store.find(&login("a@x.example")).unwrap().is_some(), "a writer does not keep readers out");
    other.execute_batch("ROLLBACK").unwrap();
    scratch.store.add_account(&account("b@x.example")).unwrap();
}

#[test]
fn a_file_that_replaces_the_database_is_used_at_once() {
    let (scratch, backup) = (scratch(), scratch());
    scratch.store.add_account(&account("new@x.example")).unwrap();
    backup.store.add_account(&account("old@x.example")).unwrap();
    let copy = backup.path.with_file_name("copy.db");
    backup.sql(&format!("VACUUM INTO '{}'", copy.display()));
    for beside in ["mail.db-wal", "mail.db-shm"] {
        // A program that replaces a database must remove these files too: SQLite would play the old log into the new
        // file.
        let _ = std::fs::remove_file(scratch.path.with_file_name(beside));
    }
    std::fs::rename(&copy, &scratch.path).unwrap();
    assert!(scratch.store.find(&login("old@x.example")).unwrap().is_some());
    assert!(scratch.store.find(&login("new@x.example")).unwrap().is_none());
}

#[test]
fn other_users_cannot_read_a_new_database() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = scratch();
    assert_eq!(std::fs::metadata(&scratch.path).unwrap().permissions().mode() & 0o007, 0);
    assert!(scratch.store.report().unwrap().rights_too_wide.is_empty());
    std::fs::set_permissions(&scratch.path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let report = scratch.store.report().unwrap();
    assert!(report.rights_too_wide[0].starts_with("read "), "{report:?}");
    assert_eq!((report.schema, report.schema_known, report.accounts), (4, 4, 0));
    assert!(report.server.starts_with("SQLite 3."));
}

#[test]
fn threads_share_a_pool() {
    let scratch = scratch();
    let pooled = open_pooled(&DatabaseConfig { pool: 3, ..config(&scratch.path) }).unwrap();
    scratch.store.add_account(&account("a@x.example")).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..200 {
                    assert!(pooled.find(&login("a@x.example")).unwrap().is_some());
                    assert!(pooled.find(&login("b@x.example")).unwrap().is_none());
                }
            });
        }
    });
}

/// Returns true if the text is anywhere in the database's file or the files next to it.
fn is_in_the_files(path: &Path, text: &str) -> bool {
    ["", "-wal"].iter().any(|end| {
        let bytes = std::fs::read(format!("{}{end}", path.display())).unwrap_or_default();
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    })
}

#[test]
fn a_hash_that_was_changed_or_removed_is_not_left_in_the_file() {
    let scratch = scratch();
    // A daemon that goes on running.
    let daemon = open_single(&config(&scratch.path)).unwrap();
    for (name, hash) in [("a@x.example", "{PLAIN}the first of a"), ("b@x.example", "{PLAIN}the only one of b")] {
        let row = AccountRow { password: Password(Secret::from(hash)), ..account(name) };
        scratch.store.add_account(&row).unwrap();
    }
    assert!(daemon.find(&login("a@x.example")).unwrap().is_some());
    drop(scratch.store);
    assert!(["first of a", "only one of b"].iter().all(|hash| is_in_the_files(&scratch.path, hash)));
    let command = open_single(&config(&scratch.path)).unwrap();
    let stored = |hash: &str| Password(Secret::from(hash));
    let (old, new) = (stored("{PLAIN}the first of a"), stored("{PLAIN}the next of a"));
    assert!(command.set_password(&login("a@x.example"), &old, &new).unwrap());
    command.remove_account(&login("b@x.example")).unwrap();
    drop(command);
    assert!(is_in_the_files(&scratch.path, "the next of a"));
    for gone in ["first of a", "only one of b"] {
        assert!(!is_in_the_files(&scratch.path, gone), "{gone}");
    }
    assert!(daemon.find(&login("a@x.example")).unwrap().is_some());
}
