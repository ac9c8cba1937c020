//! `mailauth backup` and `mailauth restore`.

use mailauth_tests::people::{ANNA, BRUNO, DORA, DORAS_PASSWORD, PASSWORD, people};
use mailauth_tests::wire::login;
use mailauth_tests::{
    Accounts, Child, Kind, Mailauth, Scratch, User, ended, eventually, output_with_input, program, run,
};
use rusqlite::Connection;
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

mod servers {
    use super::databases_on_a_server_have_commands_of_their_own;
    mailauth_tests::on_each_server!(databases_on_a_server_have_commands_of_their_own);
}

fn accounts() -> Accounts {
    Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

#[track_caller]
fn admin(accounts: &Accounts, arguments: &[&str], code: i32) -> String {
    ended(&accounts.try_admin(arguments, ""), code)
}

/// Returns the files beside the database that hold what was replaced.
fn replaced(accounts: &Accounts) -> Vec<PathBuf> {
    let file = accounts.file();
    let name = format!("{}.2", file.file_name().and_then(|name| name.to_str()).expect("a name"));
    let entries = fs::read_dir(file.parent().expect("a folder")).expect("the folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.file_name().is_some_and(|found| found.to_string_lossy().starts_with(&name))).collect()
}

/// Makes the database large, so that a copy takes many steps.
fn fill(path: &Path, megabytes: u32) {
    let sql = format!(
        "CREATE TABLE filler (bytes BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {megabytes})
         INSERT INTO filler SELECT randomblob(1000000) FROM n;"
    );
    Connection::open(path).expect("the database").execute_batch(&sql).expect("more rows");
}

fn number(path: &Path, sql: &str) -> i64 {
    Connection::open(path).expect("a database").query_row(sql, [], |row| row.get(0)).expect("a number")
}

#[test]
fn a_backup_is_restored_while_the_daemon_serves() {
    let (accounts, folder) = (accounts(), Scratch::new("backup"));
    let (database, backup) = (accounts.file(), folder.join("mail.backup"));
    chown(&database, Some(65534), Some(65534)).expect("an owner");
    let server = Mailauth::over(&accounts);
    let told = admin(&accounts, &["backup", text(&backup)], 0);
    assert!(told.contains("1 domains, 5 accounts, 0 alias targets"), "{told}");
    let found = fs::metadata(&backup).expect("the backup");
    assert_eq!((found.mode() & 0o7777, found.uid()), (0o600, 0));
    assert!(admin(&accounts, &["backup", text(&backup)], 1).contains("exists; name another file"));
    chown(&backup, Some(7), Some(7)).expect("an owner");
    let told = admin(&accounts, &["backup", text(&backup), "--force", "--json"], 0);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&told).expect("JSON")["accounts"], 5);
    assert_eq!(fs::metadata(&backup).expect("the backup").uid(), 7);

    accounts.admin(&["account", "passwd", ANNA, "--password-stdin"], "new words");
    accounts.admin(&["account", "remove", DORA], "");
    assert_eq!(login(server.socket(), ANNA, "new words").word(), "ACCOUNT");
    assert_eq!(login(server.socket(), DORA, DORAS_PASSWORD).word(), "FAIL");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let logins = scope.spawn(|| {
            let mut answers = 0;
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(login(server.socket(), BRUNO, "no").word(), "FAIL");
                answers += 1;
            }
            answers
        });
        let told = admin(&accounts, &["restore", text(&backup)], 0);
        assert!(told.contains("5 accounts") && told.contains("what was replaced is in"), "{told}");
        stop.store(true, Ordering::Relaxed);
        assert!(logins.join().expect("answers") > 0);
    });
    let answers = [(ANNA, PASSWORD), (ANNA, "new words"), (DORA, DORAS_PASSWORD)]
        .map(|(user, password)| login(server.socket(), user, password).word());
    assert_eq!(answers, ["ACCOUNT", "FAIL", "ACCOUNT"], "{}", server.log());
    let [old] = &replaced(&accounts)[..] else { panic!("one file: {:?}", replaced(&accounts)) };
    assert_eq!(number(old, "SELECT COUNT(*) FROM accounts"), 4);
    let [kept, now] = [old, &database].map(|path| fs::metadata(path).expect("a file"));
    assert_eq!((kept.uid(), kept.mode()), (now.uid(), now.mode()));
    assert_eq!((now.uid(), now.gid()), (65534, 65534));
    (0..3).for_each(|_| drop(admin(&accounts, &["restore", text(&backup)], 0)));
    assert_eq!(replaced(&accounts).len(), 4, "each restore in the same second keeps a file of its own");

    drop(server);
    fs::remove_file(&database).expect("the database");
    let folder = database.parent().expect("a folder");
    chown(folder, Some(7), Some(7)).expect("an owner");
    let told = admin(&accounts, &["restore", text(&backup)], 0);
    assert!(!told.contains("what was replaced"), "{told}");
    let found = fs::metadata(&database).expect("the database");
    assert_eq!((found.mode() & 0o7777, found.uid()), (0o640, 7));
    let server = Mailauth::over(&accounts);
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
}

