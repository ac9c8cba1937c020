//! Becoming the next program.

use crate::environment::Changes;
use crate::{End, fallback};
use mailauth_core::process_memory;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Replaces this program by `program` with its arguments, found along PATH or else the system's default path, in an
/// environment with these changes. Descriptors that were there stay; signals are back at their defaults, and the limit of
/// core dumps at what it was.
///
/// Returns only when that fails.
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
    // exec of the standard library gives SIGPIPE, which its start ignores, its default again, and unblocks all signals.
    let error = command.exec();
    End::NotNow(format!("{} cannot be run: {error}", program.display()))
}
