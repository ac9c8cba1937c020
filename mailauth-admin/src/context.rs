//! The configuration, and the store that it names, for all commands.

use crate::failure::Failure;
use crate::output::remark;
use mailauth_core::account::LoginError;
use mailauth_core::answer::{NotNow, Refusal};
use mailauth_core::config::{Config, DatabaseConfig, Source};
use mailauth_core::store::{Changed, SqlStore, open_single};
use mailauth_core::{DomainName, Login};
use mailauth_protocol::client::Client;
use std::path::Path;
use std::time::{Duration, Instant};

/// Maximum time to tell the daemon of a change. Usually it takes much less than a millisecond.
const PATIENCE: Duration = Duration::from_millis(500);

/// A configuration that was read.
pub struct Context {
    pub config: Config,
    /// Database, with the database user of this command.
    pub database: DatabaseConfig,
}

impl Context {
    /// Loads the configuration, and prints its warnings to the standard error.
    pub fn load(file: Option<&Path>) -> Result<Self, Failure> {
        let (config, source) = Config::load_for_administration(file)?;
        warn(source);
        Ok(Context { database: config.for_administration(), config })
    }

    /// Loads the configuration for work that the daemon does otherwise, with the database user of the daemon. The section
    /// `[admin]` is not read.
    pub fn load_as_daemon(file: Option<&Path>) -> Result<Self, Failure> {
        Self::of_daemon(Config::load_or_default(file)?)
    }

    /// Loads the configuration for a command that a mail server starts. Fails if there is no configuration.
    pub fn load_for_delivery(file: Option<&Path>) -> Result<Self, Failure> {
        Self::of_daemon(Config::load(file)?)
    }

    fn of_daemon((config, source): (Config, Source)) -> Result<Self, Failure> {
        warn(source);
        Ok(Context { database: config.database.clone(), config })
    }

    /// Opens the accounts. No connection is made yet.
    pub fn store(&self) -> Result<SqlStore, Failure> {
        Ok(open_single(&self.database)?)
    }

    /// Changes the database by `work`, and tells the daemon of this host about it, so that the daemon uses no older rows.
    /// A change that failed is also reported, because it may have been made nevertheless, unless no statement that writes
    /// was sent.
    pub fn change<T, E>(
        &self,
        store: &SqlStore,
        what: &[Changed],
        work: impl FnOnce(&SqlStore) -> Result<T, E>,
    ) -> Result<T, E> {
        let before = store.writes_sent();
        let done = work(store);
        self.tell_of_writes(store, before, what);
        done
    }

    /// Tells the daemon about changes if a statement that writes was sent after there had been `before` of them.
    pub fn tell_of_writes(&self, store: &SqlStore, before: u64, what: &[Changed]) {
        if store.writes_sent() != before {
            self.tell_daemon(what);
        }
    }

    /// Tells the daemon about changes. An error is not a failure, because the daemon notices the change itself after a
    /// short time.
    pub fn tell_daemon(&self, what: &[Changed]) {
        let daemon = Client::for_daemon(&self.config, PATIENCE);
        let refused = what.iter().find_map(|changed| match daemon.forget(changed, Instant::now() + PATIENCE) {
            // Courier's daemon does not know this request, and remembers nothing.
            Ok(()) | Err(Refusal::NotNow(NotNow::Daemon(_))) => None,
            Err(Refusal::No(_)) => Some("it accepts this only from root and its own user".to_owned()),
            Err(Refusal::NotNow(why)) => Some(why.to_string()),
        });
        let Some(why) = refused else { return };
        let late = self.config.cache.found.as_secs_f32();
        remark(format_args!(
            "note: mailauth-courier could not be notified, and may take up to {late} s to see the change: {why}"
        ));
    }

    /// Reads the login of an account that may exist. It need not be valid for a new account, because other programs write
    /// to the table too.
    pub fn login(&self, text: &str) -> Result<Login, Failure> {
        self.typed(text).map_err(|error| Failure::usage(format!("{text:?}: {error}")))
    }

    /// Reads the address of the account that receives a message.
    pub fn recipient(&self, text: &str) -> Result<Login, Failure> {
        let login = Login::typed(text.as_bytes(), self.config.login.default_domain.as_deref(), "");
        login.map_err(|error| Failure::usage(format!("{text:?}: {error}")))
    }

    /// Reads the login of an account to add.
    pub fn new_login(&self, text: &str) -> Result<Login, Failure> {
        let login = self.typed(text).map_err(|error| error.to_string()).and_then(addable);
        login.map_err(|problem| Failure::usage(format!("{text:?}: {problem}")))
    }

    fn typed(&self, text: &str) -> Result<Login, LoginError> {
        let rules = &self.config.login;
        Login::typed(text.as_bytes(), rules.default_domain.as_deref(), &rules.separators)
    }
}

fn warn(source: Source) {
    for warning in source.warnings {
        remark(format_args!("warning: {warning}"));
    }
}

/// Reads a login that an account may be added under, with a domain that can have a name.
pub fn read_login(text: &[u8], config: &Config) -> Result<Login, String> {
    let login = Login::typed(text, config.login.default_domain.as_deref(), "").map_err(|error| error.to_string())?;
    addable(login)
}

fn addable(login: Login) -> Result<Login, String> {
    if login.domain().is_empty() {
        return Err("the login has no domain; use the form name@example.org".to_owned());
    }
    DomainName::parse(login.domain()).map_err(|error| error.to_string())?;
    Ok(login)
}

/// Reads the name of a domain to add.
pub fn read_new_domain(text: &str) -> Result<DomainName, String> {
    DomainName::parse_new(text).map_err(|error| error.to_string())
}

/// Reads the name of a domain as an administrator writes it.
pub fn read_domain(text: &str) -> Result<DomainName, String> {
    DomainName::parse(text).map_err(|error| error.to_string())
}
