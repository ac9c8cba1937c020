//! Answers a mail server's questions: where mail for an address goes, and whether it is accepted.
//!
//! An address is the first that applies of: an alias; an account; the alias and then the account of the same name
//! without its detail ([`crate::detail`]); the same address of the domain that its domain is another name of; an
//! address that the domain's catch-all (`@example.org`) takes; unknown. An account that is disabled or receives no mail
//! is still found: its mail does not go to a catch-all. Mail that reaches an alias with a detail is sent with this
//! detail to those of its targets that are kept here too and have none of their own.
//!
//! No is said only by a host that has every change and was asked just then, because a replica, a cached row and a
//! snapshot may lack the address. If no such host can be asked, the answer is "not now". Yes is said by any of them.
//! `docs/internals/ages.md` has the table.

mod sender;

use crate::account::{Account, AccountRow, Login};
use crate::alias::check_target;
use crate::authenticate::{Answer, No, NotNow, Policy};
use crate::counters::Counters;
use crate::decision_log::{Decision, DecisionLog, Kind, Provenance};
use crate::detail::{self, Delimiters, Split};
use crate::mailbox::MailboxDefaults;
use crate::quota::mailboxes::{Here, Mailbox, Mailboxes};
use crate::quota::others::Others;
use crate::quota::{CountRules, Denied, IfLocked, Limits, Patience, PoolError, QuotaError, room};
use crate::store::{DomainKind, DomainStanding, MailStore, StoreError};
use crate::{DomainName, Service};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Maximum number of addresses that an alias may lead to before one is found that accepts the message.
const MOST_ADDRESSES: usize = 100;

/// Time limit of a question without one. It is longer than a look-up takes: the store has deadlines of its own.
const LOOK_UP: Duration = Duration::from_secs(30);

/// Time for which a lock is held to add a line, generously. A question that can be asked again later waits no longer.
const HELD: Duration = Duration::from_millis(20);

/// Maximum time for which the answer with the place of a mailbox waits for a count of it. The answer is valid without
/// the count too.
const RENEWED: Duration = Duration::from_millis(200);

/// Answers a mail server's questions over a store.
pub struct Router {
    store: Arc<dyn MailStore>,
    default_domain: Option<String>,
    mailbox: MailboxDefaults,
    rules: CountRules,
    /// Whether mail is accepted for a mailbox that this user may not look into.
    takes_unseen: bool,
    delimiters: Delimiters,
    mailboxes: Arc<dyn Mailboxes>,
    counters: Arc<Counters>,
    log: DecisionLog,
}

/// A question in progress.
struct Asked<'a> {
    address: &'a [u8],
    begin: Instant,
    /// Value of the store's doubts before the question.
    doubts: u64,
}

/// Why a question has no answer yet.
enum Undecided {
    NotNow(NotNow),
    Later(Later),
}

/// Why a question has to be asked again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Later {
    /// A mailbox must not be looked at yet.
    Busy,
    /// Another program has locked a mailbox.
    Locked,
    /// A mailbox takes longer to count than this time.
    Slow,
}

/// How mailboxes are looked at for a question that can be asked again later.
pub struct Looking<'a> {
    /// Called before the mailbox of an account is looked at; returns true if it may be.
    pub may_look: &'a mut dyn FnMut(&Account) -> bool,
    /// Until this time, a mailbox that another program has locked is [`Later::Locked`]. After it, the lock is not
    /// waited for.
    pub locked_until: Instant,
    /// A count that is not finished by this time is [`Later::Slow`].
    pub counted_until: Instant,
}

impl Looking<'_> {
    fn patience(&self, deadline: Instant) -> Patience {
        let now = Instant::now();
        let answer = deadline.min(self.counted_until);
        let if_locked = if now < self.locked_until { IfLocked::AskAgain } else { IfLocked::GoOn };
        Patience { lock: answer.min(now + HELD), answer, if_locked }
    }
}

impl From<NotNow> for Undecided {
    fn from(why: NotNow) -> Self {
        Undecided::NotNow(why)
    }
}

