//! The driver for PostgreSQL, built on `tokio-postgres` with its own socket: that crate's blocking wrapper waits
//! forever for a server that hangs.

mod server_proof;
mod socket;

use crate::Secret;
use crate::config::{DatabaseConfig, Secrecy, Server};
use crate::printable::brief;
use crate::store::OpenError;
use crate::store::administration::CharacterSet;
use crate::store::driver::connect::advice::Subject;
use crate::store::driver::connect::dial;
use crate::store::driver::connect::endpoint::{Address, Endpoint};
use crate::store::driver::connect::loopback::Ends;
use crate::store::driver::connect::server_user::{POSTGRES, ServerUser};
use crate::store::driver::rights::plan::{self as cure, Revoke};
use crate::store::driver::rights::postgres::{ADMINISTERS, HELD, Privileges, QUOTED};
use crate::store::driver::tls;
use crate::store::driver::{
    Cell, Connection, Delivery, Dialect, Driver, DriverError, Needs, Param, Refusal, Rights, Row, Standing, Statement,
};
use bytes::BytesMut;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use server_proof::{Demand, Unproven, Watched, WatchedTls};
use socket::{Driven, Socket};
use std::borrow::Cow;
use std::error::Error;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::error::DbError;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

pub(in crate::store) static DIALECT: Dialect = Dialect {
    numbered: true,
    // Each statement sees what was committed before it, whatever the default isolation level of the server or the user.
    begin: "BEGIN ISOLATION LEVEL READ COMMITTED",
    now: "(now() AT TIME ZONE 'UTC')",
    time_text: "to_char({}, 'YYYY-MM-DD HH24:MI:SS')",
    time_value: "CAST(({})::text AS TIMESTAMP)",
    row_values: true,
    by_index: "",
    same_bytes: "({})::text COLLATE \"C\" = ?",
    // This works for a column of bytes too.
    bounded: "SUBSTRING({}, 1, {more})",
    or_update: "ON CONFLICT ({}) DO UPDATE SET",
    added: "CAST(LEAST(CAST({old} AS NUMERIC) + excluded.{column}, 9223372036854775807) AS BIGINT)",
    table_exists: "SELECT CASE WHEN to_regclass(?::text) IS NULL THEN 0 ELSE 1 END",
    // An arbitrary number that no other program is likely to use: the letters "mailauth".
    lock: "SELECT pg_advisory_lock(7881692223226315880)",
    unlock: "SELECT pg_advisory_unlock(7881692223226315880)",
    schema: include_str!("../../../../../schema/postgres.sql"),
    migrations: &[
        include_str!("../../../../../schema/postgres.2.sql"),
        include_str!("../../../../../schema/postgres.3.sql"),
        include_str!("../../../../../schema/postgres.4.sql"),
    ],
};

/// Parameter that the server reports at a connect: its encoding.
const ENCODING: &str = "server_encoding";

/// Encoding of a database that does not interpret its bytes.
const SQL_ASCII: &str = "SQL_ASCII";

/// Turns off conversion for such a database. Otherwise a row with bytes that are not UTF-8 would make every result that
/// contains it fail; so only the row itself is unusable.
const AS_IT_IS: &str = "SET client_encoding TO 'SQL_ASCII'";

/// Maximum number of characters that are kept of a server's message.
const MAX_SAID: usize = 1000;

/// Port in the socket's name for a server that is given by its socket directory alone.
const PORT: u16 = 5432;

/// A database on a PostgreSQL server.
pub(in crate::store) struct Postgres {
    at: Endpoint,
    /// Port in the name of the unix socket.
    port: u16,
    config: tokio_postgres::Config,
    subject: Subject,
    password: Secret,
    server_user: ServerUser,
    tls: Option<Secrecy>,
    tls_ca: Option<PathBuf>,
    /// TLS configuration; `None` for a connection in clear text.
    tls_config: Option<ClientConfig>,
}

