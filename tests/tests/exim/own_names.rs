//! Mail for the names of the host itself, and the ports for mail programs.

use crate::in_each_form;
use crate::ports::mail_programs_log_in;
use crate::site::Site;
use mailauth_tests::exim::Form;
use mailauth_tests::people::PASSWORD;
use mailauth_tests::{eventually, run};
use std::fs;
use std::time::Duration;

in_each_form!(mail_for_the_host_goes_to_aliases_and_system_users);

/// A system user of Debian.
const USER: &str = "games";

fn mail_for_the_host_goes_to_aliases_and_system_users(form: Form) {
    let mut site = Site::new(form);
    site.alias_root();
    for (port, recipient, reply) in [
        (25, "root@mail.example.org", "250 Accepted"),
        (25, "postmaster@localhost", "250 Accepted"),
        (25, "postmaster", "250 Accepted"),
        (25, "games@mail.example.org", "250 Accepted"),
        (25, "no-such-user@mail.example.org", "550 5.1.1 there is no such mailbox here"),
        (25, "anna@mail.example.org", "550 5.1.1 there is no such mailbox here"),
        (25, "games@example.org", "550 5.1.1 there is no such mailbox here"),
        (25, "anna@example.org", "250 Accepted"),
        (25, "anyone@elsewhere.example", "550 relay not permitted"),
        (465, "anna@example.org", "530 5.7.0 authentication required"),
        (587, "root@mail.example.org", "530 5.7.0 authentication required"),
    ] {
        assert_eq!(site.reply_to_stranger(port, recipient), reply, "{recipient} on port {port}");
    }
    mail_programs_log_in(&site);

    // A program of the host sends to root without a domain, as cron does, while the daemon is down.
    site.stop_daemon();
    let sent = site.exim.run(&["root", USER], "Subject: hello\n\nfrom cron\n");
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let mailbox = site.host.inside(&format!("/var/mail/{USER}"));
    eventually("the user's message", Duration::from_secs(20), || {
        fs::read_to_string(&mailbox).is_ok_and(|text| text.contains("from cron"))
    });
    let owner = run(site.host.command("stat").args(["-c", "%U:%G %a", &format!("/var/mail/{USER}")]));
    assert_eq!(owner.trim_end(), format!("{USER}:mail 660"));
    assert_eq!(site.exim.waiting(), 1, "root's, which is for an account");
    site.start_daemon();
    site.exim.run_queue();
    eventually("root's message", Duration::from_secs(20), || site.messages("anna@example.org").len() == 1);
    site.no_panic();
}

#[test]
fn without_an_alias_root_receives_nothing() {
    let site = Site::new(Form::Dlfunc);
    run(site.host.command("sed").args(["-i", "/^root:/d", "/etc/aliases"]));
    assert_eq!(site.reply_to_stranger(25, "root@mail.example.org"), "550 5.1.1 there is no such mailbox here");
    // Clients that have logged in are told so too.
    let mut client = site.exim.connect_tls();
    assert_eq!(client.auth_plain(b"anna@example.org", PASSWORD.as_bytes()).code, 235);
    client.mail("anna@example.org", None);
    assert_eq!(client.rcpt("root@mail.example.org").code, 550);
    client.quit();
    site.no_panic();
}
