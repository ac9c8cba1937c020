//! The two queues for questions about recipients, and the permits to read mailboxes.

use super::permits::{Permit, Permits};
use super::queue::WorkQueue;
use super::slow_mailboxes::SlowMailboxes;
use mailauth_core::account::Account;
use mailauth_core::routing::Router;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Number of threads that check quickly whether a mailbox has room.
const QUICK_THREADS: usize = 8;

/// Number of threads that count mailboxes for which that takes long.
const SLOW_THREADS: usize = 4;

/// Maximum number of questions that wait in each of the two queues.
const MAX_QUESTIONS: usize = 1024;

/// Maximum number of threads of "recipients" for the mailboxes of one domain, if all mailboxes belong to one user.
const THREADS_PER_DOMAIN: usize = 6;

/// Time that a count may take in "recipients".
pub(super) const QUICK: Duration = Duration::from_millis(200);

/// Owner of mailboxes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// A user of the system.
    User(u32),
    /// A domain, if all mailboxes belong to one user.
    Domain(String),
}

impl Owner {
    pub fn of(account: &Account, router: &Router) -> Self {
        match router.shared_user() {
            Some(uid) if uid == account.uid => Owner::Domain(account.login.domain().to_owned()),
            _ => Owner::User(account.uid),
        }
    }
}

/// The two queues for these questions, and the permits to read mailboxes.
pub(crate) struct RecipientQueues {
    pub quick: Arc<WorkQueue>,
    pub slow: Arc<WorkQueue>,
    pub(super) mailboxes: Arc<Permits<PathBuf>>,
    pub(super) quick_owners: Arc<Permits<Owner>>,
    slow_owners: Arc<Permits<Owner>>,
    pub(super) slow_mailboxes: SlowMailboxes,
}

/// The permits that a question holds.
#[derive(Default)]
pub(super) struct HeldPermits {
    pub mailbox: Option<Permit<PathBuf>>,
    pub owner: Option<Permit<Owner>>,
}

/// What a question has to wait for.
pub(super) enum Missing {
    Mailbox(PathBuf),
    Owner(Owner),
    /// The queue "counts", for a mailbox of this owner.
    Time(Owner),
}

/// One reading of a mailbox.
pub(super) struct Inspection {
    pub begin: Instant,
    pub mailbox: PathBuf,
    pub owner: Owner,
}

impl RecipientQueues {
    /// Creates the queues and starts their threads.
    ///
    /// # Errors
    /// Fails if the system provides no threads.
    pub fn open() -> io::Result<Self> {
        Ok(RecipientQueues {
            quick: WorkQueue::open("recipients", QUICK_THREADS, MAX_QUESTIONS)?,
            slow: WorkQueue::open("counts", SLOW_THREADS, MAX_QUESTIONS)?,
            mailboxes: Permits::new(|_| 1),
            quick_owners: Permits::new(|owner| match owner {
                Owner::User(_) => 1,
                Owner::Domain(_) => THREADS_PER_DOMAIN,
            }),
            slow_owners: Permits::new(|_| 1),
            slow_mailboxes: SlowMailboxes::default(),
        })
    }

    /// Lets the threads answer the questions that wait, and waits for the threads.
    pub fn close(&self) {
        let queues = [&self.quick, &self.slow];
        queues.iter().for_each(|queue| queue.close());
        // Each queue may have passed questions to the other in the meantime.
        while queues.iter().any(|queue| queue.waiting().0 > 0) {
            queues.iter().for_each(|queue| queue.work());
        }
    }

    /// Returns the queue "counts" if `slow` is true, else "recipients".
    pub(super) fn queue(&self, slow: bool) -> &Arc<WorkQueue> {
        if slow { &self.slow } else { &self.quick }
    }

    /// Takes the permits that a question needs to read a mailbox.
    pub(super) fn admit(
        &self,
        mailbox: &PathBuf,
        owner: &Owner,
        slow: bool,
        held: &mut HeldPermits,
    ) -> Result<(), Missing> {
        if !held.mailbox.as_ref().is_some_and(|permit| permit.is_for(mailbox)) {
            held.mailbox = None;
            held.mailbox = self.mailboxes.take(mailbox);
        }
        if held.mailbox.is_none() {
            return Err(Missing::Mailbox(mailbox.clone()));
        }
        if !slow && self.slow_mailboxes.contains(mailbox) {
            return Err(Missing::Time(owner.clone()));
        }
        if !held.owner.as_ref().is_some_and(|permit| permit.is_for(owner)) {
            held.owner = None;
            held.owner = self.owners(slow).take(owner);
        }
        if held.owner.is_some() { Ok(()) } else { Err(Missing::Owner(owner.clone())) }
    }

    /// Returns the permits for owners in that queue.
    pub(super) fn owners(&self, slow: bool) -> &Arc<Permits<Owner>> {
        if slow { &self.slow_owners } else { &self.quick_owners }
    }

    /// Records which of the mailboxes that were read are slow, and which are known now not to be. Returns the
    /// inspection that took longest.
    pub(super) fn record(&self, inspections: Vec<Inspection>, is_answered: bool) -> Option<Inspection> {
        let mut next = Instant::now();
        let mut longest: Option<(Duration, Inspection)> = None;
        for inspection in inspections.into_iter().rev() {
            let took = next.saturating_duration_since(inspection.begin);
            next = inspection.begin;
            if is_answered || took >= QUICK {
                self.slow_mailboxes.record(&inspection.mailbox, took >= QUICK);
            }
            if longest.as_ref().is_none_or(|(most, _)| took > *most) {
                longest = Some((took, inspection));
            }
        }
        longest.map(|(_, inspection)| inspection)
    }
}
