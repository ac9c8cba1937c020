//! Aliases: listing, adding and removing them and their targets.

use super::{Done, PAGE, no_such, some};
use crate::account::Login;
use crate::alias::{check_target, read_address};
use crate::spelling::respelt_target;
use crate::store::StoreError;
use crate::store::administration::{AliasRow, AliasTarget};
use crate::store::driver::{Connection, DriverError, Param, Refusal, Row};
use crate::store::sql::SqlStore;
use crate::store::sql::aliases::{MOST_TARGETS, not_an_address, unusable};
use crate::store::sql::columns::{AliasColumn, Column};
use crate::store::sql::reading::Reading;
use crate::store::sql::writer::Writer;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// A row of an alias, as stored in the table.
pub(in crate::store::sql) struct AliasPlace {
    pub address: Vec<u8>,
    pub target: Vec<u8>,
    pub position: i64,
}

impl AliasPlace {
    /// Reads the columns of a target.
    pub fn of(row: &dyn Row) -> Self {
        AliasPlace {
            address: AliasColumn::Address.bytes(row),
            target: AliasColumn::Target.bytes(row),
            position: AliasColumn::Position.number(row).unwrap_or(0),
        }
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
    pub(super) fn read_aliases(
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

    pub(super) fn targets_that_are(&self, login: &Login) -> Result<Vec<AliasTarget>, StoreError> {
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

    pub(super) fn insert_targets(&self, writer: &mut Writer<'_>, alias: &AliasRow) -> Done<()> {
        let address = Param::Text(alias.address.as_bytes());
        let domain = alias.address.rsplit_once('@').map_or("", |(_, domain)| domain);
        if let Some(problem) = self.unfit_for_addresses(writer.reading(), domain)? {
            return Ok(Err(problem));
        }
        let mut there = BTreeSet::new();
        let mut next = 0;
        let asking = [address, Param::Int(MOST_TARGETS as i64 + 1)];
        writer.query(&self.statements.find_alias, &asking, &mut |row| {
            let target = AliasColumn::Target.bytes(row);
            there.insert(respelt_target(&String::from_utf8_lossy(&target)).into_owned());
            next = next.max(AliasColumn::Position.number(row).unwrap_or(0).saturating_add(1));
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
            let values = [address, Param::Text(domain.as_bytes()), Param::Text(target.as_bytes()), Param::Int(next)];
            match writer.execute(&self.statements.add_alias, &values) {
                Err(DriverError::Refused { kind: Refusal::Reference, .. }) => {
                    return Ok(Err(no_such("domain", domain)));
                }
                done => done?,
            };
            next += 1;
        }
        Ok(Ok(()))
    }

    pub(super) fn delete_targets(&self, writer: &mut Writer<'_>, alias: &AliasRow) -> Done<()> {
        let address = Param::Text(alias.address.as_bytes());
        if alias.targets.is_empty() {
            let removed = writer.execute(&self.statements.remove_alias, &[address, address])?;
            return some(removed, || no_such("alias", &alias.address));
        }
        for target in &alias.targets {
            let name = Param::Text(target.as_bytes());
            let remove = &self.statements.remove_target;
            let mut removed = writer.execute(remove, &[address, name, address, name])?;
            if removed == 0
                && let Some(stored) = self.misspelt_target(writer, &alias.address, target)?
            {
                let name = Param::Text(&stored);
                removed = writer.execute(remove, &[address, name, address, name])?;
            }
            if removed == 0 {
                return Ok(Err(no_such("alias", &format!("{} -> {target}", alias.address))));
            }
        }
        Ok(Ok(()))
    }

    /// Returns the rows of aliases, of all or of one domain, that follow this address and target, at most [`PAGE`].
    pub(in crate::store::sql) fn alias_page(
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

    pub(in crate::store::sql) fn count_aliases_of(
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

    /// Removes the aliases of a domain in the same way.
    pub(super) fn remove_aliases_of(&self, connection: &mut Writer<'_>, domain: Param<'_>) -> Result<(), DriverError> {
        while let Some(last) = self.alias_page(connection.reading(), Some(domain), (b"", b""))?.pop() {
            let those = [domain, Param::Text(&last.address)];
            if connection.execute(&self.statements.remove_domain_aliases, &those)? == 0 {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Checks that mail will be sent on by this alias: its address is spelled as it is looked up, and its targets are
/// addresses.
pub(in crate::store::sql) fn ensure_usable(alias: &AliasRow) -> Result<(), StoreError> {
    let address = alias.address.as_str();
    match read_address(address, None) {
        Ok(stored) if stored == address => {}
        Ok(stored) => return Err(unusable(address, format!("no mail is looked up by this spelling; write {stored}"))),
        Err(why) => return Err(unusable(address, why.to_string())),
    }
    let refused = |target: &String| check_target(target).err().map(|why| not_an_address(address, target, &why));
    alias.targets.iter().find_map(refused).map_or(Ok(()), |problem| Err(unusable(address, problem)))
}