impl Postgres {
    pub(in crate::store) fn new(config: &DatabaseConfig, server: &Server, at: Endpoint) -> Result<Self, OpenError> {
        let tls_config = match at.address.secrecy(config.tls) {
            Secrecy::Disable => None,
            secrecy => tls::client_config(secrecy, config)?,
        };
        let mut settings = tokio_postgres::Config::new();
        settings.user(&server.user).dbname(&server.database).application_name("mailauth");
        Ok(Postgres {
            at,
            port: server.hosts.first().map_or(PORT, |at| at.port),
            config: settings,
            subject: Subject::of(config, server),
            password: config.password.clone(),
            server_user: ServerUser::new(config.server_user.as_deref(), POSTGRES)?,
            tls: config.tls,
            tls_ca: config.tls_ca.clone(),
            tls_config,
        })
    }

    /// Connects within the deadline to the first of the host's addresses that works.
    fn connect_to(&self, at: &Endpoint) -> Result<PostgresConnection, DriverError> {
        let (start, limit) = (Instant::now(), at.deadline);
        match &at.address {
            Address::Socket(folder) => {
                let path = folder.join(format!(".s.PGSQL.{}", self.port));
                let setting = "unix_socket_directories";
                let explain = |error: &io::Error| self.subject.of_socket(error, &path, setting);
                let socket = dial::unix(&path).map_err(|error| unconnected(error, limit, explain))?;
                let user = self.server_user.of_socket(&socket, &path).map_err(DriverError::Lost)?;
                let mut connection = self.handshake(Socket::new(socket), "", start + limit)?;
                connection.known_by = Some(format!("its user, {user}"));
                Ok(connection)
            }
            Address::Tcp(tcp) => dial::first(&dial::resolve(tcp, start, limit)?, start, limit, |address, until| {
                let explain = |error: &io::Error| self.subject.of_address(error, address);
                let raise = |error| unconnected(error, limit, explain);
                let stream = dial::tcp(address, until).map_err(raise)?;
                let ends = Ends::of(&stream).map_err(raise)?;
                let mut connection = self.handshake(Socket::new(stream), &tcp.host, until)?;
                if ends.are_near() && (connection.known_by.is_none() || self.server_user.is_configured()) {
                    let user = self.server_user.of_loopback(&ends).map_err(DriverError::Lost)?;
                    connection.known_by = user.map(|user| format!("its user, {user}")).or(connection.known_by);
                }
                Ok(connection)
            }),
        }
    }

    /// Logs in on a connected socket to the host of this name, by the deadline `until`.
    fn handshake(&self, socket: Socket, host: &str, until: Instant) -> Result<PostgresConnection, DriverError> {
        let secrecy = self.at.address.secrecy(self.tls);
        let demand = self.demand(secrecy);
        let driven = socket.driven();
        let config = self.session_config(secrecy, demand);
        let session = match self.tls_config.as_ref().filter(|_| secrecy != Secrecy::Disable) {
            None => self.log_in(config, socket, &driven, demand, until)?,
            Some(tls) => self.log_in_by_tls(
                config,
                socket,
                &driven,
                WatchedTls { tls: connector(tls, host)?, demand },
                host,
                until,
            )?,
        };
        let mut connection = PostgresConnection {
            client: session.client,
            wire: Some(session.wire),
            driven,
            kept: Vec::new(),
            deadline: self.at.deadline,
            trust: tls::trust(secrecy, host, self.tls_ca.as_deref()),
            known_by: known_by(secrecy, demand),
            encoding: session.encoding,
            broken: false,
        };
        if connection.encoding == SQL_ASCII {
            connection.batch(AS_IT_IS)?;
        }
        Ok(connection)
    }

    /// Returns the client's settings for a login.
    fn session_config(&self, secrecy: Secrecy, demand: Demand) -> tokio_postgres::Config {
        let mut config = self.config.clone();
        if !self.password.is_empty() {
            config.password(self.password.expose());
        }
        if demand != Demand::Nothing && secrecy == Secrecy::Require {
            // Only this detects a man in the middle, who could relay the messages of SCRAM.
            config.channel_binding(ChannelBinding::Require);
        }
        config.ssl_mode(if secrecy == Secrecy::Disable { SslMode::Disable } else { SslMode::Require });
        config
    }

