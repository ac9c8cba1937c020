//! Rows, and daemons, that name a user or a path that a mailbox may not have. Nothing is created, given away or
//! executed because of them.

use mailauth_tests::checkpassword::{Outcome, call, record};
use mailauth_tests::people::{CHEAP_HASH, PASSWORD};
use mailauth_tests::wire::{Manner, ask, login};
use mailauth_tests::{Accounts, Kind, Mailauth, Scratch, output_with_input, program};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

/// A host whose homes are in `mail`. The folder `elsewhere` next to it belongs to root.
struct Host {
    files: Scratch,
    accounts: Accounts,
}

/// What a row contains, and the column that is refused.
const ATTACKS: [(&str, &str, &str); 8] = [
    ("shadow", "gid = 42", "gid"),
    ("disk", "gid = 6", "gid"),
    ("www", "uid = 33", "uid"),
    ("other", "uid = 1000", "uid"),
    ("unit", "home = 'FILES/elsewhere/ssh.service.d'", "home"),
    ("climber", "home = 'FILES/mail/x/../../elsewhere/y'", "home"),
    ("cron", "maildir = 'FILES/elsewhere/cron.d'", "maildir"),
    ("parent", "maildir = '../../elsewhere/z'", "maildir"),
];

impl Host {
    fn new() -> Self {
        let files = Scratch::new("floors");
        for folder in ["mail", "elsewhere"] {
            fs::create_dir(files.join(folder)).expect("a folder");
        }
        let keys = format!("home = \"{0}/mail/%n\"\nroot = \"{0}/mail\"\ncreate = true\n", files.path().display());
        let accounts = Accounts::empty(Kind::Sqlite).with_mailbox(&keys);
        accounts.admin(&["domain", "add", "example.org"], "");
        for name in ATTACKS.map(|(name, ..)| name).into_iter().chain(["anna"]) {
            accounts.admin(
                &["account", "import", "-"],
                &format!("login,password,quota\n{name}@example.org,{CHEAP_HASH},\"1G,10\"\n"),
            );
        }
        Host { files, accounts }
    }

    fn attack(&self) {
        for (name, set, _) in ATTACKS {
            let set = set.replace("FILES", &self.files.path().display().to_string());
            self.accounts.sql_without_checks(&format!("UPDATE accounts SET {set} WHERE login = '{name}@example.org'"));
        }
    }

    /// Returns the configuration of programs that ask the daemon on this socket.
    fn client(&self, socket: &Path) -> std::path::PathBuf {
        let file = self.files.join("client.toml");
        let text = format!(
            "{}[client]\nsocket = \"{}\"\nfallback = \"none\"\ndeadline = \"5s\"\n[pop3]\ncreate_home = true\n",
            self.accounts.config(),
            socket.display()
        );
        fs::write(&file, text).expect("a configuration");
        file
    }

    fn log_in(&self, socket: &Path, login: &str) -> Outcome {
        let mut command = Command::new(program("mailauth-pop3"));
        command.args(["sh", "-c", "id; pwd"]).env("MAILAUTH_CONFIG", self.client(socket));
        call(command, &record(login, PASSWORD, ""))
    }

    fn exim(&self, socket: &Path, question: &[&str]) -> Output {
        let mut command = Command::new(program("mailauth-exim"));
        command.arg("--config").arg(self.client(socket)).args(question);
        output_with_input(&mut command, "")
    }

