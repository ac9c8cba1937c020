//! Converts the errors of PostgreSQL and of its client.

use crate::printable::brief;
use crate::store::driver::connect::socket_error::io_error;
use crate::store::driver::{DriverError, Refusal, tls};
use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;
use tokio_postgres::error::DbError;

/// Maximum number of characters that are kept of a server's message.
const MAX_SAID: usize = 1000;

/// Converts the error of a failed TLS connection, and says what to do about it.
pub(super) fn tls_error(error: &tokio_postgres::Error, host: &str, limit: Duration) -> DriverError {
    match tls::explain(error, host) {
        Some(sentence) => DriverError::Lost(sentence),
        // The crate has no error kind for this.
        None if reason(error).contains("server does not support TLS") => DriverError::Lost(tls::NO_TLS.into()),
        None => connect_error(error, limit),
    }
}

/// Converts the error of a failed connection.
pub(super) fn connect_error(error: &tokio_postgres::Error, limit: Duration) -> DriverError {
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
pub(super) fn driver_error(error: &tokio_postgres::Error, limit: Duration) -> DriverError {
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
pub(super) fn reason(error: &tokio_postgres::Error) -> String {
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
pub(super) fn with_right(error: DriverError, sql: &str) -> DriverError {
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
        "42703" => Refusal::NoColumn,
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
