//! Questions whether a recipient takes a message.
//!
//! What is in a mailbox is its owner's, who can make looking at it as slow as may be. So that no other recipient waits for
//! that:
//!
//! - One question at a time looks at a mailbox, and those that wait for the same are told its answer where it fits.
//! - Most are answered at once, by the lane "recipients". A count that takes longer than [`QUICK`] is given up there and goes
//!   on in the lane "counts", where one owner has one thread at most; so do the next questions about that mailbox.
//! - An owner has one thread of the lane "recipients" too. Where all mailboxes belong to one user, that of `[mailbox] uid`,
//!   a domain stands for an owner, and has some more.
//! - A lock that another program holds is not waited for by a thread, and after [`LOCKED`] not at all.
//! - Whatever a question waits for, it is answered "not now" at its deadline.

use super::dispatcher::Works;
use super::queue::{Job, Lane};
use super::reply::Reply;
use super::turns::{Passed, Question, Turn, Turns, Waiting};
use crate::io::connection::Connection;
use mailauth_core::account::Account;
use mailauth_core::authenticate::{Answer, No, NotNow};
use mailauth_core::quota::{Limits, room};
use mailauth_core::routing::{Destination, Later, Looking, Router};
use mailauth_core::sync::Mutex;
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Threads that look whether a mailbox has room, and how many such questions may wait.
const QUICK_LANE: (usize, usize) = (8, 1024);

/// Threads that count mailboxes for which that takes long, and how many such questions may wait.
const SLOW_LANE: (usize, usize) = (4, 1024);

/// How many threads of the first lane the questions about one domain's mailboxes have at most, where they all belong to one
/// user.
const OF_DOMAIN: usize = 6;

/// How long a count may take in the first lane.
const QUICK: Duration = Duration::from_millis(200);

/// How long a mailbox that took longer is taken to be slow.
const SLOW_FOR: Duration = Duration::from_secs(600);

/// How many slow mailboxes are remembered.
const MOST_SLOW: usize = 4096;

/// How long it is waited, without a thread, for a lock that another program holds.
const LOCKED: Duration = Duration::from_secs(1);

/// The pauses between questions about a mailbox that is locked grow from one to the other.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Who has mailboxes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// A user of the system.
    User(u32),
    /// A domain, where all mailboxes belong to one user.
    Domain(String),
}

impl Owner {
    fn of(account: &Account, router: &Router) -> Self {
        match router.shared_user() {
            Some(uid) if uid == account.uid => Owner::Domain(account.login.domain().to_owned()),
            _ => Owner::User(account.uid),
        }
    }
}

/// The lanes for these questions, and whose turn it is.
pub(crate) struct Recipients {
    pub quick: Arc<Lane>,
    pub slow: Arc<Lane>,
    mailboxes: Arc<Turns<PathBuf>>,
    quick_owners: Arc<Turns<Owner>>,
    slow_owners: Arc<Turns<Owner>>,
    known_slow: KnownSlow,
}

/// A question under way.
struct Asked {
    connection: Connection,
    question: Question,
    /// Until then, it is asked again about a mailbox that is locked.
    locked_until: Instant,
    /// Before it is asked again about such a mailbox.
    pause: Duration,
    /// It has the time to count a mailbox.
    slow: bool,
}

/// What a question may look at.
#[derive(Default)]
struct Grant {
    mailbox: Option<Turn<PathBuf>>,
    owner: Option<Turn<Owner>>,
}

/// What a question has to wait for.
enum Wanted {
    Mailbox(PathBuf),
    Owner(Owner),
    /// The other lane, for a mailbox of this owner.
    Time(Owner),
}

/// A look at a mailbox.
struct Look {
    begin: Instant,
    mailbox: PathBuf,
    owner: Owner,
}

impl Recipients {
    /// # Errors
    /// When the system gives no threads.
    pub fn open() -> io::Result<Self> {
        Ok(Recipients {
            quick: Lane::open("recipients", QUICK_LANE.0, QUICK_LANE.1)?,
            slow: Lane::open("counts", SLOW_LANE.0, SLOW_LANE.1)?,
            mailboxes: Turns::new(|_| 1),
            quick_owners: Turns::new(|owner| match owner {
                Owner::User(_) => 1,
                Owner::Domain(_) => OF_DOMAIN,
            }),
            slow_owners: Turns::new(|_| 1),
            known_slow: KnownSlow::default(),
        })
    }

    /// Lets the threads finish what is queued, and waits for them.
    pub fn close(&self) {
        let lanes = [&self.quick, &self.slow];
        lanes.iter().for_each(|lane| lane.close());
        // What one has left to the other meanwhile.
        while lanes.iter().any(|lane| lane.waiting().0 > 0) {
            lanes.iter().for_each(|lane| lane.work());
        }
    }

