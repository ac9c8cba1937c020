//! `mailauth-pop3-database`: the checkpassword program that asks the database itself. `mailauth-pop3` becomes it when
//! the daemon is away; it can also be used without any daemon.

use mailauth_core::authenticate::{Authenticator, Authority};
use mailauth_core::config::{Config, Source};
use mailauth_core::store::open_single;
use mailauth_pop3::record::Received;
use mailauth_pop3::{End, Way, fallback, run};
use std::process::ExitCode;
use std::sync::Arc;

/// Decides here. There is no daemon to log the decision, so it goes to the standard error.
struct Database;

impl Way for Database {
    fn program(&self) -> &'static str {
        fallback::PROGRAM
    }

    fn asks(&self, config: &Config) -> String {
        format!("the database {}", config.database.url)
    }

    fn configuration(&self) -> Result<(Config, Source), End> {
        Config::load(None).map_err(|errors| End::NotNow(errors.to_string()))
    }

    fn authority(&self, config: &Config) -> Result<Box<dyn Authority>, End> {
        let store = open_single(&config.database).map_err(|error| End::NotNow(error.to_string()))?;
        Ok(Box::new(Authenticator::new(Arc::new(store), config.policy(), Arc::new(config.budget()))))
    }

    fn away(&self, _: Received, _: &Config, why: String) -> End {
        End::NotNow(why)
    }
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    run(&Database)
}
