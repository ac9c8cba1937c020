//! Questions whether a recipient accepts a message.
//!
//! The content of a mailbox belongs to its owner, which can make reading it arbitrarily slow. So that this delays no
//! other recipient:
//!
//! - One question at a time reads a mailbox. Questions that wait for the same mailbox get its answer, if that answers
//!   them.
//! - Most questions are answered quickly, by the queue "recipients". A count that takes longer than [`QUICK`] is given
//!   up there and continues in the queue "counts", where one owner has at most one thread; the next questions about
//!   that mailbox go to "counts" at once.
//! - An owner has at most one thread of "recipients" too. If all mailboxes belong to one user, that of `[mailbox] uid`,
//!   a domain counts as an owner, and has a few more threads.
//! - No thread waits for a lock that another program holds, and after [`LOCK_WAIT`] the question does not wait for it
//!   either.
//! - Whatever a question waits for, at its deadline the answer is "not now".

use super::dispatcher::Dispatcher;
use super::permits::{Question, Resumed, Waiter};
use super::queue::Job;
use super::recipient_queues::{HeldPermits, Inspection, Missing, Owner, QUICK, RecipientQueues};
use super::response::Response;
use super::waiting::{Client as _, Waiting, WaitingForRecipient};
use crate::io::connection::Connection;
use mailauth_core::account::Account;
use mailauth_core::answer::{Answer, No, NotNow, Refusal};
use mailauth_core::quota::Limits;
use mailauth_core::routing::{Destination, Later, Looking, Router};
use mailauth_core::sync::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time for which a question waits, without a thread, for a lock that another program holds.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// First pause before a question about a locked mailbox is tried again. It doubles with each try.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Maximum of that pause.
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// A question that is being answered.
struct RecipientJob {
    router: Arc<Router>,
    waiting: Box<dyn Waiting<Answer<()>>>,
    deadline: Instant,
    question: Question,
    /// Time until which it is tried again if the mailbox is locked.
    locked_until: Instant,
    /// Pause before the next try.
    pause: Duration,
    /// True if it may take the time to count a mailbox.
    slow: bool,
}

impl Dispatcher {
    fn recipients(&self) -> &RecipientQueues {
        &self.shared().queues.recipients
    }

    /// Answers whether a recipient accepts a message.
    pub(super) fn answer_recipient(&self, connection: Connection, question: Question) {
        let (router, deadline) = (Arc::clone(&connection.config.backend.router), connection.deadline);
        let waiting = Box::new(WaitingForRecipient { dispatcher: self.clone(), connection });
        self.inspect_in_turn(router, waiting, deadline, question);
    }

    /// Answers a question about a recipient in the queue for them, for a client that waits until `deadline`.
    pub(super) fn inspect_in_turn(
        &self,
        router: Arc<Router>,
        waiting: Box<dyn Waiting<Answer<()>>>,
        deadline: Instant,
        question: Question,
    ) {
        let dispatcher = self.clone();
        self.enqueue(&self.recipients().quick, "questions about recipients", waiting, move |waiting| {
            let (locked_until, pause) = (Instant::now() + LOCK_WAIT, FIRST_PAUSE);
            let job = RecipientJob { router, waiting, deadline, question, locked_until, pause, slow: false };
            dispatcher.inspect(job, HeldPermits::default());
        });
    }

    /// Answers a question, or postpones it until it has the permits, the mailboxes are not locked, and it has the time.
    fn inspect(&self, job: RecipientJob, mut held: HeldPermits) {
        let (deadline, router) = (job.deadline, Arc::clone(&job.router));
        let (mut missing, mut inspections) = (None, Vec::new());
        let mut may_look = |account: &Account| {
            let (mailbox, owner) = (account.maildir_path(), Owner::of(account, &router));
            missing = self.recipients().admit(&mailbox, &owner, job.slow, &mut held).err();
            if missing.is_none() {
                inspections.push(Inspection { begin: Instant::now(), mailbox, owner });
            }
            missing.is_none()
        };
        let counted_until = if job.slow { deadline } else { Instant::now() + QUICK };
        let mut looking = Looking { may_look: &mut may_look, locked_until: job.locked_until, counted_until };
        let Question { address, size } = &job.question;
        let answer = router.recipient_in_turn(address, *size, deadline, &mut looking);
        let longest = self.recipients().record(inspections, answer.is_ok());
        match (answer, missing, longest) {
            (Ok(answer), _, _) => {
                if let Some(permit) = &held.mailbox {
                    permit.share(|other| answer_to_other(&job.question, &answer, other));
                }
                drop(held);
                job.waiting.take(answer);
            }
            (Err(Later::Busy), Some(Missing::Mailbox(mailbox)), _) => {
                drop(held);
                self.wait_for_mailbox(job, &mailbox);
            }
            (Err(Later::Busy), Some(Missing::Owner(owner)), _) => self.wait_for_owner(job, held, &owner),
            (Err(Later::Busy), Some(Missing::Time(owner)), _)
            | (Err(Later::Slow), _, Some(Inspection { owner, .. })) => {
                held.owner = None;
                self.wait_for_owner(RecipientJob { slow: true, ..job }, held, &owner);
            }
            (Err(Later::Busy | Later::Slow | Later::Locked), _, _) => {
                drop(held);
                self.retry(job);
            }
        }
    }

