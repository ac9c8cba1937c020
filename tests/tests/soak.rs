//! Random faults for any time, and a daemon that is killed again and again.
//!
//! `MAILAUTH_SOAK_SECONDS` is the duration (10; `tests/run --soak` sets 120), and `MAILAUTH_SOAK_SEED` selects the
//! faults (4711; `0` selects others each time, and the number is printed).

use mailauth_tests::outage::{Fault, Site};
use mailauth_tests::{
    Accounts, Answers, Asked, Cluster, Galera, Holdings, Kind, Load, Mailauth, MariaDbPair, PostgresPair, Verdict,
    eventually, on_each_database,
};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

on_each_database!(changes_confirmed_by_a_killed_daemon_are_not_lost);

#[test]
fn random_faults_in_a_mariadb_pair_leave_no_trace() {
    soak(&MariaDbPair::start());
}

#[test]
fn random_faults_in_a_galera_cluster_leave_no_trace() {
    soak(&Galera::start());
}

#[test]
fn random_faults_in_a_postgres_pair_leave_no_trace() {
    soak(&PostgresPair::start());
}

/// Selects the faults, and how long they last.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| u64::from(time.subsec_nanos()));
        match number("MAILAUTH_SOAK_SEED").unwrap_or(4711) {
            0 => Chance(now()),
            seed => Chance(seed),
        }
    }

    /// Returns a number below this, by Steele and Vigna's SplitMix64.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((x ^ (x >> 31)) >> 33).expect("31 bits") % end
    }

    fn milliseconds(&mut self, end: usize) -> Duration {
        Duration::from_millis(self.below(end) as u64)
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}: a number is needed")))
}

/// Maximum number of connections of a daemon to three hosts: eight of a pool, and one to probe the host.
const CONNECTIONS: usize = 3 * (8 + 1);

/// Returns true if the resources have not grown, except for what varies: connections, some of which a fault may have
/// closed at that time, and fragmentation of the allocator.
fn has_not_grown_over(now: Holdings, before: Holdings) -> bool {
    now.kilobytes <= before.kilobytes * 5 / 4 + 4096
        && now.descriptors <= before.descriptors + CONNECTIONS
        && now.threads <= before.threads + 4
}

fn soak(cluster: &dyn Cluster) {
    let time = Duration::from_secs(number("MAILAUTH_SOAK_SECONDS").unwrap_or(10));
    let mut chance = Chance::new();
    let seed = format!("{}: MAILAUTH_SOAK_SEED={}", cluster.name(), chance.0);
    say(&format!("{seed}, {} s", time.as_secs()));
    cluster.accounts().admin(&["account", "import", "-"], &Load::accounts());
    cluster.wait_until_replicated();
    let site = Site::of(cluster);
    let server = site.daemon(true, "");
    let load = Load::new();
    let begin = Instant::now();
    // Permanent resources are allocated after a third of the time. A leak continues.
    let (mut before, mut all, mut history) = (None, Sum::default(), Vec::new());
    while begin.elapsed() < time {
        let faults = Fault::all(cluster);
        let fault = faults[chance.below(faults.len())];
        let (pause, hold) = (chance.milliseconds(1000), chance.milliseconds(2500));
        history.push(fault.name);
        let answers = load.run(server.socket(), || {
            std::thread::sleep(pause);
            (fault.act)(&site, &|| std::thread::sleep(hold));
        });
        all.add(&answers);
        let wrong = answers.wrong();
        assert!(wrong.is_empty(), "{seed}: after {history:?}:\n{}", wrong.join("\n"));
        if before.is_none() && begin.elapsed() > time / 3 {
            before = Some(Holdings::of(server.pid()));
        }
    }
    eventually(&format!("{seed}: all is answered again"), Duration::from_secs(30), || is_well(&load, server.socket()));
    let before = before.expect("a third of the time");
    let mut after = before;
    eventually(&format!("{seed}: no more held than {before:?}"), Duration::from_secs(20), || {
        after = Holdings::of(server.pid());
        has_not_grown_over(after, before)
    });
    say(&format!("{seed}: {} faults, {all}; held {before:?}, then {after:?}", history.len()));
}

#[derive(Default)]
struct Sum {
    answers: usize,
    not_now: usize,
    changed_not_now: usize,
    changes_not_now: usize,
}

impl Sum {
    fn add(&mut self, answers: &Answers) {
        self.answers += answers.count();
        let not_now = |asked| answers.which(asked, &Verdict::NotNow).count();
        self.not_now += not_now(Asked::Read);
        self.changed_not_now += not_now(Asked::ReadChanged);
        self.changes_not_now += not_now(Asked::Change);
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Sum { answers, not_now, changed_not_now, changes_not_now } = self;
        write!(
            f,
            "{answers} answers, none wrong, not now: {not_now} reads, {changed_not_now} of what was just changed, "
        )?;
        write!(f, "{changes_not_now} changes")
    }
}

/// Returns true if every request is answered, and correctly, for a moment.
fn is_well(load: &Load, socket: &Path) -> bool {
    let answers = load.run(socket, || std::thread::sleep(Duration::from_millis(500)));
    let wrong = answers.wrong();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let right = |asked| answers.which(asked, &Verdict::Right).count() > 0;
    let silent = |asked| answers.which(asked, &Verdict::NotNow).count() > 0;
    [Asked::Read, Asked::ReadChanged, Asked::Change].into_iter().all(|asked| right(asked) && !silent(asked))
}

/// Prints a line, not by a macro, whose output is captured when all tests are run.
fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

fn changes_confirmed_by_a_killed_daemon_are_not_lost(kind: Kind) {
    let accounts = Accounts::empty(kind).with(&Load::accounts());
    let mut server = Mailauth::over(&accounts);
    let socket = server.socket().to_owned();
    let load = Load::on_a_restarting_server();
    let answers = load.run_watched(&socket, |watch| {
        for _ in 0..8 {
            // At any moment of a change, and after some were confirmed.
            watch.wait_for_right(Asked::Change, 3, Instant::now(), Duration::from_secs(60));
            server.crash();
            server.start_again();
        }
    });
    let wrong = answers.wrong();
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), server.log());
    assert!(answers.which(Asked::Change, &Verdict::Right).count() > 20, "changes were promised");
    assert!(answers.which(Asked::Read, &Verdict::NotNow).count() > 0, "no client noticed the end of the server");
    eventually("everything is answered again", Duration::from_secs(10), || is_well(&load, &socket));
}
