//! Logins by Dovecot's authentication protocol: mailauth-courier compared with Debian's Dovecot 2.3, which reads the
//! same rows by SQL, in one run.
//!
//! `cargo bench -p mailauth-benches --bench dovecot`, as root. On SQLite and MariaDB each of the two runs twice,
//! without and with its cache, and the four take turns, so that a machine that slows down slows all of them. Each figure
//! is the median of the rounds, each ratio the median of the ratios within a round.
//!
//! - `kept`: 16 connections, on each of which 8 requests are in flight: 1,000 accounts with `{SHA256}`, then 20 with
//!   `$6$`.
//! - `each`: 16 clients that connect for each login, as Exim does: 1,000 accounts with `{SHA256}`.
//! - `storm`: 4 clients log in accounts with bcrypt, one after the other, each account once. The figures are those of 4
//!   other connections meanwhile, with one request at a time on each, as of Postfix: 1,000 accounts with `{SHA256}`.
//!
//! `MAILAUTH_BENCH_ROUNDS` (5) and `MAILAUTH_BENCH_SECONDS` (2) make it longer. Words on the command line select
//! databases and tasks by parts of their names.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailauth_benches::dovecot::Dovecot;
use mailauth_benches::load::{COLUMNS, Outcome, Random, account, again_and_again};
use mailauth_benches::plain_logins::{Logins, connect_each, is_logged_in, keep};
use mailauth_benches::processes::processor_time;
use mailauth_benches::summary::{Table, median};
use mailauth_core::password::{NewScheme, hash};
use mailauth_tests::{Accounts, Kind, Mailauth, Scratch};
use rustix::process::Pid;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const CHEAP: u64 = 1000;
const COSTLY: u64 = 20;
/// Number of different passwords with bcrypt. To hash one for each account would take minutes.
const PASSWORDS: u64 = 16;
/// Accounts with bcrypt for each second of a storm: more than can log in.
const STORM_PER_SECOND: u64 = 250;

const CONNECTIONS: usize = 16;
const IN_FLIGHT: usize = 8;
const STORM_CLIENTS: usize = 4;
const ORDINARY_CLIENTS: usize = 4;

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    Kept,
    KeptCostly,
    Each,
    Storm,
}

impl Task {
    const ALL: [Task; 4] = [Task::Kept, Task::KeptCostly, Task::Each, Task::Storm];

    fn name(self) -> &'static str {
        match self {
            Task::Kept => "kept, {SHA256}",
            Task::KeptCostly => "kept, $6$",
            Task::Each => "each, {SHA256}",
            Task::Storm => "storm, {SHA256}",
        }
    }
}

/// Length of the measurement.
#[derive(Clone, Copy)]
struct Length {
    rounds: u64,
    time: Duration,
}

impl Length {
    fn warm_up(self) -> Duration {
        self.time.min(Duration::from_secs(1))
    }
}

/// The logins of all tasks.
struct People {
    cheap: Logins,
    costly: Logins,
    storm: Logins,
    storm_accounts: usize,
    wrong: Logins,
}

/// A server under test.
struct Server {
    name: &'static str,
    socket: PathBuf,
    pid: Pid,
    /// The next account of the storm.
    next: AtomicUsize,
}

/// Figures of one server in one round.
struct Figures {
    rate: f64,
    p50: f64,
    p99: f64,
    /// Microseconds of processor time per login of the server without the database. With a storm, it has no meaning.
    cost: f64,
    /// Logins with bcrypt per second, if there is a storm.
    storm: f64,
}

fn main() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().expect(name));
    let length = Length {
        rounds: number("MAILAUTH_BENCH_ROUNDS", 5),
        time: Duration::from_secs(number("MAILAUTH_BENCH_SECONDS", 2)),
    };
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let headings = ["database, task", "server", "logins/s", "p50 ms", "p99 ms", "CPU us/login", "logins/s with bcrypt"];
    let (mut table, mut ratios) = (Table::new(&headings), Vec::new());
    for kind in [Kind::Sqlite, Kind::MariaDb] {
        let database = format!("{kind:?}");
        let tasks: Vec<Task> = Task::ALL.into_iter().filter(|task| is_selected(&words, &database, *task)).collect();
        if !tasks.is_empty() {
            compare(kind, &tasks, length, &mut table, &mut ratios);
        }
    }
    println!("\n{table}");
    ratios.iter().for_each(|ratio| println!("{ratio}"));
}

