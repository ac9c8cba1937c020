//! mailauth's checkpassword program beyond the contract: its exit codes, its use of accounts, and its behavior in an
//! outage.

use super::site::{ANNA, BRUNO, PASSWORD, Site, TIMESTAMP};
use mailauth_tests::checkpassword::{Outcome, call, record};
use mailauth_tests::people::{DORA, DORAS_PASSWORD, UNKNOWN};
use mailauth_tests::{
    Accounts, Kind, MailHost, eventually, on_each_database, on_each_server, output_with_input, program,
};
use md5::{Digest, Md5};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;
use std::time::{Duration, Instant};

on_each_database!(the_database_is_asked_while_the_daemon_is_down);

mod away {
    super::on_each_server!(a_database_that_is_down_is_not_now);
    use super::a_database_that_is_down_is_not_now;
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn apop(timestamp: &str, password: &str) -> String {
    hex(Md5::digest(format!("{timestamp}{password}")))
}

#[test]
fn an_invalid_record_is_misuse() {
    let site = Site::new();
    let outcome = |bytes: &[u8]| call(site.command("mailauth-pop3", &["echo", "in"]), bytes).code;
    let good = record(ANNA, PASSWORD, TIMESTAMP);
    let padded = |length: usize| [&good[..], &vec![b'x'; length - good.len()]].concat();
    assert_eq!(outcome(&good), Some(0));
    assert_eq!(outcome(format!("{ANNA}\0{PASSWORD}\0").as_bytes()), Some(0), "no timestamp");
    assert_eq!(outcome(&padded(512)), Some(0));
    for bad in [&padded(513)[..], &padded(70_000), b"", ANNA.as_bytes(), format!("{ANNA}\0{PASSWORD}").as_bytes()] {
        assert_eq!(outcome(bad), Some(2), "{} bytes", bad.len());
    }
}

#[test]
fn any_byte_in_login_and_password_is_a_refusal_and_no_error() {
    let site = Site::new();
    for byte in 1..=255_u8 {
        let ended = |login: Vec<u8>, password: Vec<u8>| {
            call(site.command("mailauth-pop3", &["echo", "in"]), &record(login, password, [byte])).code
        };
        // White space at the end of a login is removed.
        let expected = if matches!(byte, b'\t' | b' ') { 0 } else { 1 };
        let login = [ANNA.as_bytes(), &[byte]].concat();
        assert_eq!(ended(login, PASSWORD.into()), Some(expected), "{byte} in the login");
        assert_eq!(ended(ANNA.into(), [PASSWORD.as_bytes(), &[byte]].concat()), Some(1), "{byte} in the password");
    }
}

#[test]
fn misuse_exits_with_2_and_a_program_that_cannot_run_with_111() {
    let site = Site::new();
    let good = record(ANNA, PASSWORD, TIMESTAMP);
    let none = call(site.command("mailauth-pop3", &[]), &good);
    assert_eq!(none.code, Some(2));
    assert!(none.said.contains("no program to run is given"), "{}", none.said);
    let missing = call(site.command("mailauth-pop3", &["/nonexistent/server"]), &good);
    assert_eq!(missing.code, Some(111));
    assert!(missing.said.contains("/nonexistent/server cannot be run: No such file"), "{}", missing.said);
    let by_hand = output_with_input(&mut site.command("mailauth-pop3", &["true"]), "");
    assert_eq!(by_hand.status.code(), Some(2), "no descriptor 3");
    assert!(String::from_utf8_lossy(&by_hand.stderr).contains("use --check"));
    site.configure("[pop3]\nservise = 'imap'");
    let mistaken = call(site.command("mailauth-pop3", &["true"]), &good);
    assert_eq!(mistaken.code, Some(111), "a configuration error is not a wrong password");
    assert!(mistaken.said.contains("did you mean service?"), "{}", mistaken.said);
}

#[test]
fn the_program_runs_as_the_owner_in_its_home() {
    let site = Site::new();
    let script = "id -u; id -g; id -G; pwd; grep -E '^(Uid|Gid|Cap(Prm|Eff)|Sig(Ign|Blk))' /proc/self/status; \
                  ls /proc/$$/fd; cat <&3";
    let outcome = site.log_in(ANNA, PASSWORD, script);
    let lines: Vec<&str> = outcome.output.lines().collect();
    let home = site.files.join("mail/anna");
    assert_eq!(lines[..4], ["5000", "5000", "5000", home.to_str().expect("a path")], "{outcome:?}");
    for line in [
        "Uid:\t5000\t5000\t5000\t5000",
        "Gid:\t5000\t5000\t5000\t5000",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "SigBlk:\t0000000000000000",
    ] {
        assert!(lines.contains(&line), "no {line} in {}", outcome.output);
    }
    let ignored = lines.iter().find_map(|line| line.strip_prefix("SigIgn:\t")).expect("signals");
    assert_eq!(u64::from_str_radix(ignored, 16).expect("bits") >> (libc::SIGPIPE - 1) & 1, 0, "SIGPIPE is ignored");
    assert!(!lines.contains(&"3"), "descriptor 3 is open: {}", outcome.output);
    let regained = site.log_in(ANNA, PASSWORD, "setpriv --reuid=0 true && echo regained");
    assert_eq!(regained.output, "", "the program is root");
}

#[test]
fn closed_standard_descriptors_are_opened_on_dev_null() {
    let site = Site::new();
    let seen = site.files.join("seen");
    let script = format!("for n in 0 1 2; do readlink /proc/$$/fd/$n; done >{}", seen.display());
    fs::write(&seen, "").and_then(|()| fs::set_permissions(&seen, fs::Permissions::from_mode(0o666))).expect("a file");
    let ours = site.command("mailauth-pop3", &["/bin/sh", "-c", &script]);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec \"$0\" \"$@\" 0<&- 1>&- 2>&-"]).arg(ours.get_program()).args(ours.get_args());
    command.env("MAILAUTH_CONFIG", site.config());
    assert_eq!(call(command, &record(ANNA, PASSWORD, TIMESTAMP)).code, Some(0));
    assert_eq!(fs::read_to_string(seen).expect("the output of the program").lines().next(), Some("/dev/null"));
}

