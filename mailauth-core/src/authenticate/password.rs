//! Passwords: which stored value a password is tried on, and which of them are hashed.
//!
//! The request of a login with a password goes through [`Authenticator::try_cheap`], which decides it if that takes
//! microseconds. Otherwise it waits, goes through [`Authenticator::prepare`] when its turn has come, is hashed on a thread
//! that may take longer, alone ([`Authenticator::finish_prepared`]) or together with others ([`super::together`]), and
//! ends with [`Authenticator::conclude`].

use super::judge::failed;
use super::request::RequestContext;
use super::{Authenticator, Grant, familiar};
use crate::Secret;
use crate::account::{Account, AccountRow, Login};
use crate::answer::{Answer, No, NotNow};
use crate::counters::count;
use crate::decision_log::Provenance;
use crate::password::{Busy, Cost, Family, Flaw, MAX_PASSWORD, Stored};
use crate::store::{Lookup, StoreError};
use std::sync::Arc;
use std::time::Instant;

/// How far a request is decided without hashing.
pub enum Step<A = Box<Account>> {
    /// The request is decided.
    Decided(Answer<A>),
    /// A password has to be hashed, which takes milliseconds: call [`Authenticator::finish`], on a thread that may do
    /// so.
    Hash(Box<Verification>),
}

/// A finished look-up with a password that is still to be tried.
pub struct Verification {
    pub(super) context: RequestContext,
    pub(super) candidate: Candidate,
    pub(super) password: Secret,
    familiar: bool,
}

impl Verification {
    /// Returns a hash, under a key of this process, of the login that the account was looked up by.
    pub fn account_key(&self) -> u64 {
        familiar::key_of(&self.candidate.login)
    }

    /// Returns the same for the client's network: an IPv4 address, or the first half of an IPv6 address.
    pub fn client_key(&self) -> u64 {
        familiar::key_of_network(self.context.client.as_deref())
    }

    /// Returns the family of the stored password, if passwords of it are hashed faster together than one after the other.
    pub fn family(&self) -> Option<Family> {
        self.candidate.stored.family()
    }

    /// Returns true if a password for this login was right not long ago.
    pub fn is_familiar(&self) -> bool {
        self.familiar
    }
}

/// What a look-up found to try a password on. There is always a stored password, or a dummy.
pub(super) struct Candidate {
    pub login: Login,
    pub seen: Lookup,
    pub stored: Arc<Stored>,
    /// Why `stored` does not come from the row, if it does not.
    pub refusal: Option<No>,
}

impl Authenticator {
    /// Decides a login with a password, unless the password has to be hashed.
    pub(super) fn begin_with_password<A: Grant>(&self, mut context: RequestContext, password: Secret) -> Step<A> {
        let answer = match self.candidate_for::<A>(&mut context, &password) {
            Err(refusal) => Err(refusal),
            Ok(mut candidate) => match self.try_cheap(&mut context, &mut candidate, &password) {
                Some(answer) => self.weigh(&context, answer, &[password.expose()]),
                None => return Step::Hash(self.verification(context, candidate, password)),
            },
        };
        self.record(&context, &answer);
        Step::Decided(answer)
    }

    /// Returns a login whose password is still to be tried.
    pub(super) fn verification(
        &self,
        context: RequestContext,
        candidate: Candidate,
        password: Secret,
    ) -> Box<Verification> {
        let familiar = self.familiar.knows(familiar::key_of(&candidate.login));
        Box::new(Verification { context, candidate, password, familiar })
    }

    /// Tries the password of `verification`, as [`Authenticator::finish_while`] does.
    pub(super) fn finish_for<A: Grant>(
        &self,
        verification: Box<Verification>,
        is_wanted: &dyn Fn() -> bool,
    ) -> Option<Answer<A>> {
        if !is_wanted() {
            return None;
        }
        self.finish_prepared(self.prepare(verification), is_wanted)
    }

    /// Goes on with a login until it is decided, and hashes within the budget. Returns `None` if `is_wanted` returns false
    /// before a password is hashed.
    pub(super) fn finish_prepared<A: Grant>(
        &self,
        mut step: Step<A>,
        is_wanted: &dyn Fn() -> bool,
    ) -> Option<Answer<A>> {
        loop {
            let verification = match step {
                Step::Decided(answer) => return Some(answer),
                Step::Hash(verification) => verification,
            };
            let candidate = &verification.candidate;
            let tried = self.budget.run(candidate.stored.cost(), verification.context.deadline, || {
                is_wanted().then(|| self.compare(candidate, &verification.password))
            });
            step = match tried {
                Ok(verdict) => self.conclude(verification, verdict?),
                Err(Busy) => Step::Decided(self.give_up(&verification)),
            };
        }
    }

