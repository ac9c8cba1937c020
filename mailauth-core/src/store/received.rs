//! How much a server may send as the answer to one statement. A false one could fill the memory otherwise.

use std::io;

/// The most bytes: many times what the largest page of rows takes.
pub(super) const MOST: usize = 64 << 20;

/// That there are more.
pub(super) fn too_much() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server sends more than {MOST} bytes at once"))
}
