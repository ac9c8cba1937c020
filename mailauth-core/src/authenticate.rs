//! Decides logins.
//!
//! [`Authenticator`] makes a sequence of decisions, each of which may end it: whether the login is valid, the row
//! exists, the password is right, the account and its domain are enabled, the service is permitted, and the row can be
//! trusted. Until the password has been checked, the work is the same whether the login exists or not.
//!
//! The store may return a row from memory. Such a row is enough for a yes; before any other answer the store is asked
//! again ([`AccountStore::look_again`]), and the row that it has now is judged. In a look-up without a password, a
//! remembered "no such account" is accepted, unless it came from a replica. A look-up for a delivery, whose mail would
//! bounce, and a change of a password are refused only by a host that has every change ([`AccountStore::find_newest`]).
//! `docs/internals/ages.md` has the table.

mod dummies;
mod familiar;
mod key_file;
mod refusal_time;
mod sample;
mod verified;

pub use crate::answer::{Answer, No, NotNow};
pub use refusal_time::RefusalTime;

use crate::account::{Account, AccountRow, Login, Password};
use crate::challenge::{CramMechanism, CramResponse};
use crate::config::CacheConfig;
use crate::counters::{Counters, count};
use crate::decision_log::{Decision, DecisionLog, Kind, Provenance};
use crate::detail::Delimiters;
use crate::mailbox::MailboxDefaults;
use crate::password::{self, Budget, Busy, Cost, Flaw, HashError, HashRules, NewScheme, Recipe, Stored};
use crate::store::{AccountStore, Changed, Cursor, Seen, StoreError, StoreState};
use crate::throttle::{Guess, Ruling, Throttle};
use crate::{DomainName, Secret, Service};
use dummies::Dummies;
use familiar::Familiar;
use sample::Sample;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use verified::Verified;

#[cfg(test)]
mod tests;

pub use crate::password::MAX_PASSWORD;

/// Number of accounts in one page of an enumeration.
const PAGE: usize = 500;

/// Decides about logins: an [`Authenticator`] over a store, or the client of a daemon that has one.
pub trait Authority: Send + Sync {
    /// Decides one request.
    fn authenticate(&self, request: Request) -> Answer<Box<Account>>;

    /// Changes a password, for a client that knows the old one.
    fn change_password(&self, change: PasswordChange) -> Answer<()>;
}

/// A question about one login.
#[derive(Debug)]
pub struct Request {
    /// Service that the login is for.
    pub service: Service,
    /// The login as the client sent it.
    pub login: Vec<u8>,
    /// The proof, or nothing for a look-up.
    pub credential: Credential,
    /// Address of the client, if the daemon knows it.
    pub client: Option<String>,
    /// Time after which the answer is of no use.
    pub deadline: Instant,
}

impl Request {
    /// Time in which [`Request::password`] wants an answer.
    pub const PATIENCE: Duration = Duration::from_secs(10);

    /// Returns the request of a client that sent a login and a password, to be answered within [`Request::PATIENCE`]. The
    /// address of the client is not known.
    ///
    /// ```
    /// use mailauth_core::Service;
    /// use mailauth_core::authenticate::Request;
    ///
    /// let request = Request::password(Service::Imap, "anna@example.org", "open sesame");
    /// assert_eq!(request.login, b"anna@example.org");
    /// ```
    pub fn password(service: Service, login: impl Into<Vec<u8>>, password: impl Into<Secret>) -> Self {
        Request {
            service,
            login: login.into(),
            credential: Credential::Password(password.into()),
            client: None,
            deadline: Instant::now() + Self::PATIENCE,
        }
    }
}

/// The proof that a client may use an account.
#[derive(Debug)]
pub enum Credential {
    /// No proof: the caller only wants to know the account. The adapter decides which callers may ask this.
    Lookup,
    /// No proof: the caller also wants the password in clear, to verify the answer to a challenge with it. The adapter
    /// decides which callers may ask this.
    Secret,
    /// The password itself.
    Password(Secret),
    /// The answer to a challenge.
    Cram(CramMechanism, CramResponse),
}

/// A change of a password.
#[derive(Debug)]
pub struct PasswordChange {
    /// The login, with the old password as its credential.
    pub request: Request,
    /// The new password.
    pub new: Secret,
}

