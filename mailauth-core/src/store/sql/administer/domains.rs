//! Domains: reading, adding, changing and removing them.

use super::accounts::limit;
use super::{Done, no_such, some};
use crate::store::administration::{AdminError, DomainRow};
use crate::store::driver::{Connection, DriverError, Param, Refusal};
use crate::store::sql::alias_domains::unfit;
use crate::store::sql::columns::{Column, DomainColumn};
use crate::store::sql::reading::Reading;
use crate::store::sql::writer::Writer;
use crate::store::sql::{SqlStore, rows};
use crate::store::{AccountStore, Cursor, DomainKind, DomainStanding, Page, StoreError};

impl SqlStore {
    /// Returns a domain's row, from a host that has every change, because a domain is changed by writing its whole row.
    /// If no such host answers, another one's row is returned, which is only good for showing it.
    pub(super) fn row_of_domain(&self, name: &str) -> Result<Option<DomainRow>, StoreError> {
        match self.read_domain(Reading::Newest, name) {
            Err(error) if error.is_outage() && self.may_lag() => match self.read_domain(Reading::Any, name)? {
                Some(domain) => Ok(Some(domain)),
                None => Err(error),
            },
            found => found,
        }
    }

    fn read_domain(&self, reading: Reading, name: &str) -> Result<Option<DomainRow>, StoreError> {
        let found = self.read_by(reading, |connection| {
            self.ensure_schema(connection)?;
            self.stored_domain(connection, name)
        })?;
        found.transpose()
    }

    /// Returns the row of a domain over an open connection.
    pub(in crate::store::sql) fn stored_domain(
        &self,
        connection: &mut dyn Connection,
        name: &str,
    ) -> Result<Option<Result<DomainRow, StoreError>>, DriverError> {
        let asked = name.as_bytes();
        let mut found = None;
        connection.query(&self.statements.whole_domain, &[Param::Text(asked)], &mut |row| {
            // A collation may consider other names equal.
            if DomainColumn::Name.is_text(row, asked) {
                found = Some(rows::domain(row));
            }
        })?;
        Ok(found)
    }

    pub(super) fn page_of_domains(
        &self,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<DomainRow, StoreError>, StoreError> {
        self.page_by_name(&self.statements.domain_page, DomainColumn::Name, rows::domain, after, limit)
    }

    pub(in crate::store::sql) fn insert_new_domain(&self, writer: &mut Writer<'_>, domain: &DomainRow) -> Done<()> {
        if let Some(problem) = self.unfit_for_domain(writer.reading(), &domain.name)? {
            return Ok(Err(problem));
        }
        match self.insert_domain(writer, domain) {
            Err(DriverError::Refused { kind: Refusal::Duplicate, .. }) => {
                Ok(Err(AdminError::Exists { what: "domain", name: domain.name.clone() }))
            }
            done => done.map(Ok),
        }
    }

    /// Returns the reason why there cannot be a domain of this name, if that is so.
    pub(in crate::store::sql) fn unfit_for_domain(
        &self,
        connection: &mut dyn Connection,
        name: &str,
    ) -> Result<Option<AdminError>, DriverError> {
        let standing = self.query_standing(connection, name)?;
        let Some(Ok(DomainStanding { kind: DomainKind::AliasOf(other), .. })) = standing else { return Ok(None) };
        let problem =
            format!("is an alias domain of {other}; remove that first with 'mailauth domain alias remove {name}'");
        Ok(Some(unfit(name, &problem)))
    }

    pub(in crate::store::sql) fn insert_domain(
        &self,
        connection: &mut Writer<'_>,
        domain: &DomainRow,
    ) -> Result<(), DriverError> {
        let values = [
            Param::Text(domain.name.as_bytes()),
            Param::Int(domain.enabled.into()),
            Param::text(domain.description.as_deref()),
            limit(domain.quota.bytes),
            limit(domain.quota.messages),
            Param::Int(domain.backup.into()),
        ];
        connection.execute(&self.statements.add_domain, &values).map(|_| ())
    }

    /// Makes sure that the domain of accounts to be added exists. Returns true if it was added.
    pub(in crate::store::sql) fn ensure_domain(
        &self,
        connection: &mut Writer<'_>,
        name: &str,
    ) -> Result<bool, DriverError> {
        if let Some(AdminError::Unfit { problem, .. }) = self.unfit_for_addresses(connection.reading(), name)? {
            return Err(DriverError::Refused { kind: Refusal::Unfit, reason: problem });
        }
        if name.is_empty() || self.query_standing(connection.reading(), name)?.is_some() {
            return Ok(false);
        }
        self.insert_domain(connection, &DomainRow::new(name)).map(|()| true)
    }

    pub(in crate::store::sql) fn update_domain(&self, writer: &mut Writer<'_>, domain: &DomainRow) -> Done<()> {
        if domain.backup
            && let Some(problem) = self.unfit_for_backup(writer.reading(), &domain.name)?
        {
            return Ok(Err(problem));
        }
        let values = [
            Param::Int(domain.enabled.into()),
            Param::text(domain.description.as_deref()),
            limit(domain.quota.bytes),
            limit(domain.quota.messages),
            Param::Int(domain.backup.into()),
            Param::Text(domain.name.as_bytes()),
        ];
        some(writer.execute(&self.statements.set_domain, &values)?, || no_such("domain", &domain.name))
    }

    pub(super) fn delete_domain(&self, writer: &mut Writer<'_>, name: &str, contents: bool) -> Done<()> {
        let statements = &self.statements;
        let domain = Param::Text(name.as_bytes());
        if contents {
            match self.lock_sum(writer, name) {
                Err(DriverError::Refused { kind: Refusal::Reference, .. }) => {
                    return Ok(Err(no_such("domain", name)));
                }
                done => done?,
            }
            self.remove_aliases_of(writer, domain)?;
            self.remove_accounts_of(writer, domain)?;
            self.remove_alias_domains_of(writer, domain)?;
        } else {
            let accounts =
                self.count_by_pages(writer.reading(), &statements.count_domain_accounts, &[domain, domain])?;
            let aliases = self.count_aliases_of(writer.reading(), domain)?;
            let alias_domains = self.count_alias_domains_of(writer.reading(), domain)?;
            if accounts + aliases + alias_domains > 0 {
                let domain = name.to_owned();
                return Ok(Err(AdminError::InUse { domain, accounts, aliases, alias_domains }));
            }
        }
        some(writer.execute(&statements.remove_domain, &[domain])?, || no_such("domain", name))
    }
}
