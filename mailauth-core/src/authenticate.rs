//! The one place where a login is decided.
//!
//! [`Authenticator`] makes a sequence of judgements, each of which may end it: the login can be one, the row is there,
//! the password fits, the account and its domain are enabled, the service is permitted, the row can be trusted. Up to
//! the password's verdict the work is the same whether the login exists or not.

mod answer;
mod usual;

pub use answer::{Answer, No, NotNow};

use crate::account::{Account, AccountRow, Login, Password};
use crate::challenge::{CramMechanism, CramResponse};
use crate::decision_log::{Decision, DecisionLog};
use crate::mailbox::MailboxDefaults;
use crate::password::{self, Budget, Cost, Flaw, HashError, NewScheme, Recipe, Rules, Stored};
use crate::store::AccountStore;
use crate::{Secret, Service};
use std::sync::Arc;
use std::time::Instant;
use usual::UsualScheme;

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
}

/// Decides logins over a store.
pub struct Authenticator {
    store: Arc<dyn AccountStore>,
    policy: Policy,
    budget: Arc<Budget>,
    usual: UsualScheme,
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
}

/// What the log needs of a request.
struct Asked {
    service: Service,
    login: Vec<u8>,
    client: Option<String>,
    deadline: Instant,
    begin: Instant,
}

/// What a look-up found to try a password on. There is always something to try it on.
struct Found {
    row: Option<AccountRow>,
    stored: Arc<Stored>,
    /// Why `stored` is not the row's own, where it is not.
    refusal: Option<No>,
}

impl Authenticator {
    /// Decisions over `store` by `policy`, hashing within `budget`.
    pub fn new(store: Arc<dyn AccountStore>, policy: Policy, budget: Arc<Budget>) -> Self {
        let usual = UsualScheme::new(policy.scheme, &policy.rules);
        Authenticator { store, policy, budget, usual, log: DecisionLog::default() }
    }

    /// Does everything that is quick: look-ups, challenges, and passwords whose scheme is a plain digest.
    pub fn begin(&self, request: Request) -> Step {
        let asked = Asked {
            service: request.service,
            login: request.login,
            client: request.client,
            deadline: request.deadline,
            begin: Instant::now(),
        };
        let answer = match request.credential {
            Credential::Lookup => self.look_up(&asked),
            Credential::Cram(mechanism, response) => self.try_challenge(&asked, mechanism, &response),
            Credential::Password(password) => match self.find_for(&asked, &password) {
                Err(answer) => answer,
                Ok(found) if found.stored.cost() == Cost::Cheap => self.try_password(&asked, found, &password),
                Ok(found) => return Step::Hash(Box::new(Verification { asked, found, password })),
            },
        };
        self.record(&asked, &answer);
        Step::Decided(answer)
    }

    /// At most so many accounts after the login `after`, in the order of their logins, and whether more may follow.
    ///
    /// Disabled accounts are left out. A row that cannot be trusted makes the whole page "not now": a list that lacks an
    /// account must not look complete.
    pub fn enumerate(&self, after: Option<&Login>) -> Answer<(Vec<Account>, Option<Login>)> {
        let page = match self.store.enumerate(after, PAGE) {
            Ok(page) => page,
            Err(error) => return Answer::NotNow(error.into()),
        };
        let mut last = None;
        let mut accounts = Vec::with_capacity(page.len());
        for row in page {
            let account = row.map(|row| {
                last = Some(row.login.clone());
                (row.enabled && row.domain_enabled).then(|| self.policy.mailbox.resolve(row)).transpose()
            });
            match account.and_then(|resolved| resolved) {
                Ok(account) => accounts.extend(account),
                Err(unusable) => return Answer::NotNow(NotNow::Store(unusable.into())),
            }
        }
        Answer::Yes((accounts, last))
    }

    fn look_up(&self, asked: &Asked) -> Answer<Box<Account>> {
        match self.find(asked) {
            Ok(Some(row)) => self.permit(asked, row, Service::Delivery == asked.service),
            Ok(None) => Answer::No(No::UnknownLogin),
            Err(answer) => answer,
        }
    }

    fn try_challenge(&self, asked: &Asked, mechanism: CramMechanism, response: &CramResponse) -> Answer<Box<Account>> {
        let row = match self.find(asked) {
            Ok(row) => row,
            Err(answer) => return answer,
        };
        let found = self.stored_of(row);
        let fits = response.verify(mechanism, &found.stored);
        match found {
            Found { refusal: Some(no), .. } => Answer::No(no),
            Found { row: Some(row), .. } if fits => self.permit(asked, row, false),
            Found { stored, .. } if stored.clear().is_none() => Answer::No(No::NoClearPassword),
            _ => Answer::No(No::WrongPassword),
        }
    }

