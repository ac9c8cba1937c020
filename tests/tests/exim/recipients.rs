//! RCPT.

use crate::in_each_form;
use crate::site::{ODD, Site};
use mailauth_tests::eventually;
use mailauth_tests::exim::{Form, maildir};
use mailauth_tests::people::PASSWORD;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

in_each_form!(
    mail_is_accepted_only_for_existing_recipients,
    a_mailbox_accepts_what_it_has_room_for,
    authenticated_users_may_send_anywhere,
    a_domain_may_be_full,
    an_emptied_mailbox_accepts_mail_again,
    a_mailbox_on_a_missing_disk_is_not_now,
    mail_for_an_account_without_mail_is_refused_with_a_reason,
    mail_for_a_backup_domain_is_accepted_and_forwarded,
    an_alias_domain_accepts_the_same_mail,
);

fn rcpt(site: &Site, size: Option<u64>, address: &str) -> u16 {
    let mut client = site.exim.connect();
    client.mail("sender@elsewhere.example", size);
    let code = client.rcpt(address).code;
    client.quit();
    code
}

fn mail_is_accepted_only_for_existing_recipients(form: Form) {
    let site = Site::new(form);
    for (address, code) in [
        ("anna@example.org", 250),
        ("ANNA@Example.Org", 250),
        (ODD, 250),
        ("bruno@example.org", 250), // may not send, but receives
        ("emil@example.org", 250),  // without a password
        ("info@example.org", 250),
        ("team@example.org", 250),
        ("dora@example.org", 250), // an alias that keeps a copy
        ("away@example.org", 250),
        ("someone@catch.example", 250),
        ("whoever@catch.example", 250),
        ("carla@example.org", 550), // disabled
        ("nobody@example.org", 550),
        ("loop@example.org", 550),
        ("\"two words\"@example.org", 550),
        ("gina@closed.example", 550),
        ("whoever@elsewhere.example", 550),
        ("@example.org", 501),
    ] {
        assert_eq!(rcpt(&site, None, address), code, "{address}\n{}", site.exim.log("mainlog"));
    }
    site.no_panic();
}

fn a_mailbox_accepts_what_it_has_room_for(form: Form) {
    let site = Site::new(form);
    // Frida's quota is 1000 bytes and 2 messages.
    assert_eq!(rcpt(&site, Some(1000), "frida@example.org"), 250, "there is no mailbox yet");
    assert_eq!(rcpt(&site, Some(1001), "frida@example.org"), 552);
    site.fill("frida@example.org", 600);
    assert_eq!(rcpt(&site, None, "frida@example.org"), 250);
    assert_eq!(rcpt(&site, Some(400), "frida@example.org"), 250, "the limit may be reached");
    assert_eq!(rcpt(&site, Some(401), "frida@example.org"), 552);
    assert_eq!(rcpt(&site, Some(401), "full@example.org"), 552);
    assert_eq!(rcpt(&site, Some(401), "mixed@example.org"), 250, "one of the two has room");
    assert!(
        site.exim.log("rejectlog").contains("over quota: 600 of 1000 bytes used, and this message would be 1 over it"),
        "{}",
        site.exim.log("rejectlog")
    );
    site.accounts.admin(&["account", "set", "frida@example.org", "--quota", "1C"], "");
    assert_eq!(rcpt(&site, None, "frida@example.org"), 552, "the limit is one message");
    site.no_panic();
}

fn a_domain_may_be_full(form: Form) {
    let site = Site::new(form);
    site.fill("anna@example.org", 500);
    site.accounts.admin(&["domain", "set", "example.org", "--quota", "2000"], "");
    assert_eq!(rcpt(&site, Some(1500), "anna@example.org"), 250, "{}", site.exim.log("mainlog"));
    assert_eq!(rcpt(&site, Some(1501), "anna@example.org"), 552);
    // The accounts have limits of their own, so the domain refuses, and then learns how much each contains.
    site.fill("emil@example.org", 400);
    for address in ["anna@example.org", "emil@example.org"] {
        site.accounts.admin(&["account", "set", address, "--quota", "5000"], "");
        assert_eq!(rcpt(&site, Some(2001), address), 552);
    }
    assert_eq!(rcpt(&site, Some(1600), "emil@example.org"), 552);
    site.empty("anna@example.org");
    assert_eq!(rcpt(&site, Some(1600), "emil@example.org"), 250, "{}", site.exim.log("mainlog"));
    assert_eq!(rcpt(&site, Some(1601), "emil@example.org"), 552);
    site.no_panic();
}

fn an_emptied_mailbox_accepts_mail_again(form: Form) {
    let site = Site::new(form);
    let frida = "frida@example.org";
    site.fill(frida, 990);
    for _ in 0..3 {
        assert_eq!(rcpt(&site, Some(400), frida), 552);
    }
    site.empty(frida);
    let mut client = site.exim.connect();
    client.mail("sender@elsewhere.example", Some(400));
    assert_eq!(client.rcpt(frida).code, 250, "{}", site.exim.log("mainlog"));
    assert_eq!(client.data("Subject: again\n\nx\n").code, 250);
    client.quit();
    eventually("the message", Duration::from_secs(30), || site.messages(frida).len() == 1);
    site.no_panic();
}