/// What the answer to a question is read from.
struct Reads<'a> {
    store: &'a dyn MailStore,
    /// Whether the store has every change, and no other is asked.
    newest: bool,
    /// Whether a cached row was read.
    kept: Cell<bool>,
    /// Whether a catch-all took the address because no account was found.
    by_absence: Cell<bool>,
}

impl<'a> Reads<'a> {
    fn new(store: &'a dyn MailStore, newest: bool) -> Self {
        Reads { store, newest, kept: Cell::new(false), by_absence: Cell::new(false) }
    }
}

/// What an address is.
enum Place {
    /// An alias for these addresses.
    Alias(Vec<String>),
    /// An account that receives mail.
    Mailbox(Destination),
    /// An unknown address, or one that receives no mail, in a domain that is kept here.
    Nobody(No),
    /// The same address of this domain.
    Of(DomainName),
    /// An address of a backup domain, whose mail is accepted and sent on.
    SentOn,
    /// An address of a domain that is not handled here.
    Elsewhere,
}

/// Where a message is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The account.
    pub account: Box<Account>,
    /// The detail of the address, if it may be part of the name of a folder; otherwise empty.
    pub detail: String,
}

/// What happens to the mail of a domain that is handled here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DomainMail {
    /// Mail is kept here.
    Kept,
    /// Mail is accepted and sent on: this host is a backup MX.
    SentOn,
}

impl Router {
    /// Creates a router over `store` that counts mail by `rules`.
    pub fn new(store: Arc<dyn MailStore>, policy: &Policy, rules: CountRules) -> Self {
        let (default_domain, mailbox) = (policy.default_domain.clone(), policy.mailbox.clone());
        let (delimiters, counters, log) = (policy.delimiters.clone(), Arc::default(), DecisionLog::default());
        let mailboxes = Arc::new(Here);
        Router { store, default_domain, mailbox, rules, takes_unseen: false, delimiters, mailboxes, counters, log }
    }

    /// Has mailboxes examined by `mailboxes`.
    #[must_use]
    pub fn looking_by(self, mailboxes: Arc<dyn Mailboxes>) -> Self {
        Router { mailboxes, ..self }
    }

    /// Accepts mail for mailboxes whose room cannot be known because this process may not look at them: the delivering
    /// program can, and enforces the quota. For a program that replaces the daemon with fewer privileges.
    #[must_use]
    pub fn taking_unseen(self) -> Self {
        Router { takes_unseen: true, ..self }
    }

    /// Counts the answers in `counters`.
    #[must_use]
    pub fn counting(mut self, counters: Arc<Counters>) -> Self {
        self.counters = counters;
        self
    }

    /// Returns what happens to mail for this domain; no for one that is not handled here. A disabled domain counts as
    /// kept here, so that no other host is sent its mail.
    pub fn domain(&self, name: &[u8]) -> Answer<DomainMail> {
        let asked = self.asked(name);
        let known = self.surely(&asked, |reads| -> Result<_, NotNow> {
            Ok(match standing(reads, name)? {
                Some(DomainStanding { enabled: true, kind: DomainKind::Backup }) => Ok(DomainMail::SentOn),
                Some(_) => Ok(DomainMail::Kept),
                None => Err(No::UnknownDomain),
            })
        });
        self.record_outage(&asked, answer(known))
    }

    /// Returns the account that receives the mail of `address`, with the quota of its mailbox: its own, otherwise its
    /// domain's.
    pub fn account(&self, address: &[u8]) -> Answer<Destination> {
        let asked = self.asked(address);
        let found = self
            .login(address)
            .map_or_else(|no| Ok(Err(no)), |login| self.surely(&asked, |reads| self.find_account(reads, &login)));
        self.record_outage(&asked, answer(found))
    }

