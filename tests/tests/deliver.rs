//! `mailauth deliver` as a mail server uses it: normally, with full disks, and killed at any moment.

use mailauth_tests::{Accounts, Kind, MailHost, Scratch, ended, on_each_database, output_with_input, program};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ANNA: &str = "anna@example.org";
const BRUNO: &str = "bruno@example.org";
const MESSAGE: &str = "From: dora@example.org\nSubject: Lunch?\n\nAt noon.\n";

on_each_database!(
    a_message_is_stored_as_the_owner_of_the_mailbox,
    two_mailboxes_fill_the_quota_of_their_domain,
    mail_for_unknown_recipients_is_refused_permanently,
);

/// Returns accounts with homes in `folder` and this quota.
fn accounts(kind: Kind, folder: &Scratch, quota: &str) -> Accounts {
    let home = |name: &str| {
        let home = folder.join(name);
        fs::create_dir(&home).expect("a home");
        chown(&home, Some(MailHost::OWNER.uid), Some(MailHost::OWNER.gid)).expect("its owner");
        home.display().to_string()
    };
    let (anna, bruno) = (home("anna"), home("bruno"));
    let rows = format!("login,home,quota\n{ANNA},{anna},\"{quota}\"\n{BRUNO},{bruno},\"{quota}\"\n");
    Accounts::empty(kind).with(&rows)
}

#[track_caller]
fn deliver(accounts: &Accounts, login: &str, message: &str, code: i32) -> String {
    ended(&accounts.try_admin(&["deliver", login], message), code)
}

fn maildir(at: &Path) -> PathBuf {
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(at.join(part)).expect("a Maildir");
    }
    at.to_owned()
}

fn files(folder: PathBuf) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

/// Returns the sums of maildirsize, if the file is valid.
fn kept(mailbox: &Path) -> Option<(i64, i64)> {
    let text = fs::read_to_string(mailbox.join("maildirsize")).ok()?;
    let (_, lines) = text.strip_suffix('\n')?.split_once('\n')?;
    let pair = |line: &str| line.split_once(' ').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    lines.split('\n').map(pair).try_fold((0, 0), |sum, pair: Option<(i64, i64)>| {
        let pair = pair?;
        Some((sum.0 + pair.0, sum.1 + pair.1))
    })
}

fn a_message_is_stored_as_the_owner_of_the_mailbox(kind: Kind) {
    let folder = Scratch::new("deliver");
    let accounts = accounts(kind, &folder, "100000S,10C");
    deliver(&accounts, ANNA, MESSAGE, 0);
    let mailbox = folder.join("anna/Maildir");
    let stored = files(mailbox.join("new"));
    assert_eq!(fs::read_to_string(&stored[0]).unwrap(), MESSAGE);
    assert!(stored[0].to_str().unwrap().ends_with(&format!(",S={}", MESSAGE.len())), "{stored:?}");
    for path in [&mailbox, &stored[0], &mailbox.join("maildirsize")] {
        let found = fs::metadata(path).unwrap();
        assert_eq!((found.uid(), found.gid()), (5000, 5000), "{}", path.display());
        assert_eq!(found.mode() & 0o077, 0, "{}", path.display());
    }
    assert_eq!(kept(&mailbox), Some((i64::try_from(MESSAGE.len()).unwrap(), 1)));
    assert_eq!(files(mailbox.join("tmp")).len(), 0);
}

fn two_mailboxes_fill_the_quota_of_their_domain(kind: Kind) {
    let folder = Scratch::new("deliver");
    let accounts = accounts(kind, &folder, "100000S,10C");
    accounts.admin(&["domain", "set", "example.org", "--quota", "1M,2"], "");
    deliver(&accounts, ANNA, MESSAGE, 0);
    deliver(&accounts, BRUNO, MESSAGE, 0);
    let told = deliver(&accounts, ANNA, MESSAGE, 77);
    assert!(told.contains("over the quota of the domain example.org: 2 of 2 messages used"), "{told}");
    let size = ["--size", "10"];
    let told = ended(&accounts.try_admin(&[&["quota", "may-store", BRUNO][..], &size].concat(), ""), 77);
    assert!(told.contains("over the quota of the domain example.org"), "{told}");
    fs::remove_file(&files(folder.join("bruno/Maildir/new"))[0]).unwrap();
    accounts.admin(&["quota", "recount", "--all"], "");
    deliver(&accounts, ANNA, MESSAGE, 0);
    assert_eq!(files(folder.join("anna/Maildir/new")).len(), 2);
    assert_eq!(kept(&folder.join("anna/Maildir")).unwrap().1, 2);
}

fn mail_for_unknown_recipients_is_refused_permanently(kind: Kind) {
    let folder = Scratch::new("deliver");
    let accounts = accounts(kind, &folder, "none");
    deliver(&accounts, "nobody@example.org", MESSAGE, 67);
    accounts.admin(&["account", "set", ANNA, "--disabled"], "");
    deliver(&accounts, ANNA, MESSAGE, 67);
    accounts.admin(&["domain", "set", "example.org", "--disabled"], "");
    deliver(&accounts, BRUNO, MESSAGE, 67);
}

