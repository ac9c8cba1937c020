//! `mailauth check`: checks the installation. Each line is ok, or says what to do.

mod admin;
mod contents;
mod copy;
mod findings;
mod kept;
mod names;
mod parents;
pub(crate) mod plugin;
mod rights;
mod socket;

use self::findings::{Finding, Findings, Remedy, State, hint, unopened};
use crate::colour::Tone;
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Table, json, say, say_in_colour, speaks_json};
use crate::schema::{SORTS, sentence};
use clap::Args;
use mailauth_core::config::{Config, DatabaseUrl, HostPort, Origin};
use mailauth_core::store::{
    Access, Administration, CharacterSet, ForeignReport, HostState, Role, SnapshotState, StoreReport, open_single,
};
use serde::Serialize;
use std::path::Path;

/// Check the configuration, the database, its rights, the accounts and the socket
///
/// Each line is ok, or says what is wrong and what to do.
///
/// Exit codes: 0 everything is ok, 1 degraded: logins work, but something needs attention, 2 down.
#[derive(Args)]
pub struct Check {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Check all accounts and aliases, however long it takes [default: as many as possible in 5 seconds each]
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    plugin: plugin::Plugin,
}

/// Number of rows up to which a table may be read whole for each question.
const FEW_ROWS: u64 = 100;

#[derive(Serialize)]
struct ReportJson<'a> {
    state: State,
    findings: &'a [Finding],
    /// Statements that correct the rights, or make a user for the daemon, for an administrator of the database to run.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    statements: &'a [&'a str],
    /// Further steps for that user.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notes: &'a [&'a str],
}

impl Check {
    /// Returns the check without options.
    pub fn usual() -> Self {
        Check { json: speaks_json(), all: false, plugin: plugin::Plugin::default() }
    }

    pub fn run(self, file: Option<&Path>) -> Result<Exit, Failure> {
        if self.plugin.plugin {
            return self.plugin.run(file);
        }
        let mut findings = Findings::default();
        if let Some((config, origin)) = configuration(file, &mut findings) {
            parents::look(&config, origin.file(), &mut findings);
            let copy = snapshot(&config, &mut findings);
            database(&config, self.all, copy, &mut findings);
            admin::look(&config, &mut findings);
            socket::look(&config, &mut findings);
            kept::look(&config, &mut findings);
        }
        let Findings { list: findings, remedies } = findings;
        let state = findings.iter().map(|finding| finding.state).max().unwrap_or(State::Ok);
        if self.json {
            let lines = |of: fn(&Remedy) -> &[String]| {
                remedies.iter().flat_map(|remedy| of(remedy).iter().map(String::as_str)).collect::<Vec<_>>()
            };
            let (statements, notes) = (lines(|remedy| &remedy.statements), lines(|remedy| &remedy.after));
            json(&ReportJson { state, findings: &findings, statements: &statements, notes: &notes })?;
        } else {
            let mut table = Table::new(["STATE", "WHAT", "FOUND"]);
            for finding in &findings {
                let (state, tone) = match finding.state {
                    State::Ok => ("ok", Tone::Good),
                    State::Degraded => ("degraded", Tone::Warning),
                    State::Down => ("down", Tone::Bad),
                };
                table.marked_row([state, finding.what, &finding.text], Some(Mark(0, tone)));
            }
            say_in_colour(&table)?;
            for remedy in remedies {
                say(format_args!("\n{}", remedy.script()))?;
            }
        }
        Ok(match state {
            State::Ok => Exit::Yes,
            State::Degraded => Exit::No,
            State::Down => Exit::Usage,
        })
    }
}

fn configuration(file: Option<&Path>, findings: &mut Findings) -> Option<(Config, Origin)> {
    let what = "configuration";
    match Config::load_for_administration(file) {
        Ok((config, source)) => {
            findings.add(what, State::Ok, format!("read from {}", source.origin));
            for warning in source.warnings {
                findings.add(what, State::Degraded, warning);
            }
            Some((config, source.origin))
        }
        Err(errors) => {
            for line in errors.to_string().lines() {
                findings.add(what, State::Down, line);
            }
            None
        }
    }
}

/// Checks the copy that answers during an outage. Returns its state if it would be used.
fn snapshot(config: &Config, findings: &mut Findings) -> Option<SnapshotState> {
    let found = copy::look(config)?;
    findings.add("snapshot", found.state, found.text);
    found.answers
}

