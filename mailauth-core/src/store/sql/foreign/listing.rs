//! Lists of another program's rows, a page at a time.
//!
//! Pages are read in the order of a unique key of the first table: the next page has the keys after the last one's.
//! With an index of that key, and tables that are joined to the first one by theirs, a page costs the same wherever it
//! is in the table.

use super::rows;
use super::statements::QUOTA;
use super::{ACCOUNTS, ALIAS_DOMAINS, ALIASES, DOMAINS, Foreign};
use crate::account::AccountRow;
use crate::mailbox::Unusable;
use crate::schema::{Field, ForeignModel, Listing, NamedSql, Parameter};
use crate::store::driver::{Cell, Connection, Dialect, DriverError, Param, Refusal, Row, Statement};
use crate::store::sql::{ParameterKind, StatementText};
use crate::store::{Cursor, Page};
use std::borrow::Cow;

/// Maximum number of bytes of a value of a key.
const MOST_KEY: usize = 4096;

/// Maximum number of bytes of the targets in one row. A row with more is found, and cannot be listed.
pub(super) const MOST_TARGETS_LISTED: usize = 32 << 10;

/// Maximum number of rows of the first page. Without a key to begin after, MariaDB reads few rows by the index of the
/// key, and sorts the whole table for many.
const FIRST_PAGE: usize = 100;

/// First byte of a place that is not written as the text of its key.
const ENCODED: u8 = 1;

/// The statements that list rows, and are kept prepared.
pub(in crate::store) struct Lists {
    accounts: Vec<Pages>,
    domains: Vec<Pages>,
    alias_domains: Vec<Pages>,
    aliases: Vec<Pages>,
}

/// The statements that read the pages of one part of a list.
pub(super) struct Pages {
    pub first: Statement,
    pub next: Statement,
    /// Number of columns before the one that says whether the row can be found, which the key follows.
    width: usize,
    /// Number of columns of the key.
    key: usize,
    /// Place in the key of each parameter of `next`.
    given: Vec<usize>,
}

/// A value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyValue {
    Int(i64),
    Text(Vec<u8>),
}

/// A place in a list: after the row of this part that has this key, or before the first row of the part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    part: usize,
    key: Vec<KeyValue>,
}

/// A row of a list.
pub(super) struct ListedRow<'a> {
    pub row: &'a dyn Row,
    /// False if the database does not find the row by the name in it, because it compares letter by letter.
    pub is_found: bool,
    /// Position of the row in its address's targets: by the part, then by the key if that is a number.
    #[cfg_attr(
        not(feature = "sqlite"),
        expect(dead_code, reason = "only the copy for outages, which is SQLite, reads it")
    )]
    pub position: i64,
}

impl Lists {
    /// Builds the statements. Their slots begin at `slot`.
    pub fn new(model: &ForeignModel, columns: &str, dialect: &Dialect, slot: usize) -> Self {
        let mut slots = slot..;
        let accounts = &model.accounts;
        let of_accounts = Source {
            from: &accounts.from,
            filter: accounts.filter.as_deref(),
            columns: columns.to_owned(),
            width: QUOTA + 1,
            is_found: account_is_found(model, dialect),
            key: &accounts.key,
        };
        let listed = (!accounts.key.is_empty()).then(|| of_accounts.pages(dialect, &mut slots));
        let mut pages = |list: Option<&Vec<Listing>>, is_bounded: bool| -> Vec<Pages> {
            let parts = list.into_iter().flatten();
            parts.map(|part| Source::of(part, is_bounded, dialect).pages(dialect, &mut slots)).collect()
        };
        Lists {
            accounts: listed.into_iter().collect(),
            domains: pages(model.domains.as_ref().and_then(|query| query.list.as_ref()), false),
            alias_domains: pages(model.alias_domains.as_ref().and_then(|query| query.list.as_ref()), false),
            aliases: pages(model.aliases.as_ref().and_then(|query| query.list.as_ref()), true),
        }
    }

    fn parts(&self, section: &str) -> &[Pages] {
        match section {
            ACCOUNTS => &self.accounts,
            DOMAINS => &self.domains,
            ALIAS_DOMAINS => &self.alias_domains,
            _ => &self.aliases,
        }
    }