    /// Logs in without TLS.
    fn log_in(
        &self,
        config: tokio_postgres::Config,
        socket: Socket,
        driven: &Driven,
        demand: Demand,
        until: Instant,
    ) -> Result<Session, DriverError> {
        let limit = self.at.deadline;
        let raise = |error: &tokio_postgres::Error| self.advised(error, connect_error(error, limit));
        let connecting = config.connect_raw(Watched::new(socket, demand), NoTls);
        let (client, connection) = drive(driven, until, limit, connecting, raise)?;
        let encoding = connection.parameter(ENCODING).unwrap_or_default().to_owned();
        Ok(Session { client, wire: Box::pin(connection), encoding })
    }

    /// Logs in by TLS to the host of this name.
    fn log_in_by_tls(
        &self,
        config: tokio_postgres::Config,
        socket: Socket,
        driven: &Driven,
        tls: WatchedTls<RustlsConnect>,
        host: &str,
        until: Instant,
    ) -> Result<Session, DriverError> {
        let limit = self.at.deadline;
        let raise = |error: &tokio_postgres::Error| self.advised(error, tls_error(error, host, limit));
        let (client, connection) = drive(driven, until, limit, config.connect_raw(socket, tls), raise)?;
        let encoding = connection.parameter(ENCODING).unwrap_or_default().to_owned();
        Ok(Session { client, wire: Box::pin(connection), encoding })
    }
}

/// Creates the TLS connector for the host of this name.
fn connector(tls: &ClientConfig, host: &str) -> Result<RustlsConnect, DriverError> {
    let unnameable = || DriverError::Lost(tls::unnameable(host));
    if ServerName::try_from(host.to_owned()).is_err() {
        return Err(unnameable());
    }
    MakeTlsConnect::<Socket>::make_tls_connect(&mut MakeRustlsConnect::new(tls.clone()), host).map_err(|_| unnameable())
}

/// The TLS connector of `tokio-postgres-rustls`, which does not export the type itself.
type RustlsConnect = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;

/// The outcome of a login.
struct Session {
    client: Client,
    wire: Wire,
    /// Encoding of the database as the server reports it; empty if it does not.
    encoding: String,
}

/// Returns how a server reached by TCP proved its identity at the login, if it did.
fn known_by(secrecy: Secrecy, demand: Demand) -> Option<String> {
    match (secrecy, demand) {
        (Secrecy::VerifyCa | Secrecy::VerifyFull, _) => Some("its certificate".to_owned()),
        (_, Demand::Scram) => Some("its knowledge of the password (SCRAM)".to_owned()),
        (_, Demand::ScramIfAsked | Demand::Nothing) => None,
    }
}

impl Postgres {
    /// Returns what the server has to prove on a connection of this TLS mode.
    fn demand(&self, secrecy: Secrecy) -> Demand {
        let is_known = match self.at.address {
            // By the user of the process at the other end.
            Address::Socket(_) => true,
            Address::Tcp(_) => matches!(secrecy, Secrecy::VerifyCa | Secrecy::VerifyFull),
        };
        match (self.password.is_empty(), is_known) {
            (true, _) => Demand::Nothing,
            (false, true) => Demand::ScramIfAsked,
            (false, false) => Demand::Scram,
        }
    }

    /// Returns the message about a server that does not prove its identity.
    fn unproven(&self, why: Unproven) -> String {
        let Subject { user, section, .. } = &self.subject;
        let scram = "scram-sha-256";
        match why {
            Unproven::AsksForClear => format!(
                "the server asked for the password in clear text; it was not sent, because the server has not proved \
                 its identity; set the method for {user} in its pg_hba.conf to {scram} instead of password, ldap, pam \
                 or radius"
            ),
            Unproven::AsksForMd5 => format!(
                "the server asked for the password as an MD5 hash; it was not sent, because MD5 proves nothing about \
                 the server; set the password of {user} again on the server (SET password_encryption = '{scram}'; \
                 ALTER ROLE \"{user}\" PASSWORD '...'), and use {scram} in its pg_hba.conf"
            ),
            Unproven::AsksForNone => format!(
                "the server accepts {user} without the password, as an impostor would; set the method for {user} in \
                 its pg_hba.conf to {scram} instead of trust or ident, or connect through its unix socket; without \
                 [{section}] password_file no proof is required"
            ),
            Unproven::FewRounds(rounds) => format!(
                "the server asks for SCRAM with {rounds} iterations; at least 4096 are required, because an impostor \
                 could guess the password otherwise; raise scram_iterations on the server, and set the password of \
                 {user} again"
            ),
            Unproven::LongMessage(length) => {
                format!("the server announced a message of {length} bytes, which is longer than any expected one")
            }
        }
    }

