//! Importing aliases.

use super::{ImportTable, Pass, Plan, Step, found};
use crate::store::administration::{AdminError, AliasRow};
use crate::store::driver::{Connection, DriverError, Param, Refusal};
use crate::store::importing::ImportMode;
use crate::store::sql::SqlStore;
use crate::store::sql::administer::{AliasPlace, Done, ensure_usable, no_such};
use crate::store::sql::aliases::{MOST_TARGETS, unusable};
use crate::store::sql::writer::Writer;
use crate::store::{Changed, DomainKind};

/// An import of aliases.
pub(in crate::store::sql) struct AliasImport<'a> {
    pub store: &'a SqlStore,
    pub mode: ImportMode,
}

impl AliasImport<'_> {
    /// Returns the targets of an address, in order.
    fn stored(
        &self,
        connection: &mut dyn Connection,
        address: &str,
        pass: Pass,
    ) -> Result<Vec<(i64, Vec<u8>)>, DriverError> {
        let asking = [Param::Text(address.as_bytes()), Param::Int(MOST_TARGETS as i64 + 1)];
        let mut targets = found(connection, pass, |connection| {
            let mut targets = Vec::new();
            connection.query(&self.store.statements.find_alias, &asking, &mut |row| {
                let AliasPlace { address: stored, target, position } = AliasPlace::of(row);
                // A collation may consider other addresses equal.
                if stored == address.as_bytes() {
                    targets.push((position, target));
                }
            })?;
            Ok(targets)
        })?;
        targets.sort();
        Ok(targets)
    }

    fn step(
        &self,
        connection: &mut dyn Connection,
        alias: AliasRow,
        pass: Pass,
    ) -> Result<Plan<AliasRow>, DriverError> {
        if let Err(problem) = ensure_usable(&alias) {
            return Ok(Err(problem.into()));
        }
        if alias.targets.len() > MOST_TARGETS {
            let problem = format!("it has more than {MOST_TARGETS} targets; use a mailing list");
            return Ok(Err(AdminError::Store(unusable(&alias.address, problem))));
        }
        let stored = self.stored(connection, &alias.address, pass)?;
        if !stored.is_empty() {
            let is_same =
                stored.iter().map(|(_, target)| target.as_slice()).eq(alias.targets.iter().map(String::as_bytes));
            return Ok(match (self.mode.update, is_same) {
                (false, _) => Err(AdminError::Exists { what: "alias", name: alias.address }),
                (true, true) => Ok(Step::Keep),
                (true, false) => Ok(Step::Change(alias, vec!["targets"])),
            });
        }
        let domain = domain_of(&alias);
        Ok(match self.store.query_standing(connection, domain)? {
            None => Err(no_such("domain", domain)),
            Some(Err(problem)) => Err(problem.into()),
            Some(Ok(standing)) if standing.kind == DomainKind::Own => Ok(Step::Add(alias)),
            Some(Ok(_)) => match self.store.unfit_for_addresses(connection, domain)? {
                Some(problem) => Err(problem),
                None => Ok(Step::Add(alias)),
            },
        })
    }

    fn insert(&self, writer: &mut Writer<'_>, alias: &AliasRow) -> Result<(), DriverError> {
        let [address, domain] = [&alias.address, domain_of(alias)].map(|text| Param::Text(text.as_bytes()));
        for (target, position) in alias.targets.iter().zip(0..) {
            let values = [address, domain, Param::Text(target.as_bytes()), Param::Int(position)];
            writer.execute(&self.store.statements.add_alias, &values)?;
        }
        Ok(())
    }
}

impl ImportTable for AliasImport<'_> {
    type Record = AliasRow;
    type Row = AliasRow;

    fn plan(
        &mut self,
        connection: &mut dyn Connection,
        records: Vec<AliasRow>,
        pass: Pass,
    ) -> Result<Vec<Plan<AliasRow>>, DriverError> {
        records.into_iter().map(|alias| self.step(connection, alias, pass)).collect()
    }

    fn carry_out(&mut self, writer: &mut Writer<'_>, steps: &[&Step<AliasRow>]) -> Done<()> {
        for step in steps {
            match step {
                Step::Add(alias) => self.insert(writer, alias)?,
                Step::Change(alias, _) => {
                    let address = Param::Text(alias.address.as_bytes());
                    writer.execute(&self.store.statements.remove_alias, &[address, address])?;
                    self.insert(writer, alias)?;
                }
                Step::Keep => {}
            }
        }
        Ok(Ok(()))
    }

    fn refusal(&self, alias: &AliasRow, error: DriverError) -> AdminError {
        match error {
            DriverError::Refused { kind: Refusal::Duplicate, .. } => {
                AdminError::Exists { what: "alias", name: alias.address.clone() }
            }
            DriverError::Refused { kind: Refusal::Reference, .. } => no_such("domain", domain_of(alias)),
            DriverError::Refused { kind: Refusal::Unstorable, reason } => AdminError::Unstorable(reason),
            error => AdminError::Store(self.store.hosts.store_error(error)),
        }
    }

    fn changed(alias: &AliasRow) -> Changed {
        Changed::Alias(alias.address.clone())
    }

    fn size(alias: &AliasRow) -> usize {
        alias.address.len() + alias.targets.iter().map(String::len).sum::<usize>()
    }
}

fn domain_of(alias: &AliasRow) -> &str {
    alias.address.rsplit_once('@').map_or("", |(_, domain)| domain)
}
