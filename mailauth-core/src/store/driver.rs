//! What a database driver must be able to do, and what differs in its SQL.
//!
//! Adding a database is one file that implements [`Driver`] and [`Connection`], and one line in [`super::open`].

use super::administration::CharacterSet;
use std::time::Duration;

/// A value on its way into a statement. Text is bytes: the database checks its encoding.
#[derive(Clone, Copy)]
pub(crate) enum Param<'a> {
    Null,
    Int(i64),
    Text(&'a [u8]),
}

impl<'a> Param<'a> {
    /// Text, or NULL for none.
    pub(crate) fn text(value: Option<&'a str>) -> Self {
        value.map_or(Param::Null, |text| Param::Text(text.as_bytes()))
    }
}

/// A value that came out of the database.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Int(i64),
    Text(&'a [u8]),
    /// A type that no field can have: a fraction, a date, an integer beyond 64 bits.
    Other,
}

/// A row of an answer.
pub(crate) trait Row {
    /// The value at `index`, counted from 0; `Other` beyond the last.
    fn cell(&self, index: usize) -> Cell<'_>;
}

/// A statement that a connection prepares once and keeps.
#[derive(Debug)]
pub(crate) struct Statement {
    /// Which of its connection's kept statements it is; `None` is prepared for one use.
    pub(crate) slot: Option<usize>,
    /// Its text, in the placeholders of its database.
    pub(crate) sql: String,
}

/// Why a driver could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DriverError {
    /// There is no connection, or it broke. Whether a statement under way was done is unknown.
    #[error("{0}")]
    Lost(String),
    /// The server is there, and takes no further connection for now; those that exist may go on.
    #[error("{0}")]
    Full(String),
    /// The server is there, and refuses a connection of ours: the user, the password, the database, or this host.
    #[error("{0}")]
    Denied(String),
    /// The deadline passed.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The server gave a statement up before our deadline, on a connection that works. A sentence with the setting that
    /// made it do so.
    #[error("{0}")]
    Cancelled(String),
    /// The host did not have in time what others of its cluster have. That is not its fault, and says nothing of what else
    /// it is asked.
    #[error("it has not caught up with its cluster within {} ms", .0.as_millis())]
    Behind(Duration),
    /// The database refused a statement, on a connection that works.
    #[error("{reason}")]
    Refused { kind: Refusal, reason: String },
    /// There is no schema, or one of another version. A sentence with the cure.
    #[error("{0}")]
    Schema(String),
}

impl DriverError {
    /// Returns true if the server answered that it gives no new connection.
    pub(crate) fn is_refused_connection(&self) -> bool {
        matches!(self, DriverError::Full(_) | DriverError::Denied(_))
    }
}

/// The refusals that somebody can answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A row with this key is there.
    Duplicate,
    /// A row that this one refers to is missing, or one that refers to this one is there.
    Reference,
    /// A text that was given has a character that the database's character set lacks, so that no row can hold it.
    #[cfg_attr(not(any(feature = "mysql", feature = "postgres")), expect(dead_code))]
    Unstorable,
    /// There is no table of this name.
    NoTable,
    /// The user has no right to it.
    Forbidden,
    /// A domain of another kind is there: the reason says which.
    Unfit,
    /// Another transaction was in the way, and this one was undone. The same may go well at once.
    Conflict,
    /// The server has forgotten the prepared statement, or its tables have changed.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code))]
    Stale,
    Other,
}

