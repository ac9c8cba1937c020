//! Progress, shown on a terminal.

use rustix::termios::isatty;
use std::io::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Time between two updates of the terminal.
const EVERY: Duration = Duration::from_millis(100);

/// A count on the standard error, if that is a terminal.
pub struct Progress {
    /// What is counted, such as `mailboxes`.
    counted: &'static str,
    state: Option<Mutex<(usize, Instant)>>,
}

impl Progress {
    /// Begins to count these things, such as `mailboxes`.
    pub fn of(counted: &'static str) -> Self {
        Progress { counted, state: isatty(io::stderr()).then(|| Mutex::new((0, Instant::now()))) }
    }

    /// Counts one that is done.
    pub fn step(&self) {
        let Some(Ok(mut state)) = self.state.as_ref().map(Mutex::lock) else { return };
        state.0 += 1;
        if state.1.elapsed() >= EVERY {
            state.1 = Instant::now();
            let _ = write!(io::stderr().lock(), "\r{} {}", state.0, self.counted);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.state.is_some() {
            let _ = io::stderr().lock().write_all(b"\r\x1b[K");
        }
    }
}
