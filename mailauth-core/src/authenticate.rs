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

mod at_once;
mod change;
mod cram;
mod dummies;
mod familiar;
mod flush;
mod judge;
mod key_file;
mod password;
mod request;
mod sample;
mod scram;
mod together;
mod verified;

pub use crate::password::MAX_PASSWORD;
pub use at_once::AtOnce;
pub use flush::Flushed;
pub use password::{Step, Verification};
pub use request::{Credential, PasswordChange, Request};
pub use together::{PendingLogin, PendingLogins, finish_together};

use crate::account::{Account, AccountRow, Login, Password};
use crate::answer::{Answer, No, NotNow};
use crate::config::CacheConfig;
use crate::counters::Counters;
use crate::decision_log::{Decision, DecisionLog, Kind};
use crate::mailbox::{MailboxDefaults, Unusable};
use crate::password::{Budget, Stored};
use crate::policy::Policy;
use crate::store::{AccountStore, Changed, Cursor, StoreError, StoreState};
use crate::throttle::Throttle;
use dummies::Dummies;
use familiar::Familiar;
use request::{Purpose, RequestContext};
use sample::Sample;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use verified::VerifiedPasswords;

#[cfg(test)]
mod tests;

/// Number of accounts in one page of an enumeration.
const PAGE: usize = 500;

/// Decides about logins: an [`Authenticator`] over a store, or the client of a daemon that has one.
pub trait Authority: Send + Sync {
    /// Decides one request.
    fn authenticate(&self, request: Request) -> Answer<Box<Account>>;

    /// Changes a password, for a client that knows the old one.
    fn change_password(&self, change: PasswordChange) -> Answer<()>;
}

/// What a yes to a login carries.
trait Grant: Sized {
    /// Returns it for this row.
    fn grant(row: &AccountRow, mailbox: &MailboxDefaults) -> Result<Self, Unusable>;

    /// Returns why it can never be returned for this row.
    fn problem(row: &AccountRow, mailbox: &MailboxDefaults) -> Option<Unusable>;

    /// Returns the stored password, if it is part of the value.
    fn password(&self) -> Option<&Password>;
}

/// The account, with its mailbox.
impl Grant for Box<Account> {
    fn grant(row: &AccountRow, mailbox: &MailboxDefaults) -> Result<Self, Unusable> {
        mailbox.account_of(row).map(Box::new)
    }

    fn problem(row: &AccountRow, mailbox: &MailboxDefaults) -> Option<Unusable> {
        mailbox.problems(row).into_iter().next()
    }

    fn password(&self) -> Option<&Password> {
        Some(&self.as_ref().password)
    }
}

/// The login, for a program that has nothing to do with mailboxes.
impl Grant for Login {
    fn grant(row: &AccountRow, _: &MailboxDefaults) -> Result<Self, Unusable> {
        Ok(row.login.clone())
    }

    fn problem(_: &AccountRow, _: &MailboxDefaults) -> Option<Unusable> {
        None
    }

    fn password(&self) -> Option<&Password> {
        None
    }
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
    verified: Option<VerifiedPasswords>,
    /// Accounts whose password was hashed and right not long ago.
    familiar: Familiar,
    /// Limits on guessing, if guesses are counted.
    throttle: Option<Throttle>,
    /// The authenticator that replaced this one, which then only finishes what it has begun.
    successor: OnceLock<Arc<Authenticator>>,
    counters: Arc<Counters>,
    log: DecisionLog,
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
        self.verified = VerifiedPasswords::new(config);
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
                 strangers can tell that an account with such a password exists; hash these passwords again at a lower cost, \
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

    /// Decides one request, on the calling thread.
    pub fn authenticate(&self, request: Request) -> Answer<Box<Account>> {
        match self.begin(request) {
            Step::Decided(answer) => answer,
            Step::Hash(verification) => self.finish(verification),
        }
    }

    /// Decides whether a login may use the service, for a program that has nothing to do with mailboxes. Returns the
    /// login as it is written in the table. In contrast to [`Authenticator::authenticate`], the row may lack a uid, a gid
    /// and a home.
    ///
    /// ```
    /// use mailauth_core::account::{AccountRow, Password};
    /// use mailauth_core::answer::{No, Refusal};
    /// use mailauth_core::authenticate::{Authenticator, Request};
    /// use mailauth_core::config::Config;
    /// use mailauth_core::store::{AccountStore, StoreError};
    /// use mailauth_core::{Login, Service};
    /// use std::sync::Arc;
    ///
    /// /// One account.
    /// struct Anna;
    ///
    /// impl AccountStore for Anna {
    ///     fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
    ///         let row = || AccountRow { password: Password("{PLAIN}open sesame".into()), ..AccountRow::new(login.clone()) };
    ///         Ok((login.as_str() == "anna@example.org").then(row))
    ///     }
    /// }
    ///
    /// let config = Config::default();
    /// let authenticator = Authenticator::new(Arc::new(Anna), config.policy(), Arc::new(config.budget()));
    /// let request = |password| Request::password(Service::Imap, "anna@example.org", password);
    /// assert_eq!(authenticator.verify(request("open sesame")).unwrap().as_str(), "anna@example.org");
    /// assert_eq!(authenticator.verify(request("a guess")), Err(Refusal::No(No::WrongPassword)));
    /// ```
    pub fn verify(&self, request: Request) -> Answer<Login> {
        match self.begin_for(request) {
            Step::Decided(answer) => answer,
            Step::Hash(verification) => self.finish_for(verification, &|| true).unwrap_or(Err(NotNow::Busy.into())),
        }
    }

