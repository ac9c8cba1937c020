//! The plugin for Nagios and Icinga: `mailauth check --plugin`.

use super::{LONG, shipped, text_of};
use mailauth_tests::people::people;
use mailauth_tests::{Accounts, Kind, Mailauth, eventually};
use rustix::process::Signal;
use std::path::Path;
use std::time::{Duration, Instant};

/// Returns the exit code and the output of the plugin.
pub fn plugin(accounts: &Accounts, options: &[&str]) -> (Option<i32>, String) {
    let output = accounts.try_admin(&[&["check", "--plugin"], options].concat(), "");
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

/// Returns the performance data of an output, which has to be on its first line.
pub fn performance(said: &str) -> Vec<(String, f64)> {
    let first = said.lines().next().expect("a line");
    let (_, data) = first.split_once(" | ").expect("performance data");
    assert_eq!(said.matches('|').count(), 1, "{said}");
    let value = |text: &str| {
        let (name, value) = text.split_once('=').expect("NAME=VALUE");
        let number = value.split(';').next().expect("a value").trim_end_matches(['s', '%', 'c']);
        (name.to_owned(), number.parse().unwrap_or_else(|_| panic!("{text}")))
    };
    data.split(' ').map(value).collect()
}

#[test]
fn the_plugin_never_takes_longer_than_it_may() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let (code, said) = plugin(&accounts, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.starts_with("MAILAUTH CRITICAL - the daemon does not answer"), "{said}");
    let server = Mailauth::over(&accounts);
    let (code, said) = plugin(&accounts, &[]);
    assert!(code == Some(0) && said.starts_with("MAILAUTH OK - 1 of 1 database hosts live, answers in "), "{said}");
    assert!(performance(&said).iter().any(|(name, number)| name == "connections" && *number >= 1.0), "{said}");
    // A range that any value breaks, and one that is inverted.
    assert_eq!(plugin(&accounts, &["--warning", "time=1000:"]).0, Some(1));
    let (code, said) = plugin(&accounts, &["--critical", "connections=@0:100"]);
    assert!(code == Some(2) && said.starts_with("MAILAUTH CRITICAL - 1 of the connections are in use"), "{said}");
    assert!(said.contains("\n1 of 1 database hosts live, "), "{said}");

    server.signal(Signal::STOP);
    let begin = Instant::now();
    let (code, said) = plugin(&accounts, &["--timeout", "2"]);
    let took = begin.elapsed();
    server.signal(Signal::CONT);
    assert!(code == Some(2) && said.starts_with("MAILAUTH CRITICAL - the daemon does not answer"), "{said}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    eventually("the daemon again", LONG, || plugin(&accounts, &[]).0 == Some(0));
}

#[test]
fn what_the_plugin_cannot_know_is_unknown() {
    let accounts = Accounts::empty(Kind::Sqlite);
    for options in [&["--warning", "load=1"][..], &["--timeout", "0"], &["--no-such-option"], &["--json"]] {
        let (code, said) = plugin(&accounts, options);
        assert!(code == Some(3) && said.starts_with("MAILAUTH UNKNOWN - "), "{options:?}: {code:?} {said}");
    }
    std::fs::write(accounts.config_path(), "[database]\nurl = 7\n[courier]\nsokket = \"\"\n").expect("a configuration");
    let (code, said) = plugin(&accounts, &[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.starts_with("MAILAUTH UNKNOWN - ") && said.contains("url") && said.contains("sokket"), "{said}");
}

#[test]
fn the_commands_of_nagios_and_icinga_are_those_that_sudo_permits() {
    let sudoers = text_of(shipped("sudoers.d/mailauth"));
    let permitted = sudoers.lines().find_map(|line| line.split_once("NOPASSWD: ")).expect("a rule").1;
    let nrpe = text_of(shipped("nrpe/mailauth.cfg"));
    assert!(nrpe.contains(&format!("command[check_mailauth]=/usr/bin/sudo -n -u mailauth {permitted}\n")), "{nrpe}");
    let words = permitted.split(' ').map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
    let icinga = text_of(shipped("icinga2/mailauth.conf"));
    assert!(icinga.contains(&format!("\"-u\", \"mailauth\", {words} ]")), "{icinga}");
    assert!(text_of(shipped("nagios/mailauth.cfg")).contains("-c check_mailauth"));
    assert!(text_of(shipped("monit/mailauth")).contains(&format!("with path \"{permitted}\"")));
}
