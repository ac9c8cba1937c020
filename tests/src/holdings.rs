//! What a process holds, from proc(5): to see whether it grows.

use rustix::process::Pid;
use std::fs;

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub struct Holdings {
    /// Resident memory in KiB.
    pub kilobytes: usize,
    /// The most resident memory that it ever held, in KiB.
    pub peak_kilobytes: usize,
    /// Its address space in KiB.
    pub address_space: usize,
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
}

impl Holdings {
    /// Of a process that runs.
    ///
    /// # Panics
    /// Panics if it does not.
    pub fn of(pid: Pid) -> Self {
        let process = format!("/proc/{}", pid.as_raw_nonzero());
        let status = fs::read_to_string(format!("{process}/status")).expect("a process that runs");
        let value = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).expect("its line");
            line.split_whitespace().nth(1).and_then(|value| value.parse().ok()).expect("its number")
        };
        let descriptors = fs::read_dir(format!("{process}/fd")).expect("its descriptors").count();
        let [kilobytes, peak_kilobytes, address_space, threads] =
            ["VmRSS:", "VmHWM:", "VmSize:", "Threads:"].map(value);
        Holdings { kilobytes, peak_kilobytes, address_space, descriptors, threads }
    }
}