/// The rules that decisions follow, from the configuration.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Domain appended to a login without `@`.
    pub default_domain: Option<String>,
    /// Characters of which the last one in a login replaces a missing `@`.
    pub separators: String,
    /// Values for empty columns.
    pub mailbox: MailboxDefaults,
    /// Rules for reading stored passwords.
    pub rules: HashRules,
    /// Scheme of new hashes.
    pub scheme: NewScheme,
    /// Minimum number of characters of a new password.
    pub min_length: usize,
    /// Whether an account without a restriction may use a service with an unknown name.
    pub unknown_services: bool,
    /// Whether users may log in with the other names of their domain.
    pub alias_domains: bool,
    /// Characters that separate details in addresses.
    pub delimiters: Delimiters,
    /// Time at which refusals are sent.
    pub refusal_time: RefusalTime,
}

/// Decides logins over a store.
pub struct Authenticator {
    store: Arc<dyn AccountStore>,
    policy: Policy,
    budget: Arc<Budget>,
    dummies: Dummies,
    /// The file next to which the key of the dummies is kept, if it is kept.
    key_place: Option<PathBuf>,
    /// Recently verified passwords, if they are remembered.
    verified: Option<Verified>,
    /// Accounts whose password was hashed and right not long ago.
    familiar: Familiar,
    /// Limits on guessing, if guesses are counted.
    throttle: Option<Throttle>,
    /// The authenticator that replaced this one, which then only finishes what it has begun.
    successor: OnceLock<Arc<Authenticator>>,
    counters: Arc<Counters>,
    log: DecisionLog,
}

/// How far a request is decided without hashing.
pub enum Step {
    /// The request is decided.
    Decided(Answer<Box<Account>>),
    /// A password has to be hashed, which takes milliseconds: call [`Authenticator::finish`], on a thread that may do
    /// so.
    Hash(Box<Verification>),
}

/// A finished look-up with a password that is still to be tried.
pub struct Verification {
    asked: Asked,
    found: Found,
    password: Secret,
    familiar: bool,
}

/// What the log needs to know about a request.
struct Asked {
    purpose: Purpose,
    service: Service,
    login: Vec<u8>,
    client: Option<String>,
    deadline: Instant,
    begin: Instant,
    /// Where the present knowledge of the account comes from.
    from: Provenance,
    /// The guess that is counted if the credential is wrong.
    guess: Option<Guess>,
}

/// Purpose of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To look an account up.
    LookUp,
    /// To look up the password of an account in clear.
    Secret,
    /// To check a credential.
    Proof,
    /// To write to the row.
    Change,
}

/// What a look-up found to try a password on. There is always a stored password, or a dummy.
struct Found {
    login: Login,
    seen: Seen,
    stored: Arc<Stored>,
    /// Why `stored` does not come from the row, if it does not.
    refusal: Option<No>,
}

/// Result of trying a password without hashing.
enum Tried {
    Decided(Answer<Box<Account>>),
    /// Hashing is needed, which takes milliseconds.
    Heavy(Box<Found>),
    /// The answer is no longer wanted.
    Unwanted,
}

/// Returns true while the answer is wanted. It is called before a password is hashed.
type IsWanted<'w> = &'w dyn Fn() -> bool;

impl Verification {
    /// Returns a hash, under a key of this process, of the login that the account was looked up by.
    pub fn account_key(&self) -> u64 {
        familiar::key_of(&self.found.login)
    }

    /// Returns the same for the client's network: an IPv4 address, or the first half of an IPv6 address.
    pub fn client_key(&self) -> u64 {
        familiar::key_of_network(self.asked.client.as_deref())
    }

    /// Returns true if a password for this login was right not long ago.
    pub fn is_familiar(&self) -> bool {
        self.familiar
    }
}

impl Asked {
    fn new(purpose: Purpose, service: Service, login: Vec<u8>, client: Option<String>, deadline: Instant) -> Self {
        Asked {
            purpose,
            service,
            login,
            client,
            deadline,
            begin: Instant::now(),
            from: Provenance::Nowhere,
            guess: None,
        }
    }

    /// Returns true for a delivery agent's question about a recipient.
    fn is_for_mail(&self) -> bool {
        self.purpose == Purpose::LookUp && self.service == Service::Delivery
    }
}

impl Authenticator {
    /// Returns true if a missing home and Maildir are created at a login: `[mailbox] create`.
    pub fn makes_mailboxes(&self) -> bool {
        self.policy.mailbox.create
    }

    /// Creates an authenticator over `store` with the rules of `policy`, which hashes within `budget`.
    pub fn new(store: Arc<dyn AccountStore>, policy: Policy, budget: Arc<Budget>) -> Self {
        let dummies = Dummies::new(policy.scheme, &policy.rules);
        let (verified, key_place, throttle, counters) = (None, None, None, Arc::default());
        let successor = OnceLock::new();
        Authenticator {
            store,
            policy,
            budget,
            dummies,
            key_place,
            verified,
            familiar: Familiar::default(),
            throttle,
            successor,
            counters,
            log: DecisionLog::default(),
        }
    }

