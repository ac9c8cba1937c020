//! Passwords: which stored value a password is tried on, and which of them are hashed.
//!
//! The request of a login with a password goes through [`Authenticator::try_cheap`], which decides it if that takes
//! microseconds, and otherwise through [`Authenticator::hash_and_judge`], on a thread that may take longer.

use super::judge::failed;
use super::request::RequestContext;
use super::{Authenticator, Grant, familiar};
use crate::Secret;
use crate::account::{Account, AccountRow, Login};
use crate::answer::{Answer, No, NotNow};
use crate::counters::count;
use crate::decision_log::Provenance;
use crate::password::{Busy, Cost, Flaw, MAX_PASSWORD, Stored};
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
            Ok(candidate) => match self.try_cheap(&mut context, candidate, &password) {
                Ok(answer) => self.weigh(&context, answer, &[password.expose()]),
                Err(candidate) => return Step::Hash(self.verification(context, *candidate, password)),
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
        verification: Verification,
        is_wanted: &dyn Fn() -> bool,
    ) -> Option<Answer<A>> {
        if !is_wanted() {
            return None;
        }
        let Verification { mut context, candidate, password, .. } = verification;
        // Other attempts may have been found wrong while this one waited.
        if let (Some(throttle), Some(guess)) = (&self.throttle, &context.guess)
            && let Some(delay) = throttle.judge_again(guess)
        {
            let answer = Err(No::Throttled(delay).into());
            self.record(&context, &answer);
            return Some(answer);
        }
        let answer = self.hash_and_judge(&mut context, candidate, &password, is_wanted)?;
        let answer = self.weigh(&context, answer, &[password.expose()]);
        self.record(&context, &answer);
        Some(answer)
    }

    /// Tries `password` on the row that was found, and if that came from memory and does not match, on the newest row.
    /// Returns the candidate as an error if the password has to be hashed, which takes milliseconds.
    fn try_cheap<A: Grant>(
        &self,
        context: &mut RequestContext,
        mut candidate: Candidate,
        password: &Secret,
    ) -> Result<Answer<A>, Box<Candidate>> {
        loop {
            let Some(answer) = self.try_without_hashing(context, &candidate, password) else {
                return Err(Box::new(candidate));
            };
            match self.newer(context, &candidate.login, &candidate.seen, &answer) {
                Ok(None) => return Ok(answer),
                Ok(Some(newer)) => candidate = self.candidate::<A>(context, candidate.login, newer),
                Err(refusal) => return Ok(Err(refusal)),
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
            Some(self.permit(context, row.clone()))
        } else if candidate.stored.cost() == Cost::Cheap {
            context.from = Provenance::of(&candidate.seen);
            Some(self.try_password(context, candidate, password))
        } else {
            None
        }
    }

    /// Tries `password` as [`Authenticator::try_cheap`] does, and hashes within the budget. Returns `None` if `is_wanted` returns false before a password is
    /// hashed.
    fn hash_and_judge<A: Grant>(
        &self,
        context: &mut RequestContext,
        mut candidate: Candidate,
        password: &Secret,
        is_wanted: &dyn Fn() -> bool,
    ) -> Option<Answer<A>> {
        loop {
            candidate = match self.try_cheap(context, candidate, password) {
                Ok(answer) => return Some(answer),
                Err(candidate) => *candidate,
            };
            (context.from, context.hashed) = (Provenance::of(&candidate.seen), true);
            let tried = self.budget.run(candidate.stored.cost(), context.deadline, || {
                is_wanted().then(|| self.try_password(context, &candidate, password))
            });
            let answer = match tried {
                Ok(answer) => answer?,
                Err(Busy) => Err(NotNow::Busy.into()),
            };
            match self.newer(context, &candidate.login, &candidate.seen, &answer) {
                Ok(None) => return Some(answer),
                Ok(Some(newer)) => candidate = self.candidate::<A>(context, candidate.login, newer),
                Err(refusal) => return Some(Err(refusal)),
            }
        }
    }

    /// Returns the row if this password was verified recently enough to skip hashing.
    fn verified_recently<'c>(
        &self,
        context: &RequestContext,
        candidate: &'c Candidate,
        password: &Secret,
    ) -> Option<&'c AccountRow> {
        let (Some(verified), Some(row), None) = (&self.verified, &candidate.seen.row, &candidate.refusal) else {
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
        let row = candidate.seen.row.as_ref();
        let verdict = self.compare(&candidate.stored, row.map_or("", |row| row.login.as_str()), password);
        match (&candidate.refusal, verdict, row) {
            (Some(no), _, _) => Err(no.clone().into()),
            (None, Ok(true), Some(row)) => {
                if let Cost::Heavy { .. } = candidate.stored.cost() {
                    self.familiar.remember(familiar::key_of(&candidate.login));
                    if let Some(verified) = &self.verified {
                        verified.remember(&row.login, &row.password.0, password);
                    }
                }
                self.permit(context, row.clone())
            }
            (None, Err(flaw), _) => Err(No::UnusableHash(flaw).into()),
            _ => Err(No::WrongPassword.into()),
        }
    }

    /// Compares the password with the stored one, and records how long that took.
    fn compare(&self, stored: &Stored, login: &str, password: &Secret) -> Result<bool, Flaw> {
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
                Ok(Candidate { login, seen: Lookup::new(None), stored, refusal })
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
        let (stored, refusal) = self.stored_for::<A>(context, &login, seen.row.as_ref());
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
