//! Adding accounts, from one to a million.

use super::SqlStore;
use super::administer::{Done, id, limit, no_such, password, services};
use super::alias_domains::unfit;
use super::columns::bytes;
use super::statements::{BATCH, INSERTED};
use super::writer::Writer;
use crate::account::{AccountRow, Login};
use crate::schema::Field;
use crate::store::StoreError;
use crate::store::administration::{AdminError, ImportError, ImportSource};
use crate::store::driver::{Connection, DriverError, Param, Refusal, Statement};
use std::collections::BTreeSet;
use std::{io, iter};

/// Maximum number of bytes of text that are sent with one statement, unless a single account has more. Databases limit
/// the size of a statement.
const BATCH_BYTES: usize = 1 << 20;

/// Maximum number of domains that are remembered as existing.
const MOST_KNOWN: usize = 10_000;

/// Savepoint to which a refused statement is undone. After a refusal PostgreSQL accepts nothing else; and if a database
/// has undone the whole transaction by itself, returning to the savepoint fails, so nothing is added outside of it.
const MARK: &str = "SAVEPOINT batch";
const BACK: &str = "ROLLBACK TO SAVEPOINT batch";

/// An account and its place in the source.
type Placed = (u64, AccountRow);

/// The places of accounts that are refused, and the reasons.
type Refused = Vec<(u64, AdminError)>;

/// Reason why the transaction of an import is undone.
enum Undone {
    /// An account that was refused.
    Refused,
    Failed(ImportError),
}

impl<E: Into<ImportError>> From<E> for Undone {
    fn from(error: E) -> Self {
        Undone::Failed(error.into())
    }
}

impl SqlStore {
    /// Adds everything or nothing. The first attempt ends at the first refusal. The second one, which is slower, finds
    /// all other refusals, and adds nothing either unless the cause has gone.
    pub(in crate::store) fn import_from(&self, source: &mut dyn ImportSource) -> Result<u64, ImportError> {
        if !source.is_spoilt() {
            match self.attempt(source, |import, connection, batch| import.add_at_once(connection, batch)) {
                Ok(added) => return Ok(added),
                Err(Undone::Failed(error)) => return Err(error),
                Err(Undone::Refused) => {}
            }
        }
        source.rewind()?;
        match self.attempt(source, |import, connection, batch| import.add_what_fits(connection, batch)) {
            Ok(added) => Ok(added),
            Err(Undone::Refused) => Ok(0),
            Err(Undone::Failed(error)) => Err(error),
        }
    }

    /// Runs one transaction over everything in the source. `add` adds a batch and returns the accounts that are
    /// refused, or `None` if only the fact is known that some are.
    fn attempt(
        &self,
        source: &mut dyn ImportSource,
        add: impl Fn(&mut Import<'_>, &mut Writer<'_>, &[Placed]) -> Result<Option<Refused>, DriverError>,
    ) -> Result<u64, Undone> {
        let imported = self.change_or(|connection| {
            let mut import = Import { store: self, known: BTreeSet::new() };
            let (mut batch, mut added) = (Vec::with_capacity(BATCH), 0);
            loop {
                if let Err(error) = fill(&mut batch, source) {
                    return Ok(Err(error.into()));
                }
                if batch.is_empty() {
                    return Ok(if source.is_spoilt() { Err(Undone::Refused) } else { Ok(added) });
                }
                let refused = match add(&mut import, connection, &batch) {
                    Ok(Some(refused)) => refused,
                    Ok(None) => return Ok(Err(Undone::Refused)),
                    Err(error @ DriverError::Refused { .. }) => return Ok(Err(self.hosts.store_error(error).into())),
                    Err(error) => return Err(error),
                };
                if let Some(error) = of_none(&refused, batch.len()) {
                    return Ok(Err(error.into()));
                }
                added += (batch.len() - refused.len()) as u64;
                for (place, why) in refused {
                    if !source.refuse(place, why) {
                        return Ok(Err(Undone::Refused));
                    }
                }
            }
        });
        imported.unwrap_or_else(|error| Err(error.into()))
    }

    pub(in crate::store) fn insert_account(&self, connection: &mut Writer<'_>, account: &AccountRow) -> Done<()> {
        if account.login.domain().is_empty() {
            return Ok(Err(self.without_domain(account)));
        }
        if let Some(problem) = self.unfit_for_addresses(connection.reading(), account.login.domain())? {
            return Ok(Err(problem));
        }
        match self.insert(connection, [account].into_iter()) {
            Err(error @ DriverError::Refused { .. }) => Ok(Err(self.refusal(account, error))),
            done => done.map(Ok),
        }
    }