    /// Remembers verified passwords as `config` says, and counts in `counters` how often that helped and what the
    /// answers are. For a process that decides more than one login.
    #[must_use]
    pub fn remembering(mut self, config: &CacheConfig, counters: Arc<Counters>) -> Self {
        self.verified = Verified::new(config);
        self.counters = counters;
        self
    }

    /// Limits guessing at passwords by `throttle`.
    #[must_use]
    pub fn throttled_by(mut self, throttle: Option<Throttle>) -> Self {
        self.throttle = throttle;
        self
    }

    /// Returns the domain that is appended to a login without `@`.
    pub fn default_domain(&self) -> Option<&str> {
        self.policy.default_domain.as_deref()
    }

    /// Returns the limits on guessing, if there are any.
    pub fn throttle(&self) -> Option<&Throttle> {
        self.throttle.as_ref()
    }

    /// Keeps the key that chooses the dummies in a file next to `file`, from the first [`Authenticator::learn_kinds`]
    /// on. Without this, each process has a key of its own.
    #[must_use]
    pub fn with_key_beside(mut self, file: &Path) -> Self {
        self.key_place = Some(file.to_owned());
        self
    }

    /// Reads a part of the table, at most 8,000 rows, to learn which kinds of passwords it has; passwords for unknown
    /// logins are tried on the same kinds. Calls `go_on` before each query, and stops if it returns false.
    ///
    /// # Errors
    /// Fails if the table cannot be read.
    pub fn learn_kinds(&self, go_on: &dyn Fn() -> bool) -> Result<(), StoreError> {
        let sample = Sample::read(&*self.store, &self.policy.rules, go_on)?;
        if let Some(key) = self.key_place.as_deref().and_then(key_file::key_beside) {
            self.dummies.use_key(key);
        }
        self.dummies.learn(sample, &self.budget, go_on);
        let slowest = self.dummies.slowest();
        if !self.policy.refusal_time.hides(slowest) {
            tracing::warn!(
                "the costliest password of the table takes {} ms, longer than refusals are held: by the time of a refusal \
                 strangers can tell that an account with such a password exists; hash these passwords anew at a lower cost, \
                 or write a longer [login] refusal_time",
                slowest.as_millis()
            );
        }
        Ok(())
    }

    /// Returns the time at which to send a refusal of a request that arrived at `asked`, so that the time does not
    /// reveal the reason.
    pub fn refuse_at(&self, asked: Instant) -> Instant {
        asked + self.policy.refusal_time.of_table(self.dummies.slowest())
    }

    /// Forgets what is remembered of the rows that changed.
    pub fn forget(&self, changed: &Changed) {
        self.store.forget(changed);
        if let Some(successor) = self.successor.get() {
            successor.forget(changed);
        }
        // A password is remembered together with the stored value that it matched, so only a change of that value
        // matters.
        let login = match changed {
            Changed::Account(login) => Some(login),
            Changed::Everything => None,
            Changed::Alias(_) | Changed::Domain(_) | Changed::Additions => return,
        };
        if let Some(verified) = &self.verified {
            verified.forget(login);
        }
    }

    /// Leaves new requests to `successor`, and tells it of each change that this authenticator is told of or makes. To
    /// be called before `successor` reads its first row.
    pub fn leave_to(&self, successor: Arc<Authenticator>) {
        // After that, new clients do not ask this authenticator any more, so a second call cannot happen.
        if self.successor.set(Arc::clone(&successor)).is_ok() {
            successor.dummies.take_over(&self.dummies);
            successor.familiar.take_over(&self.familiar);
            self.store.unnoted().iter().for_each(|changed| successor.forget(changed));
        }
    }

    /// Forgets what is remembered of the account with this login.
    pub fn forget_login(&self, login: &[u8]) {
        // If no account can have this login, there is nothing to forget.
        if let Ok(login) = Login::parse(login, self.policy.default_domain.as_deref()) {
            self.forget(&Changed::Account(login));
        }
    }

    /// Returns the state of the databases behind it.
    pub fn state(&self) -> StoreState {
        self.store.state()
    }

