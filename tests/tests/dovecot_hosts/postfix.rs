//! Postfix, with the lines that docs/postfix.md prints.

use crate::site::{LIMIT, Site, printed};
use hmac::{Hmac, KeyInit, Mac};
use mailauth_tests::people::{ANNA, BRUNO, CARLA, DORA, DORAS_PASSWORD, PASSWORD, UNKNOWN};
use mailauth_tests::smtp::{Reply, Smtp};
use mailauth_tests::{Accounts, Certificates, Kind, Scratch, User, eventually, free_port};
use std::net::TcpStream;
use std::process::Command;

const PAGE: &str = "docs/postfix.md";

/// The settings that a host has before those of the page.
const MAIN: &str = "compatibility_level = 3.6\nsmtpd_tls_security_level = may\nmyhostname = mail.example.org\nmydestination =\nalias_maps =\n\
                    inet_interfaces = loopback-only\nmaillog_file = /var/log/mail.log\n\
                    smtpd_tls_cert_file = /etc/postfix/smtpd.crt\nsmtpd_tls_key_file = /etc/postfix/smtpd.key\n";

/// A running Postfix. It ends with its host.
pub struct Postfix {
    certificates: Certificates,
    _files: Scratch,
    /// The port for mail programs that start TLS.
    pub submission: u16,
    /// The port on which TLS begins at once.
    submissions: u16,
    /// Like the first one, but asks the daemon by TCP.
    inet: u16,
}

impl Postfix {
    /// Adds the page's lines to Debian's files, with other ports, and starts it.
    pub fn start(site: &Site) -> Self {
        let files = Scratch::new("postfix");
        let certificates = Certificates::make(files.path(), User { uid: 0, gid: 0 });
        for (from, to) in [(&certificates.certificate, "smtpd.crt"), (&certificates.key, "smtpd.key")] {
            site.write(&format!("/etc/postfix/{to}"), &std::fs::read_to_string(from).expect("a certificate"));
        }
        let [smtp, submission, submissions, inet] = std::array::from_fn(|_| free_port());
        site.write("/etc/postfix/main.cf", &format!("{MAIN}{}", printed(PAGE, "Logins", "/etc/postfix/main.cf")));
        let services = printed(PAGE, "Logins", "/etc/postfix/master.cf");
        let first = services.split("submissions inet ").next().expect("the first service");
        let by_tcp = first.replacen("submission inet ", &format!("127.0.0.1:{inet} inet "), 1)
            + &format!("  -o smtpd_sasl_path=inet:127.0.0.1:{}\n", site.port);
        let services = services.replacen("submission inet ", &format!("127.0.0.1:{submission} inet "), 1).replacen(
            "submissions inet ",
            &format!("127.0.0.1:{submissions} inet "),
            1,
        );
        let debian = site.read("/usr/share/postfix/master.cf.dist");
        let debian = debian.replacen("\nsmtp      inet ", &format!("\n127.0.0.1:{smtp} inet "), 1);
        site.write("/etc/postfix/master.cf", &format!("{debian}{services}{by_tcp}"));
        site.shell("postfix start");
        let ports = [smtp, submission, submissions, inet];
        eventually("Postfix", LIMIT, || ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()));
        assert!(!Smtp::connect(smtp).offers("AUTH"), "no login on the port for other hosts");
        Postfix { certificates, _files: files, submission, submissions, inet }
    }

    pub fn connect(&self) -> Smtp {
        self.connect_to(self.submission)
    }

    fn connect_to(&self, port: u16) -> Smtp {
        Smtp::connect_tls(port, &self.certificates.authority)
    }

    /// Returns the reply to a login by PLAIN, which has to be the same by LOGIN.
    pub fn logs_in(&self, login: &str, password: &str) -> Reply {
        let plain = self.connect().auth_plain(login.as_bytes(), password.as_bytes());
        let other = self.connect().auth_login(login.as_bytes(), password.as_bytes());
        assert_eq!(plain, other);
        plain
    }
}

/// The reply to each login while mailauth cannot know.
pub const NOT_NOW: &str = "4.7.0 Temporary authentication failure: Connection lost to authentication server";

