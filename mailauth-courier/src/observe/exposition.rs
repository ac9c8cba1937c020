//! The status in the text format of Prometheus, version 0.0.4.

use super::process_use::ProcessUse;
use mailauth_core::answer::{No, NotNow};
use mailauth_core::counters::LatencyCounts;
use mailauth_protocol::status::{AnswersByReason, Host, Kept, KeptSocket, Snapshot, Status, Throttle};
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

/// Type of a metric.
#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Text of all metrics.
struct Page(String);

/// Lines of one metric.
struct Family<'p> {
    page: &'p mut Page,
    name: &'static str,
}

impl Page {
    /// Begins a metric. `help` is a line without a backslash.
    fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a String cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family { page: self, name }
    }

    /// Adds a metric of one number.
    fn one(&mut self, name: &'static str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help).line(&[], value);
    }
}

impl Family<'_> {
    fn line(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.part("", labels, value);
    }

    /// Adds a line of a histogram, whose name ends with `suffix`.
    fn part(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let out = &mut self.page.0;
        out.push_str(self.name);
        out.push_str(suffix);
        for (place, (name, text)) in labels.iter().enumerate() {
            let _ = write!(out, "{}{name}=\"{}\"", if place == 0 { '{' } else { ',' }, escaped(text));
        }
        let _ = writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Returns the metrics of a daemon.
pub(crate) fn exposition(status: &Status, latencies: &[LatencyCounts], used: &ProcessUse) -> String {
    let mut page = Page(String::with_capacity(16384));
    program(&mut page, status);
    if let Some(found) = &status.kept {
        kept(&mut page, found);
    }
    answers(&mut page, status);
    self::latencies(&mut page, latencies);
    cache(&mut page, status);
    if let Some(throttle) = &status.throttle {
        self::throttle(&mut page, throttle);
    }
    databases(&mut page, &status.hosts);
    if let Some(snapshot) = &status.snapshot {
        add_snapshot(&mut page, snapshot);
    }
    process(&mut page, used);
    page.0
}

fn program(page: &mut Page, status: &Status) {
    page.family("mailauth_build_info", Kind::Gauge, "The version of mailauth-courier.")
        .line(&[("version", &status.version)], 1);
    let help = "1 if the daemon can have mailboxes examined, which quotas need, else 0.";
    page.one("mailauth_mailboxes_up", Kind::Gauge, help, u8::from(status.mailboxes_error.is_none()));
    page.one("mailauth_uptime_seconds", Kind::Gauge, "Time since the start of the daemon.", status.uptime_seconds);
    page.one("mailauth_connections_open", Kind::Gauge, "Number of open connections.", status.connections.open);
    page.one("mailauth_connections_max", Kind::Gauge, "Maximum number of open connections.", status.connections.max);
    let help = "Maximum number of open connections of one user other than root and the daemon's own.";
    page.one("mailauth_connections_max_per_user", Kind::Gauge, help, status.connections.max_per_user);
    let mut waiting = page.family("mailauth_queue_waiting", Kind::Gauge, "Number of jobs that no thread has begun.");
    status.queues.iter().for_each(|queue| waiting.line(&[("queue", &queue.name)], queue.waiting));
    let mut most = page.family("mailauth_queue_max", Kind::Gauge, "Maximum number of waiting jobs.");
    status.queues.iter().for_each(|queue| most.line(&[("queue", &queue.name)], queue.max));
    let away = &status.turned_away;
    let help = "Clients that were turned away without an answer, by reason.";
    let mut family = page.family("mailauth_turned_away_total", Kind::Counter, help);
    for (reason, number) in [
        ("crowded", away.crowded),
        ("kept-crowded", status.kept.as_ref().map_or(0, Kept::turned_away)),
        ("over-share", away.over_share),
        ("queue-full", away.queue_full),
        ("gone", away.gone),
        ("stranger", away.strangers),
    ] {
        family.line(&[("reason", reason)], number);
    }
}

/// Adds the connections that are kept.
fn kept(page: &mut Page, Kept { max, sockets }: &Kept) {
    let help = "Maximum number of open kept connections.";
    page.one("mailauth_kept_connections_max", Kind::Gauge, help, max);
    let mut add = |name, kind, help, number: fn(&KeptSocket) -> u64| {
        let mut family = page.family(name, kind, help);
        sockets.iter().for_each(|socket| family.line(&[("socket", &socket.name)], number(socket)));
    };
    let help = "Number of open kept connections.";
    add("mailauth_kept_connections_open", Kind::Gauge, help, |socket| socket.open);
    let help = "Kept connections that were accepted.";
    add("mailauth_kept_connections_total", Kind::Counter, help, |socket| socket.accepted);
    let help = "Questions that were asked on kept connections.";
    add("mailauth_kept_questions_total", Kind::Counter, help, |socket| socket.questions);
}

/// Adds the answers. Reasons that have not occurred are 0, so that the first occurrence is visible as an increase.
fn answers(page: &mut Page, status: &Status) {
    let help = "Answers by subject, kind and reason.";
    let mut family = page.family("mailauth_answers_total", Kind::Counter, help);
    for (about, AnswersByReason { yes, no, not_now }) in [
        ("login", &status.logins),
        ("lookup", &status.lookups),
        ("secret", &status.secrets),
        ("change", &status.changes),
        ("address", &status.addresses),
    ] {
        let mut line = |answer, reason, number| {
            family.line(&[("about", about), ("answer", answer), ("reason", reason)], number);
        };
        let number = |reasons: &BTreeMap<String, u64>, reason: &str| reasons.get(reason).copied().unwrap_or(0);
        line("yes", "ok", *yes);
        No::CODES.iter().for_each(|reason| line("no", reason, number(no, reason)));
        NotNow::CODES.iter().for_each(|reason| line("not now", reason, number(not_now, reason)));
    }
}

/// Adds the durations of answers. What no answer was made from yet is left out.
fn latencies(page: &mut Page, latencies: &[LatencyCounts]) {
    if latencies.is_empty() {
        return;
    }
    let help = "Durations of answers by subject and by what they were made from.";
    let mut family = page.family("mailauth_answer_seconds", Kind::Histogram, help);
    for LatencyCounts { about, from, within, count, seconds } in latencies {
        for (bound, number) in within {
            family.part("_bucket", &[("about", about), ("from", from), ("le", &bound.to_string())], number);
        }
        family.part("_bucket", &[("about", about), ("from", from), ("le", "+Inf")], count);
        family.part("_sum", &[("about", about), ("from", from)], seconds);
        family.part("_count", &[("about", about), ("from", from)], count);
    }
}

fn cache(page: &mut Page, status: &Status) {
    let cache = &status.cache;
    for (name, help, number) in [
        ("mailauth_cache_hits_total", "Look-ups that were answered from memory.", cache.hits),
        ("mailauth_cache_misses_total", "Look-ups that were not answered from memory.", cache.misses),
        ("mailauth_cache_rereads_total", "Rows that were read again before a refusal.", cache.rereads),
        (
            "mailauth_cache_coalesced_total",
            "Look-ups that used the result of a query that was already running.",
            cache.coalesced,
        ),
        (
            "mailauth_verified_hits_total",
            "Passwords that were not hashed because they had been verified recently.",
            cache.verified,
        ),
    ] {
        page.one(name, Kind::Counter, help, number);
    }
}

fn throttle(page: &mut Page, throttle: &Throttle) {
    let help = "Logins and networks for which wrong passwords are counted.";
    page.one("mailauth_throttle_counted", Kind::Gauge, help, throttle.counted);
    page.one("mailauth_throttle_known", Kind::Gauge, "Known networks of logins.", throttle.known);
    page.one("mailauth_throttle_max", Kind::Gauge, "Maximum number of either.", throttle.max);
    let help = "Measures against password guessing.";
    let mut family = page.family("mailauth_throttle_total", Kind::Counter, help);
    for (done, number) in [("delayed", throttle.delayed), ("refused", throttle.refused), ("put-off", throttle.put_off)]
    {
        family.line(&[("done", done)], number);
    }
}

fn databases(page: &mut Page, hosts: &[Host]) {
    if hosts.is_empty() {
        return;
    }
    let mut family =
        page.family("mailauth_database_up", Kind::Gauge, "0 if the last probe of the database host failed, else 1.");
    hosts.iter().for_each(|host| family.line(&[("place", &host.place)], u8::from(host.live)));
    let help = "1 while the database host accepts no further connection.";
    let mut family = page.family("mailauth_database_full", Kind::Gauge, help);
    hosts.iter().for_each(|host| family.line(&[("place", &host.place)], u8::from(host.full)));
    let mut family = page.family("mailauth_database_role", Kind::Gauge, "Role of the database host, as a label.");
    hosts.iter().for_each(|host| family.line(&[("place", &host.place), ("role", &host.role)], 1));
    let help = "Duration of the last answer of the database host.";
    seconds(page, "mailauth_database_latency_seconds", help, hosts, |host| host.latency_seconds);
    let help = "Time since the last failure of the database host.";
    seconds(page, "mailauth_database_last_error_age_seconds", help, hosts, |host| host.last_error_seconds);
}

fn seconds(page: &mut Page, name: &'static str, help: &str, hosts: &[Host], of: impl Fn(&Host) -> Option<f64>) {
    let known: Vec<_> = hosts.iter().filter_map(|host| Some((&host.place, of(host)?))).collect();
    if !known.is_empty() {
        let mut family = page.family(name, Kind::Gauge, help);
        known.iter().for_each(|(place, seconds)| family.line(&[("place", place)], seconds));
    }
}

fn add_snapshot(page: &mut Page, snapshot: &Snapshot) {
    let in_use = u8::from(snapshot.in_use);
    page.one("mailauth_snapshot_accounts", Kind::Gauge, "Accounts in the copy for outages.", snapshot.accounts);
    page.one("mailauth_snapshot_bytes", Kind::Gauge, "Size of the copy for outages.", snapshot.bytes);
    page.one("mailauth_snapshot_age_seconds", Kind::Gauge, "Age of the copy for outages.", snapshot.age_seconds);
    page.one("mailauth_snapshot_in_use", Kind::Gauge, "1 while the copy for outages answers.", in_use);
    if let Some(seconds) = snapshot.max_age_seconds {
        let help = "Age up to which the copy for outages answers.";
        page.one("mailauth_snapshot_max_age_seconds", Kind::Gauge, help, seconds);
    }
    let help = "Time for which refreshing the copy for outages has failed; 0 if the last refresh succeeded.";
    let failing = snapshot.refresh_error_seconds.unwrap_or_default();
    page.one("mailauth_snapshot_refresh_failing_seconds", Kind::Gauge, help, failing);
}

/// Adds what the process uses, under the names of Prometheus's own clients.
fn process(page: &mut Page, used: &ProcessUse) {
    page.one("process_cpu_seconds_total", Kind::Counter, "Processor time in seconds.", used.cpu_seconds);
    let help = "Start of the process in seconds since 1970.";
    page.one("process_start_time_seconds", Kind::Gauge, help, used.started);
    for (name, help, number) in [
        ("process_resident_memory_bytes", "Resident memory.", used.resident),
        ("process_virtual_memory_bytes", "Virtual memory.", used.virtual_memory),
        ("process_threads", "Number of threads.", used.threads),
        ("process_open_fds", "Number of open descriptors.", used.open_descriptors),
        ("process_max_fds", "Maximum number of open descriptors.", used.max_descriptors),
    ] {
        if let Some(number) = number {
            page.one(name, Kind::Gauge, help, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailauth_protocol::status::{Connections, Queue};
    use std::collections::BTreeSet;
    use std::time::SystemTime;

    /// A sample: name of the metric, labels, and number.
    type Sample = (String, Vec<(String, String)>, f64);

    /// Reads the format strictly: each metric has one HELP and one TYPE before all of its samples, which are adjacent
    /// and not repeated; names, labels, escapes and numbers follow the format; the text ends with a line end.
    fn read(text: &str) -> Result<Vec<Sample>, String> {
        let mut samples: Vec<Sample> = Vec::new();
        let (mut current, mut histogram, mut seen) = (None, None, BTreeSet::new());
        let mut lines = text.strip_suffix('\n').ok_or("no line end at the end")?.split('\n').peekable();
        while let Some(line) = lines.next() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').ok_or_else(|| format!("no help: {line}"))?;
                let of_type = lines.next().and_then(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
                match of_type {
                    Some((same, "counter")) if same == name && name.ends_with("_total") => {}
                    Some((same, "gauge")) if same == name && !name.ends_with("_total") => {}
                    Some((same, "histogram")) if same == name && name.ends_with("_seconds") => {
                        histogram = Some(name);
                        seen.insert(name);
                        current = Some(name);
                        continue;
                    }
                    other => return Err(format!("{name} has the type {other:?}")),
                }
                if help.is_empty() || help.contains('\\') || !is_name(name) || !seen.insert(name) {
                    return Err(format!("a bad beginning, or a second one: {line}"));
                }
                if lines.peek().is_none_or(|next| next.starts_with('#')) {
                    return Err(format!("{name} has no sample"));
                }
                (current, histogram) = (Some(name), None);
                continue;
            }
            let sample = sample(line).ok_or_else(|| format!("not a sample: {line}"))?;
            let part = histogram.and_then(|name| sample.0.strip_prefix(name));
            if current != Some(sample.0.as_str()) && !matches!(part, Some("_bucket" | "_sum" | "_count")) {
                return Err(format!("a sample out of its place: {line}"));
            }
            if samples.iter().any(|(name, labels, _)| (name, labels) == (&sample.0, &sample.1)) {
                return Err(format!("a sample twice: {line}"));
            }
            samples.push(sample);
        }
        Ok(samples)
    }

    fn is_name(name: &str) -> bool {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    }

    fn sample(line: &str) -> Option<Sample> {
        let end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at(end);
        let mut labels = Vec::new();
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner;
            loop {
                let (label, after) = rest.split_once("=\"")?;
                let (value, after) = value(after)?;
                labels.push((label.to_owned(), value));
                if !is_name(label) {
                    return None;
                }
                match after.split_at_checked(1)? {
                    (",", more) => rest = more,
                    ("}", more) => break rest = more,
                    _ => return None,
                }
            }
        }
        let number = rest.strip_prefix(' ').filter(|number| !number.contains(' '))?.parse().ok()?;
        is_name(name).then(|| (name.to_owned(), labels, number))
    }

    /// Returns the value of a label, of which the opening quote has been removed, and the text after the closing quote.
    fn value(text: &str) -> Option<(String, &str)> {
        let mut value = String::new();
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => return Some((value, &text[at + 1..])),
                '\\' => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    _ => return None,
                }),
                c => value.push(c),
            }
        }
        None
    }

    fn full() -> Status {
        let queue = |name: &str| Queue { name: name.into(), waiting: 1, max: 64 };
        let socket = |name: &str, questions| KeptSocket { name: name.into(), questions, ..KeptSocket::default() };
        let reasons = |reason: &str, number| BTreeMap::from([(reason.to_owned(), number)]);
        Status {
            version: "0.1.0".into(),
            uptime_seconds: 1.25,
            connections: Connections { open: 2, max: 4000, max_per_user: 2000 },
            kept: Some(Kept { max: 4000, sockets: vec![socket("dovecot-client", 3), socket("postfix-policy", 0)] }),
            queues: vec![queue("look-ups"), queue("hashing")],
            logins: AnswersByReason { yes: 5, no: reasons("wrong-password", 3), not_now: reasons("busy", 7) },
            hosts: vec![
                Host { place: "mysql://u@\"a\\b\"\n/mail".into(), live: true, ..Host::default() },
                Host { place: "db2".into(), latency_seconds: Some(1e-9), ..Host::default() },
            ],
            snapshot: Some(Snapshot { bytes: u64::MAX, ..Snapshot::default() }),
            throttle: Some(Throttle { refused: 9, ..Throttle::default() }),
            ..Status::default()
        }
    }

    /// Returns the metrics of a daemon with this status and one histogram.
    fn text_of(status: &Status) -> String {
        let within = vec![(0.0001, 2), (2.5, 3)];
        let counts = LatencyCounts { about: "login", from: "cache", within, count: 4, seconds: 20.5 };
        exposition(status, &[counts], &ProcessUse::now(SystemTime::now()))
    }

    fn number(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let same = |theirs: &[(String, String)]| {
            theirs.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(labels.iter().copied())
        };
        samples.iter().find(|(found, theirs, _)| found == name && same(theirs)).map(|(_, _, number)| *number)
    }

    #[test]
    fn the_metrics_follow_the_text_format() {
        let text = text_of(&full());
        let samples = read(&text).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
        let is_ours = |name: &str| name.starts_with("mailauth_") || name.starts_with("process_");
        assert!(samples.iter().all(|(name, ..)| is_ours(name)));
        let alone = Status { hosts: vec![], snapshot: None, kept: None, ..full() };
        read(&exposition(&alone, &[], &ProcessUse::now(SystemTime::now()))).unwrap();
    }

    #[test]
    fn each_number_has_the_right_name_and_labels() {
        let samples = read(&text_of(&full())).unwrap();
        let answers = |answer, reason| {
            let labels = [("about", "login"), ("answer", answer), ("reason", reason)];
            number(&samples, "mailauth_answers_total", &labels)
        };
        assert_eq!((answers("yes", "ok"), answers("no", "wrong-password")), (Some(5.0), Some(3.0)));
        assert_eq!((answers("not now", "busy"), answers("not now", "late")), (Some(7.0), Some(0.0)));
        let up = |place| number(&samples, "mailauth_database_up", &[("place", place)]);
        assert_eq!((up("mysql://u@\"a\\b\"\n/mail"), up("db2"), up("db3")), (Some(1.0), Some(0.0), None));
        assert_eq!(number(&samples, "mailauth_database_latency_seconds", &[("place", "db2")]), Some(1e-9));
        assert_eq!(number(&samples, "mailauth_uptime_seconds", &[]), Some(1.25));
        let within = |le| {
            let labels = [("about", "login"), ("from", "cache"), ("le", le)];
            number(&samples, "mailauth_answer_seconds_bucket", &labels)
        };
        assert_eq!(["0.0001", "2.5", "+Inf"].map(within), [2.0, 3.0, 4.0].map(Some));
        let sum = number(&samples, "mailauth_answer_seconds_sum", &[("about", "login"), ("from", "cache")]);
        assert_eq!(sum, Some(20.5));
        assert_eq!(number(&samples, "mailauth_throttle_total", &[("done", "refused")]), Some(9.0));
        assert_eq!(number(&samples, "mailauth_queue_waiting", &[("queue", "hashing")]), Some(1.0));
        let questions = |socket| number(&samples, "mailauth_kept_questions_total", &[("socket", socket)]);
        assert_eq!(["dovecot-client", "postfix-policy", "other"].map(questions), [Some(3.0), Some(0.0), None]);
        assert_eq!(number(&samples, "mailauth_kept_connections_max", &[]), Some(4000.0));
    }

    #[test]
    fn the_reader_of_these_tests_is_strict() {
        let head = "# HELP a_total b\n# TYPE a_total counter\n";
        assert!(read(&format!("{head}a_total{{b=\"c\"}} 1\na_total 2\n")).is_ok());
        for wrong in [
            "a_total 1\n",
            &format!("{head}a_total 1"),
            &format!("{head}a_total 1\na_total 2\n"),
            &format!("{head}b_total 1\n"),
            &format!("{head}a_total{{b=\"c}} 1\n"),
            &format!("{head}a_total{{b=\"\\x\"}} 1\n"),
            &format!("{head}a_total{{b=\"c\",}} 1\n"),
            &format!("{head}a_total one\n"),
            &format!("{head}a_total 1 2\n"),
            &format!("{head}{head}a_total 1\n"),
            "# HELP a b\n# TYPE a counter\na 1\n",
            "# HELP a_total b\na_total 1\n",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
