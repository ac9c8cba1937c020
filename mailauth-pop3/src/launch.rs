//! Replaces this program by the next one.

use crate::environment::Changes;
use crate::{End, fallback};
use mailauth_core::process_memory;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Replaces this program by `program` with its arguments, with these changes to the environment. The program is searched
/// for in PATH, or in the system's default path if PATH is not set. Descriptors that the caller opened stay open; signals
/// get their default actions again, and the limit of core dumps its former value.
///
/// Returns only if that fails.
pub fn launch(program: &OsString, arguments: &[OsString], changes: Changes) -> End {
    let mut command = Command::new(program);
    command.args(arguments).env_remove(fallback::WHY);
    for (name, value) in changes {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    process_memory::restore_core_limit();
    // `exec` of the standard library restores the default action of SIGPIPE, which the library ignores from its start, and
    // unblocks all signals.
    let error = command.exec();
    End::NotNow(format!("{} cannot be run: {error}", program.display()))
}