    /// Returns the statements of each part, with the name and the section of its list.
    pub(super) fn pages(&self) -> impl Iterator<Item = (&'static str, &'static str, &Pages)> {
        let lists = [
            ("list_accounts", ACCOUNTS, &self.accounts),
            ("list_domains", DOMAINS, &self.domains),
            ("list_alias_domains", ALIAS_DOMAINS, &self.alias_domains),
            ("list_aliases", ALIASES, &self.aliases),
        ];
        lists.into_iter().flat_map(|(name, section, parts)| parts.iter().map(move |pages| (name, section, pages)))
    }

    /// Returns the statement that reads the first page of each part.
    pub fn texts(&self) -> impl Iterator<Item = StatementText> {
        self.pages().map(|(name, _, pages)| StatementText {
            name,
            sql: pages.first.sql.clone(),
            parameters: vec![ParameterKind::Limit],
        })
    }
}

impl Pages {
    /// Returns the key of a row; `None` if it is not of a usable type.
    fn key_of(&self, row: &dyn Row) -> Option<Vec<KeyValue>> {
        (0..self.key).map(|index| KeyValue::of(row, self.width + 1 + index)).collect()
    }

    /// Returns the parameters of the page of `limit` rows after the row with this key; those of the first page for an
    /// empty key.
    pub fn parameters<'k>(&self, key: &'k [KeyValue], limit: usize) -> Vec<Param<'k>> {
        let limit = Param::Int(i64::try_from(limit).unwrap_or(i64::MAX));
        let key = self.given.iter().filter_map(|index| key.get(*index)).map(KeyValue::param);
        key.chain([limit]).collect()
    }

    /// Returns the key of the first row; `None` if there is none.
    pub fn first_key(&self, connection: &mut dyn Connection) -> Result<Option<Vec<KeyValue>>, DriverError> {
        let mut key = None;
        connection.query(&self.first, &self.parameters(&[], 1), &mut |row| key = self.key_of(row))?;
        Ok(key)
    }
}

/// What a list is read from.
struct Source<'a> {
    from: &'a str,
    filter: Option<&'a str>,
    columns: String,
    width: usize,
    /// Condition that the database finds the row by the name in it.
    is_found: Option<String>,
    key: &'a [String],
}

impl<'a> Source<'a> {
    fn of(listing: &'a Listing, is_bounded: bool, dialect: &Dialect) -> Self {
        let [name, value] = &listing.columns;
        let value = match is_bounded {
            true => dialect.bounded(value, MOST_TARGETS_LISTED),
            false => value.clone(),
        };
        Source {
            from: &listing.from,
            filter: listing.filter.as_deref(),
            columns: format!("{name}, {value}"),
            width: 2,
            is_found: key_is_name(&listing.key, name),
            key: &listing.key,
        }
    }

    fn pages(&self, dialect: &Dialect, slots: &mut std::ops::RangeFrom<usize>) -> Pages {
        let Source { from, columns, width, key, .. } = self;
        let keys = key.join(", ");
        let is_found = self.is_found.as_ref().map(|sql| format!("CASE WHEN {sql} THEN 1 ELSE 0 END"));
        let is_found = is_found.as_deref().unwrap_or("1");
        let (after, given) = after(key, dialect);
        let select = format!("{} {columns}, {is_found}, {keys} FROM {from}", dialect.select_in_order);
        let mut kept = |conditions: &[&str]| {
            let conditions: Vec<_> = conditions.iter().map(|sql| format!("({sql})")).collect();
            let filter =
                if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
            let sql = dialect.placeholders(&format!("{select}{filter} ORDER BY {keys} LIMIT ?"));
            Statement { slot: slots.next(), sql }
        };
        let filter: Vec<&str> = self.filter.into_iter().collect();
        let first = kept(&filter);
        let next = kept(&[filter, vec![after.as_str()]].concat());
        Pages { first, next, width: *width, key: key.len(), given }
    }
}

/// Returns the condition that a key comes after the values of parameters, and which value of the key each parameter has.
///
/// Each parameter has the type of its column, which may be a number, so none may stand in an expression.
fn after(key: &[String], dialect: &Dialect) -> (String, Vec<usize>) {
    if dialect.row_values {
        let places = vec!["?"; key.len()].join(", ");
        return (format!("({}) > ({places})", key.join(", ")), (0..key.len()).collect());
    }
    let (mut condition, mut given) = (String::new(), Vec::new());
    for (index, column) in key.iter().enumerate().rev() {
        condition = match condition.as_str() {
            "" => format!("{column} > ?"),
            rest => format!("{column} > ? OR ({column} = ? AND ({rest}))"),
        };
        given = match given.as_slice() {
            [] => vec![index],
            rest => [&[index, index], rest].concat(),
        };
    }
    (condition, given)
}

