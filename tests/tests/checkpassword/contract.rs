//! Requirements of every checkpassword program. The tests run with mailauth's program, and with another one that
//! MAILAUTH_TEST_PEER=checkpassword:COMMAND names: on a host where Dora is a user of the system, as such programs need
//! it, with a file with the password in the home, and a line in a file as cvm-pwfile reads it. Programs in Debian:
//!
//!     MAILAUTH_TEST_PEER="checkpassword:checkpw"
//!     MAILAUTH_TEST_PEER="checkpassword:checkpassword.login"
//!     MAILAUTH_TEST_PEER="checkpassword:env CVM_PWFILE_PATH=/etc/dora cvm-checkpassword /usr/bin/cvm-pwfile"

use super::site::{Site, TIMESTAMP};
use mailauth_tests::checkpassword::{Outcome, call, record};
use mailauth_tests::people::{DORA, DORAS_PASSWORD, UNKNOWN};
use mailauth_tests::{MailHost, run};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

/// Known deviations of other programs: the program, the test, and what it does.
const FAULTS: &[(&str, &str, &str)] = &[
    ("checkpw", "an empty login", "crashes"),
    ("checkpassword.login", "a program along PATH", "wants a path"),
    ("checkpassword.login", "513 bytes", "reads a part of them"),
    ("checkpassword.login", "70,000 bytes", "reads a part of them"),
    ("checkpassword.login", "no end of the password", "accepts an incomplete record"),
    ("cvm-checkpassword", "a wrong password", "ends with 100"),
    ("cvm-checkpassword", "an unknown login", "ends with 100"),
    ("cvm-checkpassword", "an empty password", "ends with 7"),
    ("cvm-checkpassword", "an empty login", "ends with 100"),
    ("cvm-checkpassword", "a password and more", "does not fit"),
    ("cvm-checkpassword", "USER", "is the part before the @"),
];

/// A program under test.
struct Program<'a> {
    words: Vec<String>,
    /// Host on which it runs, if it is not this one.
    host: Option<&'a MailHost>,
    site: &'a Site,
}

impl Program<'_> {
    fn call(&self, next: &[&str], bytes: &[u8]) -> Outcome {
        let command = match (self.host, &self.words[..]) {
            (Some(host), [program, arguments @ ..]) => {
                let mut command = host.plain_command(program);
                command.args(arguments).args(next);
                command
            }
            _ => self.site.command("mailauth-pop3", next),
        };
        call(command, bytes)
    }

    fn log_in(&self, login: &str, password: &str, script: &str) -> Outcome {
        self.call(&["/bin/sh", "-c", script], &record(login, password, TIMESTAMP))
    }

    /// Asserts that a condition holds; or does not, if that is a known deviation of this program.
    fn is(&self, requirement: &str, so: bool, outcome: &Outcome) {
        let fault =
            FAULTS.iter().find(|(name, of, _)| *of == requirement && self.words.iter().any(|word| word == name));
        match fault {
            None => assert!(so, "{:?}: {requirement}: {outcome:?}", self.words),
            Some((name, _, what)) => {
                assert!(!so, "{name} no longer deviates: {requirement}; it is listed because it {what}")
            }
        }
    }
}

/// Runs a test with every program.
fn with_each_program(requirement: impl Fn(&Program<'_>)) {
    let site = Site::new();
    requirement(&Program { words: Vec::new(), host: None, site: &site });
    let Ok(peer) = std::env::var("MAILAUTH_TEST_PEER") else { return };
    let Some(line) = peer.strip_prefix("checkpassword:") else { return };
    let host = host(&site);
    let words = line.split(' ').map(str::to_owned).collect();
    requirement(&Program { words, host: Some(&host), site: &site });
}

/// Returns a host on which Dora is a user of the system.
fn host(site: &Site) -> MailHost {
    let host = MailHost::with_own(&["/etc"]);
    let home = site.files.join("mail/dora");
    let (owner, place) = (MailHost::OWNER, home.display());
    let ids = format!("{}:{}", owner.uid, owner.gid);
    let hash = run(Command::new("openssl").args(["passwd", "-6", DORAS_PASSWORD]));
    let add = |path: &str, line: String| {
        let path = host.inside(path);
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, before + &line + "\n").expect("a line");
    };
    add("/etc/passwd", format!("{DORA}:x:{ids}::{place}:/bin/sh"));
    add("/etc/shadow", format!("{DORA}:{}:19000:0:99999:7:::", hash.trim_end()));
    // CVM's modules look up the part before the @.
    let (name, _) = DORA.split_once('@').expect("an address");
    add("/etc/dora", format!("{name}:{DORAS_PASSWORD}:{ids}::{place}:/bin/sh"));
    let file = home.join("Maildir/.password");
    fs::write(&file, DORAS_PASSWORD).expect("the password");
    // checkpw accepts the file only if no other user can read it.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
    chown(file, Some(owner.uid), Some(owner.gid)).expect("the own one");
    host
}

