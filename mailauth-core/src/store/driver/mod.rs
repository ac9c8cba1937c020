//! The interface of a database driver, and the differences between the SQL of the databases.
//!
//! Adding a database is one file that implements [`Driver`] and [`Connection`], and one line in [`crate::store::open`].

#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(super) mod connect;
#[cfg(test)]
pub(super) mod fake;
#[cfg(feature = "mysql")]
pub(super) mod mysql;
pub(super) mod panic_guard;
#[cfg(feature = "postgres")]
pub(super) mod postgres;
pub(super) mod rights;
#[cfg(feature = "sqlite")]
pub(super) mod sqlite;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod tls;

use crate::store::administration::CharacterSet;
use std::time::Duration;

/// A parameter of a statement. Text is passed as bytes; the database checks its encoding.
#[derive(Clone, Copy)]
pub(crate) enum Param<'a> {
    Null,
    Int(i64),
    Text(&'a [u8]),
}

impl<'a> Param<'a> {
    /// Creates a text parameter, or NULL for `None`.
    pub(crate) fn text(value: Option<&'a str>) -> Self {
        value.map_or(Param::Null, |text| Param::Text(text.as_bytes()))
    }
}

/// A value read from the database.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Int(i64),
    Text(&'a [u8]),
    /// A value of a type that no field has: a fraction, a date, an integer beyond 64 bits.
    Other,
}

/// A row of a result.
pub(crate) trait Row {
    /// Returns the value at `index`, counted from 0; [`Cell::Other`] beyond the last column.
    fn cell(&self, index: usize) -> Cell<'_>;
}

/// A statement that a connection prepares once and caches.
#[derive(Debug)]
pub(crate) struct Statement {
    /// Index in the statement cache of its connection; `None` for a statement that is prepared for a single use.
    pub(crate) slot: Option<usize>,
    /// SQL text, with the placeholders of its database.
    pub(crate) sql: String,
}

/// Error of a driver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DriverError {
    /// There is no connection, or it broke. It is unknown whether a statement that was running took effect.
    #[error("{0}")]
    Lost(String),
    /// The server is up but accepts no further connections for now; existing ones may go on.
    #[error("{0}")]
    Full(String),
    /// The server is up but rejects our connection: the user, the password, the database, or this host.
    #[error("{0}")]
    Denied(String),
    /// The deadline passed.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The server aborted a statement before our deadline, on a connection that works. The text names the setting that
    /// made it do so.
    #[error("{0}")]
    Cancelled(String),
    /// The host did not receive in time the changes that other nodes of its cluster have confirmed. It is not at fault,
    /// and other statements on it are not affected.
    #[error("it has not caught up with its cluster within {} ms", .0.as_millis())]
    Behind(Duration),
    /// The database refused a statement, on a connection that works.
    #[error("{reason}")]
    Refused { kind: Refusal, reason: String },
    /// The schema is missing or of another version. The text is a sentence that says what to do.
    #[error("{0}")]
    Schema(String),
}

impl DriverError {
    /// Returns true if the server answered that it accepts no new connection.
    pub(crate) fn is_refused_connection(&self) -> bool {
        matches!(self, DriverError::Full(_) | DriverError::Denied(_))
    }
}

/// Kinds of refusals that callers can react to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A row with this key exists already.
    Duplicate,
    /// A row that this one references is missing, or another row still references this one.
    Reference,
    /// A parameter has a character that the database's character set lacks, so that no row can hold it.
    #[cfg_attr(not(any(feature = "mysql", feature = "postgres")), expect(dead_code))]
    Unstorable,
    /// There is no table of this name.
    NoTable,
    /// The user lacks the privilege.
    Forbidden,
    /// A domain of another kind exists; the reason says which kind.
    Unfit,
    /// The transaction was rolled back because of a conflict with another one. Retrying may succeed at once.
    Conflict,
    /// The server no longer has the prepared statement, or its tables have changed.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code))]
    Stale,
    Other,
}