#[test]
fn an_unread_message_does_not_change_the_exit_code() {
    let mut site = Site::new();
    site.configure("fallback = 'none'");
    site.stop_daemon();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ours = site.command("mailauth-pop3", &["true"]);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec \"$0\" \"$@\" 2>&9"]).arg(ours.get_program()).args(ours.get_args());
    command.env("MAILAUTH_CONFIG", site.config());
    mailauth_tests::checkpassword::give(&mut command, writer.into(), 9);
    assert_eq!(call(command, &record(ANNA, PASSWORD, TIMESTAMP)).code, Some(111));
}

#[test]
fn the_environment_suits_every_server_and_has_no_stale_values() {
    let site = Site::new();
    let environment = |login: &str, password: &str| {
        let mut command = site.command("mailauth-pop3", &["env"]);
        for name in ["USER", "HOME", "MAILDIR", "MAILBOX", "MAIL", "MAILDIRQUOTA", "OPTIONS", "KEPT"] {
            command.env(name, "stale");
        }
        call(command, &record(login, password, TIMESTAMP)).output
    };
    let home = site.files.join("mail/anna").display().to_string();
    let annas = environment(ANNA, PASSWORD);
    for line in [
        "USER=anna@example.org",
        &format!("HOME={home}"),
        "SHELL=/bin/sh",
        "AUTHENTICATED=anna@example.org",
        "AUTHADDR=anna@example.org",
        "OPTIONS=wbnodsn=1",
        "MAILDIRQUOTA=10000000S,1000C",
        &format!("MAILDIR={home}/Maildir"),
        &format!("MAIL={home}/Maildir"),
        &format!("MAILBOX={home}/Maildir"),
        "KEPT=stale",
    ] {
        assert!(annas.lines().any(|found| found == line), "no {line} in {annas}");
    }
    assert!(!annas.contains(PASSWORD), "{annas}");
    let doras = environment(DORA, DORAS_PASSWORD);
    assert!(!doras.lines().any(|line| line.starts_with("OPTIONS=") || line.starts_with("MAILDIRQUOTA=")), "{doras}");
}

#[test]
fn a_user_other_than_root_cannot_become_another_user() {
    let site = Site::new();
    let nobody = |lines: &str| {
        site.configure(&format!("fallback = 'none'\n{lines}"));
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        let ours = site.command("mailauth-pop3", &["id", "-u"]);
        command.arg(ours.get_program()).args(ours.get_args()).env("MAILAUTH_CONFIG", site.config()).current_dir("/");
        call(command, &record(ANNA, PASSWORD, TIMESTAMP))
    };
    let refused = nobody("");
    assert_eq!((refused.code, &*refused.output), (Some(111), ""), "{}", refused.said);
    assert!(refused.said.contains("cannot become user 5000"), "{}", refused.said);
    let answered = nobody("[pop3]\nbecome_owner = false");
    assert_eq!((answered.code, &*answered.output), (Some(0), "65534\n"), "{}", answered.said);
}

