//! Exim with `driver = dovecot`, as docs/exim.md prints it.

use crate::page::{Kind as PieceKind, page};
use crate::site::Site;
use mailauth_tests::exim::Exim;
use mailauth_tests::people::{ANNA, BRUNO, CARLA, PASSWORD, UNKNOWN};
use mailauth_tests::{Accounts, Kind};
use std::sync::Arc;

/// Accepts mail after a login only, and names the login in its log.
const CONFIG: &str = "primary_hostname = mail.example.org\ntls_advertise_hosts = *\ntls_certificate = /etc/exim4/exim.crt\n\
                      tls_privatekey = /etc/exim4/exim.key\nacl_smtp_rcpt = check_recipient\n\nbegin acl\n\n\
                      check_recipient:\n  accept  authenticated = *\n          condition = \
                      ${if eq{$authenticated_id}{anna@example.org}}\n  deny\n\nbegin authenticators\n\n";

/// Starts Exim with the authenticators of the page.
pub fn start(site: &Site) -> Exim {
    let printed = page("docs/exim.md").into_iter().filter(|piece| piece.kind == PieceKind::Indented);
    let blocks: Vec<_> = printed.filter(|piece| piece.heading == "Logins without macros").collect();
    let authenticators: String =
        blocks.iter().filter(|piece| piece.text.contains("driver =")).map(|p| &*p.text).collect();
    assert_eq!(authenticators.matches("driver = dovecot").count(), 2, "{authenticators}");
    let mut exim = Exim::on(Arc::clone(&site.host));
    exim.write("/etc/exim4/exim4.conf", &format!("{CONFIG}{authenticators}"));
    exim.start();
    exim
}

/// Returns the code of a login by PLAIN, which has to be that by LOGIN too.
pub fn logs_in(exim: &Exim, login: &str, password: &str) -> u16 {
    let plain = exim.connect_tls().auth_plain(login.as_bytes(), password.as_bytes());
    let other = exim.connect_tls().auth_login(login.as_bytes(), password.as_bytes());
    assert_eq!(plain.code, other.code, "{plain} and {other}");
    plain.code
}

#[test]
fn exim_answers_yes_and_no_and_sees_the_spelling_of_the_table() {
    let site = Site::new(Accounts::empty(Kind::Sqlite), "", "[login]\ndefault_domain = \"example.org\"");
    let exim = start(&site);
    assert!(exim.connect().mechanisms().is_empty(), "no login before TLS");
    assert_eq!(exim.connect_tls().mechanisms(), ["PLAIN", "LOGIN"]);
    for login in [ANNA, "Anna"] {
        let mut client = exim.connect_tls();
        assert_eq!(client.auth_plain(login.as_bytes(), PASSWORD.as_bytes()).code, 235, "{}", exim.log("mainlog"));
        client.mail(ANNA, None);
        assert_eq!(client.rcpt("somebody@elsewhere.example").code, 250, "$auth1 is the login of the table");
        client.quit();
    }
    for (login, password) in [(ANNA, "wrong"), (UNKNOWN, PASSWORD), (CARLA, PASSWORD), (BRUNO, PASSWORD)] {
        assert_eq!(logs_in(&exim, login, password), 535, "{login}: {}", exim.log("mainlog"));
    }
    // Without an initial response, Exim sends an empty one.
    let mut client = exim.connect_tls();
    let reply = client.command("AUTH PLAIN");
    assert_eq!((reply.code, reply.text.trim_end()), (334, ""), "{}", exim.log("mainlog"));
    assert_eq!(client.command("AGFubmFAZXhhbXBsZS5vcmcAY29ycmVjdCBob3JzZQ==").code, 235);
    assert_eq!(exim.log("paniclog"), "");
}
