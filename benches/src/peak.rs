//! What a program takes from its start to its end.

use rustix::process::Pid;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a program took.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// From its start to its end.
    pub time: Duration,
    /// The most memory that it had at once, in bytes.
    pub memory: u64,
}

/// Between two looks at the memory of a program.
const PAUSE: Duration = Duration::from_millis(5);

/// Runs a program to its end. What it prints goes to `output`.
///
/// What the system tells of a child that has ended counts in the memory of the process that it was forked from. So its own
/// is looked at while it runs: it only grows, and what is missed is what it takes in the last five
/// milliseconds.
///
/// # Panics
/// When it cannot be started, or fails.
pub fn run(command: &mut Command, output: &Path) -> Run {
    let output = File::create(output).expect("a file for the output");
    let begin = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(output).spawn().expect("a program");
    let pid = Pid::from_child(&child);
    let mut memory = 0;
    let status = loop {
        // Nothing is left of it once it has ended.
        memory = memory.max(memory_of(pid));
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        std::thread::sleep(PAUSE);
    };
    assert!(status.success(), "{command:?}: {status}");
    Run { time: begin.elapsed(), memory }
}

/// The most memory that a running process had at once since it began, in bytes.
pub fn memory_of(pid: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}