    /// Adds to the error of a failed connection what to do about it.
    fn advised(&self, error: &tokio_postgres::Error, said: DriverError) -> DriverError {
        if let Some(why) = Unproven::within(error) {
            return DriverError::Lost(self.unproven(why));
        }
        let code = error.as_db_error().map(|db| (db.code().code(), db.message()));
        match (said, code) {
            (DriverError::Denied(said), Some((code, message))) => match self.advice(code, message) {
                Some(advice) => DriverError::Denied(format!("{said}; {advice}")),
                None => DriverError::Denied(said),
            },
            (DriverError::Full(said), _) => DriverError::Full(format!(
                "{said}; raise max_connections or the CONNECTION LIMIT on the server, or lower [database] pool"
            )),
            (DriverError::Lost(said), None) if said.contains("password missing") => {
                DriverError::Denied(format!("the server asks for a password: {}", self.subject.correct_password()))
            }
            // The crate has no error kinds for these.
            (DriverError::Lost(said), None) if said.contains("SCRAM verification error") => DriverError::Lost(
                "the server accepted the password without proving that it knows it: it, or something between it and \
                 this machine, is an impostor"
                    .to_owned(),
            ),
            (DriverError::Lost(said), None) if said.contains("did not use channel binding") => {
                DriverError::Lost(format!(
                    "the server's certificate is not verified, and the server does not bind the login to it by SCRAM \
                     channel binding, which PgBouncer and other poolers do not support, nor do certificates with an \
                     Ed25519 key; set [{}] tls = \"verify-full\", and tls_ca if the certificate was issued by your own \
                     CA",
                    self.subject.section
                ))
            }
            (DriverError::Lost(said), None) if said.contains("unexpected message") || said.contains("closed") => {
                DriverError::Lost(format!("{said}; check that it is a PostgreSQL server, and look in its log"))
            }
            (said, _) => said,
        }
    }

    /// Returns what to do about a rejected connection, by the server's error code and message.
    fn advice(&self, code: &str, message: &str) -> Option<String> {
        let Subject { user, database, section, .. } = &self.subject;
        let or_url = self.subject.correct_url();
        Some(match code {
            "28P01" => self.subject.correct_password(),
            "28000" if message.contains("pg_hba.conf") => {
                let line =
                    format!("add a line for {user} to the server's pg_hba.conf (method scram-sha-256), and reload it");
                match self.at.address {
                    // The server says so by "no encryption" in its message from PostgreSQL 14 on, and "SSL off" before.
                    Address::Tcp(_) if self.tls_config.is_none() => format!(
                        "if it has a hostssl line for {user}, set [{section}] tls = \"verify-full\" and tls_ca, \
                         because servers on this machine are reached without TLS by default; otherwise {line}"
                    ),
                    _ => line,
                }
            }
            "28000" if message.contains("authentication failed") => format!(
                "pg_hba.conf accepts {user} only from the system user of the same name: set the method to \
                 scram-sha-256, or run this as that user"
            ),
            "28000" if message.contains("not permitted to log in") => {
                format!("run ALTER ROLE \"{user}\" LOGIN on the server, {or_url}")
            }
            "28000" => format!("create the user on the server (CREATE ROLE ... LOGIN), {or_url}"),
            "3D000" => format!("create it (CREATE DATABASE \"{database}\"), {or_url}"),
            "42501" => format!("run GRANT CONNECT ON DATABASE \"{database}\" TO \"{user}\" on the server, {or_url}"),
            "55000" => format!("run ALTER DATABASE \"{database}\" ALLOW_CONNECTIONS true on the server, {or_url}"),
            _ => return None,
        })
    }
}

/// Converts the error of a socket that could not be connected.
fn unconnected(error: io::Error, limit: Duration, explain: impl FnOnce(&io::Error) -> String) -> DriverError {
    match io_error(&error, limit) {
        DriverError::Lost(_) => DriverError::Lost(explain(&error)),
        other => other,
    }
}

impl Driver for Postgres {
    fn place(&self) -> &str {
        &self.at.place
    }

