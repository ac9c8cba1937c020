//! What to do about a connection that PostgreSQL does not accept, or that does not prove the server's identity.

use super::Postgres;
use super::server_proof::ProofError;
use crate::store::driver::DriverError;
use crate::store::driver::connect::advice::ConnectTarget;
use crate::store::driver::connect::endpoint::Address;

impl Postgres {
    /// Returns the message about a server that does not prove its identity.
    fn proof_advice(&self, why: ProofError) -> String {
        let ConnectTarget { user, section, .. } = &self.target;
        let scram = "scram-sha-256";
        match why {
            ProofError::ClearTextRequested => format!(
                "the server asked for the password in clear text; it was not sent, because the server has not proved \
                 its identity; set the method for {user} in its pg_hba.conf to {scram} instead of password, ldap, pam \
                 or radius"
            ),
            ProofError::Md5Requested => format!(
                "the server asked for the password as an MD5 hash; it was not sent, because MD5 proves nothing about \
                 the server; set the password of {user} again on the server (SET password_encryption = '{scram}'; \
                 ALTER ROLE \"{user}\" PASSWORD '...'), and use {scram} in its pg_hba.conf"
            ),
            ProofError::NoPasswordRequested => format!(
                "the server accepts {user} without the password, as an impostor would; set the method for {user} in \
                 its pg_hba.conf to {scram} instead of trust or ident, or connect through its unix socket; without \
                 [{section}] password_file no proof is required"
            ),
            ProofError::FewIterations(rounds) => format!(
                "the server asks for SCRAM with {rounds} iterations; at least 4096 are required, because an impostor \
                 could guess the password otherwise; raise scram_iterations on the server, and set the password of \
                 {user} again"
            ),
            ProofError::LongMessage(length) => {
                format!("the server announced a message of {length} bytes, which is longer than any expected one")
            }
        }
    }

    /// Adds to the error of a failed connection what to do about it.
    pub(super) fn with_advice(&self, error: &tokio_postgres::Error, said: DriverError) -> DriverError {
        if let Some(why) = ProofError::within(error) {
            return DriverError::Lost(self.proof_advice(why));
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
                DriverError::Denied(format!("the server asks for a password: {}", self.target.correct_password()))
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
                    self.target.section
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
        let ConnectTarget { user, database, section, .. } = &self.target;
        let or_url = self.target.correct_url();
        Some(match code {
            "28P01" => self.target.correct_password(),
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