    fn lane(&self, slow: bool) -> &Arc<Lane> {
        if slow { &self.slow } else { &self.quick }
    }

    /// Gets a question what it needs to look at a mailbox.
    fn admit(&self, mailbox: &PathBuf, owner: &Owner, slow: bool, grant: &mut Grant) -> Result<(), Wanted> {
        if !grant.mailbox.as_ref().is_some_and(|turn| turn.is_at(mailbox)) {
            grant.mailbox = None;
            grant.mailbox = self.mailboxes.take(mailbox);
        }
        if grant.mailbox.is_none() {
            return Err(Wanted::Mailbox(mailbox.clone()));
        }
        if !slow && self.known_slow.holds(mailbox) {
            return Err(Wanted::Time(owner.clone()));
        }
        if !grant.owner.as_ref().is_some_and(|turn| turn.is_at(owner)) {
            grant.owner = None;
            grant.owner = self.owners(slow).take(owner);
        }
        if grant.owner.is_some() { Ok(()) } else { Err(Wanted::Owner(owner.clone())) }
    }

    fn owners(&self, slow: bool) -> &Arc<Turns<Owner>> {
        if slow { &self.slow_owners } else { &self.quick_owners }
    }

    /// Remembers which of the mailboxes that were looked at are slow, and where it is known now that they are not. Returns
    /// the look that took longest.
    fn learn(&self, looks: Vec<Look>, is_answered: bool) -> Option<Look> {
        let mut next = Instant::now();
        let mut longest: Option<(Duration, Look)> = None;
        for look in looks.into_iter().rev() {
            let took = next.saturating_duration_since(look.begin);
            next = look.begin;
            if is_answered || took >= QUICK {
                self.known_slow.learn(&look.mailbox, took >= QUICK);
            }
            if longest.as_ref().is_none_or(|(most, _)| took > *most) {
                longest = Some((took, look));
            }
        }
        longest.map(|(_, look)| look)
    }
}

impl Works {
    /// Answers whether a recipient takes a message.
    pub fn ask_recipient(self: &Arc<Self>, connection: Connection, question: Question) {
        let works = Arc::clone(self);
        self.queue(&self.recipients.quick, "questions about recipients", connection, move |connection| {
            let (locked_until, pause) = (Instant::now() + LOCKED, FIRST_PAUSE);
            works.look(Asked { connection, question, locked_until, pause, slow: false }, Grant::default());
        });
    }

    /// Answers a question, or leaves that until it may look at the mailboxes, they are not locked, and it has the time.
    fn look(self: &Arc<Self>, asked: Asked, mut grant: Grant) {
        let (deadline, router) = (asked.connection.deadline, Arc::clone(&asked.connection.live.backend.router));
        let (mut wanted, mut looks) = (None, Vec::new());
        let mut may_look = |account: &Account| {
            let (mailbox, owner) = (room::maildir(account), Owner::of(account, &router));
            wanted = self.recipients.admit(&mailbox, &owner, asked.slow, &mut grant).err();
            if wanted.is_none() {
                looks.push(Look { begin: Instant::now(), mailbox, owner });
            }
            wanted.is_none()
        };
        let counted_until = if asked.slow { deadline } else { Instant::now() + QUICK };
        let mut looking = Looking { may_look: &mut may_look, locked_until: asked.locked_until, counted_until };
        let Question { address, size } = &asked.question;
        let answer = router.recipient_in_turn(address, *size, deadline, &mut looking);
        let longest = self.recipients.learn(looks, answer.is_ok());
        match (answer, wanted, longest) {
            (Ok(answer), _, _) => {
                if let Some(turn) = &grant.mailbox {
                    turn.share(|other| fitting(&asked.question, &answer, other));
                }
                drop(grant);
                self.give(asked.connection, Reply::recipient(answer));
            }
            (Err(Later::Busy), Some(Wanted::Mailbox(mailbox)), _) => {
                drop(grant);
                self.wait_for_mailbox(asked, &mailbox);
            }
            (Err(Later::Busy), Some(Wanted::Owner(owner)), _) => self.wait_for_owner(asked, grant, &owner),
            (Err(Later::Busy), Some(Wanted::Time(owner)), _) | (Err(Later::Slow), _, Some(Look { owner, .. })) => {
                grant.owner = None;
                self.wait_for_owner(Asked { slow: true, ..asked }, grant, &owner);
            }
            (Err(Later::Busy | Later::Slow | Later::Locked), _, _) => {
                drop(grant);
                self.ask_again(asked);
            }
        }
    }

