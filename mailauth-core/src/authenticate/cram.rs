//! Answers to challenges.

use super::request::RequestContext;
use super::{Authenticator, Grant};
use crate::account::{AccountRow, Login};
use crate::answer::{Answer, No};
use crate::challenge::{CramMechanism, CramResponse};
use std::cell::Cell;

impl Authenticator {
    /// Decides a login by the response to a challenge.
    pub(super) fn answer_challenge<A: Grant>(
        &self,
        context: &mut RequestContext,
        mechanism: CramMechanism,
        response: &CramResponse,
    ) -> Answer<A> {
        let compared = Cell::new(false);
        let answer = self.judge(context, |context, login, row| {
            let (answer, is_comparable) = self.try_challenge(context, login, row, (mechanism, response));
            compared.set(is_comparable);
            answer
        });
        // The answers to two challenges differ even if the password is the same. If there is no password to compare
        // with, as with clients that try this first and then send the password, all of them count as one guess.
        match compared.get() {
            true => self.weigh(context, answer, &[response.challenge(), response.digest().expose()]),
            false => self.weigh(context, answer, &[]),
        }
    }

    /// Returns the answer, and true if there is a password to compare the response with.
    fn try_challenge<A: Grant>(
        &self,
        context: &RequestContext,
        login: &Login,
        row: Option<&AccountRow>,
        (mechanism, response): (CramMechanism, &CramResponse),
    ) -> (Answer<A>, bool) {
        let (stored, refusal) = self.stored_for::<A>(context, login, row);
        let (matches, is_comparable) = (response.verify(mechanism, &stored), mechanism.can_use(&stored));
        let answer = match (refusal, row) {
            (Some(no), _) => Err(no.into()),
            (None, Some(row)) if matches => self.permit(context, row),
            _ if !is_comparable => Err(No::NoClearPassword.into()),
            _ => Err(No::WrongPassword.into()),
        };
        (answer, is_comparable)
    }
}