    /// Does everything that is quick: look-ups, challenges, passwords whose scheme is a plain digest, and recently
    /// verified passwords.
    pub fn begin(&self, request: Request) -> Step {
        let Request { service, login, credential, client, deadline } = request;
        let purpose = match credential {
            Credential::Lookup => Purpose::LookUp,
            Credential::Secret => Purpose::Secret,
            Credential::Password(_) | Credential::Cram(..) => Purpose::Proof,
        };
        let mut asked = Asked::new(purpose, service, login, client, deadline);
        let answer = match credential {
            Credential::Lookup | Credential::Secret => self.judge(&mut asked, |asked, _, row| self.look_up(asked, row)),
            Credential::Cram(mechanism, response) => self.answer_challenge(&mut asked, mechanism, &response),
            Credential::Password(password) => match self.find_for(&mut asked, &password) {
                Err(answer) => answer,
                Ok(found) => match self.settle(&mut asked, found, &password, None) {
                    Tried::Decided(answer) => self.weigh(&asked, answer, &[password.expose()]),
                    Tried::Heavy(found) => {
                        let familiar = self.familiar.knows(familiar::key_of(&found.login));
                        return Step::Hash(Box::new(Verification { asked, found: *found, password, familiar }));
                    }
                    // Nothing was hashed, so this was not asked.
                    Tried::Unwanted => Answer::NotNow(NotNow::Late),
                },
            },
        };
        self.record_account(&asked, &answer);
        Step::Decided(answer)
    }

    /// Returns a page of accounts after `after`, in the order of their logins, and the beginning of the next page if
    /// there is one.
    ///
    /// Disabled accounts are left out, and so are rows that can never be used, which the log names: no login is
    /// accepted for them. A page that cannot be read is "not now".
    pub fn enumerate(&self, after: Option<&Cursor>) -> Answer<(Vec<Account>, Option<Cursor>)> {
        let page = match self.store.enumerate(after, PAGE) {
            Ok(page) => page,
            Err(error) => return Answer::NotNow(error.into()),
        };
        let mut accounts = Vec::with_capacity(page.rows.len());
        for row in page.rows {
            let account = row
                .map(|row| (row.enabled && row.domain_enabled).then(|| self.policy.mailbox.resolve(row)).transpose());
            match account.and_then(|resolved| resolved) {
                Ok(account) => accounts.extend(account),
                Err(unusable) => self.log.left_out(&unusable),
            }
        }
        Answer::Yes((accounts, page.next))
    }

    /// Judges the row that the store returned, and once more the newest row if the first came from memory and must not
    /// decide alone.
    fn judge(
        &self,
        asked: &mut Asked,
        judge: impl Fn(&Asked, &Login, Option<AccountRow>) -> Answer<Box<Account>>,
    ) -> Answer<Box<Account>> {
        let (login, mut seen) = match self.find(asked) {
            Ok(found) => found,
            Err(answer) => return answer,
        };
        loop {
            asked.from = Provenance::of(&seen);
            let answer = judge(asked, &login, seen.row.clone());
            if self.would_bounce(asked, &seen, &answer) {
                asked.from = Provenance::Database;
                return match self.store.find_newest(&login) {
                    Ok(row) => judge(asked, &login, row),
                    Err(error) => failed(asked, error),
                };
            }
            match self.newer(asked, &login, &seen, &answer) {
                Ok(None) => return answer,
                Ok(Some(newer)) => seen = newer,
                Err(error) => return failed(asked, error),
            }
        }
    }

    /// Returns true if mail bounces by `answer`, and a newer row might give another answer.
    fn would_bounce<T>(&self, asked: &Asked, seen: &Seen, answer: &Answer<T>) -> bool {
        asked.is_for_mail()
            && matches!(answer, Answer::No(_))
            && (seen.may_be_old() || seen.is_copied() || self.store.may_lag())
    }

    /// Returns a newer row to judge instead of `seen`, if `seen` alone must not give `answer`.
    fn newer<T>(
        &self,
        asked: &mut Asked,
        login: &Login,
        seen: &Seen,
        answer: &Answer<T>,
    ) -> Result<Option<Seen>, StoreError> {
        let by_the_row = match answer {
            // The caller may refuse a login by comparing with the password that it is given.
            Answer::Yes(_) => asked.purpose == Purpose::Secret,
            Answer::No(No::UnknownLogin) => asked.purpose != Purpose::LookUp || seen.is_behind(),
            Answer::No(_) | Answer::NotNow(NotNow::Store(_)) => true,
            Answer::NotNow(_) => false,
        };
        if !by_the_row || !seen.may_be_old() {
            return Ok(None);
        }
        let newer = self.store.look_again(login, seen, asked.deadline);
        asked.from = match &newer {
            Ok(None) => asked.from,
            Ok(Some(newer)) => Provenance::of(newer),
            Err(_) => Provenance::Database,
        };
        let newer = newer?;
        // The same row gives the same answer; hashing it again is not needed.
        Ok(newer.filter(|newer| newer.row != seen.row))
    }

