//! `[database]`: the database with the accounts, and how connections to it are protected.

use crate::Secret;
use crate::schema::{DatabaseKind, Tables};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The section `[database]`, or the same with the values of `[admin]`.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// Which of the configured users connects.
    pub user: DatabaseUser,
    /// `url`: the database.
    pub url: DatabaseUrl,
    /// `password_file`: a file that contains only the password.
    pub password_file: Option<PathBuf>,
    /// The password from that file, without its line end; empty if there is no file.
    pub password: Secret,
    /// The reason why this process cannot read the file, if it can do without it. No store is opened with this user
    /// then.
    pub unreadable: Option<String>,
    /// `server_user`: name or number of the system user that runs a database server on this machine. `None`: one of
    /// the usual users.
    pub server_user: Option<String>,
    /// `tls`. `None`: `verify-full`, unless the server is on the loopback or a unix socket.
    pub tls: Option<TlsMode>,
    /// `tls_ca`: PEM certificates of the trusted authorities. `None`: those that come with the program.
    pub tls_ca: Option<PathBuf>,
    /// `tls_cert`: PEM certificates of this client, its own first. `None` by default.
    pub tls_cert: Option<PathBuf>,
    /// `tls_key`: its private key in PEM. It is set together with `tls_cert`, and read for each connection.
    pub tls_key: Option<PathBuf>,
    /// `deadline`: maximum time of a connection attempt, and of each query.
    pub deadline: Duration,
    /// `pool`: maximum number of connections that are kept open to each host.
    pub pool: usize,
    /// `dirty_reads`: whether to read from a node of a Galera cluster that has lost its quorum.
    pub dirty_reads: bool,
    /// The tables in it, as `[schema]` says.
    pub tables: Tables,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        DatabaseConfig {
            user: DatabaseUser::default(),
            url: DatabaseUrl::Sqlite { path: "mailauth.db".into() },
            password_file: None,
            password: Secret::default(),
            unreadable: None,
            server_user: None,
            tls: None,
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            deadline: Duration::from_secs(3),
            pool: 8,
            dirty_reads: false,
            tables: Tables::Own,
        }
    }
}

/// One of the configured users of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DatabaseUser {
    /// The user of `[database]`, if it is the only one.
    #[default]
    Only,
    /// The daemon's user, of `[database]`, if `[admin]` has another.
    Daemon,
    /// The daemon's user, used instead of that of `[admin]`, whose password cannot be read for this reason.
    Substitute(String),
    /// The user of `[admin]`.
    Administrator,
}

impl DatabaseUser {
    /// Returns the name of the section with the user's URL.
    pub fn section(&self) -> &'static str {
        match self {
            DatabaseUser::Administrator => "admin",
            DatabaseUser::Only | DatabaseUser::Daemon | DatabaseUser::Substitute(_) => "database",
        }
    }
}

/// How TLS protects a connection to a database server. The names are those of PostgreSQL's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// `disable`: no TLS.
    Disable,
    /// `require`: TLS with any certificate.
    Require,
    /// `verify-ca`: TLS with a certificate that a trusted CA issued.
    VerifyCa,
    /// `verify-full`: like `verify-ca`, and the certificate must be for the name of the host.
    VerifyFull,
}

/// The host and port of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    /// Number of the port.
    pub port: u16,
}

impl HostPort {
    /// Returns true if the name or address is that of this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// The database with the accounts.
///
/// `sqlite:PATH`, `mysql://USER@HOST[:PORT][,HOST...]/NAME[?socket=PATH]`, or `postgres://` in the same form. It never
/// contains a password, which would be visible in process lists and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// An SQLite file.
    Sqlite {
        /// Its path. In a configuration file, it is relative to the folder of that file.
        path: PathBuf,
    },
    /// MySQL or MariaDB.
    Mysql(Server),
    /// PostgreSQL.
    Postgres(Server),
}

/// The properties of each kind of database, so that other modules need not name the kinds.
impl DatabaseUrl {
    /// Returns which kind it is.
    pub fn kind(&self) -> DatabaseKind {
        match self {
            DatabaseUrl::Sqlite { .. } => DatabaseKind::Sqlite,
            DatabaseUrl::Mysql(_) => DatabaseKind::Mysql,
            DatabaseUrl::Postgres(_) => DatabaseKind::Postgres,
        }
    }

    /// Returns the scheme of the URL.
    pub fn scheme(&self) -> &'static str {
        match self {
            DatabaseUrl::Sqlite { .. } => "sqlite",
            DatabaseUrl::Mysql(_) => "mysql",
            DatabaseUrl::Postgres(_) => "postgres",
        }
    }

    /// Returns the name of the database product.
    pub fn product(&self) -> &'static str {
        match self {
            DatabaseUrl::Sqlite { .. } => "SQLite",
            DatabaseUrl::Mysql(_) => "MySQL",
            DatabaseUrl::Postgres(_) => "PostgreSQL",
        }
    }

    /// Returns the file in this project that grants the privileges of each role; `None` if the database has no users.
    pub fn grants_file(&self) -> Option<&'static str> {
        match self {
            DatabaseUrl::Sqlite { .. } => None,
            DatabaseUrl::Mysql(_) => Some("schema/grants.mysql.sql"),
            DatabaseUrl::Postgres(_) => Some("schema/grants.postgres.sql"),
        }
    }

    /// Returns the path of a database that is a file.
    pub fn file(&self) -> Option<&Path> {
        match self {
            DatabaseUrl::Sqlite { path } => Some(path),
            DatabaseUrl::Mysql(_) | DatabaseUrl::Postgres(_) => None,
        }
    }

    /// Returns the servers of a database that is not a file.
    pub fn server(&self) -> Option<&Server> {
        match self {
            DatabaseUrl::Sqlite { .. } => None,
            DatabaseUrl::Mysql(server) | DatabaseUrl::Postgres(server) => Some(server),
        }
    }

    /// Returns the URL of the same database for another user; unchanged if the database has no users.
    #[must_use]
    pub fn with_user(mut self, user: String) -> Self {
        match &mut self {
            DatabaseUrl::Sqlite { .. } => {}
            DatabaseUrl::Mysql(server) | DatabaseUrl::Postgres(server) => server.user = user,
        }
        self
    }

    /// Returns the path in the URL, of the file or of the unix socket.
    pub(super) fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            DatabaseUrl::Sqlite { path } => Some(path),
            DatabaseUrl::Mysql(server) | DatabaseUrl::Postgres(server) => server.socket.as_mut(),
        }
    }
}

/// A database on one server, or on several with the same content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The hosts in order of preference. Empty if there is only a `socket`.
    pub hosts: Vec<HostPort>,
    /// Path of a unix socket (for PostgreSQL of its directory, as in libpq), which is preferred to the hosts. It
    /// belongs to the same server as a single host on the loopback.
    pub socket: Option<PathBuf>,
    /// User name on the server.
    pub user: String,
    /// Name of the database.
    pub database: String,
}

/// Reason why a text is not the URL of a database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; write sqlite:/path/mail.db, mysql://user@host/name or postgres://user@host/name")]
pub struct UrlError {
    /// What is wrong with it.
    pub problem: String,
}
