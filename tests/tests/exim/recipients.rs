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
    mail_is_taken_for_who_is_here_and_for_nobody_else,
    a_mailbox_takes_what_it_has_room_for,
    who_has_logged_in_may_send_anywhere,
    a_domain_may_be_full,
    a_mailbox_that_was_emptied_takes_mail_again,
    a_mailbox_on_a_disk_that_is_not_there_is_not_now,
);

fn rcpt(site: &Site, size: Option<u64>, address: &str) -> u16 {
    let mut client = site.exim.connect();
    client.mail("sender@elsewhere.example", size);
    let code = client.rcpt(address).code;
    client.quit();
    code
}

fn mail_is_taken_for_who_is_here_and_for_nobody_else(form: Form) {
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

fn a_mailbox_takes_what_it_has_room_for(form: Form) {
    let site = Site::new(form);
    // Frida may keep 1000 bytes and 2 messages.
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
    assert_eq!(rcpt(&site, None, "frida@example.org"), 552, "one message is all");
    site.no_panic();
}

fn a_domain_may_be_full(form: Form) {
    let site = Site::new(form);
    site.fill("anna@example.org", 500);
    site.accounts.admin(&["domain", "set", "example.org", "--quota", "2000"], "");
    assert_eq!(rcpt(&site, Some(1500), "anna@example.org"), 250, "{}", site.exim.log("mainlog"));
    assert_eq!(rcpt(&site, Some(1501), "anna@example.org"), 552);
    site.no_panic();
}

fn a_mailbox_that_was_emptied_takes_mail_again(form: Form) {
    let site = Site::new(form);
    let frida = "frida@example.org";
    site.fill(frida, 990);
    for _ in 0..3 {
        assert_eq!(rcpt(&site, Some(400), frida), 552);
    }
    let cur = maildir(&site.host, frida).join("cur");
    for message in fs::read_dir(&cur).expect("cur") {
        fs::remove_file(message.expect("a message").path()).expect("removed");
    }
    let mut client = site.exim.connect();
    client.mail("sender@elsewhere.example", Some(400));
    assert_eq!(client.rcpt(frida).code, 250, "{}", site.exim.log("mainlog"));
    assert_eq!(client.data("Subject: again\n\nx\n").code, 250);
    client.quit();
    eventually("the message", Duration::from_secs(30), || site.messages(frida).len() == 1);
    site.no_panic();
}

fn a_mailbox_on_a_disk_that_is_not_there_is_not_now(form: Form) {
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

fn who_has_logged_in_may_send_anywhere(form: Form) {
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
