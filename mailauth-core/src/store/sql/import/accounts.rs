//! Importing accounts, and their domains.

use super::{ImportTable, Pass, Plan, Step, found};
use crate::account::{AccountRow, Login};
use crate::mailbox::Unusable;
use crate::schema::Field;
use crate::store::administration::{AccountChange, AdminError};
use crate::store::driver::{Cell, Connection, DriverError, Param, Refusal, Statement};
use crate::store::importing::{AccountRecord, ImportMode, JudgeAccount};
use crate::store::sql::SqlStore;
use crate::store::sql::administer::{Done, services};
use crate::store::sql::import::account_rows::{exists, inserted, value};
use crate::store::sql::rows;
use crate::store::sql::statements::INSERTED;
use crate::store::sql::writer::Writer;
use crate::store::{Changed, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::iter;

/// Maximum number of domains that are remembered as existing.
const MOST_KNOWN: usize = 10_000;

/// An import of accounts.
pub(in crate::store::sql) struct AccountImport<'a> {
    store: &'a SqlStore,
    mode: ImportMode,
    judge: JudgeAccount<'a>,
    /// Domains that are known to exist, and can have accounts. In a dry run, also those that would be added.
    known: BTreeSet<String>,
    /// Domains that were added, or would be.
    added: Vec<String>,
}

/// An account as it is to be, and the columns that are to be written if it exists.
pub(in crate::store::sql) struct Account {
    row: AccountRow,
    columns: Columns,
    /// False if the row exists and cannot be read.
    is_whole: bool,
}

/// Columns of an account that the source has: one bit for each of [`INSERTED`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Columns(usize);

impl Columns {
    fn of(change: &AccountChange) -> Self {
        let has = |field: &Field| match field {
            Field::Password => change.password.is_some(),
            Field::Enabled => change.enabled.is_some(),
            Field::Services => change.services.is_some(),
            Field::Uid => change.uid.is_some(),
            Field::Gid => change.gid.is_some(),
            Field::Home => change.home.is_some(),
            Field::Maildir => change.maildir.is_some(),
            Field::QuotaBytes => change.quota_bytes.is_some(),
            Field::QuotaMessages => change.quota_messages.is_some(),
            Field::Name => change.name.is_some(),
            Field::Options => change.options.is_some(),
            Field::Receives => change.receives.is_some(),
            _ => false,
        };
        let bits = INSERTED.iter().enumerate().filter(|(_, field)| has(field));
        Columns(bits.fold(0, |sum, (index, _)| sum | 1 << index))
    }

    fn fields(self) -> impl Iterator<Item = Field> {
        INSERTED.into_iter().enumerate().filter(move |(index, _)| self.0 & 1 << index != 0).map(|(_, field)| field)
    }
}

/// An account that exists, and the columns that have another value.
type Changing<'s> = (&'s Account, &'s [&'static str]);

type Found = BTreeMap<Vec<u8>, Result<AccountRow, Unusable>>;

impl<'a> AccountImport<'a> {
    pub(in crate::store::sql) fn new(store: &'a SqlStore, mode: ImportMode, judge: JudgeAccount<'a>) -> Self {
        AccountImport { store, mode, judge, known: BTreeSet::new(), added: Vec::new() }
    }