    fn server_name(&self) -> Option<&str> {
        Some(&self.at.place)
    }

    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn connect(&self) -> Result<Box<dyn Connection>, DriverError> {
        Ok(Box::new(self.connect_to(&self.at)?))
    }
}

/// Runs one future to completion on the socket that it uses.
fn drive<T>(
    driven: &Driven,
    until: Instant,
    limit: Duration,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    raise: impl FnOnce(&tokio_postgres::Error) -> DriverError,
) -> Result<T, DriverError> {
    let mut work = pin!(work);
    match driven.drive(until, |context| work.as_mut().poll(context)) {
        Ok(Some(outcome)) => outcome.map_err(|error| raise(&error)),
        Ok(None) => Err(DriverError::Timeout(limit)),
        Err(error) => Err(io_error(&error, limit)),
    }
}

/// The half of the client that sends and receives. It ends when the connection does, and must be dropped then, because
/// only this tells pending requests that no answer will come.
type Wire = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

struct PostgresConnection {
    client: Client,
    /// `None` once the connection has ended.
    wire: Option<Wire>,
    driven: Driven,
    /// Prepared statements, indexed by slot.
    kept: Vec<Option<tokio_postgres::Statement>>,
    deadline: Duration,
    /// How the server's certificate was verified, for reports.
    trust: String,
    /// How the server proved its identity, if it did.
    known_by: Option<String>,
    /// Encoding of the database as the server names it; empty if it was not reported.
    encoding: String,
    broken: bool,
}

/// Result of comparing the privileges on whole tables with those that are needed.
#[derive(Default)]
struct TableRights<'n> {
    missing: Vec<String>,
    /// Pairs of a privilege and the table that it is on.
    too_wide: Vec<(String, String)>,
    /// Tables that deliveries change, each with a privilege that these need and whether the user has it.
    delivery: Vec<(&'n Delivery, &'static str, bool)>,
}

