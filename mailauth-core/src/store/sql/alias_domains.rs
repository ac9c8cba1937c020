//! Alias domains: domains that are other names of one.

use super::SqlStore;
use super::administer::{Done, no_such};
use super::columns::bytes;
use super::columns::{AliasDomainColumn, Column};
use super::writer::Writer;
use crate::DomainName;
use crate::store::administration::{AdminError, AliasDomainRow};
use crate::store::driver::{Connection, DriverError, Param, Refusal, Row};
use crate::store::sql::reading::Reading;
use crate::store::{Cursor, DomainKind, DomainStanding, Page, StoreError};

/// Number of rows read, or removed, with one statement.
const PAGE: usize = 1000;

const BACKUP: &str =
    "is a backup domain, for which this host is only a backup MX: it has no accounts, aliases or alias domains";
const OWN: &str = "is a domain of its own; rename its accounts, and remove it with 'mailauth domain remove' first";

impl SqlStore {
    pub(in crate::store) fn page_of_alias_domains(
        &self,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<AliasDomainRow, StoreError>, StoreError> {
        self.page_by_name(&self.statements.alias_domain_page, AliasDomainColumn::Name, alias_domain, after, limit)
    }

    pub(in crate::store) fn row_of_alias_domain(&self, name: &str) -> Result<Option<AliasDomainRow>, StoreError> {
        let found = self.read_by(Reading::Primary, |connection| {
            self.ensure_schema(connection)?;
            self.stored_alias_domain(connection, name)
        })?;
        found.transpose()
    }

    /// Returns the row of an alias domain over an open connection.
    pub(in crate::store::sql) fn stored_alias_domain(
        &self,
        connection: &mut dyn Connection,
        name: &str,
    ) -> Result<Option<Result<AliasDomainRow, StoreError>>, DriverError> {
        let asked = name.as_bytes();
        let mut found = None;
        connection.query(&self.statements.copied_alias_domain, &[Param::Text(asked)], &mut |row| {
            if AliasDomainColumn::Name.is_text(row, asked) {
                found = Some(alias_domain(row));
            }
        })?;
        Ok(found)
    }

    pub(in crate::store) fn names_of_domain(&self, target: &str) -> Result<Vec<String>, StoreError> {
        let (mut names, mut after) = (Vec::new(), Vec::new());
        loop {
            let page = self.hosts.read(|connection| {
                self.ensure_schema(connection)?;
                self.page_of_names(connection, Param::Text(target.as_bytes()), &after, PAGE)
            })?;
            let whole = page.len() < PAGE;
            after = page.last().cloned().unwrap_or_default();
            names.extend(page.into_iter().filter_map(|name| String::from_utf8(name).ok()));
            if whole {
                return Ok(names);
            }
        }
    }

    /// Returns the alias domains of a domain that follow this one, at most `limit`.
    pub(in crate::store) fn page_of_names(
        &self,
        connection: &mut dyn Connection,
        target: Param<'_>,
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, DriverError> {
        let limit = Param::Int(i64::try_from(limit).unwrap_or(i64::MAX));
        let mut names = Vec::new();
        let asking = [target, target, Param::Text(after), limit];
        connection.query(&self.statements.alias_domains_of, &asking, &mut |row| names.push(bytes(row, 0)))?;
        Ok(names)
    }

    pub(in crate::store) fn count_alias_domains_of(
        &self,
        connection: &mut dyn Connection,
        target: Param<'_>,
    ) -> Result<u64, DriverError> {
        let (mut sum, mut after) = (0, Vec::new());
        loop {
            let mut page = self.page_of_names(connection, target, &after, PAGE)?;
            sum += page.len() as u64;
            match page.pop() {
                Some(last) if sum % PAGE as u64 == 0 => after = last,
                _ => return Ok(sum),
            }
        }
    }

    pub(in crate::store) fn remove_alias_domains_of(
        &self,
        writer: &mut Writer<'_>,
        target: Param<'_>,
    ) -> Result<(), DriverError> {
        while let Some(last) = self.page_of_names(writer.reading(), target, b"", PAGE)?.pop() {
            let those = [target, Param::Text(&last)];
            if writer.execute(&self.statements.remove_alias_domains_of, &those)? == 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Adds alias domains.
    pub(in crate::store) fn insert_alias_domain(&self, writer: &mut Writer<'_>, row: &AliasDomainRow) -> Done<()> {
        if let Err(problem) = self.judge_new_alias_domain(writer.reading(), row)? {
            return Ok(Err(problem));
        }
        let values = [&row.name, &row.target].map(|text| Param::Text(text.as_bytes()));
        let values = [values[0], values[1], Param::Int(row.enabled.into())];
        match writer.execute(&self.statements.add_alias_domain, &values) {
            Err(DriverError::Refused { kind: Refusal::Duplicate, .. }) => {
                Ok(Err(AdminError::Exists { what: "alias domain", name: row.name.clone() }))
            }
            Err(DriverError::Refused { kind: Refusal::Reference, .. }) => Ok(Err(no_such("domain", &row.target))),
            done => done.map(|_| Ok(())),
        }
    }

    /// Makes sure that an alias domain of this name and target can be added.
    pub(in crate::store) fn judge_new_alias_domain(
        &self,
        connection: &mut dyn Connection,
        row: &AliasDomainRow,
    ) -> Done<()> {
        match self.query_standing(connection, &row.name)? {
            None => self.judge_target(connection, row),
            Some(Err(problem)) => Ok(Err(problem.into())),
            Some(Ok(DomainStanding { kind: DomainKind::AliasOf(_), .. })) => {
                Ok(Err(AdminError::Exists { what: "alias domain", name: row.name.clone() }))
            }
            Some(Ok(_)) => Ok(Err(unfit(&row.name, OWN))),
        }
    }

    pub(in crate::store) fn update_alias_domain(&self, writer: &mut Writer<'_>, row: &AliasDomainRow) -> Done<()> {
        if let Err(problem) = self.judge_target(writer.reading(), row)? {
            return Ok(Err(problem));
        }
        let (name, target) = (Param::Text(row.name.as_bytes()), Param::Text(row.target.as_bytes()));
        let values = [target, Param::Int(row.enabled.into()), name];
        let changed = writer.execute(&self.statements.set_alias_domain, &values)?;
        Ok(if changed > 0 { Ok(()) } else { Err(no_such("alias domain", &row.name)) })
    }

    pub(in crate::store) fn delete_alias_domain(&self, writer: &mut Writer<'_>, name: &str) -> Done<()> {
        let removed = writer.execute(&self.statements.remove_alias_domain, &[Param::Text(name.as_bytes())])?;
        Ok(if removed > 0 { Ok(()) } else { Err(no_such("alias domain", name)) })
    }

    /// Makes sure that the target is a domain whose mail is kept here, so that no alias leads to another one or back to
    /// itself.
    pub(in crate::store) fn judge_target(&self, connection: &mut dyn Connection, row: &AliasDomainRow) -> Done<()> {
        if row.name == row.target {
            return Ok(Err(unfit(&row.name, "cannot be another name of itself")));
        }
        let standing = match self.query_standing(connection, &row.target)? {
            None => return Ok(Err(no_such("domain", &row.target))),
            Some(Err(problem)) => return Ok(Err(problem.into())),
            Some(Ok(standing)) => standing,
        };
        Ok(match standing.kind {
            DomainKind::Own => Ok(()),
            DomainKind::Backup => Err(unfit(&row.target, BACKUP)),
            DomainKind::AliasOf(other) => {
                Err(unfit(&row.target, &format!("is itself an alias domain of {other}; use {other} as the target")))
            }
        })
    }

    /// Returns the reason why a domain cannot have accounts or aliases, if that is so.
    pub(in crate::store) fn unfit_for_addresses(
        &self,
        connection: &mut dyn Connection,
        domain: &str,
    ) -> Result<Option<AdminError>, DriverError> {
        // A row that cannot be used is refused by the code that reads it.
        let Some(Ok(standing)) = self.query_standing(connection, domain)? else { return Ok(None) };
        Ok(match standing.kind {
            DomainKind::Own => None,
            DomainKind::Backup => Some(unfit(domain, BACKUP)),
            DomainKind::AliasOf(other) => Some(unfit(
                domain,
                &format!("is an alias domain of {other}: create the address in {other}, and it is valid in both"),
            )),
        })
    }

    /// Returns the reason why a domain cannot become a backup domain, if that is so.
    pub(in crate::store) fn unfit_for_backup(
        &self,
        connection: &mut dyn Connection,
        domain: &str,
    ) -> Result<Option<AdminError>, DriverError> {
        let name = Param::Text(domain.as_bytes());
        let has_any = self.has_accounts(connection, name)?
            || self.count_aliases_of(connection, name)? > 0
            || !self.page_of_names(connection, name, b"", 1)?.is_empty();
        Ok(has_any.then(|| unfit(domain, "has accounts, aliases or alias domains, which a backup domain cannot have")))
    }
}

pub(in crate::store) fn unfit(domain: &str, problem: &str) -> AdminError {
    AdminError::Unfit { domain: domain.to_owned(), problem: problem.to_owned() }
}

/// Reads the columns of an alias domain.
fn alias_domain(row: &dyn Row) -> Result<AliasDomainRow, StoreError> {
    let unusable = |name: &[u8], column, problem| StoreError::UnusableDomain {
        domain: name.escape_ascii().to_string(),
        column,
        problem,
    };
    let stored = AliasDomainColumn::Name.bytes(row);
    let Ok(name) = String::from_utf8(stored.clone()) else {
        return Err(unusable(&stored, "name", "is not valid UTF-8; correct it with SQL"));
    };
    let target =
        String::from_utf8(AliasDomainColumn::Target.bytes(row)).ok().filter(|target| DomainName::parse(target).is_ok());
    let target = target.ok_or_else(|| unusable(&stored, "target", "is not the name of a domain"))?;
    match AliasDomainColumn::Enabled.number(row) {
        Some(flag @ (0 | 1)) => Ok(AliasDomainRow { name, target, enabled: flag == 1 }),
        _ => Err(unusable(&stored, "enabled", "is neither 0 nor 1")),
    }
}