/// Returns true if each word is a part of the name of the database or the task.
fn is_selected(words: &[String], database: &str, task: Task) -> bool {
    let name = format!("{database}, {}", task.name()).to_lowercase();
    words.iter().all(|word| name.contains(&word.to_lowercase()))
}

fn compare(kind: Kind, tasks: &[Task], length: Length, table: &mut Table, ratios: &mut Vec<String>) {
    let storm = STORM_PER_SECOND * length.rounds * (length.time + length.warm_up()).as_secs();
    let accounts = Accounts::empty(kind).with(&csv(storm));
    let people = People {
        cheap: Logins::of(CHEAP, "sha256.example", |user| format!("secret-{user}")),
        costly: Logins::of(COSTLY, "crypt.example", |user| format!("secret-{user}")),
        storm: Logins::of(storm, "bcrypt.example", storm_password),
        storm_accounts: storm as usize,
        wrong: Logins::of(1, "sha256.example", |_| "wrong".to_owned()),
    };
    let theirs = ["0", "64M"].map(|cache| Dovecot::over(&accounts, cache));
    let folder = Scratch::new("clients");
    let ours = [("first", "[cache]\nenabled = false\n"), ("second", "")].map(|(name, sections)| {
        let socket = folder.join(name);
        let dovecot = format!("[dovecot]\nclient_socket = \"{}\"\n{sections}", socket.display());
        (Mailauth::with(&accounts, &dovecot), socket)
    });
    let server = |name, socket, pid| Server { name, socket, pid, next: AtomicUsize::new(0) };
    let servers = [
        server("dovecot, no cache", theirs[0].socket(), theirs[0].pid()),
        server("mailauth, no cache", ours[0].1.clone(), ours[0].0.pid()),
        server("dovecot", theirs[1].socket(), theirs[1].pid()),
        server("mailauth", ours[1].1.clone(), ours[1].0.pid()),
    ];
    for server in &servers {
        assert!(is_logged_in(&server.socket, &people.cheap, 0), "{} refuses a right password", server.name);
        assert!(!is_logged_in(&server.socket, &people.wrong, 0), "{} accepts a wrong password", server.name);
    }
    for task in tasks {
        let title = format!("{kind:?}, {}", task.name());
        ratios.push(take_turns(&title, *task, &servers, &people, length, table));
    }
}

/// Runs the rounds of a task. Adds a row for each server to the table, and returns a sentence with the ratios.
fn take_turns(
    title: &str,
    task: Task,
    servers: &[Server; 4],
    people: &People,
    length: Length,
    table: &mut Table,
) -> String {
    let mut figures = [const { Vec::new() }; 4];
    for round in 1..=length.rounds {
        eprintln!("{title}, round {round} of {}", length.rounds);
        for (server, figures) in servers.iter().zip(&mut figures) {
            figures.push(measure(server, task, people, length));
        }
    }
    for (server, figures) in servers.iter().zip(&figures) {
        let of = |figure: fn(&Figures) -> f64, digits: usize| match median(figures.iter().map(figure)) {
            value if value.is_nan() => String::new(),
            value => format!("{value:.digits$}"),
        };
        table.row(vec![
            title.to_owned(),
            server.name.to_owned(),
            of(|f| f.rate, 0),
            of(|f| f.p50, 2),
            of(|f| f.p99, 2),
            of(|f| f.cost, 1),
            of(|f| f.storm, 0),
        ]);
    }
    let [their_bare, our_bare, theirs, ours] = &figures;
    let ratio = |ours: &[Figures], theirs: &[Figures]| {
        median(ours.iter().zip(theirs).map(|(ours, theirs)| ours.rate / theirs.rate))
    };
    format!(
        "{title}: {:.2} times Dovecot's logins per second without caches, {:.2} times with caches",
        ratio(our_bare, their_bare),
        ratio(ours, theirs),
    )
}

