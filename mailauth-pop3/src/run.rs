//! The program as a sequence of decisions, each of which may end it.

use crate::caller::{Caller, Task};
use crate::environment::{self, Changes};
use crate::record::{Received, Record, receive};
use crate::{End, check_mode, dovecot, launch, question, quota_at_login};
use mailauth_core::authenticate::{Answer, Authority, No, NotNow, Request};
use mailauth_core::config::{Config, Source};
use mailauth_core::printable::printable;
use mailauth_core::privileges::{self, StillPrivileged};
use mailauth_core::quota::CountRules;
use mailauth_core::{Account, Service};
use mailauth_core::{home, process_memory};
use std::convert::Infallible;
use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

/// A source of answers: the daemon, or the database.
pub trait Way {
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

/// Does what the command line says. Returns the exit code, if no other program takes the place of this one.
pub fn run(way: &dyn Way) -> u8 {
    process_memory::keep_private();
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    if let Some(code) = check_mode::asked_for(way, &name, &arguments) {
        return code;
    }
    match serve(way, &name, &arguments) {
        Ok(never) => match never {},
        Err(end) => way.explain(end).report(way.program()),
    }
}

fn serve(way: &dyn Way, name: &OsString, arguments: &[OsString]) -> Result<Infallible, End> {
    // This is done first, so that nothing else can become descriptor 3.
    let received = receive()?;
    let record = Record::parse(received.bytes.expose()).map_err(|malformed| End::Misuse(malformed.to_string()))?;
    let Some((program, arguments)) = arguments.split_first() else {
        return Err(End::Misuse("no program to run is given; see --help".to_owned()));
    };
    let (config, _) = way.configuration()?;
    let caller = Caller::new(name, &config.pop3, mailauth_core::environment::var_os);
    let authority = way.authority(&config)?;
    let account = match decide(&*authority, &record, &caller, &config) {
        Answer::Yes(account) => account,
        Answer::No(_) => return Err(refusal(caller.task)),
        Answer::NotNow(why @ NotNow::NoDaemon(_)) => return Err(way.away(received, &config, why.to_string())),
        Answer::NotNow(why) => return Err(End::NotNow(why.to_string())),
    };
    let changes = match caller.task {
        Task::LogIn => prepare(&account, &caller.service, &config, way.program())?,
        task => dovecot::environment(&account, task, &config.password.rules).ok_or_else(|| refusal(task))?,
    };
    Err(launch::launch(program, arguments, changes))
}

/// Asks about each meaning of the record until one is not refused.
pub(crate) fn decide(
    authority: &dyn Authority,
    record: &Record,
    caller: &Caller,
    config: &Config,
) -> Answer<Box<Account>> {
    let deadline = Instant::now() + config.client.deadline;
    let mut answer = Answer::NotNow(NotNow::Late);
    for credential in question::credentials(record, caller, &config.pop3) {
        let (service, client) = (caller.service.clone(), caller.client.clone());
        let request = Request { service, login: record.login.clone(), credential, client, deadline };
        answer = match (answer, authority.authenticate(request)) {
            // For a value that may be the answer to a challenge or a password, the first reading is the more likely one.
            (Answer::No(No::NoClearPassword), Answer::No(No::WrongPassword)) => Answer::No(No::NoClearPassword),
            (_, answer) => answer,
        };
        if !matches!(answer, Answer::No(_)) {
            break;
        }
    }
    answer
}

/// Returns the end for a refusal. For a look-up by Dovecot it is "no such user"; exit code 1 would be an error to Dovecot.
fn refusal(task: Task) -> End {
    match task {
        Task::LogIn | Task::DovecotLogIn => End::No,
        Task::DovecotLookUp | Task::DovecotCredentials => End::UnknownUser,
    }
}

/// Returns why this process did not become the mailbox's owner, and what to do.
fn explained(error: &StillPrivileged) -> String {
    match error {
        StillPrivileged::NotRoot { .. } => {
            let hint = "set [pop3] become_owner = false if the next program needs no mailbox";
            format!("{error}; start it as root, or {hint}")
        }
        error => error.to_string(),
    }
}

/// Switches to the mailbox's owner and home. At a first login, root creates its part before that and the owner the rest
/// afterwards.
fn prepare(account: &Account, service: &Service, config: &Config, program: &str) -> Result<Changes, End> {
    let changes = environment::of(account);
    let settings = &config.pop3;
    if !settings.become_owner {
        return Ok(changes);
    }
    let home = Path::new(&account.home);
    let no_home = |error: io::Error| End::NotNow(format!("{}: no home could be made: {error}", account.home));
    let create = config.makes_homes_by_checkpassword();
    if create && rustix::process::geteuid().is_root() {
        home::as_root(home, account.uid, account.gid).map_err(no_home)?;
    }
    privileges::become_owner(account.uid, account.gid).map_err(|error| End::NotNow(explained(&error)))?;
    if create {
        home::as_owner(home, environment::mailbox(account).as_deref()).map_err(no_home)?;
    }
    env::set_current_dir(home).map_err(|error| {
        let hint = "make it, or set [mailbox] create";
        End::NotNow(format!("{}: user {} cannot enter this home: {error}; {hint}", account.home, account.uid))
    })?;
    if settings.recount && matches!(service, Service::Pop3 | Service::Imap) {
        let rules = CountRules { count_trash: config.quota.count_trash };
        if let Err(problem) = quota_at_login::make_true(account, rules, settings.recount_time) {
            let _ = writeln!(io::stderr(), "{program}: {}", printable(&problem.to_string()));
        }
    }
    Ok(changes)
}
