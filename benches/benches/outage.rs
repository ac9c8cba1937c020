//! What a mail host sees during an outage of its database and during an attack on its passwords: draws the pictures of
//! docs/monitoring.md, docs/images/outage.svg and docs/images/guessing.svg.
//!
//!     cargo bench -p mailauth-benches --bench outage
//!
//! A real PostgreSQL and a real daemon serve a steady load. The answers are what the daemon's metrics say, read ten times a
//! second; the latencies are what the clients see. Another folder for the pictures may be named in `MAILAUTH_BENCH_IMAGES`.

use mailauth_benches::load::Random;
use mailauth_benches::plot::{Band, Figure, Panel, Scale, Series, colour};
use mailauth_tests::metrics::{metrics, with_metrics};
use mailauth_tests::people::{CHEAP_HASH, PASSWORD};
use mailauth_tests::wire::{Manner, auth, try_ask};
use mailauth_tests::{Accounts, Kind, Mailauth, eventually, free_port};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Interval between two readings of the metrics.
const INTERVAL: Duration = Duration::from_millis(100);

/// Seconds over which rates and latencies are taken: the clients' pace, so that their rhythm does not show.
const WINDOW: f64 = 1.0;

/// One reading of the metrics.
struct Reading {
    at: f64,
    text: String,
}

