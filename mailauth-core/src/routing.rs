//! Where mail for an address goes, and whether it may come: the questions of a mail server.
//!
//! An address is, in this order: an alias; an account; what a domain's catch-all (`@example.org`) takes; nobody. An
//! account that is disabled stays in its place: its mail goes to no catch-all.
//!
//! While a copy answers for the database, mail that it has a place for goes there, and a refusal is "not now".

use crate::account::{Account, AccountRow, Login};
use crate::authenticate::{Answer, No, NotNow, Policy};
use crate::counters::Counters;
use crate::decision_log::{Decision, DecisionLog, Provenance};
use crate::mailbox::MailboxDefaults;
use crate::quota::Rules;
use crate::quota::room::{self, Room};
use crate::store::MailStore;
use crate::{DomainName, Service};
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most addresses that an alias may lead to before one is found that takes the message.
const MOST_ADDRESSES: usize = 100;

/// Longer than a look-up takes: the store has deadlines of its own.
const LOOK_UP: Duration = Duration::from_secs(30);

/// How long a question waits for the lock of a mailbox, at most. A client of the mail server waits as long; it comes
/// again.
const LOCKED: Duration = Duration::from_secs(5);

/// Answers a mail server's questions over a store.
pub struct Router {
    store: Arc<dyn MailStore>,
    default_domain: Option<String>,
    mailbox: MailboxDefaults,
    rules: Rules,
    counters: Arc<Counters>,
    log: DecisionLog,
}

/// A question under way.
struct Asked<'a> {
    address: &'a [u8],
    begin: Instant,
    /// What the store's doubts were before.
    doubts: u64,
}

/// Why a question has no answer yet.
enum Undecided {
    NotNow(NotNow),
    /// A mailbox must not be looked at yet.
    Busy,
}

impl From<NotNow> for Undecided {
    fn from(why: NotNow) -> Self {
        Undecided::NotNow(why)
    }
}

/// What an address is.
enum Place {
    /// An alias for these.
    Alias(Vec<String>),
    /// An account that receives mail.
    Mailbox(Box<Account>),
    /// Nobody receives mail under it, and its domain is ours.
    Nobody(No),
    /// Its domain is not ours.
    Elsewhere,
}

impl Router {
    /// Answers over `store`, counting mail by `rules`.
    pub fn new(store: Arc<dyn MailStore>, policy: &Policy, rules: Rules) -> Self {
        let (default_domain, mailbox) = (policy.default_domain.clone(), policy.mailbox.clone());
        Router { store, default_domain, mailbox, rules, counters: Arc::default(), log: DecisionLog::default() }
    }

    /// Counts in `counters` what the answers are.
    #[must_use]
    pub fn counting(mut self, counters: Arc<Counters>) -> Self {
        self.counters = counters;
        self
    }

    /// Is mail for this domain kept here? So it is while the domain is disabled: nobody else should be sent it.
    pub fn domain(&self, name: &[u8]) -> Answer<()> {
        let asked = self.asked(name);
        let known = self.domain_enabled(name);
        let answer = answer(self.surely(&asked, known.map(|known| known.map(drop).ok_or(No::UnknownDomain))));
        self.record_outage(&asked, answer)
    }

    /// The account that receives the mail of `address`, with the quota that its mailbox is kept under: its own, else its
    /// domain's.
    pub fn account(&self, address: &[u8]) -> Answer<Box<Account>> {
        let asked = self.asked(address);
        let found = self.login(address).map_or_else(|no| Ok(Err(no)), |login| self.find_with_quota(&login));
        let answer = answer(self.surely(&asked, found));
        self.record_outage(&asked, answer)
    }

    /// Where mail for `address` goes instead, if it is an alias or a catch-all takes it: at least one address, in order,
    /// as they are written in the table.
    pub fn alias(&self, address: &[u8]) -> Answer<Vec<String>> {
        let asked = self.asked(address);
        let targets = self.login(address).map_or_else(
            |no| Ok(Err(no)),
            |login| match self.place(&login, true)? {
                Place::Alias(targets) => Ok(Ok(targets)),
                // Its mail goes on to the account, and does not bounce by this.
                Place::Mailbox(_) => Ok(Err(No::UnknownAlias)),
                Place::Nobody(_) | Place::Elsewhere => self.surely(&asked, Ok(Err(No::UnknownAlias))),
            },
        );
        self.record_outage(&asked, answer(targets))
    }

