//! The page for Postfix and Cyrus SASL, on a booted machine with Debian's Postfix 3.7.

#[path = "systemd/machine.rs"]
#[allow(dead_code, reason = "tests/systemd.rs uses all of it")]
mod machine;
#[path = "readme/page.rs"]
#[allow(dead_code, reason = "tests/readme.rs uses all of it")]
mod page;
#[path = "readme/terminal.rs"]
mod terminal;

use machine::{ANNA, Machine};
use mailauth_tests::people::{PASSWORD, UNKNOWN};
use mailauth_tests::smtp::{Reply, Smtp};
use mailauth_tests::wire::login;
use mailauth_tests::{Certificates, Scratch, User, eventually};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Folder into which tests/run unpacks postfix and sasl2-bin, which conflict with Exim.
const UNPACKED: &str = "/var/cache/mailauth-tests/postfix";

/// What the package does when it is installed, as far as a server on the loopback interface needs it.
const INSTALL: &str = r#"
cp -a --remove-destination /opt/postfix/usr/. /usr/
cp -a /opt/postfix/lib/. /lib/
cp -a /opt/postfix/etc/postfix /etc/
addgroup --quiet --system postdrop
adduser --quiet --system --group --home /var/spool/postfix --no-create-home postfix
chgrp postdrop /usr/sbin/postqueue /usr/sbin/postdrop
chmod 2755 /usr/sbin/postqueue /usr/sbin/postdrop
mkdir -p /var/spool/postfix
install -d -o postfix /var/lib/postfix
cp /usr/share/postfix/master.cf.dist /etc/postfix/master.cf
cat >/etc/postfix/main.cf <<'.'
compatibility_level = 3.6
myhostname = mail.example.org
mydestination =
alias_maps =
inet_interfaces = loopback-only
maillog_file = /var/log/mail.log
smtpd_tls_security_level = may
smtpd_tls_cert_file = /etc/postfix/smtpd.crt
smtpd_tls_key_file = /etc/postfix/smtpd.key
.
systemctl daemon-reload
systemctl enable --now postfix
"#;

const LIMIT: Duration = Duration::from_secs(30);

/// The machine, with Postfix set up as the page says.
struct Site {
    machine: Machine,
    certificates: Certificates,
    _files: Scratch,
}

impl Site {
    fn new() -> Self {
        let unpacked = Path::new(UNPACKED);
        assert!(unpacked.join("usr/lib/postfix/sbin/smtpd").exists(), "tests/run unpacks postfix and sasl2-bin");
        let machine = Machine::with_folder(Some((unpacked, "/opt/postfix")));
        let files = Scratch::new("postfix");
        let certificates = Certificates::make(files.path(), User { uid: 0, gid: 0 });
        for (from, to) in [(&certificates.certificate, "smtpd.crt"), (&certificates.key, "smtpd.key")] {
            machine.booted.write(&format!("/etc/postfix/{to}"), &fs::read_to_string(from).expect("a certificate"));
        }
        machine.install();
        machine.booted.shell(INSTALL);
        machine.follow_page("docs/cyrus-sasl.md");
        machine.booted.shell("systemctl reload mailauth-courier");
        Site { machine, certificates, _files: files }
    }

    fn connect(&self) -> Smtp {
        self.machine.booted.on_its_network(|| Smtp::connect_tls(25, &self.certificates.authority))
    }

    /// Returns the reply to a login by PLAIN, which has to be the same by LOGIN.
    fn logs_in(&self, login: &str, password: &str) -> Reply {
        let plain = self.connect().auth_plain(login.as_bytes(), password.as_bytes());
        let other = self.connect().auth_login(login.as_bytes(), password.as_bytes());
        assert_eq!(plain, other, "{}", self.log());
        plain
    }

    /// Returns the output of libsasl2's own sample server, an example of another program with the library.
    fn sample_says(&self, password: &str) -> String {
        let message = format!("PLAIN\\0\\0{ANNA}\\0{password}");
        self.machine.booted.shell(&format!(
            "printf 'C: %s\\n' \"$(printf '{message}' | base64 -w0)\" | setpriv --reuid=postfix --regid=postfix \
             --init-groups sasl-sample-server -s smtp 2>&1 || true"
        ))
    }

    fn log(&self) -> String {
        self.machine.booted.shell("cat /var/log/mail.log")
    }

    fn has_answer(&self, code: u16, text: &str) {
        for password in [PASSWORD, "wrong"] {
            let reply = self.logs_in(ANNA, password);
            assert_eq!((reply.code, reply.text.trim_end()), (code, text), "{password}\n{}", self.log());
        }
    }
}

#[test]
fn smtp_logins_are_answered_yes_no_and_not_now() {
    let site = Site::new();
    let booted = &site.machine.booted;
    let plain = booted.on_its_network(|| Smtp::connect(25));
    assert!(!plain.offers("AUTH"), "no mechanism is offered before TLS");
    assert_eq!(site.connect().mechanisms(), ["PLAIN", "LOGIN"]);

    // Yes and no.
    assert_eq!(site.logs_in(ANNA, PASSWORD).code, 235, "{}", site.log());
    let wrong = site.logs_in(ANNA, "wrong");
    assert_eq!(wrong.code, 535, "{wrong}\n{}", site.log());
    assert_eq!(site.logs_in(UNKNOWN, PASSWORD), wrong, "no reply reveals which accounts exist");
    booted.shell(&format!("mailauth account set {ANNA} --services imap"));
    assert_eq!(site.logs_in(ANNA, PASSWORD), wrong, "the account may not send");
    booted.shell(&format!("mailauth account set {ANNA} --services smtp"));
    assert_eq!(site.logs_in(ANNA, PASSWORD).code, 235);
    assert!(site.machine.journal("-o cat").contains("service=\"smtp\" answer=\"yes\""));

    // Any other program with the library.
    booted.shell("mkdir -p /etc/sasl2; cp /etc/postfix/sasl/smtpd.conf /etc/sasl2/sample.conf");
    let said = site.sample_says(PASSWORD);
    assert!(said.contains("Negotiation complete"), "{said}");
    let said = site.sample_says("wrong");
    assert!(said.contains("authentication failure") && !said.contains("Negotiation complete"), "{said}");

    // Not now: no database; then no daemon.
    let not_now = "4.7.0 Temporary authentication failure: generic failure";
    booted.shell("mv /var/lib/mailauth /var/lib/away");
    booted.shell("systemctl reload mailauth-courier");
    eventually("an outage", LIMIT, || login(&site.machine.socket(), ANNA, PASSWORD).word() == "CLOSED");
    site.has_answer(454, not_now);
    assert!(site.sample_says(PASSWORD).contains("generic failure"));
    // A login would start the service again while its socket is open.
    booted.shell("systemctl stop mailauth-courier.socket mailauth-courier");
    site.has_answer(454, not_now);
    assert!(site.log().contains("cannot connect to Courier authdaemond: No such file or directory"), "{}", site.log());

    booted.shell("mv /var/lib/away /var/lib/mailauth; systemctl start mailauth-courier");
    assert_eq!(site.logs_in(ANNA, PASSWORD).code, 235, "{}", site.log());

    // With no user in the list besides root.
    site.machine.reload_with("");
    site.has_answer(454, not_now);
    assert!(site.log().contains("cannot connect to Courier authdaemond: Permission denied"), "{}", site.log());
}
