//! What is wrong with a daemon, and how it is reported.

use super::Asked;
use super::performance::{self, Limits, Metric};
use crate::failure::Exit;
use crate::status::span;
use mailauth_core::answer::Refusal;
use mailauth_protocol::status::{Host, Snapshot, Status};
use std::fmt;

/// Maximum number of characters of the first line before the performance data, and of each other line.
const MAX_TEXT: usize = 300;

/// Time for which refreshing the copy may fail before that is reported.
const REFRESH_GRACE: f64 = 600.0;

/// State of a service. A later one outweighs an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Ok,
    Unknown,
    Warning,
    Critical,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Ok => "OK",
            Level::Warning => "WARNING",
            Level::Critical => "CRITICAL",
            Level::Unknown => "UNKNOWN",
        }
    }

    pub fn exit(self) -> Exit {
        match self {
            Level::Ok => Exit::Yes,
            Level::Warning => Exit::No,
            Level::Critical => Exit::Usage,
            Level::Unknown => Exit::Other(3),
        }
    }
}

/// What was found.
pub(super) struct Report {
    findings: Vec<(Level, String)>,
    /// Text of the first line if nothing is wrong.
    summary: String,
    performance: String,
}

impl Report {
    /// Returns a report of one problem.
    pub fn of(level: Level, text: String) -> Self {
        Report { findings: vec![(level, text)], summary: String::new(), performance: String::new() }
    }

    /// Returns a report with a problem on each line.
    pub fn of_lines(level: Level, lines: &str) -> Self {
        let findings = lines.lines().map(|line| (level, line.to_owned())).collect();
        Report { findings, summary: String::new(), performance: String::new() }
    }

    pub fn level(&self) -> Level {
        self.findings.iter().map(|(level, _)| *level).max().unwrap_or(Level::Ok)
    }
}

/// The first line has the state, the worst of what was found, and the performance data; the others have everything.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.level();
        let worst: Vec<&str> =
            self.findings.iter().filter(|found| found.0 == level).map(|(_, text)| text.as_str()).collect();
        let text = if level == Level::Ok { self.summary.clone() } else { worst.join("; ") };
        write!(f, "MAILAUTH {} - {}", level.word(), plain(&text))?;
        if !self.performance.is_empty() {
            write!(f, " | {}", self.performance)?;
        }
        if level != Level::Ok && !self.summary.is_empty() {
            write!(f, "\n{}", plain(&self.summary))?;
        }
        // One problem is on the first line already.
        let others = if self.findings.len() > 1 { &*self.findings } else { &[] };
        others.iter().try_for_each(|(level, text)| write!(f, "\n{}: {}", level.word(), plain(text)))
    }
}

/// Returns a bounded text on one line, without the character that begins the performance data.
fn plain(text: &str) -> String {
    text.chars().take(MAX_TEXT).map(|c| if c == '|' || c.is_control() { '/' } else { c }).collect()
}

/// Judges the state that a daemon reports, and its answer to a question.
pub(super) fn judge(status: &Status, asked: Option<&Asked>, limits: &[Limits]) -> Report {
    let mut findings = Vec::new();
    databases(status, &mut findings);
    if let Some(Asked { answer, .. }) = asked {
        match answer {
            Err(Refusal::No(_)) => {}
            Ok(()) => {
                let text = format!("there is an account {}; remove it", crate::check::socket::UNKNOWN);
                findings.push((Level::Warning, text));
            }
            Err(Refusal::NotNow(why)) => {
                findings.push((Level::Critical, format!("a question to the daemon got \"not now\": {why}")));
            }
        }
    }
    if let Some(why) = &status.mailboxes_error {
        let since = span(status.mailboxes_error_seconds.unwrap_or_default());
        let text = format!("mailboxes have not been accessible for {since}, so mail with a quota waits: {why}");
        findings.push((Level::Warning, text));
    }
    for Limits { metric, warning, critical } in limits {
        let Some(value) = metric.value(status, asked) else { continue };
        let is_broken = |range: &Option<super::Range>| range.is_some_and(|range| range.is_broken_by(value));
        match (is_broken(critical), is_broken(warning)) {
            (true, _) => findings.push((Level::Critical, metric.shown(value))),
            (false, true) => findings.push((Level::Warning, metric.shown(value))),
            (false, false) => {}
        }
    }
    Report { findings, summary: summary(status, asked), performance: performance::data(status, asked, limits) }
}

fn databases(status: &Status, findings: &mut Vec<(Level, String)>) {
    let hosts = &status.hosts;
    let is_any_live = hosts.iter().any(|host| host.live);
    if !hosts.is_empty() && !is_any_live {
        findings.push(outage(status.snapshot.as_ref()));
    }
    for host in hosts.iter().filter(|host| !host.live || host.full) {
        let Host { place, full, last_error, .. } = host;
        let state = if *full { "accepts no further connection" } else { "is down" };
        let error = last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        findings.push((Level::Warning, format!("{place} {state}{error}")));
    }
    let live = || hosts.iter().filter(|host| host.live);
    if is_any_live && live().all(|host| host.role == "replica") {
        findings.push((Level::Warning, "no live database host accepts changes; promote one".to_owned()));
    }
    let Some(Snapshot { refresh_error: Some(why), refresh_error_seconds, .. }) = &status.snapshot else { return };
    let since = refresh_error_seconds.unwrap_or_default();
    if is_any_live && since > REFRESH_GRACE {
        findings
            .push((Level::Warning, format!("refreshing the copy for outages has failed for {}: {why}", span(since))));
    }
}