    fn wait_for_mailbox(&self, job: RecipientJob, mailbox: &PathBuf) {
        let (question, slow) = (Some(job.question.clone()), job.slow);
        let (dispatcher, waiting) = (self.clone(), self.until_deadline(job));
        let resume = move |resumed| match resumed {
            Resumed::Permit(permit) => {
                dispatcher.resume(waiting, slow, HeldPermits { mailbox: Some(permit), owner: None });
            }
            Resumed::Answer(answer) => Dispatcher::answer_waiting(&waiting, answer),
        };
        if !self.recipients().mailboxes.wait(mailbox, Waiter { question, resume: Box::new(resume) }) {
            self.report_full_queue("questions about one mailbox");
        }
    }

    /// Waits for a permit for the mailboxes of an owner, and keeps the permit for one of them.
    fn wait_for_owner(&self, job: RecipientJob, held: HeldPermits, owner: &Owner) {
        let slow = job.slow;
        let (dispatcher, waiting) = (self.clone(), self.until_deadline(job));
        let resume = move |resumed| {
            if let Resumed::Permit(permit) = resumed {
                dispatcher.resume(waiting, slow, HeldPermits { owner: Some(permit), ..held });
            }
        };
        if !self.recipients().owners(slow).wait(owner, Waiter { question: None, resume: Box::new(resume) }) {
            self.report_full_queue("questions about the mailboxes of one owner");
        }
    }

    /// Keeps a waiting question. At its deadline the answer is "not now".
    fn until_deadline(&self, job: RecipientJob) -> Arc<Mutex<Option<RecipientJob>>> {
        let deadline = job.deadline;
        let waiting = Arc::new(Mutex::new(Some(job)));
        let late = Arc::clone(&waiting);
        let give_up = move || {
            // A queue that is closed runs this early; the question still gets its permit then.
            if Instant::now() >= deadline {
                Dispatcher::answer_waiting(&late, Err(NotNow::Late.into()));
            }
        };
        self.recipients().quick.resume_at(deadline, Box::new(give_up));
        waiting
    }

    /// Continues with a question that has waited, unless it has been answered.
    fn resume(&self, waiting: Arc<Mutex<Option<RecipientJob>>>, slow: bool, held: HeldPermits) {
        let dispatcher = self.clone();
        let job: Job = Box::new(move || {
            let Some(job) = waiting.lock().take() else { return };
            if job.waiting.is_wanted() {
                dispatcher.inspect(job, held);
            } else {
                dispatcher.count_gone();
            }
        });
        self.recipients().queue(slow).resume(job);
    }

    /// Answers a question that has waited, unless it has been answered.
    fn answer_waiting(waiting: &Mutex<Option<RecipientJob>>, answer: Answer<()>) {
        let Some(job) = waiting.lock().take() else { return };
        job.router.record_answer(&job.question.address, &answer);
        job.waiting.take(answer);
    }

    /// Tries again after a pause, which occupies no thread. Other questions may read the mailbox in the meantime.
    fn retry(&self, job: RecipientJob) {
        let (dispatcher, at) = (self.clone(), Instant::now() + job.pause);
        let job = RecipientJob { pause: (job.pause * 2).min(LAST_PAUSE), ..job };
        let queue = Arc::clone(self.recipients().queue(job.slow));
        let retry = move || {
            if job.waiting.is_wanted() {
                dispatcher.inspect(job, HeldPermits::default());
            } else {
                dispatcher.count_gone();
            }
        };
        queue.resume_at(at, Box::new(retry));
    }