/// Result of comparing the columns that a user may update with those that it needs to.
struct Updates {
    /// True if the user may update some column.
    any: bool,
    /// Columns that the user needs to update and may not.
    missing: Vec<String>,
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
        let outcome = match self.driven.drive(Instant::now() + self.deadline, poll) {
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
    fn texts(&mut self, sql: &str, params: &[&str]) -> Result<Vec<String>, DriverError> {
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

    /// Compares the user's privileges on whole tables with those needed.
    fn compare_tables<'n>(&mut self, needs: &'n Needs) -> Result<TableRights<'n>, DriverError> {
        let mut rights = TableRights::default();
        for table in &needs.tables {
            for right in ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"] {
                let needed = right == "SELECT" && needs.reads.contains(table);
                let has = self.is("SELECT has_table_privilege($1::text, $2::text)", &[table, right])?;
                if let Some(delivery) = needs.delivery(table).filter(|_| Needs::DELIVERY.contains(&right)) {
                    rights.delivery.push((delivery, right, has));
                    continue;
                }
                match (has, needed) {
                    (true, false) => rights.too_wide.push((right.to_owned(), table.clone())),
                    (false, true) => rights.missing.push(format!("{right} on {table}")),
                    _ => {}
                }
            }
        }
        Ok(rights)
    }

    /// Returns the attributes of the user that go beyond any table.
    fn wide_attributes(&mut self) -> Result<Vec<&'static str>, DriverError> {
        let mut attributes = Vec::new();
        for (attribute, name) in [
            ("rolsuper", "SUPERUSER"),
            ("rolcreaterole", "CREATEROLE"),
            ("rolcreatedb", "CREATEDB"),
            ("rolreplication", "REPLICATION"),
            ("rolbypassrls", "BYPASSRLS"),
        ] {
            if self.is(&format!("SELECT {attribute} FROM pg_roles WHERE rolname = current_user"), &[])? {
                attributes.push(name);
            }
        }
        Ok(attributes)
    }

    /// Compares the columns of a table that the user may update with `wanted`, and adds further ones to `too_wide`.
    fn compare_updates(
        &mut self,
        table: &str,
        wanted: &[String],
        too_wide: &mut Vec<(String, String)>,
    ) -> Result<Updates, DriverError> {
        let columns = self.texts(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1::text) AND attnum > 0
             AND NOT attisdropped AND has_column_privilege(attrelid, attnum, 'UPDATE')",
            &[table],
        )?;
        let wide: Vec<_> = columns.iter().filter(|c| !wanted.contains(c)).map(String::as_str).collect();
        if !wide.is_empty() && !too_wide.contains(&("UPDATE".to_owned(), table.to_owned())) {
            too_wide.push((format!("UPDATE ({})", wide.join(", ")), table.to_owned()));
        }
        let missing = wanted.iter().filter(|c| !columns.contains(c)).cloned().collect();
        Ok(Updates { any: !columns.is_empty(), missing })
    }

    /// Reads the user's privileges on all tables, and the roles that give them.
    fn privileges(&mut self, needs: &Needs, attributes: Vec<&'static str>) -> Result<Privileges, DriverError> {
        let user = self.texts(QUOTED, &[""])?.concat();
        let mut privileges = Privileges { user, attributes, ..Privileges::default() };
        let statement = Statement { slot: None, sql: HELD.to_owned() };
        for table in &needs.tables {
            let quoted = self.texts(QUOTED, &[table])?.concat();
            privileges.tables.push((table.clone(), quoted));
            self.query(&statement, &[Param::Text(table.as_bytes())], &mut |row| {
                let text = |index| match row.cell(index) {
                    Cell::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
                    _ => None,
                };
                let (right, end) = (text(0).unwrap_or_default(), text(3).unwrap_or_default());
                let revoke = match text(4) {
                    Some(right) => Revoke::Right { right, from: end },
                    None => Revoke::Whole(end),
                };
                privileges.hold(table, right, text(1), text(2), revoke);
            })?;
        }
        Ok(privileges)
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

    /// Returns true if the statement's first result is true.
    fn is(&mut self, sql: &str, params: &[&str]) -> Result<bool, DriverError> {
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

    fn standing(&mut self) -> Result<Standing, DriverError> {
        let sql = "SELECT CASE WHEN pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on' \
                   THEN 1 ELSE 0 END";
        let mut read_only = false;
        let statement = Statement { slot: None, sql: sql.to_owned() };
        self.query(&statement, &[], &mut |row| read_only = matches!(row.cell(0), Cell::Int(1)))?;
        Ok(if read_only { Standing::Replica } else { Standing::Primary })
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

    fn known_by(&self) -> Option<String> {
        self.known_by.clone()
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

    fn rights(&mut self, needs: &Needs) -> Result<Rights, DriverError> {
        let user = self.texts("SELECT current_user::text", &[])?.concat();
        let TableRights { mut missing, mut too_wide, delivery } = self.compare_tables(needs)?;
        let updates = self.compare_updates(&needs.accounts, &needs.updates, &mut too_wide)?;
        if !updates.missing.is_empty() {
            let (columns, table) = (updates.missing.join(", "), &needs.accounts);
            missing.push(format!("UPDATE ({columns}) on {table} (passwords cannot be changed)"));
        }
        let mut delivers = delivery.iter().any(|(_, _, has)| *has);
        let lacking = delivery.iter().filter(|(_, _, has)| !has).map(|(delivery, right, _)| delivery.lacking(right));
        let mut lacking: Vec<String> = lacking.collect();
        for delivery in &needs.delivery {
            let updates = self.compare_updates(&delivery.table, &delivery.updates, &mut too_wide)?;
            delivers |= updates.any;
            if !updates.missing.is_empty() {
                lacking.push(delivery.lacking(&format!("UPDATE ({})", updates.missing.join(", "))));
            }
        }
        if delivers {
            missing.extend(lacking);
        }
        let attributes = self.wide_attributes()?;
        too_wide.extend(attributes.iter().map(|name| ((*name).to_owned(), String::new())));
        let too_wide = cure::by_object(too_wide);
        let administrator = Some(self.texts(ADMINISTERS, &[&needs.accounts])?.concat()).filter(|why| !why.is_empty());
        let cure = match missing.is_empty() && too_wide.is_empty() {
            true => Vec::new(),
            false => match self.privileges(needs, attributes) {
                // A user that may not read the catalog still gets the list of what is missing.
                Err(DriverError::Refused { .. }) => Vec::new(),
                privileges if administrator.is_some() => privileges?.own_user(needs),
                privileges => privileges?.corrections(needs, delivers),
            },
        };
        Ok(Rights { user, administrator, too_wide, missing, cure })
    }

    fn lacks(&mut self, wanted: &[(&str, &str)]) -> Result<Vec<String>, DriverError> {
        let mut lacking = Vec::new();
        for (right, table) in wanted {
            if !self.is("SELECT has_table_privilege($1::text, $2::text)", &[table, right])? {
                lacking.push(((*right).to_owned(), (*table).to_owned()));
            }
        }
        Ok(cure::by_object(lacking))
    }
}

fn references<'a>(params: &'a [Param<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|param| param as &(dyn ToSql + Sync)).collect()
}

impl Row for tokio_postgres::Row {
    fn cell(&self, index: usize) -> Cell<'_> {
        self.try_get(index).unwrap_or(Cell::Other)
    }
}

/// Text is sent as its bytes, whatever type the server expects; numbers in the width of the expected type.
impl ToSql for Param<'_> {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match *self {
            Param::Null => return Ok(IsNull::Yes),
            Param::Text(bytes) => out.extend_from_slice(bytes),
            Param::Int(number) => match *wanted {
                Type::INT2 => out.extend_from_slice(&i16::try_from(number)?.to_be_bytes()),
                Type::INT4 => out.extend_from_slice(&i32::try_from(number)?.to_be_bytes()),
                Type::INT8 => out.extend_from_slice(&number.to_be_bytes()),
                Type::BOOL => out.extend_from_slice(&[u8::from(number != 0)]),
                _ => out.extend_from_slice(number.to_string().as_bytes()),
            },
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl std::fmt::Debug for Param<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The value may be a password.
        f.write_str("Param(..)")
    }
}

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(match (of, raw) {
            (&Type::BOOL, [truth]) => Cell::Int((*truth).into()),
            (&Type::INT2, &[a, b]) => Cell::Int(i16::from_be_bytes([a, b]).into()),
            (&Type::INT4, &[a, b, c, d]) => Cell::Int(i32::from_be_bytes([a, b, c, d]).into()),
            (&Type::INT8, raw) => raw.try_into().map_or(Cell::Other, |raw| Cell::Int(i64::from_be_bytes(raw))),
            (&(Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::BYTEA | Type::UNKNOWN), raw) => {
                Cell::Text(raw)
            }
            (of, raw) => match of.kind() {
                Kind::Domain(inner) => Cell::from_sql(inner, raw)?,
                Kind::Enum(_) => Cell::Text(raw),
                _ if of.name() == "citext" => Cell::Text(raw),
                _ => Cell::Other,
            },
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Cell::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn io_error(error: &io::Error, limit: Duration) -> DriverError {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => DriverError::Timeout(limit),
        _ => DriverError::Lost(error.to_string()),
    }
}

/// Converts the error of a failed TLS connection, and says what to do about it.
fn tls_error(error: &tokio_postgres::Error, host: &str, limit: Duration) -> DriverError {
    match tls::explain(error, host) {
        Some(sentence) => DriverError::Lost(sentence),
        // The crate has no error kind for this.
        None if reason(error).contains("server does not support TLS") => DriverError::Lost(tls::NO_TLS.into()),
        None => connect_error(error, limit),
    }
}

/// Converts the error of a failed connection.
fn connect_error(error: &tokio_postgres::Error, limit: Duration) -> DriverError {
    match error.as_db_error() {
        Some(db) => refused_connection(&brief(db.code().code(), 5), &said(db)),
        None => driver_error(error, limit),
    }
}

/// Converts the server's error at a connect, by its code (PostgreSQL manual, appendix A).
fn refused_connection(code: &str, message: &str) -> DriverError {
    let said = format!("{message} ({code})");
    match code {
        // Shutting down, crashed, starting up.
        "57P01" | "57P02" | "57P03" => DriverError::Lost(message.to_owned()),
        // Too many connections in total, of this role or to this database; or no memory for one more.
        "53300" | "53200" => DriverError::Full(said),
        // PgBouncer uses this code for every error.
        "08P01" if message.contains("no more connections") || message.contains("query_wait_timeout") => {
            DriverError::Full(said)
        }
        code if code.starts_with("08") => DriverError::Lost(message.to_owned()),
        _ => DriverError::Denied(said),
    }
}

/// Converts the client's error.
fn driver_error(error: &tokio_postgres::Error, limit: Duration) -> DriverError {
    if let Some(db) = error.as_db_error() {
        // Never its detail, which shows the row and with it the password.
        return refusal(&brief(db.code().code(), 5), &said(db));
    }
    if let Some(DriverError::Timeout(limit)) =
        error.source().and_then(|source| source.downcast_ref()).map(|source| io_error(source, limit))
    {
        return DriverError::Timeout(limit);
    }
    DriverError::Lost(reason(error))
}

/// Returns the server's message, shortened.
fn said(error: &DbError) -> Cow<'_, str> {
    brief(error.message(), MAX_SAID)
}

