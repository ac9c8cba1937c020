//! `mailauth-courier`: answers on the authdaemon socket until it is stopped.
//!
//! Exit status: 0 after SIGTERM or SIGINT, 1 if it cannot run, 2 for an invalid option or configuration.

use mailauth_core::config::{Config, Source};
use mailauth_core::log::Log;
use mailauth_core::notify;
use mailauth_core::parents::exposed;
use mailauth_core::process_memory;
use mailauth_core::system_ids;
use mailauth_core::throttle::{Ledger, LedgerWriter};
use mailauth_core::{Backend, DaemonState};
use mailauth_courier::options::{self, Exit, Options, USAGE};
use mailauth_courier::process::sandbox::writable::{self, Confined};
use mailauth_courier::process::sandbox::{self, Threads, landlock};
use mailauth_courier::process::signals::{Signal, Signals};
use mailauth_courier::{
    Daemon, Listeners, MetricsError, MetricsListener, Settings, become_user, receive_sockets, unused_sockets,
};
use mailauth_mailboxes::{Rights, RootPart};
use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

/// State that remains when the configuration is read again.
struct Persistent {
    /// State that the backends of all configurations share.
    state: DaemonState,
    /// The folders that this process was confined to, if it was.
    confined: Option<Confined>,
}

/// Reason why the program ends with an error.
#[derive(Debug)]
enum Failure {
    /// The configuration is not valid.
    Usage(String),
    /// The system does not let the daemon run.
    Run(String),
}

impl Failure {
    fn usage(error: impl Error) -> Self {
        Failure::Usage(error.to_string())
    }

    fn run(error: impl Error) -> Self {
        Failure::Run(error.to_string())
    }
}

