//! SMTP AUTH.

use crate::in_each_form;
use crate::site::{ODD, ODD_PASSWORD, Site};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use mailauth_tests::exim::Form;
use mailauth_tests::people::{DORAS_PASSWORD, PASSWORD};
use mailauth_tests::{Scratch, eventually, output_with_input};
use md5::Md5;
use std::process::Command;
use std::time::Duration;

in_each_form!(
    only_the_right_password_logs_in,
    accounts_that_may_not_send_are_refused_like_wrong_passwords,
    passwords_are_bytes_and_never_expanded,
    a_challenge_needs_a_stored_clear_password,
    a_secret_fetched_by_exim_is_not_logged_as_a_login,
    logins_want_tls,
    swaks_logs_in_and_sends,
    clients_that_prefer_cram_md5_log_in_though_a_hash_is_stored,
);

/// The two mechanisms that send the password.
const BOTH: [fn(&Site, &str, &str) -> u16; 2] = [plain, login];

fn plain(site: &Site, login: &(impl AsRef<[u8]> + ?Sized), password: &(impl AsRef<[u8]> + ?Sized)) -> u16 {
    let mut client = site.exim.connect_tls();
    let code = client.auth_plain(login.as_ref(), password.as_ref()).code;
    client.quit();
    code
}

fn login(site: &Site, login: &str, password: &str) -> u16 {
    let mut client = site.exim.connect_tls();
    let code = client.auth_login(login.as_bytes(), password.as_bytes()).code;
    client.quit();
    code
}

fn only_the_right_password_logs_in(form: Form) {
    let site = Site::new(form);
    for auth in BOTH {
        assert_eq!(auth(&site, "anna@example.org", PASSWORD), 235, "{}", site.exim.log("mainlog"));
        assert_eq!(auth(&site, "Anna@Example.ORG", PASSWORD), 235);
        assert_eq!(auth(&site, "anna@example.org", "Correct horse"), 535);
        assert_eq!(auth(&site, "nobody@example.org", PASSWORD), 535);
        assert_eq!(auth(&site, "anna@elsewhere.example", PASSWORD), 535);
    }
    // Several times on one connection.
    let mut client = site.exim.connect_tls();
    for _ in 0..3 {
        assert_eq!(client.auth_plain(b"anna@example.org", b"wrong").code, 535);
    }
    assert_eq!(client.auth_plain(b"anna@example.org", PASSWORD.as_bytes()).code, 235);
    client.quit();
    if form != Form::Run {
        assert!(site.daemon().log().contains("client=\"127.0.0.1\""), "{}", site.daemon().log());
    }
    site.no_panic();
}

fn accounts_that_may_not_send_are_refused_like_wrong_passwords(form: Form) {
    let site = Site::new(form);
    for (address, password) in [
        ("bruno@example.org", PASSWORD), // only POP3
        ("carla@example.org", PASSWORD), // disabled
        ("emil@example.org", PASSWORD),  // without a password
        ("gina@closed.example", "correct horse"),
    ] {
        assert_eq!(plain(&site, address, password), 535, "{address}");
    }
    let log = site.daemon().log();
    for reason in ["service-not-allowed", "account-disabled", "no-password", "domain-disabled"] {
        assert!(log.contains(reason), "no {reason} in {log}");
    }
    site.no_panic();
}

fn passwords_are_bytes_and_never_expanded(form: Form) {
    let site = Site::new(form);
    for auth in BOTH {
        assert_eq!(auth(&site, ODD, ODD_PASSWORD), 235, "{}", site.exim.log("mainlog"));
    }
    for password in ["a$b", "$auth1", "}", "{", "\\", ",", "\"", "\n", "a\nb", "correct horse\nx", "\u{1}", " "] {
        assert_eq!(plain(&site, ODD, password), 535, "{password:?}");
        assert_eq!(plain(&site, "anna@example.org", password), 535, "{password:?}");
    }
    for address in
        ["${acl{x}}", "anna@example.org\n", "\nanna@example.org", "a\nb@example.org", "$auth2", "}{", "\\x00", "ä@x"]
    {
        assert_eq!(plain(&site, address, PASSWORD), 535, "{address:?}");
    }
    assert_eq!(plain(&site, "anna@example.org", b"\xff\xfe\x80"), 535);
    assert_eq!(plain(&site, "anna@example.org", &"x".repeat(3000)), 535);
    assert_eq!(plain(&site, &("x".repeat(2000) + "@example.org"), PASSWORD), 535);
    site.no_panic();
}

/// Returns the code of the reply to a response to CRAM-MD5's challenge.
fn answer(site: &Site, address: &str, password: &str) -> u16 {
    let mut client = site.exim.connect_tls();
    let code = client.auth_cram_md5(|challenge| {
        let mut mac = Hmac::<Md5>::new_from_slice(password.as_bytes()).expect("a key");
        mac.update(&STANDARD.decode(challenge).expect("base64"));
        let digest: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        STANDARD.encode(format!("{address} {digest}"))
    });
    client.quit();
    code.code
}

fn a_challenge_needs_a_stored_clear_password(form: Form) {
    let site = Site::with_cram(form);
    let answer = |address: &str, password: &str| answer(&site, address, password);
    assert_eq!(answer("dora@example.org", DORAS_PASSWORD), 235, "{}", site.exim.log("mainlog"));
    assert_eq!(answer(ODD, ODD_PASSWORD), 235, "{}", site.exim.log("mainlog"));
    assert_eq!(answer("dora@example.org", "wrong"), 535);
    assert_eq!(answer("anna@example.org", PASSWORD), 535, "a hash is stored");
    assert_eq!(answer("nobody@example.org", ""), 535);
    assert_eq!(answer("emil@example.org", ""), 535, "no password is not an empty one");
    site.no_panic();
}