#[test]
fn callers_that_need_only_an_answer_need_no_home() {
    let site = Site::new();
    fs::remove_dir_all(site.files.join("mail/anna")).expect("removed");
    assert_eq!(site.code(ANNA, PASSWORD), Some(111), "no home");
    site.configure("[pop3]\nbecome_owner = false");
    let outcome = site.log_in(ANNA, PASSWORD, "id -u");
    assert_eq!((outcome.code, &*outcome.output), (Some(0), "0\n"));
    assert_eq!(site.code(ANNA, "wrong"), Some(1));
}

#[test]
fn an_account_may_use_only_its_own_services() {
    let site = Site::new();
    let code = |service: Option<&str>| {
        let mut command = site.command("mailauth-pop3", &["true"]);
        command.envs(service.map(|service| ("MAILAUTH_SERVICE", service)));
        call(command, &record(BRUNO, PASSWORD, TIMESTAMP)).code
    };
    assert_eq!(code(None), Some(1), "POP3");
    assert_eq!(code(Some("imap")), Some(0));
    site.configure("[pop3]\nservice = 'imap'");
    assert_eq!(code(None), Some(0));
    assert_eq!(code(Some("pop3")), Some(1));
    let log = site.daemon.as_ref().expect("a daemon").log();
    assert!(log.contains("service-not-allowed"), "{log}");
}

#[test]
fn the_daemon_receives_the_address_of_the_client() {
    let site = Site::new();
    let mut command = site.command("mailauth-pop3", &["true"]);
    command.env("TCPREMOTEIP", "192.0.2.77");
    assert_eq!(call(command, &record(ANNA, "wrong", TIMESTAMP)).code, Some(1));
    site.daemon.as_ref().expect("a daemon").wait_for_log("client=\"192.0.2.77\"");
}

#[test]
fn apop_needs_a_clear_password_and_a_timestamp() {
    let site = Site::new();
    let code = |login: &str, digest: &str, timestamp: &str| {
        call(site.command("mailauth-pop3", &["true"]), &record(login, digest, timestamp)).code
    };
    let digest = apop(TIMESTAMP, DORAS_PASSWORD);
    assert_eq!(code(DORA, &digest, TIMESTAMP), Some(0));
    assert_eq!(code(DORA, &digest, "<2.2@popup.example>"), Some(1), "for another timestamp");
    assert_eq!(code(DORA, &apop("", DORAS_PASSWORD), ""), Some(1), "an empty timestamp never counts");
    assert_eq!(code(ANNA, &apop(TIMESTAMP, PASSWORD), TIMESTAMP), Some(1), "only a hash is stored");
    site.configure("[pop3]\napop = false");
    assert_eq!(code(DORA, &digest, TIMESTAMP), Some(1), "switched off");
}

#[test]
fn cram_md5_is_accepted_in_either_order() {
    use hmac::{Hmac, KeyInit, Mac};
    let site = Site::new();
    let mac = Hmac::<Md5>::new_from_slice(DORAS_PASSWORD.as_bytes()).expect("a key of any length");
    let digest = hex(mac.chain_update(TIMESTAMP).finalize().into_bytes());
    let code = |second: &str, third: &str| {
        let mut command = site.command("mailauth-pop3", &["true"]);
        command.env("MAILAUTH_SERVICE", "smtp");
        call(command, &record(DORA, second, third)).code
    };
    assert_eq!((code(&digest, TIMESTAMP), code(TIMESTAMP, &digest)), (Some(0), Some(1)));
    site.configure("[pop3]\ncram_order = 'challenge-digest'");
    assert_eq!((code(&digest, TIMESTAMP), code(TIMESTAMP, &digest)), (Some(1), Some(0)));
}