    fn look_up(&self, asked: &Asked, row: Option<AccountRow>) -> Answer<Box<Account>> {
        match row {
            Some(row) => self.permit(asked, row),
            None => Answer::No(No::UnknownLogin),
        }
    }

    fn answer_challenge(
        &self,
        asked: &mut Asked,
        mechanism: CramMechanism,
        response: &CramResponse,
    ) -> Answer<Box<Account>> {
        let compared = Cell::new(false);
        let answer = self.judge(asked, |asked, login, row| {
            let (answer, fit) = self.try_challenge(asked, login, row, (mechanism, response));
            compared.set(fit);
            answer
        });
        // The answers to two challenges differ even if the password is the same. If there is no password to compare
        // with, as with clients that try this first and then send the password, all of them count as one guess.
        match compared.get() {
            true => self.weigh(asked, answer, &[response.challenge(), response.digest().expose()]),
            false => self.weigh(asked, answer, &[]),
        }
    }

    /// Counts a wrong password, or remembers the network from which a right one came.
    fn weigh<T>(&self, asked: &Asked, answer: Answer<T>, tried: &[&[u8]]) -> Answer<T> {
        let (Some(throttle), Some(guess)) = (&self.throttle, &asked.guess) else { return answer };
        match answer {
            Answer::Yes(_) => throttle.succeeded(guess),
            Answer::No(no) => {
                let delay = throttle.failed(guess, tried);
                return Answer::No(if delay.is_zero() { no } else { No::Delayed(Box::new(no), delay) });
            }
            Answer::NotNow(_) => {}
        }
        answer
    }

    /// Refuses an attempt beyond the limits.
    fn admit(&self, asked: &mut Asked, login: &Login) -> Result<(), Answer<Box<Account>>> {
        let (Some(throttle), Purpose::Proof | Purpose::Change) = (&self.throttle, asked.purpose) else { return Ok(()) };
        match throttle.judge(login, asked.client.as_deref()) {
            Ruling::Try(guess) => asked.guess = Some(guess),
            Ruling::Refuse(delay) => return Err(Answer::No(No::Throttled(delay))),
            Ruling::PutOff => return Err(Answer::NotNow(NotNow::Attacked)),
        }
        Ok(())
    }

    /// Returns the answer, and whether there is a password to compare the response with.
    fn try_challenge(
        &self,
        asked: &Asked,
        login: &Login,
        row: Option<AccountRow>,
        (mechanism, response): (CramMechanism, &CramResponse),
    ) -> (Answer<Box<Account>>, bool) {
        let (stored, refusal) = self.stored_for(asked, login, row.as_ref());
        let (fits, can_fit) = (response.verify(mechanism, &stored), mechanism.can_use(&stored));
        let answer = match (refusal, row) {
            (Some(no), _) => Answer::No(no),
            (None, Some(row)) if fits => self.permit(asked, row),
            _ if !can_fit => Answer::No(No::NoClearPassword),
            _ => Answer::No(No::WrongPassword),
        };
        (answer, can_fit)
    }

    /// Tries `password` on the row that was found, and if that came from memory and does not match, on the newest row.
    /// Without `is_wanted`, does only what is quick.
    fn settle(&self, asked: &mut Asked, mut found: Found, password: &Secret, is_wanted: Option<IsWanted<'_>>) -> Tried {
        loop {
            let lately = self.fitted_lately(asked, &found, password);
            let cost = if lately { Cost::Cheap } else { found.stored.cost() };
            if cost != Cost::Cheap && is_wanted.is_none() {
                return Tried::Heavy(Box::new(found));
            }
            asked.from = if lately { Provenance::Verified } else { Provenance::of(&found.seen) };
            let tried = self.budget.run(cost, asked.deadline, || {
                let wanted = cost == Cost::Cheap || is_wanted.is_none_or(|is_wanted| is_wanted());
                wanted.then(|| self.try_password(asked, &found, password, lately))
            });
            let answer = match tried {
                Ok(Some(answer)) => answer,
                Ok(None) => return Tried::Unwanted,
                Err(Busy) => Answer::NotNow(NotNow::Busy),
            };
            match self.newer(asked, &found.login, &found.seen, &answer) {
                Ok(None) => return Tried::Decided(answer),
                Ok(Some(newer)) => found = self.found(asked, found.login, newer),
                Err(error) => return Tried::Decided(failed(asked, error)),
            }
        }
    }

