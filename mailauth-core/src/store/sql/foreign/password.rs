//! Change of a password in another program's table, if the configuration names the column.

use super::statements::{Name, Question};
use super::{ACCOUNTS, Foreign};
use crate::account::{Login, Password};
use crate::schema::references::{NamedTable, bare};
use crate::schema::{Field, ForeignModel};
use crate::store::AccountStore;
use crate::store::administration::{AccountChange, AdminError};
use crate::store::driver::{Cell, Connection, Dialect, DriverError, Param, Refusal, Row, Statement};
use crate::store::hosts::in_transaction;
use crate::store::sql::SqlStore;
use crate::store::sql::administer::no_such;
use crate::store::sql::columns::{bytes, is_text};
use std::convert::Infallible;

/// The statements that change a password.
pub(in crate::store) struct PasswordStatements {
    /// Returns the login, the password as it is read, the column as it is stored, and the key.
    find: Question,
    /// Replaces the column of the row with this key: `(new, key..., old)`.
    update: Statement,
    /// Number of columns of the key.
    keys: usize,
}

/// Indexes of the columns of [`PasswordStatements::find`].
const LOGIN: usize = 0;
const PASSWORD: usize = 1;
const STORED: usize = 2;
const KEY: usize = 3;

/// Number of times that a change is tried while other programs change the same password.
const ATTEMPTS: usize = 3;

/// A value of a key.
enum KeyValue {
    Int(i64),
    Text(Vec<u8>),
}

impl KeyValue {
    fn param(&self) -> Param<'_> {
        match self {
            KeyValue::Int(number) => Param::Int(*number),
            KeyValue::Text(text) => Param::Text(text),
        }
    }
}

fn refused(reason: &str) -> DriverError {
    DriverError::Refused { kind: Refusal::Other, reason: reason.to_owned() }
}

/// A row whose password is to be changed.
struct Place {
    password: Vec<u8>,
    stored: Vec<u8>,
    key: Vec<KeyValue>,
}

impl PasswordStatements {
    /// Builds the statements; `None` if the model names no column, or not how its row is found.
    pub fn new(model: &ForeignModel, dialect: &Dialect, kept: &mut dyn FnMut(&str) -> Statement) -> Option<Self> {
        let accounts = &model.accounts;
        let column = accounts.write_password.as_ref()?;
        let NamedTable { table, alias: name } = NamedTable::first_of(&accounts.from)?;
        let most = Field::Password.most_bytes()?;
        let (login, password) = (accounts.field(Field::Login)?, accounts.field(Field::Password)?);
        let (password, stored) = (dialect.bounded(password, most), dialect.bounded(&format!("{name}.{column}"), most));
        let key = accounts.key.join(", ");
        let filter = accounts.filter.as_ref().map(|sql| format!(" AND ({sql})")).unwrap_or_default();
        let find = format!(
            "SELECT {login}, {password}, {stored}, {key} FROM {} WHERE ({}){filter} LIMIT {}",
            accounts.from,
            accounts.find.sql,
            super::MOST_FOUND
        );
        // An alias of the table cannot be used in the same way in every database.
        let of_key: Vec<String> = accounts.key.iter().map(|key| format!("{} = ?", bare(key))).collect();
        let same = dialect.same_bytes.replace("{}", &format!("COALESCE({column}, '')"));
        let update = format!("UPDATE {table} SET {column} = ? WHERE {} AND {same}", of_key.join(" AND "));
        (!of_key.is_empty()).then(|| PasswordStatements {
            find: Question::new(kept(&find), &accounts.find.parameters),
            update: kept(&update),
            keys: of_key.len(),
        })
    }
}

impl Foreign {
    /// Replaces the password `old` by `new`, if `old` is still stored. Returns the number of changed rows.
    pub fn replace_password(
        &self,
        connection: &mut dyn Connection,
        login: &Login,
        [old, new]: [&Password; 2],
        begin: &str,
    ) -> Result<u64, DriverError> {
        let Some(statements) = &self.statements.password else {
            return Err(DriverError::Schema(self.model.refusal()));
        };
        let Some(place) = self.place_of(connection, statements, login)? else { return Ok(0) };
        if place.password != old.0.expose() {
            return Ok(0);
        }
        let mut values = vec![Param::Text(new.0.expose())];
        values.extend(place.key.iter().map(KeyValue::param));
        values.push(Param::Text(&place.stored));
        let done = in_transaction(connection, begin, |connection| {
            match connection.execute(&statements.update, &values)? {
                0 => return Ok(Ok::<_, Infallible>(0)),
                1 => {}
                _ => return Err(refused("several rows have the key of one account; correct [schema.accounts] key")),
            }
            // Otherwise the old password would stay in force.
            match self.place_of(connection, statements, login)? {
                Some(changed) if changed.password == new.0.expose() => Ok(Ok(1)),
                _ => Err(refused(
                    "the password that is read is not the one that was written; correct [schema.accounts] password or \
                     write_password",
                )),
            }
        });
        match done.map_err(|error| self.explain(error, ACCOUNTS))? {
            Ok(rows) => Ok(rows),
            Err(never) => match never {},
        }
    }

    /// Returns the row of an account; `None` if there is no such account.
    fn place_of(
        &self,
        connection: &mut dyn Connection,
        statements: &PasswordStatements,
        login: &Login,
    ) -> Result<Option<Place>, DriverError> {
        let mut places = Vec::new();
        self.ask(connection, ACCOUNTS, &statements.find, Name::of_address(login.as_str()), &mut |row| {
            if is_text(row, LOGIN, login.as_str().as_bytes()) {
                places.push(Place::of(row, statements.keys));
            }
        })?;
        match (places.pop(), places.is_empty()) {
            (None, _) => Ok(None),
            (Some(Some(place)), true) => Ok(Some(place)),
            _ => Err(DriverError::Schema(format!(
                "{login} is in two rows, or its row has no key of text or whole numbers; correct [schema.accounts] key"
            ))),
        }
    }

    /// Returns the name of the table with a row for each account; `None` if it has no name.
    pub(super) fn first_table(&self) -> Option<String> {
        NamedTable::first_of(&self.model.accounts.from).map(|named| named.bare_name().to_owned())
    }
}

impl SqlStore {
    /// Changes the password of an account of another program, for an administrator. No other column can be changed.
    pub(in crate::store::sql) fn change_foreign_password(
        &self,
        login: &Login,
        change: &AccountChange,
    ) -> Result<(), AdminError> {
        let Some(new) = change
            .password
            .as_ref()
            .filter(|_| AccountChange { password: None, ..change.clone() } == AccountChange::default())
        else {
            return Ok(self.ensure_own()?);
        };
        self.ensure_passwords_change()?;
        for _ in 0..ATTEMPTS {
            let row = self.find_newest(login)?.ok_or_else(|| no_such("account", login.as_str()))?;
            if self.set_password(login, &row.password, new)? {
                return Ok(());
            }
        }
        Err(AdminError::Beside(format!(
            "the password of {login} was changed by another program at the same time; try again"
        )))
    }
}

impl Place {
    /// Reads a row; `None` if its key cannot be compared.
    fn of(row: &dyn Row, keys: usize) -> Option<Self> {
        let value = |index| match row.cell(index) {
            Cell::Int(number) => Some(KeyValue::Int(number)),
            Cell::Text(text) => Some(KeyValue::Text(text.to_vec())),
            Cell::Null | Cell::Other => None,
        };
        let key = (KEY..KEY + keys).map(value).collect::<Option<Vec<_>>>()?;
        Some(Place { password: bytes(row, PASSWORD), stored: bytes(row, STORED), key })
    }
}
