//! Importing alias domains.

use super::domains::changed_domain;
use super::{ImportTable, Pass, Plan, Step};
use crate::store::Changed;
use crate::store::administration::{AdminError, AliasDomainRow};
use crate::store::driver::{Connection, DriverError, Refusal};
use crate::store::importing::{AliasDomainRecord, ImportMode};
use crate::store::sql::SqlStore;
use crate::store::sql::administer::Done;
use crate::store::sql::writer::Writer;

/// An import of alias domains.
pub(in crate::store::sql) struct AliasDomainImport<'a> {
    pub store: &'a SqlStore,
    pub mode: ImportMode,
}

impl AliasDomainImport<'_> {
    fn step(
        &self,
        connection: &mut dyn Connection,
        record: &AliasDomainRecord,
    ) -> Result<Plan<AliasDomainRow>, DriverError> {
        let name = record.name.clone();
        let mut row = match self.store.stored_alias_domain(connection, &name)? {
            Some(_) if !self.mode.update => return Ok(Err(AdminError::Exists { what: "alias domain", name })),
            Some(Ok(row)) => row,
            Some(Err(problem)) => return Ok(Err(problem.into())),
            None => {
                let Some(target) = record.target.clone() else {
                    let problem = "a new alias domain needs a target, and the file has no column target";
                    return Ok(Err(AdminError::Beside(problem.to_owned())));
                };
                let row = AliasDomainRow { name, target, enabled: record.enabled.unwrap_or(true) };
                return Ok(self.store.judge_new_alias_domain(connection, &row)?.map(|()| Step::Add(row)));
            }
        };
        let columns = record.apply(&mut row);
        if columns.is_empty() {
            return Ok(Ok(Step::Keep));
        }
        Ok(self.store.judge_target(connection, &row)?.map(|()| Step::Change(row, columns)))
    }
}

impl ImportTable for AliasDomainImport<'_> {
    type Record = AliasDomainRecord;
    type Row = AliasDomainRow;

    fn plan(
        &mut self,
        connection: &mut dyn Connection,
        records: Vec<AliasDomainRecord>,
        _: Pass,
    ) -> Result<Vec<Plan<AliasDomainRow>>, DriverError> {
        records.iter().map(|record| self.step(connection, record)).collect()
    }

    fn carry_out(&mut self, writer: &mut Writer<'_>, steps: &[&Step<AliasDomainRow>]) -> Done<()> {
        for step in steps {
            let done = match step {
                Step::Add(row) => self.store.insert_alias_domain(writer, row)?,
                Step::Change(row, _) => self.store.update_alias_domain(writer, row)?,
                Step::Keep => Ok(()),
            };
            if done.is_err() {
                return Ok(done);
            }
        }
        Ok(Ok(()))
    }

    fn refusal(&self, row: &AliasDomainRow, error: DriverError) -> AdminError {
        match error {
            DriverError::Refused { kind: Refusal::Duplicate, .. } => {
                AdminError::Exists { what: "alias domain", name: row.name.clone() }
            }
            error => AdminError::Store(self.store.hosts.store_error(error)),
        }
    }

    fn changed(row: &AliasDomainRow) -> Changed {
        changed_domain(&row.name)
    }

    fn size(record: &AliasDomainRecord) -> usize {
        record.name.len() + record.target.as_ref().map_or(0, String::len)
    }
}
