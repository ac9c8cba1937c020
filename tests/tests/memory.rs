//! What the daemon's memory contains of the passwords that it received, and which users can read it.

use mailauth_tests::checkpassword::{call, give, record};
use mailauth_tests::wire::{Manner, ask, auth, login, passwd};
use mailauth_tests::{Accounts, Child, Kind, MailHost, Mailauth, Scratch, eventually, program, program_as};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Password of each sample, and prefix of all wrong ones.
const PASSWORD: &str = "Secret-Passw0rd";

/// A stored value of each scheme, from the unit tests of the library.
const SAMPLES: &[(&str, &str)] = &include!("../../mailauth-core/src/password/tests/samples.rs");

/// Returns the samples, except the one whose stored value is the password.
fn hashed() -> impl Iterator<Item = (usize, &'static str)> {
    SAMPLES
        .iter()
        .enumerate()
        .filter(|(_, (scheme, _))| *scheme != "PLAIN")
        .map(|(number, (_, stored))| (number, *stored))
}

/// Returns an account for each sample, all with this home.
fn accounts(home: &Path) -> Accounts {
    let (uid, gid) = (MailHost::OWNER.uid, MailHost::OWNER.gid);
    let mut csv = String::from("login,password,uid,gid,home\n");
    for (number, stored) in hashed() {
        let _ = writeln!(csv, "user{number}@example.org,\"{stored}\",{uid},{gid},{}", home.display());
    }
    Accounts::empty(Kind::Sqlite).with(&csv)
}

/// Returns where the process has `needle` in writable memory, with the surrounding bytes.
fn found(process: i32, needle: &[u8]) -> Vec<String> {
    const AROUND: usize = 24;
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("its maps");
    let memory = File::open(format!("/proc/{process}/mem")).expect("its memory");
    let mut places = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().expect("a range"), words.next().expect("rights"));
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').expect("two ends");
        let [start, end] = [start, end].map(|number| u64::from_str_radix(number, 16).expect("a number"));
        let mut bytes = vec![0; usize::try_from(end - start).expect("a size")];
        // A mapping may be removed in the meantime.
        let Ok(()) = memory.read_exact_at(&mut bytes, start) else { continue };
        places.extend(memchr::memmem::find_iter(&bytes, needle).map(|at| {
            let around = &bytes[at.saturating_sub(AROUND)..(at + needle.len() + AROUND).min(bytes.len())];
            format!("{:x} in {line}: {}", start + at as u64, around.escape_ascii())
        }));
    }
    places
}

/// Runs `number` logins, right ones and wrong ones, complete and in pieces.
fn log_in(socket: &Path, number: usize) {
    let accounts: Vec<usize> = hashed().map(|(number, _)| number).collect();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let accounts = &accounts;
            scope.spawn(move || {
                for turn in (worker..number).step_by(4) {
                    let user = format!("user{}@example.org", accounts[turn / 3 % accounts.len()]);
                    let wrong = format!("{PASSWORD}-{turn}-{}", "x".repeat(turn % 90));
                    let password = if turn % 3 == 0 { PASSWORD } else { &wrong };
                    let manner =
                        if turn % 50 == 0 { Manner::Pieces(30, Duration::from_millis(1)) } else { Manner::Whole };
                    let outcome = ask(socket, &auth("imap", &user, password), manner).outcome();
                    assert!(["ACCOUNT", "FAIL"].contains(&outcome.word()), "{user} {password}: {}", outcome.word());
                }
            });
        }
    });
}

#[test]
fn no_password_stays_in_memory_after_ten_thousand_logins() {
    let folder = Scratch::new("memory");
    let accounts = accounts(&folder.folder_of(MailHost::OWNER, "home"));
    // Wrong passwords that are throttled are not checked.
    let server = Mailauth::unthrottled(&accounts, "");
    let socket = server.socket();
    log_in(socket, 10_000);
    for (number, _) in hashed() {
        let user = format!("user{number}@example.org");
        let _ = ask(socket, &passwd(&user, PASSWORD, &format!("{PASSWORD}-new")), Manner::Whole);
        let _ = login(socket, &user, &format!("{PASSWORD}-new"));
    }
    let process = server.pid().as_raw_nonzero().get();
    assert!(!found(process, b"user9@example.org").is_empty(), "this test finds nothing at all");
    let places = found(process, PASSWORD.as_bytes());
    assert!(places.is_empty(), "{} places:\n{}", places.len(), places.join("\n"));
}

/// Returns the soft limit of core dumps of a process.
fn core_limit(process: i32) -> String {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap_or_default();
    line.split_whitespace().next().unwrap_or_default().to_owned()
}

#[test]
fn no_program_can_be_dumped_or_read_by_its_user() {
    let folder = Scratch::new("private");
    let accounts = accounts(&folder.folder_of(MailHost::OWNER, "home"));
    let server = Mailauth::over(&accounts);
    assert_eq!(core_limit(server.pid().as_raw_nonzero().get()), "0");
    // It accepts connections and never answers.
    let socket = folder.join("socket");
    let _silent = UnixListener::bind(&socket).expect("a socket");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).expect("its mode");
    let config = folder.join("mailauth.toml");
    fs::write(&config, format!("[client]\nsocket = \"{}\"\ndeadline = \"60s\"\n", socket.display())).expect("a file");
    let user = MailHost::OWNER;
    // Each of them waits for its input, or for an answer.
    let file = config.to_str().expect("a path");
    for (name, arguments) in [
        ("mailauth", &["hash"][..]),
        ("mailauth-exim", &["--config", file, "domain", "x.example"]),
        ("mailauth-exim-database", &[]),
        ("mailauth-pop3", &["true"]),
        ("mailauth-pop3-database", &["true"]),
    ] {
        let (input, _open) = std::io::pipe().expect("a pipe");
        let (reader, _open_too) = std::io::pipe().expect("a pipe");
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -S -c 7; exec \"$@\"", "sh"]);
        let program = program_as(user, name);
        command.arg(program.get_program()).args(program.get_args());
        command.args(arguments).env("MAILAUTH_CONFIG", &config).current_dir("/").stdin(Stdio::from(input));
        give(&mut command, OwnedFd::from(reader), 3);
        let process = Child::spawn(command);
        let pid = process.pid().as_raw_nonzero().get();
        // The memory of a process that is not dumpable belongs to root, whatever the user of the process.
        eventually(name, Duration::from_secs(20), || {
            let is_it = fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.starts_with("mailauth"));
            let owner = fs::metadata(format!("/proc/{pid}/mem")).map(|found| found.uid());
            is_it && owner.is_ok_and(|uid| uid == 0) && core_limit(pid) == "0"
        });
    }
}

#[test]
fn an_executed_program_gets_the_original_core_dump_limit() {
    let folder = Scratch::new("limits");
    let accounts = accounts(&folder.folder_of(MailHost::OWNER, "home"));
    let server = Mailauth::over(&accounts);
    let check = || {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -S -c 7; exec \"$0\" sh -c \"ulimit -S -c\""]).arg(program("mailauth-pop3"));
        command.env("MAILAUTH_CONFIG", accounts.config_path()).current_dir("/");
        let outcome = call(command, &record("user5@example.org", PASSWORD, ""));
        assert_eq!((outcome.code, outcome.output.trim()), (Some(0), "7"), "{}", outcome.said);
    };
    check();
    drop(server);
    // By the program that queries the database.
    check();
}