    /// Sends the account that receives the mail of an address, after updating the figures that the delivery reads. The
    /// update needs the permits for the mailbox; it is left out if too many questions wait for them, or if it would
    /// take long.
    pub(super) fn send_destination(&self, connection: Connection, answer: Answer<Destination>) {
        let account = match &answer {
            Ok(to) if to.account.quota != Limits::NONE => &to.account,
            _ => return self.respond(connection, Response::destination(answer)),
        };
        let recipients = self.recipients();
        let (mailbox, owner) = (account.maildir_path(), Owner::of(account, &connection.config.backend.router));
        let (waiting, capacity) = recipients.quick.waiting();
        let (is_slow, is_full) = (recipients.slow_mailboxes.contains(&mailbox), recipients.mailboxes.is_full(&mailbox));
        if waiting >= capacity || is_slow || is_full || recipients.quick_owners.is_full(&owner) {
            return self.respond(connection, Response::destination(answer));
        }
        let (dispatcher, path) = (self.clone(), mailbox.clone());
        let update = move |permits: [Box<dyn Send>; 2]| {
            if let Ok(to) = &answer
                && !connection.is_abandoned()
            {
                let begin = Instant::now();
                connection.config.backend.router.renew_figures(to);
                dispatcher.recipients().slow_mailboxes.record(&path, begin.elapsed() >= QUICK);
            }
            drop(permits);
            dispatcher.respond(connection, Response::destination(answer));
        };
        self.run_with_permits(&mailbox, owner, update);
    }

    /// Runs `work` in the queue "recipients", with the permits for a mailbox and its owner.
    fn run_with_permits(
        &self,
        mailbox: &PathBuf,
        owner: Owner,
        work: impl FnOnce([Box<dyn Send>; 2]) + Send + 'static,
    ) {
        let dispatcher = self.clone();
        let with_mailbox = move |resumed| {
            let Resumed::Permit(mailbox) = resumed else { return };
            let queue = Arc::clone(&dispatcher.recipients().quick);
            let with_owner = move |resumed| {
                let Resumed::Permit(owner) = resumed else { return };
                queue.resume(Box::new(move || work([Box::new(mailbox), Box::new(owner)])));
            };
            let waiter = Waiter { question: None, resume: Box::new(with_owner) };
            if !dispatcher.recipients().quick_owners.wait(&owner, waiter) {
                dispatcher.report_full_queue("questions about the mailboxes of one owner");
            }
        };
        let waiter = Waiter { question: None, resume: Box::new(with_mailbox) };
        if !self.recipients().mailboxes.wait(mailbox, waiter) {
            self.report_full_queue("questions about one mailbox");
        }
    }
}

/// Returns the answer to `other`, if the answer to `question` implies it.
fn answer_to_other(question: &Question, answer: &Answer<()>, other: &Question) -> Option<Answer<()>> {
    let is_implied = other.address == question.address
        && match answer {
            Ok(()) => other.size <= question.size,
            Err(Refusal::No(No::OverQuota(_))) => other.size >= question.size,
            Err(Refusal::No(_)) => false,
            Err(Refusal::NotNow(why)) => matches!(why, NotNow::Quota(_)),
        };
    is_implied.then(|| answer.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(address: &str, size: u64) -> Question {
        Question { address: address.into(), size }
    }

    #[test]
    fn an_answer_implies_others_about_the_same_address_by_size() {
        let implies =
            |answer: &Answer<()>, other: &Question| answer_to_other(&question("anna", 100), answer, other).is_some();
        let over = Err(Refusal::No(No::OverQuota("full".to_owned())));
        let late = Err(Refusal::NotNow(NotNow::Quota("slow".to_owned())));
        for (size, is_yes, is_over) in [(99, true, false), (100, true, true), (101, false, true)] {
            assert_eq!(implies(&Ok(()), &question("anna", size)), is_yes, "{size}");
            assert_eq!(implies(&over, &question("anna", size)), is_over, "{size}");
            assert!(implies(&late, &question("anna", size)));
        }
        assert!(!implies(&Ok(()), &question("bruno", 1)) && !implies(&late, &question("bruno", 1)));
        assert!(!implies(&Err(Refusal::No(No::UnknownLogin)), &question("anna", 100)));
    }
}
