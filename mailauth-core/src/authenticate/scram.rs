//! Logins by SCRAM: the parameters that a client is sent, and the decision about its proof.
//!
//! A client asks for the salt of a login before it proves anything, so the salt must not reveal whether the login exists,
//! nor what is stored for it. A login whose salt is not stored has one that is derived from it by the key of the dummies.

use super::request::{Purpose, RequestContext};
use super::{Authenticator, Grant, Request};
use crate::account::{Account, AccountRow, Login};
use crate::answer::{Answer, No, NotNow, Refusal};
use crate::password::{Busy, Cost, Stored};
use crate::scram::{ITERATIONS, ScramMechanism, ScramParameters, ScramResponse};
use crate::store::StoreError;

impl Authenticator {
    /// Returns the salt and the number of iterations that the client needs for its proof. The credential of `request` is
    /// not used. A login that does not exist has parameters too.
    ///
    /// # Errors
    /// Fails only with "not now".
    pub fn scram_parameters(&self, mechanism: ScramMechanism, request: Request) -> Answer<ScramParameters> {
        let Request { service, login, client, deadline, .. } = request;
        let mut context = RequestContext::new(Purpose::LookUp, service, login, client, deadline);
        let login = match self.login(&mut context) {
            Ok(login) => login,
            Err(Refusal::No(_)) => {
                let (salt, iterations) = (self.dummies.salt(mechanism, &context.login), ITERATIONS);
                return Ok(ScramParameters { salt, iterations });
            }
            Err(not_now) => return Err(not_now),
        };
        let (stored, refusal) = match self.read(&mut context, &login) {
            Ok(seen) => self.stored_for::<Box<Account>>(&context, &login, seen.row.as_deref()),
            Err(StoreError::Unusable(unusable)) => (self.dummies.of(&login), Some(No::UnusableAccount(unusable))),
            Err(error) => return Err(error.into()),
        };
        Ok(self.parameters_of(mechanism, &login, Some(&*stored).filter(|_| refusal.is_none())))
    }

    /// Returns the parameters of a login with this stored password, or of one whose password cannot be used.
    fn parameters_of(&self, mechanism: ScramMechanism, login: &Login, stored: Option<&Stored>) -> ScramParameters {
        match stored.and_then(Stored::scram).filter(|keys| keys.mechanism() == mechanism) {
            Some(keys) => ScramParameters { salt: keys.salt().to_vec(), iterations: keys.iterations() },
            None => ScramParameters {
                salt: self.dummies.salt(mechanism, login.as_str().as_bytes()),
                iterations: match stored {
                    Some(stored) if stored.clear().is_some() => ITERATIONS,
                    _ => self.dummies.iterations(mechanism, login),
                },
            },
        }
    }

    /// Decides a login by a proof. If the password is stored in clear, keys are derived from it, within the budget.
    pub(super) fn answer_scram<A: Grant>(&self, context: &mut RequestContext, response: &ScramResponse) -> Answer<A> {
        let answer = self.judge(context, |context, login, row| self.try_scram(context, login, row, response));
        match &answer {
            // As with other challenges, all count as one guess if there is nothing to compare them with.
            Err(Refusal::No(No::NoClearPassword)) => self.weigh(context, answer, &[]),
            _ => self.weigh(context, answer, &response.tried()),
        }
    }

    fn try_scram<A: Grant>(
        &self,
        context: &RequestContext,
        login: &Login,
        row: Option<&AccountRow>,
        response: &ScramResponse,
    ) -> Answer<A> {
        let (stored, refusal) = self.stored_for::<A>(context, login, row);
        let mechanism = response.mechanism();
        let cost = if stored.clear().is_some() { Cost::Heavy { memory: 0 } } else { Cost::Cheap };
        let matches =
            self.budget.run(cost, context.deadline, || response.verify(&stored)).map_err(|Busy| NotNow::Busy)?;
        match (refusal, row) {
            (Some(no), _) => Err(no.into()),
            (None, Some(row)) if matches => self.permit(context, row),
            _ if !mechanism.can_use(&stored) => Err(No::NoClearPassword.into()),
            // The password was changed after the client had been sent its salt, so the proof says nothing about it.
            _ if *response.parameters() != self.parameters_of(mechanism, login, Some(&stored)) => {
                Err(NotNow::Outdated.into())
            }
            _ => Err(No::WrongPassword.into()),
        }
    }
}