    fn try_password(&self, asked: &Asked, found: Found, password: &Secret) -> Answer<Box<Account>> {
        let login = found.row.as_ref().map_or("", |row| row.login.as_str());
        let verdict = found.stored.verify(login, password.expose());
        match (found.refusal, verdict, found.row) {
            (Some(no), _, _) => Answer::No(no),
            (None, Ok(true), Some(row)) => self.permit(asked, row, false),
            (None, Err(flaw), _) => Answer::No(No::UnusableHash(flaw)),
            _ => Answer::No(No::WrongPassword),
        }
    }

    /// The last judgements, on an account that was proved or only looked up.
    fn permit(&self, asked: &Asked, row: AccountRow, any_service: bool) -> Answer<Box<Account>> {
        if !row.domain_enabled {
            return Answer::No(No::DomainDisabled);
        }
        if !row.enabled {
            return Answer::No(No::AccountDisabled);
        }
        if !any_service && !row.services.permit(&asked.service, self.policy.unknown_services) {
            return Answer::No(No::ServiceNotAllowed);
        }
        match self.policy.mailbox.resolve(row) {
            Ok(account) => Answer::Yes(Box::new(account)),
            Err(unusable) => Answer::NotNow(NotNow::Store(unusable.into())),
        }
    }

    fn find(&self, asked: &Asked) -> Result<Option<AccountRow>, Answer<Box<Account>>> {
        let login = Login::parse(&asked.login, self.policy.default_domain.as_deref())
            .map_err(|error| Answer::No(No::UnusableLogin(error)))?;
        if Instant::now() >= asked.deadline {
            return Err(Answer::NotNow(NotNow::Late));
        }
        self.store.find(&login).map_err(|error| Answer::NotNow(error.into()))
    }

    /// The look-up before a password is tried; refuses first the passwords that no scheme may see.
    fn find_for(&self, asked: &Asked, password: &Secret) -> Result<Found, Answer<Box<Account>>> {
        if password.is_empty() || password.len() > MAX_PASSWORD || password.expose().contains(&0) {
            return Err(Answer::No(No::UnusablePassword));
        }
        Ok(self.stored_of(self.find(asked)?))
    }

    /// What to try a password on: the row's own, or a dummy that costs as much as the table's usual scheme.
    fn stored_of(&self, row: Option<AccountRow>) -> Found {
        let Some(row) = row else {
            return Found { row: None, stored: self.usual.dummy(), refusal: Some(No::UnknownLogin) };
        };
        match Stored::parse(row.password.0.expose(), &self.policy.rules) {
            Ok(stored) => {
                self.usual.observe(&stored);
                Found { row: Some(row), stored: Arc::new(stored), refusal: None }
            }
            Err(flaw) => {
                let no = match flaw {
                    Flaw::Empty => No::NoPassword,
                    Flaw::Locked => No::PasswordLocked,
                    flaw => No::UnusableHash(flaw),
                };
                Found { row: Some(row), stored: self.usual.dummy(), refusal: Some(no) }
            }
        }
    }

    fn record<T>(&self, asked: &Asked, answer: &Answer<T>) {
        self.log.record(&Decision {
            service: &asked.service,
            login: &asked.login,
            client: asked.client.as_deref(),
            took: asked.begin.elapsed(),
            outcome: answer.outcome(),
        });
    }

    /// Tries the password of `verification` within the budget, waiting for a place until its deadline.
    pub fn finish(&self, verification: Box<Verification>) -> Answer<Box<Account>> {
        let Verification { asked, found, password } = *verification;
        let cost = found.stored.cost();
        let answer = self
            .budget
            .run(cost, asked.deadline, || self.try_password(&asked, found, &password))
            .unwrap_or(Answer::NotNow(NotNow::Busy));
        self.record(&asked, &answer);
        answer
    }

    fn change(&self, asked: &Asked, old: &Secret, new: &Secret) -> Answer<()> {
        let found = match self.find_for(asked, old) {
            Ok(found) => found,
            Err(answer) => return answer.without_value(),
        };
        let row = found.row.clone();
        let recipe = password::keep_or_improve(found.refusal.is_none().then_some(&*found.stored), self.policy.scheme);
        let cost = found.stored.cost();
        let proved = self.budget.run(cost, asked.deadline, || self.try_password(asked, found, old));
        match (proved, row) {
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
        match self.store.set_password(&row.login, &row.password, &new) {
            Ok(true) => Answer::Yes(()),
            Ok(false) => Answer::No(No::WrongPassword),
            Err(error) => Answer::NotNow(error.into()),
        }
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
        let asked = Asked { service, login, client, deadline, begin: Instant::now() };
        let answer = match credential {
            Credential::Password(old) => self.change(&asked, &old, &change.new),
            Credential::Lookup | Credential::Cram(..) => Answer::No(No::UnusablePassword),
        };
        self.record(&asked, &answer);
        answer
    }
}