fn database(config: &Config, all: bool, copy: Option<SnapshotState>, findings: &mut Findings) {
    let what = "database";
    let store = match open_single(&config.database) {
        Ok(store) => store,
        Err(error) => return findings.add(what, State::Down, unopened("database", &error)),
    };
    hosts(&store.ask_hosts(), findings);
    let report = match store.report() {
        Ok(report) => report,
        Err(error) => {
            let text = format!("{error}{}", hint(&error, &config.database.url));
            return match copy.filter(|_| error.is_outage()) {
                Some(copy) => {
                    let left = (config.outage.max_age - copy.age).as_secs();
                    let text = format!("{text}; meanwhile the snapshot answers logins for {left} s more");
                    findings.add(what, State::Degraded, text);
                }
                None => findings.add(what, State::Down, text),
            };
        }
    };
    let url = &config.database.url;
    findings.add(what, State::Ok, format!("reached {} at {url}", report.server));
    tls(url, &report, findings);
    let usable = match &report.foreign {
        Some(tables) => foreign(tables, config.database.tables.are_read_only(), report.accounts, findings),
        None => {
            character_set(&report.character_set, findings);
            schema(&report, findings)
        }
    };
    if usable || report.schema_refused.is_some() || report.foreign.is_some() {
        rights::look(config, &report, findings);
    }
    if usable {
        if report.accounts > 0 || report.foreign.is_none() {
            let none = if report.accounts == 0 { "; add one with 'mailauth account add'" } else { "" };
            findings.add("accounts", State::Ok, format!("{}{none}", report.accounts));
        }
        if report.foreign.is_none() {
            names::look(&store).into_iter().for_each(|text| findings.add("names", State::Degraded, text));
        }
        contents::look(store, config, all, findings);
    }
}

/// Checks that the tables of another program can be read as the configuration says. Returns true if they can.
fn foreign(tables: &ForeignReport, read_only: bool, accounts: u64, findings: &mut Findings) -> bool {
    let ForeignReport { profile, program, problems, plans } = tables;
    for problem in problems {
        findings.add("schema", State::Down, problem.clone());
    }
    if problems.is_empty() {
        let use_of_them = if read_only { "which are only read" } else { "in which only passwords are changed" };
        let text = format!("profile {profile:?}, the tables of {program}, {use_of_them}");
        findings.add("schema", State::Ok, text);
    }
    for plan in plans {
        for table in plan.tables.iter().filter(|table| table.access == Access::Scan) {
            // A small table is read as fast as an index.
            let state = if table.rows.is_some_and(|rows| rows <= FEW_ROWS) { State::Ok } else { State::Degraded };
            findings.add("schema", state, format!("[{}] {} {}", plan.section, plan.name, sentence(table)));
        }
        if plan.sorts_pages() {
            let state = if accounts <= FEW_ROWS { State::Ok } else { State::Degraded };
            findings.add("schema", state, format!("[{}] {} {SORTS}", plan.section, plan.name));
        }
    }
    problems.is_empty()
}

/// Adds the state of each of several hosts.
fn hosts(hosts: &[HostState], findings: &mut Findings) {
    let what = "host";
    let [_, _, ..] = hosts else { return };
    for HostState { place, role, live, full, latency, last_error } in hosts {
        let latency = latency.unwrap_or_default().as_secs_f64() * 1000.0;
        match last_error {
            Some((error, _)) if *full => {
                findings.add(what, State::Degraded, format!("{place} accepts no further connection: {error}"));
            }
            Some((error, _)) if !live => {
                let fix = "correct this, or remove the host from [database] url";
                findings.add(what, State::Degraded, format!("{place}: {error}; {fix}"));
            }
            _ => findings.add(what, State::Ok, format!("{place} is a {role} and answers in {latency:.1} ms")),
        }
    }
    if hosts.iter().any(|host| host.live) && !hosts.iter().any(|host| host.live && host.role == Role::Primary) {
        let text = "none of them accepts changes, so no password can be changed; promote one";
        findings.add(what, State::Degraded, text);
    }
}

fn tls(url: &DatabaseUrl, report: &StoreReport, findings: &mut Findings) {
    let Some(server) = url.server() else { return };
    let near = server.hosts.iter().all(HostPort::is_loopback);
    match &report.tls {
        Some(tls) => findings.add("tls", State::Ok, tls.clone()),
        None if near => {
            let socket = "?socket=PATH in [database] url, the server's unix socket,";
            match (&report.authenticated_by, &server.socket) {
                (Some(how), Some(_)) => {
                    findings.add(
                        "tls",
                        State::Ok,
                        format!("none, but the server is on this host, authenticated by {how}"),
                    );
                }
                (Some(how), None) => {
                    let text = format!(
                        "none, but the server is on this host, authenticated by {how}; {socket} authenticates it best, and \
                         is faster"
                    );
                    findings.add("tls", State::Ok, text);
                }
                (None, _) => {
                    let text = format!(
                        "none, and the server on this host is not authenticated, so another program could take its place: \
                         write {socket} or set [database] tls = \"verify-full\" and tls_ca"
                    );
                    findings.add("tls", State::Degraded, text);
                }
            }
        }
        None => {
            let fix = "set [database] tls = \"verify-full\", and tls_ca if the server has a certificate of your own";
            findings.add("tls", State::Degraded, format!("the connection is not encrypted; {fix}"));
        }
    }
}

/// Checks that the database can store every login.
fn character_set(found: &CharacterSet, findings: &mut Findings) {
    let what = "encoding";
    match &found.problem {
        Some(problem) => findings.add(what, State::Degraded, problem.clone()),
        None if found.name.is_empty() => {}
        None => findings.add(what, State::Ok, found.name.clone()),
    }
}

