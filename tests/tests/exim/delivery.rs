//! The delivery of mail.

use crate::in_each_form;
use crate::site::{ODD, Site};
use mailauth_tests::exim::{Form, maildir};
use mailauth_tests::{MailHost, eventually, output_with_input, program};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Duration;

in_each_form!(
    mail_is_delivered_to_the_right_mailbox_as_its_owner,
    a_full_mailbox_bounces_and_never_overflows,
    an_emptied_mailbox_receives_mail_at_once,
    mail_with_a_detail_or_an_alias_domain_arrives_in_the_inbox,
);

const MESSAGE: &str = "From: sender@elsewhere.example\nSubject: Lunch?\n\nAt noon.\n";

fn send(site: &Site, addresses: &[&str]) {
    let mut client = site.exim.connect();
    client.mail("sender@elsewhere.example", None);
    for address in addresses {
        assert_eq!(client.rcpt(address).code, 250, "{address}");
    }
    let reply = client.data(MESSAGE);
    assert_eq!(reply.code, 250, "{reply}\n{}", site.exim.log("mainlog"));
    client.quit();
}

fn wait_for(site: &Site, address: &str, count: usize) {
    let what = format!("{count} messages for {address}");
    let limit = Duration::from_secs(30);
    let begin = std::time::Instant::now();
    while site.messages(address).len() < count {
        assert!(begin.elapsed() < limit, "not {what}:\n{}{}", site.exim.log("mainlog"), site.exim.log("paniclog"));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(site.messages(address).len(), count, "{what}");
}

fn mail_is_delivered_to_the_right_mailbox_as_its_owner(form: Form) {
    let site = Site::new(form);
    send(&site, &["frida@example.org", ODD]);
    wait_for(&site, "frida@example.org", 1);
    wait_for(&site, ODD, 1);
    let message = site.messages("frida@example.org").remove(0);
    let found = fs::metadata(&message).expect("the message");
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o777), (MailHost::OWNER.uid, MailHost::OWNER.gid, 0o600));
    assert!(message.to_string_lossy().contains(&format!(",S={}", found.len())), "{message:?}");
    // Courier's first line, and the line of the message.
    let maildirsize = fs::read_to_string(maildir(&site.host, "frida@example.org").join("maildirsize")).expect("a file");
    assert!(maildirsize.starts_with("1000S,2C\n"), "{maildirsize}");
    let mut check = Command::new(program("mailauth"));
    check.args(["quota", "check", "--limit", "1000S,2C", "--maildir"]).arg(maildir(&site.host, "frida@example.org"));
    let checked = output_with_input(&mut check, "");
    assert!(checked.status.success(), "{checked:?}");

    send(&site, &["team@example.org", "whoever@catch.example"]);
    wait_for(&site, "anna@example.org", 1);
    wait_for(&site, "dora@example.org", 1);
    wait_for(&site, "someone@catch.example", 1);
    send(&site, &["dora@example.org"]);
    wait_for(&site, "dora@example.org", 2);
    wait_for(&site, "anna@example.org", 2);
    eventually("an empty queue", Duration::from_secs(20), || site.exim.waiting() == 0);
    site.no_panic();
}

fn a_full_mailbox_bounces_and_never_overflows(form: Form) {
    let site = Site::new(form);
    send(&site, &["frida@example.org"]);
    wait_for(&site, "frida@example.org", 1);
    // The client announces no size, so the message is accepted, and found too large at delivery.
    let mut client = site.exim.connect();
    client.mail("anna@example.org", None);
    assert_eq!(client.rcpt("frida@example.org").code, 250);
    assert_eq!(client.data(&format!("Subject: large\n\n{}\n", "x".repeat(900))).code, 250);
    client.quit();
    site.exim.wait_for_log("mailbox is full");
    assert_eq!(site.messages("frida@example.org").len(), 1);
    site.no_panic();
}

