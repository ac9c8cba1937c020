//! A database of several servers, with each thing that can happen to one of them or to all, under a steady load of
//! logins and password changes: no answer is ever wrong, "not now" is bounded, and all goes on by itself afterwards.
//!
//! The daemon remembers nothing here: what is right is so by the servers that are left, or by the daemon's copy of the
//! tables.
//! `MAILAUTH_OUTAGE_ONLY` is a part of the name of the only faults that are wanted, such as `frozen`.

use mailauth_tests::outage::{DEADLINE, Fault, Left, Site};
use mailauth_tests::{Answers, Asked, Cluster, Galera, Load, Mailauth, MariaDbPair, PostgresPair, Verdict};
use std::cell::OnceCell;
use std::io::Write;
use std::time::{Duration, Instant};

#[test]
fn a_mariadb_pair_gives_no_wrong_answer_and_recovers_from_each_fault() {
    all_faults(&MariaDbPair::start(), RETURN);
}

#[test]
fn a_galera_cluster_gives_no_wrong_answer_and_recovers_from_each_fault() {
    // A node that was frozen makes the others wait with their changes until they have agreed about it.
    all_faults(&Galera::start(), RETURN + Duration::from_secs(5));
}

#[test]
fn a_postgres_pair_gives_no_wrong_answer_and_recovers_from_each_fault() {
    all_faults(&PostgresPair::start(), RETURN);
}

/// How long a fault lasts: longer than every deadline.
const FAULT: Duration = Duration::from_millis(3000);
/// Within so long after a fault has begun, and after it has ended, "not now" is excused: the time in which a daemon
/// finds out what has changed, which is a query's deadline and a probe, on a noisy machine.
const WINDOW: Duration = DEADLINE.saturating_mul(2);
/// Within so long after a fault, passwords can be changed again: a probe that is on its way must end at its deadline, and
/// the next one find the server well.
const RETURN: Duration = Duration::from_millis(3500);
/// After that, everything is answered.
const STRETCH: Duration = Duration::from_millis(600);
/// How many reads may be "not now" in such a time where another server is left: one or a few for each client.
const FEW: usize = 20;
/// What the slowest answer may take: a connect and a query that both end at their deadline, on two servers.
const ANSWER: Duration = DEADLINE.saturating_mul(5);

fn all_faults(cluster: &dyn Cluster, changes_return: Duration) {
    cluster.accounts().admin(&["account", "import", "-"], &Load::accounts());
    cluster.wait_until_replicated();
    let site = Site::of(cluster);
    let [direct, proxied] = [false, true].map(|proxied| site.daemon(proxied, "[cache]\nenabled = false"));
    // What others have changed it may know a minute later only: so it begins when they are done.
    let with_a_copy = OnceCell::new();
    let load = Load::new();
    let mut rows = Vec::new();
    let only = std::env::var("MAILAUTH_OUTAGE_ONLY").unwrap_or_default();
    let faults = Fault::all(cluster).into_iter().chain(Fault::WITH_A_COPY);
    for fault in faults.filter(|fault| fault.name.contains(&only)) {
        let daemon = match fault.left {
            Left::Copy => with_a_copy.get_or_init(|| site.daemon_with_a_copy()),
            _ if fault.proxied => &proxied,
            _ => &direct,
        };
        rows.push(Row::of(fault, &site, &load, daemon.socket(), changes_return));
    }
    print(cluster.name(), &rows);
    let wrong: Vec<String> = rows.iter().flat_map(Row::complaints).collect();
    if !wrong.is_empty() {
        let daemons = [&direct, &proxied].into_iter().chain(with_a_copy.get());
        let said: Vec<String> = daemons.map(Mailauth::log).collect();
        said.iter()
            .flat_map(|log| log.lines())
            .filter(|line| line.contains(" WARN "))
            .for_each(|line| eprintln!("{line}"));
    }
    assert!(wrong.is_empty(), "{}:\n{}", cluster.name(), wrong.join("\n"));
}

/// A fault and what came of it.
struct Row {
    fault: Fault,
    start: Instant,
    end: Instant,
    changes_return: Duration,
    answers: Answers,
    missed: bool,
}

