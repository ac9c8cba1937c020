//! Starting a program with a record on descriptor 3, as callers of checkpassword do, at the lowest cost: by
//! `posix_spawn`, which copies nothing of this process.

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

/// Descriptor on which a checkpassword program reads the record.
const RECORD: RawFd = 3;

/// Standard error, to which it writes messages for the administrator.
const ERRORS: RawFd = 2;

/// A program with its arguments and its whole environment, ready to be started many times.
#[derive(Clone, Debug)]
pub struct Program {
    arguments: Vec<CString>,
    environment: Vec<CString>,
    silence: Arc<File>,
}

impl Program {
    /// Returns the program at a path, with arguments and an empty environment.
    ///
    /// # Panics
    /// Panics if /dev/null, to which its standard error goes, cannot be opened.
    pub fn new<'a>(path: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let arguments = arguments.into_iter().map(|word| text(word.as_ref()));
        let arguments = [text(path.as_os_str())].into_iter().chain(arguments).collect();
        let silence = File::options().write(true).open("/dev/null").expect("/dev/null");
        Program { arguments, environment: Vec::new(), silence: silence.into() }
    }

    /// Adds a variable to its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let mut entry = format!("{name}=").into_bytes();
        entry.extend(value.as_ref().as_bytes());
        self.environment.push(CString::new(entry).expect("no NUL"));
        self
    }

    /// Runs it to its end, with `record` on descriptor 3. Returns true if it, or the program that it executed, exited with
    /// status 0.
    ///
    /// # Errors
    /// Fails if it cannot be started.
    pub fn run(&self, record: &[u8]) -> Result<bool, Errno> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let child = self.start(reader.as_raw_fd())?;
        drop(reader);
        // A pipe holds many times as much. A program that ends without reading it is judged by its exit code.
        let _ = rustix::io::write(&writer, record);
        drop(writer);
        let (_, status) = waitpid(Some(child), WaitOptions::empty())?.expect("it has ended");
        Ok(status.exit_status() == Some(0))
    }

    fn start(&self, record: RawFd) -> Result<Pid, Errno> {
        let pointers = |texts: &[CString]| -> Vec<*mut libc::c_char> {
            texts.iter().map(|text| text.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
        };
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        let done = |code: i32| if code == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(code)) };
        let mut pid = 0;
        // SAFETY: the actions are initialised before they are used and destroyed after that; both lists end with a
        // null pointer, and the texts that they point to live as long as `self`, which posix_spawn does not write to.
        unsafe {
            let mut actions = std::mem::zeroed();
            done(libc::posix_spawn_file_actions_init(&raw mut actions))?;
            let mut pass = |ours, theirs| done(libc::posix_spawn_file_actions_adddup2(&raw mut actions, ours, theirs));
            let passed = pass(record, RECORD).and_then(|()| pass(self.silence.as_raw_fd(), ERRORS));
            let spawned = passed.and_then(|()| {
                let path = arguments[0];
                let (arguments, environment) = (arguments.as_ptr(), environment.as_ptr());
                done(libc::posix_spawn(&raw mut pid, path, &raw const actions, ptr::null(), arguments, environment))
            });
            libc::posix_spawn_file_actions_destroy(&raw mut actions);
            spawned?;
        }
        Ok(Pid::from_raw(pid).expect("a process id"))
    }
}

fn text(text: &OsStr) -> CString {
    CString::new(text.as_bytes()).expect("no NUL")
}
