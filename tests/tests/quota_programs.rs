//! The real mail programs in turn on one mailbox: each continues where another stopped, and none has to recount.

use mailauth_tests::imap::Imap;
use mailauth_tests::{
    Accounts, Kind, MailHost, Mailauth, Scratch, User, eventually, output_with_input, program, run, run_with_input,
};
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMITS: &str = "100000000S,10000C";
const MESSAGE: &str = "From: dora@example.org\nTo: anna@example.org\nSubject: Lunch?\n\nAt noon.\n";

/// Returns the owner of mail whose account names none. maildrop runs only for users in /etc/passwd.
fn owner() -> User {
    User::named("daemon")
}

/// Creates a mailbox that belongs to this user.
fn mailbox(path: &Path, owner: User) -> PathBuf {
    for part in ["", "tmp", "new", "cur"] {
        let path = path.join(part);
        fs::create_dir_all(&path).expect("a Maildir");
        give(&path, owner);
    }
    path.to_owned()
}

fn give(path: &Path, owner: User) {
    chown(path, Some(owner.uid), Some(owner.gid)).expect("its owner");
}

/// Returns a command that runs as the mail's owner.
fn as_owner(arguments: &[&str]) -> Command {
    let User { uid, gid } = owner();
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".into()]).args(arguments);
    command
}

/// Asserts that the stored figures equal those of a full count, which `quota check` compares.
#[track_caller]
fn agrees(mailbox: &Path, after: &str) {
    let mut command = Command::new(program("mailauth"));
    command.args(["quota", "check", "--limit", LIMITS, "--maildir"]).arg(mailbox);
    let output = output_with_input(&mut command, "");
    let text = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    assert!(output.status.success() && text.contains("1 correct"), "after {after}: {text}");
}

/// Returns the inode of maildirsize, and the number of its lines.
fn file(mailbox: &Path) -> (u64, usize) {
    let path = mailbox.join("maildirsize");
    let text = fs::read_to_string(&path).expect("maildirsize");
    (fs::metadata(&path).expect("maildirsize").ino(), text.lines().count())
}

/// Returns the transport of docs/quotas.md, with another mailbox.
fn transport(mailbox: &Path) -> String {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/quotas.md")).expect("docs/quotas.md");
    let (_, rest) = page.split_once("```exim\n").expect("Exim's transport");
    let (transport, _) = rest.split_once("```").expect("its end");
    let printed = "/var/mail/example.org/anna/Maildir";
    assert!(transport.contains(printed) && transport.contains("quota = 100000000\n"), "{transport}");
    let User { uid, gid } = owner();
    transport
        .replace(printed, &mailbox.display().to_string())
        .replace("user = 5000", &format!("user = {uid}"))
        .replace("group = 5000", &format!("group = {gid}"))
}

/// Runs the real Exim, which delivers one message with that transport.
fn exim(folder: &Scratch, mailbox: &Path) {
    let spool = folder.join("exim");
    fs::create_dir_all(spool.join("log")).expect("a spool");
    let owner = owner();
    for path in [&spool, &spool.join("log")] {
        give(path, owner);
    }
    let config = folder.join("exim.conf");
    let text = format!(
        "primary_hostname = mail.example\nspool_directory = {spool}\nlog_file_path = {spool}/log/%slog\n\
         exim_user = {uid}\nexim_group = {gid}\nkeep_environment =\nlocal_from_check = false\n\
         begin routers\nall:\n  driver = accept\n  transport = mailbox\nbegin transports\n{}",
        transport(mailbox),
        uid = owner.uid,
        gid = owner.gid,
        spool = spool.display()
    );
    fs::write(&config, text).expect("Exim's configuration");
    let mut command = Command::new("exim4");
    command.arg("-C").arg(&config).args(["-odq", "-oi", "-f", "dora@example.org", "anna@mail.example"]);
    run_with_input(&mut command, MESSAGE);
    run(Command::new("exim4").arg("-C").arg(&config).arg("-qff"));
    // The queue runner does not wait for the last delivery.
    let log = || fs::read_to_string(spool.join("log/mainlog")).unwrap_or_default();
    eventually("Exim's delivery", Duration::from_secs(20), || log().contains(" Completed\n"));
    assert!(log().contains("=> anna"), "{}", log());
}

