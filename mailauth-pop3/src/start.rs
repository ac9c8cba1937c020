//! The start of the process without that of the standard library, which reads `/proc/self/maps` and prepares messages
//! about stack overflows: a twentieth of the time that a login takes. The parts of it that are needed are here.

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, fcntl_getfd};
use std::os::fd::{BorrowedFd, IntoRawFd, RawFd};
use std::panic::catch_unwind;

/// Exit code of "not now", as in [`crate::End`].
const NOT_NOW: u8 = 111;

/// Runs `main` and returns the exit code of the process. A panic is "not now".
pub fn start(main: fn() -> u8) -> u8 {
    if open_standard_descriptors().is_err() {
        return NOT_NOW;
    }
    // SAFETY: this process has no handler for the signal and no second thread. The signal is ignored, so that a message to
    // a caller that no longer reads is an error, and the process still ends with its exit code.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    catch_unwind(main).unwrap_or(NOT_NOW)
}

/// Opens `/dev/null` for each standard descriptor that is closed, so that no file or socket of this program becomes one
/// of them and receives messages.
fn open_standard_descriptors() -> Result<(), Errno> {
    for descriptor in 0..=2 as RawFd {
        // SAFETY: the descriptor is borrowed for one call only, which checks whether it is open.
        let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
        if fcntl_getfd(borrowed) == Err(Errno::BADF) {
            // The system uses the lowest free number, which is this one. It stays open until the process ends.
            let _ = open(c"/dev/null", OFlags::RDWR, Mode::empty())?.into_raw_fd();
        }
    }
    Ok(())
}