    fn without_domain(&self, account: &AccountRow) -> AdminError {
        let place = self.hosts.place().to_owned();
        let reason = format!("the login {} has no domain", account.login);
        AdminError::Store(StoreError::Refused { place, reason })
    }

    /// Returns the reason why this account cannot be added.
    fn refusal(&self, account: &AccountRow, error: DriverError) -> AdminError {
        match error {
            DriverError::Refused { kind: Refusal::Duplicate, .. } => exists(account),
            DriverError::Refused { kind: Refusal::Reference, .. } => no_such("domain", account.login.domain()),
            DriverError::Refused { kind: Refusal::Unstorable, reason } => AdminError::Unstorable(reason),
            DriverError::Refused { kind: Refusal::Unfit, reason } => unfit(account.login.domain(), &reason),
            error => AdminError::Store(self.hosts.store_error(error)),
        }
    }

    /// Adds these accounts with one statement.
    fn insert<'a>(
        &self,
        connection: &mut Writer<'_>,
        accounts: impl ExactSizeIterator<Item = &'a AccountRow> + Clone,
    ) -> Result<(), DriverError> {
        let services: Vec<_> = accounts.clone().map(|account| services(&account.services)).collect();
        let mut values = Vec::with_capacity(accounts.len() * (INSERTED.len() + 1));
        for (account, services) in accounts.clone().zip(&services) {
            values.extend(inserted(account, services.as_deref()));
        }
        let statements = &self.statements;
        match accounts.len() {
            1 => connection.execute(&statements.add_account, &values),
            BATCH => connection.execute(&statements.add_accounts, &values),
            count => connection.execute(&self.sized(&statements.add_some, count), &values),
        }
        .map(drop)
    }

    /// Returns the statement for `count` accounts, from its beginning, the text for each of them, and its end.
    pub(in crate::store) fn sized(&self, [begin, each, end]: &[String; 3], count: usize) -> Statement {
        let sql = format!("{begin}{}{end}", vec![each.as_str(); count].join(", "));
        Statement { slot: None, sql: self.dialect().placeholders(&sql) }
    }

    /// Returns which of the logins are in the table, byte for byte.
    pub(in crate::store) fn present<'a>(
        &self,
        connection: &mut dyn Connection,
        logins: impl Iterator<Item = &'a Login>,
    ) -> Result<BTreeSet<Vec<u8>>, DriverError> {
        let logins: Vec<_> = logins.map(|login| login.as_str().as_bytes()).collect();
        // A login with a character that the database's character set lacks would make the whole query fail.
        let (plain, others): (Vec<_>, Vec<_>) = logins.into_iter().partition(|login| login.is_ascii());
        let mut present = BTreeSet::new();
        for some in iter::once(&plain[..]).chain(others.chunks(1)).filter(|some| !some.is_empty()) {
            let asked: Vec<_> = some.iter().map(|login| Param::Text(login)).collect();
            connection.query(&self.sized(&self.statements.find_some, asked.len()), &asked, &mut |row| {
                present.insert(bytes(row, 0));
            })?;
        }
        Ok(present)
    }
}

/// A transaction that adds accounts.
struct Import<'s> {
    store: &'s SqlStore,
    /// Domains that are known to exist.
    known: BTreeSet<String>,
}

