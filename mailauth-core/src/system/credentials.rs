//! The process at the other end of a unix socket: the kernel reports the credentials of the process that connected, or
//! called listen(2) (unix(7), `SO_PEERCRED`).

use rustix::fd::{AsRawFd, BorrowedFd};
use std::io;

/// Returns the credentials of the peer. The pid is 0 if its process is in a namespace that is not visible from here.
///
/// rustix has a function for this too, but with an invalid value for that pid.
///
/// # Errors
/// Fails if the kernel does not report them.
pub fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<libc::ucred> {
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `peer` is a live ucred of `length` bytes, for which all bytes are valid.
    let status = unsafe {
        let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
        libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut peer).cast(), &mut length)
    };
    if status == 0 && length as usize == size_of::<libc::ucred>() { Ok(peer) } else { Err(io::Error::last_os_error()) }
}
