//! What `mailauth check` reports about the rights of the database user.

use super::findings::{Findings, Remedy, State};
use mailauth_core::config::Config;
use mailauth_core::store::StoreReport;

/// Maximum number of objects whose rights are listed.
const LISTED: usize = 6;

/// Maximum number of statements that are printed.
const PRINTED: usize = 100;

/// Checks whether the daemon's user has the rights that it needs, and no others.
pub(super) fn look(config: &Config, report: &StoreReport, findings: &mut Findings) {
    let what = "rights";
    if let Some(by) = &report.administrator {
        let user = &report.user;
        let text = format!(
            "the user {user} is an administrator ({by}), but a daemon should not be; create a user for the daemon with \
             the statements below, and write it into [database] url"
        );
        findings.add(what, State::Degraded, text);
        return findings.remedies.extend(own_user(config, report));
    }
    let fix = match config.database.url.grants_file() {
        None => "",
        _ if report.rights_remedy.is_empty() => "; schema/ has the exact grants for each role",
        _ => "; the statements below correct it",
    };
    for right in &report.rights_missing {
        // Without the right to read, no login works; any other missing right stops only what it names in parentheses.
        let down = right.starts_with("SELECT") && !right.ends_with(')');
        let state = if down { State::Down } else { State::Degraded };
        findings.add(what, state, format!("the right to {right} is missing{fix}"));
    }
    if !report.rights_too_wide.is_empty() {
        findings.add(what, State::Degraded, format!("the daemon does not need the right to {}{fix}", listed(report)));
    }
    if report.rights_missing.is_empty() && report.rights_too_wide.is_empty() {
        findings.add(what, State::Ok, "those that a daemon needs, and no others");
    }
    findings.remedies.extend(corrected(config, report));
}

/// Returns the rights that are too wide, in a line of limited length.
fn listed(report: &StoreReport) -> String {
    let rights = &report.rights_too_wide;
    let mut text = rights.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join("; ");
    if rights.len() > LISTED {
        text.push_str(&format!("; and to {} more", rights.len() - LISTED));
    }
    text
}

/// Returns the statements for the rights of this user, with the text before and after them.
fn corrected(config: &Config, report: &StoreReport) -> Option<Remedy> {
    let mut remedy =
        Remedy::new("Statements that correct the rights of this user, for an administrator to run in its database:");
    remedy.statements = report.rights_remedy.iter().take(PRINTED).cloned().collect();
    if report.rights_remedy.len() > PRINTED {
        remedy.after.push(format!("And {} more: run 'mailauth check' again.", report.rights_remedy.len() - PRINTED));
    }
    if remedy.statements.iter().any(|statement| !statement.starts_with("GRANT"))
        && config.admin.url.is_none()
        && report.foreign.is_none()
    {
        remedy.after.push(
            "After that, this user cannot change accounts or tables: give the mailauth command a user of its own in \
             [admin] url."
                .to_owned(),
        );
    }
    (!remedy.statements.is_empty()).then_some(remedy)
}

/// Returns the statements that create a user for the daemon in addition to the administrator, with the text before and
/// after them.
fn own_user(config: &Config, report: &StoreReport) -> Option<Remedy> {
    let name = report.rights_remedy.first().and_then(|statement| name_in(statement))?;
    let (url, grants) = (config.database.url.clone().with_user(name), config.database.url.grants_file()?);
    let mut remedy = Remedy::new(
        "A user for the daemon, for an administrator to create in the database, with a password of your choice:",
    );
    remedy.statements.clone_from(&report.rights_remedy);
    remedy.after = vec![
        format!("Then write into [database]  url = \"{url}\""),
        "and the password into a file of mode 0640 that the daemon can read, named by [database] password_file."
            .to_owned(),
        format!("{grants} has the same rights as roles."),
    ];
    if config.admin.url.is_none() {
        remedy.after.push(format!(
            "The mailauth command continues to use this user with [admin]  url = \"{}\"",
            config.database.url
        ));
    }
    Some(remedy)
}

/// Returns the name of the user that a statement creates, as it is written in a URL.
fn name_in(statement: &str) -> Option<String> {
    let rest = statement.strip_prefix("CREATE USER ").or_else(|| statement.strip_prefix("CREATE ROLE "))?;
    let end = rest.find(['@', ' '])?;
    Some(rest.get(..end)?.trim_matches('`').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(report: &StoreReport) -> Vec<State> {
        let mut findings = Findings::default();
        look(&Config::default(), report, &mut findings);
        findings.list.into_iter().map(|finding| finding.state).collect()
    }

    #[test]
    fn rights_that_stop_logins_are_down_and_others_degraded() {
        let report = StoreReport {
            rights_missing: vec!["SELECT on accounts".into(), "UPDATE of password".into()],
            rights_too_wide: vec!["DROP".into()],
            ..StoreReport::default()
        };
        assert_eq!(states(&report), [State::Down, State::Degraded, State::Degraded]);
        assert_eq!(states(&StoreReport::default()), [State::Ok]);
    }

    #[test]
    fn any_number_of_rights_that_are_too_wide_is_one_line() {
        let rights_too_wide = (0..500).map(|n| format!("SELECT, INSERT on other.t{n}")).collect();
        let rights_remedy = (0..500).map(|n| format!("REVOKE SELECT, INSERT ON other.t{n} FROM m")).collect();
        let report = StoreReport { rights_too_wide, rights_remedy, ..StoreReport::default() };
        let mut findings = Findings::default();
        look(&Config::default(), &report, &mut findings);
        let [finding] = &findings.list[..] else { panic!("{} lines", findings.list.len()) };
        assert!(finding.text.contains("other.t5; and to 494 more") && finding.text.len() < 500, "{}", finding.text);
        let [remedy] = &findings.remedies[..] else { panic!("no statements") };
        assert_eq!(
            (remedy.statements.len(), &*remedy.after[0]),
            (PRINTED, "And 400 more: run 'mailauth check' again.")
        );
    }

    #[test]
    fn an_administrator_gets_statements_for_a_user_of_the_daemon() {
        let mut config = Config::default();
        config.database.url = "mysql://root@localhost/mail?socket=/run/mysqld/mysqld.sock".parse().unwrap();
        let report = StoreReport {
            user: "root@localhost".into(),
            administrator: Some("ALL PRIVILEGES on *.*".into()),
            rights_remedy: vec!["CREATE USER `mailauth`@`localhost` IDENTIFIED BY 'a long password'".into()],
            ..StoreReport::default()
        };
        let mut findings = Findings::default();
        look(&config, &report, &mut findings);
        assert_eq!((findings.list.len(), findings.list[0].state), (1, State::Degraded));
        let after = findings.remedies[0].after.join("\n");
        let url = "[database]  url = \"mysql://mailauth@localhost:3306/mail?socket=/run/mysqld/mysqld.sock\"";
        assert!(after.contains(url) && after.contains("[admin]  url = \"mysql://root@"), "{after}");
    }
}
