//! The one place where a login is decided.
//!
//! [`Authenticator`] makes a sequence of judgements, each of which may end it: the login can be one, the row is there,
//! the password fits, the account and its domain are enabled, the service is permitted, the row can be trusted. Up to
//! the password's verdict the work is the same whether the login exists or not.
//!
//! A row may have been kept in memory by the store. Then only yes is said by it as it is; before anything else is said
//! the store is asked again ([`AccountStore::look_again`]), and what it has now is judged. That a login is unknown
//! is believed where nothing proves it, in a look-up, unless a replica said so. But a look-up for a delivery, whose mail would bounce, is refused only by what
//! has every change ([`AccountStore::find_newest`]); so is a change of a password. `docs/internals/ages.md` has the table.

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
use crate::password::{self, Budget, Busy, Cost, Flaw, HashError, NewScheme, Recipe, Rules, Stored};
use crate::store::{AccountStore, Changed, Cursor, Seen, StoreError, StoreState};
use crate::throttle::{Guess, Ruling, Throttle};
use crate::{DomainName, Secret, Service};
use dummies::Dummies;
use familiar::Familiar;
use sample::Sample;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use verified::Verified;

#[cfg(test)]
mod tests;

pub use crate::password::MAX_PASSWORD;

/// Accounts in one page of an enumeration.
const PAGE: usize = 500;

/// Whoever decides about logins: an [`Authenticator`] over a store, or the client of a daemon that has one.
pub trait Authority: Send + Sync {
    /// Decides one request.
    fn authenticate(&self, request: Request) -> Answer<Box<Account>>;

    /// Changes a password, for somebody who knows the old one.
    fn change_password(&self, change: PasswordChange) -> Answer<()>;
}

/// A question about one login.
#[derive(Debug)]
pub struct Request {
    /// What the login is for.
    pub service: Service,
    /// The login as the client sent it.
    pub login: Vec<u8>,
    /// What proves it, or nothing for a look-up.
    pub credential: Credential,
    /// The address of the person's machine, where the daemon says.
    pub client: Option<String>,
    /// When the answer is worth nothing any more.
    pub deadline: Instant,
}

/// What proves that somebody may use an account.
#[derive(Debug)]
pub enum Credential {
    /// Nothing: the caller only wants to know the account. Who may ask this is the adapter's to say.
    Lookup,
    /// Nothing either: the caller wants the clear password too, and verifies the answer to a challenge by it. Who may ask
    /// this is the adapter's to say.
    Secret,
    /// The password itself.
    Password(Secret),
    /// The answer to a challenge.
    Cram(CramMechanism, CramResponse),
}

/// A password to change.
#[derive(Debug)]
pub struct PasswordChange {
    /// Proves that the login may be used: its credential is the old password.
    pub request: Request,
    /// The new password.
    pub new: Secret,
}

/// The rules that decisions follow, from the configuration.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Appended to a login without `@`.
    pub default_domain: Option<String>,
    /// Characters of which the last one stands for a missing `@` in a login.
    pub separators: String,
    /// What stands in for empty columns.
    pub mailbox: MailboxDefaults,
    /// How stored passwords are read.
    pub rules: Rules,
    /// Where new hashes are made, this scheme.
    pub scheme: NewScheme,
    /// The fewest characters of a new password.
    pub min_length: usize,
    /// May an account without restriction use a service whose name is not known?
    pub unknown_services: bool,
    /// Whether people may log in with the other names of their domain.
    pub alias_domains: bool,
    /// What separates details in addresses.
    pub delimiters: Delimiters,
    /// When refusals are sent.
    pub refusal_time: RefusalTime,
}

/// Decides logins over a store.
pub struct Authenticator {
    store: Arc<dyn AccountStore>,
    policy: Policy,
    budget: Arc<Budget>,
    dummies: Dummies,
    /// The file beside which their key is kept, if it is.
    key_place: Option<PathBuf>,
    /// Passwords that fitted lately, where they are remembered.
    verified: Option<Verified>,
    /// Accounts whose password was hashed and fitted not long ago.
    familiar: Familiar,
    /// What bounds guesses, where they are counted.
    throttle: Option<Throttle>,
    /// What decides in the place of this one, where it only finishes what it has begun.
    successor: OnceLock<Arc<Authenticator>>,
    counters: Arc<Counters>,
    log: DecisionLog,
}

/// How far a request came without hashing.
pub enum Step {
    /// It is decided.
    Decided(Answer<Box<Account>>),
    /// A password has to be hashed, which takes milliseconds: [`Authenticator::finish`], on a thread that may.
    Hash(Box<Verification>),
}

