//! `mailauth status`: the state of the daemon, as it reports it.

use crate::colour::Tone;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Sheet, Table, json, say, say_in_colour};
use clap::Args;
use mailauth_core::answer::{NotNow, Refusal};
use mailauth_protocol::client::Client;
use mailauth_protocol::status::{
    AnswersByReason, CacheUse, Host, Kept, KeptSocket, Snapshot, Status as DaemonStatus, Throttle, TurnedAway,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Maximum time to wait for the answer of the daemon.
const PATIENCE: Duration = Duration::from_secs(5);

/// Show the state of the daemon: databases, answers, caches, queues
///
/// Counters begin at the start of the daemon. The daemon answers only root and its own user.
///
/// Exit codes: 0 the daemon answered, 1 this user may not ask, 75 no answer.
#[derive(Args)]
pub struct Status {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let status = ask(context)?;
        if self.json {
            json(&status)?;
        } else {
            say_in_colour(&sheet(&status))?;
            if !status.hosts.is_empty() {
                say("")?;
                say_in_colour(&hosts(&status.hosts))?;
            }
        }
        Ok(Exit::Yes)
    }
}

fn ask(context: &Context) -> Result<DaemonStatus, Failure> {
    let daemon = Client::for_daemon(&context.config, PATIENCE);
    let line = match daemon.status(Instant::now() + PATIENCE) {
        Ok(line) => line,
        Err(Refusal::No(_)) => {
            return Err(Failure::no(
                "the daemon reports its status only to root and its own user; run this command as one of them",
            ));
        }
        Err(Refusal::NotNow(NotNow::NoDaemon(why))) => return Err(Failure::not_now(why)),
        Err(Refusal::NotNow(why)) => {
            let hint = "Courier's authdaemond and older versions of mailauth-courier have no status";
            return Err(Failure::not_now(format!("{why}; {hint}")));
        }
    };
    DaemonStatus::parse(&line).map_err(|error| {
        Failure::not_now(format!(
            "the daemon's status cannot be read: {error}; check that the daemon and this command have the same version"
        ))
    })
}

fn sheet(status: &DaemonStatus) -> Sheet {
    let mut sheet = Sheet::new();
    let up = span(status.uptime_seconds);
    sheet.line("daemon", format_args!("mailauth-courier {}, process {}, up {up}", status.version, status.pid));
    sheet.line("connections", format_args!("{} of {}", status.connections.open, status.connections.max));
    if let Some(found) = &status.kept {
        kept(&mut sheet, found);
    }
    let waiting: Vec<_> = status.queues.iter().map(|queue| format!("{} {}", queue.name, queue.waiting)).collect();
    sheet.line("waiting", waiting.join(", "));
    sheet.line("turned away", turned_away(&status.turned_away));
    kinds(&mut sheet, ["logins", "  no", "  not now"], &status.logins);
    kinds(&mut sheet, ["look-ups", "  no", "  not now"], &status.lookups);
    kinds(&mut sheet, ["secrets", "  no", "  not now"], &status.secrets);
    kinds(&mut sheet, ["changes", "  no", "  not now"], &status.changes);
    kinds(&mut sheet, ["addresses", "  no", "  not now"], &status.addresses);
    remembered(&mut sheet, &status.cache);
    if let Some(why) = &status.mailboxes_error {
        let since = span(status.mailboxes_error_seconds.unwrap_or_default());
        let text = format_args!("have not been accessible for {since}: {why}");
        sheet.toned_line("mailboxes", text, Some(Tone::Bad));
    }
    sheet.line("throttle", status.throttle.as_ref().map_or_else(|| "off".to_owned(), throttle));
    sheet.line("snapshot", status.snapshot.as_ref().map_or_else(|| "none".to_owned(), snapshot));
    sheet
}

/// Adds the connections on the sockets of `[dovecot]` and `[postfix]`, and those sockets that were used.
fn kept(sheet: &mut Sheet, kept: &Kept) {
    let away = match kept.turned_away() {
        0 => String::new(),
        number => format!(", {number} turned away"),
    };
    sheet.line("kept", format_args!("{} of {} connections{away}", kept.open(), kept.max));
    for KeptSocket { name, open, accepted, questions, turned_away } in &kept.sockets {
        if accepted + turned_away > 0 {
            sheet.line("", format_args!("{name}: {open} open, {accepted} accepted, {questions} questions"));
        }
    }
}

