//! Real POP3 servers behind the work of qmail-popup.

use super::site::{ANNA, BRUNO, PASSWORD, Site};
use mailauth_tests::people::{DORA, DORAS_PASSWORD, UNKNOWN};
use mailauth_tests::pop3::Pop3;
use mailauth_tests::{Popup, eventually};
use md5::{Digest, Md5};
use std::sync::Arc;
use std::time::Duration;

/// The server of Debian's mailfront.
const MAILFRONT: &[&str] = &["/usr/sbin/pop3front-maildir"];
/// Courier's POP3 server, without its login program and daemon.
const COURIER: &[&str] = &["/usr/lib/courier/courier/courierpop3d", "Maildir"];

fn service(site: &Arc<Site>, server: &'static [&'static str]) -> Popup {
    let site = Arc::clone(site);
    Popup::serve(move || site.command("mailauth-pop3", server))
}

fn reads_mail_and_refuses_others(server: &'static [&'static str]) {
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
fn mailfront_reads_mail_and_refuses_others() {
    reads_mail_and_refuses_others(MAILFRONT);
}

#[test]
fn courierpop3d_reads_mail_and_refuses_others() {
    reads_mail_and_refuses_others(COURIER);
}

/// Fills Anna's mailbox of 10,000,000 bytes until it refuses a message, and deletes all of it by POP3.
fn takes_mail_again_after_it_was_emptied(server: &'static [&'static str]) {
    let site = Arc::new(Site::new());
    let service = service(&site, server);
    let large = format!("Subject: Large\n\n{}", "0123456789 123456789\n".repeat(150_000));
    let deliver = |message: &str| site.accounts.try_admin(&["deliver", ANNA], message).status.code();
    let may_store = || site.accounts.try_admin(&["quota", "may-store", ANNA, "--size", "3000000"], "").status.code();
    let mut stored = 0;
    while deliver(&large) == Some(0) {
        stored += 1;
        assert!(stored < 10, "it is never full");
    }
    assert_eq!((stored, deliver(&large), may_store()), (3, Some(77), Some(77)));
    let mut client = Pop3::connect(service.port());
    let said = client.login(ANNA, PASSWORD);
    assert!(said.starts_with("+OK"), "{said}");
    for number in 1..=5 {
        let said = client.command(&format!("DELE {number}"));
        assert!(said.starts_with("+OK"), "{number}: {said}");
    }
    assert!(client.command("QUIT").starts_with("+OK"));
    // The server replies before it deletes.
    let maildir = site.files.join("mail/anna/Maildir");
    let messages = || ["new", "cur"].iter().flat_map(|part| std::fs::read_dir(maildir.join(part))).flatten().count();
    eventually("an empty mailbox", Duration::from_secs(20), || messages() == 0);
    assert_eq!((may_store(), deliver(&large)), (Some(0), Some(0)));
}

#[test]
fn a_mailbox_emptied_by_mailfront_takes_mail_again() {
    takes_mail_again_after_it_was_emptied(MAILFRONT);
}

#[test]
fn a_mailbox_emptied_by_courierpop3d_takes_mail_again() {
    takes_mail_again_after_it_was_emptied(COURIER);
}

#[test]
fn apop_works_if_the_clear_password_is_stored() {
    let site = Arc::new(Site::new());
    let service = service(&site, MAILFRONT);
    // The number in the greeting counts the connections of this service.
    for number in 0..2 {
        let digest = Md5::digest(format!("<{number}.1700000000@popup.example>{DORAS_PASSWORD}"));
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut client = Pop3::connect(service.port());
        let said = client.command(&format!("APOP {DORA} {digest}"));
        assert!(said.starts_with("+OK"), "{said}");
        assert!(client.command("STAT").starts_with("+OK 2"));
    }
}