    /// Does somebody take a message of `size` bytes for `address`? An alias does when one of those it leads to does, and
    /// who is elsewhere does. The deadline is looked at between the steps.
    pub fn recipient(&self, address: &[u8], size: u64, deadline: Instant) -> Answer<()> {
        self.recipient_in_turn(address, size, deadline, &mut |_| true).unwrap_or(Answer::NotNow(NotNow::Late))
    }

    /// The same, but asks `may_look` with a mailbox's path before looking at it, and returns `None` when the answer to
    /// that is false: the question has to be asked again later.
    pub fn recipient_in_turn(
        &self,
        address: &[u8],
        size: u64,
        deadline: Instant,
        may_look: &mut dyn FnMut(&Path) -> bool,
    ) -> Option<Answer<()>> {
        let asked = self.asked(address);
        let taken = match self.login(address).map(|login| self.take(login, size, deadline, may_look)) {
            Err(no) => Ok(Err(no)),
            Ok(Ok(taken)) => Ok(taken),
            Ok(Err(Undecided::NotNow(why))) => Err(why),
            Ok(Err(Undecided::Busy)) => return None,
        };
        let answer = answer(self.surely(&asked, taken));
        self.counters.addresses.count(&answer);
        self.record(&asked, &answer);
        Some(answer)
    }

    fn take(
        &self,
        first: Login,
        size: u64,
        deadline: Instant,
        may_look: &mut dyn FnMut(&Path) -> bool,
    ) -> Result<Result<(), No>, Undecided> {
        let (mut refusal, mut unknown) = (None, None);
        // Each with the aliases that led to it.
        let mut waiting = vec![(first, Rc::new(BTreeSet::new()))];
        let mut asked = 0;
        while let Some((address, by)) = waiting.pop() {
            if Instant::now() >= deadline || asked >= MOST_ADDRESSES {
                return Err(NotNow::Late.into());
            }
            asked += 1;
            // As mail servers have it: an address that led to itself is not an alias any more, but may be an account.
            match self.place(&address, !by.contains(&address))? {
                Place::Alias(targets) => {
                    let mut by = BTreeSet::clone(&by);
                    by.insert(address);
                    let by = Rc::new(by);
                    let targets = targets.iter().rev().filter_map(|target| Login::parse(target.as_bytes(), None).ok());
                    waiting.extend(targets.map(|target| (target, Rc::clone(&by))));
                }
                Place::Mailbox(account) if !may_look(&room::maildir(&account)) => return Err(Undecided::Busy),
                Place::Mailbox(account) => match self.room(&account, size, deadline) {
                    Room::Fits => return Ok(Ok(())),
                    Room::Over(over) => refusal = Some(No::OverQuota(over.to_string())),
                    Room::OverPool(over) => refusal = Some(No::OverQuota(over.to_string())),
                    Room::CannotTell(error) => unknown = Some(NotNow::Quota(error.to_string())),
                },
                Place::Elsewhere if by.is_empty() => return Ok(Err(No::UnknownDomain)),
                Place::Elsewhere => return Ok(Ok(())),
                Place::Nobody(no) => drop(refusal.get_or_insert(no)),
            }
        }
        match unknown {
            Some(why) => Err(why.into()),
            None => Ok(Err(refusal.unwrap_or(No::UnknownLogin))),
        }
    }

    fn room(&self, account: &Account, size: u64, deadline: Instant) -> Room {
        room::of(account, self.rules, &*self.store, size, deadline.min(Instant::now() + LOCKED))
    }

    /// What `address` is; with `alias`, it may be one.
    fn place(&self, address: &Login, alias: bool) -> Result<Place, NotNow> {
        if alias {
            let targets = self.store.alias_targets(address.as_str())?;
            if !targets.is_empty() {
                return self.alias_of_domain(address, targets);
            }
        }
        match self.find(address)? {
            Ok(account) => return Ok(Place::Mailbox(account)),
            Err(No::UnknownLogin) => {}
            Err(no) => return Ok(Place::Nobody(no)),
        }
        if alias {
            let targets = self.store.alias_targets(&format!("@{}", address.domain()))?;
            if !targets.is_empty() {
                return self.alias_of_domain(address, targets);
            }
        }
        match self.domain_enabled(address.domain().as_bytes())? {
            Some(_) => Ok(Place::Nobody(No::UnknownLogin)),
            None => Ok(Place::Elsewhere),
        }
    }