/// A connection to a database. After an error that leaves its state unknown, [`Connection::is_broken`] is true for
/// good.
pub(crate) trait Connection: Send {
    /// Runs a statement and calls `each` with each row of its result. A parameter that no row can hold matches no row.
    fn query(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row),
    ) -> Result<(), DriverError>;

    /// Runs a statement without a result; returns the number of rows that it matched.
    fn execute(&mut self, statement: &Statement, params: &[Param<'_>]) -> Result<u64, DriverError>;

    /// Runs statements of this program, separated by semicolons, that have neither parameters nor results.
    fn batch(&mut self, sql: &str) -> Result<(), DriverError>;

    /// Checks that the server still answers.
    fn ping(&mut self) -> Result<(), DriverError>;

    /// Asks the host for its current role. Fails if the host accepted the connection but cannot be used for anything.
    fn standing(&mut self) -> Result<Standing, DriverError>;

    /// Waits until the host has every change that any node confirmed before; fails with [`DriverError::Behind`] if that
    /// takes too long. Only multi-primary clusters have something to wait for.
    fn catch_up(&mut self) -> Result<(), DriverError> {
        Ok(())
    }

    /// Returns true if this connection must not be used again.
    fn is_broken(&self) -> bool;

    /// Returns the server's product name and version, and the TLS protocol and cipher if the connection is encrypted.
    fn server(&mut self) -> Result<(String, Option<String>), DriverError>;

    /// Returns how the server proved its identity; `None` if it did not, or if the database is a file.
    fn known_by(&self) -> Option<String> {
        None
    }

    /// Returns the character set of the database, as far as it limits what these tables can hold.
    fn character_set(&mut self, tables: &[String]) -> Result<CharacterSet, DriverError> {
        let _ = tables;
        Ok(CharacterSet::default())
    }

    /// Compares the privileges of the user with `needs`: those that are too wide, and those that are missing.
    fn rights(&mut self, needs: &Needs) -> Result<Rights, DriverError>;

    /// Returns those of the `wanted` privileges, each on a whole table, that the user lacks, as `SELECT on accounts`.
    /// In a database without users none is missing.
    fn lacks(&mut self, _wanted: &[(&str, &str)]) -> Result<Vec<String>, DriverError> {
        Ok(Vec::new())
    }
}

/// The role of a host, as the host itself reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The host can be read and written.
    Primary,
    /// The host can only be read.
    Replica,
}

/// The privileges that a daemon needs.
#[derive(Debug)]
#[cfg_attr(not(feature = "postgres"), allow(dead_code))]
pub(crate) struct Needs {
    /// All tables of this program.
    pub(crate) tables: Vec<String>,
    /// Tables that are read.
    pub(crate) reads: Vec<String>,
    /// Name of the table of accounts.
    pub(crate) accounts: String,
    /// Columns of the table of accounts that are updated when a password changes.
    pub(crate) updates: Vec<String>,
    /// Tables that record the usage of mailboxes and of domains. A user with any privilege on one of them delivers
    /// mail, and needs to read all of them and to insert into them.
    pub(crate) delivery: Vec<Delivery>,
}

/// A table that deliveries change.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// Name of the table.
    pub(crate) table: String,
    /// Columns that deliveries update.
    pub(crate) updates: Vec<String>,
}

impl Needs {
    /// Privileges on whole tables that a user needs in addition to deliver mail.
    pub(crate) const DELIVERY: [&'static str; 2] = ["SELECT", "INSERT"];

    /// Returns true if a daemon may hold `right` on `table` (for `columns`, or for the whole table if empty).
    pub(crate) fn justify(&self, right: &str, columns: &[String], table: &str) -> bool {
        let only = |wanted: &[String]| !columns.is_empty() && columns.iter().all(|column| wanted.contains(column));
        match right {
            "SELECT" if self.reads.iter().any(|read| read == table) => true,
            "UPDATE" if table == self.accounts => only(&self.updates),
            right => match self.delivery(table) {
                Some(_) if Self::DELIVERY.contains(&right) => true,
                Some(delivery) if right == "UPDATE" => only(&delivery.updates),
                _ => false,
            },
        }
    }

    /// Returns what deliveries change in this table; `None` if they do not change it.
    pub(crate) fn delivery(&self, table: &str) -> Option<&Delivery> {
        self.delivery.iter().find(|delivery| delivery.table == table)
    }
}

impl Delivery {
    /// Returns the text about a missing privilege on this table.
    pub(crate) fn lacking(&self, right: &str) -> String {
        format!("{right} on {} (domain quotas cannot be enforced)", self.table)
    }
}

/// The result of comparing a user's privileges with those needed, each written as `SELECT on accounts`.
#[derive(Debug, Default)]
pub(crate) struct Rights {
    /// Name of the user, as the server writes it.
    pub(crate) user: String,
    /// Why the user is an administrator; `None` for any other user. The privileges of an administrator are left alone,
    /// and the statements create a separate user for the daemon instead.
    pub(crate) administrator: Option<String>,
    /// Privileges that are not needed, one text for each object: `INSERT, DELETE on accounts`.
    pub(crate) too_wide: Vec<String>,
    /// Privileges that are needed and missing.
    pub(crate) missing: Vec<String>,
    /// The statements that correct this, without semicolons, to be run in this order by an administrator.
    pub(crate) cure: Vec<String>,
}

/// Makes connections to one database host.
pub(crate) trait Driver: Send + Sync {
    /// Returns the name of the host or database for messages, without its password.
    fn place(&self) -> &str;

    /// Returns the name of the server under which connection attempts of all pools of this process are limited
    /// together; `None` if each pool limits its own.
    fn server_name(&self) -> Option<&str> {
        None
    }

    /// Returns the SQL dialect of the database.
    fn dialect(&self) -> &'static Dialect;

    /// Connects within the deadline.
    fn connect(&self) -> Result<Box<dyn Connection>, DriverError>;

