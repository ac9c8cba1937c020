//! Cost of one run of a program.

use rustix::process::Pid;
use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

/// Time and memory of a process from its start to its end.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Processor time, in user and system mode.
    pub cpu: Duration,
    /// Elapsed time from its start to its end.
    pub wall: Duration,
    /// Peak resident memory, in bytes. It is never less than what this process had resident when it started the other,
    /// because the kernel counts that too.
    pub memory: u64,
}

/// Runs a program to its end and returns its cost.
///
/// # Panics
/// Panics if the program cannot be run or fails: its cost would mean nothing.
#[expect(clippy::zombie_processes, reason = "wait4 reaps it")]
pub fn of(command: &mut Command) -> Cost {
    let begin = Instant::now();
    let child = command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let (status, usage) = wait(Pid::from_child(&child)).expect("our own child");
    let wall = begin.elapsed();
    assert_eq!(status, 0, "{command:?} failed");
    let time = |time: libc::timeval| Duration::from_micros(time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64);
    Cost { cpu: time(usage.ru_utime) + time(usage.ru_stime), wall, memory: usage.ru_maxrss as u64 * 1024 }
}

/// Waits for a child and returns its status and resource usage; the standard library does not report the latter.
fn wait(pid: Pid) -> io::Result<(i32, libc::rusage)> {
    let mut status = 0;
    // SAFETY: a struct of integers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to variables of ours that live until the call returns.
        let waited = unsafe { libc::wait4(pid.as_raw_nonzero().get(), &mut status, 0, &mut usage) };
        match waited {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            -1 => return Err(io::Error::last_os_error()),
            _ => return Ok((status, usage)),
        }
    }
}
