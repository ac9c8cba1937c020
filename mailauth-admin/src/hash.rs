//! `mailauth hash`.

mod list;
mod verify;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{remark, say};
use crate::password_prompt;
use crate::proposed;
use clap::{Args, Subcommand};
use mailauth_core::account::Password;
use mailauth_core::password::{self, Flaw, HashError, NewScheme, Stored};
use mailauth_core::{Secret, config::Config};
use std::io::{self, IsTerminal};

/// Print the hash of a password, in the form in which the table stores it
///
/// Reads the password from the standard input. If that is a terminal, asks for the password twice.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Hash {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Scheme of the hash: sha512-crypt, sha256-crypt, bcrypt, argon2id or yescrypt; or plain to store the password in
    /// clear, which only CRAM-MD5 and APOP need [default: the configured scheme]
    #[arg(long, value_parser = proposed::scheme(), hide_possible_values = true)]
    scheme: Option<Storing>,
    /// Read the standard input even if it is a terminal
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Subcommand)]
enum Verb {
    Verify(verify::Verify),
    List(list::Schemes),
}

impl Hash {
    pub fn run(self, context: impl FnOnce() -> Result<Context, Failure>) -> Result<Exit, Failure> {
        match self.verb {
            Some(Verb::Verify(verify)) => verify.run(&context()?),
            Some(Verb::List(list)) => list.run(),
            None => self.print(&context()?),
        }
    }

    fn print(self, context: &Context) -> Result<Exit, Failure> {
        let ask = !self.password_stdin && io::stdin().is_terminal();
        let password = if ask { password_prompt::ask_new("Password: ")? } else { password_prompt::from_stdin()? };
        let hash = make(self.scheme.unwrap_or(Storing::Hashed(context.config.password.scheme)), &password)?;
        say(String::from_utf8_lossy(hash.expose()))?;
        Ok(Exit::Yes)
    }
}

/// Form in which a new password is stored.
#[derive(Clone, Copy)]
pub enum Storing {
    /// As a hash of this scheme.
    Hashed(NewScheme),
    /// In clear.
    Clear,
}

/// The name of [`Storing::Clear`].
pub const CLEAR: &str = "plain";

/// Reads the name of a scheme.
pub fn read_scheme(name: &str) -> Result<Storing, String> {
    if name == CLEAR {
        return Ok(Storing::Clear);
    }
    NewScheme::from_name(name).map(Storing::Hashed).ok_or_else(|| {
        let names = NewScheme::ALL.map(NewScheme::name).join(", ");
        format!("the scheme of a new password is {names}, or {CLEAR} to store it in clear")
    })
}

/// Maximum number of bytes of a stored password in the table.
const MAX_STORED: usize = 1024;

/// Reads a stored password. An empty one and one that locks the account are accepted. One that no password can match is
/// rejected, because it would be noticed only when its user cannot log in.
pub fn read_stored(value: &[u8], config: &Config) -> Result<Password, String> {
    if value.len() > MAX_STORED || value.iter().any(u8::is_ascii_control) {
        return Err(format!("it has more than {MAX_STORED} bytes or contains a control character"));
    }
    if std::str::from_utf8(value).is_err() {
        return Err("it is not UTF-8, which the table needs".to_owned());
    }
    match Stored::parse(value, &config.password.rules) {
        Ok(_) | Err(Flaw::Empty | Flaw::Locked) => Ok(Password(value.into())),
        Err(flaw) => Err(flaw.to_string()),
    }
}

/// Returns a hash of a new password, if the configuration permits the password.
pub fn make_permitted(storing: Storing, password: &Secret, config: &Config) -> Result<Secret, Failure> {
    let (has, needs) = (String::from_utf8_lossy(password.expose()).chars().count(), config.password.min_length);
    if has < needs {
        return Err(Failure::no(format!("the password has {has} characters; [password] min_length requires {needs}")));
    }
    make(storing, password)
}

fn make(storing: Storing, password: &Secret) -> Result<Secret, Failure> {
    let made = match storing {
        Storing::Hashed(scheme) => password::hash(scheme, password.expose()),
        Storing::Clear => password::in_clear(password.expose()).inspect(|_| {
            remark(
                "note: this password is stored in clear: every program that can read the table, a backup of it or the copy \
                 for outages can read it",
            );
        }),
    };
    made.map_err(|error| match error {
        HashError::Empty | HashError::Nul | HashError::Control | HashError::TooLong(..) => {
            Failure::no(error.to_string())
        }
        HashError::NoRandomness(_) | HashError::Failed(_) => Failure::not_now(error.to_string()),
    })
}
