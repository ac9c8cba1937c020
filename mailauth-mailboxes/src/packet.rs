//! Packets on unix sockets of the type SEQPACKET, which may carry a descriptor.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socket_with, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

/// Maximum number of descriptors that are received with a packet. One is expected.
const MOST_DESCRIPTORS: usize = 4;

/// Result of receiving.
#[derive(Debug)]
pub enum Received {
    /// A packet of this length, and a descriptor if it carried exactly one. A packet longer than the buffer has length 0.
    Packet(usize, Option<OwnedFd>),
    /// The other side has closed the connection.
    End,
}

/// Returns a new socket that is not connected.
pub(crate) fn socket() -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Returns two connected sockets. Neither is inherited by another program.
///
/// # Errors
/// Fails if there are no descriptors left.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Sends a packet at once, and `descriptor` with it.
///
/// # Errors
/// Fails with [`Errno::AGAIN`] if there is no room for it, and with another error if the connection is closed.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    loop {
        match sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Receives a packet without waiting.
///
/// # Errors
/// Fails with [`Errno::AGAIN`] if no packet has arrived, and with another error if the connection is broken.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Received, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let got = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            descriptors.extend(some);
        }
    }
    if got.bytes == 0 && descriptors.is_empty() {
        return Ok(Received::End);
    }
    let whole = !got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    let only = if descriptors.len() == 1 { descriptors.pop() } else { None };
    Ok(Received::Packet(if whole { got.bytes } else { 0 }, only))
}

/// Waits until `socket` is ready, or until `deadline`. Returns true if it is ready.
///
/// # Errors
/// Fails if the system cannot wait.
pub fn wait(socket: BorrowedFd<'_>, what: PollFlags, deadline: Instant) -> Result<bool, Errno> {
    loop {
        let left = timespec(deadline.saturating_duration_since(Instant::now()));
        match poll(&mut [PollFd::from_borrowed_fd(socket, what)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: duration.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: duration.subsec_nanos().into() }
}

/// Returns the user at the other end of a connection, at the time when it connected or began to listen.
///
/// # Errors
/// Fails if the kernel does not report the user.
pub fn peer(socket: impl AsFd) -> io::Result<u32> {
    mailauth_core::credentials::peer_credentials(socket.as_fd()).map(|peer| peer.uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_whole_or_empty() {
        let (here, there) = pair().unwrap();
        let mut buffer = [0; 4];
        assert!(matches!(receive(there.as_fd(), &mut buffer), Err(Errno::AGAIN)));
        send(here.as_fd(), b"four", None).unwrap();
        send(here.as_fd(), b"fives", None).unwrap();
        assert!(matches!(receive(there.as_fd(), &mut buffer).unwrap(), Received::Packet(4, None)));
        assert!(matches!(receive(there.as_fd(), &mut buffer).unwrap(), Received::Packet(0, None)));
        drop(here);
        assert!(matches!(receive(there.as_fd(), &mut buffer).unwrap(), Received::End));
    }

    #[test]
    fn a_packet_carries_exactly_one_descriptor() {
        let (here, there) = pair().unwrap();
        let (reply, kept) = pair().unwrap();
        let mut buffer = [0; 4];
        send(here.as_fd(), b"q", Some(reply.as_fd())).unwrap();
        drop(reply);
        let Received::Packet(1, Some(reply)) = receive(there.as_fd(), &mut buffer).unwrap() else { panic!("nothing") };
        send(reply.as_fd(), b"a", None).unwrap();
        assert!(matches!(receive(kept.as_fd(), &mut buffer).unwrap(), Received::Packet(1, None)));
        assert_eq!(peer(&kept).unwrap(), rustix::process::geteuid().as_raw());
    }
}
