//! No mail is lost and no login is refused while the daemon or its database is unreachable.

use crate::in_each_form;
use crate::site::Site;
use mailauth_tests::exim::Form;
use mailauth_tests::people::PASSWORD;
use mailauth_tests::{Accounts, Kind, User, eventually, run};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

in_each_form!(
    without_a_daemon_everything_is_not_now,
    a_frozen_daemon_delays_exim_only_to_the_deadline,
    without_its_database_everything_is_not_now,
    accepted_mail_waits_and_then_arrives,
    authenticated_users_can_send_and_the_mail_waits,
);

/// Asserts that each question that an SMTP client can cause is answered with "not now".
fn everything_is_not_now(site: &Site) {
    let codes = |site: &Site| {
        let mut client = site.exim.connect_tls();
        let plain = client.auth_plain(b"anna@example.org", PASSWORD.as_bytes());
        let wrong = client.auth_login(b"anna@example.org", b"wrong");
        let cram =
            client.auth_cram_md5(|_| "ZG9yYUBleGFtcGxlLm9yZyAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMA==".into());
        client.mail("sender@elsewhere.example", None);
        let known = client.rcpt("anna@example.org");
        let unknown = client.rcpt("nobody@example.org");
        let elsewhere = client.rcpt("address@elsewhere.example");
        client.quit();
        for reply in [&plain, &wrong, &cram, &known, &unknown, &elsewhere] {
            assert!(!reply.text.contains("/run/"), "a client is told too much: {reply}");
        }
        [plain, wrong, cram, known, unknown, elsewhere].map(|reply| reply.code)
    };
    assert_eq!(codes(site), [435, 435, 435, 451, 451, 451], "{}", site.exim.log("mainlog"));
    site.no_panic();
}

fn without_a_daemon_everything_is_not_now(form: Form) {
    let mut site = Site::with_cram(form);
    site.stop_daemon();
    everything_is_not_now(&site);
}

fn a_frozen_daemon_delays_exim_only_to_the_deadline(form: Form) {
    let site = Site::with_cram(form);
    site.daemon().signal(Signal::STOP);
    let begin = Instant::now();
    everything_is_not_now(&site);
    // Six questions of 3 seconds, or of 5 with ${readsocket.
    assert!(begin.elapsed() < Duration::from_secs(45), "{:?}", begin.elapsed());
    site.daemon().signal(Signal::CONT);
    let mut client = site.exim.connect_tls();
    assert_eq!(client.auth_plain(b"anna@example.org", PASSWORD.as_bytes()).code, 235);
    client.quit();
}

fn without_its_database_everything_is_not_now(form: Form) {
    let site = Site::make(form, Accounts::on_own_server(Kind::MariaDb), true);
    site.accounts.server().stop();
    everything_is_not_now(&site);
    if form == Form::Dlfunc {
        assert!(site.exim.log("mainlog").contains("cannot be reached"), "{}", site.exim.log("mainlog"));
    }
    site.accounts.server().start();
    eventually("recovery", Duration::from_secs(30), || {
        let mut client = site.exim.connect();
        client.mail("sender@elsewhere.example", None);
        let taken = client.rcpt("anna@example.org").code == 250;
        client.quit();
        taken
    });
}

fn accepted_mail_waits_and_then_arrives(form: Form) {
    let mut site = Site::new(form);
    let mut client = site.exim.connect();
    client.mail("sender@elsewhere.example", None);
    assert_eq!(client.rcpt("anna@example.org").code, 250);
    assert_eq!(client.rcpt("team@example.org").code, 250);
    site.stop_daemon();
    assert_eq!(client.data("Subject: patience\n\nx\n").code, 250);
    client.quit();
    // Once for each recipient, and once more by the queue runner.
    site.exim.wait_for_log("team@example.org R=aliases defer");
    site.exim.run_queue();
    assert_eq!(site.exim.waiting(), 1, "{}", site.exim.log("mainlog"));
    assert!(!site.exim.log("mainlog").contains(" ** "), "{}", site.exim.log("mainlog"));
    site.start_daemon();
    site.exim.run_queue();
    eventually("an empty queue", Duration::from_secs(30), || site.exim.waiting() == 0);
    assert_eq!(site.messages("anna@example.org").len(), 1, "one copy for two paths to the same mailbox");
    site.no_panic();
}

