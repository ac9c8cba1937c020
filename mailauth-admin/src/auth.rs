//! `mailauth auth`: tries a login and explains the answer.

use crate::colour::Tone;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Sheet, json, say_in_colour};
use crate::password_prompt;
use crate::proposed;
use crate::quota::figures;
use crate::throttle;
use clap::Args;
use mailauth_core::account::Account;
use mailauth_core::answer::{Answer, Refusal};
use mailauth_core::authenticate::{Authority, Request};
use mailauth_core::{Backend, Secret, Service};
use mailauth_protocol::client::Client;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Maximum time to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Try a login, and print the answer with its reason
///
/// Asks for the password at the terminal. This command decides itself, with the database. With --socket, a daemon decides:
/// mailauth-courier, or Courier's authdaemond. A daemon gives no reason for a no; this command then decides as well, and
/// prints its own reason.
///
/// Exit codes: 0 yes, 1 no, 75 not now (try again).
#[derive(Args)]
pub struct Auth {
    /// The login, as a mail client sends it
    login: String,
    /// Service to log in to, such as imap, pop3, smtp or webmail
    #[arg(long, default_value = "imap", value_parser = proposed::service(proposed::text), hide_possible_values = true)]
    service: String,
    /// Ask the daemon that listens on this socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Read the password from the standard input
    #[arg(long)]
    password_stdin: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// An answer as a word, with its reason.
pub struct ExplainedAnswer {
    pub exit: Exit,
    pub answer: &'static str,
    pub code: &'static str,
    pub reason: String,
}

impl ExplainedAnswer {
    pub fn new<T>(answer: &Answer<T>) -> Self {
        let (exit, answer, code, reason) = match answer {
            Ok(_) => (Exit::Yes, "yes", "ok", "the password is right, and the account may use this service".into()),
            Err(refusal @ Refusal::No(_)) => (Exit::No, "no", refusal.code(), refusal.to_string()),
            Err(refusal @ Refusal::NotNow(_)) => (Exit::NotNow, "not now", refusal.code(), refusal.to_string()),
        };
        ExplainedAnswer { exit, answer, code, reason }
    }
}

/// An answer in JSON.
#[derive(Serialize)]
struct AnswerJson<'a> {
    answer: &'a str,
    code: &'a str,
    reason: &'a str,
    microseconds: u128,
    account: Option<AccountJson<'a>>,
    /// Decision of this command, if a daemon was asked and said no.
    #[serde(skip_serializing_if = "Option::is_none")]
    here: Option<OwnAnswerJson<'a>>,
    /// Restrictions of the daemon on password guesses for this login.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    throttled: &'a [String],
}

#[derive(Serialize)]
struct OwnAnswerJson<'a> {
    answer: &'a str,
    code: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct AccountJson<'a> {
    login: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
    maildir: Option<&'a str>,
    quota: String,
    name: &'a str,
    options: &'a str,
}

impl<'a> From<&'a Account> for AccountJson<'a> {
    fn from(account: &'a Account) -> Self {
        AccountJson {
            login: account.login.as_str(),
            uid: account.uid,
            gid: account.gid,
            home: &account.home,
            maildir: account.maildir.as_deref(),
            quota: account.quota.to_string(),
            name: &account.name,
            options: &account.options,
        }
    }
}

impl Auth {
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let password = match self.password_stdin {
            true => password_prompt::from_stdin()?,
            false => password_prompt::ask(&format!("Password for {}: ", self.login))?,
        };
        let begin = Instant::now();
        let (answer, took, here) = match &self.socket {
            None => {
                let answer = self.decide(context, &password)?;
                (answer, begin.elapsed(), None)
            }
            Some(socket) => {
                let daemon = Client::new(socket, PATIENCE).trusting(context.config.server_user());
                let answer = daemon.authenticate(self.request(&password));
                let took = begin.elapsed();
                let here =
                    matches!(answer, Err(Refusal::No(_))).then(|| self.decide(context, &password)).transpose()?;
                (answer, took, here.map(|here| ExplainedAnswer::new(&here)))
            }
        };
        let throttled = throttle::states_of(context, &self.login);
        self.show(&answer, took, here, &throttled)
    }

    fn request(&self, password: &Secret) -> Request {
        let service = Service::from_name(self.service.as_bytes());
        Request {
            deadline: Instant::now() + PATIENCE,
            ..Request::password(service, self.login.as_str(), password.clone())
        }
    }

    fn decide(&self, context: &Context, password: &Secret) -> Result<Answer<Box<Account>>, Failure> {
        let backend = Backend::over(Arc::new(context.store()?), &context.config);
        Ok(backend.authenticator.authenticate(self.request(password)))
    }

    fn show(
        &self,
        answer: &Answer<Box<Account>>,
        took: Duration,
        here: Option<ExplainedAnswer>,
        throttled: &[String],
    ) -> Result<Exit, Failure> {
        let ExplainedAnswer { exit, answer: word, code, reason } = ExplainedAnswer::new(answer);
        let account = match answer {
            Ok(account) => Some(account.as_ref()),
            _ => None,
        };
        if self.json {
            let here =
                here.as_ref().map(|here| OwnAnswerJson { answer: here.answer, code: here.code, reason: &here.reason });
            let account = account.map(AccountJson::from);
            let microseconds = took.as_micros();
            json(&AnswerJson { answer: word, code, reason: &reason, microseconds, account, here, throttled })?;
            return Ok(exit);
        }
        let mut sheet = Sheet::new();
        let tone = match exit {
            Exit::Yes => Tone::Good,
            Exit::NotNow => Tone::Warning,
            _ => Tone::Bad,
        };
        sheet.toned_line("answer", word, Some(tone));
        sheet.line("reason", format_args!("{reason} ({code})"));
        match here {
            Some(here) if here.answer == word => sheet.line("here", format_args!("{} ({})", here.reason, here.code)),
            Some(here) => {
                sheet.line("here", format_args!("{}: {} ({})", here.answer, here.reason, here.code));
            }
            None => {}
        }
        throttled.iter().for_each(|state| sheet.line("throttled", state));
        sheet.line("took", format_args!("{} µs", took.as_micros()));
        if let Some(account) = account {
            sheet.line("login", &account.login);
            sheet.line("uid, gid", format_args!("{}, {}", account.uid, account.gid));
            sheet.line("home", &account.home);
            sheet.line("maildir", account.maildir.as_deref().unwrap_or_default());
            sheet.line("quota", figures::limits(account.quota.bytes, account.quota.messages));
        }
        say_in_colour(&sheet)?;
        Ok(exit)
    }
}