/// Returns the condition that the database finds a row by its name, if that is its key in lower case: without it, a
/// database that compares letter by letter would list names in capitals that it does not find.
fn key_is_name(key: &[String], name: &str) -> Option<String> {
    match key {
        [key] if *name == format!("LOWER({key})") => Some(format!("{key} = {name}")),
        _ => None,
    }
}

/// Returns the same condition for accounts: the one that finds an account, with the row's own login for its parameters.
fn account_is_found(model: &ForeignModel, dialect: &Dialect) -> Option<String> {
    let login = model.accounts.field(Field::Login)?;
    if let Some(condition) = key_is_name(&model.accounts.key, login) {
        return Some(condition);
    }
    let NamedSql { sql, parameters } = &model.accounts.find;
    // In a subquery, a name of the login's expression may mean another table.
    let is_plain = !sql.to_ascii_uppercase().contains("SELECT");
    // MySQL refuses to compare expressions over columns with different collations; most of its collations ignore case.
    let [local, domain] = dialect.login_parts.filter(|_| is_plain)?;
    let values = parameters.iter().map(|parameter| match parameter {
        Parameter::Login | Parameter::Address => login.to_owned(),
        Parameter::Local => local.replace("{}", login),
        Parameter::Domain => domain.replace("{}", login),
    });
    let mut parts = sql.split('?');
    let mut condition = parts.next()?.to_owned();
    for (value, part) in values.zip(parts) {
        condition.push_str(&format!("({value}){part}"));
    }
    Some(condition)
}

