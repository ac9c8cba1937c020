//! The daemon as an unprivileged user, and its helper that is root: what each of them may do, is asked and survives.

#[path = "rootless/part.rs"]
mod part;

use mailauth_core::quota::mailboxes::{Counted, Space};
use mailauth_core::quota::{CountRules, Limits, Usage};
use mailauth_mailboxes::frame::{Answer, MOST_QUESTION, Operation, Question, RELEASE};
use mailauth_mailboxes::packet;
use mailauth_tests::people::{ANNA, BRUNO, CHEAP_HASH, DORA, PASSWORD};
use mailauth_tests::wire::{self, Manner, login};
use mailauth_tests::{Accounts, Child, Kind, Mailauth, Scratch, User, eventually, program, program_as};
use part::{Part, as_user, daemon, processes_of, wait_for_answer};
use rustix::fd::AsFd;
use rustix::process::{Signal, kill_process};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

/// Each account has a mailbox that belongs to a user of its own.
const OWNERS: [(&str, u32); 2] = [(ANNA, 5001), (BRUNO, 5002)];

/// Accounts with mailboxes of two users, and one without a mailbox.
struct Site {
    accounts: Accounts,
    mail: Scratch,
}

impl Site {
    fn new() -> Self {
        let mail = Scratch::new("mail");
        let top = mail.path().display();
        let accounts = Accounts::empty(Kind::MariaDb)
            .with_mailbox("create = true\nmin_uid = 1000\nmin_gid = 1000\n")
            .with(&format!(
                "login,password,uid,gid,home,quota\n{ANNA},{CHEAP_HASH},5001,5001,{top}/anna,\"1000S\"\n\
             {BRUNO},{CHEAP_HASH},5002,5002,{top}/bruno,\"1000S\"\n{DORA},{CHEAP_HASH},5003,5003,{top}/dora,\"1000S\"\n"
            ));
        for (login, uid) in OWNERS {
            make_mailbox(&mail.join(login.split('@').next().expect("a name")), uid);
        }
        Site { accounts, mail }
    }

    fn maildir(&self, name: &str) -> PathBuf {
        self.mail.join(name).join("Maildir")
    }

    fn store(&self, name: &str, message: &str, size: usize) {
        let path = self.maildir(name).join("new").join(message);
        fs::write(&path, vec![b'x'; size]).expect("a message");
        let owner = fs::metadata(self.maildir(name)).expect("the mailbox");
        chown(&path, Some(owner.uid()), Some(owner.gid())).expect("its owner");
    }
}

fn make_mailbox(home: &Path, uid: u32) {
    for folder in ["", "Maildir", "Maildir/cur", "Maildir/new", "Maildir/tmp"] {
        let path = home.join(folder);
        fs::create_dir(&path).expect("a folder");
        chown(&path, Some(uid), Some(uid)).expect("its owner");
        fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("its mode");
    }
}

/// Returns the daemon's answer for a message of this size.
fn recipient(socket: &Path, login: &str, size: usize) -> String {
    let reply = wire::ask(socket, format!("ASK recipient {size} {login}\n").as_bytes(), Manner::Whole);
    String::from_utf8(reply.bytes).expect("text")
}

/// Waits until the daemon runs as `user`, which happens shortly after its socket accepts connections, and asserts that it
/// has no other real, effective or saved ID, and no capability.
#[track_caller]
fn assert_no_rights(pid: i32, user: User) {
    let line = |name: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the line");
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    // The user ID is the last to change.
    eventually("the daemon's user", LIMIT, || line("Uid:").iter().all(|uid| *uid == user.uid.to_string()));
    assert_eq!(line("Gid:"), vec![user.gid.to_string(); 4]);
    for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
        assert_eq!(line(set), ["0000000000000000"], "{set}");
    }
}

#[test]
fn a_daemon_that_gave_up_root_still_counts_and_creates_mailboxes() {
    let site = Site::new();
    let mut server = Mailauth::with(&site.accounts, "user = \"daemon\"\n");
    let pid = server.pid().as_raw_nonzero().get();
    assert_no_rights(pid, daemon());
    counts_and_makes(&site, server.socket());
    // The helper that is root ends with the daemon, whatever the reason.
    let parts = part::children_of(pid);
    assert_eq!(parts.len(), 1, "{parts:?}");
    server.crash();
    eventually("the end of the root helper", LIMIT, || !Path::new(&format!("/proc/{}", parts[0])).exists());
}