/// Returns the client's error message with that of its source. Of a server's error, never the detail.
fn reason(error: &tokio_postgres::Error) -> String {
    let words = error.to_string();
    let under = match error.as_db_error() {
        Some(db) => return said(db).into_owned(),
        None => error.source().map(ToString::to_string).unwrap_or_default(),
    };
    let whole = if words.contains(&under) { words } else { format!("{words}: {under}") };
    // Messages about SCRAM may quote the server's.
    brief(&whole, MAX_SAID).into_owned()
}

/// Adds to a refusal for a missing privilege which one it is, because the server names only the table.
fn with_right(error: DriverError, sql: &str) -> DriverError {
    match error {
        DriverError::Refused { kind: Refusal::Forbidden, reason } => {
            let right = sql.split_whitespace().next().unwrap_or_default();
            DriverError::Refused { kind: Refusal::Forbidden, reason: format!("{right}: {reason}") }
        }
        error => error,
    }
}

/// Returns what to do about a statement that the server aborted.
fn cancelled(code: &str, message: &str) -> &'static str {
    match code {
        "55P03" => "another transaction held a lock for longer than lock_timeout; find it in pg_stat_activity",
        _ if message.contains("statement timeout") => {
            "raise statement_timeout, which is set for the server, the database or this user (ALTER ROLE ... SET \
             statement_timeout), or find out why the server is slow"
        }
        _ if message.contains("lock timeout") => {
            "another transaction held a lock for longer than lock_timeout; find it in pg_stat_activity"
        }
        _ => "an administrator or a program cancelled it",
    }
}

