//! Import and export of many accounts.

use mailauth_tests::people::{ANNA, CHEAP_HASH, PASSWORD, many, people};
use mailauth_tests::{Accounts, Kind, eventually, on_each_database};
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

on_each_database!(
    ten_thousand_rows_are_imported_within_5_s,
    an_export_is_imported_elsewhere_unchanged,
    one_bad_row_among_many_is_found_and_nothing_is_imported,
    the_same_file_again_is_refused_row_by_row,
);

mod with_a_server {
    use super::an_import_that_loses_its_server_imports_nothing;

    mailauth_tests::on_each_server!(an_import_that_loses_its_server_imports_nothing);
}

fn ten_thousand_rows_are_imported_within_5_s(kind: Kind) {
    let accounts = Accounts::empty(kind);
    let csv = many(10_000);
    let begin = Instant::now();
    let told = accounts.admin(&["account", "import", "-"], &csv);
    let took = begin.elapsed();
    assert_eq!(told, "imported 10000 accounts\n");
    // The required maximum, for a debug build on a machine that runs other tests at the same time.
    assert!(took < Duration::from_secs(5), "{kind:?} took {took:?}");
    println!("{kind:?}: 10,000 rows in {} ms", took.as_millis());
    assert_eq!(accounts.admin(&["account", "list", "many.example"], "").lines().count(), 10_001);
}

fn an_export_is_imported_elsewhere_unchanged(kind: Kind) {
    let csv = people(Path::new("/var/mail"));
    let awkward = "login,password,quota,name,services\n\
                   o'neil@example.org,!,0C,\"O\"\"Neil, \\ '; DROP TABLE accounts\",none\n\
                   größe@müller.example,,5S,%s {0} 日本,\"smtp,ftp\"\n";
    let first = Accounts::empty(kind).with(&csv).with(awkward);
    let exported = first.admin(&["account", "export"], "");
    assert_eq!(exported.lines().count(), 8, "{exported}");
    for other in [Kind::Sqlite, kind] {
        let second = Accounts::empty(other).with(&exported);
        assert_eq!(second.admin(&["account", "export"], ""), exported);
    }
    first.admin(&["auth", ANNA, "--password-stdin"], PASSWORD);
}

#[test]
fn all_bad_rows_are_listed_and_nothing_is_imported() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&format!("login,password\n{ANNA},{CHEAP_HASH}\n"));
    let csv = "login,password,uid,quota\r\n\
               good@example.org,,,\r\n\
               Anna@example.org,,,\r\n\
               cut@example.org,$6$salt$short,,\r\n\
               \"two lines\nof a login@example.org\",,,\r\n\
               good@EXAMPLE.org,,0,much\r\n\
               good@example.org,,,\r\n";
    let output = accounts.try_admin(&["account", "import", "-"], csv);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    for part in [
        "the standard input:3: the account anna@example.org exists already",
        "the standard input:4: password: the SHA512-CRYPT value is truncated",
        "the standard input:5: login: the login holds a control character or a space",
        "the standard input:7: uid: 0 is root",
        "the standard input:7: quota: \"much\" is not a quota",
        "the standard input:8: good@example.org is on line 2 already",
        "nothing was imported; 6 problems",
    ] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
    assert_eq!(told.lines().count(), 7, "{told}");
    assert_eq!(accounts.admin(&["account", "list"], "").lines().count(), 2);
    let unknown = accounts.try_admin(&["account", "import", "-"], "login,passwort\n");
    assert!(
        String::from_utf8_lossy(&unknown.stderr).contains("no column \"passwort\"; columns are login,password,uid")
    );
}

#[test]
fn a_thousand_problems_are_listed_and_the_rest_counted() {
    let accounts = Accounts::empty(Kind::Sqlite);
    let csv: String =
        std::iter::once("login".to_owned()).chain((0..3000).map(|n| format!("bare{n}"))).collect::<Vec<_>>().join("\n");
    let output = accounts.try_admin(&["account", "import", "-"], &csv);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told.lines().count(), 1002, "{told}");
    assert!(told.contains("and 2000 more") && told.contains("3000 problems"));
}

#[test]
fn an_exported_file_is_private_and_overwrites_nothing() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let file = accounts.folder().join("export.csv");
    let name = file.to_str().unwrap();
    accounts.admin(&["account", "export", name], "");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&file).unwrap();
    let again = accounts.try_admin(&["account", "export", name], "");
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(fs::read(&file).unwrap(), before);
    let other = Accounts::empty(Kind::Sqlite);
    other.admin(&["account", "import", name], "");
    assert_eq!(other.admin(&["account", "export"], "").as_bytes(), before);
}

