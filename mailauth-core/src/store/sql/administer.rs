//! Creating, changing and removing the contents of the tables.

use super::addresses::{MOST_TARGETS, not_an_address, unusable};
use super::alias_domains::unfit;
use super::rows;
use super::writer::Writer;
use super::{SqlStore, bytes, is_text, newer, number};
use crate::Services;
use crate::account::{AccountRow, Login, Password};
use crate::alias::{check_target, read_address};
use crate::schema::{Field, TableModel};
use crate::spelling::respelt_target;
use crate::store::administration::{
    AccountChange, AccountTimes, AdminError, AdminReport, Administration, AliasDomainRow, AliasRow, AliasTarget,
    CharacterSet, DomainRow, ImportError, ImportSource, Renaming, SchemaChange, StoreReport,
};
use crate::store::driver::{Connection, Delivery, DriverError, Needs, Param, Refusal, Row, Statement};
use crate::store::newest::Reading;
use crate::store::{AccountStore, Cursor, DomainKind, DomainStanding, Page, StoreError};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Result of a transaction: the inner error undoes it too.
pub(in crate::store) type Done<T> = Result<Result<T, AdminError>, DriverError>;

impl Administration for SqlStore {
    fn init(&self) -> Result<SchemaChange, StoreError> {
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

    fn character_set(&self) -> Result<CharacterSet, StoreError> {
        let tables = self.tables();
        self.hosts.read(|connection| connection.character_set(&tables))
    }

    fn report(&self) -> Result<StoreReport, StoreError> {
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
            report.rights_cure = rights.statements;
            (report.user, report.administrator) = (rights.user, rights.administrator);
            match self.count_by_pages(connection, &self.statements.count_accounts, &[]) {
                Err(DriverError::Refused { .. }) => {}
                counted => report.accounts = counted?,
            }
            Ok(report)
        })
    }

    fn admin_report(&self) -> Result<AdminReport, StoreError> {
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

    /// Returns a domain's row, from a host that has every change, because a domain is changed by writing its whole row.
    /// If no such host answers, another one's row is returned, which is only good for showing it.
    fn find_domain(&self, name: &str) -> Result<Option<DomainRow>, StoreError> {
        match self.read_domain(Reading::Newest, name) {
            Err(error) if error.is_outage() && self.may_lag() => match self.read_domain(Reading::Any, name)? {
                Some(domain) => Ok(Some(domain)),
                None => Err(error),
            },
            found => found,
        }
    }

    fn domain_page(&self, after: Option<&Cursor>, limit: usize) -> Result<Page<DomainRow, StoreError>, StoreError> {
        let limit = limit.max(1);
        let after = after.map(Cursor::as_bytes).unwrap_or_default();
        let asking = [Param::Text(after), Param::Int(i64::try_from(limit).unwrap_or(i64::MAX))];
        self.hosts.read(|connection| {
            self.ensure_schema(connection)?;
            let (mut rows, mut last) = (Vec::new(), Vec::new());
            connection.query(&self.statements.domain_page, &asking, &mut |row| {
                rows.push(rows::domain(row));
                last = bytes(row, 0);
            })?;
            Ok(Page { next: (rows.len() >= limit).then(|| Cursor::behind(last)), rows })
        })
    }

    fn domain_accounts(&self, domain: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let limit = limit.max(1);
        let after = after.map(Cursor::as_bytes).unwrap_or_default();
        let domain = Param::Text(domain.as_bytes());
        let asking = [domain, domain, Param::Text(after), Param::Int(i64::try_from(limit).unwrap_or(i64::MAX))];
        self.hosts.read(|connection| {
            self.ensure_schema(connection)?;
            self.read_page(connection, &self.statements.domain_accounts_page, &asking, limit)
        })
    }

    fn existing(&self, logins: &[&Login]) -> Result<BTreeSet<Login>, StoreError> {
        let present = self.hosts.read(|connection| {
            self.ensure_schema(connection)?;
            self.present(connection, logins.iter().copied())
        })?;
        Ok(logins
            .iter()
            .filter(|login| present.contains(login.as_str().as_bytes()))
            .map(|login| (*login).clone())
            .collect())
    }

    fn add_domain(&self, domain: &DomainRow) -> Result<(), AdminError> {
        self.change(|connection| {
            let standing = self.query_standing(connection.reading(), &domain.name)?;
            if let Some(Ok(DomainStanding { kind: DomainKind::AliasOf(other), .. })) = standing {
                let problem = format!(
                    "is an alias domain of {other}; remove that first with 'mailauth domain alias remove {}'",
                    domain.name
                );
                return Ok(Err(unfit(&domain.name, &problem)));
            }
            match self.insert_domain(connection, domain) {
                Err(DriverError::Refused { kind: Refusal::Duplicate, .. }) => {
                    Ok(Err(AdminError::Exists { what: "domain", name: domain.name.clone() }))
                }
                done => done.map(Ok),
            }
        })
    }

    fn set_domain(&self, domain: &DomainRow) -> Result<(), AdminError> {
        self.change(|connection| {
            if domain.backup
                && let Some(problem) = self.unfit_for_backup(connection.reading(), &domain.name)?
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
            some(connection.execute(&self.statements.set_domain, &values)?, || no_such("domain", &domain.name))
        })
    }

    fn remove_domain(&self, name: &str, contents: bool) -> Result<(), AdminError> {
        self.change(|connection| {
            let statements = &self.statements;
            let domain = Param::Text(name.as_bytes());
            if contents {
                match self.lock_sum(connection, name) {
                    Err(DriverError::Refused { kind: Refusal::Reference, .. }) => {
                        return Ok(Err(no_such("domain", name)));
                    }
                    done => done?,
                }
                self.remove_aliases_of(connection, domain)?;
                self.remove_accounts_of(connection, domain)?;
                self.remove_alias_domains_of(connection, domain)?;
            } else {
                let accounts =
                    self.count_by_pages(connection.reading(), &statements.count_domain_accounts, &[domain, domain])?;
                let aliases = self.count_aliases_of(connection.reading(), domain)?;
                let alias_domains = self.count_alias_domains_of(connection.reading(), domain)?;
                if accounts + aliases + alias_domains > 0 {
                    let domain = name.to_owned();
                    return Ok(Err(AdminError::InUse { domain, accounts, aliases, alias_domains }));
                }
            }
            some(connection.execute(&statements.remove_domain, &[domain])?, || no_such("domain", name))
        })
    }

    fn add_account(&self, account: &AccountRow) -> Result<(), AdminError> {
        self.change(|connection| self.insert_account(connection, account))
    }

    fn set_account(&self, login: &Login, change: &AccountChange) -> Result<(), AdminError> {
        let services = change.services.as_ref().map(services);
        let values = [
            (Field::Password, change.password.as_ref().map(password)),
            (Field::Enabled, change.enabled.map(|on| Param::Int(on.into()))),
            (Field::Receives, change.receives.map(|on| Param::Int(on.into()))),
            (Field::Services, services.as_ref().map(|list| Param::text(list.as_deref()))),
            (Field::Uid, change.uid.map(id)),
            (Field::Gid, change.gid.map(id)),
            (Field::Home, change.home.as_ref().map(|text| Param::text(text.as_deref()))),
            (Field::Maildir, change.maildir.as_ref().map(|text| Param::text(text.as_deref()))),
            (Field::QuotaBytes, change.quota_bytes.map(limit)),
            (Field::QuotaMessages, change.quota_messages.map(limit)),
            (Field::Name, change.name.as_ref().map(|text| Param::text(text.as_deref()))),
            (Field::Options, change.options.as_ref().map(|text| Param::text(text.as_deref()))),
        ];
        let mut sql = self.statements.set_account.clone();
        let mut params = Vec::new();
        for (field, value) in values {
            if let Some(value) = value {
                sql.push_str(&format!(", {} = ?", self.writable(field)?));
                params.push(value);
            }
        }
        if change.password.is_some() {
            sql.push_str(&format!(", {} = {}", self.writable(Field::PasswordChanged)?, self.dialect().now));
        }
        sql.push_str(&self.statements.of_account);
        params.extend([Param::Text(login.as_str().as_bytes()); 2]);
        let statement = Statement { slot: None, sql: self.dialect().placeholders(&sql) };
        self.change(|connection| some(connection.execute(&statement, &params)?, || no_such("account", login.as_str())))
    }

    fn remove_account(&self, login: &Login) -> Result<(), AdminError> {
        self.remove_stored_account(login.as_str().as_bytes())
    }

    fn remove_stored_account(&self, login: &[u8]) -> Result<(), AdminError> {
        self.change(|writer| self.remove_row(writer, login))
    }

    fn rename_account_with(&self, old: &[u8], new: &Login, with: &mut Renaming<'_>) -> Result<(), AdminError> {
        // Checked before the transaction, which must not read before it takes its locks.
        let unfit = self.hosts.read(|connection| {
            self.ensure_schema(connection)?;
            self.unfit_for_addresses(connection, new.domain())
        })?;
        match unfit {
            Some(problem) => Err(problem),
            None => self.change(|writer| self.rename_row_with(writer, old, new, with)),
        }
    }

    fn alias_targets_that_are(&self, login: &Login) -> Result<Vec<AliasTarget>, StoreError> {
        let (mut found, mut after) = (Vec::new(), (Vec::new(), Vec::new()));
        loop {
            let page = self.read_by(Reading::Newest, |connection| {
                self.ensure_schema(connection)?;
                self.alias_page(connection, None, (&after.0, &after.1))
            })?;
            let whole = page.len() >= PAGE;
            for row in page {
                if Login::parse(&row.target, None).is_ok_and(|target| target == *login) {
                    let [address, target] =
                        [&row.address, &row.target].map(|text| String::from_utf8_lossy(text).into_owned());
                    found.push(AliasTarget { address, target });
                }
                after = (row.address, row.target);
            }
            if !whole {
                return Ok(found);
            }
        }
    }

    fn account_times(&self, login: &Login) -> Result<Option<AccountTimes>, StoreError> {
        let asked = login.as_str().as_bytes();
        self.hosts.read(|connection| {
            self.ensure_schema(connection)?;
            let mut times = None;
            connection.query(&self.statements.times, &[Param::Text(asked)], &mut |row| {
                // The login follows the times.
                if is_text(row, Field::TIMES.len(), asked) {
                    let time = |field: Field| {
                        let index = Field::TIMES.iter().position(|time| *time == field);
                        index.map_or_else(String::new, |index| text(row, index))
                    };
                    times = Some(AccountTimes {
                        created: time(Field::Created),
                        updated: time(Field::Updated),
                        password_changed: time(Field::PasswordChanged),
                    });
                }
            })?;
            Ok(times)
        })
    }

    fn import(&self, source: &mut dyn ImportSource) -> Result<u64, ImportError> {
        self.import_from(source)
    }

    fn each_alias(
        &self,
        domain: Option<&str>,
        each: &mut dyn FnMut(Result<AliasRow, StoreError>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let domain = domain.map(|name| Param::Text(name.as_bytes()));
        let mut after = (Vec::new(), Vec::new());
        // A page may end between two targets of an address.
        let mut targets = Targets::default();
        loop {
            let page = self.hosts.read(|connection| {
                self.ensure_schema(connection)?;
                self.alias_page(connection, domain, (&after.0, &after.1))
            })?;
            let whole = page.len() >= PAGE;
            for row in page {
                after = (row.address.clone(), row.target.clone());
                if let Some(alias) = targets.add(row)
                    && each(alias).is_break()
                {
                    return Ok(());
                }
            }
            if !whole {
                let _ = targets.take().map(each);
                return Ok(());
            }
        }
    }

    fn add_alias(&self, alias: &AliasRow) -> Result<(), AdminError> {
        let address = Param::Text(alias.address.as_bytes());
        let domain = alias.address.rsplit_once('@').map_or("", |(_, domain)| domain);
        ensure_usable(alias)?;
        self.change(|connection| {
            if let Some(problem) = self.unfit_for_addresses(connection.reading(), domain)? {
                return Ok(Err(problem));
            }
            let mut there = BTreeSet::new();
            let mut next = 0;
            let asking = [address, Param::Int(MOST_TARGETS as i64 + 1)];
            connection.query(&self.statements.find_alias, &asking, &mut |row| {
                there.insert(respelt_target(&text(row, 1)).into_owned());
                next = next.max(number(row, 2).unwrap_or(0).saturating_add(1));
            })?;
            if there.len() + alias.targets.iter().filter(|target| !there.contains(*target)).count() > MOST_TARGETS {
                let problem = format!("it would have more than {MOST_TARGETS} targets; use a mailing list");
                let address = alias.address.clone();
                return Ok(Err(StoreError::UnusableAlias { address, problem }.into()));
            }
            for target in &alias.targets {
                if !there.insert(target.clone()) {
                    continue;
                }
                let values =
                    [address, Param::Text(domain.as_bytes()), Param::Text(target.as_bytes()), Param::Int(next)];
                match connection.execute(&self.statements.add_alias, &values) {
                    Err(DriverError::Refused { kind: Refusal::Reference, .. }) => {
                        return Ok(Err(no_such("domain", domain)));
                    }
                    done => done?,
                };
                next += 1;
            }
            Ok(Ok(()))
        })
    }

    fn alias_domain_page(
        &self,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<AliasDomainRow, StoreError>, StoreError> {
        self.page_of_alias_domains(after, limit)
    }

    fn find_alias_domain(&self, name: &str) -> Result<Option<AliasDomainRow>, StoreError> {
        self.row_of_alias_domain(name)
    }

    fn alias_domains_of(&self, target: &str) -> Result<Vec<String>, StoreError> {
        self.names_of_domain(target)
    }

    fn add_alias_domains(&self, rows: &[AliasDomainRow]) -> Result<(), (usize, AdminError)> {
        let mut place = 0;
        self.change(|writer| {
            for (index, row) in rows.iter().enumerate() {
                place = index;
                if let Err(problem) = self.insert_alias_domain(writer, row)? {
                    return Ok(Err(problem));
                }
            }
            Ok(Ok(()))
        })
        .map_err(|problem| (place, problem))
    }

    fn set_alias_domain(&self, row: &AliasDomainRow) -> Result<(), AdminError> {
        self.change(|writer| self.update_alias_domain(writer, row))
    }

    fn remove_alias_domain(&self, name: &str) -> Result<(), AdminError> {
        self.change(|writer| self.delete_alias_domain(writer, name))
    }

    fn remove_alias(&self, alias: &AliasRow) -> Result<(), AdminError> {
        let address = Param::Text(alias.address.as_bytes());
        self.change(|connection| {
            if alias.targets.is_empty() {
                let removed = connection.execute(&self.statements.remove_alias, &[address, address])?;
                return some(removed, || no_such("alias", &alias.address));
            }
            for target in &alias.targets {
                let name = Param::Text(target.as_bytes());
                let remove = &self.statements.remove_target;
                let mut removed = connection.execute(remove, &[address, name, address, name])?;
                if removed == 0
                    && let Some(stored) = self.misspelt_target(connection, &alias.address, target)?
                {
                    let name = Param::Text(&stored);
                    removed = connection.execute(remove, &[address, name, address, name])?;
                }
                if removed == 0 {
                    return Ok(Err(no_such("alias", &format!("{} -> {target}", alias.address))));
                }
            }
            Ok(Ok(()))
        })
    }
}

/// Number of rows read, or removed, with one statement.
const PAGE: usize = 1000;

/// Number of rows counted with one statement.
const COUNTED: i64 = 10_000;

/// A row of an alias, as stored in the table.
pub(in crate::store) struct AliasPlace {
    pub address: Vec<u8>,
    pub target: Vec<u8>,
    pub position: i64,
}

impl AliasPlace {
    /// Reads address, target and position.
    pub fn of(row: &dyn Row) -> Self {
        AliasPlace { address: bytes(row, 0), target: bytes(row, 1), position: number(row, 2).unwrap_or(0) }
    }
}

/// The targets of the address whose rows are being read.
#[derive(Default)]
struct Targets {
    address: Vec<u8>,
    /// The targets with their positions, at most one more than [`MOST_TARGETS`].
    targets: Vec<(i64, Vec<u8>)>,
}

impl Targets {
    /// Adds the next row. Returns the previous alias if this row begins another one.
    fn add(&mut self, row: AliasPlace) -> Option<Result<AliasRow, StoreError>> {
        let whole = if row.address == self.address { None } else { self.take() };
        self.address = row.address;
        if self.targets.len() <= MOST_TARGETS {
            self.targets.push((row.position, row.target));
        }
        whole
    }

    /// Returns the alias, with its targets in order; `None` if there is no target.
    fn take(&mut self) -> Option<Result<AliasRow, StoreError>> {
        let mut targets = std::mem::take(&mut self.targets);
        if targets.is_empty() {
            return None;
        }
        let address = String::from_utf8_lossy(&self.address).into_owned();
        if targets.len() > MOST_TARGETS {
            let problem = format!("it has more than {MOST_TARGETS} targets; use a mailing list");
            return Some(Err(StoreError::UnusableAlias { address: address.escape_debug().to_string(), problem }));
        }
        targets.sort();
        let text = |(_, target): (i64, Vec<u8>)| String::from_utf8_lossy(&target).into_owned();
        Some(Ok(AliasRow { address, targets: targets.into_iter().map(text).collect() }))
    }
}

impl SqlStore {
    fn read_domain(&self, reading: Reading, name: &str) -> Result<Option<DomainRow>, StoreError> {
        let asked = name.as_bytes();
        let found = self.read_by(reading, |connection| {
            self.ensure_schema(connection)?;
            let mut found = None;
            connection.query(&self.statements.whole_domain, &[Param::Text(asked)], &mut |row| {
                // A collation may consider other logins equal.
                if is_text(row, 0, asked) {
                    found = Some(rows::domain(row));
                }
            })?;
            Ok(found)
        })?;
        found.transpose()
    }

    /// Returns the rows of aliases, of all or of one domain, that follow this address and target, at most [`PAGE`].
    pub(in crate::store) fn alias_page(
        &self,
        connection: &mut dyn Connection,
        domain: Option<Param<'_>>,
        (address, target): (&[u8], &[u8]),
    ) -> Result<Vec<AliasPlace>, DriverError> {
        let statement = match domain {
            None => &self.statements.alias_page,
            Some(_) => &self.statements.domain_alias_page,
        };
        let address = Param::Text(address);
        let asking: Vec<_> = domain
            .into_iter()
            .chain(domain)
            .chain([address, address, Param::Text(target), Param::Int(PAGE as i64)])
            .collect();
        let mut page = Vec::new();
        connection.query(statement, &asking, &mut |row| {
            page.push(AliasPlace::of(row));
        })?;
        Ok(page)
    }

    /// Counts accounts by a statement that counts up to a limit and returns the last login counted.
    fn count_by_pages(
        &self,
        connection: &mut dyn Connection,
        statement: &Statement,
        of: &[Param<'_>],
    ) -> Result<u64, DriverError> {
        let (mut sum, mut after) = (0, Vec::new());
        loop {
            let (counted, last) = count_page(connection, statement, of, &after, COUNTED)?;
            sum += counted;
            if counted < COUNTED.unsigned_abs() || last.is_empty() {
                return Ok(sum);
            }
            after = last;
        }
    }

    /// Returns true if a domain has an account.
    pub(in crate::store) fn has_accounts(
        &self,
        connection: &mut dyn Connection,
        domain: Param<'_>,
    ) -> Result<bool, DriverError> {
        let statement = &self.statements.count_domain_accounts;
        Ok(count_page(connection, statement, &[domain, domain], b"", 1)?.0 > 0)
    }

    pub(in crate::store) fn count_aliases_of(
        &self,
        connection: &mut dyn Connection,
        domain: Param<'_>,
    ) -> Result<u64, DriverError> {
        let (mut sum, mut after) = (0, (Vec::new(), Vec::new()));
        loop {
            let page = self.alias_page(connection, Some(domain), (&after.0, &after.1))?;
            sum += page.len() as u64;
            match page.into_iter().next_back() {
                Some(last) if sum % PAGE as u64 == 0 => after = (last.address, last.target),
                _ => return Ok(sum),
            }
        }
    }

    /// Removes the accounts of a domain, a page with each statement.
    fn remove_accounts_of(&self, connection: &mut Writer<'_>, domain: Param<'_>) -> Result<(), DriverError> {
        let statements = &self.statements;
        loop {
            let (_, last) = count_page(
                connection.reading(),
                &statements.count_domain_accounts,
                &[domain, domain],
                b"",
                PAGE as i64,
            )?;
            if last.is_empty() {
                return Ok(());
            }
            if connection.execute(&statements.remove_domain_accounts, &[domain, Param::Text(&last)])? == 0 {
                // In that case the domain cannot be removed, and the database says why.
                return Ok(());
            }
        }
    }

    /// Removes the aliases of a domain in the same way.
    fn remove_aliases_of(&self, connection: &mut Writer<'_>, domain: Param<'_>) -> Result<(), DriverError> {
        while let Some(last) = self.alias_page(connection.reading(), Some(domain), (b"", b""))?.pop() {
            let those = [domain, Param::Text(&last.address)];
            if connection.execute(&self.statements.remove_domain_aliases, &those)? == 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Runs a change in a transaction, once the schema is known to be of our version.
    fn change<T>(&self, work: impl FnOnce(&mut Writer<'_>) -> Done<T>) -> Result<T, AdminError> {
        self.change_or(|connection| match work(connection) {
            Err(DriverError::Refused { kind: Refusal::Unstorable, reason }) => Ok(Err(AdminError::Unstorable(reason))),
            done => done,
        })?
    }

    /// Returns the names of all our tables.
    fn tables(&self) -> Vec<String> {
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

    /// Runs a change in a transaction in the same way, with any type of inner error.
    pub(in crate::store) fn change_or<T, E>(
        &self,
        work: impl FnOnce(&mut Writer<'_>) -> Result<Result<T, E>, DriverError>,
    ) -> Result<Result<T, E>, StoreError> {
        // Checked before the transaction, which must not read before it takes its locks.
        self.hosts.read(|connection| self.ensure_schema(connection))?;
        self.hosts.transaction(|connection| work(&mut Writer::new(connection, &self.writes)))
    }

    /// Returns the column that `field` is written to.
    fn writable(&self, field: Field) -> Result<&str, StoreError> {
        self.model.accounts.column(field).write.as_deref().ok_or_else(|| StoreError::Refused {
            place: self.hosts.place().to_owned(),
            reason: format!("the table model has no column to write {} to", field.name()),
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

    /// Returns the version of the schema, or 0 if there is none. Fails if tables of other software have our names.
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

    pub(in crate::store) fn insert_domain(
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

    /// Makes sure that the domain of accounts to be added exists.
    pub(in crate::store) fn ensure_domain(&self, connection: &mut Writer<'_>, name: &str) -> Result<(), DriverError> {
        if let Some(AdminError::Unfit { problem, .. }) = self.unfit_for_addresses(connection.reading(), name)? {
            return Err(DriverError::Refused { kind: Refusal::Unfit, reason: problem });
        }
        if name.is_empty() || self.query_standing(connection.reading(), name)?.is_some() {
            return Ok(());
        }
        self.insert_domain(connection, &DomainRow::new(name))
    }
}

/// Makes sure that mail is sent on by this alias once it is stored.
fn ensure_usable(alias: &AliasRow) -> Result<(), StoreError> {
    let address = alias.address.as_str();
    match read_address(address, None) {
        Ok(stored) if stored == address => {}
        Ok(stored) => return Err(unusable(address, format!("no mail comes for it; write {stored}"))),
        Err(why) => return Err(unusable(address, why.to_string())),
    }
    let refused = |target: &String| check_target(target).err().map(|why| not_an_address(address, target, &why));
    alias.targets.iter().find_map(refused).map_or(Ok(()), |problem| Err(unusable(address, problem)))
}

pub(in crate::store) fn no_such(what: &'static str, name: &str) -> AdminError {
    AdminError::NoSuch { what, name: name.to_owned() }
}

/// Succeeds if any row was matched.
fn some(rows: u64, otherwise: impl FnOnce() -> AdminError) -> Done<()> {
    Ok(if rows > 0 { Ok(()) } else { Err(otherwise()) })
}

/// Returns the number of accounts that come next, at most `limit`, and the last one's login.
fn count_page(
    connection: &mut dyn Connection,
    statement: &Statement,
    of: &[Param<'_>],
    after: &[u8],
    limit: i64,
) -> Result<(u64, Vec<u8>), DriverError> {
    let mut counted = (0, Vec::new());
    let asking: Vec<_> = of.iter().copied().chain([Param::Text(after), Param::Int(limit)]).collect();
    connection.query(statement, &asking, &mut |row| {
        counted = (number(row, 0).and_then(|count| u64::try_from(count).ok()).unwrap_or(0), bytes(row, 1));
    })?;
    Ok(counted)
}

fn count(connection: &mut dyn Connection, statement: &Statement, params: &[Param<'_>]) -> Result<u64, DriverError> {
    let mut count = 0;
    connection.query(statement, params, &mut |row| {
        count = number(row, 0).and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
    })?;
    Ok(count)
}

fn text(row: &dyn Row, index: usize) -> String {
    String::from_utf8_lossy(&bytes(row, index)).into_owned()
}

/// Returns the column's value, where NULL means every service.
pub(in crate::store) fn services(services: &Services) -> Option<String> {
    Some(services.to_string()).filter(|list| !list.is_empty())
}

/// Returns the column's value, where NULL means no password.
pub(in crate::store) fn password(password: &Password) -> Param<'_> {
    if password.0.is_empty() { Param::Null } else { Param::Text(password.0.expose()) }
}

pub(in crate::store) fn id(id: Option<u32>) -> Param<'static> {
    id.map_or(Param::Null, |id| Param::Int(id.into()))
}

pub(in crate::store) fn limit(limit: Option<u64>) -> Param<'static> {
    limit.map_or(Param::Null, |limit| Param::Int(i64::try_from(limit).unwrap_or(i64::MAX)))
}
