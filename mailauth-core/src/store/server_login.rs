//! A login to a database server for work outside of mailauth's tables: creating databases and users, and trying whether
//! the server accepts a user.

use super::driver::{Cell, Connection, DriverError, Param, Statement};
use super::open::{OpenError, drivers};
use crate::Secret;
use crate::config::DatabaseConfig;
use crate::privileges::with_effective_user;
use crate::schema::DatabaseKind;
#[cfg(feature = "postgres")]
use postgres_protocol::password::scram_sha_256;
use sha1::{Digest, Sha1};
use std::fmt::Write;
use std::io;
use zeroize::Zeroizing;

/// Maximum number of bytes of a value that is read.
const MAX_VALUE: usize = 1 << 16;

/// Reason why the server did not do what was requested.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerLoginError {
    /// The configuration can never work.
    #[error("{0}")]
    Open(String),
    /// The server answers, and refuses the user, the password or the database.
    #[error("{0}")]
    Denied(String),
    /// The server does not answer, or cannot answer now.
    #[error("{0}")]
    NotNow(String),
    /// The server refused a statement.
    #[error("{0}")]
    Refused(String),
}

impl From<OpenError> for ServerLoginError {
    fn from(error: OpenError) -> Self {
        ServerLoginError::Open(error.to_string())
    }
}

impl From<DriverError> for ServerLoginError {
    fn from(error: DriverError) -> Self {
        match error {
            DriverError::Denied(reason) => ServerLoginError::Denied(reason),
            error @ (DriverError::Refused { .. } | DriverError::Schema(_)) => {
                ServerLoginError::Refused(error.to_string())
            }
            error => ServerLoginError::NotNow(error.to_string()),
        }
    }
}

/// A connection to a database server.
pub struct ServerLogin {
    connection: Box<dyn Connection>,
    kind: DatabaseKind,
}

impl ServerLogin {
    /// Connects to the first host of the configuration within its deadline, as the database user that its URL names.
    ///
    /// # Errors
    /// Fails if the server cannot be reached, or refuses the user.
    pub fn connect(config: &DatabaseConfig) -> Result<Self, ServerLoginError> {
        let driver = drivers(config)?.into_iter().next();
        let driver = driver.ok_or_else(|| ServerLoginError::Open("the URL names no server".to_owned()))?;
        Ok(ServerLogin { connection: driver.connect()?, kind: config.url.kind() })
    }

    /// Does the same while the connection is made by the system user `uid`, which a server on the same machine sees. The
    /// process must be root.
    ///
    /// # Errors
    /// Fails as [`ServerLogin::connect`] does, and if the process may not act as that user.
    pub fn connect_as(config: &DatabaseConfig, uid: u32) -> Result<Self, ServerLoginError> {
        let made: io::Result<_> = with_effective_user(uid, || Self::connect(config));
        made.map_err(|error| {
            ServerLoginError::Denied(format!("this process may not act as the system user {uid}: {error}"))
        })?
    }

    /// Returns the server's product and version, such as `MariaDB 10.11.14`.
    ///
    /// # Errors
    /// Fails if the connection breaks.
    pub fn product(&mut self) -> Result<String, ServerLoginError> {
        Ok(self.connection.server()?.0)
    }

    /// Returns the part of CREATE USER or CREATE ROLE that sets this password, as a hash where the server takes one, so
    /// that no log of the server contains the password.
    ///
    /// # Errors
    /// Fails if the connection breaks, or the password cannot be written as text of SQL.
    pub fn password_clause(&mut self, password: &Secret) -> Result<Zeroizing<String>, ServerLoginError> {
        let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'\'' | b'"' | b'\\');
        let text = std::str::from_utf8(password.expose()).ok();
        let Some(text) = text.filter(|text| !text.is_empty() && text.bytes().all(|byte| plain(&byte))) else {
            let why = "the password of a database user must be ASCII without quotes, backslashes and spaces";
            return Err(ServerLoginError::Open(why.to_owned()));
        };
        if self.kind == DatabaseKind::Postgres {
            #[cfg(feature = "postgres")]
            return Ok(Zeroizing::new(format!("PASSWORD '{}'", scram_sha_256(text.as_bytes()))));
        }
        match self.product()?.starts_with("MariaDB") {
            true => Ok(Zeroizing::new(format!("IDENTIFIED BY PASSWORD '*{}'", twice_sha1(text.as_bytes())))),
            // MySQL leaves the password of this statement out of its logs, and stores it by its own default plugin.
            false => Ok(Zeroizing::new(format!("IDENTIFIED BY '{text}'"))),
        }
    }

    /// Returns true if the statement, whose placeholders are those of the database, finds a row.
    ///
    /// # Errors
    /// Fails if the connection breaks, or the server refuses the statement.
    pub fn finds(&mut self, sql: &str, parameters: &[&str]) -> Result<bool, ServerLoginError> {
        Ok(self.value(sql, parameters)?.is_some())
    }

    /// Returns the first column of the first row that the statement finds, as text; empty for NULL.
    ///
    /// # Errors
    /// Fails as [`ServerLogin::finds`] does.
    pub fn value(&mut self, sql: &str, parameters: &[&str]) -> Result<Option<String>, ServerLoginError> {
        let parameters: Vec<_> = parameters.iter().map(|text| Param::Text(text.as_bytes())).collect();
        let mut found = None;
        self.connection.query(&Statement { slot: None, sql: sql.to_owned() }, &parameters, &mut |row| {
            found.get_or_insert_with(|| match row.cell(0) {
                Cell::Int(number) => number.to_string(),
                Cell::Text(text) => String::from_utf8_lossy(text.get(..MAX_VALUE).unwrap_or(text)).into_owned(),
                Cell::Null | Cell::Other => String::new(),
            });
        })?;
        Ok(found)
    }

    /// Runs one statement without a result.
    ///
    /// # Errors
    /// Fails as [`ServerLogin::finds`] does.
    pub fn run(&mut self, sql: &str) -> Result<(), ServerLoginError> {
        Ok(self.connection.batch(sql)?)
    }
}

/// Returns the hash of MariaDB's mysql_native_password, in capitals.
fn twice_sha1(password: &[u8]) -> String {
    Sha1::digest(Sha1::digest(password)).iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_mariadb_is_that_of_its_password_function() {
        assert_eq!(twice_sha1(b"password"), "2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19");
    }
}