    /// Corrects the figures next to the mail of an account, if a delivery would be refused because of them: Exim reads
    /// them itself. `to` is an answer of [`Router::account`]. If they cannot be corrected they stay as they are, and
    /// the delivery may have to wait. Examines each folder at most once, unless the mailbox has changed since it was
    /// counted.
    pub fn renew_figures(&self, to: &Destination) {
        let Destination { account, .. } = to;
        let login = account.login.as_str();
        if account.quota == Limits::NONE {
            return;
        }
        let now = Instant::now();
        let patience = Patience { lock: now + HELD, answer: now + RENEWED, if_locked: IfLocked::AskAgain };
        match self.mailboxes.renew(&Mailbox::of(account, account.quota, self.rules, patience)) {
            Ok(true) => tracing::debug!(login, "the mailbox was counted again before a delivery"),
            Ok(false) => {}
            Err(why) => tracing::debug!(login, "the mailbox is not counted before a delivery: {why}"),
        }
    }

    /// Returns the addresses that mail for `address` is sent to, if it is an alias or a catch-all takes it: at least
    /// one, in order, as they are written in the table.
    pub fn alias(&self, address: &[u8]) -> Answer<Vec<String>> {
        let asked = self.asked(address);
        let targets = self.login(address).map_or_else(
            |no| Ok(Err(no)),
            |login| {
                self.surely(&asked, |reads| -> Result<_, NotNow> {
                    Ok(match self.place(reads, &login, true)? {
                        Place::Alias(targets) => Ok(Some(targets)),
                        // The mail goes on to the account, and does not bounce because of this.
                        Place::Mailbox(_) => Ok(None),
                        Place::Nobody(_) | Place::Of(_) | Place::SentOn | Place::Elsewhere => Err(No::UnknownAlias),
                    })
                })
            },
        );
        let targets = targets.map(|found| found.and_then(|targets| targets.ok_or(No::UnknownAlias)));
        self.record_outage(&asked, answer(targets))
    }

    /// Returns whether a message of `size` bytes is accepted for `address`. An alias accepts it if one of the addresses
    /// that it leads to does, and an address elsewhere always does. The deadline is checked between the steps.
    pub fn recipient(&self, address: &[u8], size: u64, deadline: Instant) -> Answer<()> {
        let now = Instant::now();
        let mut looking = Looking { may_look: &mut |_| true, locked_until: now, counted_until: deadline };
        self.recipient_in_turn(address, size, deadline, &mut looking).unwrap_or(Answer::NotNow(NotNow::Late))
    }

    /// Does the same for a caller that can ask again.
    ///
    /// # Errors
    /// Fails with the reason if the question has to be asked again later.
    pub fn recipient_in_turn(
        &self,
        address: &[u8],
        size: u64,
        deadline: Instant,
        looking: &mut Looking<'_>,
    ) -> Result<Answer<()>, Later> {
        let asked = self.asked(address);
        let taken = match self.login(address) {
            Err(no) => Ok(Err(no)),
            Ok(login) => match self.surely(&asked, |reads| self.take(reads, login.clone(), size, deadline, looking)) {
                Ok(taken) => Ok(taken),
                Err(Undecided::NotNow(why)) => Err(why),
                Err(Undecided::Later(later)) => return Err(later),
            },
        };
        let answer = answer(taken);
        self.counters.addresses.count(&answer);
        self.record(&asked, &answer);
        Ok(answer)
    }

