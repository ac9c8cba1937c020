//! Progress of long work, shown on a terminal with the time that is left.
//!
//! The bar is on the standard error, and only if that is a terminal that can move its cursor and no JSON is printed. It
//! appears once the work has taken a moment, and is removed at the end, also if the command is interrupted.

use crate::output::speaks_json;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mailauth_core::sync::Mutex;
use rustix::termios::isatty;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time after which the bar appears.
const DELAY: Duration = Duration::from_millis(300);

/// Bar that is on the screen.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Whether a signal is ending the process, so that nothing more is drawn.
static ENDS: AtomicBool = AtomicBool::new(false);

/// Progress of some work. Nothing is shown if the terminal cannot show it.
pub struct Progress(Option<Visible>);

struct Visible {
    bar: ProgressBar,
    begun: Instant,
    drawn: AtomicBool,
}

impl Progress {
    /// Begins to count these things, such as `mailboxes`. `total` returns their number if that is known; it is asked only
    /// if it is shown.
    pub fn of(counted: &'static str, total: impl FnOnce() -> Option<u64>) -> Self {
        Self::begin(|| match total() {
            Some(total) => styled(total, "{bar:24} {human_pos} of {human_len} {msg}, {eta} left", counted),
            None => styled(0, "{human_pos} {msg}, {per_sec}", counted),
        })
    }

    /// Begins to count the bytes of some work, such as `importing`.
    pub fn of_bytes(work: &'static str, total: u64) -> Self {
        Self::begin(|| styled(total, "{msg} {bar:24} {bytes} of {total_bytes}, {eta} left", work))
    }

    fn begin(bar: impl FnOnce() -> ProgressBar) -> Self {
        let visible = is_shown().then(|| Visible { bar: bar(), begun: Instant::now(), drawn: AtomicBool::new(false) });
        Progress(visible)
    }

    /// Returns progress that is not shown.
    pub fn hidden() -> Self {
        Progress(None)
    }

    /// Counts one that is done.
    pub fn step(&self) {
        self.advance(1);
    }

    /// Counts several that are done.
    pub fn advance(&self, count: u64) {
        let Some(visible) = self.0.as_ref().filter(|_| !ENDS.load(Ordering::Relaxed)) else { return };
        visible.bar.inc(count);
        if visible.begun.elapsed() >= DELAY && !visible.drawn.swap(true, Ordering::Relaxed) {
            clear_at_signals();
            visible.bar.set_draw_target(ProgressDrawTarget::stderr());
            *SHOWN.lock() = Some(visible.bar.clone());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(visible) = &self.0 {
            visible.bar.finish_and_clear();
            SHOWN.lock().take();
        }
    }
}

/// Returns a bar that is not drawn yet. It is shorter than the 80 columns of a small terminal: a signal removes one line.
fn styled(total: u64, template: &str, message: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden()).with_message(message);
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style.progress_chars("#>."))
}

/// Returns true if the terminal can show a bar.
fn is_shown() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|kind| kind.is_empty() || kind == "dumb");
    isatty(io::stderr()) && !is_dumb && !speaks_json()
}

/// Writes something to the terminal while the bar is taken away.
pub fn aside<T>(write: impl FnOnce() -> T) -> T {
    let shown = SHOWN.lock().clone();
    match shown {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Makes the signals that end a command remove the bar first. Ignored signals stay ignored.
fn clear_at_signals() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
        // SAFETY: both structures are valid for the calls; the handler calls only functions that are safe in handlers.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(signal, std::ptr::null(), &mut action) != 0 || action.sa_sigaction == libc::SIG_IGN {
                continue;
            }
            action.sa_sigaction = clear_and_end as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_RESETHAND;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

/// Removes the bar, and ends the process by the same signal.
extern "C" fn clear_and_end(signal: libc::c_int) {
    const CLEAR: &[u8] = b"\r\x1b[K";
    ENDS.store(true, Ordering::Relaxed);
    // SAFETY: write(2) and raise(3) may be called in a handler, and the bytes are valid. The signal has its default action
    // again, and is delivered when this returns.
    unsafe {
        libc::write(libc::STDERR_FILENO, CLEAR.as_ptr().cast(), CLEAR.len());
        libc::raise(signal);
    }
}
