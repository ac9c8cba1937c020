//! The driver for PostgreSQL, built on `tokio-postgres` with its own socket: that crate's blocking wrapper waits
//! forever for a server that hangs.

mod advice;
pub(super) mod connection;
mod error;
mod plan;
mod server_proof;
mod socket;
mod values;

use crate::Secret;
use crate::config::{DatabaseConfig, Server, TlsMode};
use crate::store::OpenError;
use crate::store::driver::connect::advice::ConnectTarget;
use crate::store::driver::connect::dial;
use crate::store::driver::connect::endpoint::{Address, Endpoint};
use crate::store::driver::connect::loopback::TcpEnds;
use crate::store::driver::connect::server_user::{POSTGRES, ServerUser};
use crate::store::driver::connect::socket_error::{io_error, unconnected};
use crate::store::driver::{Connection, Dialect, Driver, DriverError, tls};
use connection::{PostgresConnection, Wire};
use error::{connect_error, tls_error};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use server_proof::{Inspected, InspectedTls, RequiredProof};
use socket::{Executor, Socket};
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

pub(in crate::store) static DIALECT: Dialect = Dialect {
    is_remote: true,
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
    select_in_order: "SELECT",
    login_parts: Some(["regexp_replace({}, '@[^@]*$', '')", "substring({} from '[^@]*$')"]),
    as_text: "CAST({} AS TEXT)",
    or_update: "ON CONFLICT ({}) DO UPDATE SET",
    new_value: "excluded.{}",
    added: "CAST(LEAST(CAST({old} AS NUMERIC) + excluded.{column}, 9223372036854775807) AS BIGINT)",
    table_exists: "SELECT CASE WHEN to_regclass(?::text) IS NULL THEN 0 ELSE 1 END",
    // An arbitrary number that no other program is likely to use: the letters "mailauth".
    lock: "SELECT pg_advisory_lock(7881692223226315880)",
    unlock: "SELECT pg_advisory_unlock(7881692223226315880)",
    schema: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/postgres.sql")),
    migrations: &[
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/postgres.2.sql")),
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/postgres.3.sql")),
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/postgres.4.sql")),
    ],
};

/// Parameter that the server reports at a connect: its encoding.
const ENCODING: &str = "server_encoding";

/// Encoding of a database that does not interpret its bytes.
const SQL_ASCII: &str = "SQL_ASCII";

/// Turns off conversion for such a database. Otherwise a row with bytes that are not UTF-8 would make every result that
/// contains it fail; so only the row itself is unusable.
const AS_IT_IS: &str = "SET client_encoding TO 'SQL_ASCII'";

/// Makes the server refuse every change on this connection.
const READ_ONLY: &str = "SET default_transaction_read_only = on";

/// Port in the socket's name for a server that is given by its socket directory alone.
const PORT: u16 = 5432;

/// A database on a PostgreSQL server.
pub(in crate::store) struct Postgres {
    at: Endpoint,
    /// Port in the name of the unix socket.
    port: u16,
    config: tokio_postgres::Config,
    target: ConnectTarget,
    password: Secret,
    server_user: ServerUser,
    tls: Option<TlsMode>,
    tls_ca: Option<PathBuf>,
    /// TLS configuration; `None` for a connection in clear text.
    tls_config: Option<ClientConfig>,
    read_only: bool,
}

impl Postgres {
    pub(in crate::store) fn new(config: &DatabaseConfig, server: &Server, at: Endpoint) -> Result<Self, OpenError> {
        let tls_config = match at.address.tls_mode(config.tls) {
            TlsMode::Disable => None,
            tls_mode => tls::client_config(tls_mode, config)?,
        };
        let mut settings = tokio_postgres::Config::new();
        settings.user(&server.user).dbname(&server.database).application_name("mailauth");
        Ok(Postgres {
            at,
            port: server.hosts.first().map_or(PORT, |at| at.port),
            config: settings,
            target: ConnectTarget::new(config, server),
            password: config.password.clone(),
            server_user: ServerUser::new(config.server_user.as_deref(), POSTGRES)?,
            tls: config.tls,
            tls_ca: config.tls_ca.clone(),
            tls_config,
            read_only: config.tables.are_read_only(),
        })
    }

    /// Connects within the deadline to the first of the host's addresses that works.
    fn connect_to(&self, at: &Endpoint) -> Result<PostgresConnection, DriverError> {
        let (start, limit) = (Instant::now(), at.deadline);
        match &at.address {
            Address::Socket(folder) => {
                let path = folder.join(format!(".s.PGSQL.{}", self.port));
                let setting = "unix_socket_directories";
                let explain = |error: &io::Error| self.target.socket_error(error, &path, setting);
                let socket = dial::unix(&path).map_err(|error| unconnected(error, limit, explain))?;
                let user = self.server_user.check_socket(&socket, &path).map_err(DriverError::Lost)?;
                let mut connection = self.handshake(Socket::new(socket), "", start + limit)?;
                connection.authenticated_by = Some(format!("its user, {user}"));
                Ok(connection)
            }
            Address::Tcp(tcp) => {
                dial::first_that_connects(&dial::resolve(tcp, start, limit)?, start, limit, |address, until| {
                    let explain = |error: &io::Error| self.target.address_error(error, address);
                    let raise = |error| unconnected(error, limit, explain);
                    let stream = dial::tcp(address, until).map_err(raise)?;
                    let ends = TcpEnds::of(&stream).map_err(raise)?;
                    let mut connection = self.handshake(Socket::new(stream), &tcp.host, until)?;
                    if ends.are_local() && (connection.authenticated_by.is_none() || self.server_user.is_configured()) {
                        let user = self.server_user.check_loopback(&ends).map_err(DriverError::Lost)?;
                        connection.authenticated_by =
                            user.map(|user| format!("its user, {user}")).or(connection.authenticated_by);
                    }
                    Ok(connection)
                })
            }
        }
    }

