//! `--check`: prints, step by step, what would be done with a login, and does not do it. It asks for the login and
//! password at the terminal, because a person has no descriptor 3.

use crate::caller::{Caller, DOVECOT_NAME, SERVICE, Task};
use crate::login_backend::{LoginBackend, decide};
use crate::record::Record;
use crate::{End, dovecot, environment, fallback, terminal};
use mailauth_core::Account;
use mailauth_core::answer::{No, NotNow, Refusal};
use mailauth_core::config::{Config, Fallback, Pop3Config};
use mailauth_core::quota::{CountRules, Limits, MaildirQuota};
use rustix::process::geteuid;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Text of `--help`.
pub const USAGE: &str = "\
Usage: mailauth-pop3 PROGRAM [ARGUMENTS...]
       mailauth-pop3 --check

The checkpassword program, which a POP3 daemon or another mail server starts. It reads a login and a password from
descriptor 3. If they are right, it switches to the owner of the mailbox and replaces itself by PROGRAM. Called as
mailauth-dovecot, it answers as Dovecot 2.3 expects.

Options:
  --check    ask for a login and a password at the terminal, and show what a login would do
  --version  print the version
  --help     print this help

Environment:
  MAILAUTH_CONFIG   path of the configuration; default: /etc/mailauth/mailauth.toml
  MAILAUTH_SERVICE  service that the login is for, such as pop3, imap or smtp; default: [pop3] service, which is pop3
                    if the configuration does not set it

Exit codes: 1 no, 2 the program was called incorrectly, 3 Dovecot asked about an unknown user, 111 not now (try
again); otherwise that of PROGRAM.";

/// Handles a command line that asks for something other than a login, such as `--check`; otherwise returns `None`.
pub fn asked_for(backend: &dyn LoginBackend, name: &OsStr, arguments: &[OsString]) -> Option<u8> {
    let [option] = arguments else { return None };
    match option.to_str()? {
        "--help" => println!("{USAGE}"),
        "--version" => println!("{} {}", backend.program(), env!("CARGO_PKG_VERSION")),
        "--check" => {
            let end = check(backend, name).err();
            return Some(end.map_or(0, |end| end.report(backend.program())));
        }
        _ => return None,
    }
    Some(0)
}

fn step(what: &str, said: impl std::fmt::Display) {
    println!("{what:14} {said}");
}

fn check(backend: &dyn LoginBackend, name: &OsStr) -> Result<(), End> {
    let (config, source) = backend.configuration()?;
    step("configuration", &source.origin);
    for warning in source.warnings {
        step("warning", warning);
    }
    let caller = Caller::new(name, &config.pop3, mailauth_core::environment::var_os);
    step("service", format_args!("{} (from {})", caller.service, origin(&config.pop3)));
    let missing = |error| End::Misuse(format!("no login and password were given: {error}"));
    let login = terminal::ask("Login: ").map_err(missing)?;
    let password = terminal::ask_unseen("Password: ").map_err(missing)?;
    let record = Record { login: login.expose().to_vec(), password, timestamp: Vec::new() };
    step("asks", backend.asks(&config));
    let account = match decide(&*backend.authority(&config)?, &record, &caller, &config) {
        Ok(account) => account,
        Err(Refusal::No(no)) => {
            step("answer", format_args!("no: {no}"));
            if no == No::Unexplained {
                step("hint", "'mailauth auth LOGIN --service SERVICE' says why");
            }
            return Err(End::No);
        }
        Err(Refusal::NotNow(why)) => return Err(not_now(&why, &config)),
    };
    step("answer", "yes");
    would_do(&account, &caller, &config, Path::new(name))
}

fn origin(settings: &Pop3Config) -> String {
    match mailauth_core::environment::var_os(SERVICE) {
        Some(_) => format!("${SERVICE}"),
        None if settings.service == Pop3Config::default().service => "[pop3] service, or its default".to_owned(),
        None => "[pop3] service".to_owned(),
    }
}

fn not_now(why: &NotNow, config: &Config) -> End {
    step("answer", format_args!("not now: {why}"));
    if matches!(why, NotNow::NoDaemon(_)) && config.client.fallback == Fallback::Database {
        step("fallback", format_args!("the database would be asked; '{} --check' tries this", fallback::PROGRAM));
    }
    End::NotNow("a login would end with exit code 111".to_owned())
}

fn would_do(account: &Account, caller: &Caller, config: &Config, name: &Path) -> Result<(), End> {
    let inside = config.pop3.dovecot || name.file_name().is_some_and(|name| name == DOVECOT_NAME);
    let owner = config.pop3.become_owner && !inside;
    let ids = format!("user {}, group {}", account.uid, account.gid);
    match geteuid().as_raw() {
        _ if inside => step("inside Dovecot", format_args!("the user does not change; Dovecot becomes {ids}")),
        _ if !owner => step("then", "the user does not change ([pop3] become_owner = false)"),
        0 => step("then", format_args!("become {ids}, without other groups")),
        own if own == account.uid => step("then", format_args!("stay {ids}")),
        own => {
            step("then", format_args!("become {ids}"));
            let text =
                format!("this needs root; the program runs as user {own}, and a login would end with exit code 111");
            return Err(End::NotNow(text));
        }
    }
    if owner {
        home(account, config)?;
    }
    if config.pop3.recount && owner {
        quota(account, config);
    }
    let task = if inside { Task::DovecotLogIn } else { caller.task };
    let changes = match task {
        Task::LogIn => environment::of(account),
        task => dovecot::environment(account, task, &config.password.rules).unwrap_or_default(),
    };
    for (name, value) in changes {
        match value {
            Some(value) => step("set", format_args!("{name}={}", value.display())),
            None => step("unset", name),
        }
    }
    Ok(())
}

fn home(account: &Account, config: &Config) -> Result<(), End> {
    match fs::metadata(&account.home) {
        Ok(found) if !found.is_dir() => Err(End::NotNow(format!("{} is not a folder", account.home))),
        Ok(found) if found.mode() & 0o1000 != 0 => {
            step("directory", format_args!("{}, whose sticky bit locks the account in Courier", account.home));
            Ok(())
        }
        Ok(found) if found.uid() != account.uid => {
            let (home, uid) = (&account.home, found.uid());
            step("directory", format_args!("{home}, which belongs to user {uid}"));
            Ok(())
        }
        Ok(_) => {
            step("directory", &account.home);
            Ok(())
        }
        Err(_) if config.makes_homes_by_checkpassword() => {
            step("directory", format_args!("{}, which would be created", account.home));
            Ok(())
        }
        Err(error) => Err(End::NotNow(format!("{}: {error}; create it, or set [mailbox] create", account.home))),
    }
}

fn quota(account: &Account, config: &Config) {
    let Some(path) = environment::mailbox(account).filter(|_| account.quota != Limits::NONE) else { return };
    let rules = CountRules { count_trash: config.quota.count_trash };
    let said = match MaildirQuota::open(&path, account.quota, rules).and_then(|mailbox| mailbox.is_maildirsize_right())
    {
        Ok(true) => "maildirsize is correct".to_owned(),
        Ok(false) => "maildirsize is missing or incorrect, and would be rebuilt".to_owned(),
        Err(error) => error.to_string(),
    };
    step("quota", said);
}
