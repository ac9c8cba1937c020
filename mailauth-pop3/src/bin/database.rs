//! `mailauth-pop3-database`: the checkpassword program that asks the database itself. `mailauth-pop3` becomes it when
//! the daemon is away; it can also be used without any daemon.

use mailauth_core::Account;
use mailauth_core::authenticate::{Answer, Authenticator, Authority, PasswordChange, Request, Step};
use mailauth_core::config::{Config, Source};
use mailauth_core::log::Log;
use mailauth_core::password::{self, NewScheme};
use mailauth_core::store::open_single;
use mailauth_pop3::record::Received;
use mailauth_pop3::{End, Way, fallback, run};
use std::process::ExitCode;
use std::sync::Arc;

/// Decides here. There is no daemon to log the decision, so it goes to the standard error.
struct Database {
    log: Log,
}

impl Way for Database {
    fn program(&self) -> &'static str {
        fallback::PROGRAM
    }

    fn asks(&self, config: &Config) -> String {
        format!("the database {}", config.database.url)
    }

    fn configuration(&self) -> Result<(Config, Source), End> {
        let (config, source) = Config::load(None).map_err(|errors| End::NotNow(errors.to_string()))?;
        self.log.configure(&config.log);
        Ok((config, source))
    }

    fn authority(&self, config: &Config) -> Result<Box<dyn Authority>, End> {
        let store = open_single(&config.database).map_err(|error| End::NotNow(error.to_string()))?;
        let authenticator = Authenticator::new(Arc::new(store), config.policy(), Arc::new(config.budget()));
        Ok(Box::new(Even { authenticator, scheme: config.password.scheme }))
    }

    fn away(&self, _: Received, _: &Config, why: String) -> End {
        End::NotNow(why)
    }

    /// What is to be cured is most often that the daemon could not be asked.
    fn explain(&self, end: End) -> End {
        match (end, std::env::var_os(fallback::WHY)) {
            (End::NotNow(problem), Some(why)) => {
                End::NotNow(format!("{}; and when the database was asked in its place: {problem}", why.display()))
            }
            (end, _) => end,
        }
    }
}

/// Refuses in the time of a hash, at the least. An unknown login costs one of the configured scheme, for this process has
/// seen no row yet; so a known one that is refused without any, as its password is stored in clear or as a plain digest,
/// costs one too.
struct Even {
    authenticator: Authenticator,
    scheme: NewScheme,
}

impl Authority for Even {
    fn authenticate(&self, request: Request) -> Answer<Box<Account>> {
        match self.authenticator.begin(request) {
            Step::Hash(verification) => self.authenticator.finish(verification),
            Step::Decided(answer) => {
                if matches!(answer, Answer::No(_)) {
                    // Only the time that it takes is wanted.
                    let _ = password::hash(self.scheme, b"nobody's password");
                }
                answer
            }
        }
    }

    fn change_password(&self, change: PasswordChange) -> Answer<()> {
        self.authenticator.change_password(change)
    }
}

fn main() -> ExitCode {
    run(&Database { log: Log::start() }).into()
}
