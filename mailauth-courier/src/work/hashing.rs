//! Passwords that wait to be hashed.
//!
//! They wait in the order of [`FairQueue`], not in the order of their arrival. The threads are those of a work queue
//! that has a job for each waiting password. Which password a job hashes is decided when it begins.
//!
//! If several wait that can be hashed together ([`Family`]), a job takes those too, in the order of the queue, and hashes
//! the next one when one has ended. The jobs of the passwords that it takes find nothing to do. It passes over passwords
//! of other families only for a limited time ([`TURNS`]).

use super::dispatcher::Dispatcher;
use super::fair_queue::{Added, FairQueue, Submitter};
use super::queue::WorkQueue;
use super::waiting::{Client as _, Waiting};
use mailauth_core::account::Account;
use mailauth_core::answer::Answer;
use mailauth_core::authenticate::{Authenticator, PendingLogin, PendingLogins, Verification, finish_together};
use mailauth_core::password::Family;
use mailauth_core::sync::{Mutex, MutexGuard};
use std::io;
use std::sync::Arc;

/// Number of passwords that a job takes at most. Then its thread begins again with the password that is next.
const TURNS: usize = 256;

/// Number of turns that it costs to pass over a password of another family.
const TURNS_FOR_OVERTAKING: usize = 8;

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
        let mut waiting = self.lock();
        let Some(job) = waiting.take() else { return };
        let family = job.verification.family().filter(|family| waiting.has_next(|other| other.is_of(*family)));
        drop(waiting);
        match family {
            Some(_) => finish_together(job.into(), &mut Turns { queue: self, left: TURNS }),
            None => job.run(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, FairQueue<HashingJob>> {
        self.waiting.lock()
    }
}

/// The passwords that one job takes from the queue.
struct Turns<'q> {
    queue: &'q HashingQueue,
    left: usize,
}

/// A client that waits for the answer to a login.
struct LoginClient {
    dispatcher: Dispatcher,
    waiting: Box<dyn Waiting<Answer<Box<Account>>>>,
}

impl PendingLogins for Turns<'_> {
    type Client = LoginClient;

    fn next(&mut self, family: Family) -> Option<PendingLogin<LoginClient>> {
        if self.left == 0 {
            return None;
        }
        let (job, overtakes) = self.queue.lock().take_next(|job| job.is_of(family))?;
        self.left = self.left.saturating_sub(if overtakes { TURNS_FOR_OVERTAKING } else { 1 });
        Some(job.into())
    }

    fn is_waiting(&self, client: &LoginClient) -> bool {
        client.waiting.is_wanted()
    }

    fn answer(&mut self, client: LoginClient, answer: Option<Answer<Box<Account>>>) {
        match answer {
            Some(answer) => client.waiting.take(answer),
            None => client.dispatcher.count_gone(),
        }
    }
}

impl From<HashingJob> for PendingLogin<LoginClient> {
    fn from(job: HashingJob) -> Self {
        let HashingJob { dispatcher, authenticator, verification, waiting } = job;
        PendingLogin { authenticator, verification, client: LoginClient { dispatcher, waiting } }
    }
}

impl HashingJob {
    /// Returns true if its password can be hashed together with those of `family`.
    fn is_of(&self, family: Family) -> bool {
        self.verification.family() == Some(family)
    }

    /// Hashes the password and answers, unless the client has disconnected.
    pub fn run(self) {
        let HashingJob { dispatcher, authenticator, verification, waiting } = self;
        match authenticator.finish_while(verification, &|| waiting.is_wanted()) {
            Some(answer) => waiting.take(answer),
            None => dispatcher.count_gone(),
        }
    }
}
