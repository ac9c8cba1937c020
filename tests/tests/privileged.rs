//! Programs with more rights than the user that starts them inherit neither its environment nor its descriptors.

use mailauth_tests::checkpassword::{call, give, record};
use mailauth_tests::people::{ANNA, PASSWORD, people};
use mailauth_tests::{Accounts, Kind, Mailauth, Scratch, output_with_input, program, run};
use std::fs::{self, File, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A user without any rights.
const NOBODY: u32 = 65_534;

/// Copies a program by another process. A file that this process has open for writing cannot be executed, and the
/// child of another thread may keep it open for a moment.
fn copy_of(name: &str, to: &Path) {
    run(Command::new("cp").arg(program(name)).arg(to));
}

/// Copies a program as a set-uid program of root.
fn set_id_copy(folder: &Scratch, name: &str) -> PathBuf {
    let copy = folder.join(name);
    copy_of(name, &copy);
    fs::set_permissions(&copy, Permissions::from_mode(0o4755)).expect("its mode");
    copy
}

fn by_nobody(program: &PathBuf, folder: &Scratch) -> Command {
    let mut command = Command::new(program);
    command.uid(NOBODY).gid(NOBODY).current_dir(folder.path());
    command
}

#[test]
fn a_set_id_program_takes_no_configuration_from_the_environment() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let daemon = Mailauth::with(&accounts, "socket_mode = \"0666\"\nallow_users = [\"nobody\"]\n");
    let folder = Scratch::new("set-id");
    // A configuration that would accept any login, and would then run a shell as root.
    let hostile = folder.join("hostile.toml");
    let text = format!(
        "{}[client]\nsocket = \"{}\"\n[pop3]\nbecome_owner = false\n",
        accounts.config(),
        daemon.socket().display()
    );
    fs::write(&hostile, text).expect("a configuration");
    let pop3 = set_id_copy(&folder, "mailauth-pop3");
    let log_in = |program: &PathBuf| {
        let mut command = by_nobody(program, &folder);
        command.args(["id", "-u"]).env("MAILAUTH_CONFIG", &hostile).env("MAILAUTH_SERVICE", "imap");
        call(command, &record(ANNA, PASSWORD, ""))
    };
    let refused = log_in(&pop3);
    assert!(refused.code == Some(111) && refused.output.is_empty(), "{refused:?}");
    assert!(refused.said.contains("/etc/mailauth/mailauth.toml: there is no configuration"), "{refused:?}");
    assert!(!daemon.log().contains(ANNA), "it was asked: {}", daemon.log());
    // The same file without the bit, which makes the difference.
    fs::set_permissions(&pop3, Permissions::from_mode(0o755)).expect("its mode");
    assert_eq!(log_in(&pop3).code, Some(0), "{}", daemon.log());
    // It does not use the database of the working folder either.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("its mode");
    let mailauth = set_id_copy(&folder, "mailauth");
    let mut command = by_nobody(&mailauth, &folder);
    let output = output_with_input(command.arg("init").env("MAILAUTH_CONFIG", &hostile), "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("there is no configuration"), "{output:?}");
    assert!(!folder.join("mailauth.db").exists());
}

#[test]
fn the_fallback_program_inherits_none_of_exims_descriptors() {
    let folder = Scratch::new("descriptors");
    let program = folder.join("mailauth-exim");
    copy_of("mailauth-exim", &program);
    let seen = folder.join("seen");
    let script = format!(
        "for fd in 9 12; do if [ -e /proc/$$/fd/$fd ]; then echo $fd; fi; done > {0}; echo end >> {0}; exit 75",
        seen.display()
    );
    mailauth_tests::checkpassword::script(&folder.join("mailauth-exim-database"), &script);
    let config = folder.join("mailauth.toml");
    fs::write(&config, format!("[client]\nsocket = \"{}\"\n", folder.join("none").display())).expect("a configuration");
    let mut command = Command::new(&program);
    command.arg("--config").arg(&config).args(["domain", "example.org"]);
    for number in [9, 12] {
        give(&mut command, OwnedFd::from(File::open("/etc/hostname").expect("a file")), number);
    }
    let output = output_with_input(&mut command, "");
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    assert_eq!(fs::read_to_string(&seen).expect("it was started"), "end\n");
}

/// Each program for other services, started in a folder where an attacker has put a database that accepts any login.
#[test]
fn services_use_no_database_in_their_working_folder() {
    let folder = Scratch::new("planted");
    let mailauth = |arguments: &[&str], input: &str| {
        let mut command = Command::new(program("mailauth"));
        output_with_input(command.args(arguments).current_dir(folder.path()).env_remove("MAILAUTH_CONFIG"), input)
    };
    for (arguments, input) in [
        (&["init"][..], ""),
        (&["domain", "add", "example.org"], ""),
        (&["account", "add", ANNA, "--uid", "5000", "--gid", "5000", "--password-stdin"], PASSWORD),
    ] {
        let output = mailauth(arguments, input);
        assert!(output.status.success(), "a beginner's command works: {output:?}");
    }
    let delivered = mailauth(&["deliver", ANNA], "Subject: x\n\nx\n");
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        delivered.status.code() == Some(75) && said(&delivered).contains("there is no configuration"),
        "{delivered:?}"
    );
    let mut daemon = Command::new(program("mailauth-courier"));
    let output = output_with_input(daemon.current_dir(folder.path()).env_remove("MAILAUTH_CONFIG"), "");
    assert!(output.status.code() == Some(2) && said(&output).contains("there is no configuration"), "{output:?}");
    for name in ["mailauth-pop3", "mailauth-pop3-database"] {
        let mut command = Command::new(program(name));
        command.args(["id", "-u"]).current_dir(folder.path()).env_remove("MAILAUTH_CONFIG");
        let outcome = call(command, &record(ANNA, PASSWORD, ""));
        assert!(outcome.code == Some(111) && outcome.said.contains("there is no configuration"), "{outcome:?}");
    }
    for name in ["mailauth-exim", "mailauth-exim-database"] {
        let mut command = Command::new(program(name));
        if name == "mailauth-exim" {
            command.args(["account", ANNA]);
        }
        let output =
            output_with_input(command.current_dir(folder.path()).env_remove("MAILAUTH_CONFIG"), "PRE . imap x\n");
        assert!(output.status.code() == Some(75) && said(&output).contains("there is no configuration"), "{output:?}");
    }
    // The same with a configuration that names no database. A relative path begins in its folder.
    let config = folder.join("mailauth.toml");
    fs::write(&config, "[mailbox]\nuid = 5000\ngid = 5000\n").expect("a configuration");
    let check = |folder: &Path| {
        let mut command = Command::new(program("mailauth-courier"));
        output_with_input(command.arg("--config").arg(&config).arg("--check").current_dir(folder), "")
    };
    let output = check(folder.path());
    assert!(output.status.code() == Some(2) && said(&output).contains("[database] url: is not set"), "{output:?}");
    fs::write(&config, "[database]\nurl = \"sqlite:mailauth.db\"\n").expect("a configuration");
    let elsewhere = Scratch::new("elsewhere");
    let mut command = Command::new(program("mailauth"));
    let shown = output_with_input(
        command.arg("--config").arg(&config).args(["account", "show", ANNA]).current_dir(elsewhere.path()),
        "",
    );
    assert!(shown.status.success(), "{shown:?}");
    assert!(check(elsewhere.path()).status.success());
}
