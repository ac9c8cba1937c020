//! The source of answers, and the questions that it is asked about a record.

use crate::caller::Caller;
use crate::record::{Received, Record};
use crate::{End, question};
use mailauth_core::Account;
use mailauth_core::answer::{Answer, No, NotNow, Refusal};
use mailauth_core::authenticate::{Authority, Request};
use mailauth_core::config::{Config, Source};
use std::time::Instant;

/// A source of answers: the daemon, or the database.
pub trait LoginBackend {
    /// Returns the name of the program that uses this source, for messages.
    fn program(&self) -> &'static str;

    /// Returns a description of what is asked, for people.
    fn asks(&self, config: &Config) -> String;

    /// Reads the part of the configuration that this source needs.
    ///
    /// # Errors
    /// Returns [`End::NotNow`] with all mistakes of the configuration.
    fn configuration(&self) -> Result<(Config, Source), End>;

    /// Opens what decides about logins.
    ///
    /// # Errors
    /// Fails if this configuration permits no such source.
    fn authority(&self, config: &Config) -> Result<Box<dyn Authority>, End>;

    /// Handles that the source cannot be reached.
    fn away(&self, received: Received, config: &Config, why: String) -> End;

    /// Adds to the reason of an end why this program was started.
    fn explain(&self, end: End) -> End {
        end
    }
}

/// Asks about each meaning of the record until one is not refused.
pub fn decide(authority: &dyn Authority, record: &Record, caller: &Caller, config: &Config) -> Answer<Box<Account>> {
    let deadline = Instant::now() + config.client.deadline;
    let mut answer = Err(NotNow::Late.into());
    for credential in question::credentials(record, caller, &config.pop3) {
        let (service, client) = (caller.service.clone(), caller.client.clone());
        let request = Request { service, login: record.login.clone(), credential, client, deadline };
        answer = match (answer, authority.authenticate(request)) {
            // For a value that may be the answer to a challenge or a password, the first reading is the more likely one.
            (Err(Refusal::No(No::NoClearPassword)), Err(Refusal::No(No::WrongPassword))) => {
                Err(No::NoClearPassword.into())
            }
            (_, answer) => answer,
        };
        if !matches!(answer, Err(Refusal::No(_))) {
            break;
        }
    }
    answer
}
