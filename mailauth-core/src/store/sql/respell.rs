//! Conversion of names in the tables to the spelling that is looked up.
//!
//! Tables of former versions, and other programs, store the names of international domains in letters. A domain gets
//! its other name by a row with that name, to which everything in the domain is moved, in one transaction. If such a
//! row existed already, both were in use as two domains, and are merged into one; but accounts and aliases that exist
//! under both names stay where they are, and are reported.

use super::aliases::MOST_TARGETS;
use super::columns::{AliasColumn, Column, DomainColumn};
use super::columns::{bytes, number};
use super::writer::Writer;
use super::{SqlStore, rows};
use crate::account::Login;
use crate::mailbox::MailboxDefaults;
use crate::schema::Field;
use crate::store::administration::DomainRow;
use crate::store::driver::{Cell, Connection, DriverError, Param, Row, Statement};
use crate::store::{Cursor, StoreError};
use crate::{DomainName, spelling};

/// Number of rows read with one statement.
const PAGE: usize = 1000;

/// Maximum number of duplicates that are named.
const MOST_NAMED: usize = 100;

/// Result of [`SqlStore::respell`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Respelt {
    /// Number of domains that have the other name now.
    pub domains: u64,
    /// Number of accounts that have the other login now.
    pub accounts: u64,
    /// Number of aliases that have the other address now.
    pub aliases: u64,
    /// Number of names that existed in two spellings. These accounts and aliases stay as they are.
    pub doubles: u64,
    /// The first of those names, for people.
    pub named: Vec<String>,
}

/// An account whose login is to be spelled differently.
struct Misspelt {
    stored: Vec<u8>,
    has_home: bool,
    has_maildir: bool,
}

impl Respelt {
    fn double(&mut self, name: impl FnOnce() -> String) {
        self.doubles += 1;
        if self.named.len() < MOST_NAMED {
            self.named.push(name());
        }
    }

    fn add(&mut self, other: Respelt) {
        self.domains += other.domains;
        self.accounts += other.accounts;
        self.aliases += other.aliases;
        self.doubles += other.doubles;
        self.named.extend(other.named);
        self.named.truncate(MOST_NAMED);
    }
}

impl SqlStore {
    /// Gives domains, accounts and aliases with international names the spelling that is looked up. Nothing is lost,
    /// and no mail moves: a home that `mailbox` would change because of the new name is written into the account's row.
    /// A second run changes nothing.
    ///
    /// # Errors
    /// Fails if the database refuses, or if it is unknown whether that was done. Finished steps stay.
    pub fn respell(&self, mailbox: &MailboxDefaults) -> Result<Respelt, StoreError> {
        self.ensure_own()?;
        let mut respelt = Respelt::default();
        self.each_misspelt_domain(|stored, name| {
            let done = self.change_or(|writer| -> Result<Result<_, StoreError>, DriverError> {
                let mut done = Respelt::default();
                self.respell_domain(writer, stored, name, mailbox, &mut done)?;
                Ok(Ok(done))
            })??;
            respelt.add(done);
            Ok(())
        })?;
        let mut after: Option<Cursor> = None;
        loop {
            let (page, next) = self.hosts.read(|connection| self.misspelt_page(connection, after.as_ref()))?;
            if !page.is_empty() {
                let done = self.change_or(|writer| -> Result<Result<_, StoreError>, DriverError> {
                    let mut done = Respelt::default();
                    for account in &page {
                        self.respell_account(writer, account, mailbox, &mut done)?;
                    }
                    Ok(Ok(done))
                })??;
                respelt.add(done);
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(respelt),
            }
        }
    }

