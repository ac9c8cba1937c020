//! Import and export of many accounts.

use mailauth_tests::people::{ANNA, BRUNO, CARLA, CHEAP_HASH, PASSWORD, SHA512_CRYPT_HASH, many, people};
use mailauth_tests::wire::{Manner, ask, login};
use mailauth_tests::{Accounts, Kind, Mailauth, ended, eventually, on_each_database};
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

on_each_database!(
    ten_thousand_rows_are_imported_within_seconds,
    an_export_is_imported_elsewhere_unchanged,
    one_bad_row_among_many_is_found_and_nothing_is_imported,
    the_same_file_again_is_refused_row_by_row,
    exports_of_all_tables_make_an_equal_database,
    an_update_changes_only_what_the_file_says,
    an_update_of_domains_and_aliases_is_used_at_once,
);

mod with_a_server {
    use super::an_import_that_loses_its_server_imports_nothing;

    mailauth_tests::on_each_server!(an_import_that_loses_its_server_imports_nothing);
}

/// Maximum time for 10,000 rows on a busy machine.
const BUSY: Duration = Duration::from_secs(15);

fn ten_thousand_rows_are_imported_within_seconds(kind: Kind) {
    let accounts = Accounts::empty(kind);
    let csv = many(10_000);
    let begin = Instant::now();
    let told = accounts.admin(&["account", "import", "-"], &csv);
    let took = begin.elapsed();
    assert_eq!(told, "imported 10000 accounts\n");
    // A debug build, beside other tests and compilers.
    assert!(took < BUSY, "{kind:?} took {took:?}: 5 s are allowed, on a machine that does nothing else");
    println!("{kind:?}: 10,000 rows in {} ms", took.as_millis());
    assert_eq!(accounts.admin(&["account", "list", "many.example"], "").lines().count(), 10_001);
    // Rows are changed as fast as they are added, also on a machine that is busier than that.
    let most = BUSY.max(took * 2);
    let begin = Instant::now();
    let told = accounts.admin(&["account", "import", "--update", "-"], &csv.replace("S,7C", "S,8C"));
    let took = begin.elapsed();
    assert_eq!(told, "imported 10000 accounts: 0 added, 10000 changed (quota 10000), 0 unchanged\n");
    assert!(took < most, "{kind:?} took {took:?}");
    println!("{kind:?}: 10,000 rows changed in {} ms", took.as_millis());
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

/// Nouns that are exported and imported, in the order in which rows refer to earlier ones.
const TABLES: [&[&str]; 4] = [&["domain"], &["domain", "alias"], &["account"], &["alias"]];

fn exports(accounts: &Accounts) -> [String; 4] {
    TABLES.map(|noun| accounts.admin(&[noun, &["export"]].concat(), ""))
}

fn exports_of_all_tables_make_an_equal_database(kind: Kind) {
    let first = Accounts::empty(kind);
    let domains = "domain,description,enabled,backup,quota\n\
                   example.org,\"Example, \"\"Ltd\"\" %s\",yes,no,\"1073741824S,5C\"\n\
                   mx.example,,yes,yes,\n\
                   off.example,Ärger,no,no,7C\n\
                   xn--mller-kva.example,,yes,no,1000S\n";
    first.admin(&["domain", "import", "-"], domains);
    first.admin(
        &["domain", "alias", "import", "-"],
        "name,target,enabled\na.example,example.org,no\nb.example,off.example,\n",
    );
    first.admin(&["account", "import", "-"], &people(Path::new("/var/mail")));
    let more = "login,password,quota,services,receives\n\
                none@off.example,!,none,none,no\n\
                größe@müller.example,,0S,\"smtp,ftp\",yes\n";
    first.admin(&["account", "import", "-"], more);
    let aliases = "address,targets\n\
                   @example.org,anna@example.org\n\
                   größe@xn--mller-kva.example,Zoë@else.example\n\
                   info@example.org,\"z@else.example,anna@example.org,a@example.org\"\n";
    first.admin(&["alias", "import", "-"], aliases);
    let exported = exports(&first);
    assert_eq!(exported[0], domains);
    assert_eq!(exported[3], aliases, "with the targets in their order");
    assert!(exported[2].contains("none@off.example,!,,,,,\"0S,0C\",none,,,yes,no\n"), "{}", exported[2]);
    for other in [Kind::Sqlite, kind] {
        let second = Accounts::empty(other);
        for (noun, csv) in TABLES.iter().zip(&exported) {
            second.admin(&[noun, &["import", "-"][..]].concat(), csv);
        }
        assert_eq!(exports(&second), exported);
        for (noun, csv) in TABLES.iter().zip(&exported) {
            let told = second.admin(&[noun, &["import", "--update", "--dry-run", "-"][..]].concat(), csv);
            let rows = csv.lines().count() - 1;
            let same = format!("0 added, 0 changed, {rows} unchanged; nothing was written\n");
            assert!(told.starts_with(&format!("would import {rows} ")) && told.ends_with(&same), "{told}");
        }
    }
}

fn an_update_changes_only_what_the_file_says(kind: Kind) {
    let accounts = Accounts::empty(kind).with(&people(Path::new("/var/mail")));
    let server = Mailauth::over(&accounts);
    let word = |user: &str, password: &str| login(server.socket(), user, password).word();
    // The daemon remembers these.
    assert_eq!((word(ANNA, PASSWORD), word("new@else.example", PASSWORD)), ("ACCOUNT", "FAIL"));
    let before = exports(&accounts);
    let csv = format!(
        "login,password,quota,enabled\n\
         {ANNA},{{PLAIN}}new words,none,\n\
         {BRUNO},{SHA512_CRYPT_HASH},,\n\
         {CARLA},{CHEAP_HASH},,yes\n\
         new@else.example,{CHEAP_HASH},1G,no\n"
    );
    let counts = "4 accounts: 1 added, 2 changed (enabled 1, password 1, quota 1), 1 unchanged, 1 new domain";
    let told = accounts.admin(&["account", "import", "--update", "--dry-run", "-"], &csv);
    assert_eq!(told, format!("would import {counts}; nothing was written\n"));
    // A mistake in one row, which the configuration forbids, or a row that exists.
    let spoilt = format!("login,quota,home\n{ANNA},2G,../anna\n{BRUNO},2G,\n{BRUNO},2G,\n");
    for dry_run in [&[][..], &["--dry-run"]] {
        let told = ended(&accounts.try_admin(&[&["account", "import", "--update", "-"], dry_run].concat(), &spoilt), 1);
        let lines = [":2: home: \"../anna\" is not an absolute path", ":4: bruno@example.org is on line 3 already"];
        assert!(lines.iter().all(|line| told.contains(line)) && told.contains("; 2 problems"), "{told}");
        assert_eq!(told.contains("1 changed (home 1, quota 1)"), !dry_run.is_empty(), "{told}");
        let told = ended(&accounts.try_admin(&[&["account", "import", "-"], dry_run].concat(), &csv), 1);
        assert!(told.contains("; 3 problems; --update changes rows that exist"), "{told}");
    }
    assert_eq!(exports(&accounts), before);
    let told = accounts.admin(&["account", "import", "--update", "-"], &csv);
    assert_eq!(told, format!("imported {counts}\n"));
    let (old, now) = (&before[2], &exports(&accounts)[2]);
    let row = |csv: &str, login: &str| csv.lines().find(|line| line.starts_with(login)).unwrap_or_default().to_owned();
    let anna = row(old, ANNA).replace(CHEAP_HASH, "{PLAIN}new words").replace("10000000S,1000C", "0S,0C");
    assert_eq!(row(now, ANNA), anna, "its other columns stay");
    assert_eq!(row(now, CARLA), row(old, CARLA).replace(",no,yes", ",yes,yes"));
    for same in [BRUNO, "dora@example.org", "emil@example.org"] {
        assert_eq!(row(now, same), row(old, same));
    }
    let told = [(ANNA, PASSWORD), (ANNA, "new words"), (CARLA, PASSWORD), ("new@else.example", PASSWORD)];
    assert_eq!(told.map(|(user, password)| word(user, password)), ["FAIL", "ACCOUNT", "ACCOUNT", "FAIL"]);
    // A row that nothing can read is corrected by a column of the file.
    accounts.sql_without_checks("UPDATE accounts SET services = 'imap,none' WHERE login = 'dora@example.org'");
    let told = accounts.admin(&["account", "import", "--update", "-"], "login,services\ndora@example.org,imap\n");
    assert_eq!(told, "imported 1 account: 0 added, 1 changed (services 1), 0 unchanged\n");
    assert_eq!(word("dora@example.org", "clear words"), "ACCOUNT");
}

fn an_update_of_domains_and_aliases_is_used_at_once(kind: Kind) {
    let accounts = Accounts::empty(kind).with(&people(Path::new("/var/mail")));
    accounts.admin(&["domain", "import", "-"], "domain,quota\nb.example,1G\n");
    accounts.admin(&["alias", "import", "-"], &format!("address,targets\ninfo@example.org,\"{ANNA},{BRUNO}\"\n"));
    let server = Mailauth::over(&accounts);
    let asked = |question: &str| {
        let question = format!("ASK {question}\n");
        String::from_utf8(ask(server.socket(), question.as_bytes(), Manner::Whole).bytes).expect("text")
    };
    assert_eq!(asked("alias info@example.org"), format!("OK {ANNA}, {BRUNO}\n"));
    assert_eq!(asked("domain twin.example"), "FAIL\n");
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
    let update = |noun: &[&str], csv: &str| accounts.admin(&[noun, &["import", "--update", "-"]].concat(), csv);
    let csv = "domain,enabled,description\nb.example,,\nexample.org,no,Ours\nc.example,,\n";
    let told = update(&["domain"], csv);
    assert_eq!(told, "imported 3 domains: 1 added, 1 changed (description 1, enabled 1), 1 unchanged\n");
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "FAIL");
    update(&["domain"], "domain,enabled\nexample.org,yes\n");
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
    let told = update(&["domain", "alias"], "name,target\ntwin.example,example.org\n");
    assert_eq!(told, "imported 1 alias domain: 1 added, 0 changed, 0 unchanged\n");
    let told = update(&["alias"], &format!("address,targets\ninfo@example.org,\"{BRUNO},x@else.example\"\n"));
    assert_eq!(told, "imported 1 alias: 0 added, 1 changed (targets 1), 0 unchanged\n");
    assert_eq!(asked("alias info@example.org"), format!("OK {BRUNO}, x@else.example\n"));
    assert_eq!(asked("domain twin.example"), "OK\n");
    let domains = accounts.admin(&["domain", "export"], "");
    assert!(domains.contains("b.example,,yes,no,1073741824S\n"), "its quota stays: {domains}");
    // What a domain, an alias domain and an alias cannot be.
    let refused = |noun: &[&str], csv: &str, why: &[&str]| {
        let told = ended(&accounts.try_admin(&[noun, &["import", "--update", "-"]].concat(), csv), 1);
        assert!(why.iter().all(|part| told.contains(part)), "{told}");
        let dry = accounts.try_admin(&[noun, &["import", "--update", "--dry-run", "-"]].concat(), csv);
        let dry = ended(&dry, 1);
        assert!(why.iter().all(|part| dry.contains(part)), "{dry}");
    };
    let domains = "domain,backup\nexample.org,yes\ntwin.example,\nd.example,\n";
    refused(
        &["domain"],
        domains,
        &[":2: the domain example.org has accounts", ":3: the domain twin.example is an alias"],
    );
    let others = "name,target\nexample.org,b.example\nx.example,twin.example\n";
    refused(&["domain", "alias"], others, &[":2: ", "domain of its own", ":3: ", "is itself an alias domain of"]);
    let aliases = "address,targets\na@no.example,b@x.example\na@twin.example,b@x.example\n";
    refused(&["alias"], aliases, &[":2: no such domain no.example", ":3: ", "create the address in example.org"]);
    assert!(!exports(&accounts).concat().contains("d.example"));
}
