//! A thread that saves the ledger in its file.

use super::ledger::Ledger;
use super::state_file::{self, SavedState};
use crate::sync::{Condvar, Mutex};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Interval at which changes are written.
const PAUSE: Duration = Duration::from_secs(30);

/// Writes a ledger to its file every half minute if it has changed, and once more when this is dropped.
pub struct LedgerWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    ledger: Arc<Ledger>,
    path: PathBuf,
    stopped: Mutex<bool>,
    wake: Condvar,
}

impl Ledger {
    /// Returns the ledger in the file, or an empty one. If the file is unusable, logs the reason.
    pub fn from_file(path: &Path) -> Self {
        let mut ledger = Ledger::default();
        match state_file::read(path, ledger.now().as_secs()) {
            Ok(Some(kept)) => kept.into_ledger(&mut ledger),
            Ok(None) => {}
            Err(why) => tracing::warn!(
                "counts of wrong passwords are lost: {} cannot be used: {why}; counting starts from zero, and the file is \
                 replaced",
                path.display()
            ),
        }
        ledger
    }
}

impl LedgerWriter {
    /// Starts to save `ledger` in the file `path`.
    ///
    /// # Errors
    /// Fails if the system cannot start a thread.
    pub fn start(ledger: Arc<Ledger>, path: &Path) -> io::Result<Self> {
        let (stopped, wake) = Default::default();
        let shared = Arc::new(Shared { ledger, path: path.to_owned(), stopped, wake });
        let (of_thread, written) = (Arc::clone(&shared), shared.ledger.changes());
        let thread = Builder::new().name("throttle".into()).spawn(move || of_thread.run(written))?;
        Ok(LedgerWriter { shared, thread: Some(thread) })
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }
}

impl Drop for LedgerWriter {
    fn drop(&mut self) {
        *self.shared.stopped.lock() = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, mut written: u64) {
        let mut reported = false;
        loop {
            let stopped = *self.wake.wait_timeout_while(self.stopped.lock(), PAUSE, |stopped| !*stopped);
            let changes = self.ledger.changes();
            if changes != written {
                match state_file::write(&self.path, &SavedState::of(&self.ledger)) {
                    Ok(()) => (written, reported) = (changes, false),
                    Err(error) if !reported => {
                        self.report(&error);
                        reported = true;
                    }
                    Err(_) => {}
                }
            }
            if stopped {
                return;
            }
        }
    }

    fn report(&self, error: &io::Error) {
        tracing::warn!(
            "counts of wrong passwords will be lost at the next start: {} cannot be written: {error}; create its folder \
             and make the daemon's user its owner, or set [throttle] file",
            self.path.display()
        );
    }
}
