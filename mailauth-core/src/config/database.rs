//! `[database]`: where the accounts are, as a URL and how far to trust the way there.

use crate::Secret;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `[database]`, or what `[admin]` makes of it.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// Which of the configured users connects.
    pub user: DatabaseUser,
    /// `url`.
    pub url: DatabaseUrl,
    /// `password_file`: a file with nothing but the password.
    pub password_file: Option<PathBuf>,
    /// The password in it, without its line end; empty without one.
    pub password: Secret,
    /// Why this process may not read it, where it can do without. No store is opened with it.
    pub unreadable: Option<String>,
    /// `server_user`: name or number of the system user that runs a server on this machine; none is one of the usual
    /// ones.
    pub server_user: Option<String>,
    /// `tls`; none is `verify-full` unless the server is on the loopback or a unix socket.
    pub tls: Option<TlsMode>,
    /// `tls_ca`: PEM certificates of the authorities to trust; without it the ones that come with the program.
    pub tls_ca: Option<PathBuf>,
    /// `tls_cert`: PEM certificates of this client, its own first; none by default.
    pub tls_cert: Option<PathBuf>,
    /// `tls_key`: the private key of it in PEM, which is set together with it. It is read at each connect.
    pub tls_key: Option<PathBuf>,
    /// `deadline`: for a connect, and for each query.
    pub deadline: Duration,
    /// `pool`: the most connections that are kept, to each host.
    pub pool: usize,
    /// `dirty_reads`: read from a node of a Galera cluster that is out of its quorum.
    pub dirty_reads: bool,
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
        }
    }
}

/// Which of the configured users of a database one is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DatabaseUser {
    /// The only one, of `[database]`.
    #[default]
    Only,
    /// The daemon's, of `[database]`, beside that of `[admin]`.
    Daemon,
    /// The daemon's, in the place of that of `[admin]`, whose password cannot be read: why.
    Substitute(String),
    /// That of `[admin]`.
    Administrator,
}

impl DatabaseUser {
    /// Returns the section with its URL.
    pub fn section(&self) -> &'static str {
        match self {
            DatabaseUser::Administrator => "admin",
            DatabaseUser::Only | DatabaseUser::Daemon | DatabaseUser::Substitute(_) => "database",
        }
    }
}

/// How TLS protects a connection to a database server, with the names that PostgreSQL's `sslmode` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// `disable`: no TLS.
    Disable,
    /// `require`: TLS with any certificate.
    Require,
    /// `verify-ca`: TLS with a certificate that a trusted CA issued.
    VerifyCa,
    /// `verify-full`: as `verify-ca`, and the certificate is for the name of the host.
    VerifyFull,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl HostPort {
    /// Is it on this machine, by its name or address?
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// Where the accounts are.
///
/// `sqlite:PATH`, `mysql://USER@HOST[:PORT][,HOST...]/NAME[?socket=PATH]`, `postgres://` the same. Never with a
/// password: that would show in process lists and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file.
    Sqlite {
        /// Its path; a relative one of a configuration file begins in the folder of that.
        path: PathBuf,
    },
    /// MySQL or MariaDB.
    Mysql(Server),
    /// PostgreSQL.
    Postgres(Server),
}

/// The properties of each kind of database, so that other modules need not name the kinds.
impl DatabaseUrl {
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

/// A database on one server, or on several that hold the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// In the order in which they are preferred. Empty with a `socket` alone.
    pub hosts: Vec<HostPort>,
    /// Path of a unix socket (for PostgreSQL of its directory, as libpq has it), which goes before the hosts; it is the
    /// same server as a single host on the loopback.
    pub socket: Option<PathBuf>,
    /// User name there.
    pub user: String,
    /// Name of the database.
    pub database: String,
}

/// Why a text is not the URL of a database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; write sqlite:/path/mail.db, mysql://user@host/name or postgres://user@host/name")]
pub struct UrlError {
    /// What is wrong with it.
    pub problem: String,
}
