//! `mailauth check`: is everything as it has to be? Each line is ok, or says what to do.

mod contents;
mod copy;
mod names;

use crate::failure::{Exit, Failure};
use crate::output::{Table, json, printable, say};
use clap::Args;
use mailauth_core::Service;
use mailauth_core::authenticate::{Answer, Authority, Credential, Request};
use mailauth_core::config::{Config, DatabaseUrl, HostPort};
use mailauth_core::store::{Administration, CharacterSet, HostState, Role, SnapshotState, StoreReport, open_single};
use mailauth_courier::client::Client;
use serde::Serialize;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// The longest that the daemon's answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// A login that nobody has: RFC 2606 keeps this domain for that.
const NOBODY: &str = "mailauth-check@nobody.invalid";

/// Check configuration, database, rights and socket; each line is ok or names a cure
///
/// Exit code 0: all is ok. 1: degraded; logins work, but something wants attention. 2: down.
#[derive(Args)]
pub struct Check {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Look at all accounts and aliases, however long it takes [default: for 5 seconds each]
    #[arg(long)]
    all: bool,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Degraded,
    Down,
}

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    /// What was found; unless the state is ok, with a cure.
    text: String,
}

#[derive(Serialize)]
struct Shown<'a> {
    state: State,
    findings: &'a [Finding],
    /// What mends the rights, when it is run in the database by its administrator.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    statements: &'a [String],
}

#[derive(Default)]
struct Findings {
    list: Vec<Finding>,
    statements: Vec<String>,
}

impl Findings {
    fn add(&mut self, what: &'static str, state: State, text: impl Into<String>) {
        self.list.push(Finding { what, state, text: text.into() });
    }
}

impl Check {
    pub fn run(self, file: Option<&Path>) -> Result<Exit, Failure> {
        let mut findings = Findings::default();
        if let Some(config) = configuration(file, &mut findings) {
            let copy = snapshot(&config, &mut findings);
            database(&config, self.all, copy, &mut findings);
            socket(&config, &mut findings);
        }
        let Findings { list: findings, statements } = findings;
        let state = findings.iter().map(|finding| finding.state).max().unwrap_or(State::Ok);
        if self.json {
            json(&Shown { state, findings: &findings, statements: &statements })?;
        } else {
            let mut table = Table::new(["STATE", "WHAT", "FOUND"]);
            for finding in &findings {
                let state = match finding.state {
                    State::Ok => "ok",
                    State::Degraded => "degraded",
                    State::Down => "down",
                };
                table.row([state, finding.what, &finding.text]);
            }
            say(table)?;
            if !statements.is_empty() {
                say(format_args!("\n{}", script(&statements)))?;
            }
        }
        Ok(match state {
            State::Ok => Exit::Yes,
            State::Degraded => Exit::No,
            State::Down => Exit::Usage,
        })
    }
}

fn configuration(file: Option<&Path>, findings: &mut Findings) -> Option<Config> {
    let what = "configuration";
    match Config::load(file) {
        Ok((config, source)) => {
            findings.add(what, State::Ok, format!("read from {}", source.origin));
            for warning in source.warnings {
                findings.add(what, State::Degraded, warning);
            }
            Some(config)
        }
        Err(errors) => {
            for line in errors.to_string().lines() {
                findings.add(what, State::Down, line);
            }
            None
        }
    }
}

/// The copy that answers in an outage, if it would.
fn snapshot(config: &Config, findings: &mut Findings) -> Option<SnapshotState> {
    let found = copy::look(config)?;
    findings.add("snapshot", found.state, found.text);
    found.answers
}

fn database(config: &Config, all: bool, copy: Option<SnapshotState>, findings: &mut Findings) {
    let what = "database";
    let store = match open_single(&config.database) {
        Ok(store) => store,
        Err(error) => return findings.add(what, State::Down, error.to_string()),
    };
    hosts(&store.ask_hosts(), findings);
    let report = match store.report() {
        Ok(report) => report,
        Err(error) => {
            let cure = "start the server, or correct [database]";
            return match copy.filter(|_| error.is_outage()) {
                Some(copy) => {
                    let left = (config.outage.max_age - copy.age).as_secs();
                    let text = format!("{error}; the snapshot decides logins for {left} s more; {cure}");
                    findings.add(what, State::Degraded, text);
                }
                None => findings.add(what, State::Down, format!("{error}; {cure}")),
            };
        }
    };
    let url = &config.database.url;
    findings.add(what, State::Ok, format!("reached {} at {url}", report.server));
    tls(url, &report, findings);
    character_set(&report.character_set, findings);
    if schema(&report, findings) {
        rights(&report, findings);
        let none = if report.accounts == 0 { "; add one with 'mailauth account add'" } else { "" };
        findings.add("accounts", State::Ok, format!("{}{none}", report.accounts));
        names::look(&store).into_iter().for_each(|text| findings.add("names", State::Degraded, text));
        contents::look(store, config, all, findings);
    }
}