mod with_a_server {
    use super::*;

    mailauth_tests::on_each_server!(mail_is_deferred_while_the_database_is_down);

    fn mail_is_deferred_while_the_database_is_down(kind: Kind) {
        let folder = Scratch::new("deliver");
        let url = match kind {
            Kind::Postgres => "postgres://mailauth@127.0.0.1:1/mail",
            _ => "mysql://mailauth@127.0.0.1:1/mail",
        };
        let config = folder.join("mailauth.toml");
        fs::write(&config, format!("[database]\nurl = \"{url}\"\n")).unwrap();
        let mut command = Command::new(program("mailauth"));
        command.arg("--config").arg(&config).args(["deliver", ANNA]);
        ended(&output_with_input(&mut command, MESSAGE), 75);
    }
}

#[test]
fn mail_is_deferred_after_an_error_of_the_administrator() {
    let folder = Scratch::new("deliver");
    fs::write(folder.join("broken.toml"), "[mailbox]\nuid = \"many\"\n").unwrap();
    let broken = folder.join("broken.toml").display().to_string();
    for arguments in [
        &["deliver"][..],
        &["deliver", "--maildir", "/nowhere"],
        &["deliver", "--maildir", "/nowhere", "--limit", "1X"],
        &["deliver", "--maildir", "/nowhere", "--limit", "1000S"],
        &["deliver", "--unheard-of", ANNA],
        &["deliver", "--over-quota-exit", "57", ANNA],
        &["--config", &broken, "deliver", ANNA],
    ] {
        let mut command = Command::new(program("mailauth"));
        ended(&output_with_input(command.args(arguments).current_dir(folder.path()), MESSAGE), 75);
    }
}

#[test]
fn a_full_mailbox_is_reported_as_the_mail_server_expects() {
    let folder = Scratch::new("deliver");
    let accounts = accounts(Kind::Sqlite, &folder, "100S");
    let told = deliver(&accounts, ANNA, &"x".repeat(101), 77);
    assert!(told.contains("over quota"), "{told}");
    ended(&accounts.try_admin(&["deliver", "--over-quota-exit", "75", ANNA], &"x".repeat(101)), 75);
    deliver(&accounts, ANNA, &"x".repeat(100), 0);
    deliver(&accounts, ANNA, "x", 77);
    assert_eq!(files(folder.join("anna/Maildir/new")).len(), 1);
    assert_eq!(files(folder.join("anna/Maildir/tmp")).len(), 0);
}

#[test]
fn the_owner_is_warned_once_and_the_warning_counts() {
    let folder = Scratch::new("deliver");
    let accounts = accounts(Kind::Sqlite, &folder, "10000S");
    let config = fs::read_to_string(accounts.config_path()).unwrap();
    let template = folder.join("warning");
    fs::write(&template, "Subject: %p% full\n\n%b of %q for %u\n").unwrap();
    let more = format!("[quota]\nwarn = [80, 95]\nwarning = \"{}\"\n", template.display());
    fs::write(accounts.config_path(), config + &more).unwrap();
    let new = || files(folder.join("anna/Maildir/new"));
    deliver(&accounts, ANNA, &"x".repeat(7000), 0);
    assert_eq!(new().len(), 1);
    deliver(&accounts, ANNA, &"x".repeat(1000), 0);
    let texts: Vec<_> = new().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let warning = texts.iter().find(|text| text.contains("To: <anna@example.org>")).expect("a warning");
    assert!(warning.contains("Subject: 80% full\n\n8000 of 10000S for anna@example.org\n"), "{warning}");
    deliver(&accounts, ANNA, "y", 0);
    assert_eq!(new().len(), 4, "no second warning");
    accounts.admin(&["quota", "check", ANNA], "");
}

/// The system calls of a delivery.
const CALLS: [&str; 10] =
    ["openat", "read", "pread64", "write", "fsync", "renameat", "flock", "statx", "fchown", "fchmod"];

/// Delivers to one new mailbox after the other under strace(1), which makes the first call of a kind fail, then the
/// second, and so on until there are no more.
fn spoil(folder: &Scratch, how: &str, mut look: impl FnMut(&str, &Path, &Output)) {
    for call in CALLS {
        for when in 1.. {
            let spoiled = format!("{call}:{how}:when={when}");
            let mailbox = maildir(&folder.join(&spoiled));
            fs::write(mailbox.join("maildirsize"), "100000S\n0 0\n").unwrap();
            let log = folder.join("log");
            let mut command = Command::new("strace");
            command.args(["-qq", "-o"]).arg(&log).args(["-e", &format!("inject={spoiled}")]);
            command.arg(program("mailauth")).args(["deliver", "--limit", "100000S", "--maildir"]).arg(&mailbox);
            let output = output_with_input(&mut command, MESSAGE);
            look(&spoiled, &mailbox, &output);
            // The last line of a killed process's log may be incomplete.
            if output.status.code() == Some(0) && !fs::read_to_string(&log).unwrap().contains("INJECTED") {
                break;
            }
        }
    }
}