fn authenticated_users_can_send_and_the_mail_waits(form: Form) {
    let accounts = Accounts::on_own_server(Kind::MariaDb).with_snapshot("");
    let site = Site::over(form, accounts);
    eventually("a copy", Duration::from_secs(30), || site.accounts.snapshot_is_whole());
    site.accounts.server().stop();
    let mut client = site.exim.connect_tls();
    assert_eq!(client.auth_plain(b"anna@example.org", PASSWORD.as_bytes()).code, 235);
    client.mail("anna@example.org", None);
    for address in ["dora@example.org", "somebody@elsewhere.example"] {
        let reply = client.rcpt(address);
        assert_eq!(reply.code, 250, "{address}: {reply}\n{}", site.exim.log("mainlog"));
    }
    assert_eq!(client.data("Subject: away\n\nx\n").code, 250);
    client.quit();
    let mut stranger = site.exim.connect();
    stranger.mail("sender@elsewhere.example", None);
    assert_eq!(stranger.rcpt("anna@example.org").code, 250);
    assert_eq!(stranger.rcpt("nobody@example.org").code, 451);
    assert_eq!(stranger.rcpt("somebody@elsewhere.example").code, 451);
    stranger.quit();
    eventually("mail by the snapshot", Duration::from_secs(30), || site.messages("dora@example.org").len() == 1);
    assert_eq!(site.exim.waiting(), 1, "{}", site.exim.log("mainlog"));
    site.exim.run_queue();
    assert!(!site.exim.log("mainlog").contains(" ** "), "{}", site.exim.log("mainlog"));
    site.no_panic();
}

/// A killed daemon leaves its socket, on which no process listens.
#[test]
fn a_killed_daemon_is_not_now() {
    let mut site = Site::with_cram(Form::Dlfunc);
    site.daemon().signal(Signal::KILL);
    let mut daemon = site.daemon.take().expect("the daemon");
    daemon.wait(Duration::from_secs(20));
    assert!(site.host.socket().exists());
    everything_is_not_now(&site);
}

/// The fallback program next to the object queries the database: as Debian-exim for SMTP, where SIGCHLD is ignored,
/// and as root for routing.
#[test]
fn the_database_is_asked_while_the_daemon_is_down() {
    for form in [Form::Dlfunc, Form::Run] {
        let mut site = Site::over(form, Accounts::empty(Kind::MariaDb));
        site.exim.write("/etc/mailauth/mailauth.toml", &Site::client(&site.accounts, "database", "5s"));
        site.stop_daemon();
        let recipient = |site: &Site| {
            let mut client = site.exim.connect();
            client.mail("sender@elsewhere.example", None);
            let codes = [client.rcpt("anna@example.org").code, client.rcpt("nobody@example.org").code];
            client.quit();
            codes
        };
        assert_eq!(recipient(&site), [451, 451], "the password is readable only by root: {form:?}");
        site.accounts.give_password_to(User::named("Debian-exim"));
        assert_eq!(recipient(&site), [250, 550], "{form:?}: {}", site.exim.log("mainlog"));
        if form == Form::Dlfunc {
            let mut client = site.exim.connect_tls();
            assert_eq!(client.auth_plain(b"anna@example.org", b"wrong").code, 535);
            assert_eq!(client.auth_plain(b"anna@example.org", PASSWORD.as_bytes()).code, 235);
            client.quit();
        }
        let mut client = site.exim.connect();
        client.mail("sender@elsewhere.example", None);
        assert_eq!(client.rcpt("info@example.org").code, 250);
        assert_eq!(client.data("Subject: on foot\n\nx\n").code, 250);
        client.quit();
        eventually("the message", Duration::from_secs(30), || site.messages("anna@example.org").len() == 1);
        eventually("no process of mailauth", Duration::from_secs(20), || !site.processes().contains("mailauth-exim"));
        site.no_panic();
    }
}

