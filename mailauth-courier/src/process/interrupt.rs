//! Waking a thread that waits in a system call: the call fails with `EINTR`.
//!
//! A listening socket that remains open for the next process cannot be shut to wake the threads that accept on it.

use std::os::unix::thread::JoinHandleExt;
use std::sync::Once;
use std::thread::JoinHandle;
use std::time::Duration;

/// The signal, whose handler does nothing.
const SIGNAL: libc::c_int = libc::SIGUSR1;

/// Pause before the thread is interrupted again: a signal that arrives just before the call interrupts nothing.
const PAUSE: Duration = Duration::from_millis(1);

/// Waits for the end of the thread, and interrupts it while `waits` returns true.
pub(crate) fn join(thread: JoinHandle<()>, waits: impl Fn() -> bool) {
    handle_signal();
    while !thread.is_finished() {
        if waits() {
            // SAFETY: the thread has not been joined, so its ID is valid; the signal is handled.
            unsafe { libc::pthread_kill(thread.as_pthread_t(), SIGNAL) };
        }
        std::thread::sleep(PAUSE);
    }
    // The panics of a thread are caught where they happen.
    let _ = thread.join();
}

/// Handles the signal by doing nothing. Without `SA_RESTART`, a call that it interrupts is not repeated by the system.
fn handle_signal() {
    extern "C" fn ignore(_: libc::c_int) {}
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a zeroed structure has no flags and an empty mask; the handler does nothing, which is always safe.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = ignore as extern "C" fn(libc::c_int) as libc::sighandler_t;
            libc::sigaction(SIGNAL, &raw const action, std::ptr::null_mut());
        }
    });
}
