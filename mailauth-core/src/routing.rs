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

mod place;
mod reads;
mod recipient;
mod sender;

pub use recipient::{Later, Looking};

use crate::Service;
use crate::account::{Account, Login};
use crate::answer::{Answer, No, Refusal};
use crate::counters::Counters;
use crate::decision_log::{Decision, DecisionLog, Kind, Provenance};
use crate::detail::Delimiters;
use crate::mailbox::MailboxDefaults;
use crate::policy::{AddressRules, Policy};
use crate::quota::mailboxes::{Here, Mailbox, Mailboxes};
use crate::quota::{CountRules, IfLocked, Limits, Patience, room};
use crate::store::{DomainKind, DomainStanding, MailStore};
use place::Place;
use reads::Reads;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    addresses: AddressRules,
    delimiters: Delimiters,
    mailboxes: Arc<dyn Mailboxes>,
    counters: Arc<Counters>,
    log: DecisionLog,
}

/// A question in progress.
struct Question<'a> {
    address: &'a [u8],
    begin: Instant,
    /// Value of the store's doubts before the question.
    doubts: u64,
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
        let (addresses, delimiters) = (policy.addresses, policy.delimiters.clone());
        let (mailboxes, counters, log) = (Arc::new(Here), Arc::default(), DecisionLog::default());
        let takes_unseen = false;
        Router { store, default_domain, mailbox, rules, takes_unseen, addresses, delimiters, mailboxes, counters, log }
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
        let question = self.question(name);
        let known = self.surely(&question, |reads| match reads.standing(name)? {
            Some(DomainStanding { enabled: true, kind: DomainKind::Backup }) => Ok(DomainMail::SentOn),
            Some(_) => Ok(DomainMail::Kept),
            None => Err(No::UnknownDomain.into()),
        });
        self.record_outage(&question, known)
    }

    /// Returns the account that receives the mail of `address`, with the quota of its mailbox: its own, otherwise its
    /// domain's.
    pub fn account(&self, address: &[u8]) -> Answer<Destination> {
        let question = self.question(address);
        let found =
            self.login(address).and_then(|login| self.surely(&question, |reads| self.find_account(reads, &login)));
        self.record_outage(&question, found)
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
        let question = self.question(address);
        let targets = self.login(address).and_then(|login| {
            self.surely(&question, |reads| match self.place(reads, &login, true)? {
                Place::Alias(targets) => Ok(Some(targets)),
                // The mail goes on to the account, and does not bounce because of this.
                Place::Mailbox(_) => Ok(None),
                Place::Refused(_) | Place::Of(_) | Place::SentOn | Place::Elsewhere => Err(No::UnknownAlias.into()),
            })
        });
        let targets = targets.and_then(|targets| targets.ok_or(No::UnknownAlias.into()));
        self.record_outage(&question, targets)
    }

    /// Returns the account with this address, whatever aliases there are.
    fn find_account(&self, reads: &Reads<'_>, address: &Login) -> Answer<Destination> {
        match self.place(reads, address, false)? {
            Place::Mailbox(mut to) => {
                to.account.quota = room::limits(&to.account, reads.store)?;
                Ok(to)
            }
            Place::Refused(no) => Err(no.into()),
            Place::Alias(_) | Place::Of(_) | Place::SentOn | Place::Elsewhere => Err(No::UnknownLogin.into()),
        }
    }

    fn login(&self, address: &[u8]) -> Answer<Login> {
        Ok(Login::parse(address, self.default_domain.as_deref()).map_err(No::UnusableLogin)?)
    }

    fn question<'a>(&self, address: &'a [u8]) -> Question<'a> {
        Question { address, begin: Instant::now(), doubts: self.store.doubts() }
    }

    /// Returns the user of mailboxes whose rows name none, if the configuration names one.
    pub fn shared_user(&self) -> Option<u32> {
        self.mailbox.uid
    }

    /// Counts and logs an answer about a recipient that was given without asking here.
    pub fn record_answer(&self, address: &[u8], answer: &Answer<()>) {
        self.record(&self.question(address), answer);
    }

    /// Counts and logs an answer.
    fn record<T>(&self, question: &Question<'_>, answer: &Answer<T>) {
        let (from, took) = self.count(question, answer);
        self.log.record(&Decision {
            kind: Kind::Address,
            service: &Service::Delivery,
            login: question.address,
            client: None,
            took,
            from,
            answer: answer.as_ref().map(drop),
        });
    }

    /// Counts an answer. Returns what it was made from, and how long it took.
    fn count<T>(&self, question: &Question<'_>, answer: &Answer<T>) -> (Provenance, Duration) {
        // Aliases and domains are always read from the database.
        let from = match answer {
            Err(Refusal::No(No::UnusableLogin(_))) => Provenance::Nowhere,
            _ if self.store.doubts() != question.doubts => Provenance::Snapshot,
            _ => Provenance::Database,
        };
        let took = question.begin.elapsed();
        self.counters.addresses.count(answer);
        self.counters.addresses.time(from, false, took);
        (from, took)
    }

    /// Counts an answer, and logs it if it is "not now". Other answers to questions that are only steps on the way of a
    /// message are not logged.
    fn record_outage<T>(&self, question: &Question<'_>, answer: Answer<T>) -> Answer<T> {
        if matches!(answer, Err(Refusal::NotNow(_))) {
            self.record(question, &answer);
        } else {
            self.count(question, &answer);
        }
        answer
    }
}

#[cfg(test)]
mod tests;
