//! Backups while others read and write.

use super::*;
use crate::config::{DatabaseConfig, DatabaseUrl};
use crate::store::{Administration, DomainRow, open_single};
use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, Ordering};

const PATIENCE: Duration = Duration::from_secs(10);

fn never() -> bool {
    false
}

fn watch() -> Watch<'static> {
    Watch { progress: &|_, _| {}, is_interrupted: never }
}

/// A folder with a database `mail.db`.
struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        let host = Host(tempfile::tempdir().unwrap());
        host.create("mail.db");
        host
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn create(&self, name: &str) {
        let url = DatabaseUrl::Sqlite { path: self.path(name) };
        let store = open_single(&DatabaseConfig { url, ..DatabaseConfig::default() }).unwrap();
        store.init().unwrap();
        store.add_domain(&DomainRow::new("x.example")).unwrap();
    }

    fn empty(&self, name: &str) -> std::path::PathBuf {
        File::create_new(self.path(name)).unwrap();
        self.path(name)
    }

    fn connection(&self, name: &str) -> Connection {
        let connection = Connection::open(self.path(name)).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        connection
    }

    /// Adds a table of pairs whose sums are equal in each moment, with so many rows.
    fn add_pairs(&self, name: &str, rows: u32) {
        let sql = format!(
            "CREATE TABLE pairs (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, text TEXT);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO pairs SELECT i, 0, 0, hex(randomblob(500)) FROM n;"
        );
        self.connection(name).execute_batch(&sql).unwrap();
    }
}

fn sums(connection: &Connection) -> (i64, i64) {
    connection.query_row("SELECT SUM(a), SUM(b) FROM pairs", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

#[test]
fn a_backup_is_of_one_moment_while_others_write() {
    let host = Host::new();
    host.add_pairs("mail.db", 5000);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (writer, stop) = (host.connection("mail.db"), &stop);
        let writes = scope.spawn(move || {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                let change = "BEGIN IMMEDIATE; UPDATE pairs SET a = a + 1; UPDATE pairs SET b = b + 1; COMMIT";
                writer.execute_batch(change).unwrap();
                count += 1;
            }
            count
        });
        for number in 0..5 {
            let name = format!("{number}.db");
            copy(&host.path("mail.db"), &host.empty(&name), PATIENCE, watch()).unwrap();
            let (a, b) = sums(&host.connection(&name));
            assert_eq!(a, b);
            let contents = examine(&host.path(&name), never).unwrap();
            assert_eq!((contents.version, contents.domains, contents.accounts), (known_version_of_tests(), 1, 0));
        }
        stop.store(true, Ordering::Relaxed);
        assert!(writes.join().unwrap() > 0);
    });
    let left: Vec<_> = fs::read_dir(host.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        left.iter().all(|name| !name.to_string_lossy().contains(".db-") || name.to_string_lossy().starts_with("mail.")),
        "{left:?}"
    );
}

fn known_version_of_tests() -> u32 {
    super::contents::known_version()
}

#[test]
fn readers_see_the_old_content_or_the_new_one_and_no_change_is_lost() {
    let host = Host::new();
    host.add_pairs("mail.db", 3000);
    host.create("other.db");
    host.add_pairs("other.db", 4000);
    host.connection("other.db").execute_batch("UPDATE pairs SET a = 7, b = 7").unwrap();
    copy(&host.path("other.db"), &host.empty("backup.db"), PATIENCE, watch()).unwrap();
    let (backup, old) = (host.path("backup.db"), host.empty("old.db"));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (reader, writer, stop) = (host.connection("mail.db"), host.connection("mail.db"), &stop);
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let (a, b) = sums(&reader);
                assert_eq!(a, b);
            }
        });
        let writes = scope.spawn(move || {
            let mut last = 0;
            while !stop.load(Ordering::Relaxed) {
                let change = "BEGIN IMMEDIATE; UPDATE pairs SET a = a + 1; UPDATE pairs SET b = b + 1; COMMIT";
                writer.execute_batch(change).unwrap();
                last += 1;
            }
            last
        });
        std::thread::sleep(Duration::from_millis(100));
        restore(&backup, &host.path("mail.db"), &old, PATIENCE, watch(), || Ok(())).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        stop.store(true, Ordering::Relaxed);
        let all: i64 = writes.join().unwrap();
        // Each change was made before the copy of the old content, or after the new content was there.
        let before = sums(&host.connection("old.db")).0 / 3000;
        let after = sums(&host.connection("mail.db")).0 / 4000 - 7;
        assert_eq!(before + after, all);
        assert!(before > 0);
    });
    assert_eq!(examine(&old, never).unwrap().domains, 1);
}