/// Of several hosts, how each one stands.
fn hosts(hosts: &[HostState], findings: &mut Findings) {
    let what = "host";
    let [_, _, ..] = hosts else { return };
    for HostState { place, role, live, full, latency, last_error } in hosts {
        let latency = latency.unwrap_or_default().as_secs_f64() * 1000.0;
        match last_error {
            Some((error, _)) if *full => {
                let cure = "raise max_connections or the limit of this user there, or lower [database] pool";
                findings.add(what, State::Degraded, format!("{place} takes no further connection: {error}; {cure}"));
            }
            Some((error, _)) if !live => {
                let cure = "start it, or take it out of [database] url";
                findings.add(what, State::Degraded, format!("{place}: {error}; {cure}"));
            }
            _ => findings.add(what, State::Ok, format!("{place} is a {role} and answers in {latency:.1} ms")),
        }
    }
    if hosts.iter().any(|host| host.live) && !hosts.iter().any(|host| host.live && host.role == Role::Primary) {
        let text = "none of them takes changes, so that no password can be changed; promote one";
        findings.add(what, State::Degraded, text);
    }
}

fn tls(url: &DatabaseUrl, report: &StoreReport, findings: &mut Findings) {
    let server = match url {
        DatabaseUrl::Sqlite { .. } => return,
        DatabaseUrl::Mysql(server) | DatabaseUrl::Postgres(server) => server,
    };
    let near = server.hosts.iter().all(HostPort::is_loopback);
    match &report.tls {
        Some(tls) => findings.add("tls", State::Ok, tls.clone()),
        None if near => findings.add("tls", State::Ok, "none, and the server is on this machine"),
        None => {
            let cure = "set [database] tls = \"verify-full\", and tls_ca if the server has a certificate of your own";
            findings.add("tls", State::Degraded, format!("the connection is in clear; {cure}"));
        }
    }
}

/// Whether the database can hold every login.
fn character_set(found: &CharacterSet, findings: &mut Findings) {
    let what = "encoding";
    match &found.problem {
        Some(problem) => findings.add(what, State::Degraded, problem.clone()),
        None if found.name.is_empty() => {}
        None => findings.add(what, State::Ok, found.name.clone()),
    }
}

/// Statements to be pasted as they are.
fn script(statements: &[String]) -> String {
    let mut text = "-- What mends the rights of this user, to be run in its database by an administrator:".to_owned();
    for statement in statements {
        text.push('\n');
        text.push_str(&printable(statement));
        text.push(';');
    }
    text
}

/// Whether the tables can be used.
fn schema(report: &StoreReport, findings: &mut Findings) -> bool {
    let StoreReport { schema, schema_known, .. } = *report;
    let (state, text) = match schema {
        0 => (State::Down, "there are no tables, or no right to read them; run 'mailauth init'".to_owned()),
        old if old < schema_known => {
            (State::Down, format!("the tables are of version {old}, not {schema_known}; run 'mailauth init'"))
        }
        new if new > schema_known => (
            State::Down,
            format!("the tables are of version {new}, and this mailauth knows {schema_known}; update mailauth"),
        ),
        same => (State::Ok, format!("version {same}")),
    };
    findings.add("schema", state, text);
    state == State::Ok
}

fn rights(report: &StoreReport, findings: &mut Findings) {
    let cure = if report.rights_cure.is_empty() {
        "schema/ has the exact grants for each role"
    } else {
        "the statements below mend it"
    };
    findings.statements.clone_from(&report.rights_cure);
    for right in &report.rights_missing {
        // Without reading there is no login; what else is missing stops only what stands after it in brackets.
        let down = right.starts_with("SELECT") && !right.ends_with(')');
        let state = if down { State::Down } else { State::Degraded };
        findings.add("rights", state, format!("the right to {right} is missing; {cure}"));
    }
    for right in &report.rights_too_wide {
        findings.add("rights", State::Degraded, format!("no daemon needs the right to {right}; {cure}"));
    }
    if report.rights_missing.is_empty() && report.rights_too_wide.is_empty() {
        findings.add("rights", State::Ok, "what a daemon needs, and no more");
    }
}

