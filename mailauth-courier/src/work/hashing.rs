//! Passwords that wait for being hashed.
//!
//! They wait as [`Fair`] has it, and not in the order in which they came. The threads are those of a lane, on which there
//! is a job for each password that waits; which password a job works on is told when it begins.

use super::dispatcher::Works;
use super::fair::{Added, Fair, Owner};
use super::queue::Lane;
use super::reply::Form;
use crate::io::connection::Connection;
use mailauth_core::authenticate::Verification;
use mailauth_core::sync::{Mutex, MutexGuard};
use std::io;
use std::sync::Arc;

/// The queue and its threads.
pub(crate) struct Hashing {
    lane: Arc<Lane>,
    waiting: Mutex<Fair<Trial>>,
    capacity: usize,
}

/// A login whose password is to be hashed. One that is dropped closes its connection, which is "not now".
pub(crate) struct Trial {
    pub works: Arc<Works>,
    pub connection: Connection,
    pub verification: Box<Verification>,
    pub form: Form,
}

impl Hashing {
    /// So many threads, and at most `capacity` passwords that wait.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn open(threads: usize, capacity: usize) -> io::Result<Arc<Self>> {
        // How many may wait is told by `waiting`.
        let lane = Lane::open("hashing", threads, usize::MAX)?;
        Ok(Arc::new(Hashing { lane, waiting: Mutex::new(Fair::new(capacity)), capacity }))
    }

    /// Changes the number of threads.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn resize(&self, threads: usize) -> io::Result<()> {
        self.lane.resize(threads, usize::MAX)
    }

    /// Adds a password. Returns false if one was turned away: this one, or another that made way for it.
    pub fn push(self: &Arc<Self>, trial: Trial) -> bool {
        let asked = &trial.verification;
        let (account, client, familiar) = (asked.account_key(), asked.client_key(), asked.is_familiar());
        let owner = Owner { account, client, familiar };
        let added = self.lock().add(owner, trial);
        match added {
            Added::Waits => {
                let hashing = Arc::clone(self);
                self.lane.push(Box::new(move || hashing.work_on_next()))
            }
            // The job of the one that made way is there for this one.
            Added::InPlaceOf(_) | Added::Refused(_) => false,
        }
    }

    /// What its work is called.
    pub fn name(&self) -> &'static str {
        self.lane.name()
    }

    /// How many passwords wait, and how many may.
    pub fn waiting(&self) -> (usize, usize) {
        self.lock().waiting()
    }

    /// Lets the threads finish what is queued, and waits for them.
    pub fn close(&self) {
        self.lane.close();
        // What has come since has no thread.
        let left = std::mem::replace(&mut *self.lock(), Fair::new(self.capacity));
        drop(left);
    }

    fn work_on_next(&self) {
        let next = self.lock().take();
        if let Some(trial) = next {
            trial.run();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Fair<Trial>> {
        self.waiting.lock()
    }
}

impl Trial {
    /// Hashes the password and answers, unless the client has hung up.
    fn run(self) {
        let Trial { works, connection, verification, form } = self;
        let authenticator = Arc::clone(&connection.live.backend.authenticator);
        match authenticator.finish_while(verification, &|| !connection.is_abandoned()) {
            Some(answer) => works.reply(connection, answer, form),
            None => works.count_gone(),
        }
    }
}