#[test]
fn postfix_answers_yes_and_no_and_sees_the_spelling_of_the_table() {
    let site = Site::new(Accounts::empty(Kind::Sqlite), "", "[login]\ndefault_domain = \"example.org\"");
    let postfix = Postfix::start(&site);
    assert_eq!(postfix.connect().mechanisms(), ["PLAIN", "LOGIN"]);
    assert_eq!(postfix.logs_in(ANNA, PASSWORD).code, 235);
    let wrong = postfix.logs_in(ANNA, "wrong");
    assert_eq!(wrong.code, 535, "{wrong}");
    for (login, password) in [(UNKNOWN, PASSWORD), (CARLA, PASSWORD), (BRUNO, PASSWORD), (ANNA, ""), (DORA, PASSWORD)] {
        assert_eq!(postfix.logs_in(login, password), wrong, "{login}: no reply reveals which accounts exist");
    }
    // What the mail program typed is handed on, mechanisms too.
    assert_eq!(postfix.connect().command("AUTH plain AGFubmFAZXhhbXBsZS5vcmcAY29ycmVjdCBob3JzZQ==").code, 235);
    for (port, reply) in [(postfix.inet, 235), (postfix.submissions, 235)] {
        assert_eq!(by_curl(&postfix, port, port == postfix.submissions, PASSWORD), reply, "{}", site.log());
    }
    assert_eq!(by_curl(&postfix, postfix.submissions, true, "wrong"), 535);
    site.wait_for_log("service=\"smtp\"");
    assert!(site.log().contains("client=\"127.0.0.1\""), "{}", site.log());

    // The login as the table spells it, and not as it was typed.
    site.shell(
        "postconf -e 'smtpd_sender_login_maps=inline:{anna@example.org=anna@example.org}' \
         smtpd_sender_restrictions=reject_sender_login_mismatch; postfix reload",
    );
    for (login, sender, code) in [("ANNA", ANNA, 250), (ANNA, ANNA, 250), (DORA, ANNA, 553)] {
        let password = if login == DORA { DORAS_PASSWORD } else { PASSWORD };
        let mut client = postfix.connect();
        assert_eq!(client.auth_plain(login.as_bytes(), password.as_bytes()).code, 235, "{login}");
        client.mail(sender, None);
        let reply = client.rcpt("somebody@elsewhere.example");
        assert_eq!(reply.code, code, "{login}: {reply}");
    }
    assert!(site.read("/var/log/mail.log").contains("sasl_username=anna@example.org"));
}

#[test]
fn postfix_offers_the_mechanisms_that_are_configured() {
    let mechanisms = "mechanisms = [\"PLAIN\", \"CRAM-MD5\"]";
    let site = Site::new(Accounts::empty(Kind::Sqlite), mechanisms, "");
    let postfix = Postfix::start(&site);
    let mut client = postfix.connect();
    assert_eq!(client.mechanisms(), ["PLAIN", "CRAM-MD5"]);
    let respond = |password: &'static str| move |challenge: &str| cram_md5(DORA, password, challenge);
    assert_eq!(client.auth_cram_md5(respond("wrong")).code, 535);
    assert_eq!(client.auth_cram_md5(respond(DORAS_PASSWORD)).code, 235, "{}", site.log());
    // Only a hash of Anna's password is stored, which has to look like a wrong password.
    let respond = |challenge: &str| cram_md5(ANNA, PASSWORD, challenge);
    assert_eq!(postfix.connect().auth_cram_md5(respond).code, 535, "{}", site.log());
    assert_eq!(client.auth_plain(ANNA.as_bytes(), PASSWORD.as_bytes()).code, 503, "one login in a session");
}

/// Returns the reply to a login by curl(1): on a port with TLS from the beginning, or with STARTTLS.
fn by_curl(postfix: &Postfix, port: u16, wrapped: bool, password: &str) -> u16 {
    let scheme = if wrapped { "smtps" } else { "smtp" };
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--verbose", "--ssl-reqd", "--user", &format!("{ANNA}:{password}"), "--request", "NOOP"]);
    curl.arg("--cacert").arg(&postfix.certificates.authority).arg(format!("{scheme}://localhost:{port}"));
    let said = mailauth_tests::output_with_input(&mut curl, "").stderr;
    let said = String::from_utf8_lossy(&said).into_owned();
    let mut replies =
        said.lines().filter_map(|line| line.strip_prefix("< ")).filter_map(|line| line.get(..3)?.parse().ok());
    replies.rfind(|code| [235, 454, 535].contains(code)).unwrap_or_else(|| panic!("no reply: {said}"))
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn decoded(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
}

fn cram_md5(login: &str, password: &str, challenge: &str) -> String {
    let mut mac = Hmac::<md5::Md5>::new_from_slice(password.as_bytes()).expect("a key");
    mac.update(&decoded(challenge));
    let digest: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    base64(format!("{login} {digest}"))
}
