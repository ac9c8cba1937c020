//! A database of several servers, with every fault of one of them or of all, under a steady load of logins and
//! password changes: no answer is ever wrong, "not now" is bounded, and everything continues by itself afterwards.
//!
//! The daemon has no cache here: it answers from the remaining servers, or from its snapshot. `MAILAUTH_OUTAGE_ONLY`
//! is a part of the names of the faults to run, such as `frozen`.

use mailauth_tests::outage::{DEADLINE, Fault, Left, Site};
use mailauth_tests::{Answer, Answers, Asked, Cluster, Galera, Load, Mailauth, MariaDbPair, PostgresPair, Verdict};
use std::cell::{Cell, OnceCell};
use std::io::Write;
use std::time::{Duration, Instant};

#[test]
fn mariadb_pair_recovers_from_each_fault_without_wrong_answers() {
    all_faults(&MariaDbPair::start());
}

#[test]
fn galera_recovers_from_each_fault_without_wrong_answers() {
    all_faults(&Galera::start());
}

#[test]
fn postgres_pair_recovers_from_each_fault_without_wrong_answers() {
    all_faults(&PostgresPair::start());
}

/// Minimum duration of a fault: longer than every deadline. If another server is left, it lasts until reads are
/// answered again.
const FAULT: Duration = Duration::from_millis(3000);
/// Maximum time until reads are answered again after a fault has begun, and after it has ended. On an idle machine it
/// is two seconds: a query's deadline and a probe.
const READS_BACK: Duration = DEADLINE.saturating_mul(8);
/// Maximum time until passwords can be changed again after a fault. On an idle machine it is three seconds, and five
/// if a node that was frozen makes the others wait with their changes until they have agreed about it.
const CHANGES_BACK: Duration = DEADLINE.saturating_mul(15);
/// Time during which everything has to be answered afterwards.
const STRETCH: Duration = Duration::from_millis(600);
const EVERYTHING: [Asked; 3] = [Asked::Read, Asked::ReadChanged, Asked::Change];
/// Maximum number of reads answered "not now" during that time if another server is left: a few per client.
const FEW: usize = 20;
/// Maximum time of an answer: a connect and a query that both reach their deadline, on two servers.
const ANSWER: Duration = DEADLINE.saturating_mul(5);

fn all_faults(cluster: &dyn Cluster) {
    cluster.accounts().admin(&["account", "import", "-"], &Load::accounts());
    cluster.wait_until_replicated();
    let site = Site::of(cluster);
    let [direct, proxied] = [false, true].map(|proxied| site.daemon(proxied, "[cache]\nenabled = false"));
    // It may learn changes of others only a minute later, so it starts when they are done.
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
        rows.push(Row::of(fault, &site, &load, daemon.socket()));
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

/// A fault and its effects.
struct Row {
    fault: Fault,
    times: Times,
    answers: Answers,
    missed: bool,
}

/// The times of a fault.
#[derive(Clone, Copy)]
struct Times {
    /// The fault begins.
    start: Instant,
    /// It is complete.
    made: Instant,
    /// Its repair begins.
    released: Instant,
    /// It is over.
    end: Instant,
}

impl Row {
    fn of(fault: Fault, site: &Site, load: &Load, socket: &std::path::Path) -> Self {
        let now = Instant::now();
        let times = Cell::new(Times { start: now, made: now, released: now, end: now });
        let change = |set: fn(&mut Times, Instant)| {
            let mut all = times.get();
            set(&mut all, Instant::now());
            times.set(all);
        };
        let answers = load.run_watched(socket, |watch| {
            std::thread::sleep(Duration::from_millis(300));
            change(|times, now| times.start = now);
            (fault.act)(site, &|| {
                change(|times, now| times.made = now);
                let made = times.get().made;
                if fault.left == Left::Another {
                    watch.wait_until_answered(&[Asked::Read], made, READS_BACK);
                }
                std::thread::sleep((made + FAULT).saturating_duration_since(Instant::now()));
                change(|times, now| times.released = now);
            });
            change(|times, now| times.end = now);
            watch.wait_until_answered(&EVERYTHING, times.get().end, CHANGES_BACK);
            std::thread::sleep(STRETCH);
        });
        Row { fault, times: times.get(), answers, missed: site.was_missed() }
    }

    fn not_now(&self, asked: Asked) -> usize {
        self.answers.which(asked, &Verdict::NotNow).count()
    }

    /// Returns the number of "not now" answers at times when they are not excused, neither by the fault nor by a pause of
    /// the machine.
    fn unexcused(&self, asked: Asked) -> usize {
        let Times { start, made, released, end } = self.times;
        let limit = if asked == Asked::Read { READS_BACK } else { CHANGES_BACK };
        let back = |from| from + self.answers.recovery(asked, from).unwrap_or(limit).min(limit);
        let excuses = match self.fault.left {
            Left::First | Left::Copy if asked == Asked::Read => vec![],
            Left::Another if asked == Asked::Read => vec![(start, back(made)), (released, back(end))],
            _ => vec![(start, back(end))],
        };
        let excused = |answer: &Answer| excuses.iter().any(|(from, to)| answer.to >= *from && answer.from <= *to);
        let not_now = self.answers.which(asked, &Verdict::NotNow);
        not_now.filter(|answer| !excused(answer) && !self.answers.is_paused(answer)).count()
    }

    /// Returns the recovery time: from the start of a fault if another server is left, otherwise from its end.
    fn recovery(&self, asked: Asked) -> Option<Duration> {
        let Times { start, end, .. } = self.times;
        let from = if self.fault.left == Left::Nothing || asked != Asked::Read { end } else { start };
        self.answers.recovery(asked, from)
    }

    fn complaints(&self) -> Vec<String> {
        let mut list = self.answers.wrong();
        list.truncate(5);
        let slowest = self.answers.percentile(100, self.times.start, self.times.end + READS_BACK);
        if slowest > ANSWER {
            list.push(format!("an answer took {slowest:?}"));
        }
        for asked in EVERYTHING {
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
        if self.fault.left == Left::Nothing && self.not_now(Asked::Read) == 0 {
            list.push("nobody was left, and yet all was answered".into());
        }
        list.into_iter().map(|line| format!("  {}: {line}", self.fault.name)).collect()
    }
}

/// Prints the results whether or not the test's output is captured: the table is the evidence.
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
        let Times { start, end, .. } = row.times;
        let during = |percent| milliseconds(row.answers.percentile(percent, start, end));
        let recovery = |asked| row.recovery(asked).map_or_else(|| "never".into(), milliseconds);
        table += &format!(
            "{:<18} {:>8} {:>7} {:>5} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>8} {:>8}\n",
            row.fault.name,
            milliseconds(end - start),
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
    // Not by a macro, whose output is captured when all tests are run.
    let _ = std::io::stderr().write_all(table.as_bytes());
}