    /// Returns true if this password was verified recently enough to skip hashing.
    fn fitted_lately(&self, asked: &Asked, found: &Found, password: &Secret) -> bool {
        let (Some(verified), Some(row), None) = (&self.verified, &found.seen.row, &found.refusal) else { return false };
        let fitted = found.stored.cost() != Cost::Cheap
            // An account that is refused anyway is refused as slowly as after a wrong password.
            && self.barrier(asked, row).is_none()
            && verified.knows(&row.login, &row.password.0, password);
        if fitted {
            count(&self.counters.verified);
        }
        fitted
    }

    fn try_password(&self, asked: &Asked, found: &Found, password: &Secret, lately: bool) -> Answer<Box<Account>> {
        let row = found.seen.row.as_ref();
        let login = row.map_or("", |row| row.login.as_str());
        let verdict = if lately { Ok(true) } else { self.verify(&found.stored, login, password) };
        match (&found.refusal, verdict, row) {
            (Some(no), _, _) => Answer::No(no.clone()),
            (None, Ok(true), Some(row)) => {
                if let (false, Cost::Heavy { .. }) = (lately, found.stored.cost()) {
                    self.familiar.remember(familiar::key_of(&found.login));
                    if let Some(verified) = &self.verified {
                        verified.remember(&row.login, &row.password.0, password);
                    }
                }
                self.permit(asked, row.clone())
            }
            (None, Err(flaw), _) => Answer::No(No::UnusableHash(flaw)),
            _ => Answer::No(No::WrongPassword),
        }
    }

    /// Tries the password, and records how long that took.
    fn verify(&self, stored: &Stored, login: &str, password: &Secret) -> Result<bool, Flaw> {
        if stored.cost() == Cost::Cheap {
            return stored.verify(login, password.expose());
        }
        let begin = Instant::now();
        let verdict = stored.verify(login, password.expose());
        self.dummies.observe(stored.kind(), begin.elapsed());
        verdict
    }

    /// Makes the last decisions about an account that was verified or only looked up.
    fn permit(&self, asked: &Asked, row: AccountRow) -> Answer<Box<Account>> {
        if let Some(no) = self.barrier(asked, &row) {
            return Answer::No(no);
        }
        match self.policy.mailbox.resolve(row) {
            Ok(account) => Answer::Yes(Box::new(account)),
            Err(unusable) => failed(asked, unusable.into()),
        }
    }

    /// Returns why the account may not be used, whatever the request.
    fn barrier(&self, asked: &Asked, row: &AccountRow) -> Option<No> {
        let any_service = asked.is_for_mail();
        if !row.domain_enabled {
            Some(No::DomainDisabled)
        } else if !row.enabled {
            Some(No::AccountDisabled)
        } else if any_service && !row.receives {
            Some(No::NoMail)
        } else if !any_service && !row.services.permit(&asked.service, self.policy.unknown_services) {
            Some(No::ServiceNotAllowed)
        } else {
            None
        }
    }

    fn find(&self, asked: &mut Asked) -> Result<(Login, Seen), Answer<Box<Account>>> {
        let login = self.login(asked)?;
        match self.read(asked, &login) {
            Ok(seen) => Ok((login, seen)),
            Err(error) => Err(failed(asked, error)),
        }
    }

    /// Returns the login that a row is looked up by, before the deadline.
    fn login(&self, asked: &mut Asked) -> Result<Login, Answer<Box<Account>>> {
        // In an envelope address such a character is part of the name.
        let separators = if asked.is_for_mail() { "" } else { self.policy.separators.as_str() };
        let login = Login::typed(&asked.login, self.policy.default_domain.as_deref(), separators)
            .map_err(|error| Answer::No(No::UnusableLogin(error)))?;
        if Instant::now() >= asked.deadline {
            return Err(Answer::NotNow(NotNow::Late));
        }
        let login = self.of_own_domain(asked, login).map_err(|error| failed(asked, error))?;
        self.admit(asked, &login)?;
        Ok(login)
    }

    fn read(&self, asked: &mut Asked, login: &Login) -> Result<Seen, StoreError> {
        asked.from = Provenance::Database;
        match asked.purpose {
            // A row that is to be replaced has to be the one that is stored.
            Purpose::Change => self.store.find_newest(login).map(Seen::new),
            Purpose::LookUp | Purpose::Secret | Purpose::Proof => self.store.look_up(login, asked.deadline),
        }
    }