fn socket(config: &Config, findings: &mut Findings) {
    let what = "socket";
    let path = &config.courier.socket;
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => metadata,
        Ok(_) => {
            let text = format!("{shown} is no socket; move it away, or choose another [courier] socket");
            return findings.add(what, State::Degraded, text);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return findings.add(what, State::Degraded, format!("there is no {shown}; start mailauth-courier"));
        }
        Err(error) => {
            let text =
                format!("{shown} cannot be looked at: {error}; run this as root, or as a user of the socket's group");
            return findings.add(what, State::Degraded, text);
        }
    };
    let (mode, wanted) = (metadata.permissions().mode() & 0o777, config.courier.socket_mode);
    if mode & !wanted != 0 {
        let text = format!("{shown} has mode {mode:04o}, which is wider than {wanted:04o}; restart mailauth-courier");
        findings.add(what, State::Degraded, text);
    }
    let answer = Client::new(path, PATIENCE).authenticate(Request {
        service: Service::Delivery,
        login: NOBODY.as_bytes().to_vec(),
        credential: Credential::Lookup,
        client: None,
        deadline: Instant::now() + PATIENCE,
    });
    match answer {
        Answer::No(_) => findings.add(what, State::Ok, format!("{shown} answers")),
        Answer::Yes(_) => {
            let text = format!("{shown} answers, but knows an account {NOBODY}; is that mailauth's?");
            findings.add(what, State::Degraded, text);
        }
        Answer::NotNow(why) => {
            let cure = "see the daemon's log, and [courier] allow_users if this user may not connect";
            findings.add(what, State::Degraded, format!("{why}; {cure}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(look: impl FnOnce(&mut Findings)) -> Vec<(State, String)> {
        let mut findings = Findings::default();
        look(&mut findings);
        findings.list.into_iter().map(|finding| (finding.state, finding.text)).collect()
    }

    #[test]
    fn only_the_version_that_is_known_can_be_used() {
        let at = |schema| StoreReport { schema, schema_known: 2, ..StoreReport::default() };
        let found = |schema| states(|findings| assert_eq!(super::schema(&at(schema), findings), schema == 2)).remove(0);
        assert_eq!(found(2), (State::Ok, "version 2".into()));
        for (schema, cure) in [(0, "run 'mailauth init'"), (1, "run 'mailauth init'"), (3, "update mailauth")] {
            let (state, text) = found(schema);
            assert!(state == State::Down && text.ends_with(cure), "{text}");
        }
    }

    #[test]
    fn a_connection_in_clear_is_fine_on_the_same_machine_alone() {
        let look = |url: &str, tls: Option<&str>| {
            let report = StoreReport { tls: tls.map(str::to_owned), ..StoreReport::default() };
            states(|findings| super::tls(&url.parse().unwrap(), &report, findings))
                .into_iter()
                .map(|found| found.0)
                .collect::<Vec<_>>()
        };
        assert_eq!(look("mysql://u@127.0.0.1,[::1]/d", None), [State::Ok]);
        assert_eq!(look("postgres://u@/d?socket=/run", None), [State::Ok]);
        assert_eq!(look("mysql://u@localhost,db2/d", None), [State::Degraded]);
        assert_eq!(look("mysql://u@db2/d", Some("TLSv1.3")), [State::Ok]);
        assert_eq!(look("sqlite:x", None), []);
    }

    #[test]
    fn of_several_hosts_each_is_told_of_and_one_has_to_take_changes() {
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
        assert_eq!(found[1], (State::Degraded, "db: gone; start it, or take it out of [database] url".into()));
        assert_eq!(found.len(), 2);
        let full = HostState { full: true, ..host(Role::Primary, true) };
        let found = look(&[full, host(Role::Replica, true)]);
        assert!(found[0].0 == State::Degraded && found[0].1.contains("gone; raise max_connections"), "{found:?}");
        assert_eq!(found.len(), 2);
        let found = look(&[host(Role::Replica, true), host(Role::Primary, false)]);
        assert!(found[2].0 == State::Degraded && found[2].1.ends_with("promote one"), "{found:?}");
    }

    #[test]
    fn statements_are_printed_to_be_pasted() {
        let statements = ["GRANT a TO b".to_owned(), "REVOKE c FROM \"d\ne\"".to_owned()];
        let text = script(&statements);
        assert!(text.starts_with("-- ") && text.ends_with(":\nGRANT a TO b;\nREVOKE c FROM \"d\\ne\";"), "{text}");
    }

    #[test]
    fn rights_that_stop_logins_are_down_and_others_degraded() {
        let report = StoreReport {
            rights_missing: vec!["SELECT on accounts".into(), "UPDATE of password".into()],
            rights_too_wide: vec!["DROP".into()],
            ..StoreReport::default()
        };
        let found: Vec<_> = states(|findings| rights(&report, findings)).into_iter().map(|found| found.0).collect();
        assert_eq!(found, [State::Down, State::Degraded, State::Degraded]);
        assert_eq!(states(|findings| rights(&StoreReport::default(), findings))[0].0, State::Ok);
    }
}
