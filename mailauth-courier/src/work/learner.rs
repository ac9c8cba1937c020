//! Learning, now and then, which kinds of passwords the table has.
//!
//! By those the time of a refusal is made to tell nothing ([`Authenticator::learn_kinds`]). It is done on a thread of its
//! own, so no login waits for it.

use super::queue::guarded;
use crate::accept::acceptor::Hall;
use mailauth_core::authenticate::Authenticator;
use mailauth_core::sync::{Condvar, Mutex, MutexGuard};
use std::io;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

/// Passwords are changed and accounts are made, but slowly.
const AGAIN: Duration = Duration::from_secs(3600);

/// After a failure.
const SOON: Duration = Duration::from_secs(10);

/// The thread that learns.
pub(crate) struct Learner {
    orders: Arc<Orders>,
}

#[derive(Default)]
struct Orders {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// There are other accounts.
    renewed: bool,
    stopped: bool,
}

impl Learner {
    /// Learns for the authenticator that is in force in `hall`, from now on.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(hall: &Arc<Hall>) -> io::Result<Self> {
        let orders = Arc::<Orders>::default();
        let (own, hall) = (Arc::clone(&orders), Arc::clone(hall));
        Builder::new().name("learning".into()).spawn(move || {
            while let Some(pause) = own.learn_for(&hall) {
                own.wait(pause);
            }
        })?;
        Ok(Learner { orders })
    }

    /// Learns at once, for there is another authenticator.
    pub fn renew(&self) {
        self.orders.set(|state| state.renewed = true);
    }

    /// Ends as soon as the query that runs does, for which nothing has to wait.
    pub fn stop(self) {
        self.orders.set(|state| state.stopped = true);
    }
}

impl Orders {
    /// Learns once, and returns how long to wait until the next time; `None` at the end.
    fn learn_for(&self, hall: &Hall) -> Option<Duration> {
        self.set(|state| state.renewed = false);
        let authenticator = Arc::clone(&hall.live().backend.authenticator);
        let pause = if self.learn(&authenticator) { AGAIN } else { SOON };
        (!self.lock().stopped).then_some(pause)
    }

    fn learn(&self, authenticator: &Authenticator) -> bool {
        let learnt = guarded(|| authenticator.learn_kinds(&|| !self.lock().stopped));
        match learnt {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                // The store says itself that no database answers.
                tracing::debug!(%error, "which kinds of passwords the table has is not known yet");
                false
            }
            None => false,
        }
    }

    fn wait(&self, pause: Duration) {
        let go_on = |state: &mut State| !state.renewed && !state.stopped;
        // How it ended is seen at the next turn.
        drop(self.changed.wait_timeout_while(self.lock(), pause, go_on));
    }

    fn set(&self, set: impl FnOnce(&mut State)) {
        set(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
