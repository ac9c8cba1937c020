//! The resources of a process, from proc(5), to see if they grow.

use rustix::process::Pid;
use std::fs;

/// Resources of a process.
#[derive(Clone, Copy, Debug)]
pub struct Holdings {
    /// Resident memory in KiB.
    pub kilobytes: usize,
    /// Peak of the resident memory in KiB.
    pub peak_kilobytes: usize,
    /// Address space in KiB.
    pub address_space: usize,
    /// Number of open descriptors.
    pub descriptors: usize,
    /// Number of threads.
    pub threads: usize,
}

impl Holdings {
    /// Reads the resources of a running process.
    ///
    /// # Panics
    /// Panics if the process is not running.
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
