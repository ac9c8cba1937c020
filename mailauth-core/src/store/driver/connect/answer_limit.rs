//! The limit on the size of a server's answer. Without it, an impostor could exhaust the memory.

use std::io;

/// Maximum size of the answer to one statement in bytes, many times that of the largest page of rows.
pub(in crate::store::driver) const MAX_BYTES: usize = 64 << 20;

/// Returns the error about a larger answer.
pub(in crate::store::driver) fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server sent more than {MAX_BYTES} bytes in one answer"))
}
