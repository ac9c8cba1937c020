//! Decisions about a login that are the same for every credential: which row is judged, whether the account may be
//! used, and whether the row that was judged may decide.

use super::request::{Purpose, RequestContext};
use super::{Authenticator, Grant};
use crate::DomainName;
use crate::account::{AccountRow, Login};
use crate::answer::{Answer, No, NotNow, Refusal};
use crate::decision_log::Provenance;
use crate::policy::AddressRules;
use crate::store::{Lookup, StoreError};
use crate::throttle::Ruling;
use std::time::Instant;

impl Authenticator {
    /// Judges the row that the store returned, and once more the newest row if the first came from memory and must not
    /// decide alone.
    pub(super) fn judge<A>(
        &self,
        context: &mut RequestContext,
        judge: impl Fn(&RequestContext, &Login, Option<&AccountRow>) -> Answer<A>,
    ) -> Answer<A> {
        let login = self.login(context)?;
        let mut seen = self.read(context, &login).map_err(|error| failed(context, error))?;
        loop {
            context.from = Provenance::of(&seen);
            let answer = judge(context, &login, seen.row.as_deref());
            if self.would_bounce(context, &seen, &answer) {
                context.from = Provenance::Database;
                let row = self.store.find_newest(&login).map_err(|error| failed(context, error))?;
                return judge(context, &login, row.as_ref());
            }
            match self.newer(context, &login, &seen, &answer)? {
                None => return answer,
                Some(newer) => seen = newer,
            }
        }
    }

    /// Returns the login that a row is looked up by, before the deadline. Refuses an attempt beyond the limits on
    /// guessing.
    pub(super) fn login(&self, context: &mut RequestContext) -> Answer<Login> {
        // In an envelope address such a character is part of the name.
        let separators = if context.is_for_mail() { "" } else { self.policy.separators.as_str() };
        let login = Login::typed(&context.login, self.policy.default_domain.as_deref(), separators)
            .map_err(No::UnusableLogin)?;
        if Instant::now() >= context.deadline {
            return Err(NotNow::Late.into());
        }
        let login = self.of_own_domain(context, login).map_err(|error| failed(context, error))?;
        self.admit(context, &login)?;
        Ok(login)
    }

    /// Returns the login in the domain that its domain is another name of, for mail, and for logins if these may use
    /// other names. It is looked up whether the login exists or not, so that the time does not reveal it.
    fn of_own_domain(&self, context: &mut RequestContext, login: Login) -> Result<Login, StoreError> {
        if !self.policy.alias_domains && !context.is_for_mail() {
            return Ok(login);
        }
        context.from = Provenance::Database;
        let Ok(name) = DomainName::parse(login.domain()) else { return Ok(login) };
        let other = self.store.alias_domain(&name)?;
        // A login that becomes too long does not exist in the other domain either.
        let Some(same) = other.and_then(|other| login.in_domain(&other)) else { return Ok(login) };
        let is_account = self.policy.addresses == AddressRules::Foreign && self.exists(context, &login)?;
        Ok(if is_account { login } else { same })
    }

    /// Returns true if there is an account with this login.
    fn exists(&self, context: &mut RequestContext, login: &Login) -> Result<bool, StoreError> {
        let seen = self.read(context, login)?;
        if seen.row.is_some() {
            return Ok(true);
        }
        let newer = self.store.look_again(login, &seen, context.deadline)?;
        Ok(newer.is_some_and(|newer| newer.row.is_some()))
    }

    /// Refuses an attempt beyond the limits on guessing.
    pub(super) fn admit(&self, context: &mut RequestContext, login: &Login) -> Answer<()> {
        let (Some(throttle), Purpose::Proof | Purpose::Change) = (&self.throttle, context.purpose) else {
            return Ok(());
        };
        match throttle.judge(login, context.client.as_deref()) {
            Ruling::Try(guess) => context.guess = Some(guess),
            Ruling::Refuse(delay) => return Err(No::Throttled(delay).into()),
            Ruling::PutOff => return Err(NotNow::Attacked.into()),
        }
        Ok(())
    }