    /// Logs in on a connected socket to the host of this name, by the deadline `until`.
    fn handshake(&self, socket: Socket, host: &str, until: Instant) -> Result<PostgresConnection, DriverError> {
        let tls_mode = self.at.address.tls_mode(self.tls);
        let required = self.required(tls_mode);
        let executor = socket.executor();
        let config = self.session_config(tls_mode, required);
        let session = match self.tls_config.as_ref().filter(|_| tls_mode != TlsMode::Disable) {
            None => self.log_in(config, socket, &executor, required, until)?,
            Some(tls) => self.log_in_by_tls(
                config,
                socket,
                &executor,
                InspectedTls { tls: connector(tls, host)?, required },
                host,
                until,
            )?,
        };
        let mut connection = PostgresConnection {
            client: session.client,
            wire: Some(session.wire),
            executor,
            kept: Vec::new(),
            deadline: self.at.deadline,
            trust: tls::trust(tls_mode, host, self.tls_ca.as_deref()),
            authenticated_by: authenticated_by(tls_mode, required),
            encoding: session.encoding,
            read_only: self.read_only,
            broken: false,
        };
        if connection.encoding == SQL_ASCII {
            connection.batch(AS_IT_IS)?;
        }
        if self.read_only {
            connection.batch(READ_ONLY)?;
        }
        Ok(connection)
    }

    /// Returns the client's settings for a login.
    fn session_config(&self, tls_mode: TlsMode, required: RequiredProof) -> tokio_postgres::Config {
        let mut config = self.config.clone();
        if !self.password.is_empty() {
            config.password(self.password.expose());
        }
        if required != RequiredProof::Nothing && tls_mode == TlsMode::Require {
            // Only this detects an attacker in the middle that relays the messages of SCRAM.
            config.channel_binding(ChannelBinding::Require);
        }
        config.ssl_mode(if tls_mode == TlsMode::Disable { SslMode::Disable } else { SslMode::Require });
        config
    }

    /// Logs in without TLS.
    fn log_in(
        &self,
        config: tokio_postgres::Config,
        socket: Socket,
        executor: &Executor,
        required: RequiredProof,
        until: Instant,
    ) -> Result<Session, DriverError> {
        let limit = self.at.deadline;
        let raise = |error: &tokio_postgres::Error| self.with_advice(error, connect_error(error, limit));
        let connecting = config.connect_raw(Inspected::new(socket, required), NoTls);
        let (client, connection) = block_on(executor, until, limit, connecting, raise)?;
        let encoding = connection.parameter(ENCODING).unwrap_or_default().to_owned();
        Ok(Session { client, wire: Box::pin(connection), encoding })
    }

    /// Logs in by TLS to the host of this name.
    fn log_in_by_tls(
        &self,
        config: tokio_postgres::Config,
        socket: Socket,
        executor: &Executor,
        tls: InspectedTls<RustlsConnect>,
        host: &str,
        until: Instant,
    ) -> Result<Session, DriverError> {
        let limit = self.at.deadline;
        let raise = |error: &tokio_postgres::Error| self.with_advice(error, tls_error(error, host, limit));
        let (client, connection) = block_on(executor, until, limit, config.connect_raw(socket, tls), raise)?;
        let encoding = connection.parameter(ENCODING).unwrap_or_default().to_owned();
        Ok(Session { client, wire: Box::pin(connection), encoding })
    }

    /// Returns what the server has to prove on a connection of this TLS mode.
    fn required(&self, tls_mode: TlsMode) -> RequiredProof {
        let is_known = match self.at.address {
            // By the user of the process at the other end.
            Address::Socket(_) => true,
            Address::Tcp(_) => matches!(tls_mode, TlsMode::VerifyCa | TlsMode::VerifyFull),
        };
        match (self.password.is_empty(), is_known) {
            (true, _) => RequiredProof::Nothing,
            (false, true) => RequiredProof::ScramIfAsked,
            (false, false) => RequiredProof::Scram,
        }
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
fn authenticated_by(tls_mode: TlsMode, required: RequiredProof) -> Option<String> {
    match (tls_mode, required) {
        (TlsMode::VerifyCa | TlsMode::VerifyFull, _) => Some("its certificate".to_owned()),
        (_, RequiredProof::Scram) => Some("its knowledge of the password (SCRAM)".to_owned()),
        (_, RequiredProof::ScramIfAsked | RequiredProof::Nothing) => None,
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
fn block_on<T>(
    executor: &Executor,
    until: Instant,
    limit: Duration,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    raise: impl FnOnce(&tokio_postgres::Error) -> DriverError,
) -> Result<T, DriverError> {
    let mut work = pin!(work);
    match executor.block_on(until, |context| work.as_mut().poll(context)) {
        Ok(Some(outcome)) => outcome.map_err(|error| raise(&error)),
        Ok(None) => Err(DriverError::Timeout(limit)),
        Err(error) => Err(io_error(&error, limit)),
    }
}