/// Asserts that mailboxes readable only by their owners are counted, and that a home is created in root's folder.
fn counts_and_makes(site: &Site, socket: &Path) {
    assert_eq!(recipient(socket, ANNA, 600), "OK\n");
    site.store("anna", "1.a.test", 600);
    fs::remove_file(site.maildir("anna").join("maildirsize")).expect("figures");
    let said = recipient(socket, ANNA, 600);
    assert!(said.starts_with("OVER over quota: 600 of 1000 bytes used"), "{said}");
    let figures = fs::metadata(site.maildir("anna").join("maildirsize")).expect("figures");
    assert_eq!((figures.uid(), figures.gid()), (5001, 5001), "they belong to the owner");
    assert_eq!(recipient(socket, BRUNO, 600), "OK\n");

    let home = site.mail.join("dora");
    assert!(!home.exists());
    assert_eq!(login(socket, DORA, PASSWORD).word(), "ACCOUNT");
    let bytes = wire::auth("imap", DORA, PASSWORD);
    assert!(!wire::ask(socket, &bytes, Manner::Whole).bytes.is_empty());
    for folder in ["", "Maildir", "Maildir/cur", "Maildir/new", "Maildir/tmp"] {
        let found = fs::metadata(home.join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
        assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (5003, 5003, 0o700), "{folder}");
    }
}

/// The daemon as a service of its own, which never was root.
struct Service {
    process: Child,
    folder: Scratch,
}