/// Exim's user cannot read the Maildirs: mail is accepted, and the delivery, which can read them, enforces the quota.
#[test]
fn mail_is_accepted_for_unreadable_mailboxes_without_the_daemon() {
    for form in [Form::Dlfunc, Form::Run] {
        let mut site = Site::over(form, Accounts::empty(Kind::MariaDb));
        site.exim.write("/etc/mailauth/mailauth.toml", &Site::client(&site.accounts, "database", "5s"));
        site.accounts.give_password_to(User::named("Debian-exim"));
        site.fill(FRIDA, 600);
        site.fill("anna@example.org", 10);
        site.accounts.admin(&["domain", "set", "example.org", "--quota", "2000"], "");
        site.stop_daemon();
        let mut client = site.exim.connect();
        client.mail("sender@elsewhere.example", Some(1500));
        for (address, code) in [(FRIDA, 250), ("anna@example.org", 250), ("nobody@example.org", 550)] {
            assert_eq!(client.rcpt(address).code, code, "{form:?}: {address}: {}", site.exim.log("mainlog"));
        }
        client.quit();
        let mut client = site.exim.connect();
        client.mail("sender@elsewhere.example", None);
        assert_eq!(client.rcpt(FRIDA).code, 250);
        assert_eq!(client.data(&format!("Subject: too much\n\n{}\n", "x".repeat(900))).code, 250);
        client.quit();
        site.exim.wait_for_log("mailbox is full");
        assert_eq!(site.messages(FRIDA).len(), 0, "the delivery enforces the quota");
        site.no_panic();
    }
}

/// As docs/exim.md prints it: Exim's user can read the database, and nothing else.
#[test]
fn exims_user_reads_sqlite_without_the_daemon_if_permitted() {
    let mut site = Site::new(Form::Dlfunc);
    site.exim.write("/etc/mailauth/mailauth.toml", &Site::client(&site.accounts, "database", "5s"));
    let folder = site.accounts.file().parent().expect("its folder").to_owned();
    let mode = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).expect("its mode");
    mode(0o750);
    let recipients = |site: &Site| {
        let mut client = site.exim.connect_tls();
        client.mail("sender@elsewhere.example", None);
        let codes = ["anna@example.org", "nobody@example.org", FRIDA].map(|address| client.rcpt(address).code);
        client.quit();
        codes
    };
    site.fill(FRIDA, 600);
    assert_eq!(recipients(&site), [250, 550, 250], "{}", site.exim.log("mainlog"));
    site.stop_daemon();
    assert_eq!(recipients(&site), [451, 451, 451], "only root can read it");
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/exim.md")).expect("docs/exim.md");
    let lines = page.lines().filter(|line| line.starts_with("chgrp Debian-exim ") || line.starts_with("chmod 2750 "));
    let script: Vec<&str> = lines.collect();
    assert_eq!(script.len(), 2, "{script:?}");
    let file = site.accounts.file();
    let script = script.join("\n").replace("/var/lib/mailauth/mail.db", file.to_str().expect("a path"));
    let script = script.replace("/var/lib/mailauth", folder.to_str().expect("a path"));
    run(Command::new("sh").args(["-e", "-c", &script]));
    assert_eq!(recipients(&site), [250, 550, 250], "{}", site.exim.log("mainlog"));
    // A change by root in the meantime takes effect, and removes nothing that the reader needs.
    site.accounts.admin(&["account", "add", "nobody@example.org", "--password-stdin"], "correct horse\n");
    assert_eq!(recipients(&site), [250, 250, 250], "{}", site.exim.log("mainlog"));
    let mut client = site.exim.connect_tls();
    assert_eq!(client.auth_plain(b"anna@example.org", b"wrong").code, 535);
    assert_eq!(client.auth_plain(b"anna@example.org", PASSWORD.as_bytes()).code, 235);
    client.quit();
    // A killed daemon leaves changes in the write-ahead log.
    site.start_daemon();
    site.daemon().signal(Signal::KILL);
    site.daemon.take().expect("the daemon").wait(Duration::from_secs(20));
    assert_eq!(recipients(&site), [250, 250, 250], "{}", site.exim.log("mainlog"));
    site.no_panic();
}

const FRIDA: &str = "frida@example.org";
