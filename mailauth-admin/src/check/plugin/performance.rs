//! The values that have limits, and the performance data.

use super::Asked;
use super::range::Range;
use mailauth_core::config::Config;
use mailauth_protocol::status::{AnswersByReason, Status};
use std::fmt::Write;

/// A value with limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    /// Seconds that the daemon takes to answer a question.
    Time,
    /// Seconds of the last answer of the slowest live database host.
    Latency,
    /// Age of the copy for outages in seconds.
    SnapshotAge,
    /// Jobs in the fullest queue, in percent of its maximum.
    Queue,
    /// Number of open connections.
    Connections,
    /// Number of open connections on the sockets of `[dovecot]` and `[postfix]`.
    Kept,
}

impl Metric {
    pub const ALL: [Metric; 6] =
        [Metric::Time, Metric::Latency, Metric::SnapshotAge, Metric::Queue, Metric::Connections, Metric::Kept];

    pub fn name(self) -> &'static str {
        match self {
            Metric::Time => "time",
            Metric::Latency => "latency",
            Metric::SnapshotAge => "snapshot_age",
            Metric::Queue => "queue",
            Metric::Connections => "connections",
            Metric::Kept => "kept",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Metric::Time | Metric::Latency | Metric::SnapshotAge => "s",
            Metric::Queue => "%",
            Metric::Connections | Metric::Kept => "",
        }
    }

    /// Returns the value, if there is one.
    pub fn value(self, status: &Status, asked: Option<&Asked>) -> Option<f64> {
        match self {
            Metric::Time => asked.map(|asked| asked.took.as_secs_f64()),
            Metric::Latency => {
                let live = status.hosts.iter().filter(|host| host.live);
                live.filter_map(|host| host.latency_seconds).reduce(f64::max)
            }
            Metric::SnapshotAge => status.snapshot.as_ref().map(|copy| copy.age_seconds),
            Metric::Queue => {
                let shares = status.queues.iter().map(|queue| queue.waiting as f64 * 100.0 / queue.max.max(1) as f64);
                shares.reduce(f64::max)
            }
            Metric::Connections => Some(status.connections.open as f64),
            Metric::Kept => status.kept.as_ref().map(|kept| kept.open() as f64),
        }
    }

    /// Returns the value with its unit, for people.
    pub fn shown(self, value: f64) -> String {
        match self {
            Metric::Time => format!("the daemon took {:.1} ms to answer", value * 1e3),
            Metric::Latency => format!("the database took {:.1} ms to answer", value * 1e3),
            Metric::SnapshotAge => format!("the copy for outages is {} old", crate::status::span(value)),
            Metric::Queue => format!("a queue is filled to {value:.0} %"),
            Metric::Connections => format!("{value} of the connections are in use"),
            Metric::Kept => format!("{value} of the kept connections ([dovecot] max_connections) are in use"),
        }
    }
}

/// The ranges of one value.
pub(super) struct Limits {
    pub metric: Metric,
    pub warning: Option<Range>,
    pub critical: Option<Range>,
}

/// Returns the limits: those of the command line, or else values that follow from the configuration.
pub(super) fn limits(
    config: &Config,
    status: &Status,
    warning: &[(Metric, Range)],
    critical: &[(Metric, Range)],
) -> Vec<Limits> {
    let deadline = config.database.deadline.as_secs_f64();
    let max_age = status.snapshot.as_ref().and_then(|copy| copy.max_age_seconds);
    let shares_of = |max: usize| ((max as f64 * 0.8).floor(), (max as f64 * 0.95).floor());
    let limits = Metric::ALL.map(|metric| {
        let default = match metric {
            Metric::Time => Some((deadline / 2.0, deadline)),
            Metric::Latency => Some((deadline / 4.0, deadline * 0.75)),
            // A large table is read completely only as often as a quarter of this age requires.
            Metric::SnapshotAge => max_age.map(|age| (age / 2.0, age * 0.75)),
            Metric::Queue => Some((50.0, 90.0)),
            Metric::Connections => Some(shares_of(status.connections.max)),
            Metric::Kept => status.kept.as_ref().map(|kept| shares_of(kept.max)),
        };
        let given = |ranges: &[(Metric, Range)]| {
            ranges.iter().rev().find(|(known, _)| *known == metric).map(|(_, range)| *range)
        };
        Limits {
            metric,
            warning: given(warning).or(default.map(|(warning, _)| Range::up_to(warning))),
            critical: given(critical).or(default.map(|(_, critical)| Range::up_to(critical))),
        }
    });
    limits.into()
}

/// Returns the performance data: `NAME=VALUE[UNIT];WARNING;CRITICAL;MIN;MAX`, and counters with the unit `c`.
pub(super) fn data(status: &Status, asked: Option<&Asked>, limits: &[Limits]) -> String {
    let mut text = String::new();
    for Limits { metric, warning, critical } in limits {
        let Some(value) = metric.value(status, asked) else { continue };
        let shown = |range: &Option<Range>| range.map(|range| range.to_string()).unwrap_or_default();
        let most = match metric {
            Metric::Queue => "100".to_owned(),
            Metric::Connections => status.connections.max.to_string(),
            Metric::Kept => status.kept.as_ref().map(|kept| kept.max.to_string()).unwrap_or_default(),
            _ => String::new(),
        };
        let (warning, critical) = (shown(warning), shown(critical));
        let value = (value * 1e6).round() / 1e6;
        // Writing to a String cannot fail.
        let _ = write!(text, "{}={value}{};{warning};{critical};0;{most} ", metric.name(), metric.unit());
    }
    let kinds = [&status.logins, &status.lookups, &status.secrets, &status.changes, &status.addresses];
    let sum = |of: fn(&AnswersByReason) -> u64| kinds.iter().map(|answers| of(answers)).sum::<u64>();
    let away = &status.turned_away;
    let throttle = status.throttle.clone().unwrap_or_default();
    for (name, number) in [
        ("yes", sum(|answers| answers.yes)),
        ("no", sum(AnswersByReason::all_no)),
        ("not_now", sum(AnswersByReason::all_not_now)),
        ("refused_untried", throttle.refused + throttle.put_off),
        ("turned_away", away.crowded + away.over_share + away.queue_full + away.strangers),
        ("cache_hits", status.cache.hits),
        ("cache_misses", status.cache.misses),
    ] {
        let _ = write!(text, "{name}={number}c ");
    }
    let _ = write!(text, "uptime={}s", status.uptime_seconds.floor());
    text
}
