//! Keeping what is in the memory of a process from other processes and from files.
//!
//! A process that is not dumpable writes no core dump, whatever handler the system has for them, and no other process of
//! its user can trace it or read its memory: only root can. The limit of core dumps says the same to who looks at it. So
//! pages with passwords need no mark of their own (`MADV_DONTDUMP`). They are not locked either: a password is in memory
//! for as long as its request takes, and is wiped then.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use std::sync::OnceLock;

/// The limit of core dumps that the process was started with.
static FORMER: OnceLock<Rlimit> = OnceLock::new();

/// Makes this process write no core dump, and keeps its memory from other processes but those of root. For the
/// beginning of a program, not for a library in the process of another.
pub fn keep_private() {
    // Neither can fail: a soft limit may always be lowered. Where a sandbox forbids one, the other is left.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let former = FORMER.get_or_init(|| getrlimit(Resource::Core));
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: former.maximum });
}

/// Gives back the limit of core dumps that the process was started with, for a program that takes its place. The rest of
/// what [`keep_private`] does ends with the program by itself.
pub fn restore_core_limit() {
    if let Some(former) = FORMER.get() {
        let _ = setrlimit(Resource::Core, *former);
    }
}