    /// Gives each domain whose name is looked up in another spelling, and that spelling, to `each`.
    fn each_misspelt_domain(
        &self,
        mut each: impl FnMut(&str, &DomainName) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut after = Vec::new();
        loop {
            let asking = [Param::Text(&after), Param::Int(PAGE as i64)];
            let page = self.hosts.read(|connection| {
                let mut page = Vec::new();
                connection.query(&self.statements.domain_page, &asking, &mut |row| {
                    page.push(DomainColumn::Name.bytes(row));
                })?;
                Ok(page)
            })?;
            for stored in page.iter().filter_map(|name| std::str::from_utf8(name).ok()) {
                match DomainName::parse(stored) {
                    // A name with capitals was never in use.
                    Ok(name) if name.as_str() != stored && stored.to_lowercase() == stored => each(stored, &name)?,
                    _ => {}
                }
            }
            match page.into_iter().next_back() {
                Some(last) => after = last,
                None => return Ok(()),
            }
        }
    }

    /// Returns the accounts of a page whose domain has the spelling that is looked up, but whose login has another one.
    fn misspelt_page(
        &self,
        connection: &mut dyn Connection,
        after: Option<&Cursor>,
    ) -> Result<(Vec<Misspelt>, Option<Cursor>), DriverError> {
        let limit = Param::Int(PAGE as i64);
        let (statement, asking) = match after {
            None => (&self.statements.first_page, vec![limit]),
            Some(after) => (&self.statements.next_page, vec![Param::Text(after.as_bytes()), limit]),
        };
        let (mut found, mut last, mut read) = (Vec::new(), Vec::new(), 0);
        connection.query(statement, &asking, &mut |row| {
            last = stored(row, Field::Login);
            read += 1;
            if spellings(&last).is_some_and(|(old, new)| old.domain() == new.domain()) {
                found.push(misspelt(row));
            }
        })?;
        Ok((found, (read == PAGE).then(|| Cursor::behind(last))))
    }

    fn respell_domain(
        &self,
        writer: &mut Writer<'_>,
        stored: &str,
        name: &DomainName,
        mailbox: &MailboxDefaults,
        done: &mut Respelt,
    ) -> Result<(), DriverError> {
        // Before anything is read: from here on, deliveries that publish a mailbox's usage wait.
        self.lock_sum(writer, stored)?;
        let Some(old) = self.domain_row(writer, stored)? else { return Ok(()) };
        match self.domain_row(writer, name.as_str())? {
            Some(there) if (there.enabled, there.backup) != (old.enabled, old.backup) => {
                done.double(|| {
                    format!("the domains {stored} and {name}, of which only one is disabled or a backup domain")
                });
                return Ok(());
            }
            Some(_) => done.double(|| format!("the domains {stored} and {name}")),
            None => self.insert_domain(writer, &DomainRow { name: name.as_str().to_owned(), ..old })?,
        }
        self.respell_aliases(writer, stored, name, done)?;
        let mut after = Vec::new();
        loop {
            let domain = Param::Text(stored.as_bytes());
            let asking = [domain, domain, Param::Text(&after), Param::Int(PAGE as i64)];
            let mut page = Vec::new();
            writer.query(&self.statements.domain_accounts_page, &asking, &mut |row| page.push(misspelt(row)))?;
            for account in &page {
                self.respell_account(writer, account, mailbox, done)?;
            }
            match page.pop() {
                Some(last) => after = last.stored,
                None => break,
            }
        }
        if self.is_empty_domain(writer, stored)? {
            self.move_other_names(writer, stored, name)?;
            writer.execute(&self.statements.remove_domain, &[Param::Text(stored.as_bytes())])?;
            done.domains += 1;
        }
        Ok(())
    }

    /// Makes the alias domains of a domain those of its other spelling.
    fn move_other_names(&self, writer: &mut Writer<'_>, stored: &str, name: &DomainName) -> Result<(), DriverError> {
        let asking = [Param::Text(stored.as_bytes()), Param::Int(PAGE as i64)];
        loop {
            let mut others = Vec::new();
            writer.query(&self.statements.other_names, &asking, &mut |row| others.push(bytes(row, 0)))?;
            if others.is_empty() {
                return Ok(());
            }
            for other in &others {
                let values = [Param::Text(name.as_str().as_bytes()), Param::Text(other)];
                writer.execute(&self.statements.set_other_name, &values)?;
            }
        }
    }

