//! Room for the longest reply, of which only the part that is used costs anything.

use crate::MAX_REPLY;
use rustix::buffer::spare_capacity;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use zeroize::Zeroize;

/// The bytes of a reply, which may hold a password. They are wiped when this is dropped or used again.
///
/// Most replies have less than 300 bytes. Room that was never written to holds nothing to wipe, and the system has not
/// even provided memory for it: Exim would pay for that with several page faults in each of its processes.
pub(super) struct ReplyBuffer(Vec<u8>);

impl ReplyBuffer {
    /// Returns an empty buffer with room for a reply and one byte more, by which a longer one is recognized.
    pub fn new() -> Self {
        ReplyBuffer(Vec::with_capacity(MAX_REPLY + 1))
    }

    /// Returns what was received.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Receives more bytes, and returns their number: 0 at the end of the connection, and if there is no room.
    pub fn receive(&mut self, socket: &OwnedFd) -> Result<usize, Errno> {
        // The vector never grows, so that no copy of a password stays behind.
        recv(socket, spare_capacity(&mut self.0), RecvFlags::empty()).map(|(count, _)| count)
    }

    /// Wipes and removes what was received.
    pub fn clear(&mut self) {
        self.0.as_mut_slice().zeroize();
        self.0.clear();
    }
}

impl Drop for ReplyBuffer {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

    #[test]
    fn a_buffer_takes_one_byte_more_than_a_reply_and_never_grows() {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        assert_eq!(send(&theirs, &[b'x'; MAX_REPLY + 9], SendFlags::empty()).unwrap(), MAX_REPLY + 9);
        let mut buffer = ReplyBuffer::new();
        let room = buffer.0.as_ptr();
        while buffer.receive(&ours).unwrap() > 0 {}
        assert!(buffer.bytes().len() > MAX_REPLY && buffer.bytes().iter().all(|byte| *byte == b'x'));
        assert_eq!(buffer.0.as_ptr(), room);
        buffer.clear();
        assert_eq!(buffer.bytes(), b"");
        assert_eq!(buffer.receive(&ours), Ok(9 - (buffer.0.capacity() - MAX_REPLY)), "the rest");
        assert_eq!(buffer.bytes().len(), 9 - (buffer.0.capacity() - MAX_REPLY));
    }
}
