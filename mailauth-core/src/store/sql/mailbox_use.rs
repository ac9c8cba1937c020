//! Usage of mailboxes, as they publish it, and the sum of a domain.
//!
//! The sum is a row of its own, and each change of a mailbox's row adds the difference to it in the same transaction,
//! so that nothing is summed up when a message comes. The domain's row is changed *first*: it is the lock by which
//! deliveries that publish in one domain, the removal of an account, and [`SqlStore::sum_up`] wait for each other,
//! always in this order. What a mailbox published before is read ahead of the transaction, and its row is changed only
//! if it is still the same.
//!
//! The tables of another program hold no quotas of domains, so nothing is published beside them.
//!
//! No transaction here reads before it has the lock: MariaDB would show it the tables as they were at its first read.

use super::SqlStore;
use super::columns::number;
use super::columns::{Column, QuotaColumn, SumColumn, UseColumn};
use super::rows;
use super::writer::Writer;
use crate::Login;
use crate::model::limits::Limits;
use crate::model::usage::{Kind, Usage};
use crate::store::driver::{Connection, DriverError, Param, Refusal};
use crate::store::hosts::in_transaction;
use crate::store::jitter;
use crate::store::sql::reading::Reading;
use crate::store::{PoolStore, PoolUse, StoreError};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// Maximum number of bytes and messages that a mailbox can publish. Sizes come from the names of files, and may be
/// anything: a few of them must not make a domain's sum overflow.
const MOST: i64 = 1 << 53;

/// Number of rows read with one statement.
const PAGE: i64 = 1000;

/// Longest pause before a transaction that conflicted with another is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// Bytes and messages, as stored in a row.
pub(in crate::store) type Figures = (i64, i64);

impl PoolStore for SqlStore {
    fn pool_limits(&self, domain: &str) -> Result<Limits, StoreError> {
        self.limits_of_pool(self.reading(|recent| recent.has_domain(domain)), domain)
    }

    fn pool_use(&self, domain: &str) -> Result<PoolUse, StoreError> {
        self.use_of_pool(Reading::Any, domain)
    }

    fn largest_uses(&self, login: &Login, kind: Kind, most: usize) -> Result<Vec<(Login, Usage)>, StoreError> {
        self.largest_uses_of(Reading::Any, login, kind, most)
    }

    fn publish(&self, login: &Login, usage: Usage) -> Result<PoolUse, StoreError> {
        if self.foreign.is_some() {
            return Ok(PoolUse::default());
        }
        let figure = |number: u64| i64::try_from(number).unwrap_or(MOST).min(MOST);
        let new = (figure(usage.bytes), figure(usage.messages));
        let begin = self.dialect().begin;
        let until = Instant::now() + self.hosts.deadline();
        self.hosts.write(|connection| {
            self.ensure_schema(connection)?;
            loop {
                let old = self.published(connection, login)?;
                if old == Some(new) && self.replace(connection, login, new, new)? {
                    return self.sum_of(connection, login.domain());
                }
                match in_transaction(connection, begin, |connection| self.exchange(connection, login, old, new)) {
                    Ok(Ok(sum)) => return Ok(sum),
                    // Another delivery to this mailbox was faster, or another transaction was in the way.
                    Ok(Err(())) | Err(DriverError::Refused { kind: Refusal::Conflict, .. })
                        if Instant::now() < until =>
                    {
                        std::thread::sleep(jitter::below(PAUSE));
                    }
                    Ok(Err(())) => return Err(DriverError::Timeout(self.hosts.deadline())),
                    Err(error) => return Err(error),
                }
            }
        })
    }
}

impl SqlStore {
    /// Returns the largest usages that mailboxes of a domain published, from two pages: the domain's first, and the one
    /// after `login`.
    pub(in crate::store) fn largest_uses_of(
        &self,
        reading: Reading,
        login: &Login,
        kind: Kind,
        most: usize,
    ) -> Result<Vec<(Login, Usage)>, StoreError> {
        if self.foreign.is_some() {
            return Ok(Vec::new());
        }
        let domain = Param::Text(login.domain().as_bytes());
        self.read_by(reading, |connection| {
            self.ensure_schema(connection)?;
            let mut uses = BTreeMap::new();
            for after in ["", login.as_str()] {
                let mut read = 0;
                let asking = [domain, domain, Param::Text(after.as_bytes()), Param::Int(PAGE)];
                connection.query(&self.statements.uses_page, &asking, &mut |row| {
                    read += 1;
                    if let Ok(login) = Login::parse(&UseColumn::Login.bytes(row), None)
                        && let Some(bytes) = UseColumn::Bytes.amount(row)
                        && let Some(messages) = UseColumn::Messages.amount(row)
                    {
                        uses.insert(login, Usage { bytes, messages });
                    }
                })?;
                if read < PAGE {
                    break;
                }
            }
            let mut uses: Vec<_> = uses.into_iter().collect();
            uses.sort_by_key(|(_, usage)| Reverse(if kind == Kind::Bytes { usage.bytes } else { usage.messages }));
            uses.truncate(most);
            Ok(uses)
        })
    }

