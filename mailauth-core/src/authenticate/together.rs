//! Logins whose passwords are hashed together on one thread.
//!
//! Each login is decided as if it were alone: it is prepared when its turn has come, judged by its own row, and counted
//! and logged for itself. Only the hashing is done together ([`mailauth_lockstep`]). A lane that has ended is
//! loaded with the login that is next, so a login never waits for the end of others that were there before it.
//!
//! The budget counts the thread once and the memory of each lane. A login for which it has no room is hashed alone
//! afterwards, and so is one whose row was replaced by one with another kind of password in the meantime. Until then no
//! further logins are taken.

use super::password::{Step, Verification};
use super::{Account, Answer, Authenticator};
use crate::password::{Budget, Busy, Cost, Engine, Family, Permit, Task};
use crate::stack::deeply_wiped;
use mailauth_lockstep::{Finished, Lockstep};
use std::sync::Arc;
use std::time::Instant;

/// Logins that wait to be hashed, and the clients that wait for their answers.
pub trait PendingLogins {
    /// A client.
    type Client;

    /// Takes the login that is next, if its password is of this family.
    fn next(&mut self, family: Family) -> Option<PendingLogin<Self::Client>>;

    /// Returns true if the client still waits.
    fn is_waiting(&self, client: &Self::Client) -> bool;

    /// Answers a client. `None` if it no longer waited when its turn came; then nothing was hashed.
    fn answer(&mut self, client: Self::Client, answer: Option<Answer<Box<Account>>>);
}

/// A login that waits to be hashed.
pub struct PendingLogin<C> {
    /// Decides it.
    pub authenticator: Arc<Authenticator>,
    /// What was found so far.
    pub verification: Box<Verification>,
    /// The client that waits for the answer.
    pub client: C,
}

/// Decides `first`, and together with it those of `logins` that are of the same family, until none of them is left. Waits
/// for a permit until the deadline of the first one.
pub fn finish_together<L: PendingLogins>(first: PendingLogin<L::Client>, logins: &mut L) {
    let family = first.verification.family();
    let Some((family, engine)) = family.and_then(|family| Some((family, family.engine()?))) else {
        return finish_alone(first, logins);
    };
    let budget = Arc::clone(&first.authenticator.budget);
    let lanes = (0..engine.lanes()).map(|_| None).collect();
    let mut batch = Batch { logins, family, engine, budget: &budget, thread: None, lanes, alone: Vec::new() };
    batch.run(first);
    let Batch { logins, thread, alone, .. } = batch;
    // Those that are left need a permit for themselves.
    drop(thread);
    alone.into_iter().for_each(|login| finish_prepared_alone(login, logins));
}

/// Decides one login.
fn finish_alone<L: PendingLogins>(login: PendingLogin<L::Client>, logins: &mut L) {
    let PendingLogin { authenticator, verification, client } = login;
    let answer = authenticator.finish_for(verification, &|| logins.is_waiting(&client));
    logins.answer(client, answer);
}

/// Decides one login that is prepared.
fn finish_prepared_alone<L: PendingLogins>(login: PendingLogin<L::Client>, logins: &mut L) {
    let PendingLogin { authenticator, verification, client } = login;
    let answer = authenticator.finish_prepared(Step::Hash(verification), &|| logins.is_waiting(&client));
    logins.answer(client, answer);
}

/// Logins that are hashed together.
struct Batch<'b, L: PendingLogins> {
    logins: &'b mut L,
    family: Family,
    engine: Engine,
    budget: &'b Arc<Budget>,
    /// The permit of this thread, while a lane is loaded.
    thread: Option<Permit<'b>>,
    lanes: Vec<Option<Lane<'b, L::Client>>>,
    /// Prepared logins that have to be hashed alone.
    alone: Vec<PendingLogin<L::Client>>,
}

/// A login that is being hashed.
struct Lane<'b, C> {
    login: PendingLogin<C>,
    begin: Instant,
    _permit: Permit<'b>,
}

