//! Renaming an account, and rows whose login is not valid.

use super::SqlStore;
use super::administer::{Done, no_such};
use super::aliases::MOST_TARGETS;
use super::columns::{AliasColumn, Column};
use super::mailbox_use::Figures;
use super::writer::Writer;
use crate::account::Login;
use crate::store::administration::{AdminError, AliasTarget, Renaming};
use crate::store::driver::{DriverError, Param, Refusal};

/// One more target than an address can have.
const MOST_READ: i64 = MOST_TARGETS as i64 + 1;

impl SqlStore {
    /// Removes the row with this login, byte for byte.
    pub(in crate::store) fn remove_row(&self, writer: &mut Writer<'_>, login: &[u8]) -> Done<()> {
        if let Some(login) = as_login(login) {
            match self.withdraw(writer, &login) {
                Err(DriverError::Refused { kind: Refusal::Reference, .. }) => {
                    return Ok(Err(no_account(login.as_str().as_bytes())));
                }
                done => done?,
            }
        }
        let name = Param::Text(login);
        let removed = writer.execute(&self.statements.remove_account, &[name, name])?;
        Ok(if removed > 0 { Ok(()) } else { Err(no_account(login)) })
    }

    /// Gives a row another login, and changes these targets of aliases to it. The caller's own step comes last.
    pub(in crate::store) fn rename_row_with(
        &self,
        writer: &mut Writer<'_>,
        old: &[u8],
        new: &Login,
        with: &mut Renaming<'_>,
    ) -> Done<()> {
        if let Err(refused) = self.rename_row(writer, old, new)? {
            return Ok(Err(refused));
        }
        for alias in with.aliases {
            self.follow(writer, alias, new)?;
        }
        Ok((with.beside)().map_err(AdminError::Beside))
    }

    /// Gives the row with the login `old`, byte for byte, the login `new`. The usage that its mailbox published moves
    /// with it.
    pub(in crate::store) fn rename_row(&self, writer: &mut Writer<'_>, old: &[u8], new: &Login) -> Done<()> {
        let exists = || AdminError::Exists { what: "account", name: new.to_string() };
        if old == new.as_str().as_bytes() {
            return Ok(Err(exists()));
        }
        let no_domain = || no_such("domain", new.domain());
        // The mailbox of an invalid login publishes nothing.
        let former = as_login(old);
        let mut domains: Vec<&str> = former.iter().chain([new]).map(Login::domain).collect();
        // Always in the same order, so that two renames do not deadlock.
        domains.sort_unstable();
        domains.dedup();
        for domain in domains {
            match self.lock_sum(writer, domain) {
                Err(DriverError::Refused { kind: Refusal::Reference, .. }) => {
                    return Ok(Err(if domain == new.domain() { no_domain() } else { no_account(old) }));
                }
                done => done?,
            }
        }
        let published = match &former {
            Some(login) => self.take_use(writer, login)?,
            None => None,
        };
        let values = [new.as_str(), new.domain()].map(|text| Param::Text(text.as_bytes()));
        let values = [values[0], values[1], Param::Text(old), Param::Text(old)];
        let renamed = match writer.execute(&self.statements.rename_account, &values) {
            Err(DriverError::Refused { kind: Refusal::Duplicate, .. }) => return Ok(Err(exists())),
            Err(DriverError::Refused { kind: Refusal::Reference, .. }) => return Ok(Err(no_domain())),
            done => done?,
        };
        if renamed == 0 {
            return Ok(Err(no_account(old)));
        }
        published.map_or(Ok(()), |figures| self.put_use(writer, new, figures)).map(Ok)
    }

    /// Changes a target of an alias to `new`. If the alias has that target already, it is not added a second time.
    fn follow(&self, writer: &mut Writer<'_>, alias: &AliasTarget, new: &Login) -> Result<(), DriverError> {
        let AliasTarget { address, target } = alias;
        if target == new.as_str() {
            return Ok(());
        }
        let (address, target) = (Param::Text(address.as_bytes()), Param::Text(target.as_bytes()));
        let mut is_there = false;
        writer.query(&self.statements.find_alias, &[address, Param::Int(MOST_READ)], &mut |row| {
            is_there |= AliasColumn::Target.is_text(row, new.as_str().as_bytes());
        })?;
        if is_there {
            return writer.execute(&self.statements.remove_target, &[address, target, address, target]).map(drop);
        }
        let values = [Param::Text(new.as_str().as_bytes()), address, target, address, target];
        writer.execute(&self.statements.set_target, &values).map(drop)
    }

    /// Removes what a mailbox published from its domain's sum and from the table.
    fn take_use(&self, writer: &mut Writer<'_>, login: &Login) -> Result<Option<Figures>, DriverError> {
        let published = self.published(writer.reading(), login)?;
        if published.is_some() {
            self.withdraw(writer, login)?;
            writer.execute(&self.statements.remove_use, &[Param::Text(login.as_str().as_bytes())])?;
        }
        Ok(published)
    }
}

/// Returns the login that is stored in exactly these bytes; `None` if they only fold to one.
fn as_login(stored: &[u8]) -> Option<Login> {
    Login::as_it_stands(stored)
}

fn no_account(login: &[u8]) -> AdminError {
    match as_login(login) {
        Some(login) => no_such("account", login.as_str()),
        None => no_such("row", &format!("$'{}'", login.escape_ascii())),
    }
}
