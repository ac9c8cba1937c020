//! mailauth-courier compared with the real courier-authdaemond, on the same rows in one run.
//!
//! `cargo bench -p mailauth-benches --bench logins`, as root. On each database: 10,000 accounts with the cheapest hash,
//! so that the cost of the server itself shows, and rounds in which the two take turns, so that a machine that slows down slows
//! both. Each figure is the median of the rounds, each ratio the median of the ratios within a round.
//! `MAILAUTH_BENCH_ROUNDS` (5) and `MAILAUTH_BENCH_SECONDS` (3) make it longer; a word on the command line selects the
//! databases by a part of the name.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailauth_benches::load::{COLUMNS, Load, Question, account};
use mailauth_benches::processes::{memory, processor_time};
use mailauth_benches::summary::{Table, median};
use mailauth_tests::{Accounts, Courier, Kind, Mailauth};
use rustix::process::Pid;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::time::Duration;

const USERS: u64 = 10_000;
const DOMAIN: &str = "sha256.example";

/// Figures of one server in one round.
struct Figures {
    rate: f64,
    p50: f64,
    p99: f64,
    /// Microseconds of processor time per login of the daemon alone.
    daemon: f64,
    /// Microseconds of processor time per login of the daemon and the database server.
    all: f64,
}

/// A server under test: its socket and its processes.
struct Server {
    name: &'static str,
    socket: PathBuf,
    daemon: Pid,
    database: Option<Pid>,
}

fn main() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().expect(name));
    let rounds = number("MAILAUTH_BENCH_ROUNDS", 5);
    let time = Duration::from_secs(number("MAILAUTH_BENCH_SECONDS", 3));
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    let headings = [
        "database, connections",
        "server",
        "logins/s",
        "p50 ms",
        "p99 ms",
        "CPU us/login",
        "with database",
        "memory MiB",
    ];
    let mut table = Table::new(&headings);
    let mut ratios = Vec::new();
    for kind in [Kind::Sqlite, Kind::MariaDb, Kind::Postgres] {
        if format!("{kind:?}").to_lowercase().contains(&wanted) {
            compare(kind, rounds, time, &mut table, &mut ratios);
        }
    }
    println!("\n{table}");
    ratios.iter().for_each(|ratio| println!("{ratio}"));
}

fn compare(kind: Kind, rounds: u64, time: Duration, table: &mut Table, ratios: &mut Vec<String>) {
    let accounts = Accounts::empty(kind).with(&csv());
    let database = (kind != Kind::Sqlite).then(|| accounts.server().pid());
    let courier = Courier::over(&accounts);
    // To measure logins that are not remembered.
    let mailauth = Mailauth::with(&accounts, "[cache]\nenabled = false");
    let servers = [
        Server { name: "courier", socket: courier.socket(), daemon: courier.pid(), database },
        Server { name: "mailauth", socket: mailauth.socket().to_owned(), daemon: mailauth.pid(), database },
    ];
    for connections in [16, 64] {
        let mut figures = [Vec::new(), Vec::new()];
        for round in 1..=rounds {
            eprintln!("{kind:?}, {connections} connections, round {round} of {rounds}");
            for (server, figures) in servers.iter().zip(&mut figures) {
                figures.push(measure(server, connections, time));
            }
        }
        for (server, figures) in servers.iter().zip(&figures) {
            let of = |figure: fn(&Figures) -> f64| median(figures.iter().map(figure));
            table.row(vec![
                format!("{kind:?}, {connections}"),
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
        ratios.push(format!(
            "{kind:?}, {connections} connections: {:.2} times Courier's logins per second; {:.2} of its processor time, \
             {:.2} with the database's; {:.2} of its p99",
            ratio(|f| f.rate),
            ratio(|f| f.daemon),
            ratio(|f| f.all),
            ratio(|f| f.p99),
        ));
    }
}

fn csv() -> String {
    let row = |user| {
        account(user, DOMAIN, &format!("{{SHA256}}{}", STANDARD.encode(Sha256::digest(format!("secret-{user}")))))
    };
    COLUMNS.to_owned() + &(0..USERS).map(row).collect::<String>()
}

fn measure(server: &Server, connections: usize, time: Duration) -> Figures {
    let cost = || {
        let daemon = processor_time(server.daemon);
        (daemon, daemon + server.database.map_or(Duration::ZERO, processor_time))
    };
    let mut before = cost();
    let (socket, question) = (server.socket.clone(), Question::Login);
    let load = Load { socket, question, connections, time, users: USERS, domain: DOMAIN };
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
