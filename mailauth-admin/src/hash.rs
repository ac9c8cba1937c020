//! `mailauth hash`.

use crate::failure::{Exit, Failure};
use crate::output::say;
use crate::password_prompt;
use crate::setup::Setup;
use clap::Args;
use mailauth_core::password::{self, HashError, NewScheme};
use mailauth_core::{Secret, config::Config};
use std::io::{self, IsTerminal};

/// Print a hash of the password on the standard input, as the table stores it
///
/// The password is read from the standard input; on a terminal it is asked for, twice.
#[derive(Args)]
pub struct Hash {
    /// sha512-crypt, sha256-crypt, bcrypt, argon2id or yescrypt [default: as configured]
    #[arg(long, value_parser = read_scheme)]
    scheme: Option<NewScheme>,
    /// Read the standard input even where that is a terminal
    #[arg(long)]
    password_stdin: bool,
}

impl Hash {
    pub fn run(self, setup: &Setup) -> Result<Exit, Failure> {
        let ask = !self.password_stdin && io::stdin().is_terminal();
        let password = if ask { password_prompt::ask_new("Password: ")? } else { password_prompt::from_stdin()? };
        let hash = make(self.scheme.unwrap_or(setup.config.password.scheme), &password)?;
        say(String::from_utf8_lossy(hash.expose()))?;
        Ok(Exit::Yes)
    }
}

/// The scheme of this name.
pub fn read_scheme(name: &str) -> Result<NewScheme, String> {
    NewScheme::from_name(name)
        .ok_or_else(|| format!("new passwords are hashed with {}", NewScheme::ALL.map(NewScheme::name).join(", ")))
}

/// A hash of a new password that the configuration permits.
pub fn make_permitted(scheme: NewScheme, password: &Secret, config: &Config) -> Result<Secret, Failure> {
    let (has, needs) = (String::from_utf8_lossy(password.expose()).chars().count(), config.password.min_length);
    if has < needs {
        return Err(Failure::no(format!("the password has {has} characters; [password] min_length asks for {needs}")));
    }
    make(scheme, password)
}

fn make(scheme: NewScheme, password: &Secret) -> Result<Secret, Failure> {
    password::hash(scheme, password.expose()).map_err(|error| match error {
        HashError::Empty | HashError::Nul | HashError::TooLong(..) => Failure::no(error.to_string()),
        HashError::NoRandomness(_) | HashError::Failed(_) => Failure::not_now(error.to_string()),
    })
}