    /// Decides a login whose turn has come, unless its password has to be hashed.
    pub(super) fn prepare<A: Grant>(&self, verification: Box<Verification>) -> Step<A> {
        // Other attempts may have been found wrong while this one waited.
        if let (Some(throttle), Some(guess)) = (&self.throttle, &verification.context.guess)
            && let Some(delay) = throttle.judge_again(guess)
        {
            let answer = Err(No::Throttled(delay).into());
            self.record(&verification.context, &answer);
            return Step::Decided(answer);
        }
        self.decide_or_hash(verification)
    }

    /// Decides a login whose password was hashed, with what came of that, unless there is a newer row, on whose password it
    /// has to be hashed again.
    pub(super) fn conclude<A: Grant>(
        &self,
        mut verification: Box<Verification>,
        verdict: Result<bool, Flaw>,
    ) -> Step<A> {
        let Verification { context, candidate, password, .. } = &mut *verification;
        let answer = self.judge_verdict(context, candidate, verdict, password);
        match self.newer(context, &candidate.login, &candidate.seen, &answer) {
            Ok(None) => Step::Decided(self.settle(context, answer, password)),
            Ok(Some(newer)) => {
                *candidate = self.candidate::<A>(context, candidate.login.clone(), newer);
                self.decide_or_hash(verification)
            }
            Err(refusal) => Step::Decided(self.settle(context, Err(refusal), password)),
        }
    }

    /// Ends a login whose password is not hashed because there is no room or no time for it.
    pub(super) fn give_up<A>(&self, verification: &Verification) -> Answer<A> {
        self.settle(&verification.context, Err(NotNow::Busy.into()), &verification.password)
    }

    /// Decides a login unless its password has to be hashed. One that cannot be hashed before the deadline is given up.
    fn decide_or_hash<A: Grant>(&self, mut verification: Box<Verification>) -> Step<A> {
        let Verification { context, candidate, password, .. } = &mut *verification;
        if let Some(answer) = self.try_cheap(context, candidate, password) {
            return Step::Decided(self.settle(context, answer, password));
        }
        (context.from, context.hashed) = (Provenance::of(&candidate.seen), true);
        let time = self.dummies.time_of(candidate.stored.kind());
        if Instant::now() + time > context.deadline {
            return Step::Decided(self.give_up(&verification));
        }
        Step::Hash(verification)
    }

    /// Counts and logs the answer to a login with `password`.
    fn settle<A>(&self, context: &RequestContext, answer: Answer<A>, password: &Secret) -> Answer<A> {
        let answer = self.weigh(context, answer, &[password.expose()]);
        self.record(context, &answer);
        answer
    }

    /// Tries `password` on the row that was found, and if that came from memory and does not match, on the newest row.
    /// Returns `None` if the password has to be hashed on the candidate, which takes milliseconds.
    fn try_cheap<A: Grant>(
        &self,
        context: &mut RequestContext,
        candidate: &mut Candidate,
        password: &Secret,
    ) -> Option<Answer<A>> {
        loop {
            let answer = self.try_without_hashing(context, candidate, password)?;
            match self.newer(context, &candidate.login, &candidate.seen, &answer) {
                Ok(None) => return Some(answer),
                Ok(Some(newer)) => *candidate = self.candidate::<A>(context, candidate.login.clone(), newer),
                Err(refusal) => return Some(Err(refusal)),
            }
        }
    }

    /// Tries `password` on the row that was found. Returns `None` if the password has to be hashed.
    pub(super) fn try_without_hashing<A: Grant>(
        &self,
        context: &mut RequestContext,
        candidate: &Candidate,
        password: &Secret,
    ) -> Option<Answer<A>> {
        if let Some(row) = self.verified_recently(context, candidate, password) {
            context.from = Provenance::Verified;
            Some(self.permit(context, row))
        } else if candidate.stored.cost() == Cost::Cheap {
            context.from = Provenance::of(&candidate.seen);
            Some(self.try_password(context, candidate, password))
        } else {
            None
        }
    }

