//! How Exim knows authenticated users, and as which addresses they may send.

use crate::in_each_form;
use crate::site::Site;
use mailauth_tests::exim::Form;
use mailauth_tests::people::{DORAS_PASSWORD, PASSWORD};
use mailauth_tests::smtp::Smtp;
use mailauth_tests::{Accounts, Kind, eventually};
use std::time::Duration;

in_each_form!(
    exim_gets_the_spelling_of_the_login_in_the_table,
    a_login_sends_only_as_its_own_addresses,
    the_address_in_from_is_checked_too,
    during_an_outage_only_a_users_own_address_may_send,
);

/// Returns a site where logins may send only as their own addresses.
fn limited(form: Form) -> Site {
    limit(Site::new(form))
}

fn limit(mut site: Site) -> Site {
    site.accounts.admin(&["account", "add", "boss@example.org", "--password-stdin"], PASSWORD);
    site.accounts.admin(&["account", "set", "boss@example.org", "--options", "send-as=domain"], "");
    site.accounts.admin(&["domain", "alias", "add", "old.example", "example.org"], "");
    site.exim.stop();
    site.exim.limit_senders();
    site.exim.start();
    site
}

fn client(site: &Site, login: &str, password: &str) -> Smtp {
    let mut client = site.exim.connect_tls();
    let reply = client.auth_plain(login.as_bytes(), password.as_bytes());
    assert_eq!(reply.code, 235, "{login}: {reply}\n{}", site.exim.log("mainlog"));
    client
}

/// Returns the code for `MAIL` on a new connection.
fn mail(site: &Site, login: &str, sender: &str) -> u16 {
    let mut client = client(site, login, if login.starts_with("dora") { DORAS_PASSWORD } else { PASSWORD });
    let code = client.command(format!("MAIL FROM:<{sender}>")).code;
    client.quit();
    code
}

fn exim_gets_the_spelling_of_the_login_in_the_table(form: Form) {
    let site = Site::with_cram(form);
    for (number, login) in ["anna@example.org", "ANNA@Example.ORG", " anna@example.org "].iter().enumerate() {
        for plain in [true, false] {
            let mut client = site.exim.connect_tls();
            let (login, password) = (login.as_bytes(), PASSWORD.as_bytes());
            let reply = if plain { client.auth_plain(login, password) } else { client.auth_login(login, password) };
            assert_eq!(reply.code, 235, "{reply}\n{}", site.exim.log("mainlog"));
            client.mail("anna@example.org", None);
            assert_eq!(client.rcpt("dora@example.org").code, 250);
            assert_eq!(client.data("Subject: x\n\nx\n").code, 250);
            client.quit();
            let name = if plain { "plain" } else { "login" };
            let arrived = || site.exim.log("mainlog").matches(&format!(" A={name}:anna@example.org ")).count();
            eventually("a message by that login", Duration::from_secs(20), || arrived() == number + 1);
        }
    }
    let log = site.exim.log("mainlog");
    assert!(!log.contains("ANNA@") && !log.contains("Example.ORG"), "{log}");
    // The Kelvin sign is not a k, and the long s is not an s.
    site.accounts.admin(&["account", "add", "kurts@example.org", "--password-stdin"], PASSWORD);
    assert_eq!(mail(&site, "KURTS@example.org", "kurts@example.org"), 250);
    for login in ["\u{212a}urts@example.org", "kurt\u{17f}@example.org", "kurts@e\u{ff58}ample.org"] {
        let mut client = site.exim.connect_tls();
        assert_eq!(client.auth_plain(login.as_bytes(), PASSWORD.as_bytes()).code, 535, "{login}");
        assert_eq!(client.auth_login(login.as_bytes(), PASSWORD.as_bytes()).code, 535, "{login}");
        client.quit();
    }
    // The log names the login that had the wrong password.
    let mut client = site.exim.connect_tls();
    assert_eq!(client.auth_plain(b"anna@example.org", b"wrong").code, 535);
    client.quit();
    site.exim.wait_for_log("(set_id=anna@example.org)");
    site.no_panic();
}