fn the_database_is_asked_while_the_daemon_is_down(kind: Kind) {
    let mut site = Site::on(kind);
    site.stop_daemon();
    let outcome = site.log_in(ANNA, PASSWORD, "id -u; echo $AUTHENTICATED");
    assert_eq!((outcome.code, &*outcome.output), (Some(0), "5000\nanna@example.org\n"), "{}", outcome.said);
    assert!(outcome.said.contains("reason=\"ok\""), "the decision is logged: {}", outcome.said);
    for (login, password) in [(ANNA, "wrong"), (UNKNOWN, PASSWORD), (BRUNO, PASSWORD)] {
        assert_eq!(site.code(login, password), Some(1), "{login} {password}");
    }
    let digest = apop(TIMESTAMP, DORAS_PASSWORD);
    assert_eq!(site.code(DORA, &digest), Some(0), "APOP");
    site.configure("fallback = 'none'");
    let without = site.log_in(ANNA, PASSWORD, "true");
    assert_eq!(without.code, Some(111));
    assert!(without.said.contains("the daemon is away"), "{}", without.said);
}

fn a_database_that_is_down_is_not_now(kind: Kind) {
    let accounts = mailauth_tests::Accounts::on_own_server(kind);
    let mut site = Site::over(accounts);
    site.accounts.server().crash();
    for password in [PASSWORD, "wrong"] {
        assert_eq!(site.code(ANNA, password), Some(111), "the daemon cannot say");
    }
    site.stop_daemon();
    for password in [PASSWORD, "wrong"] {
        assert_eq!(site.code(ANNA, password), Some(111), "neither daemon nor database can answer");
    }
}

#[test]
fn a_frozen_daemon_counts_as_down_after_the_deadline() {
    let mut site = Site::new();
    site.configure("fallback = 'none'\ndeadline = '300ms'");
    site.daemon.as_mut().expect("a daemon").process().signal(Signal::STOP);
    let outcome = site.log_in(ANNA, PASSWORD, "true");
    assert_eq!(outcome.code, Some(111), "{}", outcome.said);
    assert!(outcome.took >= Duration::from_millis(300), "{:?}", outcome.took);
    site.configure("deadline = '300ms'");
    assert_eq!(site.code(ANNA, PASSWORD), Some(0), "the database was asked");
    site.daemon.as_mut().expect("a daemon").process().signal(Signal::CONT);
}

#[test]
fn the_first_login_creates_home_and_maildir() {
    login_creates_home_and_maildir(&Site::new(), "[pop3]\ncreate_home = true");
    login_creates_home_and_maildir(&Site::over(Accounts::empty(Kind::Sqlite).with_mailbox("create = true\n")), "");
}

fn login_creates_home_and_maildir(site: &Site, lines: &str) {
    let home = site.files.join("mail/anna");
    fs::remove_dir_all(&home).expect("removed");
    site.configure(lines);
    let outcome = site.log_in(ANNA, PASSWORD, "pwd; cd Maildir; ls -d */");
    assert_eq!(outcome.output, format!("{}\ncur/\nnew/\ntmp/\n", home.display()), "{}", outcome.said);
    for path in [home.clone(), home.join("Maildir"), home.join("Maildir/new")] {
        let made = fs::metadata(&path).expect("made");
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o7777), (5000, 5000, 0o700), "{}", path.display());
    }
}

#[test]
fn root_creates_no_home_through_another_users_link() {
    let site = Site::new();
    let (trap, prize) = (site.files.join("mail/bruno"), site.files.join("prize"));
    fs::create_dir(&prize).expect("a folder");
    fs::remove_dir_all(&trap).expect("removed");
    let owner = MailHost::OWNER;
    // Bruno owns the home, and puts a link in it to a folder where only root may write.
    fs::create_dir(&trap).expect("a folder");
    std::os::unix::fs::symlink(&prize, trap.join("link")).expect("a link");
    std::os::unix::fs::chown(&trap, Some(owner.uid), Some(owner.gid)).expect("owned by Bruno");
    let home = trap.join("link/anna");
    site.accounts.admin(&["account", "set", ANNA, "--home", home.to_str().expect("a path")], "");
    site.configure("[pop3]\ncreate_home = true");
    let outcome = site.log_in(ANNA, PASSWORD, "true");
    assert_eq!(outcome.code, Some(111), "{}", outcome.said);
    assert!(outcome.said.contains("the home cannot be created: Permission denied"), "{}", outcome.said);
    assert_eq!(fs::read_dir(&prize).expect("the folder").count(), 0);
}

