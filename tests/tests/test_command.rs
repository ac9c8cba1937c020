//! `tests/run`: on a machine that is used for other purposes it removes and replaces nothing, and of test binaries that
//! run at the same time, `tests/timed` prints the output whole.

use mailauth_tests::{Scratch, output_with_input};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A machine that lacks one of the packages, whose apt-get prints these lines in a simulation and records how it was
/// called.
struct Machine {
    folder: Scratch,
}

impl Machine {
    fn new(plan: &str) -> Self {
        let machine = Machine { folder: Scratch::new("machine") };
        fs::write(machine.folder.join("plan"), plan).expect("a plan");
        machine.program("dpkg-query", "exit 1");
        machine.program(
            "apt-get",
            &format!(
                "echo \"$*\" >>{calls}\ncase \"$*\" in -s*) cat {plan} ;; esac",
                calls = machine.calls().display(),
                plan = machine.folder.join("plan").display()
            ),
        );
        // Nothing that follows is wanted here.
        machine.program("cargo", "exit 97");
        machine
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    fn calls(&self) -> PathBuf {
        self.folder.join("calls")
    }

    fn run(&self, ci: bool) -> (Output, String) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("run");
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").expect("a PATH"));
        let mut command = Command::new(script);
        command.env("PATH", path).env_remove("CI");
        if ci {
            command.env("CI", "1");
        }
        let output = output_with_input(&mut command, "");
        (output, fs::read_to_string(self.calls()).expect("calls of apt-get"))
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_test_command_stops_before_a_package_would_be_removed() {
    let machine =
        Machine::new("Remv postfix [3.7.11-0+deb12u1]\nInst exim4-daemon-heavy (4.96-15 Debian:12 [amd64])\n");
    for ci in [false, true] {
        let (output, calls) = machine.run(ci);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("apt would remove: postfix\n"), "{}", said(&output));
        assert!(!calls.lines().any(|call| call.starts_with("install")), "{calls}");
    }
}

#[test]
fn the_test_command_replaces_packages_only_on_test_machines() {
    let plan = "Inst libssl3 [3.0.15] (3.0.17 Debian:12 [amd64])\nInst strace (6.1 Debian:12 [amd64])\n";
    let machine = Machine::new(plan);
    let (output, calls) = machine.run(false);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("the installed version of: libssl3\n"), "{}", said(&output));
    assert!(!calls.lines().any(|call| call.starts_with("install")), "{calls}");
    let (output, calls) = machine.run(true);
    assert_eq!(output.status.code(), Some(97), "it continues with the checks: {}", said(&output));
    assert!(calls.lines().any(|call| call.starts_with("install") && call.contains("--no-remove")), "{calls}");
}

/// Returns `tests/timed` with the environment that `tests/run` gives it.
fn timed(folder: &Scratch) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("timed"));
    command.env("MAILAUTH_TIMES", folder.join("times")).env("MAILAUTH_FAILURES", folder.join("failures"));
    command.env_remove("MAILAUTH_LATER");
    command
}

#[test]
fn a_test_binary_runs_later_as_cargo_would_run_it() {
    let folder = Scratch::new("later");
    let later = folder.join("binaries");
    fs::create_dir(&later).expect("a folder");
    let binary = folder.join("example-0123456789abcdef");
    let lines = ["#!/bin/sh", "pwd", "printf '%s\\n' \"$WORDS\" \"$@\"", "echo 'test one ... FAILED'"];
    let end = ["printf '\\nfailures:\\n    one\\n'", "exit 101", ""];
    fs::write(&binary, [&lines[..], &end].concat().join("\n")).expect("a program");
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).expect("its mode");

    let words = "two lines\nand 'quotes' and $HOME";
    let mut collect = timed(&folder);
    collect.arg(&binary).args(["--format", "a b"]).current_dir(folder.path());
    let output = output_with_input(collect.env("WORDS", words).env("MAILAUTH_LATER", &later), "");
    assert!(output.status.success() && output.stdout.is_empty(), "nothing runs yet: {output:?}");

    let output = output_with_input(timed(&folder).arg("--whole").arg(later.join("example-0123456789abcdef")), "");
    assert_eq!(output.status.code(), Some(101), "{}", said(&output));
    let place = folder.path().display();
    let expected = format!("{place}\n{words}\n--format\na b\ntest one ... FAILED\n\nfailures:\n    one\n");
    let lines = ["Running", "Output of"].map(|word| format!("     {word} example-0123456789abcdef\n"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{}{expected}", lines.concat()));
    let failures = fs::read_to_string(folder.join("failures")).expect("the failures");
    assert_eq!(failures, "\n== example-0123456789abcdef ended with 101\nfailures:\n    one\n");
    assert!(fs::read_to_string(folder.join("times")).expect("the times").ends_with("  example\n"));
}