    fn take(
        &self,
        reads: &Reads<'_>,
        first: Login,
        size: u64,
        deadline: Instant,
        looking: &mut Looking<'_>,
    ) -> Result<Result<(), No>, Undecided> {
        let (mut refusal, mut unknown, mut later) = (None, None, None);
        // Each address with the aliases that led to it.
        let mut waiting = vec![(first, Rc::new(BTreeSet::new()))];
        let mut asked = 0;
        while let Some((address, by)) = waiting.pop() {
            if Instant::now() >= deadline || asked >= MOST_ADDRESSES {
                return Err(NotNow::Late.into());
            }
            asked += 1;
            // As in mail servers: an address that leads to itself is not an alias any more, but may be an account.
            let place = match self.place(reads, &address, !by.contains(&address)) {
                // Another target of the alias may accept the message.
                Err(why @ NotNow::Store(StoreError::Unusable(_) | StoreError::UnusableAlias { .. })) => {
                    unknown = Some(why);
                    continue;
                }
                place => place?,
            };
            match place {
                Place::Alias(targets) => {
                    let mut by = BTreeSet::clone(&by);
                    by.insert(address);
                    let by = Rc::new(by);
                    let targets = targets.iter().rev().filter_map(|target| Login::parse(target.as_bytes(), None).ok());
                    waiting.extend(targets.map(|target| (target, Rc::clone(&by))));
                }
                Place::Mailbox(to) if !(looking.may_look)(&to.account) => {
                    return Err(Undecided::Later(Later::Busy));
                }
                Place::Mailbox(Destination { account, .. }) => {
                    match self.room(reads, &account, size, looking.patience(deadline)) {
                        Ok(()) => return Ok(Ok(())),
                        Err(Denied::Unknown(error)) if self.takes_unseen && error.is_forbidden() => {
                            tracing::info!(
                                "{error}; the message is taken, and its delivery sees whether there is room"
                            );
                            return Ok(Ok(()));
                        }
                        Err(Denied::Unknown(error)) => {
                            later = match error {
                                PoolError::Mailbox(QuotaError::Locked(_)) => Some(Later::Locked),
                                PoolError::Mailbox(QuotaError::Late(_)) if Instant::now() < deadline => {
                                    Some(Later::Slow)
                                }
                                _ => later,
                            };
                            unknown = Some(NotNow::Quota(error.to_string()));
                        }
                        Err(over) => refusal = Some(No::OverQuota(over.to_string())),
                    }
                }
                Place::Elsewhere if by.is_empty() => return Ok(Err(No::UnknownDomain)),
                Place::Elsewhere | Place::SentOn => return Ok(Ok(())),
                Place::Nobody(no) => drop(refusal.get_or_insert(no)),
                Place::Of(_) => drop(refusal.get_or_insert(No::UnknownLogin)),
            }
        }
        match (later, unknown) {
            (Some(later), _) => Err(Undecided::Later(later)),
            (None, Some(why)) => Err(why.into()),
            (None, None) => Ok(Err(refusal.unwrap_or(No::UnknownLogin))),
        }
    }

    fn room(&self, reads: &Reads<'_>, account: &Account, size: u64, patience: Patience) -> Result<(), Denied> {
        let (defaults, rules, mailboxes) = (&self.mailbox, self.rules, &*self.mailboxes);
        let others = Others { accounts: reads.store, defaults, rules, mailboxes };
        room::of(account, others, reads.store, size, patience)
    }

    /// Returns what `address` is. It may be an alias only if `alias` is true.
    fn place(&self, reads: &Reads<'_>, address: &Login, alias: bool) -> Result<Place, NotNow> {
        match self.place_here(reads, address, alias)? {
            // A domain that an alias domain leads to does not lead further.
            Place::Of(domain) => match of_domain(address, &domain) {
                Some(other) => self.place_here(reads, &other, alias),
                None => Ok(Place::Nobody(No::UnknownLogin)),
            },
            place => Ok(place),
        }
    }

