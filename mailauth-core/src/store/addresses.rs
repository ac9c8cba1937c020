//! What is asked about domains and aliases on the way of a message.

use super::driver::Param;
use super::newest::{Newest, Reading};
use super::sql::{SqlStore, bytes, is_text, number};
use super::{AccountStore, MailStore, StoreError};
use crate::alias::{self, AddressError};
use crate::{DomainName, spelling};

/// The most targets of one address. Mailing lists have programs of their own.
pub(super) const MOST_TARGETS: usize = 1000;

impl MailStore for SqlStore {
    fn newest(&self) -> Option<Box<dyn MailStore + '_>> {
        self.may_lag().then(|| Box::new(Newest(self)) as _)
    }

    fn domain_enabled(&self, name: &DomainName) -> Result<Option<bool>, StoreError> {
        self.enabled_domain(self.reading(|recent| recent.has_domain(name.as_str())), name)
    }

    fn alias_targets(&self, address: &str) -> Result<Vec<String>, StoreError> {
        self.targets_of(self.reading(|recent| recent.has_alias(address)), address)
    }
}

impl SqlStore {
    /// Returns whether a domain is enabled; `None` if there is none.
    pub(super) fn enabled_domain(&self, reading: Reading, name: &DomainName) -> Result<Option<bool>, StoreError> {
        let asked = name.as_str().as_bytes();
        let found = self.read_by(reading, |connection| {
            self.fits(connection)?;
            let mut found = None;
            connection.query(&self.statements.find_domain, &[Param::Text(asked)], &mut |row| {
                if is_text(row, 0, asked) {
                    found = Some(number(row, 1));
                }
            })?;
            Ok(found)
        })?;
        match found {
            None => Ok(None),
            Some(Some(flag @ (0 | 1))) => Ok(Some(flag == 1)),
            Some(_) => {
                let domain = name.to_string();
                Err(StoreError::UnusableDomain { domain, column: "enabled", problem: "is neither 0 nor 1" })
            }
        }
    }

    /// Returns the targets of an alias, in order.
    pub(super) fn targets_of(&self, reading: Reading, address: &str) -> Result<Vec<String>, StoreError> {
        let asked = address.as_bytes();
        let targets = self.read_by(reading, |connection| {
            self.fits(connection)?;
            let mut targets = Vec::new();
            // One more than there may be.
            let asking = [Param::Text(asked), Param::Int(MOST_TARGETS as i64 + 1)];
            connection.query(&self.statements.find_alias, &asking, &mut |row| {
                // A collation may call others equal.
                if is_text(row, 0, asked) {
                    targets.push((number(row, 2), bytes(row, 1)));
                }
            })?;
            targets.sort();
            Ok(targets)
        })?;
        let unusable = |problem| unusable(address, problem);
        if targets.len() > MOST_TARGETS {
            return Err(unusable(format!("it has more than {MOST_TARGETS} targets; use a mailing list")));
        }
        let read = |(_, target): (_, Vec<u8>)| match String::from_utf8(target) {
            Ok(target) => match alias::check_target(&target) {
                // Mail servers that send no letters beyond ASCII can go on with this.
                Ok(()) => Ok(spelling::respelt_target(&target).into_owned()),
                Err(why) => Err(unusable(not_an_address(address, &target, &why))),
            },
            Err(_) => Err(unusable("a target is not UTF-8; correct it by SQL".to_owned())),
        };
        targets.into_iter().map(read).collect()
    }
}

pub(super) fn unusable(address: &str, problem: String) -> StoreError {
    StoreError::UnusableAlias { address: address.to_owned(), problem }
}

/// What is wrong with a target, and what to do.
pub(super) fn not_an_address(address: &str, target: &str, why: &AddressError) -> String {
    format!(
        "its target {target:?} is not an address as name@example.org: {why}; 'mailauth alias remove {address} {target:?}' \
         removes it"
    )
}
