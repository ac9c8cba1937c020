//! What `mailauth check` says about the tables of another program.

use super::{ACCOUNTS, Foreign};
use crate::store::StoreError;
use crate::store::administration::{AdminReport, ForeignReport, StoreReport};
use crate::store::driver::{Connection, DriverError, Needs, Rights};
use crate::store::sql::SqlStore;
use crate::store::sql::columns::number;

/// A name that every statement can be asked about, and that nothing has.
pub(super) const NOBODY: &str = "nobody@mailauth.invalid";

impl Foreign {
    /// Returns the report about the database and the tables. Each statement is run once, and its refusal is a problem.
    pub fn report(&self, store: &SqlStore) -> Result<StoreReport, StoreError> {
        store.hosts.read(|connection| {
            let (server, tls) = connection.server()?;
            let mut report = StoreReport {
                server,
                tls,
                authenticated_by: connection.authenticated_by(),
                foreign: Some(self.try_statements(connection)?),
                ..StoreReport::default()
            };
            let mut rights = match connection.rights(&self.needs()) {
                // A table is missing, which is a problem of its statement.
                Err(DriverError::Refused { .. }) => Rights::default(),
                rights => rights?,
            };
            if report.foreign.as_ref().is_some_and(|foreign| foreign.problems.is_empty()) {
                // The statements run, so the right to read single columns is enough.
                rights.missing.retain(|right| !right.starts_with("SELECT"));
                rights.statements.retain(|statement| !statement.starts_with("GRANT SELECT"));
            }
            (report.rights_too_wide, report.rights_missing) = (rights.too_wide, rights.missing);
            report.rights_remedy = rights.statements;
            (report.user, report.administrator) = (rights.user, rights.administrator);
            report.accounts = self.count(connection)?.unwrap_or(0);
            Ok(report)
        })
    }

    /// Returns the report about the administrator's user, who has nothing to change here.
    pub fn admin_report(&self, store: &SqlStore) -> Result<AdminReport, StoreError> {
        store.hosts.read(|connection| {
            let (server, tls) = connection.server()?;
            Ok(AdminReport { server, tls, lacking: Vec::new() })
        })
    }

    fn try_statements(&self, connection: &mut dyn Connection) -> Result<ForeignReport, DriverError> {
        let plans = self.plans(connection)?;
        let mut problems: Vec<String> = Vec::new();
        for problem in plans.iter().flat_map(|plan| &plan.problems) {
            if !problems.contains(problem) {
                problems.push(problem.clone());
            }
        }
        Ok(ForeignReport { profile: self.model.profile.clone(), program: self.model.program.clone(), problems, plans })
    }

    /// Returns the number of accounts; `None` if the database does not say within the deadline.
    pub fn count(&self, connection: &mut dyn Connection) -> Result<Option<u64>, DriverError> {
        let mut counted = None;
        let done = connection.query(&self.statements.count, &[], &mut |row| {
            counted = number(row, 0).and_then(|count| u64::try_from(count).ok());
        });
        match done.map_err(|error| self.explain(error, ACCOUNTS)) {
            Err(
                DriverError::Refused { .. }
                | DriverError::Schema(_)
                | DriverError::Cancelled(_)
                | DriverError::Timeout(_),
            ) => Ok(None),
            done => done.map(|()| counted),
        }
    }

    /// Returns the privileges that reading the tables needs.
    fn needs(&self) -> Needs {
        let reads: Vec<String> = self.model.reads.iter().map(|columns| columns.table.clone()).collect();
        Needs {
            tables: reads.clone(),
            reads,
            accounts: self.first_table().unwrap_or_default(),
            updates: self.model.accounts.write_password.iter().cloned().collect(),
            delivery: Vec::new(),
        }
    }
}