impl<L: PendingLogins> Batch<'_, L> {
    fn run(&mut self, first: PendingLogin<L::Client>) {
        let mut first = Some(first);
        loop {
            while let Some(lane) = self.lanes.iter().position(Option::is_none)
                && self.may_take()
                && let Some(login) = first.take().or_else(|| self.logins.next(self.family))
            {
                self.begin(lane, login);
            }
            if self.is_empty() {
                return;
            }
            let engine = &mut self.engine;
            for finished in deeply_wiped(|| engine.run()) {
                self.conclude(finished);
            }
        }
    }

    /// Returns true if another login may be taken. While others wait for a permit, this thread ends and waits behind them.
    fn may_take(&self) -> bool {
        self.alone.is_empty() && (self.is_empty() || !self.budget.is_contended())
    }

    fn is_empty(&self) -> bool {
        self.lanes.iter().all(Option::is_none)
    }

    /// Begins a login whose turn has come.
    fn begin(&mut self, lane: usize, login: PendingLogin<L::Client>) {
        let PendingLogin { authenticator, verification, client } = login;
        if !self.logins.is_waiting(&client) {
            return self.logins.answer(client, None);
        }
        let step = authenticator.prepare(verification);
        self.proceed(lane, authenticator, client, step);
    }

    /// Ends a login whose password is hashed, or begins again with a newer row.
    fn conclude(&mut self, Finished { lane, digest }: Finished) {
        let Some(Lane { login, begin, .. }) = self.lanes.get_mut(lane).and_then(Option::take) else { return };
        let PendingLogin { authenticator, verification, client } = login;
        let stored = &verification.candidate.stored;
        authenticator.dummies.observe(stored.kind(), begin.elapsed());
        let is_right = stored.is_digest(verification.password.expose(), &digest);
        let step = authenticator.conclude(verification, Ok(is_right));
        self.proceed(lane, authenticator, client, step);
    }

    fn proceed(&mut self, lane: usize, authenticator: Arc<Authenticator>, client: L::Client, step: Step) {
        match step {
            Step::Decided(answer) => self.logins.answer(client, Some(answer)),
            Step::Hash(verification) => self.load(lane, PendingLogin { authenticator, verification, client }),
        }
    }

    /// Loads a lane with a prepared login.
    fn load(&mut self, lane: usize, login: PendingLogin<L::Client>) {
        let task = login.verification.candidate.stored.task(login.verification.password.expose());
        let shares_budget = Arc::ptr_eq(self.budget, &login.authenticator.budget);
        let Some(task) = task.filter(|task| task.family() == self.family && shares_budget) else {
            return self.alone.push(login);
        };
        let permit = match self.permit(&task, &login) {
            Ok(Some(permit)) => permit,
            Ok(None) => return self.alone.push(login),
            Err(Busy) => {
                let answer = login.authenticator.give_up(&login.verification);
                return self.logins.answer(login.client, Some(answer));
            }
        };
        if !self.logins.is_waiting(&login.client) {
            return self.logins.answer(login.client, None);
        }
        let engine = &mut self.engine;
        deeply_wiped(|| engine.load(lane, task));
        if let Some(place) = self.lanes.get_mut(lane) {
            *place = Some(Lane { login, begin: Instant::now(), _permit: permit });
        }
    }
}

impl<'b, L: PendingLogins> Batch<'b, L> {
    /// Returns the permit of a lane. While no lane is loaded, waits for it and for the thread's until the deadline;
    /// otherwise returns `None` if there is no room.
    fn permit(&mut self, task: &Task, login: &PendingLogin<L::Client>) -> Result<Option<Permit<'b>>, Busy> {
        let stored = match login.verification.candidate.stored.cost() {
            Cost::Cheap => 0,
            Cost::Heavy { memory } => memory,
        };
        let memory = stored.max(task.memory());
        if !self.is_empty() {
            return Ok(self.budget.add_lane(memory));
        }
        self.thread = None;
        let (thread, permit) = self.budget.begin_together(memory, login.verification.context.deadline)?;
        self.thread = Some(thread);
        Ok(Some(permit))
    }
}