/// A look-up that is done and a password that is still to be tried.
pub struct Verification {
    asked: Asked,
    found: Found,
    password: Secret,
    familiar: bool,
}

/// What the log needs of a request.
struct Asked {
    purpose: Purpose,
    service: Service,
    login: Vec<u8>,
    client: Option<String>,
    deadline: Instant,
    begin: Instant,
    /// Where what is known of the account comes from, as far as it has come.
    from: Provenance,
    /// What counts if it is wrong.
    guess: Option<Guess>,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// What an account is.
    LookUp,
    /// What its clear password is.
    Secret,
    /// Whether a credential is right.
    Proof,
    /// To write to the row.
    Change,
}

/// What a look-up found to try a password on. There is always something to try it on.
struct Found {
    login: Login,
    seen: Seen,
    stored: Arc<Stored>,
    /// Why `stored` is not the row's own, where it is not.
    refusal: Option<No>,
}

/// How far a password can be tried without hashing.
enum Tried {
    Decided(Answer<Box<Account>>),
    /// It takes milliseconds.
    Heavy(Box<Found>),
    /// The answer is not wanted any more.
    Unwanted,
}

/// Whether an answer is still wanted. It is asked before a password is hashed.
type IsWanted<'w> = &'w dyn Fn() -> bool;

impl Verification {
    /// A hash of the login by which the account was looked up, under a key of this process.
    pub fn account_key(&self) -> u64 {
        familiar::key_of(&self.found.login)
    }

    /// The same of the network of the person's machine: an IPv4 address, or the first half of an IPv6 address.
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

    /// Returns true if this is a delivery agent's question about a recipient.
    fn is_for_mail(&self) -> bool {
        self.purpose == Purpose::LookUp && self.service == Service::Delivery
    }
}

impl Authenticator {
    /// Returns true if a home and Maildir that are missing are made at a login: `[mailbox] create`.
    pub fn makes_mailboxes(&self) -> bool {
        self.policy.mailbox.create
    }

    /// Decisions over `store` by `policy`, hashing within `budget`.
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

    /// Remembers passwords that fitted, as `config` has it, and counts in `counters` how often that helped and what the
    /// answers are: for a process that decides more than one login.
    #[must_use]
    pub fn remembering(mut self, config: &CacheConfig, counters: Arc<Counters>) -> Self {
        self.verified = Verified::new(config);
        self.counters = counters;
        self
    }

    /// Bounds guesses at passwords by `throttle`.
    #[must_use]
    pub fn throttled_by(mut self, throttle: Option<Throttle>) -> Self {
        self.throttle = throttle;
        self
    }

    /// What is appended to a login without `@`.
    pub fn default_domain(&self) -> Option<&str> {
        self.policy.default_domain.as_deref()
    }

    /// What bounds guesses at passwords, if anything does.
    pub fn throttle(&self) -> Option<&Throttle> {
        self.throttle.as_ref()
    }

    /// Keeps the key that chooses what passwords for unknown logins are tried on in a file beside `file`, from the first
    /// [`Authenticator::learn_kinds`] on. Without one, each process chooses otherwise.
    #[must_use]
    pub fn with_key_beside(mut self, file: &Path) -> Self {
        self.key_place = Some(file.to_owned());
        self
    }

    /// Reads a part of the table, 8,000 rows at most, to know which kinds of passwords it has: those for unknown logins
    /// are tried on the same kinds. Asks `go_on` before each query.
    ///
    /// # Errors
    /// When the table cannot be read.
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

    /// When to send a refusal of a request that came at `asked`, so that the time does not tell why it is refused.
    pub fn refuse_at(&self, asked: Instant) -> Instant {
        asked + self.policy.refusal_time.of_table(self.dummies.slowest())
    }

    /// Drops what is remembered of what was changed.
    pub fn forget(&self, changed: &Changed) {
        self.store.forget(changed);
        if let Some(successor) = self.successor.get() {
            successor.forget(changed);
        }
        // A password is remembered with the value that it fitted, so that nothing but a change of that matters.
        let login = match changed {
            Changed::Account(login) => Some(login),
            Changed::Everything => None,
            Changed::Alias(_) | Changed::Domain(_) | Changed::Additions => return,
        };
        if let Some(verified) = &self.verified {
            verified.forget(login);
        }
    }