#[test]
fn what_is_no_backup_is_refused_and_changes_nothing() {
    let (accounts, folder) = (accounts(), Scratch::new("backup"));
    let (database, backup) = (accounts.file(), folder.join("mail.backup"));
    admin(&accounts, &["backup", text(&backup)], 0);
    let written = |name: &str, bytes: &[u8]| {
        fs::write(folder.join(name), bytes).expect("a file");
        folder.join(name)
    };
    let whole = fs::read(&backup).expect("the backup");
    let newer = written("newer", &whole);
    let sql = "INSERT INTO schema_version (version) VALUES (99)";
    Connection::open(&newer).expect("a database").execute_batch(sql).expect("a version");
    let mut damaged = whole.clone();
    damaged[8192..16384].fill(0x5a);
    for (file, code, told) in [
        (written("text", &b"not a database".repeat(500)), 1, "is not an SQLite database"),
        (written("cut", &whole[..whole.len() / 2]), 1, "is damaged"),
        (written("damaged", &damaged), 1, "is damaged"),
        (newer, 1, "of version 99, and this program supports"),
        (written("empty", b""), 1, "is not a database of mailauth"),
        (folder.join("gone"), 2, "cannot be read"),
        (database.clone(), 2, "is the database itself"),
    ] {
        let said = admin(&accounts, &["restore", text(&file)], code);
        assert!(said.contains(told) && said.contains(text(&file)), "{said}");
    }
    assert_eq!(replaced(&accounts), [""; 0].map(PathBuf::from));
    assert_eq!(number(&database, "SELECT COUNT(*) FROM accounts"), 5);
    for (file, told) in [(database.as_path(), "is the database itself"), (folder.path(), "is not a file")] {
        assert!(admin(&accounts, &["backup", text(file)], 2).contains(told));
    }
    assert!(admin(&accounts, &["backup", "/nonexistent/folder/x"], 2).contains("its folder does not exist"));

    let older = folder.join("older");
    let version_1 = include_str!("../stores/version_1/sqlite.sql");
    Connection::open(&older).expect("a database").execute_batch(version_1).expect("tables");
    let told = admin(&accounts, &["restore", text(&older)], 0);
    assert!(told.contains("the tables were brought from version 1 to 4"), "{told}");
    assert_eq!(accounts.admin(&["domain", "list", "--json"], ""), "[]\n");
    accounts.admin(&["domain", "add", "else.example"], "");
}

fn databases_on_a_server_have_commands_of_their_own(kind: Kind) {
    let (accounts, folder) = (Accounts::empty(kind).with(&people(Path::new("/var/mail"))), Scratch::new("backup"));
    let dump = folder.join("dump of mail.sql");
    let command = |verb: &str| {
        let told = admin(&accounts, &[verb, text(&dump)], 2);
        let (_, command) = told.split_once("; run ").expect("a command");
        command.split(", and then").next().expect("a command").trim_end().replace(" --password", "")
    };
    let password = match kind {
        Kind::Postgres => accounts.postgres().password(),
        _ => accounts.mariadb().password(),
    };
    let shell = |line: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-ec", line]).env("MYSQL_PWD", password).env("PGPASSWORD", password);
        run(&mut shell)
    };
    shell(&command("backup"));
    accounts.admin(&["domain", "remove", "example.org", "--contents"], "");
    shell(&command("restore"));
    assert_eq!(accounts.admin(&["account", "list", "--json"], "").matches("\"login\"").count(), 5);
    assert!(admin(&accounts, &["init"], 0).contains("are up to date"));
}