/// Checks that the tables can be used. Returns true if they can.
fn schema(report: &StoreReport, findings: &mut Findings) -> bool {
    let StoreReport { schema, schema_known, .. } = *report;
    let (state, text) = match (schema, &report.schema_refused) {
        (0, Some(why)) => {
            (State::Down, format!("this user may not read the tables: {why}; give it the rights of a daemon"))
        }
        (0, None) => (State::Down, "there are no tables; run 'mailauth init'".to_owned()),
        (old, _) if old < schema_known => {
            (State::Down, format!("the tables have version {old}, not {schema_known}; run 'mailauth init'"))
        }
        (new, _) if new > schema_known => (
            State::Down,
            format!("the tables have version {new}, but this mailauth supports only {schema_known}; update mailauth"),
        ),
        (same, _) => (State::Ok, format!("version {same}")),
    };
    findings.add("schema", state, text);
    state == State::Ok
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn states(look: impl FnOnce(&mut Findings)) -> Vec<(State, String)> {
        let mut findings = Findings::default();
        look(&mut findings);
        findings.list.into_iter().map(|finding| (finding.state, finding.text)).collect()
    }

    #[test]
    fn only_the_known_version_of_the_schema_can_be_used() {
        let at = |schema| StoreReport { schema, schema_known: 2, ..StoreReport::default() };
        let found = |schema| states(|findings| assert_eq!(super::schema(&at(schema), findings), schema == 2)).remove(0);
        assert_eq!(found(2), (State::Ok, "version 2".into()));
        for (schema, advice) in [(0, "run 'mailauth init'"), (1, "run 'mailauth init'"), (3, "update mailauth")] {
            let (state, text) = found(schema);
            assert!(state == State::Down && text.ends_with(advice), "{text}");
        }
    }

    #[test]
    fn a_connection_in_clear_is_accepted_only_on_the_same_host() {
        let look = |url: &str, tls: Option<&str>| {
            let authenticated_by = Some("its user, mysql".to_owned());
            let report = StoreReport { tls: tls.map(str::to_owned), authenticated_by, ..StoreReport::default() };
            states(|findings| super::tls(&url.parse().unwrap(), &report, findings))
                .into_iter()
                .map(|found| found.0)
                .collect::<Vec<_>>()
        };
        let unknown = states(|findings| {
            super::tls(&"mysql://u@127.0.0.1/d".parse().unwrap(), &StoreReport::default(), findings);
        });
        assert!(unknown[0].0 == State::Degraded && unknown[0].1.contains("?socket=PATH"), "{unknown:?}");
        assert_eq!(look("mysql://u@127.0.0.1,[::1]/d", None), [State::Ok]);
        assert_eq!(look("postgres://u@/d?socket=/run", None), [State::Ok]);
        assert_eq!(look("mysql://u@localhost,db2/d", None), [State::Degraded]);
        assert_eq!(look("mysql://u@db2/d", Some("TLSv1.3")), [State::Ok]);
        assert_eq!(look("sqlite:x", None), []);
    }

    #[test]
    fn each_host_is_reported_and_one_has_to_accept_changes() {
        let host = |role, live| HostState {
            place: "db".into(),
            role,
            live,
            full: false,
            latency: None,
            last_error: Some(("gone".into(), Duration::ZERO)),
        };
        let look = |hosts: &[HostState]| states(|findings| super::hosts(hosts, findings));
        assert_eq!(look(&[host(Role::Unknown, true)]), []);
        let found = look(&[host(Role::Primary, true), host(Role::Replica, false)]);
        assert_eq!(found[0], (State::Ok, "db is a primary and answers in 0.0 ms".into()));
        assert_eq!(
            found[1],
            (State::Degraded, "db: gone; correct this, or remove the host from [database] url".into())
        );
        assert_eq!(found.len(), 2);
        let full = HostState { full: true, ..host(Role::Primary, true) };
        let found = look(&[full, host(Role::Replica, true)]);
        assert!(
            found[0].0 == State::Degraded && found[0].1.ends_with("accepts no further connection: gone"),
            "{found:?}"
        );
        assert_eq!(found.len(), 2);
        let found = look(&[host(Role::Replica, true), host(Role::Primary, false)]);
        assert!(found[2].0 == State::Degraded && found[2].1.ends_with("promote one"), "{found:?}");
    }

    #[test]
    fn statements_are_printed_to_be_pasted() {
        let mut remedy = Remedy::new("To be run:");
        remedy.statements = vec!["GRANT a TO b".to_owned(), "REVOKE c FROM \"d\ne\"".to_owned()];
        remedy.after = vec!["And then\nrest.".to_owned()];
        let text = "-- To be run:\nGRANT a TO b;\nREVOKE c FROM \"d\\ne\";\n-- And then\\nrest.";
        assert_eq!(remedy.script(), text);
    }
}