fn a_login_sends_only_as_its_own_addresses(form: Form) {
    let site = limited(form);
    for (login, sender, code) in [
        ("anna@example.org", "anna@example.org", 250),
        ("anna@example.org", "Anna+news@Example.org", 250),
        ("ANNA@example.org", "anna@old.example", 250),
        ("anna@example.org", "info@example.org", 250),
        ("anna@example.org", "team@example.org", 250),
        ("anna@example.org", "", 250),
        ("anna@example.org", "dora@example.org", 550), // whose mail is copied to her
        ("anna@example.org", "boss@example.org", 550),
        ("anna@example.org", "nobody@example.org", 550),
        ("anna@example.org", "anna@elsewhere.example", 550),
        ("anna@example.org", "whoever@catch.example", 550),
        ("anna@example.org", "\"anna@example.org x\"@elsewhere.example", 550),
        ("dora@example.org", "dora@example.org", 250),
        ("dora@example.org", "info@example.org", 550),
        ("someone@catch.example", "whoever@catch.example", 250),
        ("boss@example.org", "anna@example.org", 250),
        ("boss@example.org", "whoever@old.example", 250),
        ("boss@example.org", "someone@catch.example", 550),
    ] {
        assert_eq!(mail(&site, login, sender), code, "{login} as {sender:?}\n{}", site.exim.log("mainlog"));
    }
    // Unauthenticated clients are not checked.
    let mut stranger = site.exim.connect();
    stranger.mail("boss@example.org", None);
    assert_eq!(stranger.rcpt("anna@example.org").code, 250);
    stranger.quit();
    site.no_panic();
}

fn the_address_in_from_is_checked_too(form: Form) {
    let site = limited(form);
    let twenty = format!("From: {}\n", vec!["anna@example.org"; 20].join(", "));
    for (header, code) in [
        ("From: Anna <anna@example.org>\n", 250),
        ("From: \"Anna, Info\" <info@example.org>, anna+a@example.org\n", 250),
        ("From: the boss <boss@example.org>\n", 550),
        ("From: anna@example.org, boss@example.org\n", 550),
        ("From: anna@example.org\nFrom: boss@example.org\n", 550),
        ("From: \"anna@example.org\" <boss@example.org>\n", 550),
        ("From: anna+x.\"\n y\"@elsewhere.example\n", 550),
        ("From: \"boss@example.org\"\n", 550),
        ("From: boss\n", 550),
        ("", 250),
        (&twenty, 550),
    ] {
        let mut client = client(&site, "anna@example.org", PASSWORD);
        client.mail("anna@example.org", None);
        assert_eq!(client.rcpt("anna@example.org").code, 250);
        let reply = client.data(&format!("{header}Subject: x\n\nx\n"));
        assert_eq!(reply.code, code, "{header}: {reply}\n{}", site.exim.log("mainlog"));
        client.quit();
    }
    site.no_panic();
}

fn during_an_outage_only_a_users_own_address_may_send(form: Form) {
    let accounts = Accounts::on_own_server(Kind::MariaDb).with_snapshot("");
    let mut site = limit(Site::over(form, accounts));
    eventually("a copy", Duration::from_secs(30), || site.accounts.snapshot_is_whole());
    let logged_in = client(&site, "anna@example.org", PASSWORD);
    site.accounts.server().stop();
    assert_eq!(mail(&site, "anna@example.org", "anna+a@example.org"), 250, "{}", site.exim.log("mainlog"));
    assert_eq!(mail(&site, "anna@example.org", "boss@example.org"), 451);
    site.stop_daemon();
    let mut client = logged_in;
    for sender in ["anna@example.org", "boss@example.org", ""] {
        let reply = client.command(format!("MAIL FROM:<{sender}>"));
        assert!(reply.code == 451 && !reply.text.contains("/run/"), "{sender}: {reply}");
    }
    client.quit();
    site.no_panic();
}
