//! `mailauth check --plugin`: the state of the daemon, for Nagios, Icinga, monit and other programs that run monitoring
//! plugins.
//!
//! It asks only the daemon, which knows the state of the databases, so it costs next to nothing and can run every few
//! seconds. It prints one line with the state and the performance data, and then a line for each thing that was found, as
//! the Monitoring Plugins Development Guidelines say.

mod findings;
mod performance;
mod range;

use self::findings::{Level, Report};
use self::performance::Metric;
use self::range::Range;
use crate::failure::{Exit, Failure};
use clap::Args;
use mailauth_core::Service;
use mailauth_core::answer::{Answer, Refusal};
use mailauth_core::authenticate::{Authority, Credential, Request};
use mailauth_core::config::Config;
use mailauth_protocol::client::Client;
use mailauth_protocol::status::Status;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Options of the plugin.
#[derive(Args, Default)]
pub(super) struct Plugin {
    /// Be a monitoring plugin, for Nagios, Icinga or monit: print one line and performance data about the daemon
    ///
    /// Asks only the daemon, as root or its user. Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    #[arg(long, conflicts_with_all = ["json", "all"])]
    pub plugin: bool,
    /// Time after which the plugin reports that there is no answer, in seconds
    #[arg(long, requires = "plugin", value_name = "SECONDS", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=60))]
    timeout: u8,
    /// Range outside of which a value is a warning, such as latency=0.5 or queue=0:40
    ///
    /// Values: time and latency (seconds), snapshot_age (seconds), queue (percent), connections (number), kept
    /// (number).
    #[arg(long, requires = "plugin", value_name = "NAME=RANGE", value_parser = range::named)]
    warning: Vec<(Metric, Range)>,
    /// Range outside of which a value is critical
    #[arg(long, requires = "plugin", value_name = "NAME=RANGE", value_parser = range::named)]
    critical: Vec<(Metric, Range)>,
}

impl Plugin {
    /// Prints the state of the daemon, within the time of `--timeout` whatever happens.
    pub fn run(self, file: Option<&Path>) -> Result<Exit, Failure> {
        let patience = Duration::from_secs(self.timeout.into());
        let deadline = Instant::now() + patience;
        let (sender, receiver) = mpsc::channel();
        let file: Option<PathBuf> = file.map(Path::to_owned);
        // The questions to the daemon have deadlines, but the file systems of the files have not.
        let started = Builder::new().name("check".into()).spawn(move || {
            // The receiver may have stopped waiting.
            let _ = sender.send(self.examine(file.as_deref(), deadline));
        });
        let report = match started {
            Ok(_) => receiver
                .recv_timeout(patience + patience / 10)
                .unwrap_or_else(|_| Report::of(Level::Critical, format!("no result within {} s", patience.as_secs()))),
            Err(error) => Report::of(Level::Unknown, format!("the system provides no thread: {error}")),
        };
        writeln!(io::stdout().lock(), "{report}")?;
        Ok(report.level().exit())
    }

    fn examine(&self, file: Option<&Path>, deadline: Instant) -> Report {
        let config = match Config::load_without_password(file) {
            Ok((config, _)) => config,
            Err(errors) => return Report::of_lines(Level::Unknown, &errors.to_string()),
        };
        let now = Instant::now();
        let half = now + deadline.saturating_duration_since(now) / 2;
        let daemon = Client::for_daemon(&config, deadline.saturating_duration_since(now));
        match observe(&daemon, half, deadline) {
            Ok((status, asked)) => {
                let limits = performance::limits(&config, &status, &self.warning, &self.critical);
                findings::judge(&status, asked.as_ref(), &limits)
            }
            Err(report) => report,
        }
    }
}

/// Returns the state of the daemon, and its answer to a question. While no database answers, it is known that the question
/// gets none, and it is not asked.
fn observe(daemon: &Client, half: Instant, deadline: Instant) -> Result<(Status, Option<Asked>), Report> {
    let has_database = |status: &Status| status.hosts.iter().any(|host| host.live);
    let status = status(daemon, half)?;
    if !has_database(&status) {
        return Ok((status, None));
    }
    let asked = ask(daemon, deadline);
    if !matches!(asked.answer, Err(Refusal::NotNow(_))) {
        return Ok((status, Some(asked)));
    }
    // The outage may have become known by this question.
    let status = self::status(daemon, deadline).unwrap_or(status);
    let asked = has_database(&status).then_some(asked);
    Ok((status, asked))
}

fn status(daemon: &Client, deadline: Instant) -> Result<Status, Report> {
    match daemon.status(deadline) {
        Ok(line) => Status::parse(&line).map_err(|error| {
            let text = format!("the daemon's state cannot be read: {error}; it may have another version");
            Report::of(Level::Unknown, text)
        }),
        Err(Refusal::NotNow(why)) => Err(Report::of(Level::Critical, format!("the daemon does not answer: {why}"))),
        Err(Refusal::No(_)) => {
            let fix = "run this as root or as the daemon's user, as with 'sudo -u mailauth'";
            let text = format!("the daemon reports its state only to root and its own user; {fix}");
            Err(Report::of(Level::Unknown, text))
        }
    }
}

/// The answer about an account that does not exist, and how long it took.
struct Asked {
    answer: Answer<()>,
    took: Duration,
}

fn ask(daemon: &Client, deadline: Instant) -> Asked {
    let begin = Instant::now();
    let answer = daemon.authenticate(Request {
        service: Service::Delivery,
        login: super::socket::UNKNOWN.as_bytes().to_vec(),
        credential: Credential::Lookup,
        client: None,
        deadline,
    });
    Asked { answer: answer.map(drop), took: begin.elapsed() }
}

/// Prints why the command line is invalid, as a plugin does. Returns its exit code.
pub(crate) fn refuse(error: &clap::Error) -> Exit {
    let text = error.to_string();
    let text = text.trim_start_matches("error: ").lines().next().unwrap_or_default().to_owned();
    // If the output is closed, the failure cannot be reported.
    let _ = writeln!(io::stdout().lock(), "{}", Report::of(Level::Unknown, text));
    Level::Unknown.exit()
}