    /// Returns the limits of all mailboxes of a domain together.
    pub(in crate::store) fn limits_of_pool(&self, reading: Reading, domain: &str) -> Result<Limits, StoreError> {
        if self.foreign.is_some() {
            return Ok(Limits::NONE);
        }
        self.read_by(reading, |connection| {
            self.ensure_schema(connection)?;
            let mut limits = Ok(Limits::NONE);
            connection.query(&self.statements.pool_limits, &[Param::Text(domain.as_bytes())], &mut |row| {
                limits = rows::domain_limits(row, [QuotaColumn::Bytes, QuotaColumn::Messages], domain);
            })?;
            Ok(limits)
        })?
    }

    /// Returns the usage of all mailboxes of a domain together.
    pub(in crate::store) fn use_of_pool(&self, reading: Reading, domain: &str) -> Result<PoolUse, StoreError> {
        if self.foreign.is_some() {
            return Ok(PoolUse::default());
        }
        self.read_by(reading, |connection| {
            self.ensure_schema(connection)?;
            self.sum_of(connection, domain)
        })
    }

    /// Makes the sum of a domain exact, by adding up what its mailboxes published last.
    ///
    /// Deliveries keep it exact themselves. This is needed after other programs removed rows of accounts, or changed
    /// figures.
    ///
    /// # Errors
    /// Fails if it is unknown whether that was done.
    pub fn sum_up(&self, domain: &str) -> Result<PoolUse, StoreError> {
        if self.foreign.is_some() {
            return Ok(PoolUse::default());
        }
        let begin = self.dialect().begin;
        self.hosts.write(|connection| {
            self.ensure_schema(connection)?;
            let done = in_transaction(connection, begin, |connection| {
                connection.execute(&self.statements.add_to_sum, &sum_row(domain, (0, 0), 0))?;
                let (sum, mailboxes) = self.add_up(connection, domain)?;
                let values =
                    [Param::Int(sum.0), Param::Int(sum.1), Param::Int(mailboxes), Param::Text(domain.as_bytes())];
                connection.execute(&self.statements.set_sum, &values)?;
                self.sum_of(connection, domain).map(Ok::<_, Infallible>)
            })?;
            match done {
                Ok(sum) => Ok(sum),
                Err(never) => match never {},
            }
        })
    }

    /// Removes what an account's mailbox published from its domain's sum, and keeps it from publishing until the
    /// transaction ends.
    pub(in crate::store) fn withdraw(&self, writer: &mut Writer<'_>, login: &Login) -> Result<(), DriverError> {
        self.lock_sum(writer, login.domain())?;
        let Some((bytes, messages)) = self.published(writer.reading(), login)? else { return Ok(()) };
        writer.execute(&self.statements.add_to_sum, &sum_row(login.domain(), (-bytes, -messages), -1)).map(|_| ())
    }

    /// Adds what a mailbox published to the table, and to its domain's sum.
    pub(in crate::store) fn put_use(
        &self,
        writer: &mut Writer<'_>,
        login: &Login,
        figures: Figures,
    ) -> Result<(), DriverError> {
        let domain = login.domain();
        writer.execute(&self.statements.add_to_sum, &sum_row(domain, figures, 1))?;
        let names = [login.as_str(), domain].map(|text| Param::Text(text.as_bytes()));
        let values = [names[0], names[1], Param::Int(figures.0), Param::Int(figures.1)];
        writer.execute(&self.statements.add_use, &values).map(drop)
    }