/// One conversation with a database. After an error that leaves its state unknown it says it is broken, for good.
pub(crate) trait Connection: Send {
    /// Runs a statement and gives each row of its answer to `each`. A text that no row can hold is in none.
    fn query(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row),
    ) -> Result<(), DriverError>;

    /// Runs a statement without an answer; returns how many rows it matched.
    fn execute(&mut self, statement: &Statement, params: &[Param<'_>]) -> Result<u64, DriverError>;

    /// Runs statements of ours, separated by semicolons, that have neither parameters nor answers.
    fn batch(&mut self, sql: &str) -> Result<(), DriverError>;

    /// Asks for a sign of life.
    fn ping(&mut self) -> Result<(), DriverError>;

    /// What its host can be used for now. An error where it is for nothing, though it took the connection.
    fn standing(&mut self) -> Result<Standing, DriverError>;

    /// Waits until the host has every change that was confirmed anywhere before; [`DriverError::Behind`] when that takes
    /// too long. Only clusters whose nodes all take changes have something to wait for.
    fn catch_up(&mut self) -> Result<(), DriverError> {
        Ok(())
    }

    /// Must this connection not be used again?
    fn is_broken(&self) -> bool;

    /// The server's name and version, and the protocol and cipher if the connection is encrypted.
    fn server(&mut self) -> Result<(String, Option<String>), DriverError>;

    /// How the server has shown that it is the right one; `None` where it has not, or is no server.
    fn known_by(&self) -> Option<String> {
        None
    }

    /// The character set of the database, as far as it bounds what these tables can hold.
    fn character_set(&mut self, tables: &[String]) -> Result<CharacterSet, DriverError> {
        let _ = tables;
        Ok(CharacterSet::default())
    }

    /// The rights we have here that `needs` does not justify, and those we lack.
    fn rights(&mut self, needs: &Needs) -> Result<Rights, DriverError>;

    /// Those of these rights that we lack, each a right and a whole table, as `SELECT on accounts`. Databases without
    /// users lack none.
    fn lacks(&mut self, _wanted: &[(&str, &str)]) -> Result<Vec<String>, DriverError> {
        Ok(Vec::new())
    }
}

/// What a host can be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Reading and writing.
    Primary,
    /// Reading.
    Replica,
}

/// What a daemon must be able to do.
#[derive(Debug)]
#[cfg_attr(not(feature = "postgres"), allow(dead_code))]
pub(crate) struct Needs {
    /// All tables.
    pub(crate) tables: Vec<String>,
    /// Those to read.
    pub(crate) reads: Vec<String>,
    /// The table of accounts.
    pub(crate) accounts: String,
    /// Its columns to update when a password changes.
    pub(crate) updates: Vec<String>,
    /// The tables of what mailboxes hold, and what they hold together. Who has any right to one of them delivers mail, and
    /// needs to read all of them and to add to them.
    pub(crate) delivery: Vec<Delivery>,
}

/// A table that deliveries change.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// Its name.
    pub(crate) table: String,
    /// Its columns to update.
    pub(crate) updates: Vec<String>,
}

impl Needs {
    /// The rights to whole tables that who delivers mail needs beside the others.
    pub(crate) const DELIVERY: [&'static str; 2] = ["SELECT", "INSERT"];

    /// Is this right to one of our tables, for these columns or without any for all, one that a daemon may have?
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

    /// Returns what deliveries change of this table, if they do.
    pub(crate) fn delivery(&self, table: &str) -> Option<&Delivery> {
        self.delivery.iter().find(|delivery| delivery.table == table)
    }
}

impl Delivery {
    /// Returns the sentence about a right to this table that is missing.
    pub(crate) fn lacking(&self, right: &str) -> String {
        format!("{right} on {} (quotas of domains cannot be kept)", self.table)
    }
}

/// Rights, each as an administrator would name it: `SELECT on accounts`.
#[derive(Debug, Default)]
pub(crate) struct Rights {
    /// The user, as the server names it.
    pub(crate) user: String,
    /// Why the user is an administrator, whose rights are nobody's to mend; none for any other user. Then the cure makes a
    /// user of the daemon's own.
    pub(crate) administrator: Option<String>,
    /// One for each object: `INSERT, DELETE on accounts`.
    pub(crate) too_wide: Vec<String>,
    pub(crate) missing: Vec<String>,
    /// The statements that mend it, without semicolons, to be run in this order by an administrator.
    pub(crate) cure: Vec<String>,
}

/// How connections to one database are made.
pub(crate) trait Driver: Send + Sync {
    /// Which database, for people; without its password.
    fn place(&self) -> &str;

