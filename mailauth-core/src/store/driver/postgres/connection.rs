//! A connection to PostgreSQL.

use super::SQL_ASCII;
use super::error::{driver_error, reason, with_right};
use super::plan::Explained;
use super::socket::Executor;
use super::values::references;
use crate::store::administration::CharacterSet;
use crate::store::driver::access::Access;
use crate::store::driver::connect::socket_error::io_error;
use crate::store::driver::rights::plan;
use crate::store::driver::{
    Cell, Connection, DriverError, Needs, Param, Plan, Refusal, Rights, Row, ServerRole, Statement,
};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// The half of the client that sends and receives. It ends when the connection does, and must be dropped then, because
/// only this tells pending requests that no answer will come.
pub(super) type Wire = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

pub(in crate::store::driver) struct PostgresConnection {
    pub(super) client: Client,
    /// `None` once the connection has ended.
    pub(super) wire: Option<Wire>,
    pub(super) executor: Executor,
    /// Prepared statements, indexed by slot.
    pub(super) kept: Vec<Option<tokio_postgres::Statement>>,
    pub(super) deadline: Duration,
    /// How the server's certificate was verified, for reports.
    pub(super) trust: String,
    /// How the server proved its identity, if it did.
    pub(super) authenticated_by: Option<String>,
    /// Encoding of the database as the server names it; empty if it was not reported.
    pub(super) encoding: String,
    /// True if the session refuses changes.
    pub(super) read_only: bool,
    pub(super) broken: bool,
}

impl PostgresConnection {
    /// Runs the future that `work` makes, together with the wire, until the deadline.
    fn run<'a, T, F>(&'a mut self, work: impl FnOnce(&'a Client) -> F) -> Result<T, DriverError>
    where
        F: Future<Output = Result<T, tokio_postgres::Error>>,
    {
        if self.broken {
            return Err(DriverError::Lost("the connection is closed".into()));
        }
        let mut work = pin!(work(&self.client));
        let wire = &mut self.wire;
        let mut ended = None;
        let poll = |context: &mut Context<'_>| {
            if let Poll::Ready(outcome) = work.as_mut().poll(context) {
                return Poll::Ready(outcome);
            }
            if let Some(Poll::Ready(outcome)) = wire.as_mut().map(|wire| wire.as_mut().poll(context)) {
                ended = outcome.err();
                // Only dropping the wire tells the work that no answer will come.
                *wire = None;
            }
            work.as_mut().poll(context)
        };
        let outcome = match self.executor.block_on(Instant::now() + self.deadline, poll) {
            Ok(Some(outcome)) => outcome.map_err(|error| driver_error(&error, self.deadline)),
            // The answer may still arrive, and would be taken for that of the next request.
            Ok(None) => {
                self.broken = true;
                Err(DriverError::Timeout(self.deadline))
            }
            Err(error) => Err(io_error(&error, self.deadline)),
        };
        self.broken |= self.wire.is_none() || matches!(outcome, Err(DriverError::Lost(_)));
        match (outcome, ended) {
            // The server's last message, or else what ended the connection, says more than that it is closed.
            (Err(DriverError::Refused { reason, .. }), _) if self.broken => Err(DriverError::Lost(reason)),
            (Err(DriverError::Lost(_)), Some(error)) => Err(DriverError::Lost(reason(&error))),
            (outcome, _) => outcome,
        }
    }

    /// Returns the prepared statement, from the cache if it is there.
    fn prepared(&mut self, statement: &Statement) -> Result<tokio_postgres::Statement, DriverError> {
        let kept = statement.slot.and_then(|slot| self.kept.get(slot)).cloned().flatten();
        if let Some(prepared) = kept {
            return Ok(prepared);
        }
        let prepared = self.run(|client| client.prepare(&statement.sql))?;
        if let Some(slot) = statement.slot {
            if self.kept.len() <= slot {
                self.kept.resize(slot + 1, None);
            }
            if let Some(place) = self.kept.get_mut(slot) {
                *place = Some(prepared.clone());
            }
        }
        Ok(prepared)
    }