    /// Returns the login in the domain that its domain is another name of, for mail, and for logins if these may use
    /// other names. It is looked up whether the login exists or not, so that the time does not reveal it.
    fn of_own_domain(&self, asked: &mut Asked, login: Login) -> Result<Login, StoreError> {
        if !self.policy.alias_domains && !asked.is_for_mail() {
            return Ok(login);
        }
        asked.from = Provenance::Database;
        let Ok(name) = DomainName::parse(login.domain()) else { return Ok(login) };
        let other = self.store.alias_domain(&name)?;
        // A login that becomes too long does not exist in the other domain either.
        let same =
            other.and_then(|other| Login::parse(format!("{}@{other}", login.local_part()).as_bytes(), None).ok());
        Ok(same.unwrap_or(login))
    }

    /// Looks the account up before a password is tried. Refuses at once a password that no scheme accepts.
    fn find_for(&self, asked: &mut Asked, password: &Secret) -> Result<Found, Answer<Box<Account>>> {
        if password.is_empty() || password.len() > MAX_PASSWORD || password.expose().contains(&0) {
            return Err(Answer::No(No::UnusablePassword));
        }
        let login = self.login(asked)?;
        match self.read(asked, &login) {
            Ok(seen) => Ok(self.found(asked, login, seen)),
            // The password is hashed nevertheless, as for an unknown login.
            Err(StoreError::Unusable(unusable)) => {
                let refusal = Some(No::UnusableAccount(unusable));
                let stored = self.dummies.of(&login);
                Ok(Found { login, seen: Seen::new(None), stored, refusal })
            }
            Err(error) => Err(failed(asked, error)),
        }
    }

    fn found(&self, asked: &Asked, login: Login, seen: Seen) -> Found {
        let (stored, refusal) = self.stored_for(asked, &login, seen.row.as_ref());
        Found { login, seen, stored, refusal }
    }

    /// Returns what to try a credential on, and why it is refused even if it matches. For a row that can never be used,
    /// the answer must not reveal whether it matches.
    fn stored_for(&self, asked: &Asked, login: &Login, row: Option<&AccountRow>) -> (Arc<Stored>, Option<No>) {
        let (stored, refusal) = self.stored_of(login, row);
        let unusable = || {
            let row = row.filter(|row| self.barrier(asked, row).is_none())?;
            self.policy.mailbox.problems(row).into_iter().next().map(No::UnusableAccount)
        };
        (stored, refusal.or_else(unusable))
    }

    /// Returns the stored password of the row, or the dummy of this login and the reason for it.
    fn stored_of(&self, login: &Login, row: Option<&AccountRow>) -> (Arc<Stored>, Option<No>) {
        let Some(row) = row else { return (self.dummies.of(login), Some(No::UnknownLogin)) };
        match Stored::parse(row.password.0.expose(), &self.policy.rules) {
            Ok(stored) => (Arc::new(stored), None),
            Err(flaw) => {
                let no = match flaw {
                    Flaw::Empty => No::NoPassword,
                    Flaw::Locked => No::PasswordLocked,
                    flaw => No::UnusableHash(flaw),
                };
                (self.dummies.of(login), Some(no))
            }
        }
    }

    /// Counts and logs a decision about a login or an account.
    fn record_account(&self, asked: &Asked, answer: &Answer<Box<Account>>) {
        match answer {
            // The account is sent all the same, because it is looked up for other reasons too.
            Answer::Yes(account) if asked.purpose == Purpose::Secret && !self.has_clear(account) => {
                self.record(asked, &Answer::<()>::No(No::NoClearPassword));
            }
            answer => self.record(asked, answer),
        }
    }

    fn has_clear(&self, account: &Account) -> bool {
        Stored::parse(account.password.0.expose(), &self.policy.rules).is_ok_and(|stored| stored.clear().is_some())
    }

    fn record<T>(&self, asked: &Asked, answer: &Answer<T>) {
        let (kind, tally) = match asked.purpose {
            Purpose::LookUp => (Kind::LookUp, &self.counters.lookups),
            Purpose::Secret => (Kind::Secret, &self.counters.secrets),
            Purpose::Proof => (Kind::Login, &self.counters.logins),
            Purpose::Change => (Kind::Change, &self.counters.changes),
        };
        tally.count(answer);
        self.log.record(&Decision {
            kind,
            service: &asked.service,
            login: &asked.login,
            client: asked.client.as_deref(),
            took: asked.begin.elapsed(),
            from: asked.from,
            outcome: answer.outcome(),
        });
    }

    /// Tries the password of `verification` within the budget. Waits for a permit until the deadline.
    pub fn finish(&self, verification: Box<Verification>) -> Answer<Box<Account>> {
        self.finish_while(verification, &|| true).unwrap_or(Answer::NotNow(NotNow::Busy))
    }

