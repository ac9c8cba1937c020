//! Dovecot 2.4 and Postfix 3.10 on a booted Debian 13, set up as the pages print: with the printed units, on the usual
//! ports.

use crate::dovecot::{NOT_NOW, PAGE, Ports, UNKNOWN, WRONG, YES, expect};
use crate::page::{Kind, Piece, page, repository};
use crate::postfix::NOT_NOW as POSTFIX_NOT_NOW;
use mailauth_tests::imap::Imap;
use mailauth_tests::people::{ANNA, CHEAP_HASH, PASSWORD};
use mailauth_tests::smtp::{Reply, Smtp};
use mailauth_tests::{Booted, Certificates, Scratch, User, bare_debian, eventually, output_with_input, program};
use std::fs;
use std::time::Duration;

const CONFIG: &str = "/etc/mailauth/mailauth.toml";
const LIMIT: Duration = Duration::from_secs(30);
const PORTS: Ports = Ports { imap: 143, pop3: 110, lmtp: 24 };

/// What the package of mailauth does, and a port for lmtpd.
const INSTALL: &str = r#"
ln -s /opt/programs/mailauth /opt/programs/mailauth-courier /opt/programs/mailauth-mailboxes /usr/sbin/
useradd --system --user-group --uid 5000 vmail
systemd-sysusers /opt/packaging/debian/sysusers.d/mailauth.conf
cp -R /opt/packaging/systemd/. /etc/systemd/system/
install -d -o mailauth -g mailauth -m 750 /var/lib/mailauth
mailauth init
mailauth domain add example.org
mailauth account import /root/accounts.csv
mailauth account set anna@example.org --make-mailbox
chown mailauth:mailauth /var/lib/mailauth/*
systemctl daemon-reload
systemctl enable --now mailauth-courier
cat >/etc/dovecot/conf.d/99-tests.conf <<'.'
log_path = /var/log/dovecot.log
ssl = no
service lmtp {
  inet_listener lmtp {
    port = 24
  }
}
.
postconf -e inet_protocols=ipv4 maillog_file=/var/log/mail.log smtpd_tls_cert_file=/etc/postfix/smtpd.crt \
  smtpd_tls_key_file=/etc/postfix/smtpd.key
systemctl enable --now dovecot postfix
"#;

struct Machine {
    booted: Booted,
    certificates: Certificates,
    _files: Scratch,
}

impl Machine {
    /// Boots it, and follows the pages. `None` if Debian's archive cannot be reached.
    fn new(test: &str) -> Option<Self> {
        let root = bare_debian("trixie", test)?;
        let programs = program("mailauth").parent().expect("a folder").to_owned();
        let packaging = repository().join("packaging");
        let booted = Booted::over(&root, &[(&programs, "/opt/programs"), (&packaging, "/opt/packaging")]);
        let files = Scratch::new("trixie");
        let certificates = Certificates::make(files.path(), User { uid: 0, gid: 0 });
        for (from, to) in [(&certificates.certificate, "smtpd.crt"), (&certificates.key, "smtpd.key")] {
            booted.write(&format!("/etc/postfix/{to}"), &fs::read_to_string(from).expect("a certificate"));
        }
        let machine = Machine { booted, certificates, _files: files };
        let printed = page("docs/install.md").into_iter().find(|piece| piece.language() == Some("toml"));
        machine.booted.write(CONFIG, &printed.expect("a configuration").text);
        let accounts = format!("login,password,quota\n{ANNA},{CHEAP_HASH},\"10000000S,1000C\"\n");
        machine.booted.write("/root/accounts.csv", &accounts);
        machine.booted.shell(INSTALL);
        machine.follow("docs/postfix.md", &["Logins"]);
        machine.follow(PAGE, &["Sockets", "Dovecot 2.4"]);
        Some(machine)
    }

    /// Does what the blocks of a page below these headings print.
    fn follow(&self, name: &str, headings: &[&str]) {
        let blocks = page(name).into_iter().filter(|piece| piece.kind != Kind::Prose);
        let blocks: Vec<Piece> = blocks.filter(|piece| headings.contains(&&*piece.heading)).collect();
        assert!(blocks.len() > 4, "{name}: {blocks:?}");
        blocks.iter().for_each(|block| self.follow_block(block));
    }

    fn follow_block(&self, block: &Piece) {
        let text = &block.text;
        match block.language() {
            Some("toml") => {
                // A section that exists is continued.
                let before = fs::read_to_string(self.booted.inside(CONFIG)).expect("the configuration");
                let more = if before.contains("[dovecot]\n") { text.trim_start_matches("[dovecot]\n") } else { text };
                self.booted.write(CONFIG, &format!("{before}{more}"));
            }
            Some("conf") => {
                let path = text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a file's name");
                let before = match path {
                    "/etc/postfix/main.cf" | "/etc/postfix/master.cf" => {
                        fs::read_to_string(self.booted.inside(path)).expect("Debian's file")
                    }
                    _ => String::new(),
                };
                self.booted.write(path, &format!("{before}{text}"));
            }
            Some("sh") | None => {
                self.booted.shell(text);
            }
            other => panic!("no test knows what to do with a block of {other:?}:\n{text}"),
        }
    }

    fn expect(&self, login: &str, password: &str, answers: [&str; 3]) {
        self.booted.on_its_network(|| expect(PORTS, login, password, answers));
    }

    fn postfix_says(&self, password: &str) -> Reply {
        self.booted.on_its_network(|| {
            Smtp::connect_tls(587, &self.certificates.authority).auth_plain(ANNA.as_bytes(), password.as_bytes())
        })
    }

    fn all_know(&self) {
        eventually("an answer", LIMIT, || self.booted.on_its_network(|| PORTS.imap(ANNA, PASSWORD)) == "OK");
        self.expect(ANNA, PASSWORD, YES);
        self.expect(ANNA, "wrong", WRONG);
        assert_eq!(self.postfix_says(PASSWORD).code, 235);
        assert_eq!(self.postfix_says("wrong").code, 535);
    }
}

impl Drop for Machine {
    /// Prints the logs if the test fails.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = "cat /var/log/dovecot.log /var/log/mail.log; journalctl --no-pager -n 200";
            let output = output_with_input(self.booted.command("sh").args(["-c", logs]), "");
            eprintln!("{}", String::from_utf8_lossy(&output.stdout));
        }
    }
}

#[test]
fn dovecot_2_4_and_postfix_are_served_as_the_pages_say() {
    let Some(mut machine) = Machine::new("dovecot_2_4_and_postfix_are_served_as_the_pages_say") else { return };
    assert!(machine.booted.shell("dovecot --version").starts_with("2.4."));
    machine.all_know();
    machine.expect(mailauth_tests::people::UNKNOWN, PASSWORD, UNKNOWN);
    machine.booted.on_its_network(|| {
        let delivered = PORTS.deliver(ANNA, "Subject: by LMTP\r\n\r\nhello");
        assert!(delivered.starts_with("250 2.0.0"), "{delivered}");
        let mut client = Imap::connect(PORTS.imap);
        assert!(client.login(ANNA, PASSWORD).starts_with("OK"));
        assert!(client.command("SELECT INBOX").contains(&"* 1 EXISTS".to_owned()));
        let quota = client.command("GETQUOTAROOT INBOX").join("\n");
        assert!(quota.contains("(STORAGE ") && quota.contains(" 9766 MESSAGE 1 1000)"), "{quota}");
    });
    assert_eq!(machine.booted.shell("doveadm user '*'").trim_end(), ANNA);

    // Not now.
    machine.booted.shell("mv /var/lib/mailauth /var/lib/away; systemctl reload mailauth-courier");
    eventually("an outage", LIMIT, || machine.booted.on_its_network(|| PORTS.lmtp(ANNA)) == NOT_NOW[2]);
    for password in [PASSWORD, "wrong"] {
        machine.expect(ANNA, password, NOT_NOW);
        let reply = machine.postfix_says(password);
        assert_eq!((reply.code, &*reply.text), (454, POSTFIX_NOT_NOW));
    }
    machine.booted.shell("mv /var/lib/away /var/lib/mailauth; systemctl reload mailauth-courier");
    machine.all_know();

    machine.booted.shell("systemctl restart mailauth-courier");
    machine.all_know();
    machine.booted.shell("systemctl restart dovecot");
    machine.all_know();
    machine.booted.reboot();
    machine.all_know();
}
