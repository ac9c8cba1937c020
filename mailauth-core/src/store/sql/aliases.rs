//! Look-ups of aliases, and the questions of a mail server.

use super::SqlStore;
use super::administer::AliasPlace;
use super::statements::MOST_TARGET;
use crate::alias::{self, AddressError};
use crate::store::driver::Param;
use crate::store::hosts::recent_changes::RecentChanges;
use crate::store::sql::newest::Newest;
use crate::store::sql::reading::Reading;
use crate::store::{AccountStore, DomainStanding, MailStore, StoreError};
use crate::{DomainName, spelling};

/// Maximum number of targets of one address. Mailing lists have programs of their own.
pub(in crate::store) const MOST_TARGETS: usize = 1000;

impl MailStore for SqlStore {
    fn newest(&self) -> Option<Box<dyn MailStore + '_>> {
        self.may_lag().then(|| Box::new(Newest(self)) as _)
    }

    fn domain(&self, name: &DomainName) -> Result<Option<DomainStanding>, StoreError> {
        self.standing_of(self.reading(|recent| recent.has_domain(name.as_str())), name)
    }

    fn alias_targets(&self, address: &str) -> Result<Vec<String>, StoreError> {
        self.targets_of(self.reading(|recent| recent.has_alias(address)), address)
    }

    fn alias_targets_of(&self, addresses: [&str; 2]) -> Result<[Result<Vec<String>, StoreError>; 2], StoreError> {
        let changed = |recent: &RecentChanges| addresses.iter().any(|address| recent.has_alias(address));
        self.targets_of_both(self.reading(changed), addresses)
    }
}

impl SqlStore {
    /// Returns the targets of an alias, in order.
    pub(in crate::store) fn targets_of(&self, reading: Reading, address: &str) -> Result<Vec<String>, StoreError> {
        if let Some(foreign) = &self.foreign {
            return foreign.targets_of(self, reading, address);
        }
        let (mut rows, mut found) = (Vec::new(), Targets::default());
        self.read_by(reading, |connection| {
            self.ensure_schema(connection)?;
            rows.clear();
            // One more than allowed.
            let asking = [Param::Text(address.as_bytes()), Param::Int(MOST_TARGETS as i64 + 1)];
            connection.query(&self.statements.find_alias, &asking, &mut |row| rows.push(AliasPlace::of(row)))
        })?;
        rows.into_iter().for_each(|row| found.add(row, address));
        found.usable(address)
    }

    /// Returns the targets of two aliases at once.
    pub(in crate::store) fn targets_of_both(
        &self,
        reading: Reading,
        addresses: [&str; 2],
    ) -> Result<[Result<Vec<String>, StoreError>; 2], StoreError> {
        if let Some(foreign) = &self.foreign {
            return foreign.targets_of_both(self, reading, addresses);
        }
        let [first, second] = addresses.map(|address| Param::Text(address.as_bytes()));
        let most = 2 * (MOST_TARGETS + 1);
        let mut rows = Vec::new();
        self.read_by(reading, |connection| {
            self.ensure_schema(connection)?;
            rows.clear();
            let asking = [first, second, Param::Int(most as i64)];
            connection.query(&self.statements.find_aliases, &asking, &mut |row| rows.push(AliasPlace::of(row)))
        })?;
        if rows.len() >= most {
            // One of them may have filled the whole answer.
            return Ok(addresses.map(|address| self.targets_of(reading, address)));
        }
        let mut found = addresses.map(|address| (address, Targets::default()));
        for row in rows {
            if let Some((address, targets)) = found.iter_mut().find(|(address, _)| row.address == address.as_bytes()) {
                targets.add(row, address);
            }
        }
        Ok(found.map(|(address, targets)| targets.usable(address)))
    }
}

/// The targets of an address, with their positions.
#[derive(Default)]
struct Targets(Vec<(i64, Vec<u8>)>);

impl Targets {
    /// Adds a row if it is of exactly this address: a collation may consider others equal.
    fn add(&mut self, row: AliasPlace, address: &str) {
        if row.address == address.as_bytes() {
            self.0.push((row.position, row.target));
        }
    }

    /// Returns the targets in order, if all of them can be used.
    fn usable(mut self, address: &str) -> Result<Vec<String>, StoreError> {
        let unusable = |problem| unusable(address, problem);
        if self.0.len() > MOST_TARGETS {
            return Err(unusable(format!("it has more than {MOST_TARGETS} targets; use a mailing list")));
        }
        self.0.sort();
        let read = |(_, target): (i64, Vec<u8>)| match String::from_utf8(target) {
            Ok(target) if target.len() > MOST_TARGET => {
                Err(unusable(format!("a target has more than {MOST_TARGET} bytes; correct it with SQL")))
            }
            Ok(target) => match alias::check_target(&target) {
                // Even mail servers that accept only ASCII addresses can use this spelling.
                Ok(()) => Ok(spelling::respelt_target(&target).into_owned()),
                Err(why) => Err(unusable(not_an_address(address, &target, &why))),
            },
            Err(_) => Err(unusable("a target is not UTF-8; correct it with SQL".to_owned())),
        };
        self.0.into_iter().map(read).collect()
    }
}

pub(in crate::store) fn unusable(address: &str, problem: String) -> StoreError {
    StoreError::UnusableAlias { address: address.to_owned(), problem }
}

/// Returns what is wrong with a target, and what to do.
pub(in crate::store) fn not_an_address(address: &str, target: &str, why: &AddressError) -> String {
    format!(
        "its target {target:?} is not an address as name@example.org: {why}; 'mailauth alias remove {address} {target:?}' \
         removes it"
    )
}