#[test]
fn delivery_programs_take_turns_without_recounting() {
    let folder = Scratch::new("programs");
    let mailbox = mailbox(&folder.join("Maildir"), owner());
    let path = mailbox.to_str().expect("a path");
    let ours = || {
        let mut command = Command::new(program("mailauth"));
        run_with_input(command.args(["deliver", "--limit", LIMITS, "--maildir", path]), MESSAGE);
    };
    let deliverquota = || {
        run_with_input(&mut as_owner(&["deliverquota.courier", path, LIMITS]), MESSAGE);
    };
    let rule = folder.join("rule");
    fs::write(&rule, format!("MAILDIRQUOTA=\"{LIMITS}\"\nto \"{path}/.\"\n")).expect("a rule");
    give(&rule, owner());
    fs::set_permissions(&rule, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
    let maildrop = || {
        let mut command = as_owner(&["maildrop", rule.to_str().expect("a path")]);
        run_with_input(command.current_dir(folder.path()).env("HOME", folder.path()), MESSAGE);
    };
    ours();
    let (first, mut lines) = file(&mailbox);
    for (user, deliver) in [
        ("deliverquota", &deliverquota as &dyn Fn()),
        ("mailauth", &ours),
        ("maildrop", &maildrop),
        ("mailauth", &ours),
        ("Exim", &|| exim(&folder, &mailbox)),
        ("mailauth", &ours),
        ("deliverquota", &deliverquota),
    ] {
        deliver();
        agrees(&mailbox, user);
        lines += 1;
        assert_eq!(file(&mailbox), (first, lines), "{user} recounted the mailbox");
    }
    assert_eq!(fs::read_dir(mailbox.join("new")).expect("new").count(), 8);
}

#[test]
fn an_imap_server_and_mailauth_share_one_file() {
    const ANNA: &str = "anna@example.org";
    let host = MailHost::new();
    let mailbox = mailbox(&host.path("mail/anna/Maildir"), MailHost::OWNER);
    give(&host.path("mail/anna"), MailHost::OWNER);
    let home = host.path("mail/anna").display().to_string();
    let accounts = Accounts::empty(Kind::Sqlite)
        .with(&format!("login,password,home,quota\n{ANNA},{{PLAIN}}secret,{home},\"{LIMITS}\"\n"));
    let _server = Mailauth::on(&host, &accounts);
    for _ in 0..4 {
        accounts.admin(&["deliver", ANNA], MESSAGE);
    }
    let service = host.imap();
    let mut client = Imap::connect(service.port());
    assert!(client.login(ANNA, "secret").starts_with("OK"), "{}", service.log());
    for command in [
        "SELECT INBOX",
        "CREATE INBOX.Work",
        "COPY 1:2 INBOX.Work",
        "STORE 1 +FLAGS (\\Deleted)",
        "EXPUNGE",
        "STORE 1 +FLAGS (\\Seen)",
        "CREATE INBOX.Trash",
        "COPY 1 INBOX.Trash",
        "RENAME INBOX.Work INBOX.Play",
        "APPEND",
        "DELETE INBOX.Play",
    ] {
        let said = match command {
            "APPEND" => client.append("INBOX.Play", MESSAGE),
            command => client.command(command),
        };
        assert!(said.last().is_some_and(|line| line.starts_with("OK")), "{command}: {said:?}");
        agrees(&mailbox, command);
        accounts.admin(&["deliver", ANNA], MESSAGE);
        agrees(&mailbox, "a delivery");
    }
}