#[test]
fn an_interrupted_restore_changes_nothing() {
    fn at_once() -> bool {
        true
    }
    let host = Host::new();
    host.add_pairs("mail.db", 100);
    host.create("other.db");
    copy(&host.path("other.db"), &host.empty("backup.db"), PATIENCE, watch()).unwrap();
    let keep = || Err(BackupError::Failed("no".into()));
    let (backup, old, into) = (host.path("backup.db"), host.empty("old.db"), host.path("mail.db"));
    assert_eq!(restore(&backup, &into, &old, PATIENCE, watch(), keep), Err(BackupError::Failed("no".into())));
    let stopped = Watch { is_interrupted: at_once, ..watch() };
    assert_eq!(restore(&backup, &into, &old, PATIENCE, stopped, || Ok(())), Err(BackupError::Interrupted));
    assert_eq!(copy(&into, &host.empty("more.db"), PATIENCE, stopped), Err(BackupError::Interrupted));
    assert_eq!(sums(&host.connection("mail.db")), (0, 0));
}

#[test]
fn a_backup_with_other_pages_is_converted() {
    let host = Host::new();
    host.create("other.db");
    copy(&host.path("other.db"), &host.empty("backup.db"), PATIENCE, watch()).unwrap();
    host.connection("backup.db").execute_batch("PRAGMA page_size = 8192; VACUUM; CREATE TABLE more (id)").unwrap();
    let backup = host.path("backup.db");
    let contents = examine(&backup, never).unwrap();
    let fitted = fit(&backup, contents, Some(&host.path("mail.db"))).unwrap();
    assert_eq!(fitted.from, fitted.to);
    restore(&backup, &host.path("mail.db"), &host.empty("old.db"), PATIENCE, watch(), || Ok(())).unwrap();
    assert_eq!(host.connection("mail.db").query_row("SELECT COUNT(*) FROM more", [], |row| row.get(0)), Ok(0));
}

#[test]
fn a_file_that_is_not_a_whole_database_of_mailauth_is_unfit() {
    let host = Host::new();
    host.add_pairs("mail.db", 1000);
    copy(&host.path("mail.db"), &host.empty("backup.db"), PATIENCE, watch()).unwrap();
    let text = |path: &Path| examine(path, never).unwrap_err().to_string();
    let mut bytes = fs::read(host.path("backup.db")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 9000].fill(0x55);
    fs::write(host.path("damaged.db"), &bytes).unwrap();
    assert!(text(&host.path("damaged.db")).contains("is damaged"));
    fs::write(host.path("text.db"), "not a database".repeat(1000)).unwrap();
    assert!(text(&host.path("text.db")).contains("is not an SQLite database"));
    host.connection("else.db").execute_batch("CREATE TABLE accounts (id)").unwrap();
    assert!(text(&host.path("else.db")).contains("is not a database of mailauth: it has no table schema_version"));
    host.connection("backup.db").execute_batch("INSERT INTO schema_version (version) VALUES (99)").unwrap();
    assert!(text(&host.path("backup.db")).contains("of version 99, and this program supports"));
    let gone = copy(&host.path("gone.db"), &host.empty("x.db"), PATIENCE, watch());
    assert!(matches!(gone, Err(BackupError::Failed(_))), "{gone:?}");
}