#[test]
fn a_full_disk_leaves_everything_as_it_was() {
    let (accounts, folder) = (accounts(), Scratch::new("backup"));
    let (large, small) = (folder.join("large.db"), folder.join("small"));
    fill(&accounts.file(), 3);
    admin(&accounts, &["backup", text(&large)], 0);
    fs::create_dir(&small).expect("a folder");
    let script = r#"
        cd "$2" && mount -t tmpfs -o size=2m none small || exit 99
        "$0" --config "$1" backup small/new; echo "backup $?"
        (ulimit -f 1000; "$0" --config "$1" backup limited; echo "limited $?")
        TMPDIR=$2/small "$0" --config "$1" restore large.db; echo "folder $?"
        echo "$(find . -path './small/*' -o -name 'limited*' -o -name '.mailauth*' | wc -l) left"
        printf '[database]\nurl = "sqlite:small/mail.db"\n' >small.toml
        "$0" --config small.toml init && "$0" --config small.toml domain add here.example
        "$0" --config small.toml restore large.db; echo "database $?"
        "$0" --config small.toml domain list
        "$0" --config small.toml domain add there.example; echo "writable $?"
    "#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(program("mailauth"));
    command.arg(accounts.config_path()).arg(folder.path());
    let told = ended(&output_with_input(&mut command, ""), 0);
    for line in ["backup 75", "limited 75", "folder 75", "0 left", "database 75", "writable 0"] {
        assert!(told.lines().any(|said| said == line), "no {line:?} in {told}");
    }
    assert!(told.contains("here.example "), "{told}");
    assert_eq!(number(&accounts.file(), "SELECT COUNT(*) FROM accounts"), 5);
}

#[test]
fn an_interrupted_backup_leaves_nothing_behind() {
    let (accounts, folder) = (accounts(), Scratch::new("backup"));
    fill(&accounts.file(), 60);
    let mut ends = Vec::new();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut backup = Child::spawn(accounts.admin_command(&["backup", text(&folder.join("new"))]));
        let begun = || fs::read_dir(folder.path()).is_ok_and(|mut entries| entries.next().is_some());
        eventually("a private folder", Duration::from_secs(20), begun);
        backup.signal(signal);
        let status = backup.wait(Duration::from_secs(20)).expect("an end");
        ends.push(status.signal() == Some(signal.as_raw()));
        assert!(status.success() == folder.join("new").exists(), "{status:?}");
        let _ = fs::remove_file(folder.join("new"));
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0);
    }
    assert!(ends.contains(&true), "no backup was interrupted");
}

#[test]
fn a_restore_that_is_killed_leaves_the_old_content_or_the_new_one() {
    let (accounts, folder) = (accounts(), Scratch::new("backup"));
    let (database, backup) = (accounts.file(), folder.join("mail.backup"));
    fill(&database, 20);
    admin(&accounts, &["backup", text(&backup)], 0);
    let (mut killed, temporary) = (0, folder.folder_of(User { uid: 0, gid: 0 }, "temporary"));
    for round in 0..12 {
        Connection::open(&database).expect("the database").execute_batch("DELETE FROM accounts").expect("no accounts");
        let mut command = accounts.admin_command(&["restore", text(&backup)]);
        command.env("TMPDIR", &temporary);
        let mut restore = Child::spawn(command);
        std::thread::sleep(Duration::from_millis(40 * round));
        restore.signal(Signal::KILL);
        let status = restore.wait(Duration::from_secs(20)).expect("an end");
        killed += u32::from(status.signal() == Some(Signal::KILL.as_raw()));
        let count = number(&database, "SELECT COUNT(*) FROM accounts");
        assert!(count == 5 || count == 0 && !status.success(), "{count} accounts after {status:?}");
        assert_eq!(number(&database, "SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
    }
    assert!(killed > 0, "no restore was killed");
}
