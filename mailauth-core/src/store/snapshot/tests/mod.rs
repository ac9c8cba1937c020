//! Tests over a store that becomes unreachable, a file, and two clocks.

mod another_database;
mod copying;
mod damage;
mod files;
mod foreign;
mod notes;
mod outage;

use super::*;
use crate::schema::Field;
use crate::store::DomainKind;
use crate::testing::{Call, MemoryStore};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tempfile::TempDir;

type TestSnapshot = Snapshot<MemoryStore>;

/// A store with the accounts of Anna and Ben, a directory for the snapshot, and both clocks.
struct Fixture {
    store: MemoryStore,
    folder: TempDir,
    config: Config,
    now: Arc<Mutex<(Instant, SystemTime)>>,
}

fn fixture() -> Fixture {
    let store = MemoryStore::with([row("anna@x.example", "one"), row("ben@x.example", "one")])
        .and_domain("x.example", DomainStanding { enabled: true, kind: DomainKind::Own })
        .and_pool("x.example", Limits::from_columns(Some(7), None));
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.database.url = "mysql://u@h/d".parse().unwrap();
    config.outage.snapshot = folder.path().join("copy.db");
    config.outage.refresh = Duration::from_millis(20);
    Fixture { store, folder, config, now: Arc::new(Mutex::new((Instant::now(), SystemTime::now()))) }
}

fn row(name: &str, password: &str) -> AccountRow {
    AccountRow { password: Password(password.into()), ..AccountRow::new(login(name)) }
}

fn login(name: &str) -> Login {
    Login::parse(name.as_bytes(), None).unwrap()
}

fn domain(name: &str) -> DomainName {
    DomainName::parse(name).unwrap()
}

fn outage() -> StoreError {
    MemoryStore::outage()
}

fn refusal() -> StoreError {
    StoreError::Refused { place: "memory".into(), reason: "on purpose".into() }
}

impl Fixture {
    fn path(&self) -> &PathBuf {
        &self.config.outage.snapshot
    }

    /// Returns a snapshot as a process that starts now opens it.
    fn open(&self) -> TestSnapshot {
        let now = Arc::clone(&self.now);
        Snapshot::by_clock(Arc::new(self.store.clone()), &self.config, Arc::new(move || *now.lock()))
    }

    /// Returns a snapshot that has read all tables.
    fn open_with_copy(&self) -> TestSnapshot {
        let snapshot = self.open();
        let refreshed = || keeper(&snapshot).freshness.began().is_some();
        eventually("a copy", || snapshot.state().snapshot.is_some() && refreshed());
        snapshot
    }

    /// Makes the database unreachable.
    fn stop_database(&self) {
        self.store.fail_copies(Some(outage()));
        self.store.fail(Some(outage()));
    }

    fn start_database(&self) {
        self.store.fail_copies(None);
        self.store.fail(None);
    }

    /// Returns a snapshot that has a copy, and can neither ask the database nor follow changes.
    fn open_in_outage(&self) -> TestSnapshot {
        let snapshot = self.open_with_copy();
        self.stop_database();
        snapshot
    }

    /// Adds an account, or replaces it.
    fn set_account(&self, name: &str, password: &str) {
        let mut rows = self.store.rows();
        rows.retain(|row| row.login.as_str() != name);
        rows.push(row(name, password));
    }

    fn remove_account(&self, name: &str) {
        self.store.rows().retain(|row| row.login.as_str() != name);
    }

    fn set_domain(&self, name: &str, enabled: bool) {
        self.store.set_domain(name, DomainStanding { enabled, kind: DomainKind::Own });
    }

    /// Moves both clocks on: the monotonic one by `monotonic`, the system's by `system`.
    fn pass(&self, monotonic: Duration, system: Duration) {
        let mut now = self.now.lock();
        *now = (now.0 + monotonic, now.1 + system);
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(20), "no {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn keeper(snapshot: &TestSnapshot) -> &Keeper {
    snapshot.keeper.as_ref().unwrap()
}

/// Returns true if everything that was noted has been copied.
fn is_up_to_date(snapshot: &TestSnapshot) -> bool {
    keeper(snapshot).copy.pending().is_ok_and(|pending| pending.is_empty())
}

fn seen(snapshot: &TestSnapshot, name: &str) -> Result<Lookup, StoreError> {
    snapshot.look_up(&login(name), Instant::now() + Duration::from_secs(5))
}

/// Returns the password that a look-up finds, or `-`, and whether it is from the copy.
fn look(snapshot: &TestSnapshot, name: &str) -> Result<(String, bool), StoreError> {
    let seen = seen(snapshot, name)?;
    let password = |row: &AccountRow| String::from_utf8(row.password.0.expose().to_vec()).unwrap();
    Ok((seen.row.as_deref().map_or("-".into(), password), seen.is_copied()))
}

fn copied(password: &str) -> Result<(String, bool), StoreError> {
    Ok((password.into(), true))
}

fn look_from_outside(fixture: &Fixture) -> Result<Option<Kept>, String> {
    super::look(fixture.path(), &fixture.config.database)
}
