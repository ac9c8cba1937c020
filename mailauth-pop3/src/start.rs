//! The start of the process, without that of the standard library, which reads `/proc/self/maps` and prepares messages
//! about stack overflows: a twentieth of the time that a login takes. What of it we need is here.

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, fcntl_getfd};
use std::os::fd::{BorrowedFd, IntoRawFd, RawFd};
use std::panic::catch_unwind;

/// Not now, as [`crate::End`] has it.
const NOT_NOW: u8 = 111;

/// Runs `main`, and gives the code to end the process with. A panic is "not now".
pub fn start(main: fn() -> u8) -> u8 {
    if open_standard_descriptors().is_err() {
        return NOT_NOW;
    }
    // SAFETY: this process has no handler for the signal and no second thread. Ignored, so that a message to a caller
    // that no longer reads is an error, and the exit code can still be said.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    catch_unwind(main).unwrap_or(NOT_NOW)
}

/// No file or socket of ours may become one of the three standard descriptors, to which messages are written.
fn open_standard_descriptors() -> Result<(), Errno> {
    for descriptor in 0..=2 as RawFd {
        // SAFETY: it is borrowed for one call only, whose very question is whether it is open.
        let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
        if fcntl_getfd(borrowed) == Err(Errno::BADF) {
            // The lowest free number is given: this one. It stays open to the end.
            let _ = open(c"/dev/null", OFlags::RDWR, Mode::empty())?.into_raw_fd();
        }
    }
    Ok(())
}
