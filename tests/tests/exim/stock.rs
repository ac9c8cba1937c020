//! Debian's own example for authdaemon, unchanged: it works the same with Courier's daemon and mailauth's.

use crate::site::Site;
use mailauth_tests::exim::Exim;
use mailauth_tests::people::{PASSWORD, people};
use mailauth_tests::{Accounts, Courier, Kind, MailHost, Mailauth};
use std::fs;
use std::sync::Arc;

const EXAMPLES: &str = "/etc/exim4/conf.d/auth/30_exim4-config_examples";

/// Returns the two authenticators, uncommented.
fn example() -> String {
    let file = fs::read_to_string(EXAMPLES).expect("the examples of exim4-config");
    let block = |name: &str| {
        let lines = file.lines().skip_while(|line| *line != format!("# {name}:"));
        let block: String = lines.map_while(|line| line.strip_prefix("# ")).flat_map(|line| [line, "\n"]).collect();
        assert!(block.contains("server_condition"), "{EXAMPLES} has no {name}");
        block
    };
    block("plain_courier_authdaemon") + &block("login_courier_authdaemon")
}

/// Starts Exim with it, on a host with a server on the socket.
fn exim(host: &Arc<MailHost>) -> Exim {
    let mut exim = Exim::on(Arc::clone(host));
    let main = "primary_hostname = mail.example.org\ntls_advertise_hosts = *\n\
                tls_certificate = /etc/exim4/exim.crt\ntls_privatekey = /etc/exim4/exim.key\n\
                begin authenticators\n";
    exim.write("/etc/exim4/exim4.conf", &format!("{main}{}", example()));
    exim.start();
    exim
}

fn answers(exim: &Exim) -> Vec<u16> {
    let mut codes = Vec::new();
    for (login, password) in [
        ("anna@example.org", PASSWORD),
        ("anna@example.org", "wrong"),
        ("nobody@example.org", PASSWORD),
        ("emil@example.org", PASSWORD),
        ("anna@example.org", "$auth1"),
    ] {
        let mut client = exim.connect_tls();
        codes.push(client.auth_plain(login.as_bytes(), password.as_bytes()).code);
        client.quit();
        let mut client = exim.connect_tls();
        codes.push(client.auth_login(login.as_bytes(), password.as_bytes()).code);
        client.quit();
    }
    codes
}

#[test]
fn the_example_works_unchanged() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people("/var/mail".as_ref()));
    let host = || Arc::new(MailHost::with_own(&Exim::OWN));
    let theirs = {
        let host = host();
        let _daemon = Courier::on(Arc::clone(&host), &accounts);
        // authdaemond relies on the folder's mode to restrict its clients.
        mailauth_tests::run(host.command("chmod").args(["a+rwx", "/run/courier/authdaemon", MailHost::SOCKET]));
        answers(&exim(&host))
    };
    let host = host();
    let daemon = Mailauth::on_with(&host, &accounts, Site::COURIER);
    let ours = answers(&exim(&host));
    assert_eq!(ours, theirs, "{}", daemon.log());
    assert_eq!(ours, [235, 235, 535, 535, 535, 535, 535, 535, 535, 535]);
}
