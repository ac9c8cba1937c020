//! What an address is: an alias, a mailbox, or neither.

use super::reads::Reads;
use super::{Destination, Router};
use crate::DomainName;
use crate::account::Login;
use crate::alias::check_target;
use crate::answer::{No, NotNow, Refusal};
use crate::detail::{self, Split};
use crate::policy::AddressRules;
use crate::store::{DomainKind, DomainStanding};
use std::collections::BTreeMap;

/// What an address is.
pub(super) enum Place {
    /// An alias for these addresses.
    Alias(Vec<String>),
    /// An account that receives mail.
    Mailbox(Destination),
    /// An unknown address, or one that receives no mail, in a domain that is kept here.
    Refused(No),
    /// The same address of this domain.
    Of(DomainName),
    /// An address of a backup domain, whose mail is accepted and sent on.
    SentOn,
    /// An address of a domain that is not handled here.
    Elsewhere,
}

impl Router {
    /// Returns what `address` is. It may be an alias only if `alias` is true.
    pub(super) fn place(&self, reads: &Reads<'_>, address: &Login, alias: bool) -> Result<Place, NotNow> {
        match self.place_here(reads, address, alias)? {
            Place::Of(domain) => match address.in_domain(&domain) {
                Some(other) if alias && other != *address && self.is_step_to(&other) => {
                    // An alias or account of this address may have been added elsewhere.
                    reads.by_absence.set(true);
                    Ok(Place::Alias(vec![other.to_string()]))
                }
                // A domain that an alias domain leads to does not lead further.
                Some(other) => self.place_here(reads, &other, alias),
                None => Ok(Place::Refused(No::UnknownLogin)),
            },
            place => Ok(place),
        }
    }

    /// Returns what `address` is within its own domain.
    pub(super) fn place_here(&self, reads: &Reads<'_>, address: &Login, alias: bool) -> Result<Place, NotNow> {
        let split = self.delimiters.split(address);
        let (targets, of_base) = match (alias, &split) {
            (false, _) => (Vec::new(), Ok(Vec::new())),
            (true, None) => (reads.store.alias_targets(address.as_str())?, Ok(Vec::new())),
            (true, Some(split)) => {
                let [own, of_base] = reads.store.alias_targets_of([address.as_str(), split.base.as_str()])?;
                (own?, of_base)
            }
        };
        let targets = self.complete(targets, address);
        if !targets.is_empty() {
            return self.alias_of_domain(reads, address, targets);
        }
        if let Some(place) = self.mailbox_of(reads, address, "")? {
            return Ok(place);
        }
        if let Some(split) = &split {
            // An alias or account of the whole address may have been added elsewhere.
            reads.by_absence.set(true);
            let targets = self.complete(of_base?, &split.base);
            if !targets.is_empty() {
                let targets = self.with_detail(reads, targets, address, split)?;
                return self.alias_of_domain(reads, address, targets);
            }
            if let Some(place) = self.mailbox_of(reads, &split.base, detail::as_folder(split.detail))? {
                return Ok(place);
            }
        }
        let standing = reads.standing(address.domain().as_bytes())?;
        match standing {
            None => Ok(Place::Elsewhere),
            Some(DomainStanding { kind: DomainKind::Own, enabled }) => self.caught(reads, address, alias, enabled),
            Some(DomainStanding { enabled: false, .. }) => Ok(Place::Refused(No::DomainDisabled)),
            Some(DomainStanding { kind: DomainKind::Backup, .. }) => Ok(Place::SentOn),
            Some(DomainStanding { kind: DomainKind::AliasOf(other), .. }) => Ok(Place::Of(other)),
        }
    }

    /// Returns the mailbox of the account with this login, or why it receives no mail; `None` if there is no such
    /// account.
    fn mailbox_of(&self, reads: &Reads<'_>, login: &Login, detail: &str) -> Result<Option<Place>, NotNow> {
        match self.find(reads, login) {
            Ok(account) => Ok(Some(Place::Mailbox(Destination { account, detail: detail.to_owned() }))),
            Err(Refusal::No(No::UnknownLogin)) => Ok(None),
            Err(Refusal::No(no)) => Ok(Some(Place::Refused(no))),
            Err(Refusal::NotNow(why)) => Err(why),
        }
    }

