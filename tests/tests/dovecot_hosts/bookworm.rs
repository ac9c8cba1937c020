//! Dovecot 2.3, as docs/dovecot.md sets it up.

use crate::dovecot::{PAGE, Ports, UNKNOWN, WRONG, YES, expect};
use crate::site::{LIMIT, Site, printed};
use mailauth_tests::imap::Imap;
use mailauth_tests::people::{ANNA, BRUNO, CARLA, DORA, DORAS_PASSWORD, PASSWORD};
use mailauth_tests::{Accounts, Child, Kind, eventually, free_port, output_with_input};
use std::fs::File;
use std::net::TcpStream;
use std::process::Stdio;

/// A running Dovecot. It ends with its host.
pub struct Dovecot {
    pub ports: Ports,
    _process: Child,
}

impl Dovecot {
    /// Adds the page's file to Debian's, with other ports and without TLS.
    pub fn start(site: &Site) -> Self {
        let [imap, pop3, lmtp] = std::array::from_fn(|_| free_port());
        let listener = |login: &str, name: &str, port: u16| {
            format!(
                "service {login} {{\n  inet_listener {name} {{\n    address = 127.0.0.1\n    port = {port}\n  }}\n}}\n"
            )
        };
        let own = format!(
            "protocols = imap pop3 lmtp\nssl = no\ndisable_plaintext_auth = no\nlisten = 127.0.0.1\nlog_path = /var/log/dovecot.log\n\
             {}{}{}{}{}",
            listener("imap-login", "imap", imap),
            listener("imap-login", "imaps", 0),
            listener("pop3-login", "pop3", pop3),
            listener("pop3-login", "pop3s", 0),
            listener("lmtp", "lmtp", lmtp),
        );
        site.write("/etc/dovecot/conf.d/99-tests.conf", &own);
        site.write("/etc/dovecot/local.conf", &printed(PAGE, "Dovecot 2.3", "/etc/dovecot/local.conf"));
        Dovecot { ports: Ports { imap, pop3, lmtp }, _process: launch(site, &[imap, pop3, lmtp]) }
    }

    /// Stops it, and starts it again.
    pub fn restart(&mut self, site: &Site) {
        site.shell("doveadm stop");
        let Ports { imap, pop3, lmtp } = self.ports;
        self._process = launch(site, &[imap, pop3, lmtp]);
    }
}

fn launch(site: &Site, ports: &[u16]) -> Child {
    let mut command = site.host.command("dovecot");
    let output = File::create(site.files.join("dovecot")).expect("a log");
    command.arg("-F").stdin(Stdio::null()).stdout(output.try_clone().expect("a descriptor")).stderr(output);
    let mut process = Child::spawn(command);
    eventually("Dovecot", LIMIT, || {
        let said = || std::fs::read_to_string(site.files.join("dovecot")).unwrap_or_default();
        assert!(process.runs(), "{}{}", said(), site.read("/var/log/dovecot.log"));
        ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok())
    });
    process
}

/// Returns the exit code and the output of doveadm.
pub fn doveadm(site: &Site, arguments: &[&str]) -> (Option<i32>, String) {
    let output = output_with_input(site.host.command("doveadm").args(arguments), "");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn dovecot_serves_mailboxes_and_refuses_others() {
    let mut site = Site::new(Accounts::empty(Kind::Sqlite), "", "");
    let mut dovecot = Dovecot::start(&site);
    let ports = dovecot.ports;
    expect(ports, ANNA, PASSWORD, YES);
    expect(ports, ANNA, "wrong", WRONG);
    expect(ports, "Dora@Example.org", DORAS_PASSWORD, YES);
    expect(ports, mailauth_tests::people::UNKNOWN, PASSWORD, UNKNOWN);
    assert_eq!(ports.imap(CARLA, PASSWORD), WRONG[0], "a disabled account");
    assert_eq!((ports.imap(BRUNO, PASSWORD), ports.pop3(BRUNO, PASSWORD)), (WRONG[0].into(), YES[1].into()));
    site.wait_for_log("service=\"pop3\"");
    assert!(site.log().contains("client=\"127.0.0.1\""), "{}", site.log());

    // The mailbox and its quota.
    let mut client = Imap::connect(ports.imap);
    assert!(client.login(ANNA, PASSWORD).starts_with("OK"));
    assert!(client.command("SELECT INBOX").contains(&"* 2 EXISTS".to_owned()));
    let delivered = ports.deliver(ANNA, "Subject: by LMTP\r\n\r\nhello");
    assert!(delivered.starts_with("250 2.0.0"), "{delivered}");
    assert!(client.command("NOOP").contains(&"* 3 EXISTS".to_owned()));
    let quota = client.command("GETQUOTAROOT INBOX").join("\n");
    // IMAP counts in units of 1024 bytes.
    assert!(quota.contains("(STORAGE ") && quota.contains(" 9766 ") && quota.contains(" MESSAGE 3 1000)"), "{quota}");
    let sizes = std::fs::read_to_string(site.host.path("mail/anna/Maildir/maildirsize")).expect("maildirsize");
    assert!(sizes.starts_with("10000000S,1000C\n"), "{sizes}");

    // doveadm, and a session that goes on over restarts.
    let (code, said) = doveadm(&site, &["user", ANNA]);
    let home = site.host.path("mail/anna").display().to_string();
    for (name, value) in [("uid", "5000"), ("gid", "5000"), ("home", &*home)] {
        assert!(said.lines().any(|line| line.split_whitespace().eq([name, value])), "no {name} {value} in {said}");
    }
    assert_eq!(code, Some(0));
    assert_eq!(doveadm(&site, &["user", mailauth_tests::people::UNKNOWN]).0, Some(67), "EX_NOUSER");
    let (code, said) = doveadm(&site, &["user", "*"]);
    let mut listed: Vec<&str> = said.lines().collect();
    listed.sort_unstable();
    assert_eq!((code, &listed[..]), (Some(0), &[ANNA, BRUNO, DORA][..]), "the enabled accounts");

    site.stop_daemon();
    site.start_daemon();
    assert!(client.command("NOOP").last().is_some_and(|line| line.starts_with("OK")));
    expect(ports, ANNA, PASSWORD, YES);
    doveadm(&site, &["reload"]);
    expect(ports, ANNA, PASSWORD, YES);
    dovecot.restart(&site);
    expect(ports, ANNA, PASSWORD, YES);
    expect(ports, ANNA, "wrong", WRONG);
}
