//! What an administrator's command asks about one domain or about some accounts.

use super::statements::Name;
use super::{ACCOUNTS, Foreign};
use crate::account::Login;
use crate::store::administration::{AliasDomainRow, DomainRow};
use crate::store::sql::reading::Reading;
use crate::store::sql::{SqlStore, rows};
use crate::store::{DomainKind, DomainStanding, StoreError};
use std::collections::BTreeSet;

impl Foreign {
    /// Returns a domain, which has neither a description nor a quota here.
    pub fn domain_row(&self, store: &SqlStore, name: &str) -> Result<Option<DomainRow>, StoreError> {
        Ok(self
            .standing_of(store, name)?
            .filter(|standing| standing.kind == DomainKind::Own)
            .map(|DomainStanding { enabled, .. }| DomainRow { enabled, ..DomainRow::new(name) }))
    }

    /// Returns an alias domain.
    pub fn alias_domain_row(&self, store: &SqlStore, name: &str) -> Result<Option<AliasDomainRow>, StoreError> {
        let found = store.read_by(Reading::Primary, |connection| self.alias_standing(connection, name))?;
        let row = |(target, enabled): (crate::DomainName, bool)| AliasDomainRow {
            name: name.to_owned(),
            target: target.as_str().to_owned(),
            enabled,
        };
        Ok(found.transpose()?.map(row))
    }

    fn standing_of(&self, store: &SqlStore, name: &str) -> Result<Option<DomainStanding>, StoreError> {
        store.read_by(Reading::Primary, |connection| self.standing(connection, name))?.transpose()
    }

    /// Returns those of the accounts that exist, whatever their rows contain.
    pub fn existing(&self, store: &SqlStore, logins: &[&Login]) -> Result<BTreeSet<Login>, StoreError> {
        store.hosts.read(|connection| {
            let mut present = BTreeSet::new();
            for login in logins {
                let mut is_there = false;
                let name = Name::of_address(login.as_str());
                self.ask(connection, ACCOUNTS, &self.statements.find, name, &mut |row| {
                    is_there |= rows::is_account(row, login);
                })?;
                if is_there {
                    present.insert((*login).clone());
                }
            }
            Ok(present)
        })
    }
}
