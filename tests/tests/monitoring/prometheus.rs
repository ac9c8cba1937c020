//! Prometheus reads the metrics of a real daemon, and its alerts and Grafana's dashboard name only metrics that exist.

use super::plugin::{performance, plugin};
use super::{LONG, dashboard, shipped, text_of, unpacked};
use mailauth_tests::metrics::{metrics, with_metrics};
use mailauth_tests::people::{ANNA, BRUNO, DORA, DORAS_PASSWORD, PASSWORD, people};
use mailauth_tests::wire::login;
use mailauth_tests::{Accounts, Kind, Mailauth, Scratch, eventually, free_port, run, run_with_input};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Returns a command of promtool.
fn promtool(words: &[&str]) -> Command {
    let mut command = Command::new(unpacked("prometheus/usr/bin/promtool"));
    command.args(words);
    command
}

#[test]
fn alerts_are_valid_and_fire_when_they_should() {
    let rules = shipped("prometheus");
    let said = run(promtool(&["check", "rules", "mailauth.rules.yml"]).current_dir(&rules));
    assert!(said.contains("SUCCESS: "), "{said}");
    let said = run(promtool(&["test", "rules", "mailauth.rules.test.yml"]).current_dir(&rules));
    assert!(said.contains("SUCCESS"), "{said}");
    let tested = text_of(rules.join("mailauth.rules.test.yml"));
    for (name, alert) in alerts() {
        assert!(tested.contains(&format!("alertname=\"{name}\"")), "no test lets {name} fire");
        for part in ["severity: ", "summary: ", "description: ", "runbook_url: "] {
            assert!(alert.contains(part), "{name} has no {part}");
        }
        let link = alert.split_once("runbook_url: ").expect("a link").1.lines().next().expect("its line");
        let (page, anchor) = link.split_once('#').expect("a section");
        let page = text_of(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page));
        let headings = page.lines().filter_map(|line| line.strip_prefix("## "));
        let mut anchors = headings.map(|heading| heading.to_lowercase().replace(' ', "-"));
        assert!(anchors.any(|known| known == anchor), "{name}: {link}");
    }
}

/// Returns the name and the text of each alert.
fn alerts() -> Vec<(String, String)> {
    let text = text_of(shipped("prometheus/mailauth.rules.yml"));
    let parts = text.split("- alert: ").skip(1);
    let alerts: Vec<_> = parts.map(|part| (part.lines().next().expect("a name").to_owned(), part.to_owned())).collect();
    assert!(alerts.len() > 15, "{}", alerts.len());
    alerts
}

/// Tells plugins and Prometheus of an outage, in one story, because it needs a server of its own.
#[test]
fn an_outage_is_seen_by_plugins_and_has_metrics() {
    let accounts = Accounts::on_own_server(Kind::Postgres).with_snapshot("refresh = \"1s\"\n");
    let accounts = accounts.with(&people(Path::new("/var/mail")));
    let port = free_port();
    let server = Mailauth::configured(|socket| {
        accounts.are_served_on(socket);
        // Some metrics exist only if there is a socket for kept connections.
        let kept = format!("[dovecot]\nclient_socket = \"{}\"\n", socket.with_file_name("client").display());
        let config = with_metrics(&accounts, socket, &format!("127.0.0.1:{port}"), &kept);
        config.replacen("[database]", "[database]\ndeadline = \"500ms\"", 1)
    });
    eventually("a copy", LONG, || accounts.snapshot_is_whole());
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
    assert_eq!(login(server.socket(), BRUNO, PASSWORD).word(), "FAIL", "hashed, and not for IMAP");
    eventually("all is well", LONG, || plugin(&accounts, &[]).0 == Some(0));

    accounts.server().freeze();
    let warned = || {
        let (code, said) = plugin(&accounts, &["--timeout", "4"]);
        code == Some(1) && said.starts_with("MAILAUTH WARNING - no database host answers; a copy of the tables")
    };
    eventually("a warning", LONG, warned);
    assert_eq!(login(server.socket(), DORA, DORAS_PASSWORD).word(), "ACCOUNT", "from the copy");
    let during = metrics(port).expect("metrics");
    for line in ["mailauth_snapshot_in_use 1\n", "mailauth_snapshot_max_age_seconds 86400\n"] {
        assert!(during.contains(line), "no {line} in {during}");
    }
    accounts.server().thaw();
    eventually("the end of the warning", LONG, || plugin(&accounts, &[]).0 == Some(0));

    let text = metrics(port).expect("metrics");
    // It exits with 3 if the text follows the format but not the customs.
    assert_eq!(run_with_input(&mut promtool(&["check", "metrics"]), &text), "");
    let has = |start: &str| text.lines().any(|line| line.starts_with(start));
    for start in [
        "mailauth_answer_seconds_bucket{about=\"login\",from=\"hashed\",le=\"+Inf\"} 1",
        "mailauth_answer_seconds_count{about=\"login\",from=\"cache\"} ",
        "mailauth_answer_seconds_count{about=\"login\",from=\"snapshot\"} ",
        "process_resident_memory_bytes ",
        "process_open_fds ",
    ] {
        assert!(has(start), "no {start} in {text}");
    }
    every_named_metric_exists(&text);
    // The plugin counts the same answers.
    let counted: Vec<_> = performance(&plugin(&accounts, &[]).1);
    let yes = counted.iter().find(|(name, _)| name == "yes").expect("answers").1;
    assert!(yes >= 3.0, "{counted:?}");
}

/// Checks the names in the alerts, the dashboard and the documentation.
fn every_named_metric_exists(text: &str) {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let exist: BTreeSet<&str> = samples.filter_map(|line| line.split(['{', ' ']).next()).collect();
    let expressions = dashboard::expressions().into_iter().map(|(_, expression)| expression);
    let rules = alerts().into_iter().map(|(_, alert)| alert.split("for: ").next().unwrap_or_default().to_owned());
    for expression in expressions.chain(rules) {
        for name in names(&expression) {
            assert!(exist.contains(name), "the daemon has no metric {name}: {expression}");
        }
    }
    let page = text_of(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/monitoring.md"));
    let families =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).filter_map(|line| line.split(' ').next());
    for family in families {
        assert!(page.contains(&format!("`{family}`")), "docs/monitoring.md does not explain {family}");
    }
}

/// Returns the names of metrics in an expression.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("mailauth_") || word.starts_with("process_"))
}

#[test]
fn every_expression_of_the_dashboard_is_valid() {
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, (panel, expression)) in dashboard::expressions().iter().enumerate() {
        let expression = expression.replace("$__rate_interval", "5m").replace("$instance", ".*");
        assert!(!expression.contains('$'), "{panel}: {expression}");
        rules += &format!("      - record: panel:{number}\n        expr: {}\n", serde_json::Value::String(expression));
    }
    let folder = Scratch::new("dashboard");
    fs::write(folder.join("dashboard.yml"), rules).expect("the rules");
    let said = run(promtool(&["check", "rules", "--lint=none"]).arg(folder.join("dashboard.yml")));
    assert!(said.contains("SUCCESS: "), "{said}");
}
