//! What can be decided at once, from memory: without asking the store, and without hashing.
//!
//! This is for a thread that must not wait, because others wait for it. While the database does not answer, a client
//! whose row and verified password are in memory gets its yes here, and does not wait behind those that have to be
//! looked up.

use super::request::{Purpose, RequestContext};
use super::{Authenticator, Credential, Request, Verification};
use crate::account::{Account, Login};
use crate::answer::Answer;
use crate::decision_log::Provenance;
use crate::store::Lookup;
use crate::{Secret, Service};
use std::time::Instant;

/// How far a request is decided from memory.
pub enum AtOnce {
    /// The request is decided.
    Decided(Answer<Box<Account>>),
    /// A password has to be hashed, which takes milliseconds: call [`Authenticator::finish`], on a thread that may do
    /// so.
    Hash(Box<Verification>),
    /// The row in memory must not decide alone: call [`Authenticator::finish`], on a thread that may wait for the store.
    AskAgain(Box<Verification>),
    /// Nothing is known: call [`Authenticator::begin`] with the request, on a thread that may wait for the store.
    Ask(Request),
}

impl Authenticator {
    /// Decides `request` as [`Authenticator::begin`] does, but only as far as that is possible at once. A request that
    /// is not decided has not been counted or logged.
    ///
    /// A look-up and a login with a password can be answered yes, by a row that is in memory and a password that is
    /// cheap to compare or was verified recently. Everything else has to be asked.
    pub fn begin_at_once(&self, request: Request) -> AtOnce {
        let Some((login, seen)) = self.recall(&request) else { return AtOnce::Ask(request) };
        match request {
            Request { credential: Credential::Password(password), service, login: typed, client, deadline } => {
                let context = RequestContext::new(Purpose::Proof, service, typed, client, deadline);
                self.begin_with_kept_row(context, (login, seen), password)
            }
            Request { credential: Credential::Lookup, .. } => self.look_up_kept_row(request, seen),
            request => AtOnce::Ask(request),
        }
    }

    /// Returns the login that a row is looked up by, and its row, if that is in memory.
    fn recall(&self, request: &Request) -> Option<(Login, Lookup)> {
        let is_for_mail = request.service == Service::Delivery && matches!(request.credential, Credential::Lookup);
        if self.policy.alias_domains || is_for_mail {
            // Whether its domain is another name of a domain is not in memory.
            return None;
        }
        let login =
            Login::typed(&request.login, self.policy.default_domain.as_deref(), &self.policy.separators).ok()?;
        let seen = self.store.recall(&login)?;
        (Instant::now() < request.deadline).then_some((login, seen))
    }

    fn begin_with_kept_row(&self, mut context: RequestContext, kept: (Login, Lookup), password: Secret) -> AtOnce {
        let decided = match self.candidate_in_memory::<Box<Account>>(&mut context, kept, &password) {
            Err(refusal) => Err(refusal),
            Ok(candidate) => match self.try_without_hashing(&mut context, &candidate, &password) {
                None => return AtOnce::Hash(self.verification(context, candidate, password)),
                Some(Err(_)) => return AtOnce::AskAgain(self.verification(context, candidate, password)),
                Some(answer) => self.weigh(&context, answer, &[password.expose()]),
            },
        };
        self.record(&context, &decided);
        AtOnce::Decided(decided)
    }

    fn look_up_kept_row(&self, request: Request, seen: Lookup) -> AtOnce {
        let Request { service, login, client, deadline, .. } = &request;
        let mut context =
            RequestContext::new(Purpose::LookUp, service.clone(), login.clone(), client.clone(), *deadline);
        context.from = Provenance::of(&seen);
        match seen.row.map(|row| self.permit(&context, &row)) {
            Some(Ok(account)) => {
                let answer = Ok(account);
                self.record_look_up(&context, &answer);
                AtOnce::Decided(answer)
            }
            _ => AtOnce::Ask(request),
        }
    }
}
