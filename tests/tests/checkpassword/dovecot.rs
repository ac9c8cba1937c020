//! Debian's Dovecot 2.3, run privately, with passdb and userdb checkpassword as docs/checkpassword.md prints them.

use super::site::{ANNA, BRUNO, PASSWORD, Site};
use mailauth_tests::imap::Imap;
use mailauth_tests::people::{DORA, DORAS_PASSWORD, UNKNOWN};
use mailauth_tests::pop3::Pop3;
use mailauth_tests::{Child, MailHost, eventually, free_port, output_with_input, program, run};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// The page whose block for Dovecot is tested.
const PAGE: &str = include_str!("../../../docs/checkpassword.md");

/// Folder into which tests/run unpacks the packages that conflict with Courier's.
const UNPACKED: &str = "/var/cache/mailauth-tests/unpacked/usr/lib/dovecot";

/// A running Dovecot, on a host of its own with the program and its configuration in the places that the page uses.
struct Dovecot {
    host: MailHost,
    config: std::path::PathBuf,
    imap: u16,
    pop3: u16,
    log: std::path::PathBuf,
    _process: Child,
}

impl Dovecot {
    /// Sets it up by the page's block.
    fn over(site: &Site) -> Self {
        Self::with(site, &printed())
    }

    fn with(site: &Site, block: &str) -> Self {
        assert!(Path::new(UNPACKED).join("imap-login").exists(), "tests/run unpacks dovecot-imapd and dovecot-pop3d");
        let host = MailHost::with_own(&["/etc", "/usr/local"]);
        let own = host.inside("/usr/local/bin");
        fs::copy(program("mailauth-pop3"), own.join("mailauth-pop3")).expect("a copy");
        symlink("mailauth-pop3", own.join("mailauth-dovecot")).expect("a link");
        fs::create_dir(host.inside("/etc/mailauth")).expect("a folder");
        symlink(site.config(), host.inside("/etc/mailauth/mailauth.toml")).expect("a link");
        let folder = site.files.join("dovecot");
        fs::create_dir_all(folder.join("state")).expect("a folder");
        let (imap, pop3) = (free_port(), free_port());
        let config = folder.join("dovecot.conf");
        let log = folder.join("log");
        fs::write(&config, text(&folder, imap, pop3, block)).expect("the configuration");
        let mut command = host.command("dovecot");
        command.arg("-F").arg("-c").arg(&config);
        let output = File::create(folder.join("output")).expect("a log");
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("a descriptor")).stderr(output);
        let process = Child::spawn(command);
        let said = || fs::read_to_string(&log).unwrap_or_default();
        let up = || [imap, pop3].iter().all(|port| std::net::TcpStream::connect(("127.0.0.1", *port)).is_ok());
        eventually("Dovecot", Duration::from_secs(20), || {
            assert!(!said().contains("Fatal"), "{}", said());
            up()
        });
        Dovecot { host, config, imap, pop3, log, _process: process }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn doveadm(&self, arguments: &[&str]) -> Output {
        output_with_input(self.host.command("doveadm").arg("-c").arg(&self.config).args(arguments), "")
    }
}

/// Returns the printed block: the indented lines, from the first one on.
fn printed() -> String {
    let lines = PAGE.lines().skip_while(|line| *line != "    passdb {");
    let block: String = lines.map_while(|line| line.strip_prefix("    ")).flat_map(|line| [line, "\n"]).collect();
    assert_eq!(block.matches("driver =").count(), 3, "{block}");
    block
}

fn text(folder: &Path, imap: u16, pop3: u16, block: &str) -> String {
    let folder = folder.display();
    let login = |protocol: &str, port: u16| {
        format!(
            "service {protocol}-login {{\n  executable = {UNPACKED}/{protocol}-login\n  inet_listener {protocol} {{\n    \
             port = {port}\n  }}\n  inet_listener {protocol}s {{\n    port = 0\n  }}\n}}\n\
             service {protocol} {{\n  executable = {UNPACKED}/{protocol}\n}}\n"
        )
    };
    let others = ["imap-hibernate", "imap-urlauth", "imap-urlauth-login", "imap-urlauth-worker"];
    let others = others.map(|name| format!("service {name} {{\n  executable = {UNPACKED}/{name}\n}}\n")).concat();
    format!(
        "base_dir = {folder}/run\nstate_dir = {folder}/state\nlog_path = {folder}/log\nprotocols = imap pop3\n\
         listen = 127.0.0.1\nssl = no\ndisable_plaintext_auth = no\nfirst_valid_uid = 1\nauth_failure_delay = 0\n\
         auth_mechanisms = plain login cram-md5\n\
         service anvil {{\n  unix_listener anvil-auth-penalty {{\n    mode = 0\n  }}\n}}\n\
         {}{}{others}{block}",
        login("imap", imap),
        login("pop3", pop3),
    )
}

