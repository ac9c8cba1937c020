//! The SMTP server chasquid, with the lines that docs/dovecot.md prints.

use crate::dovecot::PAGE;
use crate::page::page;
use crate::site::{LIMIT, Site};
use mailauth_tests::people::{ANNA, CARLA, PASSWORD, UNKNOWN};
use mailauth_tests::smtp::Smtp;
use mailauth_tests::{Accounts, Certificates, Child, Kind, Scratch, User, eventually, free_port};
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;

/// The program, which tests/run unpacks.
const PROGRAM: &str = "/var/cache/mailauth-tests/chasquid/usr/bin/chasquid";

#[test]
fn chasquid_knows_logins_and_recipients_and_waits_in_an_outage() {
    assert!(Path::new(PROGRAM).exists(), "tests/run unpacks chasquid");
    let site = Site::new(Accounts::empty(Kind::Sqlite), "", "[cache]\nenabled = false");
    let files = Scratch::new("chasquid");
    let certificates = Certificates::make(files.path(), User { uid: 0, gid: 0 });
    for (from, to) in [(&certificates.certificate, "fullchain.pem"), (&certificates.key, "privkey.pem")] {
        let text = fs::read_to_string(from).expect("a certificate");
        site.write(&format!("/etc/chasquid/certs/localhost/{to}"), &text);
    }
    fs::create_dir_all(site.host.inside("/etc/chasquid/domains/example.org")).expect("a domain");
    let printed = page(PAGE).into_iter().find(|piece| piece.text.starts_with("dovecot_auth: "));
    let (smtp, submission) = (free_port(), free_port());
    let config = format!(
        "hostname: \"localhost\"\nsmtp_address: \"127.0.0.1:{smtp}\"\nsubmission_address: \"127.0.0.1:{submission}\"\n\
         mail_delivery_agent_bin: \"/bin/true\"\nmail_log_path: \"<stderr>\"\n{}",
        printed.expect("the lines").text
    );
    site.write("/etc/chasquid/chasquid.conf", &config);
    let mut command = site.host.command(PROGRAM);
    let log = File::create(site.files.join("chasquid")).expect("a log");
    command.arg("-config_dir=/etc/chasquid").stdin(Stdio::null());
    command.stdout(log.try_clone().expect("a descriptor")).stderr(log);
    let _process = Child::spawn(command);
    eventually("chasquid", LIMIT, || [smtp, submission].iter().all(|p| TcpStream::connect(("127.0.0.1", *p)).is_ok()));

    let logs_in = |login: &str, password: &str| {
        let mut client = Smtp::connect_tls(submission, &certificates.authority);
        client.auth_plain(login.as_bytes(), password.as_bytes()).code
    };
    let recipient = |address: &str| {
        let mut client = Smtp::connect(smtp);
        client.mail("", None);
        client.rcpt(address).code
    };
    for (login, password, code) in
        [(ANNA, PASSWORD, 235), (ANNA, "wrong", 535), (UNKNOWN, PASSWORD, 535), (CARLA, PASSWORD, 535)]
    {
        assert_eq!(logs_in(login, password), code, "{login} {password}: {}", site.log());
    }
    assert_eq!([ANNA, UNKNOWN].map(recipient), [250, 550], "{}", site.log());
    let folder = site.accounts.file().parent().expect("a folder").to_owned();
    let away = folder.with_file_name("away");
    fs::rename(&folder, &away).expect("the database");
    site.reload();
    eventually("an outage", LIMIT, || logs_in(ANNA, PASSWORD) == 454);
    assert_eq!(logs_in(ANNA, "wrong"), 454);
    assert_eq!([ANNA, UNKNOWN].map(recipient), [451, 451]);
    fs::rename(&away, &folder).expect("the database");
    site.reload();
    eventually("the database", LIMIT, || logs_in(ANNA, PASSWORD) == 235);
}