    fn alias_of_domain(&self, address: &Login, targets: Vec<String>) -> Result<Place, NotNow> {
        match self.domain_enabled(address.domain().as_bytes())? {
            Some(true) => Ok(Place::Alias(targets)),
            Some(false) => Ok(Place::Nobody(No::DomainDisabled)),
            None => Ok(Place::Elsewhere),
        }
    }

    fn find(&self, login: &Login) -> Result<Result<Box<Account>, No>, NotNow> {
        let deadline = Instant::now() + LOOK_UP;
        let seen = self.store.look_up(login, deadline)?;
        let found = match (self.judge(seen.row.clone()), &seen.row) {
            (Ok(Ok(account)), _) => Ok(Ok(account)),
            // As with logins: that there is nobody is believed as long as it is kept, another refusal is not.
            (refused, None) => refused,
            (refused, Some(_)) => match self.store.look_again(login, &seen, deadline)? {
                Some(newer) => self.judge(newer.row),
                None => refused,
            },
        };
        Ok(found?.map(Box::new))
    }

    /// The same, with the quota that its mailbox is kept under.
    fn find_with_quota(&self, login: &Login) -> Result<Result<Box<Account>, No>, NotNow> {
        let mut found = self.find(login)?;
        if let Ok(account) = &mut found {
            account.quota = room::limits(account, &*self.store)?;
        }
        Ok(found)
    }

    /// The account in this row, unless mail for it is refused.
    fn judge(&self, row: Option<AccountRow>) -> Result<Result<Account, No>, NotNow> {
        match row {
            None => Ok(Err(No::UnknownLogin)),
            Some(row) if !row.domain_enabled => Ok(Err(No::DomainDisabled)),
            Some(row) if !row.enabled => Ok(Err(No::AccountDisabled)),
            Some(row) => self.mailbox.resolve(row).map(Ok).map_err(|unusable| NotNow::Store(unusable.into())),
        }
    }

    fn domain_enabled(&self, name: &[u8]) -> Result<Option<bool>, NotNow> {
        let name = std::str::from_utf8(name).ok().and_then(|name| DomainName::parse(name).ok());
        Ok(name.map(|name| self.store.domain_enabled(&name)).transpose()?.flatten())
    }

    fn login(&self, address: &[u8]) -> Result<Login, No> {
        Login::parse(address, self.default_domain.as_deref()).map_err(No::UnusableLogin)
    }

    fn asked<'a>(&self, address: &'a [u8]) -> Asked<'a> {
        Asked { address, begin: Instant::now(), doubts: self.store.doubts() }
    }

    /// Mail must not bounce on the word of a copy, in which somebody who is new may not stand yet.
    fn surely<T>(&self, asked: &Asked<'_>, found: Result<Result<T, No>, NotNow>) -> Result<Result<T, No>, NotNow> {
        if matches!(&found, Ok(Err(no)) if !matches!(no, No::UnusableLogin(_))) {
            self.store.certain_since(asked.doubts)?;
        }
        found
    }

    fn record<T>(&self, asked: &Asked<'_>, answer: &Answer<T>) {
        self.log.record(&Decision {
            service: &Service::Delivery,
            login: asked.address,
            client: None,
            took: asked.begin.elapsed(),
            // Aliases and domains are always read there.
            from: match answer {
                Answer::No(No::UnusableLogin(_)) => Provenance::Nowhere,
                _ if self.store.doubts() != asked.doubts => Provenance::Snapshot,
                _ => Provenance::Database,
            },
            outcome: answer.outcome(),
        });
    }

    /// Of the questions that are only steps on a message's way, the log tells what an administrator has to mend.
    fn record_outage<T>(&self, asked: &Asked<'_>, answer: Answer<T>) -> Answer<T> {
        self.counters.addresses.count(&answer);
        if matches!(answer, Answer::NotNow(_)) {
            self.record(asked, &answer);
        }
        answer
    }
}

fn answer<T>(known: Result<Result<T, No>, NotNow>) -> Answer<T> {
    match known {
        Ok(Ok(value)) => Answer::Yes(value),
        Ok(Err(no)) => Answer::No(no),
        Err(why) => Answer::NotNow(why),
    }
}

#[cfg(test)]
mod tests;