    /// Runs `work` on the prepared statement; prepares it again, once, if the server no longer has it or its tables
    /// have changed.
    fn run_prepared<T>(
        &mut self,
        statement: &Statement,
        work: impl AsyncFn(&Client, &tokio_postgres::Statement) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, DriverError> {
        let prepared = self.prepared(statement)?;
        match self.run(|client| work(client, &prepared)) {
            Err(DriverError::Refused { kind: Refusal::Stale, .. }) => {
                if let Some(place) = statement.slot.and_then(|slot| self.kept.get_mut(slot)) {
                    *place = None;
                }
                let prepared = self.prepared(statement)?;
                self.run(|client| work(client, &prepared))
            }
            outcome => outcome,
        }
    }

    /// Returns the first column of each row as text; numbers and booleans in digits.
    pub(in crate::store::driver) fn texts(&mut self, sql: &str, params: &[&str]) -> Result<Vec<String>, DriverError> {
        let mut texts = Vec::new();
        let params: Vec<Param<'_>> = params.iter().map(|text| Param::Text(text.as_bytes())).collect();
        let statement = Statement { slot: None, sql: sql.to_owned() };
        self.query(&statement, &params, &mut |row| {
            texts.push(match row.cell(0) {
                Cell::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Cell::Int(number) => number.to_string(),
                Cell::Null | Cell::Other => String::new(),
            });
        })?;
        Ok(texts)
    }

    /// Returns true if one of the parameters has a character that the database's encoding lacks. A statement may also
    /// be refused because a character in a row cannot be sent.
    fn are_unstorable(&mut self, params: &[Param<'_>]) -> Result<bool, DriverError> {
        let statement = Statement { slot: None, sql: "SELECT octet_length($1::text)".to_owned() };
        for param in params.iter().filter(|param| matches!(param, Param::Text(text) if !text.is_ascii())) {
            match self.execute(&statement, &[*param]) {
                Err(DriverError::Refused { kind: Refusal::Unstorable, .. }) => return Ok(true),
                // Within a transaction, no statement can be run after a refusal.
                Err(DriverError::Refused { .. }) => return Ok(false),
                done => drop(done?),
            }
        }
        Ok(false)
    }

    /// Explains the statement with these settings of the planner.
    fn explain_with(
        &mut self,
        settings: &str,
        statement: &Statement,
        params: &[Param<'_>],
    ) -> Result<Plan, DriverError> {
        let explain = Statement { slot: None, sql: format!("EXPLAIN (FORMAT YAML) {}", statement.sql) };
        let mut yaml = String::new();
        self.batch(&format!("BEGIN; {settings}"))?;
        let explained = self.query(&explain, params, &mut |row| {
            if let Cell::Text(bytes) = row.cell(0) {
                yaml.push_str(&String::from_utf8_lossy(bytes));
            }
        });
        if !self.broken {
            self.batch("ROLLBACK")?;
        }
        explained?;
        let Explained { mut plan, conditions } = super::plan::read(&yaml);
        for (table, condition) in plan.tables.iter_mut().zip(conditions) {
            if let Access::Index(index) = &table.access
                && !self.begins_with(index, &condition)?
            {
                table.access = Access::InOrder(index.clone());
            }
        }
        Ok(plan)
    }

    /// Returns true if the condition is about the first column of the index, without which all of it is read.
    fn begins_with(&mut self, index: &str, condition: &str) -> Result<bool, DriverError> {
        let sql =
            "SELECT pg_get_indexdef(c.oid, 1, true) FROM pg_class c WHERE c.relname = $1::text AND c.relkind = 'i'";
        let columns = self.texts(sql, &[index])?;
        Ok(columns.is_empty() || columns.iter().any(|column| condition.contains(column.as_str())))
    }

    /// Returns true if the statement's first result is true.
    pub(in crate::store::driver) fn is(&mut self, sql: &str, params: &[&str]) -> Result<bool, DriverError> {
        Ok(self.texts(sql, params)?.first().is_some_and(|answer| answer == "1"))
    }
}

impl Connection for PostgresConnection {
    fn query(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row),
    ) -> Result<(), DriverError> {
        let values = references(params);
        match self.run_prepared(statement, async |client, prepared| client.query(prepared, &values).await) {
            Err(error @ DriverError::Refused { kind: Refusal::Unstorable, .. }) => {
                if self.are_unstorable(params)? {
                    Ok(())
                } else {
                    Err(error)
                }
            }
            rows => {
                rows.map_err(|error| with_right(error, &statement.sql))?.iter().for_each(|row| each(row));
                Ok(())
            }
        }
    }

    fn execute(&mut self, statement: &Statement, params: &[Param<'_>]) -> Result<u64, DriverError> {
        let params = references(params);
        let done = self.run_prepared(statement, async |client, prepared| client.execute(prepared, &params).await);
        done.map_err(|error| with_right(error, &statement.sql))
    }

    fn batch(&mut self, sql: &str) -> Result<(), DriverError> {
        self.run(|client| client.batch_execute(sql))
    }

    fn ping(&mut self) -> Result<(), DriverError> {
        self.run(Client::check_connection)
    }

    fn role(&mut self) -> Result<ServerRole, DriverError> {
        let setting = match self.read_only {
            // What the server, the database or the user sets, and not this session.
            true => "(SELECT reset_val FROM pg_settings WHERE name = 'default_transaction_read_only')",
            false => "current_setting('default_transaction_read_only')",
        };
        let sql = format!("SELECT CASE WHEN pg_is_in_recovery() OR {setting} = 'on' THEN 1 ELSE 0 END");
        let mut read_only = false;
        let statement = Statement { slot: None, sql };
        self.query(&statement, &[], &mut |row| read_only = matches!(row.cell(0), Cell::Int(1)))?;
        Ok(if read_only { ServerRole::Replica } else { ServerRole::Primary })
    }

    fn is_broken(&self) -> bool {
        self.broken
    }

    fn server(&mut self) -> Result<(String, Option<String>), DriverError> {
        let version = self.texts("SHOW server_version", &[])?.concat();
        let number = version.split(' ').next().unwrap_or_default();
        let tls = "SELECT version || ' ' || cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl";
        let tls = self.texts(tls, &[])?.into_iter().next();
        Ok((format!("PostgreSQL {number}"), tls.map(|tls| format!("{tls}, {}", self.trust))))
    }

    fn authenticated_by(&self) -> Option<String> {
        self.authenticated_by.clone()
    }

    fn character_set(&mut self, _: &[String]) -> Result<CharacterSet, DriverError> {
        let name = match self.encoding.as_str() {
            // A pooler in between may not have passed it on.
            "" => self.texts("SHOW server_encoding", &[])?.concat(),
            name => name.to_owned(),
        };
        let move_on = "to change that, create another database (CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE \
                       template0), and move the accounts there with `mailauth account export` and `import`";
        let problem = match name.as_str() {
            "UTF8" => None,
            SQL_ASCII => Some(format!(
                "the database has no encoding (SQL_ASCII), so that other programs may write bytes into it that are not \
                 UTF-8, and such a row cannot be used; {move_on}"
            )),
            name => Some(format!(
                "the database's encoding is {name} and not UTF8, so that logins, addresses and names with other \
                 characters cannot be stored; {move_on}"
            )),
        };
        Ok(CharacterSet { name, problem })
    }

    /// Explains the statement without scans where an index serves, and without a sort if it needs none for that.
    fn explain(&mut self, statement: &Statement, params: &[Param<'_>]) -> Result<Plan, DriverError> {
        let plan = self.explain_with("SET LOCAL enable_seqscan = off", statement, params)?;
        if !plan.sorts {
            return Ok(plan);
        }
        let settings = "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off";
        let unsorted = self.explain_with(settings, statement, params)?;
        let by_index = unsorted.tables.iter().all(|table| matches!(table.access, Access::Index(_)));
        Ok(if by_index && !unsorted.sorts { unsorted } else { plan })
    }

    fn rights(&mut self, needs: &Needs) -> Result<Rights, DriverError> {
        self.compare_rights(needs)
    }

    fn lacks(&mut self, wanted: &[(&str, &str)]) -> Result<Vec<String>, DriverError> {
        let mut lacking = Vec::new();
        for (right, table) in wanted {
            if !self.is("SELECT has_table_privilege($1::text, $2::text)", &[table, right])? {
                lacking.push(((*right).to_owned(), (*table).to_owned()));
            }
        }
        Ok(plan::by_object(lacking))
    }
}
