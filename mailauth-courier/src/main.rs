//! `mailauth-courier`: answers on the authdaemon socket until it is told to stop.
//!
//! Exit status: 0 after SIGTERM or SIGINT, 1 when it cannot run, 2 for a wrong option or configuration.

use mailauth_core::config::{Config, Source};
use mailauth_core::log::Log;
use mailauth_core::notify;
use mailauth_core::parents::exposed;
use mailauth_core::process_memory;
use mailauth_core::system_ids;
use mailauth_core::throttle::{Keeper, Ledger};
use mailauth_core::{Backend, DaemonState};
use mailauth_courier::process::sandbox::writable::{self, Confined};
use mailauth_courier::process::sandbox::{self, Threads, landlock};
use mailauth_courier::process::signals::{Signal, Signals};
use mailauth_courier::{Listeners, MetricsError, MetricsListener, Running, Settings, become_user, start};
use mailauth_mailboxes::{Rights, RootPart};
use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

const USAGE: &str = "\
Usage: mailauth-courier [--config FILE] [--check]

Answers logins on the Courier authdaemon socket, from the accounts of a mailauth database. Stays in the foreground;
SIGTERM ends it, SIGHUP makes it read its configuration again.

  --config FILE  the configuration; else $MAILAUTH_CONFIG, else /etc/mailauth/mailauth.toml
  --check        only say whether the configuration can be used
  --version      print the version
  --help         print this";

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    config: Option<PathBuf>,
    check: bool,
}

/// What the command line asks for, if it is not to run.
#[derive(Debug, PartialEq, Eq)]
enum Instead {
    /// A text to print.
    Say(String),
    /// What is wrong with it.
    Complain(String),
}

/// What stays when the configuration is read again.
struct Carried {
    /// Its parts are shared by the backends of all configurations.
    state: DaemonState,
    /// The folders that this process was confined to, if it was.
    confined: Option<Confined>,
}

/// What ends the program.
#[derive(Debug)]
enum Failure {
    /// A mistake of the administrator's.
    Usage(String),
    /// The world does not let it run.
    Run(String),
}

fn main() -> ExitCode {
    process_memory::keep_private();
    let options = match options(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(Instead::Say(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(Instead::Complain(problem)) => {
            eprintln!("mailauth-courier: {problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let log = Log::start();
    let (code, problem) = match run(&options, &log) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(problem)) => (2, problem),
        Err(Failure::Run(problem)) => (1, problem),
    };
    log.fatal("mailauth-courier", &problem);
    ExitCode::from(code)
}

fn options(mut arguments: impl Iterator<Item = OsString>) -> Result<Options, Instead> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--config") => match arguments.next() {
                Some(file) => options.config = Some(file.into()),
                None => return Err(Instead::Complain("--config needs a file".into())),
            },
            Some(text) if text.starts_with("--config=") => options.config = Some(text["--config=".len()..].into()),
            Some("--check") => options.check = true,
            Some("--help" | "-h") => return Err(Instead::Say(USAGE.into())),
            Some("--version" | "-V") => {
                return Err(Instead::Say(format!("mailauth-courier {}", env!("CARGO_PKG_VERSION"))));
            }
            _ => return Err(Instead::Complain(format!("unknown option {}", argument.display()))),
        }
    }
    Ok(options)
}

fn run(options: &Options, log: &Log) -> Result<(), Failure> {
    // Before there is any other thread, so that they all leave signals to this one.
    let signals = Signals::block().map_err(runtime)?;
    let (config, source) =
        Config::load(options.config.as_deref()).map_err(|error| Failure::Usage(error.to_string()))?;
    log.configure(&config.log);
    if options.check {
        Backend::open(&config).map_err(|error| Failure::Usage(error.to_string()))?;
        println!("{}: ok", source.origin);
        source.warnings.iter().for_each(|warning| println!("warning: {warning}"));
        return Ok(());
    }
    let root_part = root_part(&config);
    let looks_at_all = !rustix::process::geteuid().is_root() && !config.courier.mailboxes.exists();
    let listeners = Listeners::bind(&config.courier).map_err(runtime)?;
    let metrics = bind_metrics(&config).map_err(runtime)?;
    if let Some(user) = &config.courier.user {
        become_user(user).map_err(runtime)?;
    }
    // Before there is any other thread: those that are started later are confined with this one.
    let confined = confine(&config, looks_at_all);
    // As that user, because files of the database may be made.
    let ledger = Arc::new(Ledger::from_file(&config.throttle.file));
    let state = DaemonState { ledger, ..DaemonState::new(Arc::new(root_part.settled())) };
    let carried = Carried { state, confined };
    let backend = Backend::for_daemon(&config, &carried.state).map_err(|error| Failure::Usage(error.to_string()))?;
    let mut keeper = keep(None, &config, &carried).map_err(runtime)?;
    let mut running = start(listeners, Settings::new(&config), backend).map_err(runtime)?;
    running.serve_metrics(metrics).map_err(runtime)?;
    if config.courier.sandbox
        && let Err(error) = sandbox::enter(Threads::All)
    {
        tracing::warn!(
            "the kernel does not take system calls away that are not needed: {error}; the daemon runs without"
        );
    }
    report("ready", &running, &config, &source);
    notify::ready();
    while signals.wait() == Signal::Reload {
        notify::reloading();
        match reload(&mut running, options, &carried) {
            Ok((config, source)) => {
                keeper = keep(keeper, &config, &carried).unwrap_or_else(|error| {
                    tracing::error!("what is counted of wrong passwords is not kept: {error}");
                    None
                });
                log.configure(&config.log);
                report("configuration read again", &running, &config, &source);
            }
            Err(error) => {
                for line in error.to_string().lines() {
                    tracing::error!("{line}");
                }
                tracing::error!("the new configuration cannot be used; the old one stays in force");
            }
        }
        notify::ready();
    }
    notify::stopping();
    tracing::info!("stopping: answering what was taken");
    running.stop();
    drop(keeper);
    tracing::info!("stopped");
    Ok(())
}

