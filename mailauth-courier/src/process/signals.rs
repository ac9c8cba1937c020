//! Signals, taken one at a time by a thread that waits for them: no handler, so nothing that a handler may not do.

use std::io;
use std::mem::MaybeUninit;

/// What the administrator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

/// The signals of [`Signal`], blocked in this thread and in all that it starts.
pub struct Signals(libc::sigset_t);

impl Signals {
    /// Blocks the signals. Call it before other threads are started, or they could be ended by them.
    ///
    /// # Errors
    /// Never on Linux.
    pub fn block() -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset fills `set` before anything reads it; the rest takes pointers to that live set.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            let set = set.assume_init();
            match libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) {
                0 => Ok(Signals(set)),
                error => Err(io::Error::from_raw_os_error(error)),
            }
        }
    }

    /// Waits for the next signal.
    pub fn wait(&self) -> Signal {
        loop {
            let mut signal = 0;
            // SAFETY: both pointers are to live values.
            match unsafe { libc::sigwait(&self.0, &mut signal) } {
                0 if signal == libc::SIGHUP => return Signal::Reload,
                0 => return Signal::Stop,
                _ => {}
            }
        }
    }
}