    /// Asserts that nothing was created or given away outside the folder of the mailboxes.
    fn is_untouched(&self) {
        let elsewhere = self.files.join("elsewhere");
        assert_eq!(fs::read_dir(&elsewhere).expect("a folder").count(), 0);
        for folder in [elsewhere, self.files.join("mail")] {
            let found = fs::metadata(folder).expect("a folder");
            assert_eq!((found.uid(), found.gid()), (0, 0));
        }
        for (name, ..) in ATTACKS {
            assert!(!self.files.join("mail").join(name).exists(), "{name} has a home");
        }
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

#[test]
fn no_program_obeys_rows_that_name_roots_groups_or_folders() {
    let host = Host::new();
    host.attack();
    let daemon = Mailauth::over(&host.accounts);
    for (name, set, column) in ATTACKS {
        let user = format!("{name}@example.org");
        assert_eq!(login(daemon.socket(), &user, PASSWORD).word(), "FAIL", "{set}: {}", daemon.log());
        for question in ["account", "recipient 100"] {
            let asked = format!("ASK {question} {user}\n");
            let answer = ask(daemon.socket(), asked.as_bytes(), Manner::Whole).bytes;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(answer.starts_with(&format!("LATER account {user}: column {column} is ")), "{set}: {answer}");
            assert!(answer.contains("[mailbox] ") || answer.contains(".. in it"), "the advice: {answer}");
        }
        let outcome = host.log_in(daemon.socket(), &user);
        assert!(outcome.code == Some(1) && outcome.output.is_empty(), "{set}: {outcome:?}");
        for question in [&["account", &user][..], &["may_store", &user, "10"]] {
            let output = host.exim(daemon.socket(), question);
            assert!(output.status.code() == Some(75) && said(&output).contains(column), "{set}: {output:?}");
        }
        let delivered = host.accounts.try_admin(&["deliver", &user], "Subject: x\n\nx\n");
        assert!(
            delivered.status.code() == Some(75) && said(&delivered).contains(&format!("column {column} ")),
            "{set}: {delivered:?}"
        );
        let counted = host.accounts.try_admin(&["quota", "recount", &user], "");
        assert!(!counted.status.success() && said(&counted).contains(column), "{set}: {counted:?}");
        let made = host.accounts.try_admin(&["account", "set", &user, "--make-mailbox"], "");
        assert!(!made.status.success(), "{set}: {made:?}");
        assert!(daemon.log().contains(&format!("{user}: column {column} is ")), "{set}: {}", daemon.log());
    }
    host.accounts.try_admin(&["quota", "recount", "--all"], "");
    host.is_untouched();
    let anna = host.log_in(daemon.socket(), "anna@example.org");
    assert!(anna.code == Some(0) && anna.output.contains("uid=5000"), "{anna:?}");
    assert!(host.files.join("mail/anna/Maildir/cur").exists(), "what is permitted is created");
}

#[test]
fn check_lists_such_rows_and_the_lines_that_would_permit_them() {
    let host = Host::new();
    host.attack();
    let output = host.accounts.try_admin(&["check", "--json"], "");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let texts = told["findings"].as_array().expect("findings").iter().filter_map(|finding| finding["text"].as_str());
    let text = texts.filter(|text| text.contains("can never be used")).collect::<String>();
    let files = host.files.path().display();
    for part in [
        "8 accounts can never be used",
        "[mailbox]: min_uid = 33, and min_gid = 6, and root = ",
        &format!("root = \"{files}\""),
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn the_command_writes_no_such_row_and_explains_what_to_set() {
    let host = Host::new();
    let outside = host.files.join("elsewhere/x").display().to_string();
    for (option, value, key) in [
        ("--gid", "42", "[mailbox] min_gid"),
        ("--uid", "33", "[mailbox] min_uid"),
        ("--home", &*outside, "[mailbox] root"),
        ("--maildir", &outside, "[mailbox] root"),
        ("--maildir", "../../x", ".. in it"),
    ] {
        for verb in
            [&["account", "set", "anna@example.org"][..], &["account", "add", "new@example.org", "--no-password"]]
        {
            let output = host.accounts.try_admin(&[verb, &[option, value]].concat(), "");
            assert!(output.status.code() == Some(2) && said(&output).contains(key), "{option} {value}: {output:?}");
        }
        let csv = format!("login,{}\nnew@example.org,{value}\n", option.trim_start_matches('-'));
        let output = host.accounts.try_admin(&["account", "import", "-"], &csv);
        assert!(!output.status.success() && said(&output).contains(key), "{option} {value}: {output:?}");
    }
    host.attack();
    let worse = host.accounts.try_admin(&["account", "set", "shadow@example.org", "--gid", "15"], "");
    assert!(worse.status.code() == Some(2) && said(&worse).contains("gid is 15"), "{worse:?}");
    host.accounts.admin(&["account", "set", "shadow@example.org", "--gid", "5000"], "");
    host.accounts.admin(&["account", "set", "climber@example.org", "--name", "C"], "");
}

#[test]
fn configured_minimum_ids_are_permitted() {
    let host = Host::new();
    host.attack();
    let files = host.files.path().display().to_string();
    let keys = format!("home = \"{files}/mail/%n\"\nroot = \"{files}\"\nmin_uid = 1000\nmin_gid = 42\n");
    let accounts = host.accounts.with_mailbox(&keys);
    let daemon = Mailauth::over(&accounts);
    let word = |name: &str| login(daemon.socket(), &format!("{name}@example.org"), PASSWORD).word();
    for name in ["shadow", "other", "unit", "cron", "anna"] {
        assert_eq!(word(name), "ACCOUNT", "{name}: {}", daemon.log());
    }
    for name in ["disk", "www", "climber", "parent"] {
        assert_eq!(word(name), "FAIL", "{name}: {}", daemon.log());
    }
}

/// Sends this reply to every request, until the test ends.
fn serve_falsely(socket: &Path, reply: String) {
    let listener = UnixListener::bind(socket).expect("a socket");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let mut request = [0; 4096];
            if client.read(&mut request).is_ok() {
                let _ = client.write_all(reply.as_bytes());
            }
        }
    });
}

/// A false daemon, or authdaemond with a false table: root's programs do not obey it.
#[test]
fn a_daemon_that_sends_forbidden_values_is_not_obeyed() {
    let host = Host::new();
    let files = host.files.path().display().to_string();
    let good = [("uid", "5000"), ("gid", "5000"), ("home", "FILES/mail/eve"), ("maildir", "FILES/mail/eve/Maildir")];
    let attacks = [
        ("uid", "0", "uid is 0"),
        ("gid", "0", "gid is 0"),
        ("gid", "42", "gid is 42"),
        ("uid", "33", "uid is 33"),
        ("home", "FILES/elsewhere/x", "which is not below"),
        ("home", "FILES/mail/../elsewhere/x", ".. in it"),
        ("maildir", "FILES/elsewhere/cron.d", "which is not below"),
    ];
    for (number, (key, value, problem)) in attacks.into_iter().enumerate() {
        let values = good.map(|(name, right)| (name, if name == key { value } else { right }.replace("FILES", &files)));
        let socket = host.files.join(format!("record{number}"));
        let lines: String = values.iter().map(|(name, value)| format!("{}={value}\n", name.to_uppercase())).collect();
        serve_falsely(&socket, format!("{lines}ADDRESS=eve@example.org\n.\n"));
        let outcome = host.log_in(&socket, "eve@example.org");
        assert!(outcome.code == Some(111) && outcome.output.is_empty(), "{key}={value}: {outcome:?}");
        assert!(outcome.said.contains(problem), "{outcome:?}");
        let login = ["--insecure-argv", "login", "smtp", "eve@example.org", "x"];
        let output = host.exim(&socket, &login);
        assert!(output.status.code() == Some(75) && said(&output).contains(problem), "{key}={value}: {output:?}");
        let socket = host.files.join(format!("text{number}"));
        let text: String = values.iter().map(|(name, value)| format!(" {name}=\"{value}\"")).collect();
        serve_falsely(&socket, format!("OK login=\"eve@example.org\"{text}\n"));
        let output = host.exim(&socket, &["account", "eve@example.org"]);
        assert!(output.status.code() == Some(75) && said(&output).contains(problem), "{key}={value}: {output:?}");
    }
    host.is_untouched();
}