fn main() -> ExitCode {
    process_memory::keep_private();
    let options = match options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(Exit::Print(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(Exit::Invalid(problem)) => {
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

fn run(options: &Options, log: &Log) -> Result<(), Failure> {
    // Before there is any other thread, so that all threads leave signals to this one.
    let signals = Signals::block().map_err(Failure::run)?;
    // SAFETY: there is no other thread, and nothing has been opened but the standard descriptors.
    unsafe { receive_sockets() }.map_err(Failure::run)?;
    let (config, source) = Config::load(options.config.as_deref()).map_err(Failure::usage)?;
    log.configure(&config.log);
    if options.check {
        return check(&config, &source);
    }
    let root_part = root_part(&config);
    let looks_at_all = !rustix::process::geteuid().is_root() && !config.courier.mailboxes.exists();
    let listeners = Listeners::bind(&config).map_err(Failure::run)?;
    let metrics = bind_metrics(&config).map_err(Failure::run)?;
    if let Some(user) = &config.courier.user {
        become_user(user).map_err(Failure::run)?;
    }
    // Before there is any other thread: threads that are started later are confined with this one.
    let confined = confine(&config, looks_at_all);
    // As that user, because files of the database may be created.
    let ledger = Arc::new(Ledger::from_file(&config.throttle.file));
    let state = DaemonState { ledger, ..DaemonState::new(Arc::new(root_part.settled())) };
    let persistent = Persistent { state, confined };
    let backend = Backend::for_daemon(&config, &persistent.state).map_err(Failure::usage)?;
    let keeper = keep_ledger(None, &config, &persistent).map_err(Failure::run)?;
    let mut daemon = Daemon::start(listeners, Settings::new(&config), backend).map_err(Failure::run)?;
    daemon.serve_metrics(metrics).map_err(Failure::run)?;
    if config.courier.sandbox
        && let Err(error) = sandbox::enter(Threads::All)
    {
        tracing::warn!(
            "the kernel cannot deny system calls that are not needed: {error}; the daemon runs without that"
        );
    }
    log_state("ready", &daemon, &config, &source);
    notify::ready();
    let keeper = reload_until_stopped(&signals, &mut daemon, options, log, &persistent, keeper);
    notify::stopping();
    tracing::info!("stopping: answering the requests that were accepted");
    daemon.stop();
    drop(keeper);
    tracing::info!("stopped");
    Ok(())
}

/// Checks whether a daemon can start with `config`, and prints the result.
fn check(config: &Config, source: &Source) -> Result<(), Failure> {
    Backend::open(config).map_err(Failure::usage)?;
    println!("{}: ok", source.origin);
    source.warnings.iter().for_each(|warning| println!("warning: {warning}"));
    Ok(())
}

/// Reloads the configuration at each SIGHUP, until another signal stops the daemon.
fn reload_until_stopped(
    signals: &Signals,
    daemon: &mut Daemon,
    options: &Options,
    log: &Log,
    persistent: &Persistent,
    mut keeper: Option<LedgerWriter>,
) -> Option<LedgerWriter> {
    while signals.wait() == Signal::Reload {
        notify::reloading();
        match reload(daemon, options, persistent) {
            Ok((config, source)) => {
                keeper = keep_ledger(keeper, &config, persistent).unwrap_or_else(|error| {
                    tracing::error!("counted wrong passwords are not saved: {error}");
                    None
                });
                log.configure(&config.log);
                log_state("configuration read again", daemon, &config, &source);
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
    keeper
}

/// Returns the process that looks at mailboxes of users other than this process's own: root starts it here; other users
/// connect to one that runs already.
fn root_part(config: &Config) -> RootPart {
    match rustix::process::geteuid().is_root() {
        true => mailauth_mailboxes::start(&Rights::of(&config.mailbox)),
        false => RootPart::at(&config.courier.mailboxes),
    }
}

/// Lets this process write only to the folders of `config`, if that is configured and the kernel supports it.
fn confine(config: &Config, looks_at_all: bool) -> Option<Confined> {
    if !config.courier.sandbox {
        return None;
    }
    let confined = writable::confine(config, looks_at_all);
    confined
        .inspect_err(|error| {
            let what = "the kernel cannot confine the daemon to its folders";
            match landlock::is_missing(error) {
                true => tracing::debug!("{what}: {error}"),
                false => tracing::warn!("{what}: {error}; the daemon runs without that"),
            }
        })
        .ok()
}

/// Saves the counted wrong passwords in the file of `config`, by `keeper` if that already does so.
fn keep_ledger(
    keeper: Option<LedgerWriter>,
    config: &Config,
    persistent: &Persistent,
) -> io::Result<Option<LedgerWriter>> {
    let throttle = &config.throttle;
    if !throttle.enabled {
        return Ok(None);
    }
    match keeper {
        Some(keeper) if keeper.path() == throttle.file => Ok(Some(keeper)),
        _ => LedgerWriter::start(Arc::clone(&persistent.state.ledger), &throttle.file).map(Some),
    }
}

fn bind_metrics(config: &Config) -> Result<Option<MetricsListener>, MetricsError> {
    config.metrics.listen.as_ref().map(|address| MetricsListener::bind(address, &config.courier)).transpose()
}

fn reload(daemon: &mut Daemon, options: &Options, persistent: &Persistent) -> Result<(Config, Source), Box<dyn Error>> {
    let (config, source) = Config::load(options.config.as_deref())?;
    if let Some(confined) = &persistent.confined {
        confined.check(&config)?;
    }
    let moves_metrics = config.metrics.listen.as_ref() != daemon.metrics();
    // Before anything is changed: if the address cannot be bound, everything remains as it was.
    let metrics = if moves_metrics { bind_metrics(&config)? } else { None };
    daemon.reload(Settings::new(&config), Backend::for_daemon(&config, &persistent.state)?)?;
    if moves_metrics {
        daemon.serve_metrics(metrics)?;
    }
    Ok((config, source))
}

/// Logs the warnings about the configuration, and the state of the daemon.
fn log_state(what: &str, daemon: &Daemon, config: &Config, source: &Source) {
    for warning in &source.warnings {
        tracing::warn!("{warning}");
    }
    for unused in unused_sockets(config) {
        tracing::warn!("{unused}");
    }
    warn_of_exposed_folders(daemon, config);
    let (socket, database) = (daemon.socket().display(), config.database.url.to_string());
    let own_socket = daemon.own_socket().map(|own| own.display().to_string()).unwrap_or_default();
    tracing::info!(%socket, own_socket, database, config = %source.origin, "{what}");
}

/// Logs which folders above those of the sockets other users may write to, since these users could replace the sockets.
fn warn_of_exposed_folders(daemon: &Daemon, config: &Config) {
    let trusted: Vec<u32> = [Some(rustix::process::geteuid().as_raw()), system_ids::of_user(config.server_user())]
        .into_iter()
        .flatten()
        .collect();
    for exposed in exposed(daemon.socket(), &trusted) {
        let what = "another daemon could take this one's place there, for Courier's programs";
        match daemon.own_socket() {
            // Debian's package creates the folder like this, and mailauth's own programs do not ask there.
            Some(_) => tracing::info!("{exposed}: {what}"),
            None => tracing::warn!("{exposed}: {what} and for mailauth's, which refuse it; run {}", exposed.remedy()),
        }
    }
    for exposed in daemon.own_socket().map(|own| exposed(own, &trusted)).unwrap_or_default() {
        tracing::warn!("{exposed}: another daemon could take this one's place there; run {}", exposed.remedy());
    }
}
