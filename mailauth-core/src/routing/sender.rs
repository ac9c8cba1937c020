//! Whether a login may send mail as an address.
//!
//! A login may send as its own address, with or without a detail, in each alias domain of its domain; as an alias that
//! leads to it, also through other aliases, or by a catch-all; and as every address of its domain if the options of its
//! row contain `send-as=domain`. An address that has an account belongs to that account only, whatever aliases it has:
//! those send a copy of its mail elsewhere. Mail without a sender, such as read receipts, may be sent by each login.

use super::Router;
use super::place::Place;
use super::reads::Reads;
use super::recipient::MOST_ADDRESSES;
use crate::account::{AccountRow, Login};
use crate::answer::{Answer, No, NotNow};
use crate::store::{DomainKind, StoreError};
use std::collections::{BTreeSet, VecDeque};

/// Option of an account that may send as every address of its domain.
const WHOLE_DOMAIN: (&str, &str) = ("send-as", "domain");

impl Router {
    /// Returns whether `login`, which has been authenticated, may send as `address`. An empty address is mail without a
    /// sender.
    pub fn sender(&self, login: &[u8], address: &[u8]) -> Answer<()> {
        let question = self.question(login);
        let named = !address.is_empty();
        let parsed = self.login(login).and_then(|login| Ok((login, named.then(|| self.login(address)).transpose()?)));
        let may = parsed.and_then(|(login, address)| {
            self.surely(&question, |reads| self.may_send(reads, &login, address.as_ref()))
        });
        self.record_outage(&question, may)
    }

    /// Returns the logins that may send as `address`, in order, for mail servers that look the logins of an address up:
    /// each login for which [`Router::sender`] says yes, except those that may because of their option
    /// `send-as=domain`. Of an alias that leads to more than a hundred addresses, the others are named too, whether they
    /// are logins or not. No if there is none. A login that is missing in the list is refused, so the list is read from a
    /// host that has every change.
    pub fn sender_logins(&self, address: &[u8]) -> Answer<Vec<String>> {
        let question = self.question(address);
        let logins = self.login(address).and_then(|address| {
            let logins = self.certainly(&question, |reads| Ok(self.logins_behind(reads, &address)?))?;
            if logins.is_empty() { Err(No::UnknownLogin.into()) } else { Ok(logins) }
        });
        self.record_outage(&question, logins)
    }

    fn may_send(&self, reads: &Reads<'_>, login: &Login, address: Option<&Login>) -> Answer<()> {
        let row = reads.row(login)?.ok_or(No::UnknownLogin)?;
        if !row.domain_enabled {
            return Err(No::DomainDisabled.into());
        }
        if !row.enabled {
            return Err(No::AccountDisabled.into());
        }
        let may = match address {
            None => true,
            Some(address) if address == login => true,
            Some(address) => {
                has_whole_domain(&row) && is_in(reads, address, login.domain())?
                    || self.leads_to(reads, address, login)?
            }
        };
        if may { Ok(()) } else { Err(No::NotOwnAddress.into()) }
    }

    /// Returns whether mail for `first` reaches the account `login` through aliases that have no account of their own.
    /// Aliases that lead to more than a hundred addresses are not followed further.
    fn leads_to(&self, reads: &Reads<'_>, first: &Login, login: &Login) -> Result<bool, NotNow> {
        let mut waiting = VecDeque::from([first.clone()]);
        let (mut followed, mut unknown) = (BTreeSet::new(), None);
        for _ in 0..MOST_ADDRESSES {
            let Some(address) = waiting.pop_front() else { break };
            if let Some(owner) = self.owner(reads, &address)? {
                if owner == *login {
                    return Ok(true);
                }
                continue;
            }
            match self.place_here(reads, &address, followed.insert(address.clone())) {
                Ok(Place::Alias(targets)) => {
                    let targets: Vec<_> =
                        targets.iter().filter_map(|target| Login::parse(target.as_bytes(), None).ok()).collect();
                    if targets.contains(login) {
                        return Ok(true);
                    }
                    waiting.extend(targets);
                }
                Ok(Place::Of(domain)) => waiting.extend(address.in_domain(&domain)),
                Ok(Place::Mailbox(_) | Place::Refused(_) | Place::SentOn | Place::Elsewhere) => {}
                // Another alias may lead there.
                Err(why @ NotNow::Store(StoreError::UnusableAlias { .. })) => unknown = Some(why),
                Err(why) => return Err(why),
            }
        }
        unknown.map_or(Ok(false), Err)
    }

    /// Returns the logins of the accounts that [`Router::leads_to`] finds for `first`.
    fn logins_behind(&self, reads: &Reads<'_>, first: &Login) -> Result<Vec<String>, NotNow> {
        let mut waiting = VecDeque::from([first.clone()]);
        let (mut followed, mut logins) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..MOST_ADDRESSES {
            let Some(address) = waiting.pop_front() else { break };
            if let Some(owner) = self.owner(reads, &address)? {
                if reads.row(&owner)?.is_some_and(|row| row.enabled && row.domain_enabled) {
                    logins.insert(owner.to_string());
                }
                continue;
            }
            match self.place_here(reads, &address, followed.insert(address.clone()))? {
                Place::Alias(targets) => {
                    waiting.extend(targets.iter().filter_map(|target| Login::parse(target.as_bytes(), None).ok()));
                }
                Place::Of(domain) => waiting.extend(address.in_domain(&domain)),
                Place::Mailbox(_) | Place::Refused(_) | Place::SentOn | Place::Elsewhere => {}
            }
        }
        logins.extend(waiting.iter().map(Login::to_string));
        Ok(logins.into_iter().collect())
    }

    /// Returns the account with this address, with or without a detail.
    fn owner(&self, reads: &Reads<'_>, address: &Login) -> Result<Option<Login>, NotNow> {
        if reads.row(address)?.is_some() {
            return Ok(Some(address.clone()));
        }
        let Some(split) = self.delimiters.split(address) else { return Ok(None) };
        if !reads.store.alias_targets(address.as_str())?.is_empty() {
            return Ok(None);
        }
        // An account or alias of the whole address may have been added elsewhere.
        reads.by_absence.set(true);
        Ok(reads.row(&split.base)?.map(|_| split.base))
    }
}

fn has_whole_domain(row: &AccountRow) -> bool {
    let options = row.options.as_deref().unwrap_or_default();
    options.split(',').filter_map(|option| option.split_once('=')).any(|option| option == WHOLE_DOMAIN)
}

/// Returns whether the address is in this domain, or in another name of it.
fn is_in(reads: &Reads<'_>, address: &Login, domain: &str) -> Result<bool, NotNow> {
    if address.domain() == domain {
        return Ok(true);
    }
    let standing = reads.standing(address.domain().as_bytes())?;
    Ok(standing.is_some_and(|known| matches!(known.kind, DomainKind::AliasOf(other) if other.as_str() == domain)))
}