fn a_mailbox_on_a_missing_disk_is_not_now(form: Form) {
    let site = Site::new(form);
    let frida = "frida@example.org";
    site.fill(frida, 10);
    let maildir = maildir(&site.host, frida);
    let disk = maildir.with_file_name("disk");
    let link = |part: &str| {
        fs::rename(maildir.join(part), disk.join(part)).expect("moved");
        symlink(format!("../disk/{part}"), maildir.join(part)).expect("a link");
        assert_eq!(rcpt(&site, Some(401), frida), 250, "{part}: {}", site.exim.log("mainlog"));
        assert_eq!(rcpt(&site, Some(1000), frida), 552, "{part} is counted: {}", site.exim.log("mainlog"));
    };
    fs::create_dir(&disk).expect("a disk");
    ["cur", "new"].iter().for_each(|part| link(part));
    fs::rename(&disk, maildir.with_file_name("unmounted")).expect("unmounted");
    assert_eq!(rcpt(&site, Some(1000), frida), 451, "{}", site.exim.log("mainlog"));
    site.no_panic();
}

fn authenticated_users_may_send_anywhere(form: Form) {
    let site = Site::new(form);
    let mut client = site.exim.connect_tls();
    assert_eq!(client.auth_plain(b"anna@example.org", PASSWORD.as_bytes()).code, 235);
    client.mail("anna@example.org", None);
    assert_eq!(client.rcpt("whoever@elsewhere.example").code, 250);
    assert_eq!(client.rcpt("dora@example.org").code, 250);
    assert_eq!(client.rcpt("nobody@example.org").code, 550);
    client.quit();
    site.no_panic();
}

/// Returns the code and text of the reply to a recipient.
fn answer(site: &Site, address: &str) -> String {
    let mut client = site.exim.connect();
    client.mail("sender@elsewhere.example", None);
    let reply = client.rcpt(address).to_string();
    client.quit();
    reply
}

fn mail_for_an_account_without_mail_is_refused_with_a_reason(form: Form) {
    let site = Site::new(form);
    site.accounts.admin(&["account", "set", "anna@example.org", "--no-mail"], "");
    let refused = answer(&site, "anna@example.org");
    assert!(refused.contains("550 5.2.1 this mailbox receives no mail"), "{refused}");
    assert_eq!(rcpt(&site, None, "team@example.org"), 250, "another target accepts it");
    assert_eq!(rcpt(&site, None, "info@example.org"), 550);
    site.accounts.admin(&["account", "set", "anna@example.org", "--mail"], "");
    assert_eq!(rcpt(&site, None, "anna@example.org"), 250);
    site.no_panic();
}

/// Returns how Exim routes mail for an address, router by router. There is no DNS here for the last one.
fn route(site: &Site, address: &str) -> String {
    site.exim.run(&["-d-all+route", "-bt", address], "").said
}

fn mail_for_a_backup_domain_is_accepted_and_forwarded(form: Form) {
    let mut site = Site::new(form);
    site.accounts.admin(&["domain", "add", "backup.example", "--backup"], "");
    assert_eq!(rcpt(&site, None, "whoever@backup.example"), 250, "{}", site.exim.log("mainlog"));
    let routed = route(&site, "whoever@backup.example");
    let sent_on = |address: &str| format!("elsewhere router called for {address}");
    assert!(routed.contains(&sent_on("whoever@backup.example")), "{routed}");
    let bounces = "expanded: ':fail: there is no such mailbox here'";
    assert!(!routed.contains(bounces), "{routed}");
    let own = route(&site, "nobody@example.org");
    assert!(own.contains(bounces) && !own.contains(&sent_on("nobody@example.org")), "{own}");
    let here = route(&site, "anna@example.org");
    assert!(here.contains("router = mailboxes"), "{here}");
    site.accounts.admin(&["domain", "set", "backup.example", "--disabled"], "");
    assert_eq!(rcpt(&site, None, "whoever@backup.example"), 550);
    site.no_panic();
    site.stop_daemon();
    let waits = route(&site, "nobody@example.org");
    assert!(!waits.contains(bounces) && !waits.contains(&sent_on("nobody@example.org")), "{waits}");
}

fn an_alias_domain_accepts_the_same_mail(form: Form) {
    let site = Site::new(form);
    assert_eq!(rcpt(&site, None, "anna@old.example"), 550);
    site.accounts.admin(&["domain", "alias", "add", "old.example", "example.org"], "");
    for (address, code) in [
        ("anna@old.example", 250),
        ("anna+news@Old.example", 250),
        ("team@old.example", 250),
        ("carla@old.example", 550), // disabled
        ("nobody@old.example", 550),
    ] {
        assert_eq!(rcpt(&site, None, address), code, "{address}\n{}", site.exim.log("mainlog"));
    }
    site.accounts.admin(&["domain", "alias", "set", "old.example", "--disabled"], "");
    assert_eq!(rcpt(&site, None, "anna@old.example"), 550);
    site.accounts.admin(&["domain", "alias", "remove", "old.example"], "");
    assert_eq!(rcpt(&site, None, "anna@old.example"), 550);
    site.no_panic();
}