impl Import<'_> {
    fn add_at_once(&mut self, connection: &mut Writer<'_>, batch: &[Placed]) -> Result<Option<Refused>, DriverError> {
        match self.add(connection, batch.iter()) {
            Ok(()) => Ok(Some(Refused::new())),
            Err(DriverError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn add_what_fits(&mut self, connection: &mut Writer<'_>, batch: &[Placed]) -> Result<Option<Refused>, DriverError> {
        if self.try_to_add(connection, batch.iter())?.is_none() {
            return Ok(Some(Refused::new()));
        }
        let reading = connection.reading();
        reading.batch(MARK)?;
        let present = match self.store.present(reading, batch.iter().map(|(_, account)| &account.login)) {
            // Values that no row can hold are found one by one.
            Err(DriverError::Refused { .. }) => {
                reading.batch(BACK)?;
                BTreeSet::new()
            }
            found => found?,
        };
        let (mut seen, mut refused, mut others) = (BTreeSet::new(), Refused::new(), Vec::new());
        for placed @ (place, account) in batch {
            let login = account.login.as_str();
            match present.contains(login.as_bytes()) || !seen.insert(login) {
                true => refused.push((*place, exists(account))),
                false => others.push(placed),
            }
        }
        self.narrow(connection, &others, &mut refused)?;
        Ok(Some(refused))
    }

    /// Adds the accounts that are not refused.
    fn narrow(
        &mut self,
        connection: &mut Writer<'_>,
        accounts: &[&Placed],
        refused: &mut Refused,
    ) -> Result<(), DriverError> {
        if accounts.is_empty() {
            return Ok(());
        }
        match (self.try_to_add(connection, accounts.iter().copied())?, accounts) {
            (None, _) => Ok(()),
            (Some(why), [(place, account)]) => {
                refused.push((*place, self.store.refusal(account, why)));
                Ok(())
            }
            (Some(_), several) => {
                let (first, second) = several.split_at(several.len() / 2);
                self.narrow(connection, first, refused)?;
                self.narrow(connection, second, refused)
            }
        }
    }

    /// Adds all of these or none. Returns the refusal, after which the transaction can go on.
    fn try_to_add<'a>(
        &mut self,
        connection: &mut Writer<'_>,
        accounts: impl ExactSizeIterator<Item = &'a Placed> + Clone,
    ) -> Result<Option<DriverError>, DriverError> {
        connection.reading().batch(MARK)?;
        match self.add(connection, accounts) {
            // The cause of this error is not an account.
            Err(error @ DriverError::Refused { kind: Refusal::Forbidden, .. }) => Err(error),
            Err(refused @ DriverError::Refused { .. }) => {
                // Domains that were added since the savepoint are gone.
                self.known.clear();
                connection.reading().batch(BACK)?;
                Ok(Some(refused))
            }
            done => done.map(|()| None),
        }
    }

    /// Adds these accounts, and their domains.
    fn add<'a>(
        &mut self,
        connection: &mut Writer<'_>,
        accounts: impl ExactSizeIterator<Item = &'a Placed> + Clone,
    ) -> Result<(), DriverError> {
        for (_, account) in accounts.clone() {
            let domain = account.login.domain();
            if !self.known.contains(domain) {
                self.store.ensure_domain(connection, domain)?;
                if self.known.len() >= MOST_KNOWN {
                    self.known.clear();
                }
                self.known.insert(domain.to_owned());
            }
        }
        self.store.insert(connection, accounts.map(|(_, account)| account))
    }
}

/// Reads the next batch, which is empty at the end.
fn fill(batch: &mut Vec<Placed>, source: &mut dyn ImportSource) -> io::Result<()> {
    batch.clear();
    let mut size = 0;
    while batch.len() < BATCH && size < BATCH_BYTES {
        let Some((place, account)) = source.next()? else { break };
        let texts = [&account.home, &account.maildir, &account.name, &account.options];
        size += account.login.as_str().len() + account.password.0.len();
        size += texts.into_iter().flatten().map(String::len).sum::<usize>();
        batch.push((place, account));
    }
    Ok(())
}

/// Returns the error of a database that refuses each of several accounts for the same reason. The accounts are not
/// its cause then.
fn of_none(refused: &Refused, of: usize) -> Option<StoreError> {
    let (_, AdminError::Store(error)) = refused.first()? else { return None };
    let same = |(_, why): &(u64, AdminError)| matches!(why, AdminError::Store(why) if why == error);
    (refused.len() == of && of > 1 && refused.iter().all(same)).then(|| error.clone())
}

fn exists(account: &AccountRow) -> AdminError {
    AdminError::Exists { what: "account", name: account.login.to_string() }
}

/// Returns the parameters that add an account.
fn inserted<'a>(account: &'a AccountRow, services: Option<&'a str>) -> impl Iterator<Item = Param<'a>> {
    let value = move |field: Field| match field {
        Field::Login => Param::Text(account.login.as_str().as_bytes()),
        Field::Domain => Param::Text(account.login.domain().as_bytes()),
        Field::Password => password(&account.password),
        Field::Enabled => Param::Int(account.enabled.into()),
        Field::Services => Param::text(services),
        Field::Uid => id(account.uid),
        Field::Gid => id(account.gid),
        Field::Home => Param::text(account.home.as_deref()),
        Field::Maildir => Param::text(account.maildir.as_deref()),
        Field::QuotaBytes => limit(account.quota_bytes),
        Field::QuotaMessages => limit(account.quota_messages),
        Field::Name => Param::text(account.name.as_deref()),
        Field::Options => Param::text(account.options.as_deref()),
        Field::Receives => Param::Int(account.receives.into()),
        Field::DomainEnabled | Field::Created | Field::Updated | Field::PasswordChanged => Param::Null,
    };
    INSERTED.into_iter().map(value).chain([Param::Int((!account.password.0.is_empty()).into())])
}