impl Foreign {
    /// Reads a page of a list, and calls `each` with each row. Returns where the next page begins.
    pub(super) fn list(
        &self,
        connection: &mut dyn Connection,
        section: &'static str,
        after: Option<&Cursor>,
        limit: usize,
        each: &mut dyn FnMut(ListedRow<'_>),
    ) -> Result<Option<Cursor>, DriverError> {
        let parts = self.lists.parts(section);
        let place = match after {
            None => Place::default(),
            Some(cursor) => Place::read(cursor, parts)
                .ok_or_else(|| refused(format!("this is no place in the list of [{section}]; begin it again")))?,
        };
        let Some(pages) = parts.get(place.part) else {
            return if self.has_none(section) { Ok(None) } else { Err(self.cannot_list(section)) };
        };
        let limit = limit.max(1);
        let (statement, limit) = match place.key.is_empty() {
            true => (&pages.first, limit.min(FIRST_PAGE)),
            false => (&pages.next, limit),
        };
        let values = pages.parameters(&place.key, limit);
        let (mut count, mut last) = (0, Some(Vec::new()));
        let read = connection.query(statement, &values, &mut |row| {
            count += 1;
            let key = pages.key_of(row);
            let position = position(place.part, key.as_deref().unwrap_or_default());
            let is_found = row.cell(pages.width) == Cell::Int(1);
            each(ListedRow { row, is_found, position });
            last = last.take().and(key);
        });
        read.map_err(|error| self.explain(error, section))?;
        let Some(last) = last else { return Err(self.unusable_key(section)) };
        let next = match (count >= limit, place.part + 1 < parts.len()) {
            (true, _) => Some(Place { part: place.part, key: last }),
            (false, true) => Some(Place { part: place.part + 1, key: Vec::new() }),
            (false, false) => None,
        };
        Ok(next.map(|place| place.written(parts)))
    }

    /// Reads a page of accounts.
    pub fn accounts(
        &self,
        connection: &mut dyn Connection,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, DriverError> {
        let mut rows = Vec::new();
        let next = self.list(connection, ACCOUNTS, after, limit, &mut |listed| rows.push(self.account(&listed)))?;
        Ok(Page { rows, next })
    }

    /// Reads the account in a row of a list.
    pub(super) fn account(&self, listed: &ListedRow<'_>) -> Result<AccountRow, Unusable> {
        let account = rows::account(listed.row, &self.model)?;
        if listed.is_found {
            return Ok(account);
        }
        let problem = format!("is not in lower case, so no login finds it; correct it {}", self.model.place());
        Err(Unusable { login: account.login.to_string(), column: Field::Login.name(), problem: Cow::Owned(problem) })
    }

    /// Returns true if the tables hold no such rows.
    fn has_none(&self, section: &str) -> bool {
        match section {
            DOMAINS => self.model.domains.is_none(),
            ALIAS_DOMAINS => self.model.alias_domains.is_none(),
            ALIASES => self.model.aliases.is_none(),
            _ => false,
        }
    }

    fn cannot_list(&self, section: &str) -> DriverError {
        let profile = &self.model.profile;
        let what = section.rsplit('.').next().unwrap_or(section).replace('_', " ");
        let advice = match section {
            ACCOUNTS => {
                "set [schema.accounts] key to the columns of a unique index of the first table, such as key = [\"id\"]"
            }
            _ => {
                "[schema] has a query for them that finds one and cannot list all; set its key, or write a simpler SELECT"
            }
        };
        DriverError::Schema(format!("the {what} of profile {profile:?} cannot be listed: {advice}"))
    }

    fn unusable_key(&self, section: &str) -> DriverError {
        refused(format!(
            "a row of [{section}] has a key that is NULL, longer than {MOST_KEY} bytes, or neither text nor a whole \
             number, so its rows cannot be listed in that order; choose the columns of another unique index"
        ))
    }
}

fn refused(reason: String) -> DriverError {
    DriverError::Refused { kind: Refusal::Other, reason }
}

/// Returns a position that is the same at each reading, whatever rows are added or removed before.
fn position(part: usize, key: &[KeyValue]) -> i64 {
    let number = match key {
        [KeyValue::Int(number)] => (*number).clamp(0, (1 << 48) - 1),
        _ => 0,
    };
    (i64::try_from(part).unwrap_or(0).min(1 << 14) << 48) | number
}

impl KeyValue {
    fn of(row: &dyn Row, index: usize) -> Option<Self> {
        match row.cell(index) {
            Cell::Int(number) => Some(KeyValue::Int(number)),
            Cell::Text(text) if text.len() <= MOST_KEY => Some(KeyValue::Text(text.to_vec())),
            _ => None,
        }
    }

    fn param(&self) -> Param<'_> {
        match self {
            KeyValue::Int(number) => Param::Int(*number),
            KeyValue::Text(text) => Param::Text(text),
        }
    }
}

impl Place {
    /// Returns the place as it is handed to the reader of a list.
    ///
    /// A key of one text is written as that text, so that a place at random can be made up.
    fn written(&self, parts: &[Pages]) -> Cursor {
        if let ([KeyValue::Text(text)], [_]) = (self.key.as_slice(), parts)
            && text.first().is_some_and(|first| *first >= b' ')
        {
            return Cursor::behind(text.as_slice());
        }
        let mut bytes = vec![ENCODED, u8::try_from(self.part).unwrap_or(u8::MAX)];
        for value in &self.key {
            match value {
                KeyValue::Int(number) => {
                    bytes.push(b'i');
                    bytes.extend(number.to_be_bytes());
                }
                KeyValue::Text(text) => {
                    bytes.push(b't');
                    bytes.extend(u32::try_from(text.len()).unwrap_or(0).to_be_bytes());
                    bytes.extend(text);
                }
            }
        }
        Cursor::behind(bytes)
    }

    /// Returns the place that was written; `None` if none of this list was.
    fn read(cursor: &Cursor, parts: &[Pages]) -> Option<Self> {
        let place = match cursor.as_bytes() {
            [ENCODED, part, rest @ ..] => {
                let (mut key, mut rest) = (Vec::new(), rest);
                while !rest.is_empty() {
                    let (value, left) = read_value(rest)?;
                    key.push(value);
                    rest = left;
                }
                Place { part: usize::from(*part), key }
            }
            text @ [first, ..] if *first >= b' ' && parts.len() == 1 => {
                Place { part: 0, key: vec![KeyValue::Text(text.to_vec())] }
            }
            _ => return None,
        };
        let key = parts.get(place.part)?.key;
        (place.key.is_empty() || place.key.len() == key).then_some(place)
    }
}

/// Reads one value of a written key. Returns it and the bytes after it.
fn read_value(bytes: &[u8]) -> Option<(KeyValue, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    match kind {
        b'i' => {
            let (number, rest) = rest.split_first_chunk()?;
            Some((KeyValue::Int(i64::from_be_bytes(*number)), rest))
        }
        b't' => {
            let (length, rest) = rest.split_first_chunk()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let (text, rest) = rest.split_at_checked(length)?;
            Some((KeyValue::Text(text.to_vec()), rest))
        }
        _ => None,
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests;
