//! Changes of passwords, by a client that knows the old one.

use super::Authenticator;
use super::request::RequestContext;
use crate::Secret;
use crate::account::{Account, AccountRow, Password};
use crate::answer::{Answer, No, NotNow};
use crate::password::{self, Busy, HashError, HashParameters, MAX_PASSWORD};
use crate::store::Changed;

impl Authenticator {
    /// Replaces the password `old` of the account by `new`.
    pub(super) fn change(&self, context: &mut RequestContext, old: &Secret, new: &Secret) -> Answer<()> {
        if let Some(refusal) = self.store.keeps_passwords() {
            return Err(No::ReadOnly(refusal.to_string()).into());
        }
        let candidate = self.candidate_for::<Box<Account>>(context, old)?;
        let verified = candidate.refusal.is_none().then_some(&*candidate.stored);
        let parameters = password::keep_or_improve(verified, self.policy.scheme);
        let cost = candidate.stored.cost();
        let tried = self
            .budget
            .run(cost, context.deadline, || self.try_password::<Box<Account>>(context, &candidate, old))
            .map_err(|Busy| NotNow::Busy)?;
        self.weigh(context, tried, &[old.expose()])?;
        // A row was found: without one, no password is right.
        let row = candidate.seen.row.ok_or(No::UnknownLogin)?;
        self.store_new(context, &row, parameters, new)
    }

    fn store_new(
        &self,
        context: &RequestContext,
        row: &AccountRow,
        parameters: HashParameters,
        new: &Secret,
    ) -> Answer<()> {
        let characters = String::from_utf8_lossy(new.expose()).chars().count();
        if new.is_empty() || characters < self.policy.min_length {
            return Err(No::NewPasswordTooShort.into());
        }
        if new.len() > MAX_PASSWORD {
            return Err(No::UnusablePassword.into());
        }
        let hashed = self
            .budget
            .run(parameters.cost(), context.deadline, || password::hash(parameters, new.expose()))
            .map_err(|Busy| NotNow::Busy)?;
        let new = match hashed {
            Ok(hash) => Password(hash),
            Err(error @ (HashError::NoRandomness(_) | HashError::Failed(_))) => {
                return Err(NotNow::NoHash(error).into());
            }
            Err(_) => return Err(No::UnusablePassword.into()),
        };
        let changed = self.store.set_password(&row.login, &row.password, &new);
        // The store knows of its own change; this forgets what is remembered in addition.
        if let Some(verified) = &self.verified {
            verified.forget(Some(&row.login));
        }
        if let Some(successor) = self.successor.get() {
            successor.forget(&Changed::Account(row.login.clone()));
        }
        if changed? { Ok(()) } else { Err(No::WrongPassword.into()) }
    }
}
