//! Replaces this program by the second one, which asks the database itself.

use crate::End;
use crate::record::{DESCRIPTOR, Received};
use mailauth_core::process_memory;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::{fd::OwnedFd, io};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Name of the second program, which is in the same folder as this one, whatever name or link this one was called by.
pub const PROGRAM: &str = "mailauth-pop3-database";

/// Environment variable that tells the second program why it was started. It is removed for every other program.
pub const WHY: &str = "MAILAUTH_DAEMON_AWAY";

/// Replaces this program by the second one, with the same name and arguments, and the record on descriptor 3 again.
///
/// Returns only if that fails.
pub fn switch(received: Received, why: &str) -> End {
    let not_now = |problem: std::io::Error| End::NotNow(format!("{why}; and {PROGRAM} cannot be run: {problem}"));
    if let Err(errno) = put_back(received) {
        return not_now(errno.into());
    }
    let program = match std::env::current_exe() {
        Ok(own) => own.with_file_name(PROGRAM),
        Err(error) => return not_now(error),
    };
    let mut command = Command::new(program);
    let mut arguments = std::env::args_os();
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    // The second program lowers the limit too, and restores for the next program the one that it finds.
    process_memory::restore_core_limit();
    not_now(command.args(arguments).env(WHY, why).exec())
}

/// Puts the record on descriptor 3 again, in a pipe, whose buffer is several times as large as a record.
fn put_back(received: Received) -> io::Result<()> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut rest = received.bytes.expose();
    while !rest.is_empty() {
        let count = io::write(&writer, rest)?;
        rest = rest.get(count..).unwrap_or_default();
    }
    let mut three: OwnedFd = received.channel;
    debug_assert_eq!(std::os::fd::AsRawFd::as_raw_fd(&three), DESCRIPTOR);
    // The duplicate descriptor is not closed at exec.
    io::dup2(&reader, &mut three)?;
    std::mem::forget(three);
    Ok(())
}