    /// Gives an account the login that is looked up. Its mail stays where it is: the paths that the old spelling led to
    /// are written into the row.
    fn respell_account(
        &self,
        writer: &mut Writer<'_>,
        account: &Misspelt,
        mailbox: &MailboxDefaults,
        done: &mut Respelt,
    ) -> Result<(), DriverError> {
        let Some((old, new)) = spellings(&account.stored) else { return Ok(()) };
        self.lock_sum(writer, old.domain())?;
        if self.is_account(writer, new.as_str())? {
            done.double(|| format!("the accounts {old} and {new}"));
            return Ok(());
        }
        let (from, to) = (mailbox.places(&old), mailbox.places(&new));
        let moved = |has: bool, from: Option<String>, to| if has || from == to { None } else { from };
        let home = moved(account.has_home, from.home, to.home);
        let maildir = moved(account.has_maildir, from.maildir, to.maildir);
        for (field, place) in [(Field::Home, home), (Field::Maildir, maildir)] {
            if let (Some(place), Some(column)) = (place, &self.model.accounts.column(field).write) {
                let sql = format!("{}, {column} = ?{}", self.statements.set_account, self.statements.of_account);
                let set = Statement { slot: None, sql: self.dialect().placeholders(&sql) };
                let name = Param::Text(&account.stored);
                writer.execute(&set, &[Param::Text(place.as_bytes()), name, name])?;
            }
        }
        match self.rename_row(writer, &account.stored, &new)? {
            Ok(()) => done.accounts += 1,
            Err(why) => done.double(|| format!("the accounts {old} and {new}: {why}")),
        }
        Ok(())
    }

    fn respell_aliases(
        &self,
        writer: &mut Writer<'_>,
        stored: &str,
        name: &DomainName,
        done: &mut Respelt,
    ) -> Result<(), DriverError> {
        let mut after = (Vec::new(), Vec::new());
        // The targets of one address are adjacent.
        let mut last: Option<(Vec<u8>, Option<String>)> = None;
        loop {
            let domain = Param::Text(stored.as_bytes());
            let page = self.alias_page(writer.reading(), Some(domain), (&after.0, &after.1))?;
            for row in &page {
                let new = match &last {
                    Some((address, new)) if *address == row.address => new.clone(),
                    _ => self.new_address(writer, &row.address, name, done)?,
                };
                if let Some(new) = &new {
                    let target = String::from_utf8_lossy(&row.target);
                    let target = spelling::respelt_target(&target);
                    let (old, was) = (Param::Text(&row.address), Param::Text(&row.target));
                    writer.execute(&self.statements.remove_target, &[old, was, old, was])?;
                    let texts = [new.as_str(), name.as_str(), &target].map(|text| Param::Text(text.as_bytes()));
                    let values = [texts[0], texts[1], texts[2], Param::Int(row.position)];
                    if !self.has_target(writer, new, &target)? {
                        writer.execute(&self.statements.add_alias, &values)?;
                    }
                }
                last = Some((row.address.clone(), new));
            }
            match page.into_iter().next_back() {
                Some(row) => after = (row.address, row.target),
                None => return Ok(()),
            }
        }
    }

    /// Returns the address of an alias in its new domain; `None` if that is in use, so that the alias has to stay.
    fn new_address(
        &self,
        writer: &mut Writer<'_>,
        stored: &[u8],
        name: &DomainName,
        done: &mut Respelt,
    ) -> Result<Option<String>, DriverError> {
        let Ok(text) = std::str::from_utf8(stored) else { return Ok(None) };
        let new = match text.strip_prefix('@') {
            Some(_) => format!("@{name}"),
            None => match spellings(stored) {
                Some((_, new)) => new.as_str().to_owned(),
                None => return Ok(None),
            },
        };
        let is_taken = self.is_alias(writer, &new)? || self.is_account(writer, &new)?;
        if is_taken {
            done.double(|| format!("the address {text}, an alias, and {new}"));
            return Ok(None);
        }
        done.aliases += 1;
        Ok(Some(new))
    }

