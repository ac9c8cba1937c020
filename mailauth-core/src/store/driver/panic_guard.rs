//! Contains panics in database drivers, which depend on third-party code.
//!
//! A panic inside a driver becomes [`DriverError::Lost`], and the connection on which it happened is broken. So it does
//! not end a thread of a pool, leak a connection or lose an answer, and a program that serves one login answers "not
//! now".

use crate::store::administration::CharacterSet;
use crate::store::driver::{
    Connection, Dialect, Driver, DriverError, Needs, Param, Plan, Rights, Row, ServerRole, Statement,
};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A driver that converts panics of the inner one and of its connections to errors.
pub(in crate::store) struct Guarded(pub(in crate::store) Arc<dyn Driver>);

impl Driver for Guarded {
    fn place(&self) -> &str {
        self.0.place()
    }

    fn server_name(&self) -> Option<&str> {
        self.0.server_name()
    }

    fn dialect(&self) -> &'static Dialect {
        self.0.dialect()
    }

    fn connect(&self) -> Result<Box<dyn Connection>, DriverError> {
        let connection = contain(|| self.0.connect())?;
        Ok(Box::new(GuardedConnection { connection: Some(connection) }))
    }

    fn create(&self) -> Result<(), DriverError> {
        contain(|| self.0.create())
    }
}

/// A connection that converts panics to errors. After a panic the inner connection is dropped.
struct GuardedConnection {
    connection: Option<Box<dyn Connection>>,
}

impl GuardedConnection {
    /// Runs `work` on the inner connection, and converts a panic to an error.
    fn run<T>(&mut self, work: impl FnOnce(&mut dyn Connection) -> Result<T, DriverError>) -> Result<T, DriverError> {
        let Some(connection) = &mut self.connection else {
            return Err(DriverError::Lost("the connection was closed because its driver panicked".into()));
        };
        match catch_unwind(AssertUnwindSafe(|| work(&mut **connection))) {
            Ok(outcome) => outcome,
            Err(payload) => {
                self.discard();
                Err(panicked(&*payload))
            }
        }
    }

    /// Drops the inner connection, which may panic too.
    fn discard(&mut self) {
        let connection = self.connection.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(connection)));
    }
}

impl Drop for GuardedConnection {
    fn drop(&mut self) {
        self.discard();
    }
}

impl Connection for GuardedConnection {
    fn query(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row),
    ) -> Result<(), DriverError> {
        self.run(|connection| connection.query(statement, params, each))
    }

    fn execute(&mut self, statement: &Statement, params: &[Param<'_>]) -> Result<u64, DriverError> {
        self.run(|connection| connection.execute(statement, params))
    }

    fn batch(&mut self, sql: &str) -> Result<(), DriverError> {
        self.run(|connection| connection.batch(sql))
    }

    fn ping(&mut self) -> Result<(), DriverError> {
        self.run(|connection| connection.ping())
    }

    fn role(&mut self) -> Result<ServerRole, DriverError> {
        self.run(|connection| connection.role())
    }

    fn catch_up(&mut self) -> Result<(), DriverError> {
        self.run(|connection| connection.catch_up())
    }

    fn is_broken(&self) -> bool {
        let Some(connection) = &self.connection else { return true };
        catch_unwind(AssertUnwindSafe(|| connection.is_broken())).unwrap_or(true)
    }

    fn server(&mut self) -> Result<(String, Option<String>), DriverError> {
        self.run(|connection| connection.server())
    }

    fn authenticated_by(&self) -> Option<String> {
        let connection = self.connection.as_ref()?;
        catch_unwind(AssertUnwindSafe(|| connection.authenticated_by())).unwrap_or(None)
    }

    fn character_set(&mut self, tables: &[String]) -> Result<CharacterSet, DriverError> {
        self.run(|connection| connection.character_set(tables))
    }

    fn explain(&mut self, statement: &Statement, params: &[Param<'_>]) -> Result<Plan, DriverError> {
        self.run(|connection| connection.explain(statement, params))
    }

    fn rights(&mut self, needs: &Needs) -> Result<Rights, DriverError> {
        self.run(|connection| connection.rights(needs))
    }

    fn lacks(&mut self, wanted: &[(&str, &str)]) -> Result<Vec<String>, DriverError> {
        self.run(|connection| connection.lacks(wanted))
    }
}

/// Runs `work`, and converts a panic to an error.
fn contain<T>(work: impl FnOnce() -> Result<T, DriverError>) -> Result<T, DriverError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(panicked(&*payload)))
}

/// Creates the error for the payload of a panic.
fn panicked(payload: &(dyn Any + Send)) -> DriverError {
    let said = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref().copied());
    DriverError::Lost(format!("the database driver panicked, which is a bug in it: {}", said.unwrap_or("no message")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::driver::fake::{Fake, FakeDriver, touch};
    use crate::store::hosts::Hosts;
    use crate::store::hosts::pool::Pool;
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    const DEADLINE: Duration = Duration::from_secs(2);

    fn driver(fake: &Arc<Fake>) -> Arc<dyn Driver> {
        Arc::new(Guarded(Arc::new(FakeDriver(fake.clone()))))
    }

    #[test]
    fn a_panic_in_connect_is_an_error_and_the_pool_recovers() {
        let (one, many) = (Arc::new(Fake::default()), Arc::new(Fake::default()));
        let pools = [(&one, Pool::single(driver(&one), DEADLINE)), (&many, Pool::pooled(driver(&many), 2, DEADLINE))];
        for (fake, pool) in pools {
            fake.panics.store(true, Ordering::SeqCst);
            let failed = pool.read(touch).unwrap_err();
            assert!(failed.error.to_string().contains("panicked, which is a bug in it: on purpose"), "{failed:?}");
            assert!(!pool.state().live);
            fake.panics.store(false, Ordering::SeqCst);
            let start = Instant::now();
            while pool.read(touch).is_err() {
                assert!(start.elapsed() < Duration::from_secs(10), "the pool does not recover");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    #[test]
    fn a_panic_in_a_query_breaks_its_connection_and_the_read_is_repeated() {
        let fake = Arc::new(Fake::default());
        let pool = Pool::pooled(driver(&fake), 1, DEADLINE);
        pool.read(touch).unwrap();
        let mut tries = 0;
        pool.read(|connection| {
            tries += 1;
            fake.panics_at_work.store(tries == 1, Ordering::SeqCst);
            touch(connection)
        })
        .unwrap();
        assert_eq!((tries, fake.connects.load(Ordering::SeqCst)), (2, 2));
    }

    #[test]
    fn a_panic_in_a_probe_does_not_end_the_probing_thread() {
        let fakes: [Arc<Fake>; 2] = Default::default();
        let hosts = Hosts::pooled(fakes.iter().map(driver).collect(), "fakes".into(), 2, DEADLINE);
        fakes[0].panics_at_work.store(true, Ordering::SeqCst);
        let start = Instant::now();
        let wait = |what: &str, so: &dyn Fn() -> bool| {
            while !so() {
                assert!(start.elapsed() < Duration::from_secs(20), "{what}");
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        wait("the first is down", &|| !hosts.state()[0].live);
        hosts.read(touch).unwrap();
        assert_eq!(fakes[1].done.load(Ordering::SeqCst), 1);
        fakes[0].panics_at_work.store(false, Ordering::SeqCst);
        wait("the first is live again", &|| hosts.state()[0].live);
    }
}