impl Row {
    fn of(fault: Fault, site: &Site, load: &Load, socket: &std::path::Path, changes_return: Duration) -> Self {
        let start = Instant::now() + Duration::from_millis(300);
        let mut end = start;
        let answers = load.run(socket, || {
            std::thread::sleep(start.saturating_duration_since(Instant::now()));
            (fault.act)(site, &|| std::thread::sleep(FAULT));
            end = Instant::now();
            std::thread::sleep(changes_return + STRETCH);
        });
        Row { fault, start, end, changes_return, answers, missed: site.was_missed() }
    }

    fn not_now(&self, asked: Asked) -> usize {
        self.answers.which(asked, &Verdict::NotNow).count()
    }

    /// How many were "not now" at a time when that is not excused.
    fn unexcused(&self, asked: Asked) -> usize {
        let excused = |from: Instant, to: Instant| {
            let is_within = |begin: Instant, end: Instant| to >= begin && from <= end;
            match self.fault.left {
                Left::First | Left::Copy if asked == Asked::Read => false,
                Left::Another if asked == Asked::Read => {
                    is_within(self.start, self.start + WINDOW) || is_within(self.end, self.end + WINDOW)
                }
                _ if asked == Asked::Read => is_within(self.start, self.end + WINDOW),
                _ => is_within(self.start, self.end + self.changes_return),
            }
        };
        self.answers.which(asked, &Verdict::NotNow).filter(|answer| !excused(answer.from, answer.to)).count()
    }

    /// From the start of a fault where another server is left, and else from its end.
    fn recovery(&self, asked: Asked) -> Option<Duration> {
        let from = if self.fault.left == Left::Nobody || asked != Asked::Read { self.end } else { self.start };
        self.answers.recovery(asked, from)
    }

    fn complaints(&self) -> Vec<String> {
        let mut list = self.answers.wrong();
        list.truncate(5);
        let slowest = self.answers.percentile(100, self.start, self.end + WINDOW);
        if slowest > ANSWER {
            list.push(format!("an answer took {slowest:?}"));
        }
        for asked in [Asked::Read, Asked::ReadChanged, Asked::Change] {
            let count = self.unexcused(asked);
            if count > 0 {
                list.push(format!("{asked:?}: {count} of {} not now for no reason", self.not_now(asked)));
            }
            if self.recovery(asked).is_none() {
                list.push(format!("{asked:?}: none was answered after the fault"));
            }
        }
        if self.fault.left == Left::Another && self.not_now(Asked::Read) > FEW {
            list.push(format!("{} reads not now, and another server could answer", self.not_now(Asked::Read)));
        }
        if self.missed {
            list.push("the daemon was not on the first server, which had recovered from the fault before".into());
        }
        if self.fault.left == Left::Nobody && self.not_now(Asked::Read) == 0 {
            list.push("nobody was left, and yet all was answered".into());
        }
        list.into_iter().map(|line| format!("  {}: {line}", self.fault.name)).collect()
    }
}

/// Prints what happened, whatever the test's output is used for: the table is the proof.
fn print(name: &str, rows: &[Row]) {
    let mut table = format!("\n{name}\n{:-<110}\n", "");
    table += &format!(
        "{:<18} {:>8} {:>7} {:>5} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>8} {:>8}\n",
        "fault",
        "lasted",
        "answers",
        "wrong",
        "not now",
        "changed",
        "changes",
        "p50",
        "p99",
        "max",
        "reads ok",
        "changes"
    );
    let milliseconds = |time: Duration| time.as_millis().to_string();
    for row in rows {
        let during = |percent| milliseconds(row.answers.percentile(percent, row.start, row.end));
        let recovery = |asked| row.recovery(asked).map_or_else(|| "never".into(), milliseconds);
        table += &format!(
            "{:<18} {:>8} {:>7} {:>5} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>8} {:>8}\n",
            row.fault.name,
            milliseconds(row.end - row.start),
            row.answers.count(),
            row.answers.wrong().len(),
            row.not_now(Asked::Read),
            row.not_now(Asked::ReadChanged),
            row.not_now(Asked::Change),
            during(50),
            during(99),
            during(100),
            recovery(Asked::Read),
            recovery(Asked::Change),
        );
    }
    // Not by a macro: what those print is kept from whoever runs all tests.
    let _ = std::io::stderr().write_all(table.as_bytes());
}