    fn domain_row(&self, writer: &mut Writer<'_>, name: &str) -> Result<Option<DomainRow>, DriverError> {
        let mut found = None;
        writer.query(&self.statements.whole_domain, &[Param::Text(name.as_bytes())], &mut |row| {
            if DomainColumn::Name.is_text(row, name.as_bytes()) {
                found = rows::domain(row).ok();
            }
        })?;
        Ok(found)
    }

    fn is_account(&self, writer: &mut Writer<'_>, login: &str) -> Result<bool, DriverError> {
        let mut found = false;
        let name = login.as_bytes();
        writer.query(&self.statements.find, &[Param::Text(name)], &mut |row| {
            found |= stored(row, Field::Login) == name;
        })?;
        Ok(found)
    }

    fn is_alias(&self, writer: &mut Writer<'_>, address: &str) -> Result<bool, DriverError> {
        let mut found = false;
        let name = address.as_bytes();
        let asking = [Param::Text(name), Param::Int(1)];
        writer.query(&self.statements.find_alias, &asking, &mut |row| {
            found |= AliasColumn::Address.is_text(row, name);
        })?;
        Ok(found)
    }

    fn has_target(&self, writer: &mut Writer<'_>, address: &str, target: &str) -> Result<bool, DriverError> {
        let mut found = false;
        let asking = [Param::Text(address.as_bytes()), Param::Int(MOST_TARGETS as i64 + 1)];
        let find = &self.statements.find_alias;
        writer.query(find, &asking, &mut |row| {
            found |= AliasColumn::Address.is_text(row, address.as_bytes())
                && AliasColumn::Target.is_text(row, target.as_bytes());
        })?;
        Ok(found)
    }

    /// Returns the target of an alias that is `target` in another spelling.
    pub(in crate::store) fn misspelt_target(
        &self,
        writer: &mut Writer<'_>,
        address: &str,
        target: &str,
    ) -> Result<Option<Vec<u8>>, DriverError> {
        let mut found = None;
        let asking = [Param::Text(address.as_bytes()), Param::Int(MOST_TARGETS as i64 + 1)];
        writer.query(&self.statements.find_alias, &asking, &mut |row| {
            let stored = AliasColumn::Target.bytes(row);
            if std::str::from_utf8(&stored).is_ok_and(|stored| spelling::respelt_target(stored) == target) {
                found = Some(stored);
            }
        })?;
        Ok(found)
    }

    fn is_empty_domain(&self, writer: &mut Writer<'_>, name: &str) -> Result<bool, DriverError> {
        let domain = Param::Text(name.as_bytes());
        let asking = [domain, domain, Param::Text(b""), Param::Int(1)];
        let mut counted = 0;
        let count = &self.statements.count_domain_accounts;
        writer.query(count, &asking, &mut |row| counted = number(row, 0).unwrap_or(1))?;
        Ok(counted == 0 && self.alias_page(writer.reading(), Some(domain), (b"", b""))?.is_empty())
    }
}

/// Reads the needed columns of an account whose row cannot be used.
fn misspelt(row: &dyn Row) -> Misspelt {
    let has = |field| !stored(row, field).is_empty();
    Misspelt { stored: stored(row, Field::Login), has_home: has(Field::Home), has_maildir: has(Field::Maildir) }
}

/// Returns the bytes of a text in an account's row, or nothing for any other value.
fn stored(row: &dyn Row, field: Field) -> Vec<u8> {
    match rows::cell(row, field) {
        Cell::Text(text) => text.to_vec(),
        _ => Vec::new(),
    }
}

/// Returns a login as it is stored and as it is looked up; `None` unless they differ in their spelling alone.
fn spellings(stored: &[u8]) -> Option<(Login, Login)> {
    let (old, new) = (Login::as_it_stands(stored)?, Login::parse(stored, None).ok()?);
    (old != new).then_some((old, new))
}
