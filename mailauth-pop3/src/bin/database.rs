//! `mailauth-pop3-database`: the checkpassword program that asks the database itself. `mailauth-pop3` replaces itself by
//! it while the daemon is down; it can also be used without any daemon.

use mailauth_core::answer::{Answer, Refusal};

use mailauth_core::authenticate::{Authenticator, Authority, PasswordChange, Request};

use mailauth_core::config::{Config, Source};
use mailauth_core::log::Log;
use mailauth_core::policy::RefusalTime;
use mailauth_core::{Account, Backend};
use mailauth_pop3::record::Received;
use mailauth_pop3::{End, LoginBackend, fallback, run};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// The database as the program's source of answers. Without the daemon, decisions are logged to the standard error.
struct Database {
    log: Log,
}

impl LoginBackend for Database {
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
        let backend = Backend::for_command(config).map_err(|error| End::NotNow(error.to_string()))?;
        Ok(Box::new(Even { authenticator: backend.authenticator, refusal_time: config.login.refusal_time }))
    }

    fn away(&self, _: Received, _: &Config, why: String) -> End {
        End::NotNow(why)
    }

    /// Adds why the daemon could not be asked, which is usually what has to be corrected.
    fn explain(&self, end: End) -> End {
        match (end, std::env::var_os(fallback::WHY)) {
            (End::NotNow(problem), Some(why)) => {
                End::NotNow(format!("{}; and when the database was asked in its place: {problem}", why.display()))
            }
            (end, _) => end,
        }
    }
}

/// Delays each refusal until a time that does not reveal its reason.
struct Even {
    authenticator: Arc<Authenticator>,
    refusal_time: RefusalTime,
}

impl Authority for Even {
    fn authenticate(&self, request: Request) -> Answer<Box<Account>> {
        let at = Instant::now() + self.refusal_time.of_one();
        let answer = self.authenticator.authenticate(request);
        if matches!(answer, Err(Refusal::No(_))) {
            // This process has nothing else to do meanwhile.
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
        }
        answer
    }

    fn change_password(&self, change: PasswordChange) -> Answer<()> {
        self.authenticator.change_password(change)
    }
}

fn main() -> ExitCode {
    run(&Database { log: Log::start() }).into()
}
