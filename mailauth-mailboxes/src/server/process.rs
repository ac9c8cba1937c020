//! Starting the processes that become owners, ending them, and taking note of their end.

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A process that this one has started.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    over: bool,
}

impl Process {
    /// Starts a process that has no other descriptors than the standard error and those in `kept`, and does `work`.
    ///
    /// This process must have one thread.
    ///
    /// # Errors
    /// Fails if the system gives no more processes.
    pub fn start(kept: &[BorrowedFd<'_>], work: impl FnOnce() -> i32) -> io::Result<Self> {
        // SAFETY: there is one thread, so the copy of this process has no lock that another thread holds.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                // A panic must not go on where this process is a copy of the other.
                let work = || if close_others(kept).is_ok() { work() } else { 1 };
                let code = catch_unwind(AssertUnwindSafe(work)).unwrap_or(1);
                // SAFETY: this ends the process at once. What is still open belongs to the process that it is a copy of.
                unsafe { libc::_exit(code) }
            }
            pid => match Pid::from_raw(pid) {
                Some(pid) => Ok(Process { pid, over: false }),
                None => Err(io::Error::other("fork(2) returned no process")),
            },
        }
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Ends it, whatever it does.
    pub fn kill(&self) {
        if !self.over {
            let _ = kill_process(self.pid, Signal::KILL); // it is over, and is taken note of
        }
    }

    /// Waits for its end. Returns its exit code; none if a signal ended it.
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
            // ECHILD: it was taken note of.
            self.over = !matches!(waitpid(Some(self.pid), WaitOptions::NOHANG), Ok(None));
        }
        self.over
    }
}

/// Lets no signal end this process and those that it starts but SIGKILL.
pub fn ignore_signals() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // SAFETY: no handler is installed, so nothing of this program runs when one of them comes.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Closes all descriptors beyond the standard error but these, and takes the standard input and output away.
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
    // SAFETY: numbers only. In the copy of a process, whatever owned these descriptors is never used again: the copy ends
    // without running any destructor of what it was a copy of.
    match unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