#[test]
fn a_login_corrects_maildirsize() {
    let site = Site::new();
    let file = site.files.join("mail/anna/Maildir/maildirsize");
    let read = || fs::read_to_string(&file).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(site.code(ANNA, PASSWORD), Some(0));
    assert_eq!(read(), "10000000S,1000C 74 2", "missing");
    assert_eq!(fs::metadata(&file).expect("the file").uid(), 5000);
    fs::write(&file, "10000000S,1000C\n4711 3\n").expect("written");
    assert_eq!(site.code(ANNA, PASSWORD), Some(0));
    assert_eq!(read(), "10000000S,1000C 74 2", "wrong");
    fs::write(&file, "10000000S,1000C\n4711 3\n").expect("written");
    site.configure("[pop3]\nrecount = false");
    assert_eq!(site.code(ANNA, PASSWORD), Some(0));
    assert_eq!(read(), "10000000S,1000C 4711 3", "switched off");
}

#[test]
fn login_works_if_the_mailbox_cannot_be_counted() {
    let site = Site::new();
    let maildir = site.files.join("mail/anna/Maildir");
    std::os::unix::fs::chown(maildir.join("cur"), Some(0), Some(0)).expect("another's");
    fs::set_permissions(maildir.join("cur"), fs::Permissions::from_mode(0o700)).expect("closed");
    let outcome = site.log_in(ANNA, PASSWORD, "echo in");
    assert_eq!((outcome.code, &*outcome.output), (Some(0), "in\n"));
    assert!(outcome.said.contains("cur"), "{}", outcome.said);
    // Another program holds the lock for longer than a login waits.
    fs::set_permissions(maildir.join("cur"), fs::Permissions::from_mode(0o755)).expect("open");
    site.configure("[pop3]\nrecount_time = '20s'");
    assert_eq!(site.log_in(ANNA, PASSWORD, "true").said, "");
    let mut holder = Command::new("flock");
    holder.arg(maildir.join("maildirlock")).args(["sleep", "60"]);
    let _holder = Site::keep(holder);
    let lock = fs::File::open(maildir.join("maildirlock")).expect("the lock");
    eventually("the lock is held", Duration::from_secs(10), || lock.try_lock().is_err() || lock.unlock().is_err());
    fs::remove_file(maildir.join("maildirsize")).expect("no figures");
    let outcome = site.log_in(ANNA, PASSWORD, "echo in");
    assert_eq!((outcome.code, &*outcome.output, &*outcome.said), (Some(0), "in\n", ""));
    assert!(outcome.took < Duration::from_secs(15), "{:?}", outcome.took);
}

#[test]
fn check_shows_what_would_be_done_and_does_nothing() {
    let site = Site::new();
    let check = |input: &str| {
        let output = output_with_input(&mut site.command("mailauth-pop3", &["--check"]), input);
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), text)
    };
    let (code, said) = check(&format!("{ANNA}\n{PASSWORD}\n"));
    assert_eq!(code, Some(0), "{said}");
    let home = site.files.join("mail/anna").display().to_string();
    for part in ["answer         yes", "become user 5000, group 5000", &home, "AUTHENTICATED=anna@example.org"] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert!(!site.files.join("mail/anna/Maildir/maildirsize").exists(), "it only reports that");
    let (code, said) = check(&format!("{ANNA}\nwrong\n"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no: the daemon said no"), "{said}");
}

#[test]
fn refusal_times_hide_which_logins_exist_while_the_daemon_is_down() {
    let mut site = Site::new();
    site.stop_daemon();
    site.configure("[login]\nrefusal_time = '1s'");
    for (login, password) in [(ANNA, "wrong"), (UNKNOWN, PASSWORD), (BRUNO, PASSWORD), ("a b", "wrong")] {
        let begin = Instant::now();
        assert_eq!(site.code(login, password), Some(1), "{login}");
        assert!(begin.elapsed() >= Duration::from_secs(1), "{login}: {:?}", begin.elapsed());
    }
    site.configure("[login]\nrefusal_time = '10s'");
    let begin = Instant::now();
    assert_eq!(site.code(ANNA, PASSWORD), Some(0));
    assert!(
        begin.elapsed() < Duration::from_secs(8),
        "a right password is answered at once, not after {:?}",
        begin.elapsed()
    );
}

#[test]
fn the_database_program_works_without_a_daemon() {
    let mut site = Site::new();
    site.stop_daemon();
    let mut command = Command::new(program("mailauth-pop3-database"));
    command.args(["id", "-u"]).env("MAILAUTH_CONFIG", site.config()).current_dir("/");
    let Outcome { code, output, said, .. } = call(command, &record(ANNA, PASSWORD, TIMESTAMP));
    assert_eq!((code, &*output), (Some(0), "5000\n"), "{said}");
}
