//! `mailauth-mailboxes`: the part of the daemon that runs as root.
//!
//! Exit status: 0 if the daemon that started it has ended, 1 if it cannot run, 2 for an invalid option or configuration.

use mailauth_core::config::Config;
use mailauth_core::log::Log;
use mailauth_core::{notify, system_ids};
use mailauth_mailboxes::server::process::{self, Process};
use mailauth_mailboxes::server::{Floors, Listener, Server};
use mailauth_mailboxes::usage::USAGE;
use mailauth_mailboxes::{Rights, SOCKET, own_program};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// Options that take a value.
const KNOWN: [&str; 10] =
    ["--config", "--socket", "--user", "--root", "--home", "--maildir", "--min-uid", "--uid", "--min-gid", "--gid"];

/// Pause before a server that has ended is started again.
const PAUSE: Duration = Duration::from_secs(1);

/// The parsed command line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    config: Option<PathBuf>,
    socket: Option<PathBuf>,
    user: Option<String>,
    floors: Floors,
    inherited: bool,
}

/// Reason why the program ends.
#[derive(Debug)]
enum Failure {
    /// A wrong option or configuration.
    Usage(String),
    /// The system does not let it run.
    Run(String),
}

fn main() -> ExitCode {
    mailauth_core::process_memory::keep_private();
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next().as_deref().and_then(|first| first.to_str()) {
        Some("--help" | "-h") => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Some("--version" | "-V") => {
            println!("mailauth-mailboxes {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let log = Log::start();
    let (code, problem) = match options(std::env::args_os().skip(1)).and_then(run) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(problem)) => (2, problem),
        Err(Failure::Run(problem)) => (1, problem),
    };
    log.fatal("mailauth-mailboxes", &problem);
    ExitCode::from(code)
}

fn options(mut arguments: impl Iterator<Item = OsString>) -> Result<Options, Failure> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let name = argument.to_string_lossy().into_owned();
        if name == "--inherited" {
            options.inherited = true;
            continue;
        }
        if !KNOWN.contains(&name.as_str()) {
            return Err(Failure::Usage(format!("unknown option {name}; --help lists them")));
        }
        let value = arguments.next().ok_or_else(|| Failure::Usage(format!("{name} needs a value")))?;
        let needs = |what: &str| Failure::Usage(format!("{name} needs {what}, not {}", value.display()));
        let text = || value.to_str().map(str::to_owned).ok_or_else(|| needs("a text in UTF-8"));
        let number = || text()?.parse::<u32>().map(Some).map_err(|_| needs("a number"));
        let mailbox = &mut options.floors.0;
        match name.as_str() {
            "--config" => options.config = Some(PathBuf::from(&value)),
            "--socket" => options.socket = Some(PathBuf::from(&value)),
            "--user" => options.user = Some(text()?),
            "--root" => mailbox.root = Some(text()?),
            "--home" => mailbox.home = text()?,
            "--maildir" => mailbox.maildir = text()?,
            "--min-uid" => mailbox.min_uid = number()?,
            "--uid" => mailbox.uid = number()?,
            "--min-gid" => mailbox.min_gid = number()?,
            _ => mailbox.gid = number()?,
        }
    }
    Ok(options)
}

fn run(options: Options) -> Result<(), Failure> {
    if let Some(file) = &options.config {
        return Err(begin_again(&options, file));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::Run(format!(
            "this program runs as user {}: start it as root, for only root can become the owners of mailboxes",
            rustix::process::geteuid().as_raw()
        )));
    }
    harden().map_err(failed)?;
    if options.inherited {
        return serve_daemon(&options.floors);
    }
    let user = options.user.as_deref().map(user_id).transpose()?;
    let path = options.socket.unwrap_or_else(|| SOCKET.into());
    let listener = Listener::bind(&path).map_err(|error| Failure::Run(error.to_string()))?;
    tracing::info!(socket = %path.display(), user, "ready");
    notify::ready();
    Server::listening(listener, user, options.floors).run().map_err(failed)
}

/// Reads the configuration, and executes this program again with the relevant keys as options. So nothing else of the
/// configuration, such as the database's password, is in this process or in those that it starts.
fn begin_again(options: &Options, file: &std::path::Path) -> Failure {
    let config = match Config::load(Some(file)) {
        Ok((config, _)) => config,
        Err(error) => return Failure::Usage(error.to_string()),
    };
    let rights = Rights::of(&config.mailbox);
    let socket = options.socket.clone().unwrap_or(config.courier.mailboxes);
    let mut command = match own_program() {
        Ok(program) => Command::new(program),
        Err(error) => return failed(error),
    };
    command.args(rights.options()).arg("--socket").arg(socket);
    if let Some(user) = options.user.clone().or(config.courier.user) {
        match user_id(&user) {
            Ok(uid) => command.arg("--user").arg(uid.to_string()),
            Err(failure) => return failure,
        };
    }
    failed(command.exec())
}

fn user_id(name: &str) -> Result<u32, Failure> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    match system_ids::user(name) {
        Ok(Some(user)) => Ok(user.uid),
        Ok(None) => Err(Failure::Usage(format!("there is no user {name} on this system"))),
        Err(error) => Err(Failure::Run(format!("cannot look up the user {name}: {error}"))),
    }
}

fn failed(error: io::Error) -> Failure {
    Failure::Run(error.to_string())
}

/// Gives up rights that this process and its children do not need.
fn harden() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

/// Serves the daemon that has started this program, in a child process that is started again if it ends too early.
fn serve_daemon(floors: &Floors) -> Result<(), Failure> {
    // A signal that ends the daemon may be sent to this process too, while the daemon still has requests to finish.
    process::ignore_signals();
    let socket = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3).map_err(|errno| failed(errno.into()))?;
    let null = std::fs::File::open("/dev/null").map_err(failed)?;
    rustix::stdio::dup2_stdin(null).map_err(|errno| failed(errno.into()))?;
    loop {
        let server = Process::start(&[socket.as_fd()], || serve(&socket, floors)).map_err(failed)?;
        match server.wait() {
            Some(0) => return Ok(()),
            code => tracing::error!(code, "the process that works on mailboxes has ended, and is started again"),
        }
        std::thread::sleep(PAUSE);
    }
}

fn serve(socket: &OwnedFd, floors: &Floors) -> i32 {
    let begin = || -> io::Result<Server> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        Ok(Server::inherited(rustix::io::fcntl_dupfd_cloexec(socket, 3)?, floors.clone()))
    };
    match begin().and_then(|mut server| server.run()) {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!("{error}");
            1
        }
    }
}
