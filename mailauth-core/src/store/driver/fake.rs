//! A fake database for tests that can be restarted, stopped and made read only. Its connections do nothing.

use crate::store::driver::{
    Connection, Dialect, Driver, DriverError, Needs, Param, Plan, Rights, Row, ServerRole, Statement,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// One host of the fake database.
#[derive(Default)]
pub(in crate::store) struct Fake {
    age: AtomicU64,
    pub(in crate::store) away: AtomicBool,
    pub(in crate::store) full: AtomicBool,
    pub(in crate::store) read_only: AtomicBool,
    /// If true, connecting panics.
    pub(in crate::store) panics: AtomicBool,
    /// If true, using a connection panics.
    pub(in crate::store) panics_at_work: AtomicBool,
    pub(in crate::store) connects: AtomicUsize,
    /// Duration of a connect in milliseconds.
    pub(in crate::store) connect_takes: AtomicU64,
    connecting: AtomicUsize,
    /// Largest number of connects that ran at the same time.
    pub(in crate::store) most_at_once: AtomicUsize,
    pub(in crate::store) pings: AtomicUsize,
    /// Number of statements that succeeded.
    pub(in crate::store) done: AtomicUsize,
    /// Number of uses of a dead connection.
    failed: AtomicUsize,
}

struct FakeConnection {
    of: Arc<Fake>,
    age: u64,
    broken: bool,
}

static DIALECT: Dialect = Dialect {
    is_remote: false,
    numbered: false,
    begin: "BEGIN",
    now: "",
    time_text: "",
    time_value: "",
    row_values: true,
    by_index: "",
    same_bytes: "",
    bounded: "{}",
    select_in_order: "SELECT",
    login_parts: None,
    as_text: "{}",
    or_update: "",
    new_value: "{}",
    added: "",
    table_exists: "",
    lock: "",
    unlock: "",
    schema: "",
    migrations: &[],
};

pub(in crate::store) struct FakeDriver(pub(in crate::store) Arc<Fake>);

impl Driver for FakeDriver {
    fn place(&self) -> &str {
        "fake"
    }
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }
    fn connect(&self) -> Result<Box<dyn Connection>, DriverError> {
        let of = self.0.clone();
        of.connects.fetch_add(1, Ordering::SeqCst);
        assert!(!of.panics.load(Ordering::SeqCst), "on purpose");
        let now = of.connecting.fetch_add(1, Ordering::SeqCst) + 1;
        of.most_at_once.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(of.connect_takes.load(Ordering::SeqCst)));
        of.connecting.fetch_sub(1, Ordering::SeqCst);
        if of.away.load(Ordering::SeqCst) {
            return Err(DriverError::Lost("away".into()));
        }
        if of.full.load(Ordering::SeqCst) {
            return Err(DriverError::Full("too many connections".into()));
        }
        let age = of.age.load(Ordering::SeqCst);
        Ok(Box::new(FakeConnection { of, age, broken: false }))
    }
}

impl FakeConnection {
    fn touch(&mut self) -> Result<(), DriverError> {
        assert!(!self.of.panics_at_work.load(Ordering::SeqCst), "on purpose");
        if self.age == self.of.age.load(Ordering::SeqCst) && !self.broken {
            return Ok(());
        }
        self.broken = true;
        self.of.failed.fetch_add(1, Ordering::SeqCst);
        Err(DriverError::Lost("gone away".into()))
    }
}

impl Connection for FakeConnection {
    fn query(&mut self, _: &Statement, _: &[Param<'_>], _: &mut dyn FnMut(&dyn Row)) -> Result<(), DriverError> {
        self.touch()
    }
    fn execute(&mut self, _: &Statement, _: &[Param<'_>]) -> Result<u64, DriverError> {
        self.touch().map(|()| 1)
    }
    fn batch(&mut self, sql: &str) -> Result<(), DriverError> {
        self.touch()?;
        self.broken |= sql == "break";
        self.of.done.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
    fn ping(&mut self) -> Result<(), DriverError> {
        self.of.pings.fetch_add(1, Ordering::SeqCst);
        self.touch()
    }
    fn role(&mut self) -> Result<ServerRole, DriverError> {
        self.touch()?;
        Ok(if self.of.read_only.load(Ordering::SeqCst) { ServerRole::Replica } else { ServerRole::Primary })
    }
    fn is_broken(&self) -> bool {
        self.broken
    }
    fn server(&mut self) -> Result<(String, Option<String>), DriverError> {
        Ok(("fake".into(), None))
    }
    fn explain(&mut self, _: &Statement, _: &[Param<'_>]) -> Result<Plan, DriverError> {
        Ok(Plan::default())
    }
    fn rights(&mut self, _: &Needs) -> Result<Rights, DriverError> {
        Ok(Rights::default())
    }
}

/// Runs a statement that does nothing.
pub(in crate::store) fn touch(connection: &mut dyn Connection) -> Result<(), DriverError> {
    connection.batch("")
}

impl Fake {
    /// Makes all existing connections dead.
    pub(in crate::store) fn restart(&self) {
        self.age.fetch_add(1, Ordering::SeqCst);
    }

    /// Makes all existing connections dead, and connecting fail.
    pub(in crate::store) fn stop(&self) {
        self.away.store(true, Ordering::SeqCst);
        self.restart();
    }

    /// Returns the number of uses of a dead connection.
    pub(in crate::store) fn failed(&self) -> usize {
        self.failed.load(Ordering::SeqCst)
    }
}