    /// Returns the row if this password was verified recently enough to skip hashing.
    fn verified_recently<'c>(
        &self,
        context: &RequestContext,
        candidate: &'c Candidate,
        password: &Secret,
    ) -> Option<&'c AccountRow> {
        let (Some(verified), Some(row), None) = (&self.verified, candidate.seen.row.as_deref(), &candidate.refusal)
        else {
            return None;
        };
        let is_known = candidate.stored.cost() != Cost::Cheap
            // An account that is refused anyway is refused as slowly as after a wrong password.
            && self.barrier(context, row).is_none()
            && verified.knows(&row.login, &row.password.0, password);
        is_known.then(|| {
            count(&self.counters.verified);
            row
        })
    }

    /// Tries the password on the stored one, whatever that costs, and remembers it if it is right.
    pub(super) fn try_password<A: Grant>(
        &self,
        context: &RequestContext,
        candidate: &Candidate,
        password: &Secret,
    ) -> Answer<A> {
        let verdict = self.compare(candidate, password);
        self.judge_verdict(context, candidate, verdict, password)
    }

    /// Returns the answer to a login whose password was compared with the stored one, and remembers it if it is right.
    fn judge_verdict<A: Grant>(
        &self,
        context: &RequestContext,
        candidate: &Candidate,
        verdict: Result<bool, Flaw>,
        password: &Secret,
    ) -> Answer<A> {
        match (&candidate.refusal, verdict, &candidate.seen.row) {
            (Some(no), _, _) => Err(no.clone().into()),
            (None, Ok(true), Some(row)) => {
                if let Cost::Heavy { .. } = candidate.stored.cost() {
                    self.familiar.remember(familiar::key_of(&candidate.login));
                    if let Some(verified) = &self.verified {
                        verified.remember(&row.login, &row.password.0, password);
                    }
                }
                self.permit(context, row)
            }
            (None, Err(flaw), _) => Err(No::UnusableHash(flaw).into()),
            _ => Err(No::WrongPassword.into()),
        }
    }

    /// Compares the password with the stored one, and records how long that took.
    fn compare(&self, candidate: &Candidate, password: &Secret) -> Result<bool, Flaw> {
        let (stored, row) = (&candidate.stored, candidate.seen.row.as_deref());
        let login = row.map_or("", |row| row.login.as_str());
        if stored.cost() == Cost::Cheap {
            return stored.verify(login, password.expose());
        }
        let begin = Instant::now();
        let verdict = stored.verify(login, password.expose());
        self.dummies.observe(stored.kind(), begin.elapsed());
        verdict
    }

    /// Looks the account up before a password is tried. Refuses at once a password that no scheme accepts.
    pub(super) fn candidate_for<A: Grant>(&self, context: &mut RequestContext, password: &Secret) -> Answer<Candidate> {
        refuse_unusable(password)?;
        let login = self.login(context)?;
        match self.read(context, &login) {
            Ok(seen) => Ok(self.candidate::<A>(context, login, seen)),
            // The password is hashed nevertheless, as for an unknown login.
            Err(StoreError::Unusable(unusable)) => {
                let refusal = Some(No::UnusableAccount(unusable));
                let stored = self.dummies.of(&login);
                Ok(Candidate { login, seen: Lookup::new(None::<AccountRow>), stored, refusal })
            }
            Err(error) => Err(failed(context, error)),
        }
    }

    /// Does the same with a row that is in memory.
    pub(super) fn candidate_in_memory<A: Grant>(
        &self,
        context: &mut RequestContext,
        (login, seen): (Login, Lookup),
        password: &Secret,
    ) -> Answer<Candidate> {
        refuse_unusable(password)?;
        self.admit(context, &login)?;
        Ok(self.candidate::<A>(context, login, seen))
    }

    fn candidate<A: Grant>(&self, context: &RequestContext, login: Login, seen: Lookup) -> Candidate {
        let (stored, refusal) = self.stored_for::<A>(context, &login, seen.row.as_deref());
        Candidate { login, seen, stored, refusal }
    }

    /// Returns what to try a credential on, and why it is refused even if it matches. For a row that can never be used,
    /// the answer must not reveal whether it matches.
    pub(super) fn stored_for<A: Grant>(
        &self,
        context: &RequestContext,
        login: &Login,
        row: Option<&AccountRow>,
    ) -> (Arc<Stored>, Option<No>) {
        let (stored, refusal) = self.stored_of(login, row);
        let unusable = || {
            let row = row.filter(|row| self.barrier(context, row).is_none())?;
            A::problem(row, &self.policy.mailbox).map(No::UnusableAccount)
        };
        (stored, refusal.or_else(unusable))
    }

    /// Returns the stored password of the row, or the dummy of this login and the reason for it.
    fn stored_of(&self, login: &Login, row: Option<&AccountRow>) -> (Arc<Stored>, Option<No>) {
        let Some(row) = row else { return (self.dummies.of(login), Some(No::UnknownLogin)) };
        match Stored::parse(row.password.0.expose(), &self.policy.rules) {
            Ok(stored) => (Arc::new(stored), None),
            Err(flaw) => {
                let no = match flaw {
                    Flaw::Empty => No::NoPassword,
                    Flaw::Locked => No::PasswordLocked,
                    flaw => No::UnusableHash(flaw),
                };
                (self.dummies.of(login), Some(no))
            }
        }
    }
}

/// Refuses a password that no scheme accepts.
fn refuse_unusable(password: &Secret) -> Answer<()> {
    if password.is_empty() || password.len() > MAX_PASSWORD || password.expose().contains(&0) {
        return Err(No::UnusablePassword.into());
    }
    Ok(())
}
