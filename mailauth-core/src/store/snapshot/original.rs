//! The source of a snapshot: rows as they are stored, without any check.

use super::listed::ListedPage;
use super::sections::Section;
use crate::account::Login;
use crate::schema::Field;
use crate::store::driver::{Cell, Param, Row};
use crate::store::sql::SqlStore;
use crate::store::sql::columns::{AliasColumn, AliasDomainColumn, DomainColumn};
use crate::store::{Cursor, MailStore, StoreError, unsupported};
use crate::{Secret, store};

/// A store whose rows can be copied. Calls block, for at most the configured deadline each.
pub trait Original: MailStore {
    /// Returns at most `limit` rows, in ascending byte order of their keys.
    ///
    /// # Errors
    /// Fails if the rows are not known to be complete.
    fn copy(&self, part: Part<'_>, limit: usize) -> Result<Vec<CopiedRow>, StoreError>;

    /// Returns the time of the database, as it stores it with each change.
    ///
    /// # Errors
    /// Fails if the database does not say.
    fn time(&self) -> Result<Vec<u8>, StoreError>;

    /// Returns at most `limit` rows of another program's tables, from `after` on, in the order of the key of their table.
    ///
    /// # Errors
    /// Fails if the rows are not known to be complete, or cannot be listed.
    fn list(&self, section: Section, after: Option<&Cursor>, limit: usize) -> Result<ListedPage, StoreError> {
        let _ = (section, after, limit);
        Err(unsupported("it does not list another program's tables"))
    }
}

/// Selection of rows. `after` is the key of the last row of the previous page, and empty for the first page.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// The row or rows of one login.
    Account(&'a Login),
    /// A page of all accounts.
    Accounts {
        /// The last row's login.
        after: &'a [u8],
    },
    /// Accounts that were changed since a time of the database, in the order of that time and the login. Each row has
    /// the time of its change as an additional value.
    Changed {
        /// The earliest time of change; for a further page, that of the last row.
        since: &'a [u8],
        /// The last row's login.
        after: &'a [u8],
    },
    /// Accounts of one domain.
    OfDomain {
        /// Name of the domain.
        domain: &'a [u8],
        /// The last row's login.
        after: &'a [u8],
    },
    /// Domains that were changed since a time of the database, as in [`Part::Changed`].
    ChangedDomains {
        /// The earliest time of change; for a further page, that of the last row.
        since: &'a [u8],
        /// The last row's name.
        after: &'a [u8],
    },
    /// Aliases that were changed since a time of the database, as in [`Part::Changed`].
    ChangedAliases {
        /// The earliest time of change; for a further page, that of the last row.
        since: &'a [u8],
        /// The last row's address and target.
        after: (&'a [u8], &'a [u8]),
    },
    /// The row of one domain.
    Domain(&'a [u8]),
    /// A page of all domains.
    Domains {
        /// The last row's name.
        after: &'a [u8],
    },
    /// The row of one alias domain.
    AliasDomain(&'a [u8]),
    /// A page of all alias domains.
    AliasDomains {
        /// The last row's name.
        after: &'a [u8],
    },
    /// Alias domains that were changed since a time of the database, as in [`Part::Changed`].
    ChangedAliasDomains {
        /// The earliest time of change; for a further page, that of the last row.
        since: &'a [u8],
        /// The last row's name.
        after: &'a [u8],
    },
    /// A page of all aliases.
    Aliases {
        /// The last row's address and target.
        after: (&'a [u8], &'a [u8]),
    },
    /// Aliases of one domain.
    AliasesOfDomain {
        /// Name of the domain.
        domain: &'a [u8],
        /// The last row's address and target.
        after: (&'a [u8], &'a [u8]),
    },
}

/// The values of a row. Account: those of [`Field::READ`], with its domain in place of whether that is enabled. Domain:
/// name, enabled, the two limits of its quota, backup. Alias domain: name, target, enabled. Alias: address, target,
/// position, domain.
pub type CopiedRow = Vec<Value>;

/// A value as stored in a table.
#[derive(Clone, Debug)]
pub enum Value {
    /// The SQL value NULL.
    Null,
    /// A whole number.
    Int(i64),
    /// Text of any bytes.
    Text(Secret),
    /// A value that no column may hold.
    Other,
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) | (Value::Other, Value::Other) => true,
            (Value::Int(one), Value::Int(two)) => one == two,
            (Value::Text(one), Value::Text(two)) => one.expose() == two.expose(),
            _ => false,
        }
    }
}

impl Value {
    pub(in crate::store) fn of(row: &dyn Row, index: usize) -> Self {
        match row.cell(index) {
            Cell::Null => Value::Null,
            Cell::Int(number) => Value::Int(number),
            Cell::Text(bytes) => Value::Text(Secret::from(bytes)),
            Cell::Other => Value::Other,
        }
    }

    /// Returns the bytes of a text, or nothing for any other value.
    pub(in crate::store) fn bytes(&self) -> &[u8] {
        match self {
            Value::Text(text) => text.expose(),
            Value::Null | Value::Int(_) | Value::Other => b"",
        }
    }
}

