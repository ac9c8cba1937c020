//! Many accounts at once: import and export.

use mailauth_tests::people::{ANNA, CHEAP_HASH, PASSWORD, many, people};
use mailauth_tests::{Accounts, Kind, on_each_database};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

on_each_database!(ten_thousand_rows_are_imported_within_5_s, an_export_is_imported_elsewhere_as_it_was);

fn ten_thousand_rows_are_imported_within_5_s(kind: Kind) {
    let accounts = Accounts::empty(kind);
    let csv = many(10_000);
    let begin = Instant::now();
    let told = accounts.admin(&["account", "import", "-"], &csv);
    let took = begin.elapsed();
    assert_eq!(told, "imported 10000 accounts\n");
    // The contract's figure, of a debug build on a machine that runs other tests meanwhile.
    assert!(took < Duration::from_secs(5), "{kind:?} took {took:?}");
    println!("{kind:?}: 10,000 rows in {} ms", took.as_millis());
    assert_eq!(accounts.admin(&["account", "list", "many.example"], "").lines().count(), 10_001);
}

fn an_export_is_imported_elsewhere_as_it_was(kind: Kind) {
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
fn bad_rows_are_all_listed_and_nothing_is_imported() {
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
        "the standard input:4: password: the SHA512-CRYPT value is cut",
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
fn an_exported_file_is_for_its_owner_alone_and_overwrites_nothing() {
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