/// Returns the finding that no database host answers.
fn outage(copy: Option<&Snapshot>) -> (Level, String) {
    let left = copy.and_then(|copy| Some(copy.max_age_seconds? - copy.age_seconds)).filter(|left| *left > 0.0);
    match left {
        Some(left) => {
            let text = format!("no database host answers; a copy of the tables answers logins for {} more", span(left));
            (Level::Warning, text)
        }
        None => {
            let text = "no database host answers and there is no usable copy, so logins get \"not now\"";
            (Level::Critical, text.to_owned())
        }
    }
}

/// Returns the state in a few words.
fn summary(status: &Status, asked: Option<&Asked>) -> String {
    let live = status.hosts.iter().filter(|host| host.live).count();
    let mut parts = vec![format!("{live} of {} database hosts live", status.hosts.len())];
    if let Some(asked) = asked {
        parts.push(format!("answers in {:.1} ms", asked.took.as_secs_f64() * 1e3));
    }
    if let Some(age) = Metric::SnapshotAge.value(status, asked) {
        parts.push(format!("copy {} old", span(age)));
    }
    parts.push(format!("{} of {} connections", status.connections.open, status.connections.max));
    parts.push(format!("up {}", span(status.uptime_seconds)));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailauth_core::answer::No;
    use mailauth_core::config::Config;
    use mailauth_protocol::status::{Connections, Kept, KeptSocket, Queue};
    use std::time::Duration;

    fn host(live: bool) -> Host {
        let last_error = (!live).then(|| "gone | \"away\"".to_owned());
        Host { place: "db1".into(), live, last_error, latency_seconds: Some(0.001), ..Host::default() }
    }

    fn healthy() -> Status {
        Status {
            connections: Connections { open: 3, max: 4000, max_per_user: 2000 },
            queues: vec![Queue { name: "hashing".into(), waiting: 0, max: 1024 }],
            hosts: vec![host(true)],
            snapshot: Some(Snapshot { age_seconds: 30.0, max_age_seconds: Some(86_400.0), ..Snapshot::default() }),
            ..Status::default()
        }
    }

    fn report(status: &Status) -> Report {
        let asked = Asked { answer: Err(No::UnknownLogin.into()), took: Duration::from_millis(2) };
        let asked = status.hosts.iter().any(|host| host.live).then_some(asked);
        judge(status, asked.as_ref(), &performance::limits(&Config::default(), status, &[], &[]))
    }

    #[test]
    fn a_healthy_daemon_is_one_line_with_performance_data() {
        let report = report(&healthy());
        assert_eq!(
            report.to_string(),
            "MAILAUTH OK - 1 of 1 database hosts live, answers in 2.0 ms, copy 30 s old, 3 of 4000 connections, up 0 s \
             | time=0.002s;1.5;3;0; latency=0.001s;0.75;2.25;0; snapshot_age=30s;43200;64800;0; queue=0%;50;90;0;100 \
             connections=3;3200;3800;0;4000 yes=0c no=0c not_now=0c refused_untried=0c turned_away=0c cache_hits=0c \
             cache_misses=0c uptime=0s"
        );
    }

    #[test]
    fn an_outage_is_a_warning_while_the_copy_answers() {
        let mut status = Status { hosts: vec![host(false)], ..healthy() };
        let found = report(&status);
        assert_eq!(found.level(), Level::Warning);
        let text = found.to_string();
        assert!(text.starts_with("MAILAUTH WARNING - no database host answers; a copy"), "{text}");
        assert_eq!(text.matches('|').count(), 1, "only the performance data follows a bar: {text}");
        status.snapshot = None;
        assert_eq!(report(&status).level(), Level::Critical);
    }

    #[test]
    fn each_problem_has_its_level() {
        let with = |change: fn(&mut Status)| {
            let mut status = healthy();
            change(&mut status);
            report(&status).level()
        };
        assert_eq!(with(|_| {}), Level::Ok);
        assert_eq!(with(|status| status.hosts.push(host(false))), Level::Warning);
        assert_eq!(with(|status| status.hosts[0].full = true), Level::Warning);
        assert_eq!(with(|status| status.hosts[0].role = "replica".into()), Level::Warning);
        assert_eq!(with(|status| status.hosts[0].latency_seconds = Some(2.5)), Level::Critical);
        assert_eq!(with(|status| status.queues[0].waiting = 600), Level::Warning);
        assert_eq!(with(|status| status.queues[0].waiting = 1000), Level::Critical);
        assert_eq!(with(|status| status.connections.open = 3900), Level::Critical);
        let kept = |open| Some(Kept { max: 100, sockets: vec![KeptSocket { open, ..KeptSocket::default() }] });
        let with_kept = |open| report(&Status { kept: kept(open), ..healthy() }).level();
        assert_eq!([80, 81, 96].map(with_kept), [Level::Ok, Level::Warning, Level::Critical]);
        assert_eq!(with(|status| status.mailboxes_error = Some("no".into())), Level::Warning);
        let refresh_fails_for = |seconds| {
            let mut status = healthy();
            let copy = status.snapshot.as_mut().unwrap();
            (copy.refresh_error, copy.refresh_error_seconds) = (Some("no room".into()), Some(seconds));
            report(&status).level()
        };
        assert_eq!((refresh_fails_for(60.0), refresh_fails_for(700.0)), (Level::Ok, Level::Warning));
    }
}
