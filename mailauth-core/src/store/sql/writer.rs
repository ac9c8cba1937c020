//! A connection that counts the writes of a change.

use crate::store::driver::{Connection, DriverError, Param, Row, Statement};
use std::sync::atomic::{AtomicU64, Ordering};

/// A connection as a change uses it. It counts writing statements before they are sent: a change that sent none was
/// certainly not made.
pub(in crate::store) struct Writer<'a> {
    connection: &'a mut dyn Connection,
    sent: &'a AtomicU64,
}

impl<'a> Writer<'a> {
    pub(in crate::store) fn new(connection: &'a mut dyn Connection, sent: &'a AtomicU64) -> Self {
        Writer { connection, sent }
    }

    /// Runs a statement that writes.
    pub(in crate::store) fn execute(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
    ) -> Result<u64, DriverError> {
        self.sent.fetch_add(1, Ordering::SeqCst);
        self.connection.execute(statement, params)
    }

    /// Runs a statement that reads.
    pub(in crate::store) fn query(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row),
    ) -> Result<(), DriverError> {
        self.connection.query(statement, params, each)
    }

    /// Returns the connection, for statements that read.
    pub(in crate::store) fn reading(&mut self) -> &mut dyn Connection {
        self.connection
    }
}