fn measure(server: &Server, task: Task, people: &People, length: Length) -> Figures {
    let cost = || processor_time(server.pid);
    let mut before = cost();
    let mut storm = None;
    let socket = server.socket.as_path();
    let outcome = match task {
        Task::Kept => kept(socket, &people.cheap, CHEAP, length, || before = cost()),
        Task::KeptCostly => kept(socket, &people.costly, COSTLY, length, || before = cost()),
        Task::Each => again_and_again(
            CONNECTIONS,
            length.warm_up(),
            length.time,
            || before = cost(),
            |number| connect_each(socket, &people.cheap, any_of(CHEAP, number)),
        ),
        Task::Storm => {
            let (ordinary, costly) = in_a_storm(server, people, length);
            storm = Some(costly);
            ordinary
        }
    };
    // Workers of Dovecot may end meanwhile, and their time is not counted then.
    let used = cost().checked_sub(before).filter(|_| storm.is_none());
    for outcome in [Some(&outcome), storm.as_ref()].into_iter().flatten() {
        assert_eq!(outcome.wrong, 0, "{} answered wrongly, so its figures are meaningless", server.name);
    }
    let each = |used: Duration| used.as_secs_f64() * 1e6 / outcome.micros.len() as f64;
    Figures {
        rate: outcome.rate(),
        p50: outcome.percentile(0.50),
        p99: outcome.percentile(0.99),
        cost: used.map_or(f64::NAN, each),
        storm: storm.map_or(f64::NAN, |storm| storm.rate()),
    }
}

/// Logs in over connections that are kept.
fn kept(socket: &Path, logins: &Logins, users: u64, length: Length, measured: impl FnOnce()) -> Outcome {
    again_and_again(CONNECTIONS, length.warm_up(), length.time, measured, |number| {
        keep(socket, logins, IN_FLIGHT, any_of(users, number))
    })
}

/// Returns the outcomes of ordinary clients and of those with bcrypt.
fn in_a_storm(server: &Server, people: &People, length: Length) -> (Outcome, Outcome) {
    let socket = server.socket.as_path();
    let next = || {
        let user = server.next.fetch_add(1, Ordering::Relaxed);
        assert!(user < people.storm_accounts, "each account with bcrypt has logged in once");
        user
    };
    let storm = || {
        again_and_again(STORM_CLIENTS, length.warm_up(), length.time, || (), |_| keep(socket, &people.storm, 1, next))
    };
    let ordinary = || {
        again_and_again(
            ORDINARY_CLIENTS,
            length.warm_up(),
            length.time,
            || (),
            |number| keep(socket, &people.cheap, 1, any_of(CHEAP, number)),
        )
    };
    std::thread::scope(|scope| {
        let storm = scope.spawn(storm);
        (ordinary(), storm.join().expect("a client panicked"))
    })
}

/// Returns a choice of one of so many users, which differs from client to client.
fn any_of(users: u64, client: usize) -> impl FnMut() -> usize {
    let mut random = Random::of(client);
    move || (random.draw() % users) as usize
}

fn csv(storm: u64) -> String {
    let digest = |user| format!("{{SHA256}}{}", STANDARD.encode(Sha256::digest(format!("secret-{user}"))));
    let cheap = (0..CHEAP).map(|user| account(user, "sha256.example", &digest(user)));
    let costly = (0..COSTLY)
        .map(|user| account(user, "crypt.example", &hashed(NewScheme::Sha512Crypt, &format!("secret-{user}"))));
    let hashes: Vec<String> = (0..PASSWORDS).map(|user| hashed(NewScheme::Bcrypt, &storm_password(user))).collect();
    let storm = (0..storm).zip(hashes.iter().cycle()).map(|(user, hash)| account(user, "bcrypt.example", hash));
    COLUMNS.to_owned() + &cheap.chain(costly).chain(storm).collect::<String>()
}

/// Returns the password of a user with bcrypt.
fn storm_password(user: u64) -> String {
    format!("secret-{}", user % PASSWORDS)
}

fn hashed(scheme: NewScheme, password: &str) -> String {
    let made = hash(scheme, password.as_bytes()).expect("a hash");
    String::from_utf8(made.expose().to_vec()).expect("text")
}
