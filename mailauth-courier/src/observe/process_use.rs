//! What the process of the daemon uses, under the names that Prometheus's own clients have for it.

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// Use of processors, memory and descriptors at one time. What the system does not tell is `None`.
pub(crate) struct ProcessUse {
    /// Processor time in seconds.
    pub cpu_seconds: f64,
    /// Resident memory in bytes.
    pub resident: Option<u64>,
    /// Virtual memory in bytes.
    pub virtual_memory: Option<u64>,
    /// Number of threads.
    pub threads: Option<u64>,
    /// Number of open descriptors.
    pub open_descriptors: Option<u64>,
    /// Maximum number of open descriptors.
    pub max_descriptors: Option<u64>,
    /// Start of the daemon, in seconds since 1970.
    pub started: f64,
}

impl ProcessUse {
    /// Returns what this process uses now.
    pub fn now(started: SystemTime) -> Self {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kibibytes = |name| number(&status, name).map(|number| number.saturating_mul(1024));
        // One descriptor is that of the folder itself.
        let descriptors = fs::read_dir("/proc/self/fd").map(|entries| (entries.count() as u64).saturating_sub(1));
        ProcessUse {
            cpu_seconds: time.tv_sec as f64 + time.tv_nsec as f64 / 1e9,
            resident: kibibytes("VmRSS:"),
            virtual_memory: kibibytes("VmSize:"),
            threads: number(&status, "Threads:"),
            open_descriptors: descriptors.ok(),
            max_descriptors: getrlimit(Resource::Nofile).current,
            started: started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        }
    }
}

/// Returns the number in a line of `/proc/self/status`, as of proc(5).
fn number(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_uses_memory_descriptors_and_time() {
        let used = ProcessUse::now(SystemTime::now());
        assert!(used.cpu_seconds > 0.0 && used.started > 1.6e9, "{} {}", used.cpu_seconds, used.started);
        assert!(used.resident.is_some_and(|bytes| bytes > 100_000) && used.virtual_memory > used.resident);
        assert!(used.threads.is_some_and(|threads| threads > 1));
        assert!(used.open_descriptors.is_some_and(|open| open > 2) && used.open_descriptors < used.max_descriptors);
    }
}
