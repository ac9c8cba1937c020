//! Deadlines of a socket that blocks.

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use std::time::{Duration, Instant};

/// Lets the next system calls of that direction fail with `EAGAIN` at `deadline`.
///
/// # Errors
/// Returns `EAGAIN` if the deadline is over: a timeout of zero would mean none.
pub(super) fn set_deadline(socket: &OwnedFd, direction: Timeout, deadline: Instant) -> Result<(), Errno> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Errno::AGAIN);
    }
    set_socket_timeout(socket, direction, Some(left.max(Duration::from_millis(1))))
}