    /// Adds the detail of an alias to those of its targets that are kept here and have none of their own.
    fn with_detail(
        &self,
        reads: &Reads<'_>,
        targets: Vec<String>,
        address: &Login,
        Split { delimiter, detail, .. }: &Split<'_>,
    ) -> Result<Vec<String>, NotNow> {
        // Most targets are in few domains.
        let mut ours = BTreeMap::from([(address.domain().to_owned(), true)]);
        let mut extended = Vec::with_capacity(targets.len());
        for target in targets {
            let parts =
                target.rsplit_once('@').filter(|(local, _)| !detail.is_empty() && !self.delimiters.are_in(local));
            let longer = parts.map(|(local, domain)| (domain, format!("{local}{delimiter}{detail}@{domain}")));
            let Some((domain, longer)) = longer.filter(|(_, text)| check_target(text).is_ok()) else {
                extended.push(target);
                continue;
            };
            let name = domain.to_lowercase();
            let is_ours = match ours.get(&name) {
                Some(known) => *known,
                None => {
                    let known = reads.standing(domain.as_bytes())?;
                    known.is_some_and(|domain| domain.kind != DomainKind::Backup)
                }
            };
            ours.insert(name, is_ours);
            extended.push(if is_ours { longer } else { target });
        }
        Ok(extended)
    }
    /// Returns the targets of an alias, if its domain is handled here and enabled.
    fn alias_of_domain(&self, reads: &Reads<'_>, address: &Login, targets: Vec<String>) -> Result<Place, NotNow> {
        Ok(match reads.standing(address.domain().as_bytes())? {
            Some(DomainStanding { enabled: false, .. }) => Place::Refused(No::DomainDisabled),
            Some(DomainStanding { kind: DomainKind::Own, .. }) => Place::Alias(targets),
            Some(DomainStanding { kind: DomainKind::AliasOf(other), .. }) => match self.addresses {
                AddressRules::Foreign => Place::Alias(targets),
                AddressRules::Own => Place::Of(other),
            },
            // Rows of aliases in such a domain are ignored.
            Some(DomainStanding { kind: DomainKind::Backup, .. }) => Place::SentOn,
            None => Place::Elsewhere,
        })
    }

    /// Returns what an address is that is neither an alias nor an account, in a domain that is kept here: its catch-all
    /// takes it, or it is unknown.
    fn caught(&self, reads: &Reads<'_>, address: &Login, alias: bool, enabled: bool) -> Result<Place, NotNow> {
        let targets = if alias { reads.store.alias_targets(&format!("@{}", address.domain()))? } else { Vec::new() };
        let targets = self.complete(targets, address);
        if targets.is_empty() {
            return Ok(Place::Refused(No::UnknownLogin));
        }
        reads.by_absence.set(true);
        Ok(if enabled { Place::Alias(targets) } else { Place::Refused(No::DomainDisabled) })
    }

    /// Returns the targets of `address` as addresses, each that is only a domain with the local part of `address`. No
    /// target can be made from a local part that mail cannot be sent on to, which a client may write. Returns none if
    /// the alias leads only to itself.
    fn complete(&self, targets: Vec<String>, address: &Login) -> Vec<String> {
        if self.addresses == AddressRules::Own {
            return targets;
        }
        let whole = |target: String| match target.strip_prefix('@') {
            None => Some(target),
            Some(domain) => {
                Some(format!("{}@{domain}", address.local_part())).filter(|text| check_target(text).is_ok())
            }
        };
        let targets: Vec<String> = targets.into_iter().filter_map(whole).collect();
        let is_itself = |target: &String| Login::parse(target.as_bytes(), None).as_ref() == Ok(address);
        if targets.iter().all(is_itself) { Vec::new() } else { targets }
    }

    /// Returns true if an address of an alias domain is an alias of `other`, which mail can be sent on to.
    fn is_step_to(&self, other: &Login) -> bool {
        self.addresses == AddressRules::Foreign && check_target(other.as_str()).is_ok()
    }
}