    /// Creates the database that [`Driver::connect`] opens, if it is a file.
    fn create(&self) -> Result<(), DriverError> {
        Ok(())
    }
}

/// The differences between the SQL of the databases.
pub(crate) struct Dialect {
    /// True if placeholders are `$1`, `$2`... instead of `?`.
    pub(crate) numbered: bool,
    /// Statement that begins a transaction that will write.
    pub(crate) begin: &'static str,
    /// Expression for the current time in UTC, of the type of the time columns.
    pub(crate) now: &'static str,
    /// Expression that formats the time `{}` as text such as `2026-11-23 20:00:00`.
    pub(crate) time_text: &'static str,
    /// Expression that turns such a text `{}` into a time, for comparison with a time column.
    pub(crate) time_value: &'static str,
    /// True if a comparison of row values, `(a, b) > (1, 2)`, uses an index that begins with these columns.
    pub(crate) row_values: bool,
    /// Suffix of a table name that forces the index `{}`, where the database would often choose a worse plan.
    pub(crate) by_index: &'static str,
    /// Condition that compares the expression `{}` with a parameter byte by byte, whatever the collation.
    pub(crate) same_bytes: &'static str,
    /// Expression that reads the text column `{}` if it has at most `{most}` bytes, and otherwise gives some value of
    /// at least `{more}` bytes, so that a text that is too long is not read whole.
    pub(crate) bounded: &'static str,
    /// Clause of an `INSERT` that updates the existing row with the same key `{}` instead.
    pub(crate) or_update: &'static str,
    /// Expression in that clause for the sum of the existing row's column `{old}` and the new row's `{column}`, at most
    /// 2^63 - 1.
    pub(crate) added: &'static str,
    /// Statement that counts the tables with the name given as a parameter in our schema.
    pub(crate) table_exists: &'static str,
    /// Statement that waits for the lock under which the schema is changed; empty if `begin` takes it.
    pub(crate) lock: &'static str,
    /// Statement that releases that lock; empty if the end of the transaction does.
    pub(crate) unlock: &'static str,
    /// Statements that create the whole schema in a new database.
    pub(crate) schema: &'static str,
    /// Statements that migrate the schema; those from version n to n + 1 are at index n - 1.
    pub(crate) migrations: &'static [&'static str],
}

impl Dialect {
    /// Returns the expression that reads the text `column` if it has at most `most` bytes.
    pub(crate) fn bounded(&self, column: &str, most: usize) -> String {
        let (more, most) = ((most + 1).to_string(), most.to_string());
        self.bounded.replace("{most}", &most).replace("{more}", &more).replace("{}", column)
    }

    /// Returns the condition that `columns`, in their order, come after the values of parameters. Each parameter but
    /// the last is given twice.
    ///
    /// Pages are read with it, so it must be written so that the database seeks in the index that begins with these
    /// columns. PostgreSQL does not do so for a condition with `OR`, and MariaDB does so for no other form.
    pub(crate) fn after(&self, columns: &[&str]) -> String {
        self.beyond(columns, "{}")
    }

    /// Returns the same condition for a first column that is a time, given as text.
    pub(crate) fn since(&self, columns: &[&str]) -> String {
        self.beyond(columns, self.time_value)
    }

    /// Returns the condition that a row belongs to the domain given by two parameters, and that `columns` come after
    /// the values of the next ones, as in [`Dialect::after`]. Ordered by the domain and the columns, this reads a page
    /// of that domain.
    ///
    /// A comparison for equality would let a database scan all domains in the order of the columns and filter, which is
    /// a good plan only if rows of this domain are everywhere.
    pub(crate) fn within(&self, domain: &str, columns: &[&str]) -> String {
        match self.row_values {
            true => {
                let all: Vec<_> = [domain].iter().chain(columns).copied().collect();
                let after = self.beyond(&all, "{}").replacen("COALESCE(?, ?)", "?", 1);
                format!("{domain} <= ? AND {after}")
            }
            false => format!("{domain} >= ? AND {domain} <= ? AND ({})", self.after(columns)),
        }
    }

    fn beyond(&self, columns: &[&str], first: &str) -> String {
        let last = columns.len().saturating_sub(1);
        let value = |index: usize, given: &str| match index {
            0 => first.replace("{}", given),
            _ => given.to_owned(),
        };
        if self.row_values {
            let given = |index| value(index, if index == last { "?" } else { "COALESCE(?, ?)" });
            let values: Vec<_> = (0..columns.len()).map(given).collect();
            return format!("({}) > ({})", columns.join(", "), values.join(", "));
        }
        let mut condition = String::new();
        for (index, column) in columns.iter().enumerate().rev() {
            let value = value(index, "?");
            condition = match condition.as_str() {
                "" => format!("{column} > {value}"),
                rest => format!("{column} > {value} OR ({column} = {value} AND ({rest}))"),
            };
        }
        condition
    }

    /// Returns `sql` with its question marks replaced by the placeholders of this database.
    pub(crate) fn placeholders(&self, sql: &str) -> String {
        if !self.numbered {
            return sql.to_owned();
        }
        let mut out = String::with_capacity(sql.len() + 16);
        for (number, part) in sql.split('?').enumerate() {
            if number > 0 {
                out.push('$');
                out.push_str(&number.to_string());
            }
            out.push_str(part);
        }
        out
    }
}
