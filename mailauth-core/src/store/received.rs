//! The limit on the size of a server's answer. Without it, an impostor could exhaust the memory.

use std::io;

/// Maximum size of the answer to one statement in bytes, many times that of the largest page of rows.
pub(super) const MOST: usize = 64 << 20;

/// Returns the error about a larger answer.
pub(super) fn too_much() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server sent more than {MOST} bytes in one answer"))
}
