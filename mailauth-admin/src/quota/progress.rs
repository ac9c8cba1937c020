//! A progress bar, for somebody who sits at a terminal.

use rustix::termios::isatty;
use std::io::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often it is drawn.
const EVERY: Duration = Duration::from_millis(100);

/// A bar on the standard error; nothing when that is no terminal.
pub struct Progress {
    total: usize,
    state: Option<Mutex<(usize, Instant)>>,
}

impl Progress {
    pub fn of(total: usize) -> Self {
        let shown = total > 1 && isatty(io::stderr());
        Progress { total, state: shown.then(|| Mutex::new((0, Instant::now()))) }
    }

    /// One more is done.
    pub fn step(&self) {
        let Some(Ok(mut state)) = self.state.as_ref().map(Mutex::lock) else { return };
        state.0 += 1;
        if state.1.elapsed() >= EVERY {
            state.1 = Instant::now();
            let full = state.0 * 40 / self.total;
            let bar = format!("\r[{}{}] {} of {}", "#".repeat(full), ".".repeat(40 - full), state.0, self.total);
            let _ = io::stderr().lock().write_all(bar.as_bytes());
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
