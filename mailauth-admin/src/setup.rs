//! `mailauth setup`: from installed programs to the first login.

mod answers;
mod configuration;
mod host_steps;
mod plan;
mod program;
mod questions;
mod server_steps;
mod service_steps;
mod table_steps;
mod whole_file;

use crate::check::Check;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{remark, say, speaks_json};
use answers::Answers;
use clap::Args;
use configuration::Configuration;
use mailauth_core::authenticate::{Authority, Request};
use mailauth_core::{Backend, Service, environment};
use mailauth_protocol::client::Client;
use plan::Plan;
use questions::Questions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the configuration is written if no other file is named.
const SYSTEM_FILE: &str = "/etc/mailauth/mailauth.toml";

/// Maximum time to wait for the answer to the login that is tried at the end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Set up mailauth on this host: configuration, database, first account, services
///
/// Asks at most six questions, shows a plan, and carries it out after one more question. Each question can be answered by
/// an option instead. At the end it runs 'mailauth check' and tries a login.
///
/// It can be repeated safely: what is done already is left alone, and what a former run did not finish is finished. An
/// existing configuration is kept, with its comments: only missing keys are added, and a copy of the former file is kept.
/// A database server on this host is set up as its administrator by its unix socket, as root (MySQL, MariaDB) or as the
/// user postgres; where that is refused, the statements to run are printed.
///
/// Exit codes: 0 set up, 1 a step was refused or the login that was tried was, 2 invalid options or configuration, 75 not
/// now (the database is unreachable).
#[derive(Args)]
pub struct Setup {
    /// Database of the accounts: sqlite, mariadb, mysql, postgres, or a URL as in [database] url
    #[arg(long)]
    database: Option<String>,
    /// Unix socket of the database server for its administrator (PostgreSQL: its folder) [default: that of the URL, or
    /// Debian's]
    #[arg(long, value_name = "PATH")]
    administrator_socket: Option<PathBuf>,
    /// Folder of the mail: that of anna@example.org is in FOLDER/example.org/anna
    #[arg(long, value_name = "FOLDER")]
    mail: Option<PathBuf>,
    /// System user that owns new mailboxes; created if it is missing
    #[arg(long, value_name = "USER", default_value = "vmail")]
    owner: String,
    /// Programs that ask the daemon: courier, exim, postfix, dovecot, separated by commas, or none [default: those that are
    /// installed]
    #[arg(long)]
    programs: Option<String>,
    /// First domain [default: that of --account]
    #[arg(long)]
    domain: Option<String>,
    /// Login of the first account, such as anna@example.org
    #[arg(long, value_name = "LOGIN")]
    account: Option<String>,
    /// Read the password of the first account from the standard input
    #[arg(long)]
    password_stdin: bool,
    /// Ask nothing: use the defaults for options that are not given, and carry out the plan
    #[arg(long, short)]
    yes: bool,
    /// Only show the plan
    #[arg(long)]
    dry_run: bool,
}

impl Setup {
    pub fn run(self, file: Option<&Path>) -> Result<Exit, Failure> {
        if !self.dry_run && !rustix::process::geteuid().is_root() {
            return Err(Failure::usage("mailauth setup must run as root; --dry-run only shows the plan"));
        }
        let path = file.map(Path::to_owned).or_else(from_environment).unwrap_or_else(|| SYSTEM_FILE.into());
        let path = std::path::absolute(&path).map_err(|error| Failure::usage(format!("{path:?}: {error}")))?;
        let mut configuration = Configuration::read(&path)?;
        let questions = if self.yes { Questions::defaults() } else { Questions::at_the_terminal() };
        let answers = Answers::collect(&self, &configuration, &questions)?;
        configuration.answer(&answers)?;
        let mut plan = Plan::make(&answers, &configuration)?;
        plan.show()?;
        if self.dry_run {
            return Ok(Exit::Yes);
        }
        if plan.is_needed() {
            if !self.yes && !questions.confirm()? {
                return Err(Failure::no("nothing was changed"));
            }
            plan.carry_out(&answers, &configuration)?;
        }
        finish(&path, &answers)
    }
}

/// Returns the file that the environment names.
fn from_environment() -> Option<PathBuf> {
    environment::var_os("MAILAUTH_CONFIG").filter(|_| !environment::is_foreign()).map(PathBuf::from)
}

/// Checks the installation, and tries the login of the first account if its password is known.
fn finish(path: &Path, answers: &Answers) -> Result<Exit, Failure> {
    if !speaks_json() {
        say("\nmailauth check:")?;
    }
    let checked = Check::usual().run(Some(path))?;
    if checked == Exit::Usage {
        return Err(Failure::no("everything is set up, but logins do not work yet; see the lines that say down above"));
    }
    if let (Some(login), Some(password)) = (&answers.account, &answers.password) {
        let context = Context::load(Some(path))?;
        let request = |service| Request {
            deadline: Instant::now() + PATIENCE,
            ..Request::password(service, login.as_str(), password.clone())
        };
        let daemon = Client::for_daemon(&context.config, PATIENCE);
        let listens = daemon.listener(Instant::now() + PATIENCE).is_ok();
        let answer = match listens {
            true => daemon.authenticate(request(Service::Imap)),
            false => {
                let backend = Backend::over(Arc::new(context.store()?), &context.config);
                backend.authenticator.authenticate(request(Service::Imap))
            }
        };
        let by = if listens { "the daemon" } else { "mailauth, without a daemon" };
        let login = login.readable();
        if let Err(refusal) = answer {
            let exit = crate::auth::ExplainedAnswer::new::<()>(&Err(refusal.clone())).exit;
            return Err(Failure::new(
                exit,
                format!("everything is set up, but {by} refuses the login of {login}: {refusal}"),
            ));
        }
        say(format_args!("{by} accepts the login of {login}"))?;
    }
    if checked != Exit::Yes {
        remark("note: logins work; the lines of the check that say degraded tell what else to do");
    }
    Ok(Exit::Yes)
}
