//! The driver for MySQL and MariaDB.

mod advice;
mod client;
mod connection;
mod error;
mod plan;
mod stream;

use crate::Secret;
use crate::config::{DatabaseConfig, Server, TlsMode};
use crate::store::OpenError;
use crate::store::driver::connect::advice::ConnectTarget;
use crate::store::driver::connect::dial;
use crate::store::driver::connect::endpoint::{Address, Endpoint};
use crate::store::driver::connect::loopback::TcpEnds;
use crate::store::driver::connect::server_user::{MYSQL, ServerUser};
use crate::store::driver::connect::socket_error::{io_error, unconnected};
use crate::store::driver::{Connection, Dialect, Driver, DriverError, tls};
use client::{Client, ClientError, Credentials};
use connection::MysqlConnection;
use rustls::ClientConfig;
use std::cell::RefCell;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use stream::TimedSocket;

pub(in crate::store) static DIALECT: Dialect = Dialect {
    is_remote: true,
    numbered: false,
    begin: "START TRANSACTION",
    now: "UTC_TIMESTAMP()",
    time_text: "DATE_FORMAT({}, '%Y-%m-%d %H:%i:%s')",
    time_value: "CAST({} AS DATETIME)",
    row_values: false,
    by_index: " FORCE INDEX ({})",
    // All collations ignore trailing spaces, and most of them ignore case.
    same_bytes: "CAST(CONVERT({} USING utf8mb4) AS BINARY) = CAST(? AS BINARY)",
    bounded: "LEFT({}, {more})",
    // Otherwise a smaller table may be read first, or joined by a buffer, and everything sorted for each page. MySQL takes
    // the first part for a comment, and MariaDB the second.
    select_in_order: "/*M! SET STATEMENT join_cache_level = 0 FOR */ SELECT /*+ NO_BNL() */ STRAIGHT_JOIN",
    login_parts: None,
    as_text: "CAST({} AS CHAR)",
    or_update: "ON DUPLICATE KEY UPDATE",
    new_value: "VALUES({})",
    added: "CAST(LEAST(CAST({old} AS DECIMAL(30)) + VALUES({column}), 9223372036854775807) AS SIGNED)",
    table_exists: "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?",
    lock: "DO GET_LOCK('mailauth schema', 3600)",
    unlock: "DO RELEASE_LOCK('mailauth schema')",
    schema: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/mysql.sql")),
    migrations: &[
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/mysql.2.sql")),
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/mysql.3.sql")),
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/mysql.4.sql")),
    ],
};

/// Settings of each session, whatever the server's defaults: every statement is its own transaction, and a value that
/// does not fit is rejected instead of truncated.
const SESSION: &str = "SET autocommit = 1, sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'";

/// Allows reads on a Galera node that has lost its quorum; they return the data that the node has.
const DIRTY_READS: &str = "SET SESSION wsrep_dirty_reads = 1";

/// Makes the server refuse every change on this connection.
const READ_ONLY: &str = "SET SESSION TRANSACTION READ ONLY";

/// A database on a MySQL or MariaDB server.
pub(in crate::store) struct Mysql {
    at: Endpoint,
    target: ConnectTarget,
    password: Secret,
    server_user: ServerUser,
    tls: Option<TlsMode>,
    tls_ca: Option<PathBuf>,
    /// TLS configuration; `None` for a connection in clear text.
    tls_config: Option<Arc<ClientConfig>>,
    dirty_reads: bool,
    read_only: bool,
}

impl Mysql {
    pub(in crate::store) fn new(config: &DatabaseConfig, server: &Server, at: Endpoint) -> Result<Self, OpenError> {
        let tls_config = tls::client_config(at.address.tls_mode(config.tls), config)?.map(Arc::new);
        Ok(Mysql {
            at,
            target: ConnectTarget::new(config, server),
            password: config.password.clone(),
            server_user: ServerUser::new(config.server_user.as_deref(), MYSQL)?,
            tls: config.tls,
            tls_ca: config.tls_ca.clone(),
            tls_config,
            dirty_reads: config.dirty_reads,
            read_only: config.tables.are_read_only(),
        })
    }