    /// Names the server, where attempts to connect to it are limited together with those of other pools of this process.
    fn server_name(&self) -> Option<&str> {
        None
    }

    /// How its SQL differs.
    fn dialect(&self) -> &'static Dialect;

    /// Connects within the deadline.
    fn connect(&self) -> Result<Box<dyn Connection>, DriverError>;

    /// Makes the place that [`Driver::connect`] then finds, if it is ours to make.
    fn create(&self) -> Result<(), DriverError> {
        Ok(())
    }
}

/// What differs in the SQL of the databases.
pub(crate) struct Dialect {
    /// Placeholders are `$1`, `$2`... and not `?`.
    pub(crate) numbered: bool,
    /// Begins a transaction that will write.
    pub(crate) begin: &'static str,
    /// The time in UTC, as the columns of times hold it.
    pub(crate) now: &'static str,
    /// An expression of a time, as the text `2026-11-23 20:00:00`; `{}` stands for the expression.
    pub(crate) time_text: &'static str,
    /// A time that is given as such a text, to be compared with the column of one; `{}` stands for the text.
    pub(crate) time_value: &'static str,
    /// Several columns are compared as one value, `(a, b) > (1, 2)`, by an index that begins with them.
    pub(crate) row_values: bool,
    /// What follows a table to have it read by the index `{}`, where the database would often take a worse way.
    pub(crate) by_index: &'static str,
    /// A comparison of bytes, whatever the collation, of the expression `{}` with a parameter.
    pub(crate) same_bytes: &'static str,
    /// A text that is not read whole where it is longer than it may be: the column `{}` in up to `{most}` bytes, and otherwise
    /// something of at least `{more}` bytes in its place.
    pub(crate) bounded: &'static str,
    /// What follows an `INSERT` of a row to change the one that is there, where its key `{}` is.
    pub(crate) or_update: &'static str,
    /// There, the sum of the column `{old}` of that row and the same column `{column}` of the new one, at most 2^63 - 1.
    pub(crate) added: &'static str,
    /// Counts the tables of a name (a parameter) in our schema.
    pub(crate) table_exists: &'static str,
    /// Waits for and takes the lock under which the schema is changed; empty where `begin` does that.
    pub(crate) lock: &'static str,
    /// Gives that lock back; empty where the end of the transaction does.
    pub(crate) unlock: &'static str,
    /// The whole schema, for a new database.
    pub(crate) schema: &'static str,
    /// What brings version n of the schema to n + 1 stands at n - 1.
    pub(crate) migrations: &'static [&'static str],
}

impl Dialect {
    /// Reads a text in up to so many bytes.
    pub(crate) fn bounded(&self, column: &str, most: usize) -> String {
        let (more, most) = ((most + 1).to_string(), most.to_string());
        self.bounded.replace("{most}", &most).replace("{more}", &more).replace("{}", column)
    }

    /// The condition that `columns`, in their order, come after the values of parameters. Each parameter but the last is
    /// given twice.
    ///
    /// Pages are read by it, and it must be written so that the index that begins with these columns is entered at the
    /// right place. PostgreSQL does not see that place in a condition with `OR`, and MariaDB sees it nowhere else.
    pub(crate) fn after(&self, columns: &[&str]) -> String {
        self.beyond(columns, "{}")
    }

    /// The same where the first column is a time, given as a text.
    pub(crate) fn since(&self, columns: &[&str]) -> String {
        self.beyond(columns, self.time_value)
    }

    /// The condition that a row is of the domain given by two parameters, and that `columns` come after the values of the
    /// next ones, as [`Dialect::after`]. Ordered by the domain and the columns, it is a page of that domain.
    ///
    /// To ask for an equal domain would let a database read all of them in the order of the columns and leave out the
    /// others, which is a good plan only where rows of this one are everywhere.
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

    /// `sql` with its question marks as this database writes parameters.
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
