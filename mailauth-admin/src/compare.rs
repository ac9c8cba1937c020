//! `mailauth compare`: the answers of two daemons about the same logins.

mod described;
mod logins;
mod report;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;
use crate::proposed;
use clap::{Args, ValueEnum};
use described::Described;
use logins::{Line, Logins};
use mailauth_core::Service;
use mailauth_core::answer::{NotNow, Refusal};
use mailauth_core::sync::Mutex;
use mailauth_protocol::client::Client;
use report::Report;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Maximum time to wait for the answer of a daemon.
const PATIENCE: Duration = Duration::from_secs(10);

/// Number of logins that are read from the file at once.
const CHUNK: usize = 512;

/// Number of requests at the same time. Courier's daemon has five processes by default.
const JOBS: usize = 4;

/// Number of requests one after the other that a daemon does not answer at all, after which it is not asked again.
const MAX_UNANSWERED: usize = 12;

/// Compare the answers of another daemon and of mailauth about the logins in a file, without passwords
///
/// Asks both daemons about each login (the request PRE of Courier's protocol), and prints the differences: the answer, and
/// of an account the login, uid, gid, home, Maildir, quota and options. Both daemons run at the same time, on different
/// sockets. Values that mean the same are equal, such as a path with and without a slash at its end, an empty Maildir and
/// Maildir, no quota and 0S. An account whose options disable the service, such as disableimap=1, counts as "no".
///
/// Exit codes: 0 no differences, 1 differences, 75 a daemon did not answer for a login.
#[derive(Args)]
pub struct Compare {
    /// Socket of the other daemon, such as that of Courier's authdaemond
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Socket of mailauth-courier [default: that of the configuration]
    #[arg(long, value_name = "PATH")]
    to: Option<PathBuf>,
    /// Service to ask for, such as imap, pop3, smtp or webmail
    #[arg(long, default_value = "imap", value_parser = proposed::service(proposed::text), hide_possible_values = true)]
    service: String,
    /// What is not compared; can be given several times, or as a list
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    ignore: Vec<Part>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// File with one login on each line; - for the standard input
    file: PathBuf,
}

/// A part of an answer. The order is that of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Part {
    /// Yes or no, which is always compared.
    #[value(skip)]
    Answer,
    Login,
    Uid,
    Gid,
    Home,
    Maildir,
    Quota,
    Options,
}

impl Part {
    /// Returns its name, as it is printed and as `--ignore` accepts it.
    fn name(self) -> &'static str {
        match self {
            Part::Answer => "answer",
            Part::Login => "login",
            Part::Uid => "uid",
            Part::Gid => "gid",
            Part::Home => "home",
            Part::Maildir => "maildir",
            Part::Quota => "quota",
            Part::Options => "options",
        }
    }
}

/// A daemon that is asked.
struct Daemon {
    name: &'static str,
    client: Client,
    /// Number of requests since the last one that was answered.
    unanswered: AtomicUsize,
}

/// The answers of both daemons about one login.
struct Answers {
    login: Vec<u8>,
    old: Described,
    new: Described,
}

impl Compare {
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let user = context.config.server_user();
        let to = self.to.as_deref().unwrap_or(&context.config.courier.socket);
        if is_same(&self.socket, to) {
            return Err(Failure::usage(format!(
                "--socket {} is mailauth's own socket; give the socket of the other daemon, or let one of the two daemons \
                 listen on another socket ([courier] socket)",
                self.socket.display()
            )));
        }
        let mut logins = Logins::open(&self.file)?;
        let daemons = [
            Daemon::new("the old daemon", Client::new(&self.socket, PATIENCE).trusting(user)),
            Daemon::new(
                "mailauth-courier",
                match &self.to {
                    Some(socket) => Client::new(socket, PATIENCE).trusting(user),
                    None => Client::for_daemon(&context.config, PATIENCE),
                },
            ),
        ];
        let service = Service::from_name(self.service.as_bytes());
        let mut report = Report::new(self.json, &self.ignore);
        let progress = Progress::of("logins", || None);
        let mut gone = None;
        while gone.is_none() {
            let lines = logins.next_lines(CHUNK)?;
            if lines.is_empty() {
                break;
            }
            let logins = lines.into_iter().filter_map(|line| match line {
                Line::Login(login) => Some(login),
                Line::TooLong(number) => {
                    report.add_unusable_line(number);
                    None
                }
            });
            let logins: Vec<Vec<u8>> = logins.collect();
            let answers = ask_about(&logins, &daemons, &service, &progress);
            answers.iter().try_for_each(|answers| report.add(answers))?;
            // If a daemon is gone after the last login, there is nothing that was not compared.
            gone = daemons
                .iter()
                .find(|daemon| daemon.is_gone() && answers.len() < logins.len())
                .map(|daemon| daemon.name);
        }
        drop(progress);
        report.end(gone)
    }
}

/// Returns true if both paths are the same socket.
fn is_same(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Asks both daemons about these logins. Returns the answers in the order of the logins, up to the one where a daemon
/// stopped answering.
fn ask_about(logins: &[Vec<u8>], [old, new]: &[Daemon; 2], service: &Service, progress: &Progress) -> Vec<Answers> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::with_capacity(logins.len()));
    std::thread::scope(|scope| {
        for _ in 0..JOBS.min(logins.len()) {
            scope.spawn(|| {
                while let Some((index, login)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    logins.get(index).map(|login| (index, login))
                } {
                    if old.is_gone() || new.is_gone() {
                        break;
                    }
                    let (old, new) = (old.look_up(service, login), new.look_up(service, login));
                    answers.lock().push((index, Answers { login: login.clone(), old, new }));
                    progress.step();
                }
            });
        }
    });
    let mut answers = answers.into_inner();
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answers)| answers).collect()
}

impl Daemon {
    fn new(name: &'static str, client: Client) -> Self {
        Daemon { name, client, unanswered: AtomicUsize::new(0) }
    }

    fn look_up(&self, service: &Service, login: &[u8]) -> Described {
        let deadline = Instant::now() + PATIENCE;
        let answer = self.client.look_up(service, login, deadline, |record| Described::of(record, service));
        match &answer {
            Err(Refusal::NotNow(NotNow::NoDaemon(_))) => self.unanswered.fetch_add(1, Ordering::Relaxed),
            _ => self.unanswered.swap(0, Ordering::Relaxed),
        };
        Described::answer(answer)
    }

    /// Returns true if it has not answered many requests in a row. A frozen daemon would delay each of the others by the
    /// whole patience.
    fn is_gone(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) >= MAX_UNANSWERED
    }
}
