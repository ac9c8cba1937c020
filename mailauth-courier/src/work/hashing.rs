//! Passwords that wait to be hashed.
//!
//! They wait in the order of [`FairQueue`], not in the order of their arrival. The threads are those of a work queue
//! that has a job for each waiting password. Which password a job hashes is decided when it begins.

use super::dispatcher::Dispatcher;
use super::fair_queue::{Added, FairQueue, Submitter};
use super::queue::WorkQueue;
use super::waiting::Waiting;
use mailauth_core::account::Account;
use mailauth_core::answer::Answer;
use mailauth_core::authenticate::{Authenticator, Verification};
use mailauth_core::sync::{Mutex, MutexGuard};
use std::io;
use std::sync::Arc;

/// The passwords that wait, and the threads that hash them.
pub(crate) struct HashingQueue {
    threads: Arc<WorkQueue>,
    waiting: Mutex<FairQueue<HashingJob>>,
    capacity: usize,
}

/// A login with a password that is to be hashed. Dropping it means "not now".
pub(crate) struct HashingJob {
    pub dispatcher: Dispatcher,
    pub authenticator: Arc<Authenticator>,
    pub verification: Box<Verification>,
    pub waiting: Box<dyn Waiting<Answer<Box<Account>>>>,
}

impl HashingQueue {
    /// Creates a queue with this number of threads in which at most `capacity` passwords wait.
    ///
    /// # Errors
    /// Fails if the system provides no thread.
    pub fn open(threads: usize, capacity: usize) -> io::Result<Arc<Self>> {
        // The capacity is that of `waiting`.
        let threads = WorkQueue::open("hashing", threads, usize::MAX)?;
        Ok(Arc::new(HashingQueue { threads, waiting: Mutex::new(FairQueue::new(capacity)), capacity }))
    }

    /// Changes the number of threads.
    ///
    /// # Errors
    /// Fails if the system provides no thread.
    pub fn resize(&self, threads: usize) -> io::Result<()> {
        self.threads.resize(threads, usize::MAX)
    }

    /// Adds a password. Returns false if one was turned away: this one, or another that it displaced.
    pub fn push(self: &Arc<Self>, job: HashingJob) -> bool {
        let login = &job.verification;
        let (account, client, familiar) = (login.account_key(), login.client_key(), login.is_familiar());
        let submitter = Submitter { account, client, familiar };
        let added = self.lock().add(submitter, job);
        match added {
            Added::Queued => {
                let queue = Arc::clone(self);
                self.threads.push(Box::new(move || queue.run_next()))
            }
            // The job in `threads` of the displaced password serves for this one.
            Added::Displaced(_) | Added::Refused(_) => false,
        }
    }

    /// Returns the name of the work.
    pub fn name(&self) -> &'static str {
        self.threads.name()
    }

    /// Returns the number of waiting passwords, and its maximum.
    pub fn waiting(&self) -> (usize, usize) {
        self.lock().waiting()
    }

    /// Lets the threads hash the passwords that wait, and waits for the threads.
    pub fn close(&self) {
        self.threads.close();
        // For passwords that were added in the meantime there is no thread.
        let left = std::mem::replace(&mut *self.lock(), FairQueue::new(self.capacity));
        drop(left);
    }

    fn run_next(&self) {
        let next = self.lock().take();
        if let Some(job) = next {
            job.run();
        }
    }

    fn lock(&self) -> MutexGuard<'_, FairQueue<HashingJob>> {
        self.waiting.lock()
    }
}

impl HashingJob {
    /// Hashes the password and answers, unless the client has disconnected.
    pub fn run(self) {
        let HashingJob { dispatcher, authenticator, verification, waiting } = self;
        match authenticator.finish_while(verification, &|| waiting.is_wanted()) {
            Some(answer) => waiting.take(answer),
            None => dispatcher.count_gone(),
        }
    }
}