#[test]
fn right_logins_run_the_program_and_wrong_ones_do_not() {
    with_each_program(|program| {
        let good = program.log_in(DORA, DORAS_PASSWORD, "echo in; exit 37");
        program.is("a right login", (good.code, &*good.output) == (Some(37), "in\n"), &good);
        let refused = |requirement: &str, login: &str, password: &str| {
            let refused = program.log_in(login, password, "echo in");
            program.is(requirement, refused.code == Some(1), &refused);
            assert!(refused.output.is_empty() && !refused.said.contains(DORAS_PASSWORD), "{requirement}: {refused:?}");
        };
        refused("a wrong password", DORA, "wrong");
        refused("an unknown login", UNKNOWN, DORAS_PASSWORD);
        refused("an empty password", DORA, "");
        refused("an empty login", "", DORAS_PASSWORD);
        refused("a password and more", DORA, &format!("{DORAS_PASSWORD}{}", "x".repeat(300)));
    });
}

#[test]
fn a_record_has_at_most_512_bytes_and_complete_fields() {
    with_each_program(|program| {
        let good = record(DORA, DORAS_PASSWORD, TIMESTAMP);
        let padded = |length: usize| [&good[..], &vec![b'x'; length - good.len()]].concat();
        let unfinished = format!("{DORA}\0{DORAS_PASSWORD}");
        for (requirement, bytes, right) in [
            ("no timestamp", format!("{unfinished}\0").into_bytes(), true),
            ("512 bytes", padded(512), true),
            ("513 bytes", padded(513), false),
            ("70,000 bytes", padded(70_000), false),
            ("no end of the password", unfinished.into_bytes(), false),
            ("no record", Vec::new(), false),
        ] {
            let outcome = program.call(&["/bin/echo", "in"], &bytes);
            // Misuse or a refusal: the contract allows either.
            let so = if right { outcome.code == Some(0) } else { matches!(outcome.code, Some(1 | 2)) };
            program.is(requirement, so, &outcome);
        }
    });
}

#[test]
fn misuse_exits_with_2_and_a_program_that_cannot_run_with_111() {
    with_each_program(|program| {
        let good = record(DORA, DORAS_PASSWORD, TIMESTAMP);
        let none = program.call(&[], &good);
        program.is("no program", matches!(none.code, Some(2 | 111)), &none);
        let missing = program.call(&["/nonexistent/server"], &good);
        program.is("a program that is not there", missing.code == Some(111), &missing);
        let along_path = program.call(&["true"], &good);
        program.is("a program along PATH", along_path.code == Some(0), &along_path);
    });
}

#[test]
fn the_program_runs_as_the_owner_in_its_home() {
    with_each_program(|program| {
        let home = program.site.files.join("mail/dora").display().to_string();
        let is = |requirement: &str, script: &str, output: &str| {
            let outcome = program.log_in(DORA, DORAS_PASSWORD, script);
            program.is(requirement, outcome.output == output, &outcome);
        };
        is("user, group and groups", "id -u; id -g; id -G", "5000\n5000\n5000\n");
        is("the directory", "pwd", &format!("{home}\n"));
        is("USER", "echo $USER", &format!("{DORA}\n"));
        is("HOME", "echo $HOME", &format!("{home}\n"));
        is("SHELL", "echo $SHELL", "/bin/sh\n");
        is("descriptor 3 is closed", "test -e /proc/$$/fd/3 || echo closed", "closed\n");
        is("root is gone", "setpriv --reuid=0 true 2>/dev/null || echo gone", "gone\n");
        is("SIGPIPE is neither ignored nor blocked", "kill -PIPE $$; echo alive", "");
    });
}
