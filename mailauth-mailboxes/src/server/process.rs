//! Starts the processes that become owners, kills them, and collects their exit status.

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A child process.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    over: bool,
}

impl Process {
    /// Starts a process that does `work`, and has no other descriptors than standard error and those in `kept`.
    ///
    /// The calling process must have only one thread.
    ///
    /// # Errors
    /// Fails if the system cannot start another process.
    pub fn start(kept: &[BorrowedFd<'_>], work: impl FnOnce() -> i32) -> io::Result<Self> {
        // SAFETY: there is only one thread, so that no other thread holds a lock in the child.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                // A panic must not unwind into the code of the parent.
                let work = || if close_others(kept).is_ok() { work() } else { 1 };
                let code = catch_unwind(AssertUnwindSafe(work)).unwrap_or(1);
                // SAFETY: this ends the child at once. No destructor of the parent's values is run.
                unsafe { libc::_exit(code) }
            }
            pid => match Pid::from_raw(pid) {
                Some(pid) => Ok(Process { pid, over: false }),
                None => Err(io::Error::other("fork(2) returned no process")),
            },
        }
    }

    /// Returns its process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Kills the process.
    pub fn kill(&self) {
        if !self.over {
            let _ = kill_process(self.pid, Signal::KILL); // if this fails, it has ended already
        }
    }

    /// Waits for its end. Returns its exit code; `None` if a signal ended it.
    pub fn wait(mut self) -> Option<i32> {
        self.over = true;
        loop {
            match waitpid(Some(self.pid), WaitOptions::empty()) {
                Err(Errno::INTR) => {}
                Ok(Some((_, status))) => return status.exit_status(),
                _ => return None,
            }
        }
    }

    /// Returns true if it has ended. Does not wait.
    pub fn is_over(&mut self) -> bool {
        if !self.over {
            // ECHILD means that its status was collected before.
            self.over = !matches!(waitpid(Some(self.pid), WaitOptions::NOHANG), Ok(None));
        }
        self.over
    }
}

/// Ignores the signals that would end this process and those that it starts. Only SIGKILL ends them.
pub fn ignore_signals() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // SAFETY: no handler is installed, so no code of this program runs when a signal arrives.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Closes all descriptors above standard error, except `kept`.
fn close_others(kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<u32> = kept.iter().filter_map(|fd| u32::try_from(fd.as_raw_fd()).ok()).collect();
    kept.sort_unstable();
    let mut first = 3;
    for number in kept.into_iter().filter(|number| *number >= 3) {
        if number > first {
            close_range(first, number - 1)?;
        }
        first = number + 1;
    }
    close_range(first, u32::MAX)
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: the arguments are numbers. The child never uses the owners of these descriptors again: it ends without
    // running their destructors.
    match unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