    /// Returns the rows that these logins have, byte for byte.
    fn stored<'r>(
        &self,
        connection: &mut dyn Connection,
        logins: impl Iterator<Item = &'r Login>,
        pass: Pass,
    ) -> Result<Found, DriverError> {
        // A login with a character that the database's character set lacks would make the whole query fail.
        let (plain, others): (Vec<_>, Vec<_>) =
            logins.map(|login| login.as_str().as_bytes()).partition(|login| login.is_ascii());
        let mut all = Found::new();
        for some in iter::once(&plain[..]).chain(others.chunks(1)).filter(|some| !some.is_empty()) {
            let asked: Vec<_> = some.iter().map(|login| Param::Text(login)).collect();
            let statement = self.store.sized(&self.store.statements.find_rows, asked.len());
            let mut read = found(connection, pass, |connection| {
                let mut read = Found::new();
                connection.query(&statement, &asked, &mut |row| {
                    if let Cell::Text(login) = rows::cell(row, Field::Login) {
                        read.insert(login.to_owned(), rows::account(row));
                    }
                })?;
                Ok(read)
            })?;
            all.append(&mut read);
        }
        Ok(all)
    }

    /// Returns what is to be done with an account.
    fn step(
        &mut self,
        connection: &mut dyn Connection,
        record: AccountRecord,
        stored: Option<&Result<AccountRow, Unusable>>,
        pass: Pass,
    ) -> Result<Plan<Account>, DriverError> {
        let AccountRecord { login, change } = record;
        let columns = Columns::of(&change);
        let (before, is_new) = match stored {
            None => (AccountRow::new(login), true),
            Some(_) if !self.mode.update => return Ok(Err(exists(&login))),
            Some(Ok(before)) => (before.clone(), false),
            // The import may correct such a row.
            Some(Err(_)) => (AccountRow::new(login), false),
        };
        let mut row = before.clone();
        let changed = change.apply(&mut row);
        let known = stored.is_some_and(Result::is_ok).then_some(&before);
        if let Some(problem) = (self.judge)(known, &row) {
            return Ok(Err(AdminError::Beside(problem)));
        }
        if is_new {
            let refused = self.look_at_domain(connection, &row.login, pass)?;
            return Ok(refused.map_or_else(|| Ok(Step::Add(Account { row, columns, is_whole: true })), Err));
        }
        let names = if known.is_some() { changed } else { columns.fields().map(Field::name).collect() };
        Ok(Ok(if names.is_empty() {
            Step::Keep
        } else {
            Step::Change(Account { row, columns, is_whole: known.is_some() }, names)
        }))
    }

    /// Returns the reason why the domain of a new account cannot have it, if that is so.
    fn look_at_domain(
        &mut self,
        connection: &mut dyn Connection,
        login: &Login,
        pass: Pass,
    ) -> Result<Option<AdminError>, DriverError> {
        let domain = login.domain();
        if self.known.contains(domain) {
            return Ok(None);
        }
        if let Some(problem) = self.store.unfit_for_addresses(connection, domain)? {
            return Ok(Some(problem));
        }
        // Otherwise, it is added with the account.
        if pass == Pass::Dry {
            if self.store.query_standing(connection, domain)?.is_none() {
                self.added.push(domain.to_owned());
            }
            self.known.insert(domain.to_owned());
        }
        Ok(None)
    }

    /// Makes sure that the domain of an account exists.
    fn ensure_domain(&mut self, writer: &mut Writer<'_>, domain: &str) -> Result<(), DriverError> {
        if self.known.contains(domain) {
            return Ok(());
        }
        if self.store.ensure_domain(writer, domain)? {
            self.added.push(domain.to_owned());
        }
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(domain.to_owned());
        Ok(())
    }

    /// Writes these columns of accounts that exist, with one statement. It would add an account that was removed in the
    /// meantime, as if the removal had come first.
    fn change_many(&self, writer: &mut Writer<'_>, columns: Columns, accounts: &[Changing<'_>]) -> Done<()> {
        let end = match self.or_update(columns) {
            Ok(end) => end,
            Err(error) => return Ok(Err(error.into())),
        };
        let lists: Vec<_> = accounts.iter().map(|(account, _)| services(&account.row.services)).collect();
        let mut values = Vec::with_capacity(accounts.len() * (INSERTED.len() + 1));
        for ((account, changed), list) in accounts.iter().zip(&lists) {
            values.extend(inserted(&account.row, list.as_deref(), changed.contains(&"password")));
        }
        let [begin, each, _] = &self.store.statements.add_some;
        let statement = self.store.sized(&[begin.clone(), each.clone(), end], accounts.len());
        writer.execute(&statement, &values)?;
        Ok(Ok(()))
    }

    /// Returns the clause by which rows that exist get the new values of these columns.
    fn or_update(&self, columns: Columns) -> Result<String, StoreError> {
        let dialect = self.store.dialect();
        let new = |column: &str| dialect.new_value.replace("{}", column);
        let mut sets = vec![format!("{} = {}", self.store.writable(Field::Updated)?, dialect.now)];
        for field in columns.fields() {
            let column = self.store.writable(field)?;
            sets.push(format!("{column} = {}", new(column)));
        }
        if columns.fields().any(|field| field == Field::Password) {
            let (table, time) = (&self.store.model.accounts.table, self.store.writable(Field::PasswordChanged)?);
            sets.push(format!("{time} = COALESCE({}, {table}.{time})", new(time)));
        }
        let clause = dialect.or_update.replace("{}", self.store.writable(Field::Login)?);
        Ok(format!(" {clause} {}", sets.join(", ")))
    }

    /// Writes the columns of an account whose other columns cannot be read.
    fn correct(&self, writer: &mut Writer<'_>, account: &Account) -> Done<()> {
        let store = self.store;
        let mut sql = store.statements.set_account.clone();
        let list = services(&account.row.services);
        let mut values = Vec::new();
        for field in account.columns.fields() {
            match store.writable(field) {
                Ok(column) => sql.push_str(&format!(", {column} = ?")),
                Err(error) => return Ok(Err(error.into())),
            }
            if field == Field::Password
                && let Ok(time) = store.writable(Field::PasswordChanged)
            {
                sql.push_str(&format!(", {time} = {}", store.dialect().now));
            }
            values.push(value(&account.row, field, list.as_deref()));
        }
        sql.push_str(&store.statements.of_account);
        values.extend([Param::Text(account.row.login.as_str().as_bytes()); 2]);
        let statement = Statement { slot: None, sql: store.dialect().placeholders(&sql) };
        Ok(match writer.execute(&statement, &values)? {
            // It was removed in the meantime.
            0 => Err(AdminError::NoSuch { what: "account", name: account.row.login.to_string() }),
            _ => Ok(()),
        })
    }
}