/// Index of the domain in a copied account's row: that of the field in whose place it is.
pub(super) const DOMAIN: usize = Field::DomainEnabled.place().unwrap();

impl Original for SqlStore {
    fn copy(&self, part: Part<'_>, limit: usize) -> Result<Vec<CopiedRow>, StoreError> {
        let limit = Param::Int(i64::try_from(limit).unwrap_or(i64::MAX));
        let text = Param::Text;
        let (statements, accounts) = (&self.statements, Field::READ.len() + 1);
        let (statement, params, width) = match part {
            Part::Account(login) => (&statements.find, vec![text(login.as_str().as_bytes())], accounts),
            Part::Domain(name) => (&statements.copied_domain, vec![text(name)], DomainColumn::WITHOUT_DESCRIPTION),
            Part::Accounts { after: b"" } => (&statements.first_page, vec![limit], accounts),
            Part::Accounts { after } => (&statements.next_page, vec![text(after), limit], accounts),
            Part::Changed { since, after } => {
                (&statements.changed_page, vec![text(since), text(since), text(after), limit], accounts + 1)
            }
            Part::OfDomain { domain, after } => {
                (&statements.domain_accounts_page, vec![text(domain), text(domain), text(after), limit], accounts)
            }
            Part::ChangedDomains { since, after } => (
                &statements.changed_domains,
                vec![text(since), text(since), text(after), limit],
                DomainColumn::WITHOUT_DESCRIPTION + 1,
            ),
            Part::ChangedAliases { since, after: (address, target) } => (
                &statements.changed_aliases,
                vec![text(since), text(since), text(address), text(address), text(target), limit],
                AliasColumn::COUNT + 1,
            ),
            Part::AliasDomain(name) => (&statements.copied_alias_domain, vec![text(name)], AliasDomainColumn::COUNT),
            Part::AliasDomains { after } => {
                (&statements.alias_domain_page, vec![text(after), limit], AliasDomainColumn::COUNT)
            }
            Part::ChangedAliasDomains { since, after } => (
                &statements.changed_alias_domains,
                vec![text(since), text(since), text(after), limit],
                AliasDomainColumn::COUNT + 1,
            ),
            Part::Domains { after } => {
                (&statements.domain_page, vec![text(after), limit], DomainColumn::WITHOUT_DESCRIPTION)
            }
            Part::Aliases { after: (address, target) } => {
                (&statements.alias_page, vec![text(address), text(address), text(target), limit], AliasColumn::COUNT)
            }
            Part::AliasesOfDomain { domain, after: (address, target) } => (
                &statements.domain_alias_page,
                vec![text(domain), text(domain), text(address), text(address), text(target), limit],
                AliasColumn::COUNT,
            ),
        };
        let mut rows = self.read_newest(|connection| {
            self.ensure_schema(connection)?;
            // The change that a note is about may have been made on another node.
            connection.catch_up()?;
            let mut rows = Vec::new();
            connection.query(statement, &params, &mut |row| {
                rows.push((0..width).map(|index| Value::of(row, index)).collect::<CopiedRow>());
            })?;
            Ok(rows)
        })?;
        let single = match part {
            Part::Account(login) => Some(login.as_str().as_bytes()),
            Part::Domain(name) | Part::AliasDomain(name) => Some(name),
            _ => None,
        };
        if let Some(name) = single {
            // A collation may consider other names equal.
            rows.retain(|row| row.first().is_some_and(|value| value.bytes() == name));
        }
        rows.iter_mut().for_each(|row| part.complete(row));
        Ok(rows)
    }

    fn list(&self, section: Section, after: Option<&Cursor>, limit: usize) -> Result<ListedPage, StoreError> {
        let Some(foreign) = &self.foreign else { return Err(unsupported("the tables are not another program's")) };
        self.read_newest(|connection| {
            connection.catch_up()?;
            foreign.copied(connection, section, after, limit)
        })
    }

    fn time(&self) -> Result<Vec<u8>, StoreError> {
        self.read_newest(|connection| {
            let mut time = Vec::new();
            connection.query(&self.statements.time, &[], &mut |row| time = store::sql::columns::bytes(row, 0))?;
            Ok(time)
        })
    }
}

impl Part<'_> {
    /// Converts a row as it was read into the form of a copied row.
    fn complete(&self, row: &mut CopiedRow) {
        match self {
            Part::Account(_) | Part::Accounts { .. } | Part::Changed { .. } | Part::OfDomain { .. } => {
                if row.len() > Field::READ.len() {
                    let domain = row.remove(Field::READ.len());
                    row.splice(DOMAIN..=DOMAIN, [domain]);
                }
            }
            Part::Aliases { .. } | Part::AliasesOfDomain { .. } | Part::ChangedAliases { .. } => {
                let address = row.first().map(Value::bytes).unwrap_or_default();
                let domain = address.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
                let domain = Value::Text(Secret::from(domain));
                row.insert(AliasColumn::COUNT, domain);
            }
            Part::Domain(_) | Part::Domains { .. } | Part::ChangedDomains { .. } => {}
            Part::AliasDomain(_) | Part::AliasDomains { .. } | Part::ChangedAliasDomains { .. } => {}
        }
    }
}
