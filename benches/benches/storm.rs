//! Every account logs in once into a daemon that has just started, as after an outage: mailauth-courier compared with the
//! real courier-authdaemond, on the same rows in one run.
//!
//! `cargo bench -p mailauth-benches --bench storm`, as root. 10,000 accounts in SQLite and 64 concurrent clients, of which
//! each takes the next account until all have logged in. The two daemons take turns, each in a process that has just
//! started, so that a machine that slows down slows both. Each figure is the median of the rounds, each ratio the median of
//! the ratios within a round.
//!
//! Meanwhile one client looks accounts up, and one logs in accounts that logged in shortly before, whose passwords
//! mailauth remembers.
//!
//! Words on the command line select the schemes by a part of the name (`sha512-crypt`, `bcrypt`).
//! `MAILAUTH_BENCH_ACCOUNTS` (10,000) and `MAILAUTH_BENCH_ROUNDS` (3) make it shorter or longer.

use mailauth_benches::load::{COLUMNS, Outcome, account, is_logged_in, looked_up};
use mailauth_benches::summary::{Table, median};
use mailauth_core::password::{NewScheme, hash};
use mailauth_tests::{Accounts, Courier, Kind, Mailauth};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const CLIENTS: usize = 64;
const DOMAIN: &str = "storm.example";
const SCHEMES: [NewScheme; 2] = [NewScheme::Sha512Crypt, NewScheme::Bcrypt];
/// Number of different passwords. To hash one for each account would take minutes.
const PASSWORDS: u64 = 16;
/// Number of accounts that have logged in before the storm, in addition to those that take part in it.
const KNOWN: u64 = 8;
/// Pause between two requests of the clients that ask meanwhile.
const PAUSE: Duration = Duration::from_millis(5);

/// Figures of one daemon in one round.
struct Figures {
    logins: Outcome,
    lookups: Outcome,
    known: Outcome,
}

fn main() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().expect(name));
    let accounts = number("MAILAUTH_BENCH_ACCOUNTS", 10_000);
    let rounds = number("MAILAUTH_BENCH_ROUNDS", 3);
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let headings = ["scheme", "server", "logins/s", "p50 ms", "p99 ms", "look-ups p99 ms", "remembered logins p99 ms"];
    let mut table = Table::new(&headings);
    let mut ratios = Vec::new();
    for scheme in SCHEMES {
        if words.is_empty() || words.iter().any(|word| scheme.name().contains(word.as_str())) {
            ratios.push(compare(scheme, accounts, rounds, &mut table));
        }
    }
    println!("\n{table}");
    ratios.iter().for_each(|ratio| println!("{ratio}"));
}

fn compare(scheme: NewScheme, accounts: u64, rounds: u64, table: &mut Table) -> String {
    let rows = Accounts::empty(Kind::Sqlite).with(&csv(scheme, accounts + KNOWN));
    let mut figures = [Vec::new(), Vec::new()];
    for round in 1..=rounds {
        eprintln!("{}, round {round} of {rounds}", scheme.name());
        let courier = Courier::over(&rows);
        figures[0].push(storm(&courier.socket(), accounts));
        drop(courier);
        let mailauth = Mailauth::over(&rows);
        figures[1].push(storm(mailauth.socket(), accounts));
    }
    for (server, figures) in ["courier", "mailauth"].into_iter().zip(&figures) {
        let of = |figure: fn(&Figures) -> f64| median(figures.iter().map(figure));
        table.row(vec![
            scheme.name().to_owned(),
            server.to_owned(),
            format!("{:.0}", of(|f| f.logins.rate())),
            format!("{:.1}", of(|f| f.logins.percentile(0.50))),
            format!("{:.1}", of(|f| f.logins.percentile(0.99))),
            format!("{:.2}", of(|f| f.lookups.percentile(0.99))),
            format!("{:.2}", of(|f| f.known.percentile(0.99))),
        ]);
    }
    let [theirs, ours] = &figures;
    let ratio = median(ours.iter().zip(theirs).map(|(ours, theirs)| ours.logins.rate() / theirs.logins.rate()));
    format!("{}, {accounts} accounts: {ratio:.2} times Courier's logins per second", scheme.name())
}

fn csv(scheme: NewScheme, accounts: u64) -> String {
    let hashes: Vec<String> = (0..PASSWORDS)
        .map(|number| {
            let made = hash(scheme, password(number).as_bytes()).expect("a hash");
            String::from_utf8(made.expose().to_vec()).expect("text")
        })
        .collect();
    let rows = (0..accounts).zip(hashes.iter().cycle()).map(|(user, hash)| account(user, DOMAIN, hash));
    COLUMNS.to_owned() + &rows.collect::<String>()
}

/// Returns the password of a user.
fn password(user: u64) -> String {
    format!("secret-{}", user % PASSWORDS)
}

fn log_in(socket: &Path, user: u64) -> bool {
    is_logged_in(socket, &login(user), &password(user))
}

fn login(user: u64) -> String {
    format!("user{user:06}@{DOMAIN}")
}

/// Lets all accounts log in once.
fn storm(socket: &Path, accounts: u64) -> Figures {
    let known = |turn: u64| accounts + turn % KNOWN;
    assert!((0..KNOWN).all(|turn| log_in(socket, known(turn))), "the accounts that log in before the storm");
    let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let one = || {
        let mut part = Outcome::default();
        loop {
            let user = next.fetch_add(1, Ordering::Relaxed);
            if user >= accounts {
                return part;
            }
            time(&mut part, || log_in(socket, user));
        }
    };
    let meanwhile = |act: &dyn Fn(u64) -> bool| {
        let mut part = Outcome::default();
        for turn in 0.. {
            if over.load(Ordering::Relaxed) {
                break;
            }
            time(&mut part, || act(turn));
            std::thread::sleep(PAUSE);
        }
        part
    };
    let begin = Instant::now();
    let figures = std::thread::scope(|scope| {
        let lookups = scope.spawn(|| meanwhile(&|turn| looked_up(socket, &login(turn * 7919 % accounts))));
        let remembered = scope.spawn(|| meanwhile(&|turn| log_in(socket, known(turn))));
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(one)).collect();
        let parts: Vec<Outcome> = clients.into_iter().map(|client| client.join().expect("a client panicked")).collect();
        let took = begin.elapsed();
        over.store(true, Ordering::Relaxed);
        let join = |thread: std::thread::ScopedJoinHandle<'_, Outcome>| thread.join().expect("a client panicked");
        Figures {
            logins: Outcome::of_all(parts, took),
            lookups: Outcome::of_all([join(lookups)], took),
            known: Outcome::of_all([join(remembered)], took),
        }
    });
    for outcome in [&figures.logins, &figures.lookups, &figures.known] {
        assert_eq!(outcome.wrong, 0, "wrong answers, so the figures are meaningless");
    }
    figures
}

fn time(part: &mut Outcome, act: impl FnOnce() -> bool) {
    let begin = Instant::now();
    if act() {
        part.micros.push(u32::try_from(begin.elapsed().as_micros()).unwrap_or(u32::MAX));
    } else {
        part.wrong += 1;
    }
}
