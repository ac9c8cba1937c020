//! Time and peak memory of a program from its start to its end.

use rustix::process::Pid;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Time and peak memory of one run of a program.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Elapsed time from its start to its end.
    pub time: Duration,
    /// Peak resident memory, in bytes.
    pub memory: u64,
}

/// Interval between two readings of a program's memory.
const PAUSE: Duration = Duration::from_millis(5);

/// Runs a program to its end, with its standard output in the file `output`.
///
/// The peak that the system reports for a child that has ended includes the memory of the process that it was forked from.
/// So the peak is read from proc(5) while the program runs: it never shrinks, and only an increase in the last five
/// milliseconds is missed.
///
/// # Panics
/// Panics if the program cannot be started, or fails.
pub fn run(command: &mut Command, output: &Path) -> Run {
    let output = File::create(output).expect("a file for the output");
    let begin = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(output).spawn().expect("a program");
    let pid = Pid::from_child(&child);
    let mut memory = 0;
    let status = loop {
        // Its entry in /proc is gone once it has been waited for.
        memory = memory.max(memory_of(pid));
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        std::thread::sleep(PAUSE);
    };
    assert!(status.success(), "{command:?}: {status}");
    Run { time: begin.elapsed(), memory }
}

/// Returns the peak resident memory of a running process, in bytes.
pub fn memory_of(pid: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}
