//! A connection to MySQL or MariaDB.

use super::client::{Client, ClientError, Prepared};
use super::error::driver_error;
use super::plan;
use crate::store::administration::CharacterSet;
use crate::store::driver::rights::mysql as grants;
use crate::store::driver::{
    Cell, Connection, DriverError, Needs, Param, Plan, Refusal, Rights, Row, ServerRole, Statement,
};
use mysql_common::value::Value;
use std::time::{Duration, Instant};

/// Waits until the node has applied what other nodes have confirmed.
const CATCH_UP: &str = "SET SESSION wsrep_sync_wait = 1;\nSTART TRANSACTION;\nCOMMIT;\nSET SESSION wsrep_sync_wait = 0";

pub(super) struct MysqlConnection {
    pub(super) client: Client,
    /// Prepared statements, indexed by slot.
    pub(super) kept: Vec<Option<Prepared>>,
    pub(super) deadline: Duration,
    /// Whether the server is a node of a Galera cluster; `None` until it was asked.
    pub(super) in_cluster: Option<bool>,
    /// How the server's certificate was verified, for reports.
    pub(super) trust: String,
    /// How the server proved its identity, if it did.
    pub(super) authenticated_by: Option<String>,
    pub(super) broken: bool,
}

impl MysqlConnection {
    /// Runs `work` within one deadline. After an error that is not the server's answer, the connection is broken.
    fn timed<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, ClientError>) -> Result<T, DriverError> {
        if self.broken {
            return Err(DriverError::Lost("the connection is closed".into()));
        }
        self.client.end_at(Instant::now() + self.deadline);
        work(self).map_err(|error| {
            let is_answer = matches!(error, ClientError::Server { .. });
            let error = driver_error(error, self.deadline);
            self.broken |= !is_answer || matches!(error, DriverError::Lost(_));
            error
        })
    }

    /// Runs a statement; calls `each` with its rows and returns the number of rows that it matched.
    fn run(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row),
    ) -> Result<u64, DriverError> {
        let value = |param: &Param<'_>| match *param {
            Param::Null => Value::NULL,
            Param::Int(number) => Value::Int(number),
            Param::Text(bytes) => Value::Bytes(bytes.to_vec()),
        };
        let params: Vec<Value> = params.iter().map(value).collect();
        self.timed(|this| {
            let mut each = |row: mysql_common::row::Row| each(&row);
            let kept = statement.slot.and_then(|slot| this.kept.get(slot)).copied().flatten();
            let prepared = match kept {
                Some(prepared) => prepared,
                None => this.client.prepare(&statement.sql)?,
            };
            match statement.slot {
                Some(slot) => this.keep(slot, prepared),
                None => {
                    let outcome = this.client.execute(prepared, &params, &mut each);
                    if matches!(outcome, Ok(_) | Err(ClientError::Server { .. })) {
                        this.client.close(prepared)?;
                    }
                    return outcome;
                }
            }
            this.client.execute(prepared, &params, &mut each)
        })
    }

    /// Stores a prepared statement in its slot.
    fn keep(&mut self, slot: usize, prepared: Prepared) {
        if self.kept.len() <= slot {
            self.kept.resize(slot + 1, None);
        }
        if let Some(place) = self.kept.get_mut(slot) {
            *place = Some(prepared);
        }
    }

    /// Returns the texts of the first `columns` columns of each row.
    fn texts(&mut self, sql: &str, columns: usize) -> Result<Vec<Vec<String>>, DriverError> {
        let mut rows = Vec::new();
        self.run(&Statement { slot: None, sql: sql.to_owned() }, &[], &mut |row| {
            let text = |index| match row.cell(index) {
                Cell::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                _ => String::new(),
            };
            rows.push((0..columns).map(text).collect());
        })?;
        Ok(rows)
    }

    /// Returns true on a Galera node that may lack changes: one that has lost its quorum, or that is not in state 4
    /// (Synced), such as a donor or a node that was desynchronized for a backup.
    fn is_behind_its_cluster(&mut self) -> Result<bool, DriverError> {
        // On a server outside a cluster, `wsrep_ready` is `OFF` too.
        Ok(self.is_in_cluster()? && (self.status("wsrep_ready")? != "ON" || self.status("wsrep_local_state")? != "4"))
    }

    /// Returns true on a Galera node. Asks the server once.
    fn is_in_cluster(&mut self) -> Result<bool, DriverError> {
        if let Some(known) = self.in_cluster {
            return Ok(known);
        }
        let rows = self.texts("SHOW GLOBAL VARIABLES LIKE 'wsrep_on'", 2)?;
        let in_cluster = rows.concat().last().is_some_and(|on| on == "ON");
        self.in_cluster = Some(in_cluster);
        Ok(in_cluster)
    }

    /// Reads a status variable; empty if no variable has this name.
    fn status(&mut self, name: &str) -> Result<String, DriverError> {
        let rows = self.texts(&format!("SHOW SESSION STATUS LIKE '{name}'"), 2)?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().nth(1)).unwrap_or_default())
    }
}

