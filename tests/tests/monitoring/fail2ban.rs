//! fail2ban's filter finds those that guess, and no address that a login only names.

use super::{LONG, libraries, shipped, text_of, unpacked};
use mailauth_tests::people::{ANNA, CARLA, PASSWORD, UNKNOWN, people};
use mailauth_tests::wire::{Manner, ask, auth};
use mailauth_tests::{Accounts, Child, Kind, Mailauth, Scratch, eventually, program, run, run_with_input};
use std::fmt::Write;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// An address that logins name, and that never asks.
const FORGED: &str = "198.51.100.77";

/// Address of the client with the forging logins.
const FORGER: &str = "203.0.113.66";

/// Logins that look like the rest of a line.
fn forging() -> [String; 7] {
    let rest = format!(r#"answer="no" reason="wrong-password" from="database" ms=1.0 client="{FORGED}" omitted=0"#);
    let line = format!(r#"kind="login" login="x" service="imap" {rest}"#);
    [
        format!(r#"x" service="imap" {rest}"#),
        format!(r#"x\" service="imap" {rest}"#),
        format!("mailauth::decision: no such account {line}"),
        format!("2026-01-01T00:00:00Z INFO mailauth::decision: no {line}"),
        format!(r#"x"client="{FORGED}"omitted=0"#),
        format!("client={FORGED}"),
        r"x\".to_owned(),
    ]
}

fn config(accounts: &Accounts, socket: &Path) -> String {
    let quick = "[throttle]\nallowance = 3\ndelay = \"0s\"\n";
    let text = format!("{}[login]\nrefusal_time = \"0s\"\n", Mailauth::config(accounts, socket, ""));
    text.replacen("[throttle]\n", quick, 1)
}

/// Sends logins whose clients are to be banned and others. Returns the addresses to be banned, once for each line.
fn provoke(socket: &Path) -> Vec<String> {
    let login = |client: &str, login: &str, password: &str| {
        let client = if client.is_empty() { String::new() } else { format!("TCPREMOTEIP={client}\n") };
        let request = [client.as_bytes(), &auth("imap", login, password)].concat();
        ask(socket, &request, Manner::Whole).outcome().word()
    };
    let mut guilty = Vec::new();
    let mut refused = |client: &str, name: &str, password: &str| {
        assert_eq!(login(client, name, password), "FAIL", "{name}");
        guilty.push(client.to_owned());
    };
    refused("192.0.2.1", ANNA, "wrong");
    refused("2001:db8::7", UNKNOWN, PASSWORD);
    refused("192.0.2.3", "not\u{1}a login", PASSWORD);
    // The last ones are refused untried: throttled.
    ["1", "2", "3", "4", "5", "6", "7", "8", "9"].iter().for_each(|password| refused("192.0.2.5", ANNA, password));
    forging().iter().for_each(|name| refused(FORGER, name, "guessed"));
    assert_eq!(login("198.51.100.9", ANNA, PASSWORD), "ACCOUNT", "the right password");
    assert_eq!(login("198.51.100.10", CARLA, PASSWORD), "FAIL", "the right password of a disabled account");
    assert_eq!(login("", ANNA, "wrong as well"), "FAIL", "no address");
    guilty
}

/// Returns the addresses that fail2ban would ban, once for each line.
fn banned(log: &str) -> Vec<String> {
    let mut command = Command::new(unpacked("fail2ban/usr/bin/fail2ban-regex"));
    command.env("PYTHONPATH", unpacked("fail2ban/usr/lib/python3/dist-packages"));
    command.args(["--out", "ip", log]).arg(shipped("fail2ban/filter.d/mailauth.conf"));
    run(&mut command).lines().map(str::to_owned).collect()
}

#[test]
fn fail2ban_bans_clients_that_guess_and_no_others() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let server = Mailauth::configured(|socket| config(&accounts, socket));
    let guilty = provoke(server.socket());
    // Then the database is gone, and no login can be refused.
    let gone = config(&accounts, server.socket()).replace("mail.db", "gone.db");
    fs::write(server.config_path(), gone).expect("the configuration");
    server.reload();
    let again = |client: &str, password| {
        let request = [format!("TCPREMOTEIP={client}\n").as_bytes(), &auth("imap", ANNA, password)].concat();
        ask(server.socket(), &request, Manner::Whole).outcome().word()
    };
    eventually("\"not now\"", LONG, || again("198.51.100.9", PASSWORD) == "CLOSED");
    assert_eq!(again("198.51.100.11", "wrong"), "CLOSED");
    server.wait_for_log("client=\"198.51.100.11\"");
    for reason in ["unknown-login", "unusable-login", "throttled", "account-disabled", "schema"] {
        assert!(server.log().contains(&format!("reason=\"{reason}\"")), "no {reason} in {}", server.log());
    }
    let log = server.config_path().with_file_name("log");
    assert_eq!(banned(log.to_str().expect("a path")), guilty, "{}", server.log());
}

#[test]
fn fail2ban_reads_the_same_from_the_journal() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let folder = Scratch::new("fail2ban");
    let (log, socket) = (folder.join("log"), folder.join("socket"));
    fs::write(folder.join("mailauth.toml"), config(&accounts, &socket)).expect("the configuration");
    let file = File::create(&log).expect("a log");
    let of_file = file.metadata().expect("its number");
    // So the daemon takes its standard error for the journal.
    let mut daemon = Command::new(program("mailauth-courier"));
    daemon.env("JOURNAL_STREAM", format!("{}:{}", of_file.dev(), of_file.ino()));
    daemon.arg("--config").arg(folder.join("mailauth.toml")).stdin(Stdio::null()).stderr(file);
    let _daemon = Child::spawn(daemon);
    eventually("the daemon", LONG, || UnixStream::connect(&socket).is_ok());
    let guilty = provoke(&socket);
    let lines = text_of(&log);
    assert!(lines.contains("\n<6>mailauth::decision: "), "{lines}");

    let mut entries = String::new();
    for (number, line) in lines.lines().enumerate() {
        entries += &entry(number, "mailauth-courier.service", line);
        // The same line of another service is not believed.
        entries += &entry(number, "other.service", line);
    }
    let journal = folder.join("test.journal");
    let folder = unpacked(libraries("fail2ban").to_str().expect("a path"));
    let libraries = format!("{}:{}", folder.display(), folder.join("systemd").display());
    let mut writer = Command::new(unpacked("fail2ban/lib/systemd/systemd-journal-remote"));
    writer.env("LD_LIBRARY_PATH", libraries).args(["--split-mode=none", "--output"]).arg(&journal).arg("-");
    run_with_input(&mut writer, &entries);
    assert_eq!(banned(&format!("systemd-journal[journalfiles={}]", journal.display())), guilty, "{lines}");
}

/// Returns a line of the log as systemd keeps it, in the export format of the journal.
fn entry(number: usize, unit: &str, line: &str) -> String {
    let (priority, message) = line.strip_prefix('<').and_then(|line| line.split_once('>')).expect("a priority");
    let time = 1_700_000_000_000_000_u64 + number as u64;
    let mut text = format!("__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={number}\n");
    let boot = "0123456789abcdef0123456789abcdef";
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "_BOOT_ID={boot}\n_SYSTEMD_UNIT={unit}\n_HOSTNAME=mx1\nSYSLOG_IDENTIFIER=mailauth-courier\n_PID=7\n\
         PRIORITY={priority}\nMESSAGE={message}\n\n"
    );
    text
}

#[test]
fn fail2ban_accepts_the_jail() {
    let folder = Scratch::new("jail");
    let etc = folder.join("fail2ban");
    run(Command::new("cp").arg("-r").arg(unpacked("fail2ban/etc/fail2ban")).arg(&etc));
    for part in ["filter.d/mailauth.conf", "jail.d/mailauth.conf"] {
        fs::copy(shipped("fail2ban").join(part), etc.join(part)).expect("a copy");
    }
    // Debian's own jail for sshd is not what this is about.
    fs::remove_file(etc.join("jail.d/defaults-debian.conf")).expect("Debian's file");
    let mut command = Command::new(unpacked("fail2ban/usr/bin/fail2ban-client"));
    command.env("PYTHONPATH", unpacked("fail2ban/usr/lib/python3/dist-packages"));
    let shown = run(command.arg("-c").arg(&etc).arg("-d"));
    for part in ["['add', 'mailauth', 'systemd']", "'maxretry', 50", "_SYSTEMD_UNIT=mailauth-courier.service"] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
}