impl Service {
    fn over(site: &Site, part: &Part) -> Self {
        let folder = Scratch::new("service");
        chown(folder.path(), Some(daemon().uid), Some(daemon().gid)).expect("its folder");
        site.accounts.give_password_to(daemon());
        let socket = folder.join("socket");
        let keys = format!("mailboxes = \"{}\"\n[client]\nserver_user = \"daemon\"\n", part.socket().display());
        fs::write(folder.join("mailauth.toml"), Mailauth::config(&site.accounts, &socket, &keys)).expect("a file");
        let log = File::create(folder.join("log")).expect("a log");
        let mut command = program_as(daemon(), "mailauth-courier");
        command.arg("--config").arg(folder.join("mailauth.toml")).current_dir("/").stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a descriptor")).stderr(log);
        let service = Service { process: Child::spawn(command), folder };
        eventually("the daemon", LIMIT, || service.socket().exists());
        service
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

#[test]
fn separate_services_create_mailboxes_and_survive_each_other() {
    let site = Site::new();
    let mut part = Part::start(&["--user", "daemon", "--min-uid", "1000", "--min-gid", "1000"], site.mail.path());
    let service = Service::over(&site, &part);
    assert_no_rights(service.process.pid().as_raw_nonzero().get(), daemon());
    let socket = service.socket();
    counts_and_makes(&site, &socket);

    part.crash();
    let said = recipient(&socket, BRUNO, 10);
    assert!(said.starts_with("LATER ") && said.contains("mailauth-mailboxes"), "{said}");
    assert_eq!(login(&socket, ANNA, PASSWORD).word(), "ACCOUNT", "logins continue");
    assert_eq!(login(&socket, ANNA, "wrong").word(), "FAIL");
    let imap = wire::ask(&socket, &wire::auth("imap", BRUNO, PASSWORD), Manner::Whole);
    assert!(!imap.bytes.is_empty(), "also if the mailbox may have to be created");
    assert!(service.log().contains("logins go on, and mail for mailboxes with a quota waits"), "{}", service.log());
    let mut status = Command::new(program("mailauth"));
    status.arg("--config").arg(service.folder.join("mailauth.toml")).args(["status"]);
    let told = mailauth_tests::run(&mut status);
    assert!(told.contains("mailboxes") && told.contains("have not been accessible for"), "{told}");

    part.start_again();
    eventually("an answer", LIMIT, || recipient(&socket, BRUNO, 10) == "OK\n");
    assert!(service.log().contains("answers again"), "{}", service.log());
}

#[test]
fn the_daemon_restarts_its_root_helper_when_it_is_killed() {
    let site = Site::new();
    let server = Mailauth::with(&site.accounts, "user = \"daemon\"\n");
    assert_eq!(recipient(server.socket(), ANNA, 10), "OK\n");
    let [supervisor] = part::children_of(server.pid().as_raw_nonzero().get())[..] else { panic!("one helper") };
    let [serves] = part::children_of(supervisor)[..] else { panic!("one serving process") };
    kill_process(rustix::process::Pid::from_raw(serves).expect("a process"), Signal::KILL).expect("the rights of root");
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
    eventually("an answer", LIMIT, || recipient(server.socket(), ANNA, 10) == "OK\n");
    server.wait_for_log("is started again");
}

#[test]
fn the_kernel_refuses_system_calls_the_daemon_never_needs() {
    let site = Site::new();
    site.accounts.give_password_to(daemon());
    for (keys, mode) in [("user = \"daemon\"\n", "2"), ("user = \"daemon\"\nsandbox = false\n", "0")] {
        let server = Mailauth::with(&site.accounts, keys);
        assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
        server.wait_for_log("ready");
        let threads = fs::read_dir(format!("/proc/{}/task", server.pid().as_raw_nonzero())).expect("its threads");
        let mut count = 0;
        for thread in threads.flatten() {
            let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            // A thread that has ended in the meantime has no status.
            let found = status.lines().find_map(|line| line.strip_prefix("Seccomp:\t"));
            assert!(found.is_none_or(|found| found == mode), "{status}");
            count += usize::from(found.is_some());
        }
        assert!(count > 5, "{count} threads");
        // It reads its configuration again, answers, and counts as before.
        server.reload();
        server.wait_for_log("configuration read again");
        assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
        assert_eq!(recipient(server.socket(), ANNA, 10), "OK\n");
    }
}

fn question(operation: Operation, uid: u32, path: &Path) -> Question {
    Question {
        operation,
        uid,
        gid: uid,
        lock: 100,
        answer: 5000,
        asks_again: true,
        limits: Limits { bytes: Some(1000), messages: None },
        rules: CountRules::default(),
        home: PathBuf::new(),
        path: path.to_owned(),
    }
}

#[test]
fn unknown_users_are_refused_and_no_mailbox_is_counted_as_root() {
    let site = Site::new();
    let part = Part::start(&["--user", "daemon", "--min-uid", "1000", "--min-gid", "1000"], site.mail.path());
    let anna = site.maildir("anna");
    let fits = question(Operation::Precheck(10), 5001, &anna);
    // Other users cannot even connect to the socket. If they could, it would not help them.
    let stranger = User { uid: 65534, gid: 65534 };
    assert!(as_user(stranger, || part.connect().is_err()), "the socket's mode");
    fs::set_permissions(part.socket(), Permissions::from_mode(0o666)).expect("its mode");
    assert_eq!(as_user(stranger, || part.connect().ok().and_then(|door| part::ask(&door, &fits))), None);
    part.wait_for_log("user 65534 may not ask");
    let asked_by = |user: User| as_user(user, || part.connect().ok().and_then(|door| part::ask(&door, &fits)));
    assert_eq!(asked_by(User { uid: 5001, gid: 5001 }), None, "the owner is refused too");
    assert_eq!(asked_by(daemon()), Some(Answer::Space(Space::Fits)));

    let door = part.connect().expect("root can connect");
    let refused = |change: &dyn Fn(&mut Question)| {
        let mut question = fits.clone();
        change(&mut question);
        assert_eq!(part::ask(&door, &question), None, "{question:?}");
    };
    refused(&|question| question.uid = 0);
    refused(&|question| question.gid = 0);
    refused(&|question| question.gid = 42);
    refused(&|question| question.uid = 999);
    refused(&|question| question.uid = u32::MAX);
    refused(&|question| question.path = "/etc".into());
    refused(&|question| question.path = anna.join("../../../../etc"));
    refused(&|question| question.path = "Maildir".into());
    refused(&|question| {
        (question.operation, question.home) = (Operation::Make, "/etc/systemd/system/ssh.service.d".into());
    });
    assert!(!Path::new("/etc/systemd/system/ssh.service.d").exists());
    // Another owner's mailbox is not visible to this one.
    let of_bruno = question(Operation::Precheck(10), 5001, &site.maildir("bruno"));
    assert!(matches!(part::ask(&door, &of_bruno), Some(Answer::Failed(why)) if why.contains("Permission denied")));
    assert_eq!(part::ask(&door, &fits), Some(Answer::Space(Space::Fits)));
}

#[test]
fn malformed_packets_do_no_harm() {
    let site = Site::new();
    let part = Part::start(&[], site.mail.path());
    let door = part.connect().expect("root can connect");
    let right = question(Operation::Precheck(10), 5001, &site.maildir("anna"));
    let bytes = right.bytes();
    let send = |bytes: &[u8]| {
        let (here, there) = packet::pair().expect("sockets");
        while let Err(errno) = packet::send(door.as_fd(), bytes, Some(there.as_fd())) {
            assert_eq!(errno, rustix::io::Errno::AGAIN);
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(there);
        here
    };
    for length in [1, 63, bytes.len() - 1, MOST_QUESTION + 1, 60_000] {
        let socket = send(&vec![1; length]);
        assert_eq!(wait_for_answer(&socket, LIMIT), None, "{length}");
    }
    packet::send(door.as_fd(), &bytes, None).expect("a question without a socket");
    for place in 0..bytes.len() {
        for change in [1, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[place] ^= change;
            // Some of them are other valid questions.
            drop(send(&bytes));
        }
    }
    // A question whose answer cannot be sent.
    let (unread, _) = std::io::pipe().expect("a pipe");
    packet::send(door.as_fd(), &bytes, Some(unread.as_fd())).expect("a question");
    eventually("an answer", LIMIT, || part::ask(&door, &right) == Some(Answer::Space(Space::Fits)));
    assert!(part.processes() <= 33, "there are {}", part.processes());
}

#[test]
fn a_process_that_hangs_is_killed_and_delays_no_other_mailbox() {
    let site = Site::new();
    let part = Part::start(&[], site.mail.path());
    let door = part.connect().expect("root can connect");
    let (anna, bruno) = (site.maildir("anna"), site.maildir("bruno"));
    let of_anna = Question { answer: 500, ..question(Operation::Precheck(10), 5001, &anna) };
    let of_bruno = question(Operation::Precheck(10), 5002, &bruno);
    let fits = Some(Answer::Space(Space::Fits));
    assert_eq!(part::ask(&door, &of_anna), fits);
    // The owner stops its process, as it may, once that waits for the next question.
    let [stuck] = part.processes_of(5001)[..] else { panic!("one process") };
    eventually("a process that waits", LIMIT, || {
        let stat = fs::read_to_string(format!("/proc/{stuck}/stat")).unwrap_or_default();
        stat.contains(") S ")
    });
    let stop = || kill_process(rustix::process::Pid::from_raw(stuck).expect("a process"), Signal::STOP);
    as_user(User { uid: 5001, gid: 5001 }, stop).expect("the owner's right");
    let begin = Instant::now();
    let waits = part::begin(&door, &of_anna);
    assert_eq!(part::ask(&door, &of_bruno), fits, "others are answered meanwhile");
    assert_eq!(wait_for_answer(&waits, LIMIT), None);
    assert!(begin.elapsed() >= Duration::from_millis(500));
    part.wait_for_log("took too long, and was ended");
    eventually("its end", LIMIT, || !part.processes_of(5001).contains(&stuck));
    assert_eq!(part::ask(&door, &of_anna), fits);

    // Files that block when they are opened.
    for name in ["maildirsize", "maildirsums"] {
        let _ = fs::remove_file(anna.join(name));
        mailauth_tests::run(Command::new("mkfifo").arg(anna.join(name)));
    }
    let begin = Instant::now();
    part::ask(&door, &of_anna);
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(part::ask(&door, &of_bruno), fits);
}

#[test]
fn the_lock_is_held_until_the_daemon_has_published_the_usage() {
    let site = Site::new();
    let part = Part::start(&[], site.mail.path());
    let door = part.connect().expect("root can connect");
    site.store("anna", "1.a.test", 7);
    let counts = part::begin(&door, &question(Operation::Count(None), 5001, &site.maildir("anna")));
    let usage = Usage { bytes: 7, messages: 1 };
    assert_eq!(wait_for_answer(&counts, LIMIT), Some(Answer::Counted(Counted::Now(usage))));
    let second = part::begin(&door, &question(Operation::Count(None), 5001, &site.maildir("anna")));
    assert!(matches!(wait_for_answer(&second, LIMIT), Some(Answer::Locked)), "100 ms were not enough");
    packet::send(counts.as_fd(), RELEASE, None).expect("the other side");
    eventually("the lock", LIMIT, || {
        let again = part::begin(&door, &question(Operation::Count(Some(usage)), 5001, &site.maildir("anna")));
        wait_for_answer(&again, LIMIT) == Some(Answer::Counted(Counted::Unchanged))
    });
}

#[test]
fn mailboxes_of_many_owners_are_read_by_few_processes() {
    let site = Site::new();
    let part = Part::start(&[], site.mail.path());
    let door = part.connect().expect("root can connect");
    let waiting: Vec<_> = (6000..6200)
        .map(|uid| {
            let home = site.mail.join(uid.to_string());
            make_mailbox(&home, uid);
            part::begin(
                &door,
                &Question { answer: 30_000, ..question(Operation::Precheck(1), uid, &home.join("Maildir")) },
            )
        })
        .collect();
    let mut most = 0;
    for socket in waiting {
        most = most.max(part.processes());
        assert_eq!(wait_for_answer(&socket, LIMIT), Some(Answer::Space(Space::Fits)));
    }
    assert!(most <= 33, "there were {most}");
    eventually("the end of those that have nothing to do", LIMIT, || processes_of(part.pid()) == 0);
}