impl ImportTable for AccountImport<'_> {
    type Record = AccountRecord;
    type Row = Account;

    fn plan(
        &mut self,
        connection: &mut dyn Connection,
        records: Vec<AccountRecord>,
        pass: Pass,
    ) -> Result<Vec<Plan<Account>>, DriverError> {
        if pass == Pass::Quick && !self.mode.update {
            // The database refuses an account that exists.
            let add = |AccountRecord { login, change }: AccountRecord| {
                let mut row = AccountRow::new(login);
                change.apply(&mut row);
                Ok(Step::Add(Account { row, columns: Columns(0), is_whole: true }))
            };
            return Ok(records.into_iter().map(add).collect());
        }
        let stored = self.stored(connection, records.iter().map(|record| &record.login), pass)?;
        let mut seen = BTreeSet::new();
        let mut steps = Vec::with_capacity(records.len());
        for record in records {
            let login = record.login.clone();
            let step = match seen.contains(&login) {
                true => Err(exists(&login)),
                false => self.step(connection, record, stored.get(login.as_str().as_bytes()), pass)?,
            };
            seen.insert(login);
            steps.push(step);
        }
        Ok(steps)
    }

    fn carry_out(&mut self, writer: &mut Writer<'_>, steps: &[&Step<Account>]) -> Done<()> {
        let mut new = Vec::with_capacity(steps.len());
        // The rows of a file have the same columns.
        let mut changing: BTreeMap<Columns, Vec<Changing<'_>>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Add(account) => {
                    self.ensure_domain(writer, account.row.login.domain())?;
                    new.push(&account.row);
                }
                Step::Change(account, changed) if account.is_whole => {
                    changing.entry(account.columns).or_default().push((account, changed));
                }
                Step::Change(account, _) => {
                    if let Err(problem) = self.correct(writer, account)? {
                        return Ok(Err(problem));
                    }
                }
                Step::Keep => {}
            }
        }
        for (columns, accounts) in changing {
            if let Err(problem) = self.change_many(writer, columns, &accounts)? {
                return Ok(Err(problem));
            }
        }
        if !new.is_empty() {
            self.store.insert(writer, new.into_iter())?;
        }
        Ok(Ok(()))
    }

    fn refusal(&self, account: &Account, error: DriverError) -> AdminError {
        match error {
            DriverError::Refused { kind: Refusal::Duplicate, .. } => exists(&account.row.login),
            error => self.store.refusal(&account.row, error),
        }
    }

    fn changed(account: &Account) -> Changed {
        Changed::Account(account.row.login.clone())
    }

    fn size(AccountRecord { login, change }: &AccountRecord) -> usize {
        let texts = [&change.home, &change.maildir, &change.name, &change.options];
        let texts = texts.into_iter().flatten().flatten().map(String::len).sum::<usize>();
        login.as_str().len() + change.password.as_ref().map_or(0, |password| password.0.len()) + texts
    }

    fn undo(&mut self) {
        self.known.clear();
        self.added.clear();
    }

    fn take_domains(&mut self) -> Vec<String> {
        std::mem::take(&mut self.added)
    }
}
