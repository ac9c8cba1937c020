//! The buffer that a thread reads requests into. It is wiped after each use, since requests hold passwords.

use super::connection::{Connection, Received};
use mailauth_protocol::MAX_REQUEST;
use std::ops::Deref;
use zeroize::{Zeroize as _, Zeroizing};

/// Buffer for one request of maximum length.
pub(crate) struct ReadBuffer(Zeroizing<Vec<u8>>);

/// Bytes that were read. They are wiped when this is dropped.
pub(crate) struct Input<'a>(&'a mut [u8]);

impl ReadBuffer {
    pub fn new() -> Self {
        ReadBuffer(Zeroizing::new(vec![0; MAX_REQUEST]))
    }

    /// Reads once from `connection`. Returns `None` if no input has arrived, and no bytes at the end of input.
    pub fn receive(&mut self, connection: &Connection) -> Option<Input<'_>> {
        match connection.receive(&mut self.0) {
            Received::Nothing => None,
            Received::Ended => Some(Input(&mut [])),
            Received::Bytes(count) => self.0.get_mut(..count).map(Input),
        }
    }
}

impl Deref for Input<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0
    }
}

impl Drop for Input<'_> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
