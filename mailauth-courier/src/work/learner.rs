//! Learning at intervals which kinds of passwords the table contains.
//!
//! The time of a refusal depends on them, so that it reveals nothing ([`Authenticator::learn_kinds`]). A thread of its
//! own does this, so that no login waits for it.

use crate::process::panic::catch_panic;
use crate::shared::Shared;
use mailauth_core::authenticate::Authenticator;
use mailauth_core::sync::{Condvar, Mutex, MutexGuard};
use std::io;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

/// Time until the next time. Passwords change and accounts are added, but slowly.
const INTERVAL: Duration = Duration::from_secs(3600);

/// Time until the next time after a failure.
const RETRY: Duration = Duration::from_secs(10);

/// Controls the thread that learns.
pub(crate) struct Learner {
    control: Arc<Control>,
}

#[derive(Default)]
struct Control {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// True if there is another authenticator.
    restarted: bool,
    stopped: bool,
}

impl Learner {
    /// Starts to learn for the authenticator in force.
    ///
    /// # Errors
    /// Fails if the system provides no thread.
    pub fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let control = Arc::<Control>::default();
        let (own, shared) = (Arc::clone(&control), Arc::clone(shared));
        Builder::new().name("learner".into()).spawn(move || {
            while let Some(pause) = own.learn_for(&shared) {
                own.wait(pause);
            }
        })?;
        Ok(Learner { control })
    }

    /// Learns at once, because there is another authenticator.
    pub fn restart(&self) {
        self.control.set(|state| state.restarted = true);
    }

    /// Ends the thread as soon as its current query ends. Nothing has to wait for that.
    pub fn stop(self) {
        self.control.set(|state| state.stopped = true);
    }
}

impl Control {
    /// Learns which kinds there are now. Returns the time to wait until the next time, or `None` at the stop.
    fn learn_for(&self, shared: &Shared) -> Option<Duration> {
        self.set(|state| state.restarted = false);
        let authenticator = Arc::clone(&shared.config().backend.authenticator);
        let pause = if self.learn(&authenticator) { INTERVAL } else { RETRY };
        (!self.lock().stopped).then_some(pause)
    }

    fn learn(&self, authenticator: &Authenticator) -> bool {
        let learned = catch_panic(|| authenticator.learn_kinds(&|| !self.lock().stopped));
        match learned {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                // The store itself logs that no database answers.
                tracing::debug!(%error, "cannot read yet which kinds of passwords the table contains");
                false
            }
            None => false,
        }
    }

    fn wait(&self, pause: Duration) {
        let is_idle = |state: &mut State| !state.restarted && !state.stopped;
        drop(self.changed.wait_timeout_while(self.lock(), pause, is_idle));
    }

    fn set(&self, set: impl FnOnce(&mut State)) {
        set(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
