//! The database of the old file as `[database]`.

use super::dialect::Dialect;
use super::findings::{Findings, Place};
use mailauth_core::Secret;
use mailauth_core::config::{DatabaseUrl, HostPort, Server};
use std::path::PathBuf;

/// A database, and how to connect to it.
#[derive(Debug, Default)]
pub struct Connection {
    pub hosts: Vec<HostPort>,
    pub socket: Option<String>,
    pub user: String,
    pub password: Secret,
    /// A file that contains the password already.
    pub password_file: Option<String>,
    pub database: String,
    /// Path of an SQLite database.
    pub file: Option<String>,
    /// `[database] tls`, if the old file says it.
    pub tls: Option<&'static str>,
    pub tls_ca: Option<String>,
    pub tls_cert: Option<String>,
    pub tls_key: Option<String>,
    /// True if the old program used TLS.
    pub used_tls: bool,
    pub place: Place,
}

impl Connection {
    /// Adds a host, which may be the path of a socket. A port of 0 is the default.
    pub fn add_host(&mut self, host: &str, port: u16, dialect: Dialect) {
        if host.starts_with('/') {
            self.socket = Some(host.to_owned());
        } else if !host.is_empty() {
            let default = if dialect == Dialect::Postgres { 5432 } else { 3306 };
            let port = if port == 0 { default } else { port };
            self.hosts.push(HostPort { host: host.to_ascii_lowercase(), port });
        }
    }

    /// Returns the URL. Reports what is missing, and how connections differ from those of the old program.
    pub fn url(&self, dialect: Dialect, findings: &mut Findings) -> Option<DatabaseUrl> {
        let url = match (dialect, &self.file) {
            (Dialect::Sqlite, Some(file)) if !file.is_empty() => DatabaseUrl::Sqlite { path: PathBuf::from(file) },
            (Dialect::Sqlite, _) => {
                findings.refuse(&self.place, "names no database file");
                return None;
            }
            (Dialect::Mysql, _) => DatabaseUrl::Mysql(self.server(findings)?),
            (Dialect::Postgres, _) => DatabaseUrl::Postgres(self.server(findings)?),
        };
        match url.to_string().parse::<DatabaseUrl>() {
            Ok(parsed) if parsed == url => Some(url),
            Ok(_) => {
                findings.refuse(&self.place, "the host, user or database cannot be written as a URL");
                None
            }
            Err(error) => {
                findings.refuse(&self.place, error.problem);
                None
            }
        }
    }

    fn server(&self, findings: &mut Findings) -> Option<Server> {
        let mut complete = true;
        if self.socket.is_none() && self.hosts.iter().any(|host| host.host == "localhost" && host.port == 3306) {
            findings.note(
                &self.place,
                "localhost means a unix socket to clients of MySQL, such as /run/mysqld/mysqld.sock; mailauth connects to \
                 port 3306 of this machine; to use the socket, add ?socket=PATH to [database] url",
            );
        }
        for (what, value) in [("user", &self.user), ("database", &self.database)] {
            if value.is_empty() {
                findings.refuse(&self.place, format!("names no {what} of the database server"));
                complete = false;
            }
        }
        if self.hosts.is_empty() && self.socket.is_none() {
            findings.refuse(&self.place, "names no host and no socket of the database server");
            complete = false;
        }
        let socket = self.socket.as_ref().map(PathBuf::from);
        complete.then(|| {
            self.explain_tls(findings);
            let (user, database) = (self.user.clone(), self.database.clone());
            Server { hosts: self.hosts.clone(), socket, user, database }
        })
    }

    fn explain_tls(&self, findings: &mut Findings) {
        let is_remote = self.hosts.iter().any(|host| !host.is_loopback());
        if is_remote && !self.used_tls && self.tls.is_none() {
            findings.note(
                &self.place,
                "the old program connects without TLS; mailauth verifies the server's certificate on the way to another \
                 machine; if the server has none, set [database] tls = \"disable\"",
            );
        }
    }
}