    /// Does the same, but returns `None` without hashing if the answer is no longer wanted. `is_wanted` is called
    /// before the password waits for its permit and after it gets it.
    pub fn finish_while(
        &self,
        verification: Box<Verification>,
        is_wanted: &dyn Fn() -> bool,
    ) -> Option<Answer<Box<Account>>> {
        if !is_wanted() {
            return None;
        }
        let Verification { mut asked, found, password, .. } = *verification;
        // Other attempts may have been found wrong while this one waited.
        if let (Some(throttle), Some(guess)) = (&self.throttle, &asked.guess)
            && let Some(delay) = throttle.judge_again(guess)
        {
            let answer = Answer::No(No::Throttled(delay));
            self.record(&asked, &answer);
            return Some(answer);
        }
        let answer = match self.settle(&mut asked, found, &password, Some(is_wanted)) {
            Tried::Decided(answer) => self.weigh(&asked, answer, &[password.expose()]),
            // With `is_wanted`, the password is always hashed.
            Tried::Heavy(_) => Answer::NotNow(NotNow::Busy),
            Tried::Unwanted => return None,
        };
        self.record(&asked, &answer);
        Some(answer)
    }

    fn change(&self, asked: &mut Asked, old: &Secret, new: &Secret) -> Answer<()> {
        let found = match self.find_for(asked, old) {
            Ok(found) => found,
            Err(answer) => return answer.without_value(),
        };
        let recipe = password::keep_or_improve(found.refusal.is_none().then_some(&*found.stored), self.policy.scheme);
        let cost = found.stored.cost();
        let proved = self.budget.run(cost, asked.deadline, || self.try_password(asked, &found, old, false));
        let proved = proved.map(|answer| self.weigh(asked, answer, &[old.expose()]));
        match (proved, found.seen.row) {
            (Ok(Answer::Yes(_)), Some(row)) => self.store_new(asked, &row, recipe, new),
            (Ok(answer), _) => answer.without_value(),
            (Err(_), _) => Answer::NotNow(NotNow::Busy),
        }
    }

    fn store_new(&self, asked: &Asked, row: &AccountRow, recipe: Recipe, new: &Secret) -> Answer<()> {
        let characters = String::from_utf8_lossy(new.expose()).chars().count();
        if new.is_empty() || characters < self.policy.min_length {
            return Answer::No(No::NewPasswordTooShort);
        }
        if new.len() > MAX_PASSWORD {
            return Answer::No(No::UnusablePassword);
        }
        let hashed = self.budget.run(recipe.cost(), asked.deadline, || password::hash(recipe, new.expose()));
        let new = match hashed {
            Ok(Ok(hash)) => Password(hash),
            Ok(Err(error @ (HashError::NoRandomness(_) | HashError::Failed(_)))) => {
                return Answer::NotNow(NotNow::NoHash(error));
            }
            Ok(Err(_)) => return Answer::No(No::UnusablePassword),
            Err(_) => return Answer::NotNow(NotNow::Busy),
        };
        let changed = self.store.set_password(&row.login, &row.password, &new);
        // The store knows of its own change; this forgets what is remembered in addition.
        if let Some(verified) = &self.verified {
            verified.forget(Some(&row.login));
        }
        if let Some(successor) = self.successor.get() {
            successor.forget(&Changed::Account(row.login.clone()));
        }
        match changed {
            Ok(true) => Answer::Yes(()),
            Ok(false) => Answer::No(No::WrongPassword),
            Err(error) => Answer::NotNow(error.into()),
        }
    }
}

/// Returns the answer if the store has no row to judge. A row that can never be used does not make a client try again;
/// mail for it waits until the row is corrected.
fn failed<T>(asked: &Asked, error: StoreError) -> Answer<T> {
    match error {
        StoreError::Unusable(unusable) if !asked.is_for_mail() => Answer::No(No::UnusableAccount(unusable)),
        error => Answer::NotNow(error.into()),
    }
}

impl Authority for Authenticator {
    fn authenticate(&self, request: Request) -> Answer<Box<Account>> {
        match self.begin(request) {
            Step::Decided(answer) => answer,
            Step::Hash(verification) => self.finish(verification),
        }
    }

    fn change_password(&self, change: PasswordChange) -> Answer<()> {
        let Request { service, login, credential, client, deadline } = change.request;
        let mut asked = Asked::new(Purpose::Change, service, login, client, deadline);
        let answer = match credential {
            Credential::Password(old) => self.change(&mut asked, &old, &change.new),
            Credential::Lookup | Credential::Secret | Credential::Cram(..) => Answer::No(No::UnusablePassword),
        };
        self.record(&asked, &answer);
        answer
    }
}