/// Converts the server's error about a statement, by its code (PostgreSQL manual, appendix A).
fn refusal(code: &str, message: &str) -> DriverError {
    let kind = match code {
        // Shutting down, crashed, starting up, and connection errors.
        "57P01" | "57P02" | "57P03" | "57P05" => return DriverError::Lost(message.to_owned()),
        code if code.starts_with("08") => return DriverError::Lost(message.to_owned()),
        // Read only: a standby, or a server that is configured so.
        "25006" => return DriverError::Lost(message.to_owned()),
        "57014" | "55P03" => {
            return DriverError::Cancelled(format!("{message} ({code}); {}", cancelled(code, message)));
        }
        "40001" | "40P01" => Refusal::Conflict,
        "23505" => Refusal::Duplicate,
        "23503" => Refusal::Reference,
        // A character that the other side's encoding lacks, or bytes that are no character. The server's message shows
        // the bytes, which may be those of a password.
        "22P05" | "22021" => {
            let reason = format!("a value has a character that the database's encoding lacks ({code})");
            return DriverError::Refused { kind: Refusal::Unstorable, reason };
        }
        "42P01" => Refusal::NoTable,
        "42501" => Refusal::Forbidden,
        "26000" => Refusal::Stale,
        "0A000" if message.contains("cached plan") => Refusal::Stale,
        _ => Refusal::Other,
    };
    DriverError::Refused { kind, reason: format!("{message} ({code})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connection_is_full_or_denied() {
        for (code, message) in [("53300", "sorry, too many clients already"), ("08P01", "no more connections allowed")]
        {
            assert_eq!(refused_connection(code, message), DriverError::Full(format!("{message} ({code})")));
        }
        for code in ["28P01", "28000", "3D000", "42501", "55000"] {
            assert_eq!(refused_connection(code, "no"), DriverError::Denied(format!("no ({code})")));
        }
        for code in ["57P03", "57P01", "08006"] {
            assert_eq!(refused_connection(code, "no"), DriverError::Lost("no".into()));
        }
    }
}
