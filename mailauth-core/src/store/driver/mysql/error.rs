//! Converts the errors of MySQL, of MariaDB and of the client.

use super::client::ClientError;
use crate::store::driver::connect::socket_error::io_error;
use crate::store::driver::{DriverError, Refusal, tls};
use std::time::Duration;

/// Advice for when the server has blocked this host, which it does after many connections that were aborted during the
/// handshake.
const UNBLOCK: &str = "on the database server, run `mariadb-admin flush-hosts` (or FLUSH HOSTS; on MySQL, TRUNCATE \
                       TABLE performance_schema.host_cache), and raise max_connect_errors so that it does not happen \
                       again";

/// Converts the error of a failed connection, and says what to do about TLS.
pub(super) fn connect_error(error: ClientError, host: &str, limit: Duration) -> DriverError {
    match &error {
        ClientError::Server { code, message } => return refused_connection(*code, message),
        ClientError::Io(error) => {
            if let Some(sentence) = tls::explain(error, host) {
                return DriverError::Lost(sentence);
            }
        }
        // MySQL hides that a user does not exist by asking for some authentication method.
        ClientError::UnknownMethod(method) => {
            return DriverError::Denied(format!(
                "refused: no such user, or an unsupported plugin: the server does not know the user, or the user's \
                 authentication plugin is {method}; compare the name in the URL with the server's users, or change the \
                 user's plugin to caching_sha2_password, ed25519 or parsec"
            ));
        }
        ClientError::NoTls
        | ClientError::PasswordRequested
        | ClientError::UnexpectedUser(_)
        | ClientError::Protocol(_) => {}
    }
    driver_error(error, limit)
}

/// Converts the server's error at a connect, by its code (MariaDB and MySQL, "Error Codes").
fn refused_connection(code: u16, message: &str) -> DriverError {
    let said = format!("{message} ({code})");
    match code {
        // Too many connections in total, of this user, or within the hour; or no memory or thread for one more.
        1040 | 1041 | 1135 | 1203 | 1226 => DriverError::Full(said),
        1129 => DriverError::Denied(format!("{said}; {UNBLOCK}")),
        // Shutting down, starting up, a node that is not ready, and network errors.
        1047 | 1053 | 1077 | 1079 | 1152 | 1158..=1161 | 1184 | 1927 | 4031 => DriverError::Lost(said),
        _ => DriverError::Denied(said),
    }
}

/// Converts the client's error.
pub(super) fn driver_error(error: ClientError, limit: Duration) -> DriverError {
    match error {
        ClientError::Io(error) => io_error(&error, limit),
        ClientError::Server { code, message } => refusal(code, &message),
        ClientError::NoTls => DriverError::Lost(tls::NO_TLS.into()),
        ClientError::UnknownMethod(method) => {
            DriverError::Lost(format!("the server asks for the authentication method {method}"))
        }
        ClientError::PasswordRequested => DriverError::Lost("the server asks for the password itself".to_owned()),
        ClientError::UnexpectedUser(what) | ClientError::Protocol(what) => DriverError::Lost(what),
    }
}

/// Returns what to do about a statement that the server aborted, by its error code.
fn cancelled(code: u16) -> &'static str {
    match code {
        1205 => {
            "another transaction held a lock for longer than innodb_lock_wait_timeout; find it with SHOW PROCESSLIST"
        }
        1317 => "an administrator or a program cancelled it with KILL QUERY",
        1969 => "raise max_statement_time of the server or of this user, or find out why the server is slow",
        _ => "raise max_execution_time of the server, or find out why the server is slow",
    }
}

/// Converts the server's error about a statement, by its code (MariaDB and MySQL, "Error Codes").
fn refusal(code: u16, message: &str) -> DriverError {
    let kind = match code {
        // Shutting down, connection killed, a cluster node that is not ready, and network errors.
        1047 | 1053 | 1077 | 1079 | 1152 | 1158..=1161 | 1184 | 1927 | 4031 => {
            return DriverError::Lost(format!("{message} ({code})"));
        }
        1205 | 1317 | 1969 | 3024 => return DriverError::Cancelled(format!("{message} ({code}); {}", cancelled(code))),
        // The server or the transaction is read only.
        1290 | 1792 | 1836 => return DriverError::Lost(format!("{message} ({code})")),
        1213 => Refusal::Conflict,
        1062 | 1586 => Refusal::Duplicate,
        1216 | 1217 | 1451 | 1452 => Refusal::Reference,
        1146 => Refusal::NoTable,
        1054 => Refusal::NoColumn,
        1044 | 1142 | 1143 | 1227 | 1370 => Refusal::Forbidden,
        // The server's message shows the bytes, which may be those of a password.
        1366 => {
            let reason = "a value has a character that the character set of its column lacks (1366)".into();
            return DriverError::Refused { kind: Refusal::Unstorable, reason };
        }
        // A parameter that cannot be converted to the character set of the column it is compared with: 3988 on MySQL,
        // and on MariaDB a message that calls the parameter coercible. Two incompatible columns are a different error.
        3988 | 1267 | 1270 | 1271 if code == 3988 || message.contains("COERCIBLE") => {
            let reason = format!("a value has a character that the character set of its column lacks ({code})");
            return DriverError::Refused { kind: Refusal::Unstorable, reason };
        }
        _ => Refusal::Other,
    };
    DriverError::Refused { kind, reason: format!("{message} ({code})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unstorable_value_is_not_taken_for_incompatible_columns() {
        let kind = |code, message: &str| match refusal(code, message) {
            DriverError::Refused { kind, .. } => kind,
            other => panic!("{other:?}"),
        };
        let mix = |one: &str, other: &str| format!("Illegal mix of collations ({one}) and ({other}) for operation '='");
        let of_value = mix("latin1_bin,IMPLICIT", "utf8mb4_general_ci,COERCIBLE");
        assert_eq!(kind(1267, &of_value), Refusal::Unstorable);
        assert_eq!(kind(3988, "Conversion from collation a into b impossible for parameter"), Refusal::Unstorable);
        let of_columns = mix("utf8mb4_bin,IMPLICIT", "utf8mb4_unicode_ci,IMPLICIT");
        assert_eq!(kind(1267, &of_columns), Refusal::Other);
    }

    #[test]
    fn a_refused_connection_is_full_or_denied_and_a_block_has_advice() {
        for code in [1040, 1203, 1226] {
            assert_eq!(refused_connection(code, "no"), DriverError::Full(format!("no ({code})")));
        }
        for code in [1044, 1045, 1049, 1130, 1698, 4151] {
            assert_eq!(refused_connection(code, "no"), DriverError::Denied(format!("no ({code})")));
        }
        assert!(matches!(refused_connection(1047, "no"), DriverError::Lost(_)));
        let blocked = refused_connection(1129, "Host is blocked");
        assert!(
            matches!(&blocked, DriverError::Denied(said) if said.contains("mariadb-admin flush-hosts")
            && said.contains("max_connect_errors") && said.contains("(1129)")),
            "{blocked}"
        );
    }
}
