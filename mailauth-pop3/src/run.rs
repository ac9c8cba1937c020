//! The program as a sequence of decisions, each of which may end it.

use crate::caller::{Caller, Task};
use crate::environment::{self, Changes};
use crate::login_backend::{LoginBackend, decide};
use crate::record::{Record, receive};
use crate::{End, check_mode, dovecot, launch, quota_at_login};
use mailauth_core::answer::{NotNow, Refusal};
use mailauth_core::config::Config;
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

/// Does what the command line says. Returns the exit code, if no other program takes the place of this one.
pub fn run(backend: &dyn LoginBackend) -> u8 {
    process_memory::keep_private();
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    if let Some(code) = check_mode::asked_for(backend, &name, &arguments) {
        return code;
    }
    match serve(backend, &name, &arguments) {
        Ok(never) => match never {},
        Err(end) => backend.explain(end).report(backend.program()),
    }
}

fn serve(backend: &dyn LoginBackend, name: &OsString, arguments: &[OsString]) -> Result<Infallible, End> {
    // This is done first, so that nothing else can become descriptor 3.
    let received = receive()?;
    let record = Record::parse(received.bytes.expose()).map_err(|malformed| End::Misuse(malformed.to_string()))?;
    let Some((program, arguments)) = arguments.split_first() else {
        return Err(End::Misuse("no program to run is given; see --help".to_owned()));
    };
    let (config, _) = backend.configuration()?;
    let caller = Caller::new(name, &config.pop3, mailauth_core::environment::var_os);
    let authority = backend.authority(&config)?;
    let account = match decide(&*authority, &record, &caller, &config) {
        Ok(account) => account,
        Err(Refusal::No(_)) => return Err(refusal(caller.task)),
        Err(Refusal::NotNow(why @ NotNow::NoDaemon(_))) => {
            return Err(backend.away(received, &config, why.to_string()));
        }
        Err(Refusal::NotNow(why)) => return Err(End::NotNow(why.to_string())),
    };
    let changes = match caller.task {
        Task::LogIn => prepare(&account, &caller.service, &config, backend.program())?,
        task => dovecot::environment(&account, task, &config.password.rules).ok_or_else(|| refusal(task))?,
    };
    Err(launch::launch(program, arguments, changes))
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
    let no_home = |error: io::Error| End::NotNow(format!("{}: the home cannot be created: {error}", account.home));
    let create = config.makes_homes_by_checkpassword();
    if create && rustix::process::geteuid().is_root() {
        home::as_root(home, account.uid, account.gid).map_err(no_home)?;
    }
    privileges::become_owner(account.uid, account.gid).map_err(|error| End::NotNow(explained(&error)))?;
    if create {
        home::as_owner(home, environment::mailbox(account).as_deref()).map_err(no_home)?;
    }
    env::set_current_dir(home).map_err(|error| {
        let hint = "create it, or set [mailbox] create";
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
