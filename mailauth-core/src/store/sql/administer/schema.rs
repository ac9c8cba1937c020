//! Creating and migrating the schema, and reports about the database.

use crate::schema::{Field, TableModel};
use crate::store::StoreError;
use crate::store::administration::{AdminReport, SchemaChange, StoreReport};
use crate::store::driver::{Connection, Delivery, DriverError, Needs, Param, Statement};
use crate::store::sql::columns::number;
use crate::store::sql::{SqlStore, newer};

impl SqlStore {
    pub(super) fn create_or_migrate(&self) -> Result<SchemaChange, StoreError> {
        self.ensure_own()?;
        self.hosts.driver().create().map_err(|error| self.hosts.store_error(error))?;
        self.hosts.write(|connection| {
            let dialect = self.dialect();
            if !dialect.lock.is_empty() {
                connection.batch(dialect.lock)?;
            }
            let changed = self.migrate(connection);
            if !dialect.unlock.is_empty() && !connection.is_broken() {
                connection.batch(dialect.unlock)?;
            }
            changed
        })
    }

    /// Brings the schema up to date, one version after the other. Each is applied completely or not at all, if the
    /// database can do that.
    fn migrate(&self, connection: &mut dyn Connection) -> Result<SchemaChange, DriverError> {
        let (dialect, known) = (self.dialect(), self.known_version());
        let place = self.hosts.place();
        let mut from = None;
        loop {
            connection.batch(dialect.begin)?;
            let version = match self.present_version(connection) {
                Ok(version) if version < known => version,
                outcome => {
                    connection.batch("ROLLBACK")?;
                    let version = outcome?;
                    if version > known {
                        return Err(DriverError::Schema(newer(place, version, known)));
                    }
                    return Ok(SchemaChange { from: from.unwrap_or(version), to: version });
                }
            };
            from.get_or_insert(version);
            let step = match version.checked_sub(1) {
                None => dialect.schema,
                Some(at) => dialect.migrations.get(at as usize).copied().unwrap_or_default(),
            };
            if let Err(error) = connection.batch(step) {
                if !connection.is_broken() {
                    let _ = connection.batch("ROLLBACK");
                }
                return Err(error);
            }
            connection.batch("COMMIT")?;
        }
    }

    /// Returns the version of the schema, or 0 if there is no schema. Fails if tables of other software have our names.
    fn present_version(&self, connection: &mut dyn Connection) -> Result<u32, DriverError> {
        let statements = &self.statements;
        let mut is_there = |table: &str| -> Result<bool, DriverError> {
            Ok(count(connection, &statements.table_exists, &[Param::Text(table.as_bytes())])? > 0)
        };
        if is_there(&self.model.versions.table)? {
            return self.version(connection);
        }
        let TableModel { domains, accounts, aliases, alias_domains, uses, sums, .. } = &self.model;
        let ours = [&domains.table, &accounts.table, &aliases.table, &alias_domains.table, &uses.table, &sums.table];
        for table in ours {
            if is_there(table)? {
                return Err(DriverError::Schema(format!(
                    "{} holds a table {table} that is not mailauth's: give mailauth a database of its own",
                    self.hosts.place()
                )));
            }
        }
        Ok(0)
    }

    pub(super) fn report_of_daemon(&self) -> Result<StoreReport, StoreError> {
        if let Some(foreign) = &self.foreign {
            return foreign.report(self);
        }
        let accounts = &self.model.accounts;
        let write = |field: Field| accounts.column(field).write.clone();
        let mut reads = accounts.reads.clone();
        let TableModel { aliases, alias_domains, versions, .. } = &self.model;
        reads.extend([&aliases.table, &alias_domains.table, &versions.table].map(String::clone));
        let model = &self.model;
        let sums = &model.sums;
        let needs = Needs {
            tables: self.tables(),
            reads,
            accounts: accounts.table.clone(),
            updates: [Field::Password, Field::Updated, Field::PasswordChanged].into_iter().filter_map(write).collect(),
            delivery: vec![
                Delivery {
                    table: model.uses.table.clone(),
                    updates: [&model.uses.bytes, &model.uses.messages, &model.uses.measured].map(String::clone).into(),
                },
                Delivery {
                    table: model.sums.table.clone(),
                    // MariaDB requires the right to change the key of a row that is either added or changed.
                    updates: [&sums.domain, &sums.bytes, &sums.messages, &sums.mailboxes].map(String::clone).into(),
                },
            ],
        };
        self.hosts.read(|connection| {
            let (server, tls) = connection.server()?;
            // Without the right to read it, the version is unknown; the list of rights says so.
            let (schema, schema_refused) = match self.version(connection) {
                Err(DriverError::Refused { reason, .. }) => (None, Some(reason)),
                version => (Some(version?), None),
            };
            let mut report = StoreReport {
                server,
                tls,
                authenticated_by: connection.authenticated_by(),
                character_set: connection.character_set(&needs.tables)?,
                schema: schema.unwrap_or(0),
                schema_known: self.known_version(),
                schema_refused,
                ..StoreReport::default()
            };
            if schema == Some(0) {
                return Ok(report);
            }
            let rights = connection.rights(&needs)?;
            (report.rights_too_wide, report.rights_missing) = (rights.too_wide, rights.missing);
            report.rights_remedy = rights.statements;
            (report.user, report.administrator) = (rights.user, rights.administrator);
            match self.count_by_pages(connection, &self.statements.count_accounts, &[]) {
                Err(DriverError::Refused { .. }) => {}
                counted => report.accounts = counted?,
            }
            Ok(report)
        })
    }

    pub(super) fn report_of_administrator(&self) -> Result<AdminReport, StoreError> {
        if let Some(foreign) = &self.foreign {
            return foreign.admin_report(self);
        }
        let TableModel { accounts, domains, aliases, alias_domains, uses, sums, versions, .. } = &self.model;
        let mut wanted = Vec::new();
        for table in [&accounts.table, &domains.table, &aliases.table, &alias_domains.table] {
            wanted.extend(["SELECT", "INSERT", "UPDATE", "DELETE"].map(|right| (right, table.as_str())));
        }
        wanted.extend(["SELECT", "INSERT", "DELETE"].map(|right| (right, uses.table.as_str())));
        wanted.extend(["SELECT", "INSERT"].map(|right| (right, sums.table.as_str())));
        wanted.push(("SELECT", &versions.table));
        self.hosts.read(|connection| {
            let (server, tls) = connection.server()?;
            Ok(AdminReport { server, tls, lacking: connection.lacks(&wanted)? })
        })
    }

    /// Returns the names of all our tables.
    pub(super) fn tables(&self) -> Vec<String> {
        let TableModel { accounts, domains, aliases, alias_domains, uses, sums, versions, .. } = &self.model;
        let tables = [
            &accounts.table,
            &domains.table,
            &aliases.table,
            &alias_domains.table,
            &uses.table,
            &sums.table,
            &versions.table,
        ];
        tables.into_iter().cloned().collect()
    }
}

fn count(connection: &mut dyn Connection, statement: &Statement, params: &[Param<'_>]) -> Result<u64, DriverError> {
    let mut count = 0;
    connection.query(statement, params, &mut |row| {
        count = number(row, 0).and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
    })?;
    Ok(count)
}
