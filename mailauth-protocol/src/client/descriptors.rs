//! What a program that we start does not get: the descriptors of the process that we live in. Exim holds connections,
//! databases and message files open.

use std::ffi::{c_int, c_uint};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The first descriptor after the standard ones.
const FIRST: c_int = 3;

/// The most descriptors that are looked at one by one, where the system cannot do it at once.
const MOST: c_int = 65_536;

/// Lets the program have the three standard descriptors and no other.
pub(super) fn standard_only(command: &mut Command) -> &mut Command {
    // SAFETY: what runs between fork and exec makes system calls and nothing else: no memory is asked for, and no lock.
    unsafe { command.pre_exec(close_others_at_exec) }
}

/// They end with exec, not before: the standard library has one by which it learns that exec failed.
fn close_others_at_exec() -> io::Result<()> {
    // SAFETY: numbers only; the call changes flags of this process's own descriptors.
    let done = unsafe {
        libc::syscall(libc::SYS_close_range, FIRST as c_uint, c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as c_uint)
    };
    if done == 0 {
        return Ok(());
    }
    // A system older than Linux 5.11. A descriptor that is not open is an error without meaning.
    // SAFETY: sysconf(3) and fcntl(2) take numbers, and change flags of this process's own descriptors.
    unsafe {
        let open = libc::sysconf(libc::_SC_OPEN_MAX);
        let most = c_int::try_from(open).ok().filter(|most| (FIRST..MOST).contains(most)).unwrap_or(MOST);
        for descriptor in FIRST..most {
            libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
    Ok(())
}