fn kinds(sheet: &mut Sheet, [name, no, not_now]: [&'static str; 3], answers: &AnswersByReason) {
    let (yes, noes, unknown) = (answers.yes, answers.all_no(), answers.all_not_now());
    sheet.line(name, format_args!("{yes} yes, {noes} no, {unknown} not now"));
    for (name, reasons) in [(no, &answers.no), (not_now, &answers.not_now)] {
        if !reasons.is_empty() {
            sheet.line(name, most_first(reasons));
        }
    }
}

fn most_first(reasons: &BTreeMap<String, u64>) -> String {
    let mut reasons: Vec<_> = reasons.iter().collect();
    reasons.sort_by_key(|(_, number)| std::cmp::Reverse(**number));
    reasons.iter().map(|(reason, number)| format!("{number} {reason}")).collect::<Vec<_>>().join(", ")
}

fn turned_away(away: &TurnedAway) -> String {
    let TurnedAway { crowded, over_share, queue_full, gone, strangers } = away;
    if crowded + over_share + queue_full + gone + strangers == 0 {
        return "none".to_owned();
    }
    format!(
        "{crowded} for too many connections, {over_share} for too many of one user, {queue_full} for a full queue, \
         {strangers} not permitted; {gone} disconnected before their turn"
    )
}

fn remembered(sheet: &mut Sheet, cache: &CacheUse) {
    let all = cache.hits + cache.misses;
    if all == 0 {
        sheet.line("cache", "not used");
    } else {
        let share = cache.hits as f64 * 100.0 / all as f64;
        let CacheUse { hits, rereads, coalesced, .. } = cache;
        let more = format_args!("{rereads} read again, {coalesced} shared a query");
        sheet.line("cache", format_args!("{hits} of {all} look-ups ({share:.1} %), {more}"));
    }
    sheet.line("verified", format_args!("{} passwords not hashed again", cache.verified));
}

fn throttle(throttle: &Throttle) -> String {
    let Throttle { counted, known, delayed, refused, put_off, .. } = throttle;
    format!(
        "{delayed} refusals delayed, {refused} refused without a try, {put_off} postponed; {counted} counted, {known} \
         known networks of logins"
    )
}

fn snapshot(snapshot: &Snapshot) -> String {
    let Snapshot { path, accounts, bytes, age_seconds, in_use, refresh_error, refresh_error_seconds, .. } = snapshot;
    let use_of_it = if *in_use { "answers now" } else { "not in use" };
    let text = format!("{accounts} accounts, {bytes} bytes, {} old, {use_of_it}, {path}", span(*age_seconds));
    match refresh_error {
        Some(why) => format!("{text}; not refreshed for {}: {why}", span(refresh_error_seconds.unwrap_or_default())),
        None => text,
    }
}

fn hosts(hosts: &[Host]) -> Table<5> {
    let mut table = Table::new(["DATABASE", "ROLE", "STATE", "LATENCY", "LAST ERROR"]);
    for host in hosts {
        let (state, tone) = match (host.live, host.full) {
            (true, false) => ("live", Tone::Good),
            (_, true) => ("live, but full", Tone::Warning),
            (false, false) => ("down", Tone::Bad),
        };
        let latency = host.latency_seconds.map_or_else(|| "-".to_owned(), |latency| format!("{:.1} ms", latency * 1e3));
        let error = match (&host.last_error, host.last_error_seconds) {
            (Some(error), Some(ago)) => format!("{} ago: {error}", span(ago)),
            (Some(error), None) => error.clone(),
            (None, _) => "none".to_owned(),
        };
        table.marked_row([&host.place, &host.role, state, &latency, &error], Some(Mark(2, tone)));
    }
    table
}

/// Returns a number of seconds in the two largest units.
pub fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_its_two_largest_units() {
        let spans = [0.4, 61.0, 3661.9, 90_000.0].map(span);
        assert_eq!(spans, ["0 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
    }

    #[test]
    fn the_most_frequent_reason_comes_first() {
        let reasons = [("a", 1), ("b", 30), ("c", 2)].map(|(reason, number)| (reason.to_owned(), number)).into();
        assert_eq!(most_first(&reasons), "30 b, 2 c, 1 a");
    }

    #[test]
    fn a_database_is_live_or_full_or_down() {
        let states = [(true, false), (true, true), (false, false)].map(|(live, full)| {
            let host = Host { place: "db1".into(), role: "primary".into(), live, full, ..Host::default() };
            hosts(&[host]).to_string().lines().nth(1).unwrap().replace("  ", " ")
        });
        for (state, shown) in states.iter().zip(["primary live -", "primary live, but full -", "primary down -"]) {
            let words: Vec<&str> = state.split_whitespace().collect();
            assert!(words.join(" ").contains(shown), "{state}");
        }
    }

    #[test]
    fn a_live_database_shows_its_last_error() {
        let host = Host {
            place: "mysql://db1/mail".into(),
            role: "primary".into(),
            live: true,
            full: false,
            latency_seconds: Some(0.0021),
            last_error: Some("gone\u{1b}[2J".into()),
            last_error_seconds: Some(7200.0),
        };
        let text = hosts(&[host]).to_string();
        let (titles, row) = text.split_once('\n').unwrap();
        assert!(titles.starts_with("DATABASE          ROLE     STATE  LATENCY  LAST ERROR"), "{titles}");
        assert_eq!(row, r"mysql://db1/mail  primary  live   2.1 ms   2 h 0 min ago: gone\u{1b}[2J");
    }
}