    /// Returns what `address` is within its own domain.
    fn place_here(&self, reads: &Reads<'_>, address: &Login, alias: bool) -> Result<Place, NotNow> {
        let split = self.delimiters.split(address);
        let (targets, of_base) = match (alias, &split) {
            (false, _) => (Vec::new(), Ok(Vec::new())),
            (true, None) => (reads.store.alias_targets(address.as_str())?, Ok(Vec::new())),
            (true, Some(split)) => {
                let [own, of_base] = reads.store.alias_targets_of([address.as_str(), split.base.as_str()])?;
                (own?, of_base)
            }
        };
        if !targets.is_empty() {
            return alias_of_domain(reads, address, targets);
        }
        match self.find(reads, address)? {
            Ok(account) => return Ok(Place::Mailbox(Destination { account, detail: String::new() })),
            Err(No::UnknownLogin) => {}
            Err(no) => return Ok(Place::Nobody(no)),
        }
        if let Some(split) = &split {
            // An alias or account of the whole address may have been added elsewhere.
            reads.by_absence.set(true);
            let targets = of_base?;
            if !targets.is_empty() {
                let targets = self.with_detail(reads, targets, address, split)?;
                return alias_of_domain(reads, address, targets);
            }
            match self.find(reads, &split.base)? {
                Ok(account) => return Ok(Place::Mailbox(with_folder(account, split))),
                Err(No::UnknownLogin) => {}
                Err(no) => return Ok(Place::Nobody(no)),
            }
        }
        let standing = standing(reads, address.domain().as_bytes())?;
        match standing {
            None => Ok(Place::Elsewhere),
            Some(DomainStanding { kind: DomainKind::Own, enabled }) => caught(reads, address, alias, enabled),
            Some(DomainStanding { enabled: false, .. }) => Ok(Place::Nobody(No::DomainDisabled)),
            Some(DomainStanding { kind: DomainKind::Backup, .. }) => Ok(Place::SentOn),
            Some(DomainStanding { kind: DomainKind::AliasOf(other), .. }) => Ok(Place::Of(other)),
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
                    let known = standing(reads, domain.as_bytes())?;
                    known.is_some_and(|domain| domain.kind != DomainKind::Backup)
                }
            };
            ours.insert(name, is_ours);
            extended.push(if is_ours { longer } else { target });
        }
        Ok(extended)
    }

    /// Returns the account with this address, whatever aliases there are.
    fn find_account(&self, reads: &Reads<'_>, address: &Login) -> Result<Result<Destination, No>, NotNow> {
        Ok(match self.place(reads, address, false)? {
            Place::Mailbox(mut to) => {
                to.account.quota = room::limits(&to.account, reads.store)?;
                Ok(to)
            }
            Place::Nobody(no) => Err(no),
            Place::Alias(_) | Place::Of(_) | Place::SentOn | Place::Elsewhere => Err(No::UnknownLogin),
        })
    }

    fn find(&self, reads: &Reads<'_>, login: &Login) -> Result<Result<Box<Account>, No>, NotNow> {
        if reads.newest {
            return self.find_newest(reads, login);
        }
        let seen = reads.store.look_up(login, Instant::now() + LOOK_UP)?;
        let may_be_old = seen.may_be_old();
        reads.kept.set(reads.kept.get() || seen.is_kept());
        match self.judge(seen.row) {
            Err(NotNow::Store(StoreError::Unusable(_))) if may_be_old => self.find_newest(reads, login),
            found => Ok(found?.map(Box::new)),
        }
    }

    fn find_newest(&self, reads: &Reads<'_>, login: &Login) -> Result<Result<Box<Account>, No>, NotNow> {
        Ok(self.judge(reads.store.find_newest(login)?)?.map(Box::new))
    }

    /// Returns the account in this row, unless mail for it is refused.
    fn judge(&self, row: Option<AccountRow>) -> Result<Result<Account, No>, NotNow> {
        match row {
            None => Ok(Err(No::UnknownLogin)),
            Some(row) if !row.domain_enabled => Ok(Err(No::DomainDisabled)),
            Some(row) if !row.enabled => Ok(Err(No::AccountDisabled)),
            Some(row) if !row.receives => Ok(Err(No::NoMail)),
            Some(row) => self.mailbox.resolve(row).map(Ok).map_err(|unusable| NotNow::Store(unusable.into())),
        }
    }

    fn login(&self, address: &[u8]) -> Result<Login, No> {
        Login::parse(address, self.default_domain.as_deref()).map_err(No::UnusableLogin)
    }

    fn asked<'a>(&self, address: &'a [u8]) -> Asked<'a> {
        Asked { address, begin: Instant::now(), doubts: self.store.doubts() }
    }

    /// Returns the answer to `question`. Before it is no, the question is asked again of a host that has every change.
    /// The same is done before a catch-all takes an address, if such a host can be asked, because an account that was
    /// added elsewhere should get its mail.
    fn surely<T, E: From<NotNow>>(
        &self,
        asked: &Asked<'_>,
        mut question: impl FnMut(&Reads<'_>) -> Result<Result<T, No>, E>,
    ) -> Result<Result<T, No>, E> {
        let reads = Reads::new(&*self.store, false);
        let found = question(&reads)?;
        if found.is_ok() && !reads.by_absence.get() {
            return Ok(found);
        }
        let is_certain = || self.store.certain_since(asked.doubts).map_err(NotNow::from);
        if found.is_err() {
            is_certain()?;
        }
        let newest = self.store.newest();
        if newest.is_none() && !reads.kept.get() {
            return Ok(found);
        }
        let again = question(&Reads::new(newest.as_deref().unwrap_or(&*self.store), true));
        match (found, again) {
            (Ok(value), Err(_)) => Ok(Ok(value)),
            (_, again) => {
                let again = again?;
                if again.is_err() {
                    is_certain()?;
                }
                Ok(again)
            }
        }
    }

    /// Returns the user of mailboxes whose rows name none, if the configuration names one.
    pub fn shared_user(&self) -> Option<u32> {
        self.mailbox.uid
    }

    /// Counts and logs an answer about a recipient that was given without asking here.
    pub fn record_answer(&self, address: &[u8], answer: &Answer<()>) {
        self.counters.addresses.count(answer);
        self.record(&self.asked(address), answer);
    }

    fn record<T>(&self, asked: &Asked<'_>, answer: &Answer<T>) {
        self.log.record(&Decision {
            kind: Kind::Address,
            service: &Service::Delivery,
            login: asked.address,
            client: None,
            took: asked.begin.elapsed(),
            // Aliases and domains are always read from the database.
            from: match answer {
                Answer::No(No::UnusableLogin(_)) => Provenance::Nowhere,
                _ if self.store.doubts() != asked.doubts => Provenance::Snapshot,
                _ => Provenance::Database,
            },
            outcome: answer.outcome(),
        });
    }

    /// For questions that are only steps on the way of a message, logs only what an administrator has to correct.
    fn record_outage<T>(&self, asked: &Asked<'_>, answer: Answer<T>) -> Answer<T> {
        self.counters.addresses.count(&answer);
        if matches!(answer, Answer::NotNow(_)) {
            self.record(asked, &answer);
        }
        answer
    }
}

