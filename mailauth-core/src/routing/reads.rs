//! What the answer to a question is read from, and when it is read again.

use super::{LOOK_UP, Question, Router};
use crate::DomainName;
use crate::account::{Account, AccountRow, Login};
use crate::answer::{Answer, No, NotNow, Refusal};
use crate::store::{DomainStanding, Lookup, MailStore, StoreError};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

/// What the answer to a question is read from.
pub(super) struct Reads<'a> {
    pub store: &'a dyn MailStore,
    /// Whether the store has every change, and no other is asked.
    pub newest: bool,
    /// Whether a cached row was read.
    pub kept: Cell<bool>,
    /// Whether a catch-all took the address because no account was found.
    pub by_absence: Cell<bool>,
}

impl<'a> Reads<'a> {
    fn new(store: &'a dyn MailStore, newest: bool) -> Self {
        Reads { store, newest, kept: Cell::new(false), by_absence: Cell::new(false) }
    }

    /// Returns what a domain is; `None` if it is not in the tables.
    pub fn standing(&self, name: &[u8]) -> Result<Option<DomainStanding>, NotNow> {
        let name = std::str::from_utf8(name).ok().and_then(|name| DomainName::parse(name).ok());
        Ok(name.map(|name| self.store.domain(&name)).transpose()?.flatten())
    }

    /// Returns the row, whatever it says.
    pub fn row(&self, login: &Login) -> Result<Option<Arc<AccountRow>>, NotNow> {
        Ok(self.look_up(login)?.row)
    }

    /// Looks the row up where this question is answered from, and notes whether it was kept in memory.
    fn look_up(&self, login: &Login) -> Result<Lookup, StoreError> {
        if self.newest {
            return self.store.find_newest(login).map(Lookup::new);
        }
        let seen = self.store.look_up(login, Instant::now() + LOOK_UP)?;
        self.kept.set(self.kept.get() || seen.is_kept());
        Ok(seen)
    }
}

/// Why the answer to a question is not yes.
pub(super) trait Negative: From<Refusal> {
    /// Returns true if the answer is no.
    fn is_no(&self) -> bool;
}

impl Negative for Refusal {
    fn is_no(&self) -> bool {
        matches!(self, Refusal::No(_))
    }
}

impl Router {
    /// Returns the answer to `question`. Before it is no, the question is asked again of a host that has every change.
    /// The same is done before a catch-all takes an address, if such a host can be asked, because an account that was
    /// added elsewhere should get its mail.
    pub(super) fn surely<T, E: Negative>(
        &self,
        asked: &Question<'_>,
        mut question: impl FnMut(&Reads<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let reads = Reads::new(&*self.store, false);
        let found = question(&reads);
        match &found {
            Ok(_) if !reads.by_absence.get() => return found,
            Ok(_) => {}
            Err(error) if error.is_no() => self.check_certain(asked)?,
            Err(_) => return found,
        }
        let newest = self.store.newest();
        if newest.is_none() && !reads.kept.get() {
            return found;
        }
        let again = question(&Reads::new(newest.as_deref().unwrap_or(&*self.store), true));
        match (found, again) {
            (Ok(value), Err(error)) if !error.is_no() => Ok(value),
            (_, Err(error)) if error.is_no() => {
                self.check_certain(asked)?;
                Err(error)
            }
            (_, again) => again,
        }
    }

    /// Returns the answer to `question` by a host that has every change, asked just now: a list, in which what is missing
    /// counts as no.
    pub(super) fn certainly<T>(
        &self,
        asked: &Question<'_>,
        question: impl FnOnce(&Reads<'_>) -> Answer<T>,
    ) -> Answer<T> {
        let newest = self.store.newest();
        let answer = question(&Reads::new(newest.as_deref().unwrap_or(&*self.store), true))?;
        self.check_certain(asked)?;
        Ok(answer)
    }

    /// Fails if one of the answers of the store since the question began may be from a copy.
    fn check_certain(&self, asked: &Question<'_>) -> Answer<()> {
        Ok(self.store.certain_since(asked.doubts)?)
    }

    /// Returns the account that receives mail as `login`.
    pub(super) fn find(&self, reads: &Reads<'_>, login: &Login) -> Answer<Box<Account>> {
        let seen = reads.look_up(login)?;
        let may_be_old = seen.may_be_old();
        match self.judge(seen.row.as_deref()) {
            Err(Refusal::NotNow(NotNow::Store(StoreError::Unusable(_)))) if may_be_old => {
                self.judge(reads.store.find_newest(login)?.as_ref())
            }
            found => found,
        }
    }

    /// Returns the account in this row, unless mail for it is refused.
    fn judge(&self, row: Option<&AccountRow>) -> Answer<Box<Account>> {
        let row = row.ok_or(No::UnknownLogin)?;
        if !row.domain_enabled {
            return Err(No::DomainDisabled.into());
        }
        if !row.enabled {
            return Err(No::AccountDisabled.into());
        }
        if !row.receives {
            return Err(No::NoMail.into());
        }
        let account = self.mailbox.account_of(row).map_err(StoreError::from)?;
        Ok(Box::new(account))
    }
}
