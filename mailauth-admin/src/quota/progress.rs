//! Progress, shown on a terminal.

use rustix::termios::isatty;
use std::io::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Time between two updates of the terminal.
const EVERY: Duration = Duration::from_millis(100);

/// A count on the standard error, if that is a terminal.
pub struct Progress(Option<Mutex<(usize, Instant)>>);

impl Progress {
    pub fn new() -> Self {
        Progress(isatty(io::stderr()).then(|| Mutex::new((0, Instant::now()))))
    }

    /// Counts one mailbox that is done.
    pub fn step(&self) {
        let Some(Ok(mut state)) = self.0.as_ref().map(Mutex::lock) else { return };
        state.0 += 1;
        if state.1.elapsed() >= EVERY {
            state.1 = Instant::now();
            let _ = write!(io::stderr().lock(), "\r{} mailboxes", state.0);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.0.is_some() {
            let _ = io::stderr().lock().write_all(b"\r\x1b[K");
        }
    }
}