impl Reading {
    /// Returns the sum of the samples of a metric whose labels have all of these parts.
    fn sum(&self, name: &str, parts: &[&str]) -> f64 {
        let samples =
            self.text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let wanted = samples.filter(|line| parts.iter().all(|part| line.contains(part)));
        wanted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// A request of a client: when it began, and its seconds if it was answered yes.
type Answer = (f64, Option<f64>);

/// A load and what was seen of it.
struct Run {
    readings: Vec<Reading>,
    answers: Vec<Answer>,
    seconds: f64,
}

impl Run {
    /// Returns the answers per second whose labels have these parts.
    fn rate(&self, name: &'static str, colour: &'static str, parts: &[&str]) -> Series {
        let sums: Vec<(f64, f64)> =
            self.readings.iter().map(|reading| (reading.at, reading.sum("mailauth_answers_total", parts))).collect();
        let steps = (WINDOW / INTERVAL.as_secs_f64()).round() as usize;
        let points = sums.iter().zip(sums.iter().skip(steps));
        Series { name, colour, points: points.map(|(old, new)| (new.0, (new.1 - old.1) / (new.0 - old.0))).collect() }
    }

    fn value(&self, name: &'static str, colour: &'static str, metric: &str) -> Series {
        Series {
            name,
            colour,
            points: self.readings.iter().map(|reading| (reading.at, reading.sum(metric, &[]))).collect(),
        }
    }

    /// Returns the milliseconds within which this share of the requests that began in each window was answered.
    fn latency(&self, name: &'static str, colour: &'static str, share: f64) -> Series {
        let windows = (self.seconds / WINDOW) as usize;
        let points = (0..windows).map(|window| {
            let from = window as f64 * WINDOW;
            let begun = self.answers.iter().filter(|(at, _)| (from..from + WINDOW).contains(at));
            let mut took: Vec<f64> = begun.filter_map(|(_, took)| *took).collect();
            took.sort_by(f64::total_cmp);
            let at = (took.len() as f64 * share) as usize;
            let value = took.get(at.min(took.len().saturating_sub(1))).map_or(f64::NAN, |took| took * 1e3);
            (from + WINDOW / 2.0, value)
        });
        Series { name, colour, points: points.collect() }
    }

    fn answered(&self) -> (usize, usize) {
        let yes = self.answers.iter().filter(|(_, took)| took.is_some()).count();
        (yes, self.answers.len() - yes)
    }
}

/// Clients of a load: each sends a request at an even pace, or as soon as it can.
struct Clients<'a> {
    number: usize,
    pace: Duration,
    /// Seconds in which they send.
    active: (f64, f64),
    /// Returns a request for a random number.
    request: &'a (dyn Fn(&mut Random) -> Vec<u8> + Sync),
    /// Whether their answers are kept.
    is_measured: bool,
}

/// Runs clients against a daemon while `during` runs, and reads its metrics.
fn watch(socket: &Path, port: u16, seconds: f64, clients: &[Clients<'_>], during: impl FnOnce(Instant)) -> Run {
    let begin = Instant::now();
    let (answers, readings) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for (kind, group) in clients.iter().enumerate() {
            for number in 0..group.number {
                let answers = &answers;
                scope.spawn(move || {
                    let kept = send(socket, begin, kind * 1000 + number, group);
                    answers.lock().expect("no panic with the lock held").extend(kept);
                });
            }
        }
        scope.spawn(|| {
            let mut next = begin;
            while begin.elapsed().as_secs_f64() < seconds {
                let at = begin.elapsed().as_secs_f64();
                if let Some(text) = metrics(port) {
                    readings.lock().expect("no panic with the lock held").push(Reading { at, text });
                }
                next += INTERVAL;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        });
        during(begin);
    });
    Run {
        readings: readings.into_inner().expect("no panic with the lock held"),
        answers: answers.into_inner().expect("no panic with the lock held"),
        seconds,
    }
}

fn send(socket: &Path, begin: Instant, number: usize, group: &Clients<'_>) -> Vec<Answer> {
    let mut random = Random::of(number);
    let mut kept = Vec::new();
    // The clients do not all begin at once.
    let offset = group.pace.mul_f64((number % 1000) as f64 / group.number as f64);
    let mut next = begin + Duration::from_secs_f64(group.active.0) + offset;
    loop {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let at = begin.elapsed().as_secs_f64();
        if at >= group.active.1 {
            return kept;
        }
        let reply = try_ask(socket, &(group.request)(&mut random), Manner::Whole).expect("a daemon");
        if group.is_measured {
            let is_yes = reply.outcome().word() == "ACCOUNT";
            kept.push((at, is_yes.then_some(reply.took.as_secs_f64())));
        }
        // A client that had to wait does not make up for it.
        next = (next + group.pace).max(Instant::now());
    }
}

fn sleep_until(begin: Instant, seconds: f64) {
    std::thread::sleep((begin + Duration::from_secs_f64(seconds)).saturating_duration_since(Instant::now()));
}

fn login(user: u64) -> String {
    format!("user{user}@example.org")
}

/// Returns accounts `user0@example.org` and so on, whose password is [`PASSWORD`].
fn csv(users: u64) -> String {
    let rows = (0..users).map(|user| format!("{},{CHEAP_HASH}\n", login(user)));
    "login,password\n".to_owned() + &rows.collect::<String>()
}

/// The database is frozen for 20 seconds, as by a full disk or a lost packet filter, while users log in.
fn outage() -> Figure {
    const USERS: u64 = 5_000;
    const SECONDS: f64 = 60.0;
    const FROZEN: (f64, f64) = (20.0, 40.0);
    let accounts = Accounts::on_own_server(Kind::Postgres).with_snapshot("refresh = \"5s\"\n").with(&csv(USERS));
    let port = free_port();
    let daemon = Mailauth::configured(|socket| {
        accounts.are_served_on(socket);
        with_metrics(&accounts, socket, &format!("127.0.0.1:{port}"), "")
    });
    eventually("a copy of the tables", Duration::from_secs(60), || accounts.snapshot_is_whole());
    // One login in twenty has a wrong password, always the same.
    let request = |random: &mut Random| {
        let password = if random.draw().is_multiple_of(20) { "wrong" } else { PASSWORD };
        auth("imap", &login(random.draw() % USERS), password)
    };
    let pace = Duration::from_secs(1);
    let clients = Clients { number: 500, pace, active: (0.0, SECONDS), request: &request, is_measured: true };
    let run = watch(daemon.socket(), port, SECONDS, &[clients], |begin| {
        sleep_until(begin, FROZEN.0);
        accounts.server().freeze();
        sleep_until(begin, FROZEN.1);
        accounts.server().thaw();
    });
    let last = run.readings.last().expect("readings");
    let not_now = last.sum("mailauth_answers_total", &["about=\"login\"", "answer=\"not now\""]);
    eprintln!("outage: {:?} answers yes and others, {not_now} of the others \"not now\"", run.answered());
    let of = |answer: &'static str| format!("answer=\"{answer}\"");
    let rate = |name, colour, answer| run.rate(name, colour, &["about=\"login\"", &of(answer)]);
    Figure {
        title: "PostgreSQL is frozen for 20 seconds; users keep logging in",
        seconds: SECONDS,
        bands: vec![Band { from: FROZEN.0, to: FROZEN.1, name: "the database does not answer" }],
        panels: vec![
            Panel {
                title: "logins per second, by answer",
                scale: Scale::Linear,
                stacked: true,
                height: 150.0,
                series: vec![
                    rate("yes", colour::YES, "yes"),
                    rate("no", colour::NO, "no"),
                    rate("not now", colour::NOT_NOW, "not now"),
                ],
            },
            Panel {
                title: "time to a yes, in milliseconds",
                scale: Scale::Logarithmic,
                stacked: false,
                height: 130.0,
                series: vec![
                    run.latency("median", colour::VALUE, 0.5),
                    run.latency("slowest 1 %", colour::OTHER, 0.99),
                ],
            },
            Panel {
                title: "age of the copy of the tables, in seconds",
                scale: Scale::Linear,
                stacked: false,
                height: 90.0,
                series: vec![run.value("age", colour::VALUE, "mailauth_snapshot_age_seconds")],
            },
        ],
    }
}

/// First a few networks and then many try passwords, while the owners of the accounts keep logging in.
fn guessing() -> Figure {
    const SECONDS: f64 = 60.0;
    const FEW: (f64, f64) = (8.0, 24.0);
    const MANY: (f64, f64) = (32.0, 52.0);
    let accounts = Accounts::empty(Kind::Sqlite).with(&csv(20));
    let port = free_port();
    let daemon = Mailauth::configured(|socket| with_metrics(&accounts, socket, &format!("127.0.0.1:{port}"), ""));
    let from = |network: &str, request: Vec<u8>| [format!("TCPREMOTEIP={network}\n").as_bytes(), &request].concat();
    let owner = |random: &mut Random| {
        let user = random.draw() % 20;
        from(&format!("192.0.2.{user}"), auth("imap", &login(user), PASSWORD))
    };
    let guess = |random: &mut Random, networks: u64, first: u64| {
        let (user, network) = (first + random.draw() % 10, random.draw() % networks);
        from(&format!("203.0.113.{network}"), auth("imap", &login(user), &format!("guess {}", random.draw())))
    };
    // Each attack is on ten logins of its own.
    let by_few = |random: &mut Random| guess(random, 3, 0);
    let by_many = |random: &mut Random| guess(random, 250, 10);
    let (active, pace) = ((0.0, SECONDS), Duration::from_secs(1));
    let owners = Clients { number: 100, pace, active, request: &owner, is_measured: true };
    let few = Clients { number: 200, pace, active: FEW, request: &by_few, is_measured: false };
    let many = Clients { number: 200, pace, active: MANY, request: &by_many, is_measured: false };
    let run = watch(daemon.socket(), port, SECONDS, &[owners, few, many], |_| {});
    let (yes, others) = run.answered();
    eprintln!("guessing: of the owners' logins, {yes} yes and {others} others");
    let rate = |name, colour, reason: &str| run.rate(name, colour, &["about=\"login\"", reason]);
    Figure {
        title: "Passwords of ten logins are guessed, then of ten others; their owners keep logging in",
        seconds: SECONDS,
        bands: vec![
            Band { from: FEW.0, to: FEW.1, name: "from 3 networks" },
            Band { from: MANY.0, to: MANY.1, name: "from 250 networks" },
        ],
        panels: vec![
            Panel {
                title: "guesses per second",
                scale: Scale::Linear,
                stacked: true,
                height: 150.0,
                series: vec![
                    rate("tried", colour::VALUE, "reason=\"wrong-password\""),
                    rate("refused untried", colour::NO, "reason=\"throttled\""),
                    rate("put off untried", colour::NOT_NOW, "reason=\"attacked\""),
                ],
            },
            Panel {
                title: "owners' logins per second that are answered yes",
                scale: Scale::Linear,
                stacked: true,
                height: 80.0,
                series: vec![rate("yes", colour::YES, "answer=\"yes\"")],
            },
            Panel {
                title: "time to the owners' yes, in milliseconds",
                scale: Scale::Logarithmic,
                stacked: false,
                height: 110.0,
                series: vec![
                    run.latency("median", colour::VALUE, 0.5),
                    run.latency("slowest 1 %", colour::OTHER, 0.99),
                ],
            },
        ],
    }
}

fn main() {
    let folder = std::env::var_os("MAILAUTH_BENCH_IMAGES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images"), PathBuf::from);
    std::fs::create_dir_all(&folder).expect("a folder for the pictures");
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    for (name, draw) in [("outage", outage as fn() -> Figure), ("guessing", guessing)] {
        if name.contains(&wanted) {
            std::fs::write(folder.join(name).with_extension("svg"), draw().svg()).expect("a picture");
        }
    }
}