    fn wait_for_mailbox(self: &Arc<Self>, asked: Asked, mailbox: &PathBuf) {
        let (question, slow) = (Some(asked.question.clone()), asked.slow);
        let (works, waiting) = (Arc::clone(self), self.until_its_deadline(asked));
        let go_on = move |passed| match passed {
            Passed::Turn(turn) => works.go_on(waiting, slow, Grant { mailbox: Some(turn), owner: None }),
            Passed::Answer(answer) => works.answer_with(&waiting, answer),
        };
        if !self.recipients.mailboxes.wait(mailbox, Waiting { question, go_on: Box::new(go_on) }) {
            self.turn_away("questions about one mailbox");
        }
    }

    /// Waits for a turn at the mailboxes of an owner, and keeps that at one of them.
    fn wait_for_owner(self: &Arc<Self>, asked: Asked, grant: Grant, owner: &Owner) {
        let slow = asked.slow;
        let (works, waiting) = (Arc::clone(self), self.until_its_deadline(asked));
        let go_on = move |passed| {
            if let Passed::Turn(turn) = passed {
                works.go_on(waiting, slow, Grant { owner: Some(turn), ..grant });
            }
        };
        if !self.recipients.owners(slow).wait(owner, Waiting { question: None, go_on: Box::new(go_on) }) {
            self.turn_away("questions about the mailboxes of one owner");
        }
    }

    /// Keeps a question that waits; at its deadline, it is answered "not now".
    fn until_its_deadline(self: &Arc<Self>, asked: Asked) -> Arc<Mutex<Option<Asked>>> {
        let deadline = asked.connection.deadline;
        let waiting = Arc::new(Mutex::new(Some(asked)));
        let (works, late) = (Arc::clone(self), Arc::clone(&waiting));
        let give_up = move || {
            // A lane that is closed is early; the question gets its turn yet.
            if Instant::now() >= deadline {
                works.answer_with(&late, Answer::NotNow(NotNow::Late));
            }
        };
        self.recipients.quick.resume_at(deadline, Box::new(give_up));
        waiting
    }

    /// Goes on with a question that has waited, if it still does.
    fn go_on(self: &Arc<Self>, waiting: Arc<Mutex<Option<Asked>>>, slow: bool, grant: Grant) {
        let works = Arc::clone(self);
        let job: Job = Box::new(move || {
            let Some(asked) = waiting.lock().take() else { return };
            if asked.connection.is_abandoned() {
                works.count_gone();
            } else {
                works.look(asked, grant);
            }
        });
        self.recipients.lane(slow).resume(job);
    }

    /// Answers a question that has waited, if it still does.
    fn answer_with(&self, waiting: &Mutex<Option<Asked>>, answer: Answer<()>) {
        let Some(asked) = waiting.lock().take() else { return };
        asked.connection.live.backend.router.record_answer(&asked.question.address, &answer);
        self.give(asked.connection, Reply::recipient(answer));
    }

    /// Asks again after a pause, which holds no thread. It is another question's turn at the mailbox meanwhile.
    fn ask_again(self: &Arc<Self>, asked: Asked) {
        let (works, at) = (Arc::clone(self), Instant::now() + asked.pause);
        let asked = Asked { pause: (asked.pause * 2).min(LAST_PAUSE), ..asked };
        let lane = Arc::clone(self.recipients.lane(asked.slow));
        let job = move || {
            if asked.connection.is_abandoned() {
                works.count_gone();
            } else {
                works.look(asked, Grant::default());
            }
        };
        lane.resume_at(at, Box::new(job));
    }

    /// Gives the answer where mail is to be put, after a look at the figures that the delivery reads. That is done when it
    /// is this question's turn at the mailbox; where too many wait for theirs, or it would take long, it is not done.
    pub fn give_destination(self: &Arc<Self>, connection: Connection, answer: Answer<Destination>) {
        let account = match &answer {
            Answer::Yes(to) if to.account.quota != Limits::NONE => &to.account,
            _ => return self.give(connection, Reply::mailbox(answer)),
        };
        let recipients = &self.recipients;
        let (mailbox, owner) = (room::maildir(account), Owner::of(account, &connection.live.backend.router));
        let (waiting, capacity) = recipients.quick.waiting();
        let (is_slow, is_busy) = (recipients.known_slow.holds(&mailbox), recipients.mailboxes.are_taken(&mailbox));
        if waiting >= capacity || is_slow || is_busy || recipients.quick_owners.are_taken(&owner) {
            return self.give(connection, Reply::mailbox(answer));
        }
        let (works, at) = (Arc::clone(self), mailbox.clone());
        let renew = move |turns: [Box<dyn Send>; 2]| {
            if let Answer::Yes(to) = &answer
                && !connection.is_abandoned()
            {
                let begin = Instant::now();
                connection.live.backend.router.renew_figures(to);
                works.recipients.known_slow.learn(&at, begin.elapsed() >= QUICK);
            }
            drop(turns);
            works.give(connection, Reply::mailbox(answer));
        };
        self.with_turns(&mailbox, owner, renew);
    }