    /// Connects within the deadline to the first of the host's addresses that works.
    fn connect_to(&self, Endpoint { address, deadline, .. }: &Endpoint) -> Result<MysqlConnection, DriverError> {
        let start = Instant::now();
        let (client, host, authenticated_by) = match address {
            Address::Socket(path) => {
                let until = start + *deadline;
                let raise =
                    |error| unconnected(error, *deadline, |error| self.target.socket_error(error, path, "socket"));
                let socket = dial::unix(path).map_err(raise)?;
                let user = self.server_user.check_socket(&socket, path).map_err(DriverError::Lost)?;
                let client = self.handshake(TimedSocket::new(socket, until), "", true, &|| Ok(()))?;
                (client, "", Some(format!("its user, {user}")))
            }
            Address::Tcp(at) => {
                let (client, authenticated_by) = dial::first_that_connects(
                    &dial::resolve(at, start, *deadline)?,
                    start,
                    *deadline,
                    |address, until| {
                        let raise =
                            |error| unconnected(error, *deadline, |error| self.target.address_error(error, address));
                        self.connect_by_tcp(dial::tcp(address, until).map_err(raise)?, &at.host, until)
                    },
                )?;
                (client, at.host.as_str(), authenticated_by)
            }
        };
        Ok(MysqlConnection {
            client,
            kept: Vec::new(),
            deadline: *deadline,
            in_cluster: None,
            trust: tls::trust(address.tls_mode(self.tls), host, self.tls_ca.as_deref()),
            authenticated_by,
            broken: false,
        })
    }

    /// Logs in by TCP; returns the client with how the server proved its identity, if it did. None of the
    /// authentication methods proves anything about the server.
    fn connect_by_tcp(
        &self,
        stream: TcpStream,
        host: &str,
        until: Instant,
    ) -> Result<(Client, Option<String>), DriverError> {
        let is_verified = matches!(self.at.address.tls_mode(self.tls), TlsMode::VerifyCa | TlsMode::VerifyFull);
        let ends = TcpEnds::of(&stream).map_err(|error| io_error(&error, self.at.deadline))?;
        let authenticated_by = RefCell::new(is_verified.then(|| "its certificate".to_owned()));
        let on_greeting = || {
            if ends.are_local() && (!is_verified || self.server_user.is_configured()) {
                let user = self.server_user.check_loopback(&ends).map_err(ClientError::UnexpectedUser)?;
                authenticated_by.replace(user.map(|user| format!("its user, {user}")));
            }
            Ok(())
        };
        let client = self.handshake(TimedSocket::new(stream, until), host, is_verified, &on_greeting)?;
        Ok((client, authenticated_by.into_inner()))
    }

    /// Logs in and sets up the session, by the deadline of the socket. `greeted` is called after the server's greeting;
    /// `is_known` is true if the server will have proved its identity before it can ask for the password itself.
    fn handshake(
        &self,
        socket: TimedSocket,
        host: &str,
        is_authenticated: bool,
        on_greeting: &dyn Fn() -> Result<(), ClientError>,
    ) -> Result<Client, DriverError> {
        let password = std::str::from_utf8(self.password.expose())
            .map_err(|_| DriverError::Denied("the database's password is not valid UTF-8".into()))?;
        let credentials = Credentials {
            user: &self.target.user,
            password,
            database: &self.target.database,
            tls: self.tls_config.as_ref().map(|config| (config, host)),
            is_authenticated,
            on_greeting,
        };
        let work = || {
            let mut client = Client::connect(socket, &credentials)?;
            client.run(SESSION)?;
            if self.dirty_reads {
                client.run(DIRTY_READS)?;
            }
            if self.read_only {
                client.run(READ_ONLY)?;
            }
            Ok(client)
        };
        work().map_err(|error| self.connect_error(error, host))
    }
}

impl Driver for Mysql {
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
