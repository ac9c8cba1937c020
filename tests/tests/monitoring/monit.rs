//! monit watches a real daemon with the file that is installed.

use super::{LONG, shipped, text_of, unpacked};
use mailauth_tests::people::people;
use mailauth_tests::{Accounts, Child, Kind, Mailauth, Scratch, eventually, program, run};
use rustix::process::Signal;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn monit_notices_a_frozen_daemon_and_its_return() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let server = Mailauth::over(&accounts);
    let folder = Scratch::new("monit");
    let (control, log) = (folder.join("monitrc"), folder.join("log"));
    let place = folder.path().display();
    let plugin = format!(
        "{} --config {} check --plugin --timeout 2",
        program("mailauth").display(),
        accounts.config_path().display()
    );
    let daemon = format!("mailauth-courier --config {}", server.config_path().display());
    let mut checks = text_of(shipped("monit/mailauth"));
    for (installed, here) in [
        ("/usr/bin/mailauth check --plugin", plugin.as_str()),
        ("/run/mailauth/socket", server.socket().to_str().expect("a path")),
        ("then restart", "then alert"),
        ("timeout 10 seconds", "timeout 2 seconds"),
        // Until a program has run for this long, monit does not try its socket.
        ("timeout 30 seconds", "timeout 1 seconds"),
        ("mailauth-courier( |$)", daemon.as_str()),
    ] {
        assert!(checks.contains(installed), "no {installed} in {checks}");
        checks = checks.replace(installed, here);
    }
    let head = format!(
        "set daemon 1\nset log {place}/log\nset pidfile {place}/pid\nset idfile {place}/id\nset statefile {place}/state\n"
    );
    fs::write(&control, head + &checks).expect("the control file");
    fs::set_permissions(&control, Permissions::from_mode(0o600)).expect("its mode");
    let monit = || {
        let mut command = Command::new(unpacked("monit/usr/bin/monit"));
        command.arg("-c").arg(&control).stdin(Stdio::null());
        command
    };
    let said = run(monit().arg("-t"));
    assert!(said.contains("Control file syntax OK"), "{said}");

    let mut foreground = monit();
    foreground.arg("-I").stdout(Stdio::null()).stderr(Stdio::null());
    let _monit = Child::spawn(foreground);
    eventually("monit", LONG, || log.exists());
    let says = |what: &str, text: &str| {
        let wait = || fs::read_to_string(&log).is_ok_and(|log| log.contains(text));
        let begin = Instant::now();
        while !wait() {
            assert!(begin.elapsed() < LONG, "no {what} in the log of monit:\n{}", text_of(&log));
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    server.signal(Signal::STOP);
    says(
        "the plugin's alert",
        "error    : 'mailauth' status failed (2) -- MAILAUTH CRITICAL - the daemon does not answer",
    );
    says("the socket's alert", "error    : 'mailauth-courier' failed protocol test [generic]");
    server.signal(Signal::CONT);
    says("the plugin's return", "'mailauth' status succeeded (0) -- MAILAUTH OK");
    says("the socket's return", "'mailauth-courier' connection succeeded");
}