/// Returns true if a parameter has a character that some character sets lack.
fn are_beyond_ascii(params: &[Param<'_>]) -> bool {
    params.iter().any(|param| matches!(param, Param::Text(text) if !text.is_ascii()))
}

/// Returns true if a system variable is 0 or OFF, in whatever type the server sends it: read_only is a number before
/// MariaDB 12, and a word from then on. Unknown values count as on.
fn is_off(value: Cell<'_>) -> bool {
    match value {
        Cell::Int(number) => number == 0,
        Cell::Text(text) => text == b"0" || text.eq_ignore_ascii_case(b"OFF"),
        Cell::Null | Cell::Other => false,
    }
}

impl Connection for MysqlConnection {
    fn query(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row),
    ) -> Result<(), DriverError> {
        match self.run(statement, params, each) {
            // Otherwise the error is about two columns, or a column and the statement's own text.
            Err(DriverError::Refused { kind: Refusal::Unstorable, .. }) if are_beyond_ascii(params) => Ok(()),
            done => done.map(drop),
        }
    }

    fn execute(&mut self, statement: &Statement, params: &[Param<'_>]) -> Result<u64, DriverError> {
        self.run(statement, params, &mut |_| ())
    }

    fn batch(&mut self, sql: &str) -> Result<(), DriverError> {
        // One by one, because several statements in one request have several results.
        for statement in sql.split(";\n").filter(|statement| !statement.trim().is_empty()) {
            self.timed(|this| this.client.run(statement))?;
        }
        Ok(())
    }

    fn ping(&mut self) -> Result<(), DriverError> {
        self.timed(|this| this.client.ping())
    }

    /// Reads whether the server is writable. A Galera node that has lost its quorum refuses even this, with error 1047,
    /// unless dirty reads are allowed.
    fn role(&mut self) -> Result<ServerRole, DriverError> {
        let mut takes_changes = false;
        let statement = Statement { slot: None, sql: "SELECT @@global.read_only".to_owned() };
        self.run(&statement, &[], &mut |row| takes_changes = is_off(row.cell(0)))?;
        if takes_changes && !self.is_behind_its_cluster()? { Ok(ServerRole::Primary) } else { Ok(ServerRole::Replica) }
    }

    /// Waits on a Galera node, because a node confirms a change before the others have applied it. With
    /// `wsrep_sync_wait`, the start of a transaction waits until this node has.
    fn catch_up(&mut self) -> Result<(), DriverError> {
        match if self.is_in_cluster()? { self.batch(CATCH_UP) } else { Ok(()) } {
            // It waits for another node, which may hang.
            Err(DriverError::Timeout(after)) => Err(DriverError::Behind(after)),
            Err(DriverError::Cancelled(_)) => Err(DriverError::Behind(self.deadline)),
            done => done,
        }
    }

    fn is_broken(&self) -> bool {
        self.broken
    }

    fn server(&mut self) -> Result<(String, Option<String>), DriverError> {
        let version = self.texts("SELECT VERSION()", 1)?.concat().concat();
        let (number, rest) = version.split_once('-').unwrap_or((&version, ""));
        let name = if rest.contains("MariaDB") { "MariaDB" } else { "MySQL" };
        let protocol = self.status("Ssl_version")?;
        let tls = match protocol.as_str() {
            "" => None,
            protocol => Some(format!("{protocol} {}, {}", self.status("Ssl_cipher")?, self.trust)),
        };
        Ok((format!("{name} {number}"), tls))
    }

    fn authenticated_by(&self) -> Option<String> {
        self.authenticated_by.clone()
    }

    fn character_set(&mut self, tables: &[String]) -> Result<CharacterSet, DriverError> {
        let names: Vec<_> = tables.iter().map(|table| format!("'{}'", table.replace('\'', "''"))).collect();
        let sql = format!(
            "SELECT DISTINCT table_name, character_set_name FROM information_schema.columns
             WHERE table_schema = DATABASE() AND table_name IN ({}) AND character_set_name <> 'utf8mb4'
             ORDER BY table_name, character_set_name",
            names.join(", ")
        );
        let others: Vec<_> = self.texts(&sql, 2)?.into_iter().map(|row| row.join(" in ")).collect();
        let problem = (!others.is_empty()).then(|| {
            format!(
                "columns are not in utf8mb4 ({}), so that logins, addresses and names with other characters cannot be \
                 stored; to change that, create the tables in another database with `mailauth init`, and move the \
                 accounts there with `mailauth account export` and `import`",
                others.join(", ")
            )
        });
        Ok(CharacterSet { name: "utf8mb4".to_owned(), problem })
    }

    fn explain(&mut self, statement: &Statement, params: &[Param<'_>]) -> Result<Plan, DriverError> {
        let mut plan = Plan::default();
        // A setting of MariaDB for this statement, in a comment, stays before it.
        let (settings, select) = statement.sql.split_at(statement.sql.find("SELECT").unwrap_or(0));
        let explain = Statement { slot: None, sql: format!("{settings}EXPLAIN FORMAT=TRADITIONAL {select}") };
        self.run(&explain, params, &mut |row| plan::add_row(&mut plan, row))?;
        Ok(plan)
    }

    fn rights(&mut self, needs: &Needs) -> Result<Rights, DriverError> {
        let database = self.texts("SELECT DATABASE()", 1)?.concat().concat();
        let user = self.texts("SELECT CURRENT_USER()", 1)?.concat().concat();
        let lines = self.grants()?;
        Ok(grants::compare(&lines, &user, &database, needs))
    }

    fn lacks(&mut self, wanted: &[(&str, &str)]) -> Result<Vec<String>, DriverError> {
        let database = self.texts("SELECT DATABASE()", 1)?.concat().concat();
        Ok(grants::lacking(&self.grants()?, &database, wanted))
    }
}

impl MysqlConnection {
    /// Returns the lines of `SHOW GRANTS` for this user and its roles.
    fn grants(&mut self) -> Result<Vec<String>, DriverError> {
        let version = self.texts("SELECT VERSION()", 1)?.concat().concat();
        if version.contains("MariaDB") {
            return Ok(self.texts("SHOW GRANTS", 1)?.concat());
        }
        let user = self.texts("SELECT CURRENT_USER()", 1)?.concat().concat();
        self.grants_of_mysql(&grants::quoted_user(&user))
    }

    /// Returns on MySQL the lines that `SHOW GRANTS` has on MariaDB. On MySQL it does not tell the user's own
    /// privileges from those of a role, so each role is asked for separately.
    fn grants_of_mysql(&mut self, user: &str) -> Result<Vec<String>, DriverError> {
        let own = self.texts(&format!("SHOW GRANTS FOR {user}"), 1)?.concat();
        let roles = self.texts("SELECT CURRENT_ROLE()", 1)?.concat().concat();
        let mut lines = own.clone();
        for role in grants::roles(&roles) {
            let with = self.texts(&format!("SHOW GRANTS FOR {user} USING {role}"), 1)?.concat();
            lines.extend(grants::by_role(&own, &with, &role));
        }
        Ok(lines)
    }
}

impl Row for mysql_common::row::Row {
    fn cell(&self, index: usize) -> Cell<'_> {
        match self.as_ref(index) {
            Some(Value::NULL) => Cell::Null,
            Some(Value::Bytes(bytes)) => Cell::Text(bytes),
            Some(Value::Int(number)) => Cell::Int(*number),
            Some(Value::UInt(number)) => i64::try_from(*number).map_or(Cell::Other, Cell::Int),
            Some(Value::Float(_) | Value::Double(_) | Value::Date(..) | Value::Time(..)) | None => Cell::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_reports_read_only_off_is_a_primary() {
        for off in [Cell::Int(0), Cell::Text(b"0"), Cell::Text(b"OFF"), Cell::Text(b"off")] {
            assert!(is_off(off), "{off:?}");
        }
        let words = ["1", "ON", "READ_ONLY", "NO_LOCK", "NO_LOCK_NO_ADMIN", "", "00", "OFF_", "later"];
        let on = [Cell::Int(1), Cell::Int(2), Cell::Int(-1), Cell::Null, Cell::Other];
        for on in words.iter().map(|word| Cell::Text(word.as_bytes())).chain(on) {
            assert!(!is_off(on), "{on:?}");
        }
    }
}