#[test]
fn imap_and_pop3_serve_the_owner_and_refuse_others() {
    let site = Site::for_users("'dovecot'");
    let dovecot = Dovecot::over(&site);
    let mut client = Imap::connect(dovecot.imap);
    let said = client.login(ANNA, PASSWORD);
    assert!(said.starts_with("OK"), "{said}\n{}", dovecot.log());
    assert!(client.command("SELECT INBOX").contains(&"* 2 EXISTS".to_owned()));
    let mut client = Pop3::connect(dovecot.pop3);
    let said = client.login(DORA, DORAS_PASSWORD);
    assert!(said.starts_with("+OK"), "{said}\n{}", dovecot.log());
    assert!(client.command("STAT").starts_with("+OK 2"));
    // Bruno may use only IMAP, and Dovecot tells the program which service this is.
    assert!(Imap::connect(dovecot.imap).login(BRUNO, PASSWORD).starts_with("OK"), "{}", dovecot.log());
    for (login, password) in [(ANNA, "wrong"), (UNKNOWN, PASSWORD), (BRUNO, PASSWORD)] {
        let said = Pop3::connect(dovecot.pop3).login(login, password);
        assert!(said.starts_with("-ERR [AUTH]"), "{login}: {said}\n{}", dovecot.log());
    }
}

#[test]
fn a_lookup_finds_the_mailbox_or_an_unknown_user() {
    let site = Site::for_users("'dovecot'");
    let dovecot = Dovecot::over(&site);
    let found = dovecot.doveadm(&["user", ANNA]);
    let said = String::from_utf8_lossy(&found.stdout).into_owned();
    let home = site.files.join("mail/anna").display().to_string();
    for (name, value) in [
        ("uid", "5000"),
        ("gid", "5000"),
        ("home", &*home),
        ("mail", &*format!("maildir:{home}/Maildir")),
        ("quota_rule", "*:bytes=10000000:messages=1000"),
    ] {
        let there = said.lines().any(|line| line.split_whitespace().eq([name, value]));
        assert!(there, "no {name} {value} in {said}\n{}", dovecot.log());
    }
    let unknown = dovecot.doveadm(&["user", UNKNOWN]);
    assert_eq!(unknown.status.code(), Some(67), "EX_NOUSER\n{}", dovecot.log());
}

#[test]
fn a_daemon_that_is_down_is_a_temporary_failure() {
    let mut site = Site::for_users("'dovecot'");
    let dovecot = Dovecot::over(&site);
    site.configure("fallback = 'none'");
    site.stop_daemon();
    for password in [PASSWORD, "wrong"] {
        let said = Pop3::connect(dovecot.pop3).login(ANNA, password);
        assert!(said.starts_with("-ERR [SYS/TEMP]"), "{said}\n{}", dovecot.log());
    }
    assert_eq!(dovecot.doveadm(&["user", ANNA]).status.code(), Some(75), "EX_TEMPFAIL\n{}", dovecot.log());
}

#[test]
fn a_socket_that_dovecot_cannot_open_is_named_in_its_log() {
    let site = Site::for_users("");
    let dovecot = Dovecot::over(&site);
    // The database, which mailauth-pop3-database would read, is readable only by root.
    fs::copy(program("mailauth-pop3-database"), dovecot.host.inside("/usr/local/bin/mailauth-pop3-database"))
        .expect("a copy");
    run(Command::new("chmod").arg("go=").arg(site.accounts.file()));
    let said = Pop3::connect(dovecot.pop3).login(ANNA, PASSWORD);
    assert!(said.starts_with("-ERR [SYS/TEMP]"), "{said}\n{}", dovecot.log());
    let log = dovecot.log();
    let reason =
        log.lines().find(|line| line.contains("may not connect to the daemon")).unwrap_or_else(|| panic!("{log}"));
    for part in [
        "user dovecot",
        "Permission denied",
        "own/socket is open only to root",
        "name dovecot in [courier] allow_users",
    ] {
        assert!(reason.contains(part), "no {part:?} in {reason}");
    }
}