/// Returns the targets of an alias, if its domain is handled here and enabled.
fn alias_of_domain(reads: &Reads<'_>, address: &Login, targets: Vec<String>) -> Result<Place, NotNow> {
    Ok(match standing(reads, address.domain().as_bytes())? {
        Some(DomainStanding { enabled: false, .. }) => Place::Nobody(No::DomainDisabled),
        Some(DomainStanding { kind: DomainKind::Own, .. }) => Place::Alias(targets),
        // Rows of aliases in such a domain are ignored.
        Some(DomainStanding { kind: DomainKind::Backup, .. }) => Place::SentOn,
        Some(DomainStanding { kind: DomainKind::AliasOf(other), .. }) => Place::Of(other),
        None => Place::Elsewhere,
    })
}

/// Returns what an address is that is neither an alias nor an account, in a domain that is kept here: its catch-all
/// takes it, or it is unknown.
fn caught(reads: &Reads<'_>, address: &Login, alias: bool, enabled: bool) -> Result<Place, NotNow> {
    let targets = if alias { reads.store.alias_targets(&format!("@{}", address.domain()))? } else { Vec::new() };
    if targets.is_empty() {
        return Ok(Place::Nobody(No::UnknownLogin));
    }
    reads.by_absence.set(true);
    Ok(if enabled { Place::Alias(targets) } else { Place::Nobody(No::DomainDisabled) })
}

fn with_folder(account: Box<Account>, split: &Split<'_>) -> Destination {
    Destination { account, detail: detail::as_folder(split.detail).to_owned() }
}

/// Returns the same address in another domain; `None` if it is too long.
fn of_domain(address: &Login, domain: &DomainName) -> Option<Login> {
    Login::parse(format!("{}@{domain}", address.local_part()).as_bytes(), None).ok()
}

/// Returns what a domain is; `None` if it is not in the tables.
fn standing(reads: &Reads<'_>, name: &[u8]) -> Result<Option<DomainStanding>, NotNow> {
    let name = std::str::from_utf8(name).ok().and_then(|name| DomainName::parse(name).ok());
    Ok(name.map(|name| reads.store.domain(&name)).transpose()?.flatten())
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