    /// Keeps the mailboxes of a domain from publishing until the transaction ends.
    pub(in crate::store) fn lock_sum(&self, writer: &mut Writer<'_>, domain: &str) -> Result<(), DriverError> {
        writer.execute(&self.statements.add_to_sum, &sum_row(domain, (0, 0), 0)).map(|_| ())
    }

    /// Replaces `old` by `new` and adds the difference to the domain's sum, which it returns. Returns an inner error if
    /// `old` is no longer there.
    fn exchange(
        &self,
        connection: &mut dyn Connection,
        login: &Login,
        old: Option<Figures>,
        new: Figures,
    ) -> Result<Result<PoolUse, ()>, DriverError> {
        let (was, mailboxes) = old.map_or(((0, 0), 1), |old| (old, 0));
        let difference = (new.0 - was.0, new.1 - was.1);
        connection.execute(&self.statements.add_to_sum, &sum_row(login.domain(), difference, mailboxes))?;
        let done = match old {
            Some(old) => self.replace(connection, login, old, new)?,
            None => {
                let (name, domain) = (Param::Text(login.as_str().as_bytes()), Param::Text(login.domain().as_bytes()));
                match connection
                    .execute(&self.statements.add_use, &[name, domain, Param::Int(new.0), Param::Int(new.1)])
                {
                    Err(DriverError::Refused { kind: Refusal::Duplicate, .. }) => false,
                    done => done? > 0,
                }
            }
        };
        if done { self.sum_of(connection, login.domain()).map(Ok) } else { Ok(Err(())) }
    }

    /// Replaces `old` by `new`. Returns false if `old` is not there.
    fn replace(
        &self,
        connection: &mut dyn Connection,
        login: &Login,
        old: Figures,
        new: Figures,
    ) -> Result<bool, DriverError> {
        let name = Param::Text(login.as_str().as_bytes());
        let values = [Param::Int(new.0), Param::Int(new.1), name, Param::Int(old.0), Param::Int(old.1)];
        Ok(connection.execute(&self.statements.set_use, &values)? > 0)
    }

    /// Returns what a mailbox published last.
    pub(in crate::store) fn published(
        &self,
        connection: &mut dyn Connection,
        login: &Login,
    ) -> Result<Option<Figures>, DriverError> {
        let mut found = None;
        let name = Param::Text(login.as_str().as_bytes());
        connection.query(&self.statements.find_use, &[name], &mut |row| found = number(row, 0).zip(number(row, 1)))?;
        Ok(found)
    }

    /// Adds up what the mailboxes of a domain published, a page at a time, and counts them.
    fn add_up(&self, connection: &mut dyn Connection, domain: &str) -> Result<(Figures, i64), DriverError> {
        let (mut sum, mut mailboxes): (Figures, i64) = ((0, 0), 0);
        let (name, mut after) = (Param::Text(domain.as_bytes()), Vec::new());
        loop {
            let mut last = Vec::new();
            let mut read = 0;
            let asking = [name, name, Param::Text(&after), Param::Int(PAGE)];
            connection.query(&self.statements.uses_page, &asking, &mut |row| {
                last = UseColumn::Login.bytes(row);
                sum.0 = sum.0.saturating_add(UseColumn::Bytes.number(row).unwrap_or(0));
                sum.1 = sum.1.saturating_add(UseColumn::Messages.number(row).unwrap_or(0));
                read += 1;
            })?;
            mailboxes += read;
            if read < PAGE {
                return Ok((sum, mailboxes));
            }
            after = last;
        }
    }

    /// Returns the stored sum of a domain.
    fn sum_of(&self, connection: &mut dyn Connection, domain: &str) -> Result<PoolUse, DriverError> {
        let mut sum = PoolUse::default();
        connection.query(&self.statements.pool_use, &[Param::Text(domain.as_bytes())], &mut |row| {
            // Negative if other programs changed rows.
            let amount = |column: SumColumn| column.amount(row).unwrap_or(0);
            let usage = Usage { bytes: amount(SumColumn::Bytes), messages: amount(SumColumn::Messages) };
            sum = PoolUse { usage, mailboxes: amount(SumColumn::Mailboxes) };
        })?;
        Ok(sum)
    }
}

/// Returns the parameters that add to a domain's sum.
fn sum_row(domain: &str, (bytes, messages): Figures, mailboxes: i64) -> [Param<'_>; 4] {
    [Param::Text(domain.as_bytes()), Param::Int(bytes), Param::Int(messages), Param::Int(mailboxes)]
}
