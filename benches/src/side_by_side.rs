//! Two daemons that take turns with the same load, so that a machine that slows down slows both.

use crate::load::{Load, Question};
use crate::processes::{memory, processor_time};
use crate::summary::{Table, median};
use rustix::process::Pid;
use std::path::PathBuf;
use std::time::Duration;

/// Titles of the columns of the table.
pub const HEADINGS: [&str; 8] = [
    "database, connections",
    "server",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "CPU us/request",
    "with database",
    "memory MiB",
];

/// A server under test: its socket and its processes.
pub struct Server {
    /// Its name in the table.
    pub name: &'static str,
    /// Its socket.
    pub socket: PathBuf,
    /// Its process.
    pub daemon: Pid,
    /// The process of the database server, if there is one.
    pub database: Option<Pid>,
}

/// Figures of one server in one round.
struct Figures {
    rate: f64,
    p50: f64,
    p99: f64,
    /// Microseconds of processor time per request of the daemon alone.
    daemon: f64,
    /// Microseconds of processor time per request of the daemon and the database server.
    all: f64,
}

/// A comparison of Courier's daemon with mailauth's.
pub struct Comparison {
    /// What is compared, such as a database.
    pub title: String,
    /// Courier's daemon and ours.
    pub servers: [Server; 2],
    /// What is asked.
    pub question: Question,
    /// Number of accounts.
    pub users: u64,
    /// Domain of the accounts.
    pub domain: &'static str,
    /// Number of rounds.
    pub rounds: u64,
    /// Duration of each server's turn.
    pub time: Duration,
}

impl Comparison {
    /// Runs the rounds with this number of connections. Adds a row for each server to the table, and returns a sentence with
    /// the ratios.
    ///
    /// # Panics
    /// Panics if a server answers wrongly.
    pub fn run(&self, connections: usize, table: &mut Table) -> String {
        let title = format!("{}, {connections}", self.title);
        let mut figures = [Vec::new(), Vec::new()];
        for round in 1..=self.rounds {
            eprintln!("{title} connections, round {round} of {}", self.rounds);
            for (server, figures) in self.servers.iter().zip(&mut figures) {
                figures.push(self.measure(server, connections));
            }
        }
        for (server, figures) in self.servers.iter().zip(&figures) {
            let of = |figure: fn(&Figures) -> f64| median(figures.iter().map(figure));
            table.row(vec![
                title.clone(),
                server.name.to_owned(),
                format!("{:.0}", of(|f| f.rate)),
                format!("{:.2}", of(|f| f.p50)),
                format!("{:.2}", of(|f| f.p99)),
                format!("{:.1}", of(|f| f.daemon)),
                format!("{:.1}", of(|f| f.all)),
                format!("{:.1}", memory(server.daemon) as f64 / f64::from(1 << 20)),
            ]);
        }
        let [theirs, ours] = &figures;
        let ratio = |figure: fn(&Figures) -> f64| median(ours.iter().zip(theirs).map(|(o, t)| figure(o) / figure(t)));
        format!(
            "{title} connections: {:.2} times Courier's requests per second; {:.2} of its processor time, {:.2} with the \
             database's; {:.2} of its p99",
            ratio(|f| f.rate),
            ratio(|f| f.daemon),
            ratio(|f| f.all),
            ratio(|f| f.p99),
        )
    }

    fn measure(&self, server: &Server, connections: usize) -> Figures {
        let cost = || {
            let daemon = processor_time(server.daemon);
            (daemon, daemon + server.database.map_or(Duration::ZERO, processor_time))
        };
        let mut before = cost();
        let load = Load {
            socket: server.socket.clone(),
            question: self.question,
            connections,
            time: self.time,
            users: self.users,
            domain: self.domain,
        };
        let outcome = load.run(|| before = cost());
        let after = cost();
        assert_eq!(outcome.wrong, 0, "{} answered wrongly, so its figures are meaningless", server.name);
        let each = |time: Duration| time.as_secs_f64() * 1e6 / outcome.micros.len() as f64;
        Figures {
            rate: outcome.rate(),
            p50: outcome.percentile(0.50),
            p99: outcome.percentile(0.99),
            daemon: each(after.0 - before.0),
            all: each(after.1 - before.1),
        }
    }
}
