//! Signals, received one at a time by a thread that waits for them. There is no handler, and so none of a handler's
//! restrictions.

use std::io;
use std::mem::MaybeUninit;

/// Order of the administrator, given by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: stop the daemon.
    Stop,
    /// SIGHUP: read the configuration again.
    Reload,
}

/// The signals of [`Signal`], blocked in this thread and in all threads that it starts.
pub struct Signals(libc::sigset_t);

impl Signals {
    /// Blocks the signals. It has to be called before other threads are started: a signal that a thread does not block
    /// would end the process.
    ///
    /// # Errors
    /// Fails if the system refuses to block them, which Linux never does.
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