    /// Runs `work` on the lane for what is quick, with the turns at a mailbox and its owner.
    fn with_turns(
        self: &Arc<Self>,
        mailbox: &PathBuf,
        owner: Owner,
        work: impl FnOnce([Box<dyn Send>; 2]) + Send + 'static,
    ) {
        let works = Arc::clone(self);
        let at_mailbox = move |passed| {
            let Passed::Turn(mailbox) = passed else { return };
            let lane = Arc::clone(&works.recipients.quick);
            let at_owner = move |passed| {
                let Passed::Turn(owner) = passed else { return };
                lane.resume(Box::new(move || work([Box::new(mailbox), Box::new(owner)])));
            };
            let waiting = Waiting { question: None, go_on: Box::new(at_owner) };
            if !works.recipients.quick_owners.wait(&owner, waiting) {
                works.turn_away("questions about the mailboxes of one owner");
            }
        };
        let waiting = Waiting { question: None, go_on: Box::new(at_mailbox) };
        if !self.recipients.mailboxes.wait(mailbox, waiting) {
            self.turn_away("questions about one mailbox");
        }
    }
}

/// The answer to `other`, as far as `answer` to `question` tells it.
fn fitting(question: &Question, answer: &Answer<()>, other: &Question) -> Option<Answer<()>> {
    let fits = other.address == question.address
        && match answer {
            Answer::Yes(()) => other.size <= question.size,
            Answer::No(No::OverQuota(_)) => other.size >= question.size,
            Answer::No(_) => false,
            Answer::NotNow(why) => matches!(why, NotNow::Quota(_)),
        };
    fits.then(|| answer.clone())
}

/// The mailboxes that took long to count, each until when that is remembered.
#[derive(Default)]
struct KnownSlow(Mutex<HashMap<PathBuf, Instant>>);

impl KnownSlow {
    fn holds(&self, mailbox: &PathBuf) -> bool {
        self.0.lock().get(mailbox).is_some_and(|until| Instant::now() < *until)
    }

    fn learn(&self, mailbox: &PathBuf, slow: bool) {
        let mut table = self.0.lock();
        if !slow {
            table.remove(mailbox);
            return;
        }
        let now = Instant::now();
        if table.len() >= MOST_SLOW {
            table.retain(|_, until| now < *until);
        }
        if table.len() < MOST_SLOW || table.contains_key(mailbox) {
            table.insert(mailbox.clone(), now + SLOW_FOR);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(address: &str, size: u64) -> Question {
        Question { address: address.into(), size }
    }

    #[test]
    fn an_answer_fits_where_the_sizes_permit_and_the_address_is_the_same() {
        let fit = |answer: &Answer<()>, other: &Question| fitting(&question("anna", 100), answer, other).is_some();
        let over = Answer::No(No::OverQuota("full".to_owned()));
        let late = Answer::NotNow(NotNow::Quota("slow".to_owned()));
        for (size, fits, is_over) in [(99, true, false), (100, true, true), (101, false, true)] {
            assert_eq!(fit(&Answer::Yes(()), &question("anna", size)), fits, "{size}");
            assert_eq!(fit(&over, &question("anna", size)), is_over, "{size}");
            assert!(fit(&late, &question("anna", size)));
        }
        assert!(!fit(&Answer::Yes(()), &question("bruno", 1)) && !fit(&late, &question("bruno", 1)));
        assert!(!fit(&Answer::No(No::UnknownLogin), &question("anna", 100)));
    }

    #[test]
    fn a_slow_mailbox_is_remembered_until_it_is_quick_and_no_more_of_them_than_so_many() {
        let known = KnownSlow::default();
        let path = |number: usize| PathBuf::from(number.to_string());
        (0..=MOST_SLOW).for_each(|number| known.learn(&path(number), true));
        assert!(known.holds(&path(0)) && known.holds(&path(MOST_SLOW - 1)) && !known.holds(&path(MOST_SLOW)));
        known.learn(&path(0), false);
        known.learn(&path(MOST_SLOW), true);
        assert!(!known.holds(&path(0)) && known.holds(&path(MOST_SLOW)));
    }
}
