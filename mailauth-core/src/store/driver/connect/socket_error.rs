//! Converts the errors of sockets.

use crate::store::driver::DriverError;
use std::io::{self, ErrorKind};
use std::time::Duration;

/// Converts the error of a socket; `limit` is the deadline that a timeout is reported with.
pub(in crate::store::driver) fn io_error(error: &io::Error, limit: Duration) -> DriverError {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => DriverError::Timeout(limit),
        _ => DriverError::Lost(error.to_string()),
    }
}

/// Converts the error of a socket that could not be connected; `explain` says what to do about it.
pub(in crate::store::driver) fn unconnected(
    error: io::Error,
    limit: Duration,
    explain: impl FnOnce(&io::Error) -> String,
) -> DriverError {
    match io_error(&error, limit) {
        DriverError::Lost(_) => DriverError::Lost(explain(&error)),
        other => other,
    }
}
