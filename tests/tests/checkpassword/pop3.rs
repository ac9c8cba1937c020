//! Real POP3 servers behind qmail-popup's part.

use super::site::{ANNA, BRUNO, PASSWORD, Site};
use mailauth_tests::Popup;
use mailauth_tests::people::{DORA, DORAS_PASSWORD, UNKNOWN};
use mailauth_tests::pop3::Pop3;
use md5::{Digest, Md5};
use std::sync::Arc;

/// The server of Debian's mailfront.
const MAILFRONT: &[&str] = &["/usr/sbin/pop3front-maildir"];
/// Courier's own, without its login program and daemon.
const COURIER: &[&str] = &["/usr/lib/courier/courier/courierpop3d", "Maildir"];

fn service(site: &Arc<Site>, server: &'static [&'static str]) -> Popup {
    let site = Arc::clone(site);
    Popup::serve(move || site.command("mailauth-pop3", server))
}

fn reads_mail_and_keeps_others_out(server: &'static [&'static str]) {
    let site = Arc::new(Site::new());
    let service = service(&site, server);
    let mut client = Pop3::connect(service.port());
    let said = client.login(ANNA, PASSWORD);
    assert!(said.starts_with("+OK"), "{said}");
    let said = client.command("STAT");
    assert!(said.starts_with("+OK 2 "), "{said}");
    assert!(client.lines("RETR 1").contains(&"Subject: Lunch?".to_owned()));
    assert!(client.command("QUIT").starts_with("+OK"));
    for (login, password) in [(ANNA, "wrong"), (UNKNOWN, PASSWORD), (BRUNO, PASSWORD)] {
        let said = Pop3::connect(service.port()).login(login, password);
        assert_eq!(said, "-ERR authorization failed", "{login} {password}");
    }
}

#[test]
fn mailfront_reads_mail_and_keeps_others_out() {
    reads_mail_and_keeps_others_out(MAILFRONT);
}

#[test]
fn courierpop3d_reads_mail_and_keeps_others_out() {
    reads_mail_and_keeps_others_out(COURIER);
}

#[test]
fn apop_logs_in_where_the_password_is_clear() {
    let site = Arc::new(Site::new());
    let service = service(&site, MAILFRONT);
    // The greeting's number counts the connections of this service.
    for number in 0..2 {
        let digest = Md5::digest(format!("<{number}.1700000000@popup.example>{DORAS_PASSWORD}"));
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut client = Pop3::connect(service.port());
        let said = client.command(&format!("APOP {DORA} {digest}"));
        assert!(said.starts_with("+OK"), "{said}");
        assert!(client.command("STAT").starts_with("+OK 2"));
    }
}
