//! What to do about a connection that MySQL or MariaDB does not accept.

use super::Mysql;
use super::client::ClientError;
use super::error::connect_error;
use crate::store::driver::DriverError;
use crate::store::driver::connect::advice::ConnectTarget;
use crate::store::driver::connect::endpoint::Address;
use std::io;

impl Mysql {
    /// Converts the error of a failed connection, and adds what to do about it.
    pub(super) fn connect_error(&self, error: ClientError, host: &str) -> DriverError {
        let code = match &error {
            ClientError::Server { code, .. } => *code,
            ClientError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return DriverError::Lost(format!(
                    "{error}; check that it is a MySQL or MariaDB server and accepts connections from this machine \
                     (see its log, bind-address, and TCP wrappers)"
                ));
            }
            ClientError::Protocol(said) if !said.starts_with("TLS") => {
                return DriverError::Lost(format!("{said}; check that the URL is that of a MySQL or MariaDB server"));
            }
            ClientError::PasswordRequested => return DriverError::Lost(self.clear_password()),
            ClientError::Io(_)
            | ClientError::NoTls
            | ClientError::UnexpectedUser(_)
            | ClientError::UnknownMethod(_)
            | ClientError::Protocol(_) => 0,
        };
        let advice = self.advice(code);
        match (connect_error(error, host, self.at.deadline), advice) {
            (DriverError::Denied(said), Some(advice)) => DriverError::Denied(format!("{said}; {advice}")),
            (DriverError::Full(said), Some(advice)) => DriverError::Full(format!("{said}; {advice}")),
            (error, _) => error,
        }
    }

    /// Returns what to do about a rejected connection, by the server's error code.
    fn advice(&self, code: u16) -> Option<String> {
        let ConnectTarget { user, database, .. } = &self.target;
        let (section, or_url) = (self.target.section, self.target.correct_url());
        Some(match code {
            1045 => format!("{}{}", self.target.correct_password(), self.with_tls()),
            1698 => format!(
                "the server authenticates {user} by another method than a password, such as unix_socket for the system \
                 user of that name: create a user with a password, {or_url}"
            ),
            1049 => format!("create it (CREATE DATABASE `{database}` CHARACTER SET utf8mb4), {or_url}"),
            1044 => format!(
                "the database does not exist, or {user} has no privileges on it: create it, or grant the user the \
                 privileges in schema/grants.mysql.sql, {or_url}"
            ),
            1130 => format!(
                "the server has no user for this machine: create {user} for its address (CREATE USER ... @'ADDRESS'), \
                 {or_url}"
            ),
            3118 | 4151 => format!("unlock it on the server (ALTER USER ... ACCOUNT UNLOCK), {or_url}"),
            1820 | 1862 => {
                format!("set a new password for {user} on the server, and write it to [{section}] password_file")
            }
            3159 | 4165 => format!("set [{section}] tls = \"verify-full\" and tls_ca"),
            1040 | 1203 | 1226 => {
                "raise max_connections or the limit of this user on the server, or lower [database] pool".to_owned()
            }
            _ => return None,
        })
    }

    /// Returns the message about a server that asks for the password itself and may be an impostor.
    fn clear_password(&self) -> String {
        let ConnectTarget { section, .. } = self.target;
        let advice = self.target.correct_password();
        format!(
            "the server asked for the password itself, as caching_sha2_password does at a user's first login after a \
             server start and when the user or password is incorrect; it was not sent, because the server has not \
             proved its identity: {advice}; then connect through the server's unix socket (?socket=PATH in [{section}] \
             url), or set [{section}] tls = \"verify-full\" and tls_ca (for a certificate that MySQL generated itself, \
             \"verify-ca\" and its ca.pem)"
        )
    }

    /// Returns what to do if the user is required to use TLS and this connection does not.
    fn with_tls(&self) -> String {
        let section = self.target.section;
        match self.at.address {
            _ if self.tls_config.is_some() => String::new(),
            Address::Tcp(_) => format!(
                "; a user with REQUIRE SSL is rejected without TLS, and this machine's own servers are reached without \
                 TLS by default: set [{section}] tls = \"verify-full\" and tls_ca"
            ),
            Address::Socket(_) => {
                "; a user with REQUIRE SSL is rejected on a unix socket: remove ?socket= from the URL, and \
                                   set [database] tls"
                    .to_owned()
            }
        }
    }
}