    /// Does everything that is quick: look-ups, challenges, passwords whose scheme is a plain digest, and recently
    /// verified passwords.
    pub fn begin(&self, request: Request) -> Step {
        self.begin_for(request)
    }

    fn begin_for<A: Grant>(&self, request: Request) -> Step<A> {
        let Request { service, login, credential, client, deadline } = request;
        let context = |purpose| RequestContext::new(purpose, service, login, client, deadline);
        match credential {
            Credential::Lookup => Step::Decided(self.look_up(context(Purpose::LookUp))),
            Credential::Secret => Step::Decided(self.look_up(context(Purpose::Secret))),
            Credential::Password(password) => self.begin_with_password(context(Purpose::Proof), password),
            Credential::Scram(response) => {
                let mut context = context(Purpose::Proof);
                let answer = self.answer_scram(&mut context, &response);
                self.record(&context, &answer);
                Step::Decided(answer)
            }
            Credential::Cram(mechanism, response) => {
                let mut context = context(Purpose::Proof);
                let answer = self.answer_challenge(&mut context, mechanism, &response);
                self.record(&context, &answer);
                Step::Decided(answer)
            }
        }
    }

    /// Tries the password of `verification` within the budget. Waits for a permit until the deadline.
    pub fn finish(&self, verification: Box<Verification>) -> Answer<Box<Account>> {
        self.finish_while(verification, &|| true).unwrap_or(Err(NotNow::Busy.into()))
    }

    /// Does the same, but returns `None` without hashing if the answer is no longer wanted. `is_wanted` is called
    /// before the password waits for its permit and after it gets it.
    pub fn finish_while(
        &self,
        verification: Box<Verification>,
        is_wanted: &dyn Fn() -> bool,
    ) -> Option<Answer<Box<Account>>> {
        self.finish_for(verification, is_wanted)
    }

    /// Returns a page of accounts after `after`, in the order of [`AccountStore::enumerate`], and the beginning of the next
    /// page if there is one.
    ///
    /// Disabled accounts are left out, and so are rows that can never be used, which the log names: no login is
    /// accepted for them. A page that cannot be read is "not now".
    pub fn enumerate(&self, after: Option<&Cursor>) -> Answer<(Vec<Account>, Option<Cursor>)> {
        let page = self.store.enumerate(after, PAGE)?;
        let mut accounts = Vec::with_capacity(page.rows.len());
        for row in page.rows {
            let account = row
                .map(|row| (row.enabled && row.domain_enabled).then(|| self.policy.mailbox.resolve(row)).transpose());
            match account.and_then(|resolved| resolved) {
                Ok(account) => accounts.extend(account),
                Err(unusable) => self.log.left_out(&unusable),
            }
        }
        Ok((accounts, page.next))
    }

    fn look_up<A: Grant>(&self, mut context: RequestContext) -> Answer<A> {
        let answer = self.judge(&mut context, |context, _, row| match row {
            Some(row) => self.permit(context, row),
            None => Err(No::UnknownLogin.into()),
        });
        self.record_look_up(&context, &answer);
        answer
    }

    /// Counts and logs the answer to a look-up. An account without a clear password is recorded as a no if that was
    /// wanted. The caller gets the account all the same, because it is looked up for other reasons too.
    fn record_look_up<A: Grant>(&self, context: &RequestContext, answer: &Answer<A>) {
        let password = answer.as_ref().ok().and_then(Grant::password);
        if context.purpose == Purpose::Secret && password.is_some_and(|password| !self.is_clear(password)) {
            self.record(context, &Err::<(), _>(No::NoClearPassword.into()));
        } else {
            self.record(context, answer);
        }
    }

    fn is_clear(&self, password: &Password) -> bool {
        Stored::parse(password.0.expose(), &self.policy.rules).is_ok_and(|stored| stored.clear().is_some())
    }

    /// Counts and logs an answer.
    fn record<T>(&self, context: &RequestContext, answer: &Answer<T>) {
        let (kind, tally) = match context.purpose {
            Purpose::LookUp => (Kind::LookUp, &self.counters.lookups),
            Purpose::Secret => (Kind::Secret, &self.counters.secrets),
            Purpose::Proof => (Kind::Login, &self.counters.logins),
            Purpose::Change => (Kind::Change, &self.counters.changes),
        };
        let took = context.begin.elapsed();
        tally.count(answer);
        tally.time(context.from, context.hashed, took);
        self.log.record(&Decision {
            kind,
            service: &context.service,
            login: &context.login,
            client: context.client.as_deref(),
            took,
            from: context.from,
            answer: answer.as_ref().map(drop),
        });
    }
}

impl Authority for Authenticator {
    fn authenticate(&self, request: Request) -> Answer<Box<Account>> {
        Authenticator::authenticate(self, request)
    }

    fn change_password(&self, change: PasswordChange) -> Answer<()> {
        let Request { service, login, credential, client, deadline } = change.request;
        let mut context = RequestContext::new(Purpose::Change, service, login, client, deadline);
        let answer = match credential {
            Credential::Password(old) => self.change(&mut context, &old, &change.new),
            Credential::Lookup | Credential::Secret | Credential::Cram(..) | Credential::Scram(_) => {
                Err(No::UnusablePassword.into())
            }
        };
        self.record(&context, &answer);
        answer
    }
}
