//! Signals that end the command, postponed until its work can stop without leaving anything behind.

use std::mem::MaybeUninit;

/// The signals that a user or the system ends a command with.
const SIGNALS: [libc::c_int; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// A time in which the signals are postponed. It ends when this is dropped, and the process with it if one has come.
pub struct Postponed(libc::sigset_t);

impl Postponed {
    /// Postpones the signals. Reaching a limit of file sizes becomes an ordinary error.
    pub fn begin() -> Self {
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: ignoring a signal runs no code of ours. `set` returns an initialized set, and pthread_sigmask fills
        // `before`, which it does on every system unless its first argument is wrong.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::sigemptyset(before.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_BLOCK, &set(), before.as_mut_ptr());
            Postponed(before.assume_init())
        }
    }
}

impl Drop for Postponed {
    fn drop(&mut self) {
        // SAFETY: the set is initialized, and no previous mask is asked for.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }
}

/// Returns true if one of the signals has come.
pub fn is_interrupted() -> bool {
    let mut pending = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initializes the set, which sigpending fills and sigismember reads.
    unsafe {
        libc::sigemptyset(pending.as_mut_ptr());
        libc::sigpending(pending.as_mut_ptr());
        let pending = pending.assume_init();
        SIGNALS.iter().any(|signal| libc::sigismember(&pending, *signal) == 1)
    }
}

fn set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initializes the set before anything reads it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in SIGNALS {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}
