//! Processor time and memory of a daemon's processes, from proc(5).

use rustix::process::Pid;
use std::fs;
use std::time::Duration;

/// Returns the processor time that a process and its children have used since they began.
///
/// It is summed over `schedstat` of every thread, in nanoseconds, because `stat` counts in hundredths of a second.
pub fn processor_time(root: Pid) -> Duration {
    tree(root).into_iter().flat_map(threads).map(|path| on_processor(&path)).sum()
}

/// Returns the processor time that a process and its children that have ended have used, to a hundredth of a second
/// (proc(5), `stat`). For a server that starts a process for each client.
pub fn with_ended_children(pid: Pid) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap_or_default();
    // The name, in parentheses, may hold anything; `utime` is the twelfth field after it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_ascii_whitespace();
    let hundredths: u64 = fields.skip(11).take(4).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(hundredths * 10)
}

/// Returns the proportional set size of a process and its children, in bytes: shared memory is divided by the number of
/// processes that share it.
pub fn memory(root: Pid) -> u64 {
    let kib = |pid: Pid| {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", pid.as_raw_pid())).unwrap_or_default();
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0)
    };
    tree(root).into_iter().map(kib).sum::<u64>() * 1024
}

/// Returns a process and its descendants.
pub fn tree(root: Pid) -> Vec<Pid> {
    let mut all = vec![root];
    let mut at = 0;
    while let Some(&pid) = all.get(at) {
        for thread in threads(pid) {
            let children = fs::read_to_string(format!("{thread}/children")).unwrap_or_default();
            all.extend(children.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)));
        }
        at += 1;
    }
    all
}

fn threads(pid: Pid) -> Vec<String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{}/task", pid.as_raw_pid())) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path().display().to_string()).collect()
}

fn on_processor(thread: &str) -> Duration {
    let stat = fs::read_to_string(format!("{thread}/schedstat")).unwrap_or_default();
    let nanos = stat.split_ascii_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0);
    Duration::from_nanos(nanos)
}