fn one_bad_row_among_many_is_found_and_nothing_is_imported(kind: Kind) {
    let accounts = Accounts::empty(kind).with("login\nanna@old.example\nbruno@old.example\n");
    let mut rows: Vec<String> = (0..3000).map(|n| format!("user{n}@new.example,")).collect();
    let bad = [
        (2, "anna@old.example,", "the account anna@old.example exists already"),
        (3, "user0@new.example,", "user0@new.example is on line 2 already"),
        (1400, "ANNA@old.example,", "anna@old.example is on line 4 already"),
        (1401, "bruno@old.example,", "the account bruno@old.example exists already"),
        (1402, "bad login@new.example,", "login: the login holds a control character or a space"),
        (2999, "user2500@NEW.example,", "user2500@new.example is on line 2502 already"),
    ];
    let good = rows.clone();
    for (at, row, _) in bad {
        rows[at] = row.to_owned();
    }
    let file = |rows: &[String]| format!("login,name\n{}\n", rows.join("\n"));
    let output = accounts.try_admin(&["account", "import", "-"], &file(&rows));
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    let listed = bad.map(|(at, _, why)| format!("the standard input:{}: {why}", at + 2));
    for line in &listed {
        assert!(told.contains(line), "{line}:\n{told}");
    }
    assert!(told.contains("nothing was imported; 6 problems") && told.lines().count() == 7, "{told}");
    assert_eq!(accounts.admin(&["account", "list"], "").lines().count(), 3);
    assert_eq!(accounts.admin(&["domain", "list"], "").lines().count(), 2, "its domain was not added either");
    assert_eq!(accounts.admin(&["account", "import", "-"], &file(&good)), "imported 3000 accounts\n");
}

fn the_same_file_again_is_refused_row_by_row(kind: Kind) {
    let accounts = Accounts::empty(kind).with(&many(2500));
    let output = accounts.try_admin(&["account", "import", "-"], &many(2500));
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(told.lines().filter(|line| line.ends_with("exists already")).count(), 1000, "{told}");
    assert!(told.contains("and 1500 more\n") && told.contains("nothing was imported; 2500 problems"), "{told}");
}

fn an_import_that_loses_its_server_imports_nothing(kind: Kind) {
    let accounts = Accounts::on_own_server(kind);
    let file = accounts.folder().join("many.csv");
    // With quotas large enough to cause no warning: nothing reads the warnings in the meantime.
    let csv = many(50_000).replace("S,7C", "0000000S,7C");
    fs::write(&file, &csv).unwrap();
    let mut command = accounts.admin_command(&["account", "import", file.to_str().unwrap()]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let io = format!("/proc/{}/io", child.id());
    // It reads the file once before it queries the database, and again while it inserts the rows.
    let middle = csv.len() + csv.len() / 4;
    eventually("the import is in the middle", Duration::from_secs(60), || {
        let text = fs::read_to_string(&io).unwrap_or_default();
        let read = text.lines().find_map(|line| line.strip_prefix("rchar: ")).and_then(|read| read.parse().ok());
        read.is_some_and(|read: usize| read > middle)
    });
    accounts.server().crash();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(75), "{told}");
    assert!(told.contains("cannot be reached") && told.contains("nothing was imported"), "{told}");
    accounts.server().start();
    assert_eq!(accounts.admin(&["account", "list"], "").lines().count(), 1);
    assert_eq!(accounts.admin(&["domain", "list"], "").lines().count(), 1);
}

#[test]
fn standard_input_is_stored_where_no_other_user_can_read_it() {
    let accounts = Accounts::empty(Kind::Sqlite);
    let folder = accounts.folder().join("temporary");
    fs::create_dir(&folder).unwrap();
    let mut command = accounts.admin_command(&["account", "import", "-"]);
    command.env("TMPDIR", &folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(format!("login,password\n{ANNA},{CHEAP_HASH}\n").as_bytes()).unwrap();
    let descriptors = format!("/proc/{}/fd", child.id());
    let spooled = || {
        let open = fs::read_dir(&descriptors).into_iter().flatten().flatten().map(|entry| entry.path());
        open.into_iter().find(|path| fs::read_link(path).is_ok_and(|name| name.starts_with(&folder)))
    };
    eventually("its input is spooled", Duration::from_secs(20), || {
        spooled().is_some_and(|path| fs::metadata(path).is_ok_and(|meta| meta.len() > 0))
    });
    let meta = fs::metadata(spooled().unwrap()).unwrap();
    assert_eq!((meta.mode() & 0o777, meta.nlink()), (0o600, 0));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "it has been unlinked");
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "imported 1 accounts\n");
}