/// Checks a mailbox after a delivery that may have failed, and returns true if the message is there.
fn is_there(spoiled: &str, mailbox: &Path) -> bool {
    let stored = files(mailbox.join("new"));
    assert!(stored.len() <= 1, "{spoiled}: {stored:?}");
    for path in &stored {
        assert_eq!(fs::read_to_string(path).unwrap(), MESSAGE, "{spoiled}: half a message");
    }
    if let Some((bytes, messages)) = kept(mailbox) {
        let there = (stored.len() * MESSAGE.len(), stored.len());
        let (bytes, messages) = (usize::try_from(bytes).unwrap(), usize::try_from(messages).unwrap());
        assert!(bytes >= there.0 && messages >= there.1, "{spoiled}: {bytes} {messages}, but {there:?}");
    }
    !stored.is_empty()
}

#[test]
fn a_killed_delivery_stores_a_message_once_or_not_at_all() {
    let folder = Scratch::new("deliver");
    let (mut without, mut with) = (0, 0);
    spoil(&folder, "signal=SIGKILL", |spoiled, mailbox, output| {
        let there = is_there(spoiled, mailbox);
        match output.status.code() {
            Some(0) => assert!(there, "{spoiled}"),
            _ if there => with += 1,
            _ => without += 1,
        }
    });
    assert!(without > 20 && with > 0, "killed {without} times before and {with} times after");
}

#[test]
fn the_exit_code_tells_if_a_message_was_stored_despite_errors() {
    let folder = Scratch::new("deliver");
    for error in ["EIO", "ENOSPC"] {
        let mut failed = 0;
        spoil(&folder, &format!("error={error}"), |spoiled, mailbox, output| {
            let code = output.status.code();
            // What fails before the program itself begins is a failure of the loader: 127.
            assert!(matches!(code, Some(0 | 75 | 127)), "{spoiled}: {output:?}");
            assert_eq!(is_there(spoiled, mailbox), code == Some(0), "{spoiled}: {output:?}");
            failed += u32::from(code == Some(75));
        });
        assert!(failed > 10, "{failed} failures of {error}");
    }
}

#[test]
fn mail_is_deferred_on_a_full_or_read_only_disk() {
    let folder = Scratch::new("deliver");
    let disk = folder.join("disk");
    fs::create_dir(&disk).unwrap();
    fs::write(folder.join("large"), "x".repeat(200_000)).unwrap();
    fs::write(folder.join("small"), MESSAGE).unwrap();
    let script = r#"
        cd "$1" && mount -t tmpfs -o size=128k none disk && mkdir -p disk/M/tmp disk/M/new disk/M/cur || exit 99
        "$0" deliver --maildir disk/M --limit 10M <large; echo "large $?"
        "$0" deliver --maildir disk/M --limit 10M <small; echo "small $?"
        (ulimit -f 8; "$0" deliver --maildir disk/M --limit 10M <large; echo "limited $?")
        mount -o remount,ro disk
        "$0" deliver --maildir disk/M --limit 10M <small; echo "read-only $?"
        echo "$(ls disk/M/new | wc -l) in new, $(ls disk/M/tmp | wc -l) in tmp, $(tail -n 1 disk/M/maildirsize)"
    "#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(program("mailauth")).arg(folder.path());
    let told = ended(&output_with_input(&mut command, ""), 0);
    for line in ["large 75", "small 0", "limited 75", "read-only 75", "1 in new, 0 in tmp, 49 1"] {
        assert!(told.lines().any(|said| said == line), "no {line:?} in {told}");
    }
}

#[test]
fn mail_is_deferred_for_an_unreadable_folder() {
    let folder = Scratch::new("deliver");
    let accounts = accounts(Kind::Sqlite, &folder, "100000S");
    deliver(&accounts, ANNA, MESSAGE, 0);
    let mailbox = folder.join("anna/Maildir");
    maildir(&mailbox.join(".Locked"));
    fs::set_permissions(mailbox.join(".Locked/cur"), fs::Permissions::from_mode(0o000)).unwrap();
    deliver(&accounts, ANNA, MESSAGE, 0);
    fs::remove_file(mailbox.join("maildirsize")).unwrap();
    let told = deliver(&accounts, ANNA, MESSAGE, 75);
    assert!(told.contains(".Locked/cur"), "{told}");
    assert_eq!(files(mailbox.join("new")).len(), 2);
    assert!(!mailbox.join("maildirsize").exists(), "an incomplete count is not written");
}
