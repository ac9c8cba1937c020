//! Keeping the descriptors of this process from the programs that it starts. Exim calls this code in its own processes,
//! and has connections, databases and message files open there.

use std::ffi::{c_int, c_uint};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The first descriptor after the standard ones.
const FIRST: c_int = 3;

/// Maximum number of descriptors that are handled one by one, on systems that cannot do it at once.
const MOST: c_int = 65_536;

/// Lets the program inherit the three standard descriptors and no other.
pub(super) fn standard_only(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec only system calls are made: no memory is allocated, and no lock is taken.
    unsafe { command.pre_exec(close_others_at_exec) }
}

/// Marks the descriptors to be closed by exec, and not before: the standard library uses one to learn that exec failed.
fn close_others_at_exec() -> io::Result<()> {
    // SAFETY: numbers only; the call changes flags of this process's own descriptors.
    let done = unsafe {
        libc::syscall(libc::SYS_close_range, FIRST as c_uint, c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as c_uint)
    };
    if done == 0 {
        return Ok(());
    }
    // Linux before 5.11. The error for a descriptor that is not open has no meaning.
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
