//! Keeps the file of a ledger up to date, by a thread of its own.

use super::ledger::Ledger;
use super::state_file::{self, Kept};
use crate::sync::{Condvar, Mutex};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// How often what has changed is written.
const PAUSE: Duration = Duration::from_secs(30);

/// Writes a ledger to its file every half minute, and once more at the end.
pub struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    ledger: Arc<Ledger>,
    path: PathBuf,
    over: Mutex<bool>,
    told: Condvar,
}

impl Ledger {
    /// What the file has, or nothing. A file that cannot be used is told of in the log.
    pub fn from_file(path: &Path) -> Self {
        let mut ledger = Ledger::default();
        match state_file::read(path, ledger.now().as_secs()) {
            Ok(Some(kept)) => kept.into_ledger(&mut ledger),
            Ok(None) => {}
            Err(why) => tracing::warn!(
                "what was counted of wrong passwords is lost: {} cannot be used: {why}; it is counted from nothing, and \
                 the file replaced",
                path.display()
            ),
        }
        ledger
    }
}

impl Keeper {
    /// Begins to keep `ledger` in the file `path`.
    ///
    /// # Errors
    /// Fails if the system gives no thread.
    pub fn start(ledger: Arc<Ledger>, path: &Path) -> io::Result<Self> {
        let (over, told) = Default::default();
        let shared = Arc::new(Shared { ledger, path: path.to_owned(), over, told });
        let (of_thread, written) = (Arc::clone(&shared), shared.ledger.changes());
        let thread = Builder::new().name("throttle".into()).spawn(move || of_thread.run(written))?;
        Ok(Keeper { shared, thread: Some(thread) })
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        *self.shared.over.lock() = true;
        self.shared.told.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, mut written: u64) {
        let mut complained = false;
        loop {
            let over = self.over.lock();
            let waited = self.told.wait_timeout_while(over, PAUSE, |over| !*over);
            let is_over = *waited;
            let changes = self.ledger.changes();
            if changes != written {
                match state_file::write(&self.path, &Kept::of(&self.ledger)) {
                    Ok(()) => (written, complained) = (changes, false),
                    Err(error) if !complained => {
                        self.complain(&error);
                        complained = true;
                    }
                    Err(_) => {}
                }
            }
            if is_over {
                return;
            }
        }
    }

    fn complain(&self, error: &io::Error) {
        tracing::warn!(
            "wrong passwords that were counted will be forgotten at the next start: {} cannot be written: {error}; make \
             its folder and give it to the daemon's user, or see [throttle] file",
            self.path.display()
        );
    }
}
