//! Importing domains.

use super::{ImportTable, Pass, Plan, Step};
use crate::DomainName;
use crate::store::Changed;
use crate::store::administration::{AdminError, DomainRow};
use crate::store::driver::{Connection, DriverError, Refusal};
use crate::store::importing::{DomainRecord, ImportMode};
use crate::store::sql::SqlStore;
use crate::store::sql::administer::Done;
use crate::store::sql::writer::Writer;

/// An import of domains.
pub(in crate::store::sql) struct DomainImport<'a> {
    pub store: &'a SqlStore,
    pub mode: ImportMode,
}

impl DomainImport<'_> {
    fn step(&self, connection: &mut dyn Connection, record: &DomainRecord) -> Result<Plan<DomainRow>, DriverError> {
        let (mut row, is_new) = match self.store.stored_domain(connection, &record.name)? {
            None => (DomainRow::new(record.name.as_str()), true),
            Some(_) if !self.mode.update => {
                return Ok(Err(AdminError::Exists { what: "domain", name: record.name.clone() }));
            }
            Some(Ok(row)) => (row, false),
            Some(Err(problem)) => return Ok(Err(problem.into())),
        };
        let columns = record.apply(&mut row);
        let refused = match is_new {
            true => self.store.unfit_for_domain(connection, &row.name)?,
            false if row.backup && columns.contains(&"backup") => self.store.unfit_for_backup(connection, &row.name)?,
            false => None,
        };
        Ok(match refused {
            Some(problem) => Err(problem),
            None if is_new => Ok(Step::Add(row)),
            None if columns.is_empty() => Ok(Step::Keep),
            None => Ok(Step::Change(row, columns)),
        })
    }
}

impl ImportTable for DomainImport<'_> {
    type Record = DomainRecord;
    type Row = DomainRow;

    fn plan(
        &mut self,
        connection: &mut dyn Connection,
        records: Vec<DomainRecord>,
        _: Pass,
    ) -> Result<Vec<Plan<DomainRow>>, DriverError> {
        records.iter().map(|record| self.step(connection, record)).collect()
    }

    fn carry_out(&mut self, writer: &mut Writer<'_>, steps: &[&Step<DomainRow>]) -> Done<()> {
        for step in steps {
            let done = match step {
                Step::Add(row) => self.store.insert_new_domain(writer, row)?,
                Step::Change(row, _) => self.store.update_domain(writer, row)?,
                Step::Keep => Ok(()),
            };
            if done.is_err() {
                return Ok(done);
            }
        }
        Ok(Ok(()))
    }

    fn refusal(&self, row: &DomainRow, error: DriverError) -> AdminError {
        match error {
            DriverError::Refused { kind: Refusal::Unstorable, reason } => AdminError::Unstorable(reason),
            DriverError::Refused { kind: Refusal::Duplicate, .. } => {
                AdminError::Exists { what: "domain", name: row.name.clone() }
            }
            error => AdminError::Store(self.store.hosts.store_error(error)),
        }
    }

    fn changed(row: &DomainRow) -> Changed {
        changed_domain(&row.name)
    }

    fn size(record: &DomainRecord) -> usize {
        record.name.len() + record.description.as_ref().and_then(Option::as_ref).map_or(0, String::len)
    }
}

/// Returns the change of a domain.
pub(super) fn changed_domain(name: &str) -> Changed {
    DomainName::parse(name).map_or(Changed::Everything, Changed::Domain)
}
