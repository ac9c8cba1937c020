//! Becoming the second program, which asks the database itself.

use crate::End;
use crate::record::{DESCRIPTOR, Received};
use mailauth_core::process_memory;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::{fd::OwnedFd, io};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Its name. It stands beside our own program, whatever name or link that was called by.
pub const PROGRAM: &str = "mailauth-pop3-database";

/// The variable by which the second program learns why it was started. No other program gets it.
pub const WHY: &str = "MAILAUTH_DAEMON_AWAY";

/// Replaces this program by the second one, with our name and arguments, and the record on descriptor 3 again.
///
/// Returns only when that fails.
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
    // That program lowers it too, and gives back what it finds to the one that takes its place.
    process_memory::restore_core_limit();
    not_now(command.args(arguments).env(WHY, why).exec())
}

/// A pipe holds many times as much as a record has.
fn put_back(received: Received) -> io::Result<()> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut rest = received.bytes.expose();
    while !rest.is_empty() {
        let count = io::write(&writer, rest)?;
        rest = rest.get(count..).unwrap_or_default();
    }
    let mut three: OwnedFd = received.channel;
    debug_assert_eq!(std::os::fd::AsRawFd::as_raw_fd(&three), DESCRIPTOR);
    // The copy is not closed at exec.
    io::dup2(&reader, &mut three)?;
    std::mem::forget(three);
    Ok(())
}