    /// Reads the row of `login`.
    pub(super) fn read(&self, context: &mut RequestContext, login: &Login) -> Result<Lookup, StoreError> {
        context.from = Provenance::Database;
        match context.purpose {
            // A row that is to be replaced has to be the one that is stored.
            Purpose::Change => self.store.find_newest(login).map(Lookup::new),
            Purpose::LookUp | Purpose::Secret | Purpose::Proof => self.store.look_up(login, context.deadline),
        }
    }

    /// Returns true if mail bounces by `answer`, and a newer row might give another answer.
    fn would_bounce<T>(&self, context: &RequestContext, seen: &Lookup, answer: &Answer<T>) -> bool {
        context.is_for_mail()
            && matches!(answer, Err(Refusal::No(_)))
            && (seen.may_be_old() || seen.is_copied() || self.store.may_lag())
    }

    /// Returns a newer row to judge instead of `seen`, if `seen` alone must not give `answer`.
    pub(super) fn newer<T>(
        &self,
        context: &mut RequestContext,
        login: &Login,
        seen: &Lookup,
        answer: &Answer<T>,
    ) -> Answer<Option<Lookup>> {
        let by_the_row = match answer {
            // The caller may refuse a login by comparing with the password that it is given.
            Ok(_) => context.purpose == Purpose::Secret,
            Err(Refusal::No(No::UnknownLogin)) => context.purpose != Purpose::LookUp || seen.is_behind(),
            Err(Refusal::No(_) | Refusal::NotNow(NotNow::Store(_))) => true,
            Err(Refusal::NotNow(_)) => false,
        };
        if !by_the_row || !seen.may_be_old() {
            return Ok(None);
        }
        let newer = self.store.look_again(login, seen, context.deadline);
        context.from = match &newer {
            Ok(None) => context.from,
            Ok(Some(newer)) => Provenance::of(newer),
            Err(_) => Provenance::Database,
        };
        let newer = newer.map_err(|error| failed(context, error))?;
        // The same row gives the same answer; hashing it again is not needed.
        Ok(newer.filter(|newer| newer.row != seen.row))
    }

    /// Makes the last decisions about an account that was verified or only looked up.
    pub(super) fn permit<A: Grant>(&self, context: &RequestContext, row: &AccountRow) -> Answer<A> {
        if let Some(no) = self.barrier(context, row) {
            return Err(no.into());
        }
        A::grant(row, &self.policy.mailbox).map_err(|unusable| failed(context, unusable.into()))
    }

    /// Returns why the account may not be used, whatever the request.
    pub(super) fn barrier(&self, context: &RequestContext, row: &AccountRow) -> Option<No> {
        let any_service = context.is_for_mail();
        if !row.domain_enabled {
            Some(No::DomainDisabled)
        } else if !row.enabled {
            Some(No::AccountDisabled)
        } else if any_service && !row.receives {
            Some(No::NoMail)
        } else if !any_service && !row.services.permit(&context.service, self.policy.unknown_services) {
            Some(No::ServiceNotAllowed)
        } else {
            None
        }
    }

    /// Counts a wrong credential, of which `tried` are the parts that differ between guesses, or remembers the network
    /// from which a right one came.
    pub(super) fn weigh<T>(&self, context: &RequestContext, answer: Answer<T>, tried: &[&[u8]]) -> Answer<T> {
        let (Some(throttle), Some(guess)) = (&self.throttle, &context.guess) else { return answer };
        match answer {
            Ok(_) => throttle.succeeded(guess),
            Err(Refusal::No(no)) => {
                let delay = throttle.failed(guess, tried);
                return Err(if delay.is_zero() { no } else { No::Delayed(Box::new(no), delay) }.into());
            }
            Err(Refusal::NotNow(_)) => {}
        }
        answer
    }
}

/// Returns the answer if the store has no row to judge. A row that can never be used does not make a client try again;
/// mail for it waits until the row is corrected.
pub(super) fn failed(context: &RequestContext, error: StoreError) -> Refusal {
    match error {
        StoreError::Unusable(unusable) if !context.is_for_mail() => No::UnusableAccount(unusable).into(),
        error => error.into(),
    }
}