/// What looks at mailboxes of others than this process's own user: started here by root, else what listens for us.
fn root_part(config: &Config) -> RootPart {
    match rustix::process::geteuid().is_root() {
        true => mailauth_mailboxes::start(&Rights::of(&config.mailbox)),
        false => RootPart::at(&config.courier.mailboxes),
    }
}

/// Lets this process write to the folders of `config` alone, where that is wanted and the kernel can.
fn confine(config: &Config, looks_at_all: bool) -> Option<Confined> {
    if !config.courier.sandbox {
        return None;
    }
    let confined = writable::confine(config, looks_at_all);
    confined
        .inspect_err(|error| {
            let what = "the kernel does not confine the daemon to its folders";
            match landlock::is_missing(error) {
                true => tracing::debug!("{what}: {error}"),
                false => tracing::warn!("{what}: {error}; the daemon runs without"),
            }
        })
        .ok()
}

fn runtime(error: impl Error) -> Failure {
    Failure::Run(error.to_string())
}

/// Keeps what is counted of wrong passwords in the file of `config`, by `keeper` if that does so already.
fn keep(keeper: Option<Keeper>, config: &Config, carried: &Carried) -> io::Result<Option<Keeper>> {
    let throttle = &config.throttle;
    if !throttle.enabled {
        return Ok(None);
    }
    match keeper {
        Some(keeper) if keeper.path() == throttle.file => Ok(Some(keeper)),
        _ => Keeper::start(Arc::clone(&carried.state.ledger), &throttle.file).map(Some),
    }
}

fn bind_metrics(config: &Config) -> Result<Option<MetricsListener>, MetricsError> {
    config.metrics.listen.as_ref().map(|address| MetricsListener::bind(address, &config.courier)).transpose()
}

fn reload(running: &mut Running, options: &Options, carried: &Carried) -> Result<(Config, Source), Box<dyn Error>> {
    let (config, source) = Config::load(options.config.as_deref())?;
    if let Some(confined) = &carried.confined {
        confined.check(&config)?;
    }
    let moves = config.metrics.listen.as_ref() != running.metrics();
    // Before anything is changed: what cannot be had leaves all as it was.
    let metrics = if moves { bind_metrics(&config)? } else { None };
    running.reload(Settings::new(&config), Backend::for_daemon(&config, &carried.state)?)?;
    if moves {
        running.serve_metrics(metrics)?;
    }
    Ok((config, source))
}

fn report(what: &str, running: &Running, config: &Config, source: &Source) {
    for warning in &source.warnings {
        tracing::warn!("{warning}");
    }
    warn_of_parents(running, config);
    let (socket, database) = (running.socket().display(), config.database.url.to_string());
    let own_socket = running.own_socket().map(|own| own.display().to_string()).unwrap_or_default();
    tracing::info!(%socket, own_socket, database, config = %source.origin, "{what}");
}

/// Says which folders above the sockets' own others may write to, for they could put other sockets there.
fn warn_of_parents(running: &Running, config: &Config) {
    let trusted: Vec<u32> = [Some(rustix::process::geteuid().as_raw()), system_ids::of_user(config.server_user())]
        .into_iter()
        .flatten()
        .collect();
    for exposed in exposed(running.socket(), &trusted) {
        let what = "another daemon could be put in this one's place there, for Courier's programs";
        match running.own_socket() {
            // Debian makes it so, and our own programs do not ask there.
            Some(_) => tracing::info!("{exposed}: {what}"),
            None => tracing::warn!("{exposed}: {what} and for mailauth's, which refuse it; run {}", exposed.cure()),
        }
    }
    for exposed in running.own_socket().map(|own| exposed(own, &trusted)).unwrap_or_default() {
        tracing::warn!("{exposed}: another daemon could be put in this one's place there; run {}", exposed.cure());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Options, Instead> {
        options(arguments.iter().map(OsString::from))
    }

    #[test]
    fn options_are_read_and_anything_else_is_named() {
        let config = Some(PathBuf::from("a.toml"));
        assert_eq!(read(&[]), Ok(Options::default()));
        assert_eq!(read(&["--config", "a.toml"]), Ok(Options { config: config.clone(), check: false }));
        assert_eq!(read(&["--config=a.toml", "--check"]), Ok(Options { config, check: true }));
        assert!(matches!(read(&["--config"]), Err(Instead::Complain(_))));
        assert!(matches!(read(&["--daemon"]), Err(Instead::Complain(what)) if what.contains("--daemon")));
        assert!(matches!(read(&["--help"]), Err(Instead::Say(_))));
    }
}
