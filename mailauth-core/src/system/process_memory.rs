//! Keeps the memory of a process from other processes and from files.
//!
//! A process that is not dumpable writes no core dump, whatever handler the system has, and no other process of its
//! user can trace it or read its memory: only root can. The limit of core dumps is lowered too, for programs that check
//! it. Pages with passwords therefore need no mark of their own (`MADV_DONTDUMP`). They are not locked either: a
//! password is in memory only while its request is processed, and is wiped afterwards.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use std::sync::OnceLock;

/// Limit of core dumps that the process was started with.
static FORMER: OnceLock<Rlimit> = OnceLock::new();

/// Prevents core dumps of this process, and keeps its memory from all processes but those of root. To be called at the
/// start of a program, not by a library in the process of another program.
pub fn keep_private() {
    // Neither call can fail: a soft limit may always be lowered. If a sandbox forbids one of them, the other remains.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let former = FORMER.get_or_init(|| getrlimit(Resource::Core));
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: former.maximum });
}

/// Restores the limit of core dumps that the process was started with, for the program that replaces this one. The
/// other effects of [`keep_private`] end with the program.
pub fn restore_core_limit() {
    if let Some(former) = FORMER.get() {
        let _ = setrlimit(Resource::Core, *former);
    }
}
