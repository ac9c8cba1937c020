//! The Debian packages on a bare Debian 12 that its own systemd has booted: installed next to Courier and Exim, rebooted,
//! upgraded under load, removed, installed again and purged.

#[path = "installed/logins.rs"]
mod logins;
#[path = "installed/machine.rs"]
mod machine;

use logins::{smtp, while_logins_go_on};
use machine::{ANNA, DATABASE, Machine, VERSIONS};
use mailauth_tests::imap::Imap;
use mailauth_tests::people::PASSWORD;
use mailauth_tests::{Scratch, eventually};
use rusqlite::Connection;
use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn the_packages_work_from_the_first_login_to_the_purge() {
    let name = "the_packages_work_from_the_first_login_to_the_purge";
    let Some(mut machine) = Machine::new(name) else { return };
    are_installed_next_to_courier_and_exim(&machine);
    deliver_mail(&machine);

    machine.booted.reboot();
    machine.answers_from_mailauth();

    stay_when_courier_is_upgraded(&machine);
    are_upgraded_under_load(&machine);
    give_courier_its_daemon_back(&mut machine);
    take_over_again_with_the_accounts(&machine);
    leave_the_accounts_when_purged(&machine);
    delete_the_accounts_on_request(&machine);
}

/// Prints a figure, also if cargo captures the output of the test.
fn print(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

fn are_installed_next_to_courier_and_exim(machine: &Machine) {
    let begin = Instant::now();
    machine.apt(&format!("install courier-imap courier-pop exim4-daemon-heavy {}", machine.packages(VERSIONS[0])));
    let installed = begin.elapsed();
    machine.add_anna();
    let said = machine.booted.on_its_network(|| Imap::connect(143).login(ANNA, PASSWORD));
    let login = begin.elapsed();
    assert_eq!(said, "OK LOGIN Ok.");
    print(&format!(
        "installed in a bare Debian with Courier and Exim: {:.1} s from apt-get install to the first IMAP login \
         (apt-get {:.1} s, without the download)",
        login.as_secs_f32(),
        installed.as_secs_f32(),
    ));
    machine.add_olga();
    machine.set_up_exim();
    machine.answers_from_mailauth();
}

/// Asserts that a message which a client sends through Exim arrives in the mailbox of another login.
fn deliver_mail(machine: &Machine) {
    machine.booted.on_its_network(|| {
        let mut client = smtp(machine.authority());
        assert_eq!(client.auth_plain(ANNA.as_bytes(), PASSWORD.as_bytes()).code, 235);
        client.mail(ANNA, None);
        let reply = client.rcpt(ANNA);
        assert_eq!(reply.code, 250, "{reply}");
        let reply = client.data("Subject: installed\n\nHello.\n");
        assert_eq!(reply.code, 250, "{reply}");
        client.quit();
        eventually("the message", LIMIT, has_the_message);
    });
}

fn has_the_message() -> bool {
    let mut client = Imap::connect(143);
    assert_eq!(client.login(ANNA, PASSWORD), "OK LOGIN Ok.");
    client.command("SELECT INBOX").iter().any(|line| line == "* 1 EXISTS")
}

fn stay_when_courier_is_upgraded(machine: &Machine) {
    machine.apt("install --reinstall courier-authdaemon courier-base courier-imap courier-pop");
    machine.answers_from_mailauth();
}

/// Asserts that no login fails while the packages are replaced by newer ones, whose daemon needs other tables.
fn are_upgraded_under_load(machine: &Machine) {
    let booted = &machine.booted;
    // The tables of the older version appear when its daemon ends, as if it had always used them: this daemon is of the
    // same version as the next one, and would not answer from them.
    write_older_tables(machine, "/root/older.db");
    booted.write(
        "/root/set-back.sh",
        &format!(
            "[ -e /root/older.db ] || exit 0\nrm {DATABASE}*\n\
             install -o mailauth -g mailauth -m 640 /root/older.db {DATABASE}\nrm /root/older.db\n"
        ),
    );
    let drop_in = "[Service]\nExecStopPost=+/bin/sh -e /root/set-back.sh\n";
    booted.write("/etc/systemd/system/mailauth-courier.service.d/older.conf", drop_in);
    booted.shell("systemctl daemon-reload");
    machine.answers_from_mailauth();
    let before = booted.property("mailauth-courier", "MainPID");

    let begin = Instant::now();
    let record = while_logins_go_on(machine, || {
        machine.apt(&format!("install {}", machine.packages(VERSIONS[1])));
    });
    let took = begin.elapsed();
    assert_eq!(record.wrong, Vec::<String>::new(), "{:?}", record.right);
    assert!(record.right.iter().all(|(_, count)| *count > 10), "{:?}", record.right);
    print(&format!(
        "upgraded during logins in {:.1} s: {:?} logins, none failed, the slowest took {:.1} s",
        took.as_secs_f32(),
        record.right,
        record.slowest.as_secs_f32(),
    ));
    assert_ne!(booted.property("mailauth-courier", "MainPID"), before, "the daemon was not restarted");
    assert!(!booted.inside("/root/older.db").exists(), "the tables were not set back");
    booted.shell("rm -r /etc/systemd/system/mailauth-courier.service.d; systemctl daemon-reload");
    let versions = booted.shell("dpkg-query -W -f '${Version}\\n' mailauth mailauth-exim");
    assert!(versions.lines().all(|version| version.starts_with(VERSIONS[1])), "{versions}");
    machine.answers_from_mailauth();
}

/// Writes a copy of the database of a daemon that has nothing to do, without what the step from version 3 to version 4 of
/// the tables has added.
fn write_older_tables(machine: &Machine, path: &str) {
    let folder = Scratch::new("older");
    // SQLite does not open files below /proc.
    for suffix in ["", "-wal"] {
        let from = machine.booted.inside(&format!("{DATABASE}{suffix}"));
        if from.exists() {
            fs::copy(from, folder.join(format!("copy{suffix}"))).expect("a copy");
        }
    }
    let taken_back = "DROP TABLE alias_domains;
        ALTER TABLE domains DROP COLUMN backup;
        ALTER TABLE accounts DROP COLUMN receives;
        DELETE FROM schema_version WHERE version > 3;
        INSERT OR IGNORE INTO schema_version (version) VALUES (3);
        PRAGMA journal_mode = DELETE;";
    let connection = Connection::open(folder.join("copy")).expect("the copy");
    connection.execute_batch(taken_back).expect("older tables");
    drop(connection);
    fs::copy(folder.join("copy"), machine.booted.inside(path)).expect("a copy");
}

fn give_courier_its_daemon_back(machine: &mut Machine) {
    machine.apt("remove mailauth mailauth-exim");
    machine.answers_from_courier();
    machine.booted.reboot();
    machine.answers_from_courier();
}

/// Asserts that an installation next to a Courier that is running takes over from it, with the accounts of before.
fn take_over_again_with_the_accounts(machine: &Machine) {
    machine.apt(&format!("install {}", machine.packages(VERSIONS[1])));
    machine.answers_from_mailauth();
}

/// Asserts that a purge says that it leaves the accounts, and that the next installation has them.
fn leave_the_accounts_when_purged(machine: &Machine) {
    let said = machine.apt("purge mailauth mailauth-exim");
    assert!(said.contains("the accounts in /var/lib/mailauth and the mail in /var/mail were kept"), "{said}");
    machine.answers_from_courier();
    assert!(has_mail(machine));
    machine.apt(&format!("install {}", machine.packages(VERSIONS[1])));
    machine.allow_exim();
    machine.answers_from_mailauth();
}

fn delete_the_accounts_on_request(machine: &Machine) {
    let said = machine.booted.shell("MAILAUTH_PURGE_ACCOUNTS=yes apt-get -y purge mailauth mailauth-exim 2>&1");
    assert!(said.contains("the accounts in /var/lib/mailauth were deleted"), "{said}");
    assert!(has_mail(machine), "mail is never deleted");
    let left = machine.booted.shell(
        "ls -d /etc/mailauth /var/lib/mailauth /run/mailauth* /usr/lib/mailauth 2>/dev/null || true
         find /etc/systemd /lib/systemd /usr/lib/tmpfiles.d /usr/lib/sysusers.d -name '*mailauth*'",
    );
    assert_eq!(left, "");
    machine.answers_from_courier();
}

fn has_mail(machine: &Machine) -> bool {
    let found =
        machine.booted.shell("find /var/mail/example.org/anna/Maildir -type f -path '*/cur/*' -o -path '*/new/*'");
    !found.is_empty()
}

#[test]
fn courier_may_be_installed_after_the_daemon() {
    let Some(machine) = Machine::new("courier_may_be_installed_after_the_daemon") else { return };
    let packages = machine.packages(VERSIONS[0]);
    machine.apt(&format!("install --no-install-recommends {packages}"));
    machine.add_anna();
    assert_eq!(machine.answer(ANNA), "ACCOUNT");
    machine.apt("install courier-imap courier-pop exim4-daemon-heavy");
    let said = machine.booted.on_its_network(|| Imap::connect(143).login(ANNA, PASSWORD));
    assert_eq!(said, "OK LOGIN Ok.");
}
