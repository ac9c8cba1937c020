//! Calls a checkpassword program, with a record on descriptor 3 and a program to execute.

use crate::process::Child;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Descriptor of the record.
const RECORD: i32 = 3;

/// Maximum time that a program may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Returns a record of login, password and timestamp.
pub fn record(login: impl AsRef<[u8]>, password: impl AsRef<[u8]>, timestamp: impl AsRef<[u8]>) -> Vec<u8> {
    [login.as_ref(), password.as_ref(), timestamp.as_ref()].map(|field| [field, b"\0"].concat()).concat()
}

/// How a program ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its exit code.
    pub code: Option<i32>,
    /// Standard output of the program, or of the one that it executed.
    pub output: String,
    /// Its standard error.
    pub said: String,
    /// Time from its start to its end.
    pub took: Duration,
}

/// Starts `command` with this record, and waits for its end.
///
/// # Panics
/// Panics if it cannot be started, or does not end.
pub fn call(mut command: Command, record: &[u8]) -> Outcome {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    pass(&mut command, OwnedFd::from(reader));
    let begin = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Child::spawn(command);
    // It may end before it has read everything.
    let _ = writer.write_all(record);
    drop(writer);
    let (mut out, mut err) = (child.inner().stdout.take(), child.inner().stderr.take());
    let status = child.wait(LIMIT).expect("its end");
    let took = begin.elapsed();
    Outcome { code: status.code(), output: text(&mut out), said: text(&mut err), took }
}

/// Passes descriptor 3 to `command`.
pub fn pass(command: &mut Command, reader: OwnedFd) {
    give(command, reader, RECORD);
}

/// Passes a descriptor to `command` under a number.
pub fn give(command: &mut Command, descriptor: OwnedFd, number: i32) {
    // SAFETY: between fork and exec, this only makes system calls on numbers. dup2 of a descriptor to itself would
    // leave it to be closed, so that case clears the flag.
    unsafe {
        command.pre_exec(move || {
            let own = descriptor.as_raw_fd();
            let done = if own == number { libc::fcntl(own, libc::F_SETFD, 0) } else { libc::dup2(own, number) };
            if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
        });
    }
}

fn text(from: &mut Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.read_to_end(&mut bytes).expect("what it printed");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes a shell script that every user can execute.
///
/// # Panics
/// Panics if it cannot be written.
pub fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let mut file = File::create(path).expect("a script");
    write!(file, "#!/bin/sh\n{text}\n").expect("a script");
    file.set_permissions(std::fs::Permissions::from_mode(0o755)).expect("its mode");
}
