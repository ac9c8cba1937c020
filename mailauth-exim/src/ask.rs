//! Gets the answer to a question from the daemon, or while the daemon is down, from the program that asks the database.

use crate::question::Question;
use mailauth_core::answer::{Answer, No, NotNow, Refusal};
use mailauth_core::authenticate::{Authority, Credential, Request};
use mailauth_core::config::{Config, Fallback};
use mailauth_core::password::Stored;
use mailauth_core::{Account, Login, Secret, Service};
use mailauth_protocol::Question as Route;
use mailauth_protocol::client::Client;
use std::cell::RefCell;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Name of the program that asks the database while the daemon is down. It is in the folder of the object or program.
pub const DATABASE_PROGRAM: &str = "mailauth-exim-database";

/// The daemon or the database, and what the last answer was about.
pub struct Asker {
    daemon: Client,
    database: Option<Client>,
    patience: Duration,
    /// Login of the account of the last yes, as the table spells it.
    login: RefCell<Option<Login>>,
}

impl Asker {
    /// Asks the daemon that `config` names, and while it is down and the configuration permits it, `database`, a program
    /// with its arguments. An account in an answer of either must be one that `[mailbox]` permits.
    pub fn new(config: &Config, database: Option<Vec<OsString>>) -> Self {
        let patience = config.client.deadline;
        let database = database.filter(|_| config.client.fallback == Fallback::Database);
        Asker {
            daemon: Client::from_config(config),
            database: database
                .map(|command| Client::for_program(command, patience).permitting(Arc::new(config.mailbox.clone()))),
            patience,
            login: RefCell::default(),
        }
    }

    /// Looks the daemon's user up now, and not for each question: [`Client::knowing_user`].
    #[must_use]
    pub fn knowing_user(self) -> Self {
        Asker { daemon: self.daemon.knowing_user(), ..self }
    }

    /// Returns the login of the account of the last yes, as the table spells it, if that answer contained an account.
    pub fn login(&self) -> Option<Login> {
        self.login.borrow().clone()
    }

    /// Returns the answer, and the text that belongs to a yes. Takes at most the deadline of the configuration, or twice
    /// that if the daemon does not answer and the database is asked.
    pub fn ask(&self, question: &Question) -> Answer<Secret> {
        self.login.take();
        let answer = self.ask_by(&self.daemon, question);
        let (Err(Refusal::NotNow(NotNow::NoDaemon(why))), Some(database)) = (&answer, &self.database) else {
            return answer;
        };
        self.ask_by(database, question).map_err(|refusal| match refusal {
            Refusal::NotNow(NotNow::NoDaemon(too) | NotNow::Daemon(too)) => {
                NotNow::NoDaemon(format!("{why}; and the database cannot be asked in its place: {too}")).into()
            }
            refusal => refusal,
        })
    }

    fn ask_by(&self, client: &Client, question: &Question) -> Answer<Secret> {
        let deadline = Instant::now() + self.patience;
        let route = |route: Route| client.route(&route, deadline).map(|text| text.into_bytes().into());
        match question {
            Question::Login { service, login, password, client: address } => {
                let credential = Credential::Password(password.clone());
                let service = Service::from_name(service);
                let request = Request { service, login: login.clone(), credential, client: address.clone(), deadline };
                self.noted(client.authenticate(request)).map(|_| Secret::default())
            }
            Question::Cram(login) => {
                // CRAM-MD5 is offered by SMTP, so the account must be permitted to use SMTP.
                let (service, credential) = (Service::Smtp, Credential::Secret);
                let request = Request { service, login: login.clone(), credential, client: None, deadline };
                clear_password(&*self.noted(client.authenticate(request))?)
            }
            Question::Domain(name) => route(Route::Domain(name.clone())),
            Question::Account(address) => route(Route::Account(address.clone())),
            Question::Alias(address) => route(Route::Alias(address.clone())),
            Question::Sender { login, address } => {
                let address = if address == b"<>" { Vec::new() } else { address.clone() };
                route(Route::Sender { login: login.clone(), address })
            }
            Question::MayStore(address, size) | Question::Recipient(address, size) => {
                route(Route::Recipient { address: address.clone(), size: *size })
            }
        }
    }
}

impl Asker {
    /// Returns the same answer and remembers its login.
    fn noted(&self, answer: Answer<Box<Account>>) -> Answer<Box<Account>> {
        self.login.replace(answer.as_ref().ok().map(|account| account.login.clone()));
        answer
    }
}

/// Returns the password in clear that an account came with.
fn clear_password(account: &Account) -> Answer<Secret> {
    let stored = Stored::parse(account.password.0.expose(), &Default::default());
    let clear = stored.as_ref().ok().and_then(Stored::clear).ok_or(No::NoClearPassword)?;
    Ok(clear.into())
}
