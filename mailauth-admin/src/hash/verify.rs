//! `mailauth hash verify`.

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Sheet, json, say, yes_no};
use crate::password_prompt;
use clap::Args;
use mailauth_core::Secret;
use mailauth_core::password::{Effort, Flaw, SchemeSummary, Stored, Strength};
use std::io::{self, IsTerminal};

/// Try a password on a stored value, and say which scheme the value has and how strong it is
///
/// Both are typed at the terminal, or read from the standard input or another descriptor, such as --hash-fd 3 with 3<FILE.
/// [password] default_scheme, trim and the limits on cost apply as in the daemon.
///
/// Exit codes: 0 the password matches, 1 it does not, or no password can match the value, 75 it cannot be known now.
#[derive(Args)]
pub struct Verify {
    /// Read the password from the standard input [default if that is not a terminal]
    #[arg(long, conflicts_with = "hash_stdin")]
    password_stdin: bool,
    /// Read the stored value from the standard input
    #[arg(long, conflicts_with = "hash_fd")]
    hash_stdin: bool,
    /// Read the stored value from this descriptor of the process
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(3..))]
    hash_fd: Option<u32>,
    /// Login of the value, for the schemes that hash it too: DIGEST-MD5 and POSTGRES-MD5
    #[arg(long)]
    login: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is said about a value.
#[derive(serde::Serialize)]
struct Verified {
    matches: bool,
    /// `None` if the value has no scheme that can be verified.
    scheme: Option<&'static str>,
    cost: Option<String>,
    strength: Option<&'static str>,
    /// Why no password can match the value.
    flaw: Option<String>,
}

impl Verify {
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (value, password) = self.read()?;
        let verified = self.verify(context, &value, &password)?;
        let exit = if verified.matches { Exit::Yes } else { Exit::No };
        if self.json {
            json(&verified)?;
        } else {
            say(sheet(verified))?;
        }
        Ok(exit)
    }

    fn read(&self) -> Result<(Secret, Secret), Failure> {
        let value = match self.hash_fd {
            Some(number) => password_prompt::hash_from_descriptor(number)?,
            None if self.hash_stdin => password_prompt::hash_from_stdin()?,
            None => password_prompt::ask("Stored value: ")?,
        };
        let types = self.hash_stdin || !self.password_stdin && io::stdin().is_terminal();
        let password = if types { password_prompt::ask("Password: ")? } else { password_prompt::from_stdin()? };
        Ok((value, password))
    }

    fn verify(&self, context: &Context, value: &Secret, password: &Secret) -> Result<Verified, Failure> {
        let stored = match Stored::parse(value.expose(), &context.config.password.rules) {
            Ok(stored) => stored,
            Err(flaw) => return Ok(unusable(None, &flaw)),
        };
        let summary = SchemeSummary::of(stored.scheme());
        let login = match (&self.login, summary.is_some_and(|summary| summary.hashes_login)) {
            (Some(login), _) => context.login(login)?.to_string(),
            (None, false) => String::new(),
            (None, true) => {
                let scheme = stored.scheme();
                return Err(Failure::usage(format!("{scheme} hashes the login too; name it with --login")));
            }
        };
        let matches = match stored.verify(&login, password.expose()) {
            Ok(matches) => matches,
            Err(flaw) => return Ok(unusable(Some(&stored), &flaw)),
        };
        let Effort { parameters, strength } = stored.effort();
        Ok(Verified {
            matches,
            scheme: Some(stored.scheme()),
            cost: parameters,
            strength: Some(strength.name()),
            flaw: None,
        })
    }
}

fn unusable(stored: Option<&Stored>, flaw: &Flaw) -> Verified {
    let scheme = stored.map(Stored::scheme);
    Verified { matches: false, scheme, cost: None, strength: None, flaw: Some(flaw.to_string()) }
}

fn sheet(verified: Verified) -> Sheet {
    let Verified { matches, scheme, cost, strength, flaw } = verified;
    let mut sheet = Sheet::new();
    sheet.line("matches", yes_no(matches));
    if let Some(flaw) = flaw {
        sheet.line("why", format_args!("no password can match it: {flaw}"));
    }
    if let Some(scheme) = scheme {
        sheet.line("scheme", scheme);
    }
    if let Some(cost) = cost {
        sheet.line("cost", cost);
    }
    if let Some(strength) = strength {
        let advice = match strength {
            _ if strength == Strength::Weak.name() => {
                "; a reader of the table can find the password by trying: set it again"
            }
            _ if strength == Strength::Clear.name() => "; every reader of the table knows the password",
            _ => "",
        };
        sheet.line("strength", format_args!("{strength}{advice}"));
    }
    sheet
}
