//! First steps: `mailauth try`, and questions for passwords on a terminal.

use mailauth_tests::people::{ANNA, PASSWORD, people};
use mailauth_tests::{Accounts, Child, Kind, Scratch, output_with_input, program};
use rustix::process::Signal;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Returns `mailauth try`, with its temporary folder created in this one.
fn try_in(folder: &Scratch) -> Command {
    let mut command = Command::new(program("mailauth"));
    command.arg("try").env("TMPDIR", folder.path()).current_dir("/");
    command
}

fn is_empty(folder: &Scratch) -> bool {
    fs::read_dir(folder.path()).expect("the folder").next().is_none()
}

#[test]
fn try_shows_four_real_answers_and_leaves_nothing_behind() {
    let folder = Scratch::new("try");
    let output = output_with_input(try_in(&folder).arg("--once"), "");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    let rows: Vec<Vec<&str>> = told
        .lines()
        .skip(3)
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    let expected = [
        ["the right password", "anna@example.org", "imap", "yes", "ok"],
        ["a wrong password", "anna@example.org", "imap", "no", "the password is wrong (wrong-password)"],
        ["an unknown login", "nobody@example.org", "imap", "no", "there is no such account (unknown-login)"],
        [
            "a forbidden service",
            "ben@example.org",
            "imap",
            "no",
            "the account may not use this service (service-not-allowed)",
        ],
    ];
    assert_eq!(rows.len(), expected.len(), "{told}");
    for (row, expected) in rows.iter().zip(expected) {
        assert_eq!(row[..5], expected, "{told}");
        assert!(row[5].parse::<u64>().unwrap() > 0, "{told}");
    }
    assert!(is_empty(&folder));
}

#[test]
fn the_commands_that_try_prints_work_until_it_is_interrupted() {
    let folder = Scratch::new("try");
    let mut command = try_in(&folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = Child::spawn(command);
    let mut lines =
        BufReader::new(child.inner().stdout.take().expect("its output")).lines().map(|line| line.expect("a line"));
    let mut commands = Vec::new();
    for line in lines.by_ref().take_while(|line| !line.contains("Ctrl-C stops the server")) {
        commands.extend(line.strip_prefix("  ").map(str::to_owned));
    }
    let shell = |text: &str, input: &str| {
        let output = output_with_input(Command::new("sh").args(["-c", text]), input);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let mut saw = String::new();
    for command in &commands {
        let (code, told) = match command.contains(" auth ") {
            // Otherwise the password is read from a terminal.
            true => shell(&format!("{command} --password-stdin"), "annas-secret"),
            false => shell(command, ""),
        };
        assert_eq!(code, Some(0), "{command}\n{told}");
        saw.push_str(&told);
    }
    assert!(commands.len() >= 4, "{commands:?}");
    assert!(
        saw.contains("answer    yes")
            && saw.contains("ADDRESS=anna@example.org")
            && saw.contains("ben@example.org")
            && saw.contains("answers"),
        "{saw}"
    );
    // The fifth exists if a program that can connect to a socket is installed.
    assert_eq!(saw.contains("ADDRESS=anna@example.org"), commands.len() == 5, "{saw}");
    let decision = lines.next().expect("a line about a decision");
    assert!(decision.starts_with("anna@example.org for imap: yes: ok ("), "{decision}");
    child.signal(Signal::INT);
    assert!(child.wait(Duration::from_secs(10)).expect("an end").success());
    assert!(is_empty(&folder));
}

/// Runs the command on a terminal of its own.
fn on_a_terminal(config: &Path, arguments: &[&str], dialogue: &[(&str, &str)]) -> (Option<i32>, String, bool) {
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait"]).arg(program("mailauth")).arg("--config").arg(config).args(arguments);
    command.env("NO_COLOR", "1");
    mailauth_tests::on_a_terminal(command, dialogue)
}

#[test]
fn a_terminal_asks_twice_for_a_password_and_shows_none() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let (config, passwd) = (accounts.config_path(), ["account", "passwd", ANNA]);
    let (first, again) = ("New password for anna@example.org: ", "Repeat the password: ");
    let (code, told, echoes) =
        on_a_terminal(&config, &passwd, &[(first, "my nev\x7fw secret\r"), (again, "my new secret\n")]);
    assert!(code == Some(0) && echoes && !told.contains("secret"), "{told}");
    assert_eq!(accounts.try_admin(&["auth", ANNA, "--password-stdin"], "my new secret").status.code(), Some(0));

    let (code, told, _) = on_a_terminal(&config, &passwd, &[(first, "one password\r"), (again, "other password\r")]);
    assert!(code == Some(1) && told.contains("the two passwords differ; nothing was changed"), "{told}");
    let (code, told, echoes) = on_a_terminal(&config, &passwd, &[(first, "half\x03")]);
    assert!(code == Some(1) && echoes && told.contains("interrupted; nothing was changed"), "{told}");
    let (code, told, _) =
        on_a_terminal(&config, &["auth", ANNA], &[("Password for anna@example.org: ", "my new secret\r")]);
    assert!(code == Some(0) && told.contains("answer    yes"), "{told}");
}

#[test]
fn without_a_terminal_passwords_are_read_from_standard_input() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(program("mailauth")).arg("--config").arg(accounts.config_path());
    let output = output_with_input(command.args(["account", "passwd", ANNA]), PASSWORD);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("use --password-stdin to read it from the standard input")
    );
}