    /// Leaves what comes to `successor`, and tells it of each change that this one is still told of or makes. To be called
    /// before `successor` reads its first row.
    pub fn leave_to(&self, successor: Arc<Authenticator>) {
        // One that has left already is asked nothing more by new clients, so that this cannot come twice.
        if self.successor.set(Arc::clone(&successor)).is_ok() {
            successor.dummies.take_over(&self.dummies);
            successor.familiar.take_over(&self.familiar);
            self.store.unnoted().iter().for_each(|changed| successor.forget(changed));
        }
    }

    /// Drops what is remembered of the account that has this login.
    pub fn forget_login(&self, login: &[u8]) {
        // Where no account can have it, there is nothing to forget.
        if let Ok(login) = Login::parse(login, self.policy.default_domain.as_deref()) {
            self.forget(&Changed::Account(login));
        }
    }

    /// What is known of the databases behind it.
    pub fn state(&self) -> StoreState {
        self.store.state()
    }

    /// Does everything that is quick: look-ups, challenges, passwords whose scheme is a plain digest, and those that fitted
    /// lately.
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
                    // Nothing was hashed for which that could be asked.
                    Tried::Unwanted => Answer::NotNow(NotNow::Late),
                },
            },
        };
        self.record_account(&asked, &answer);
        Step::Decided(answer)
    }

    /// A page of accounts from `after` on, in the order of their logins, and where the next page begins if there is one.
    ///
    /// Disabled accounts are left out, and so are rows that can never be used, which the log names: nobody can log in by
    /// them. A page that cannot be read is "not now".
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

    /// Judges the row that the store has, and once more if that was a kept one that must not be the last word.
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

    /// Returns true if mail bounces by `answer`, which another row than the one that was seen might not give.
    fn would_bounce<T>(&self, asked: &Asked, seen: &Seen, answer: &Answer<T>) -> bool {
        asked.is_for_mail()
            && matches!(answer, Answer::No(_))
            && (seen.may_be_old() || seen.is_copied() || self.store.may_lag())
    }

    /// Another row in the place of `seen`, where `answer` must not be given by that alone.
    fn newer<T>(
        &self,
        asked: &mut Asked,
        login: &Login,
        seen: &Seen,
        answer: &Answer<T>,
    ) -> Result<Option<Seen>, StoreError> {
        let by_the_row = match answer {
            // The caller may refuse a login by the clear password that it is given.
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
        // The same row gets the same answer, and need not be hashed for it again.
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
        // The answers to two challenges differ even where the password is the same. Where nothing is there to compare one
        // with, as for clients that try this first and then send the password, all of them are one guess.
        match compared.get() {
            true => self.weigh(asked, answer, &[response.challenge(), response.digest().expose()]),
            false => self.weigh(asked, answer, &[]),
        }
    }

    /// Counts a password that was wrong, and a network from which it was right.
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

    /// Refuses an attempt that is one too many.
    fn admit(&self, asked: &mut Asked, login: &Login) -> Result<(), Answer<Box<Account>>> {
        let (Some(throttle), Purpose::Proof | Purpose::Change) = (&self.throttle, asked.purpose) else { return Ok(()) };
        match throttle.judge(login, asked.client.as_deref()) {
            Ruling::Try(guess) => asked.guess = Some(guess),
            Ruling::Refuse(delay) => return Err(Answer::No(No::Throttled(delay))),
            Ruling::PutOff => return Err(Answer::NotNow(NotNow::Attacked)),
        }
        Ok(())
    }

    /// The answer, and whether there is a password that the response can be compared with.
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

    /// Tries `password` on what was found, and on what is there now if that was a kept row and does not fit. Without
    /// `is_wanted`, only as far as that is quick.
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

    /// Need the password not be hashed?
    fn fitted_lately(&self, asked: &Asked, found: &Found, password: &Secret) -> bool {
        let (Some(verified), Some(row), None) = (&self.verified, &found.seen.row, &found.refusal) else { return false };
        let fitted = found.stored.cost() != Cost::Cheap
            // Who is refused anyway is refused as slowly as for a wrong password.
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

    /// Tries the password, and notes how long that took.
    fn verify(&self, stored: &Stored, login: &str, password: &Secret) -> Result<bool, Flaw> {
        if stored.cost() == Cost::Cheap {
            return stored.verify(login, password.expose());
        }
        let begin = Instant::now();
        let verdict = stored.verify(login, password.expose());
        self.dummies.observe(stored.kind(), begin.elapsed());
        verdict
    }

    /// The last judgements, on an account that was proved or only looked up.
    fn permit(&self, asked: &Asked, row: AccountRow) -> Answer<Box<Account>> {
        if let Some(no) = self.barrier(asked, &row) {
            return Answer::No(no);
        }
        match self.policy.mailbox.resolve(row) {
            Ok(account) => Answer::Yes(Box::new(account)),
            Err(unusable) => failed(asked, unusable.into()),
        }
    }

    /// Why the account may not be used, whoever it is that asks.
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

    /// The login that a row is looked up by, in time.
    fn login(&self, asked: &mut Asked) -> Result<Login, Answer<Box<Account>>> {
        // In an address on an envelope such a character is one of its name.
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
            // What is to be replaced has to be what stands there.
            Purpose::Change => self.store.find_newest(login).map(Seen::new),
            Purpose::LookUp | Purpose::Secret | Purpose::Proof => self.store.look_up(login, asked.deadline),
        }
    }

    /// The login in the domain whose other name its domain is, for mail and if people may log in with that. It is looked up
    /// whether the login exists or not, so that the time that this takes tells nothing.
    fn of_own_domain(&self, asked: &mut Asked, login: Login) -> Result<Login, StoreError> {
        if !self.policy.alias_domains && !asked.is_for_mail() {
            return Ok(login);
        }
        asked.from = Provenance::Database;
        let Ok(name) = DomainName::parse(login.domain()) else { return Ok(login) };
        let other = self.store.alias_domain(&name)?;
        // One that is too long is no login of the other domain, as the one that was sent is none.
        let same =
            other.and_then(|other| Login::parse(format!("{}@{other}", login.local_part()).as_bytes(), None).ok());
        Ok(same.unwrap_or(login))
    }

    /// The look-up before a password is tried; refuses first the passwords that no scheme may see.
    fn find_for(&self, asked: &mut Asked, password: &Secret) -> Result<Found, Answer<Box<Account>>> {
        if password.is_empty() || password.len() > MAX_PASSWORD || password.expose().contains(&0) {
            return Err(Answer::No(No::UnusablePassword));
        }
        let login = self.login(asked)?;
        match self.read(asked, &login) {
            Ok(seen) => Ok(self.found(asked, login, seen)),
            // The password is hashed nevertheless, as it is for an unknown login.
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

    /// What to try a credential on, and why it is refused even if it fits that: whether it does must not be seen in the
    /// answer for a row that can never be used.
    fn stored_for(&self, asked: &Asked, login: &Login, row: Option<&AccountRow>) -> (Arc<Stored>, Option<No>) {
        let (stored, refusal) = self.stored_of(login, row);
        let unusable = || {
            let row = row.filter(|row| self.barrier(asked, row).is_none())?;
            self.policy.mailbox.problems(row).into_iter().next().map(No::UnusableAccount)
        };
        (stored, refusal.or_else(unusable))
    }

    /// What to try a password on: the row's own, or the dummy of this login, and why.
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

    /// Counts and logs what was decided of a login or an account.
    fn record_account(&self, asked: &Asked, answer: &Answer<Box<Account>>) {
        match answer {
            // The account is told all the same: it is asked about for other reasons too.
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

    /// Tries the password of `verification` within the budget, waiting for a place until its deadline.
    pub fn finish(&self, verification: Box<Verification>) -> Answer<Box<Account>> {
        self.finish_while(verification, &|| true).unwrap_or(Answer::NotNow(NotNow::Busy))
    }

    /// The same, but `None`, without having hashed the password, when the answer is not wanted any more. That is asked
    /// before the password waits for its place and when it has one.
    pub fn finish_while(
        &self,
        verification: Box<Verification>,
        is_wanted: &dyn Fn() -> bool,
    ) -> Option<Answer<Box<Account>>> {
        if !is_wanted() {
            return None;
        }
        let Verification { mut asked, found, password, .. } = *verification;
        // Others may have been wrong while it waited for its turn.
        if let (Some(throttle), Some(guess)) = (&self.throttle, &asked.guess)
            && let Some(delay) = throttle.judge_again(guess)
        {
            let answer = Answer::No(No::Throttled(delay));
            self.record(&asked, &answer);
            return Some(answer);
        }
        let answer = match self.settle(&mut asked, found, &password, Some(is_wanted)) {
            Tried::Decided(answer) => self.weigh(&asked, answer, &[password.expose()]),
            // Whoever may hash is never told to.
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
        // The store knows of its change; this is what else is remembered.
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

/// The answer where the store has no row to judge. A row that can never be used is no reason to try a login again; mail
/// for it waits until the row is corrected.
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
