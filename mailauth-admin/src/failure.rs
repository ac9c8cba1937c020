//! Exit codes of the command, and the errors that lead to them.

use mailauth_core::config::ConfigErrors;
use mailauth_core::spelling::readable_name;
use mailauth_core::store::{AdminError, OpenError, StoreError};
use std::io;
use std::process::ExitCode;

/// An exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Yes, or done.
    Yes,
    /// No. For `check`, degraded.
    No,
    /// Invalid command line or configuration. For `check`, down.
    Usage,
    /// Over quota: `EX_NOPERM` of sysexits.h(3head), as with deliverquota(8) and maildrop(1).
    OverQuota,
    /// No such account, for a mail server: `EX_NOUSER` of sysexits.h(3head).
    NoUser,
    /// The answer cannot be known now: `EX_TEMPFAIL` of sysexits.h(3head).
    NotNow,
    /// The code that the command line names.
    Other(u8),
}

impl Exit {
    /// Returns the exit code of the process.
    pub fn code(self) -> u8 {
        match self {
            Exit::Yes => 0,
            Exit::No => 1,
            Exit::Usage => 2,
            Exit::NoUser => 67,
            Exit::NotNow => 75,
            Exit::OverQuota => 77,
            Exit::Other(code) => code,
        }
    }

    /// Returns the answer in JSON: `not now` is never a kind of `no`.
    pub fn answer(self) -> &'static str {
        match self {
            Exit::Yes => "yes",
            Exit::No | Exit::NoUser => "no",
            Exit::Usage => "usage",
            Exit::OverQuota => "over quota",
            Exit::NotNow | Exit::Other(_) => "not now",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// Reason why the command did not do what was requested.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// Message for people, with what to do; may have several lines. An empty one is not printed.
    pub message: String,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failure { exit, message: message.into() }
    }

    pub fn no(message: impl Into<String>) -> Self {
        Self::new(Exit::No, message)
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub fn not_now(message: impl Into<String>) -> Self {
        Self::new(Exit::NotNow, message)
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Failure::usage(errors.to_string())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Failure::usage(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::ReadOnly(why) => Failure::no(why),
            error => Failure::not_now(error.to_string()),
        }
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::NoSuch { what, name } => Failure::no(no_such(what, &name)),
            AdminError::Exists { what: "alias domain", name } => Failure::no(format!(
                "the alias domain {name} exists already; change it with 'mailauth domain alias set {name}'"
            )),
            AdminError::Exists { what, name } => {
                let name = readable_name(&name);
                Failure::no(format!("the {what} {name} exists already; change it with 'mailauth {what} set {name}'"))
            }
            AdminError::InUse { domain, accounts, aliases, alias_domains } => Failure::no(format!(
                "the domain {domain} still has {accounts} accounts, {aliases} aliases and {alias_domains} alias domains; \
                 remove those first, or all at once with 'mailauth domain remove {domain} --contents'"
            )),
            AdminError::Unstorable(why) => Failure::no(why),
            error @ AdminError::Unfit { .. } => Failure::no(error.to_string()),
            AdminError::Beside(problem) => Failure::no(problem),
            AdminError::Store(error) => error.into(),
        }
    }
}

/// Returns a message that says what does not exist, and how to list what does.
pub fn no_such(what: &str, name: &str) -> String {
    let name = readable_name(name);
    match what {
        "row" => format!("no row has exactly the login {name}; 'mailauth account list' lists the rows"),
        "alias domain" => format!("no such alias domain {name}; 'mailauth domain alias list' lists them"),
        "alias" => format!("no such alias {name}; 'mailauth alias list' lists them"),
        what => format!("no such {what} {name}; 'mailauth {what} list' lists them"),
    }
}

/// Reports that writing the output failed. A reader that has read enough, such as head(1), is not a failure.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::new(Exit::Yes, ""),
            _ => Failure::not_now(format!("the output cannot be written: {error}")),
        }
    }
}