fn a_secret_fetched_by_exim_is_not_logged_as_a_login(form: Form) {
    let site = Site::with_cram(form);
    site.accounts
        .admin(&["account", "add", "printer@example.org", "--password-stdin", "--scheme", "plain"], "ten pages\n");
    assert_eq!(answer(&site, "printer@example.org", "ten pages"), 235, "{}", site.exim.log("mainlog"));
    assert_eq!(answer(&site, "anna@example.org", PASSWORD), 535);
    let log = site.daemon().log();
    for (address, told) in [
        ("printer@example.org", "answer=\"yes\" reason=\"ok\""),
        ("anna@example.org", "answer=\"no\" reason=\"no-clear-password\""),
    ] {
        let mut lines = log.lines().filter(|line| line.contains("mailauth::decision") && line.contains(address));
        let line = lines.next().unwrap_or_else(|| panic!("no line about {address} in {log}"));
        assert!(line.contains("kind=\"secret\"") && line.contains(told), "{line}");
        assert_eq!(lines.next(), None);
    }
    // The clear password is changed, and Exim gets the new one at once.
    site.accounts
        .admin(&["account", "passwd", "printer@example.org", "--password-stdin", "--scheme", "plain"], "two pages\n");
    assert_eq!(answer(&site, "printer@example.org", "two pages"), 235);
    assert_eq!(answer(&site, "printer@example.org", "ten pages"), 535);
    site.no_panic();
}

fn logins_want_tls(form: Form) {
    let site = Site::new(form);
    let mut clear = site.exim.connect();
    assert!(clear.mechanisms().is_empty(), "{:?}", clear.mechanisms());
    assert_eq!(clear.auth_plain(b"anna@example.org", PASSWORD.as_bytes()).code, 503);
    clear.quit();
    let encrypted = site.exim.connect_tls();
    let mut offered = encrypted.mechanisms();
    offered.sort_unstable();
    assert_eq!(offered, ["LOGIN", "PLAIN"], "CRAM-MD5 could work for few accounts");
    encrypted.quit();
}

/// The mechanism that these two clients choose by themselves.
fn clients_that_prefer_cram_md5_log_in_though_a_hash_is_stored(form: Form) {
    let site = Site::new(form);
    let port = site.exim.port();
    let files = Scratch::new("clients");
    let letter = files.join("letter");
    std::fs::write(&letter, "Subject: by curl\n\nhello\n").expect("a letter");
    let curl = |password: &str| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--verbose", "--ssl-reqd", "--cacert"]);
        command.arg(&site.exim.certificates().authority).arg(format!("smtp://127.0.0.1:{port}"));
        command.args(["--mail-from", "anna@example.org", "--mail-rcpt", "anna@example.org"]);
        command.args(["--user", &format!("anna@example.org:{password}"), "--upload-file"]).arg(&letter);
        let output = output_with_input(&mut command, "");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = curl(PASSWORD);
    assert!(code == Some(0) && said.contains("AUTH PLAIN"), "{code:?}: {said}");
    // 67 is "login denied".
    let (code, said) = curl("wrong");
    assert_eq!(code, Some(67), "{said}");
    let swaks = |password: &str| {
        let mut command = Command::new("swaks");
        command.args(["--server", "127.0.0.1", "--port", &port.to_string(), "--tls", "--auth"]);
        command.args(["--auth-user", "anna@example.org", "--auth-password", password]);
        command.args(["--from", "anna@example.org", "--to", "anna@example.org"]);
        let output = output_with_input(&mut command, "");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = swaks(PASSWORD);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = swaks("wrong");
    assert_eq!(code, Some(28), "{said}");
    eventually("two messages", Duration::from_secs(20), || site.messages("anna@example.org").len() == 2);
    site.no_panic();
}

/// Logs in with an independent client, swaks(1).
fn swaks(site: &Site, mechanism: &str, password: &str) -> (Option<i32>, String) {
    let mut command = Command::new("swaks");
    command.args(["--server", "127.0.0.1", "--port", &site.exim.port().to_string(), "--tls", "--auth", mechanism]);
    command.args(["--auth-user", "dora@example.org", "--auth-password", password]);
    command.args(["--from", "dora@example.org", "--to", "anna@example.org", "--header", "Subject: by swaks"]);
    let output = output_with_input(&mut command, "");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn swaks_logs_in_and_sends(form: Form) {
    let mut site = Site::with_cram(form);
    let mechanisms = ["PLAIN", "LOGIN", "CRAM-MD5"];
    for mechanism in mechanisms {
        let (code, session) = swaks(&site, mechanism, DORAS_PASSWORD);
        assert_eq!(code, Some(0), "{session}");
        let (code, session) = swaks(&site, mechanism, "wrong");
        // 28 is "authentication failed".
        assert!(code == Some(28) && session.contains("<~* 535"), "{code:?}\n{session}");
    }
    eventually("three messages", Duration::from_secs(20), || site.messages("anna@example.org").len() == 3);
    site.stop_daemon();
    for mechanism in mechanisms {
        let (code, session) = swaks(&site, mechanism, DORAS_PASSWORD);
        assert!(code == Some(28) && session.contains("<~* 435"), "{code:?}\n{session}");
    }
    site.no_panic();
}
