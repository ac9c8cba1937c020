//! What mailboxes hold, as they publish it, and the sum of a domain.

use super::StoreError;
use super::driver::{Connection, DriverError, Param, Refusal};
use super::newest::Reading;
use super::rows;
use super::sql::{SqlStore, number};
use crate::Login;
use crate::quota::pools::{PoolStore, PoolUse};
use crate::quota::{Limits, Usage};

impl PoolStore for SqlStore {
    fn pool_limits(&self, domain: &str) -> Result<Limits, StoreError> {
        self.limits_of_pool(Reading::Any, domain)
    }

    fn pool_use(&self, domain: &str) -> Result<PoolUse, StoreError> {
        self.use_of_pool(Reading::Any, domain)
    }

    /// Not in one transaction: a delivery that publishes at the same time must see this one or be seen by it, and under
    /// a snapshot neither might.
    fn publish(&self, login: &Login, usage: Usage) -> Result<PoolUse, StoreError> {
        self.hosts.write(|connection| {
            self.fits(connection)?;
            self.put(connection, login, usage)?;
            self.sum_up(connection, login.domain())
        })
    }
}

impl SqlStore {
    /// Returns what the mailboxes of a domain may hold together.
    pub(super) fn limits_of_pool(&self, reading: Reading, domain: &str) -> Result<Limits, StoreError> {
        self.read_by(reading, |connection| {
            self.fits(connection)?;
            let mut limits = Ok(Limits::NONE);
            connection.query(&self.statements.pool_limits, &[Param::Text(domain.as_bytes())], &mut |row| {
                limits = rows::domain_limits(row, 0, domain);
            })?;
            Ok(limits)
        })?
    }

    /// Returns what they hold together.
    pub(super) fn use_of_pool(&self, reading: Reading, domain: &str) -> Result<PoolUse, StoreError> {
        self.read_by(reading, |connection| {
            self.fits(connection)?;
            self.sum_up(connection, domain)
        })
    }

    fn put(&self, connection: &mut dyn Connection, login: &Login, usage: Usage) -> Result<(), DriverError> {
        let figure = |number: u64| Param::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let (bytes, messages) = (figure(usage.bytes), figure(usage.messages));
        let (name, domain) = (Param::Text(login.as_str().as_bytes()), Param::Text(login.domain().as_bytes()));
        let again = [bytes, messages, name];
        if connection.execute(&self.statements.set_use, &again)? > 0 {
            return Ok(());
        }
        match connection.execute(&self.statements.add_use, &[name, domain, bytes, messages]) {
            // Another delivery to this mailbox was the first.
            Err(DriverError::Refused { kind: Refusal::Duplicate, .. }) => {
                connection.execute(&self.statements.set_use, &again).map(|_| ())
            }
            done => done.map(|_| ()),
        }
    }

    fn sum_up(&self, connection: &mut dyn Connection, domain: &str) -> Result<PoolUse, DriverError> {
        let mut sum = None;
        connection.query(&self.statements.pool_use, &[Param::Text(domain.as_bytes())], &mut |row| {
            let figure = |index| number(row, index).and_then(|number| u64::try_from(number).ok());
            if let (Some(bytes), Some(messages), Some(mailboxes)) = (figure(0), figure(1), figure(2)) {
                sum = Some(PoolUse { usage: Usage { bytes, messages }, mailboxes });
            }
        })?;
        sum.ok_or_else(|| DriverError::Refused {
            kind: Refusal::Other,
            reason: format!("what the mailboxes of {} hold does not add up to a number", domain.escape_debug()),
        })
    }
}