fn an_emptied_mailbox_receives_mail_at_once(form: Form) {
    let site = Site::new(form);
    let frida = "frida@example.org";
    let large = || {
        let mut client = site.exim.connect();
        // The client announces no size, so the transport checks if there is room.
        client.mail("sender@elsewhere.example", None);
        assert_eq!(client.rcpt(frida).code, 250, "{}", site.exim.log("mainlog"));
        assert_eq!(client.data(&format!("Subject: large\n\n{}\n", "x".repeat(300))).code, 250);
        client.quit();
        wait_for(&site, frida, 1);
    };
    site.fill(frida, 990);
    let mut client = site.exim.connect();
    client.mail("sender@elsewhere.example", Some(400));
    assert_eq!(client.rcpt(frida).code, 552, "the refusal counts the mailbox");
    client.quit();
    site.empty(frida);
    large();
    // Exim's own count, which it makes if there is none, is the same as mailauth's.
    site.empty(frida);
    site.fill(frida, 990);
    fs::remove_file(maildir(&site.host, frida).join("maildirsize")).expect("removed");
    let _ = fs::remove_file(maildir(&site.host, frida).join("maildirsums"));
    let mut client = site.exim.connect();
    client.mail("anna@example.org", None);
    assert_eq!(client.rcpt(frida).code, 250);
    assert_eq!(client.data(&format!("Subject: large\n\n{}\n", "x".repeat(300))).code, 250);
    client.quit();
    site.exim.wait_for_log("mailbox is full");
    site.empty(frida);
    large();
    site.no_panic();
}

/// What docs/exim.md and docs/troubleshooting.md say about a home that does not exist.
#[test]
fn mail_waits_while_its_owner_may_not_make_the_home() {
    let site = Site::new(Form::Dlfunc);
    site.accounts.admin(&["domain", "add", "new.example"], "");
    site.accounts.admin(&["account", "add", "first@new.example", "--no-password"], "");
    send(&site, &["first@new.example"]);
    site.exim.wait_for_log("cannot create");
    assert_eq!(site.exim.waiting(), 1);
    let install =
        "install -d -m 755 /var/mail/new.example; install -d -o 5000 -g 5000 -m 700 /var/mail/new.example/first";
    mailauth_tests::run(site.host.command("sh").args(["-ec", install]));
    site.exim.run_queue();
    wait_for(&site, "first@new.example", 1);
    site.no_panic();
}

#[test]
fn mail_for_an_international_domain_arrives_in_both_spellings() {
    let site = Site::new(Form::Dlfunc);
    let ids = ["--uid", "5000", "--gid", "5000"];
    let add = |arguments: &[&str]| site.accounts.admin(&[arguments, &ids].concat(), "");
    site.accounts.admin(&["domain", "add", "bücher.example"], "");
    add(&["account", "add", "zoe@bücher.example", "--no-password", "--home", "/var/mail/example.org/zoe"]);
    add(&["account", "add", "jürgen@bücher.example", "--no-password", "--home", "/var/mail/example.org/jurgen"]);
    site.accounts.admin(&["alias", "add", "info@bücher.example", "zoe@bücher.example"], "");
    let mut client = site.exim.connect();
    assert!(client.offers("SMTPUTF8"), "this Exim knows no addresses beyond ASCII");
    for (recipients, letters) in [
        (&["zoe@xn--bcher-kva.example", "info@XN--BCHER-KVA.example"][..], ""),
        (&["zoe@bücher.example", "ju\u{308}rgen@BÜCHER.example"], " SMTPUTF8"),
    ] {
        assert_eq!(client.command(format!("MAIL FROM:<sender@elsewhere.example>{letters}")).code, 250);
        for recipient in recipients {
            assert_eq!(client.rcpt(recipient).code, 250, "{recipient}\n{}", site.exim.log("mainlog"));
        }
        if !letters.is_empty() {
            assert_eq!(client.rcpt("nobody@bücher.example").code, 550);
            assert_eq!(client.rcpt("zoe@bucher.example").code, 550);
        }
        assert_eq!(client.data("Subject: in any spelling\n\nhello\n").code, 250);
    }
    client.quit();
    // Each recipient gets one copy of the message.
    wait_for(&site, "zoe@example.org", 2);
    wait_for(&site, "jurgen@example.org", 1);
    eventually("an empty queue", Duration::from_secs(20), || site.exim.waiting() == 0);
    site.no_panic();
}

fn mail_with_a_detail_or_an_alias_domain_arrives_in_the_inbox(form: Form) {
    let site = Site::new(form);
    site.accounts.admin(&["domain", "alias", "add", "old.example", "example.org"], "");
    send(&site, &["emil+news@example.org"]);
    wait_for(&site, "emil@example.org", 1);
    send(&site, &["emil+../../x@example.org"]);
    wait_for(&site, "emil@example.org", 2);
    send(&site, &["emil+news@old.example"]);
    wait_for(&site, "emil@example.org", 3);
    // Dora's is an alias that keeps a copy.
    send(&site, &["dora+news@old.example"]);
    wait_for(&site, "dora@example.org", 1);
    wait_for(&site, "anna@example.org", 1);
    eventually("an empty queue", Duration::from_secs(20), || site.exim.waiting() == 0);
    site.no_panic();
}
