//! Attacks by the owner of a mailbox, and by users that may write to a folder above it, have no effect on others.

use mailauth_tests::wire::{Manner, Reply, ask, connect};
use mailauth_tests::{Accounts, Holdings, Kind, Mailauth, Scratch, User, as_user, checkpassword, ended, eventually};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Resource, Rlimit, prlimit};
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const FREE: &str = "free@example.org";

/// Number of hostile mailboxes: as many as there are threads for questions about recipients.
const HOSTILE: u32 = 8;

/// Returns the owner of a hostile mailbox.
fn owner(number: u32) -> User {
    User { uid: 6000 + number, gid: 6000 + number }
}

/// Another user of the system.
const STRANGER: User = User { uid: 6999, gid: 6999 };

fn login(number: u32) -> String {
    format!("hostile{number}@example.org")
}

/// Hostile mailboxes and one that is not, in folders of their owners.
struct Site {
    folder: Scratch,
    accounts: Accounts,
}

impl Site {
    fn new() -> Self {
        let folder = Scratch::new("owners");
        let mut rows = String::from("login,home,uid,gid,quota\n");
        let logins = (0..HOSTILE).map(|number| (login(number), owner(number)));
        for (login, owner) in logins.chain([(FREE.to_owned(), User { uid: 5000, gid: 5000 })]) {
            let home = folder.folder_of(owner, &login);
            make_maildir(&home.join("Maildir"), owner);
            rows += &format!("{login},{},{},{},\"1000S,1000C\"\n", home.display(), owner.uid, owner.gid);
        }
        let site = Site { folder, accounts: Accounts::empty(Kind::Sqlite) };
        fs::write(site.accounts.config_path(), site.config("")).expect("the configuration");
        site.accounts.admin(&["account", "import", "-"], &rows);
        site
    }

    /// Returns the configuration of a host whose mailboxes belong to many users.
    fn config(&self, lines: &str) -> String {
        let config = self.accounts.config();
        let other = config.replacen("uid = 5000\ngid = 5000\n", "", 1);
        assert_ne!(other, config);
        other + lines
    }

    /// Starts the daemon, with these lines of `[courier]`.
    fn server(&self, lines: &str) -> Mailauth {
        Mailauth::configured(|socket| self.config(&format!("[courier]\nsocket = \"{}\"\n{lines}\n", socket.display())))
    }

    fn maildir(&self, login: &str) -> PathBuf {
        self.folder.join(login).join("Maildir")
    }

    fn hostile(&self) -> impl Iterator<Item = (User, String, PathBuf)> {
        (0..HOSTILE).map(|number| (owner(number), login(number), self.maildir(&login(number))))
    }

    /// Returns the output of the command, which has to exit with this code.
    #[track_caller]
    fn told(&self, arguments: &[&str], input: &str, code: i32) -> String {
        ended(&self.accounts.try_admin(arguments, input), code)
    }
}

/// Creates a Maildir that every user can read.
fn make_maildir(path: &Path, owner: User) {
    for folder in ["", "tmp", "new", "cur"] {
        let folder = path.join(folder);
        fs::create_dir(&folder).expect("a Maildir");
        chown(&folder, Some(owner.uid), Some(owner.gid)).expect("its owner");
    }
}

fn has_room(server: &Mailauth, login: &str) -> Reply {
    ask(server.socket(), format!("ASK recipient 10 {login}\n").as_bytes(), Manner::Whole)
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.bytes).into_owned()
}

/// Asks about hostile mailboxes, and does not wait for the answers.
fn ask_without_waiting(server: &Mailauth, times: usize) -> Vec<(UnixStream, Instant)> {
    let logins = (0..times).flat_map(|_| (0..HOSTILE).map(login));
    let asked = logins.map(|login| {
        let mut client = connect(server.socket());
        client.write_all(format!("ASK recipient 10 {login}\n").as_bytes()).expect("a request");
        (client, Instant::now())
    });
    asked.collect()
}

/// Asks many times about the mailbox that is not hostile. Each answer has to come soon.
#[track_caller]
fn others_are_answered_at_once(server: &Mailauth) {
    let mut times: Vec<Duration> = (0..31)
        .map(|_| {
            let reply = has_room(server, FREE);
            assert_eq!(text(&reply), "OK\n", "{}", server.log());
            reply.took
        })
        .collect();
    times.sort();
    assert!(times[30] < Duration::from_secs(2) && times[15] < Duration::from_millis(100), "{times:?}");
}

#[track_caller]
fn answers(clients: Vec<(UnixStream, Instant)>, limit: Duration) -> Vec<String> {
    let read = |(mut client, begin): (UnixStream, Instant)| {
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("an answer");
        assert!(begin.elapsed() < limit, "{answer:?} after {:?}", begin.elapsed());
        answer
    };
    clients.into_iter().map(read).collect()
}

/// Returns the peak memory, in KiB, of each process of a user. These processes read mailboxes as their owner.
fn peaks_of(user: User) -> Vec<usize> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let status = processes.filter_map(|entry| fs::read_to_string(entry.path().join("status")).ok());
    let number = |status: &str, name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<usize>().ok()
    };
    let of_user = status.filter(|status| number(status, "Uid:") == usize::try_from(user.uid).ok());
    of_user.filter_map(|status| number(&status, "VmHWM:")).collect()
}

#[test]
fn huge_maildirsums_files_cost_the_daemon_no_memory() {
    let site = Site::new();
    let server = site.server("");
    assert_eq!(text(&has_room(&server, FREE)), "OK\n");
    // Lines as short as possible, each for another folder: the most expensive ones to remember.
    let sums = |length: usize| {
        let mut text = String::from("maildirsums 2 trash=0\n");
        let mut lines = 0;
        while text.len() < length - 100 {
            text += &format!("new 1 1 1.0 1.0 1 1 .{lines:x}\n");
            lines += 1;
        }
        text + &format!("end {lines} 1.0\n")
    };
    let size = 100 << 20;
    for length in [64 << 20, 1 << 20] {
        fs::write(site.folder.join("sums"), sums(length)).expect("the sums");
        let before = Holdings::of(server.pid());
        let room = Rlimit { current: Some((before.address_space << 10) as u64 + size), maximum: None };
        prlimit(Some(server.pid()), Resource::As, room).expect("a limit");
        for _ in 0..3 {
            for (_, _, maildir) in site.hostile() {
                let path = maildir.join("maildirsums");
                let _ = fs::remove_file(&path);
                fs::hard_link(site.folder.join("sums"), path).expect("a link");
                // It is full, so its sums are read.
                fs::write(maildir.join("maildirsize"), "1000S,1000C\n1000 1\n").expect("a maildirsize");
            }
            for answer in answers(ask_without_waiting(&server, 4), Duration::from_secs(25)) {
                assert!(answer == "OK\n" || answer.starts_with("OVER "), "{answer}");
            }
            for peak in site.hostile().flat_map(|(owner, ..)| peaks_of(owner)) {
                assert!(peak < 48 << 10, "{peak} KiB for files of {length} bytes");
            }
        }
        let grown = Holdings::of(server.pid()).peak_kilobytes - before.peak_kilobytes;
        assert!(grown < 32 << 10, "{grown} KiB for files of {length} bytes");
    }
}

/// Holds locks as a user, until the result is dropped.
fn held(user: User, paths: &[PathBuf]) -> Vec<File> {
    as_user(user, || {
        let hold = |path: &PathBuf| {
            let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            flock(&file, FlockOperation::LockExclusive).expect("the lock");
            file
        };
        paths.iter().map(hold).collect()
    })
}

#[test]
fn a_mailbox_locked_forever_delays_only_its_own_recipients() {
    let site = Site::new();
    site.told(&["quota", "recount", "--all"], "", 0);
    let server = site.server("");
    let mut locks = Vec::new();
    for (owner, _, maildir) in site.hostile() {
        let [lock, read] = ["maildirlock", "maildirsize"].map(|name| maildir.join(name));
        let found = fs::metadata(&lock).expect("the lock");
        assert_eq!((found.uid(), found.mode() & 0o7777), (owner.uid, 0o600), "a file that only its owner can open");
        as_user(STRANGER, || assert!(File::open(&lock).is_err() && File::open(&read).is_ok()));
        // Another user locks what every user can read, and the owner locks the rest.
        locks.push(held(STRANGER, &[maildir.clone(), read]));
        locks.push(held(owner, &[lock]));
        fs::remove_file(maildir.join("maildirsize")).expect("no figures");
        fs::write(maildir.join("cur/1,S=500:2,"), "").expect("a message");
    }
    let asked = ask_without_waiting(&server, 5);
    others_are_answered_at_once(&server);
    assert!(answers(asked, Duration::from_secs(20)).iter().all(|answer| answer == "OK\n"));
    let told = site.told(&["quota", "recount", "--all"], "", 0);
    assert!(told.contains("counted 9 mailboxes") && told.contains(" 0 failed"), "{told}");
    assert_eq!(told.matches("maildirlock is held by another program").count(), 8, "{told}");
    for (_, login, maildir) in site.hostile() {
        let kept = fs::read_to_string(maildir.join("maildirsize")).expect("figures");
        assert_eq!(kept, "1000S,1000C\n500 1\n");
        site.told(&["deliver", &login], &"x".repeat(400), 0);
        site.told(&["deliver", &login], &"x".repeat(400), 77);
    }
    drop(locks);
}

/// Fills a Maildir with links that the kernel resolves as slowly as possible.
fn fill_with_deep_links(maildir: &Path) {
    let deep = maildir.join("deep");
    fs::create_dir(&deep).expect("a folder");
    for number in 0..38 {
        symlink("../deep/".repeat(400) + &format!("{}", number + 1), deep.join(number.to_string())).expect("a link");
    }
    for number in 0..8000 {
        symlink("../deep/0", maildir.join("cur").join(number.to_string())).expect("a link");
    }
}

#[test]
fn a_mailbox_slow_to_count_is_abandoned_at_the_deadline() {
    let site = Site::new();
    let server = site.server("request = \"4s\"");
    site.hostile().for_each(|(_, _, maildir)| fill_with_deep_links(&maildir));
    for _ in 0..2 {
        let asked = ask_without_waiting(&server, 5);
        others_are_answered_at_once(&server);
        for answer in answers(asked, Duration::from_secs(12)) {
            assert!(answer.starts_with("LATER "), "{answer}");
        }
    }
    eventually("no count is running", Duration::from_secs(20), || {
        let begin = mailauth_tests::processor_time(server.pid());
        std::thread::sleep(Duration::from_millis(300));
        mailauth_tests::processor_time(server.pid()) - begin < Duration::from_millis(100)
    });
}

/// Creates a folder such as Debian's /var/mail, in which the members of a group may write.
fn mail(folder: &Scratch) -> PathBuf {
    let mail = folder.join("mail");
    fs::create_dir(&mail).expect("a folder");
    chown(&mail, Some(0), Some(8)).expect("its group");
    fs::set_permissions(&mail, Permissions::from_mode(0o2775)).expect("its mode");
    mail
}

#[test]
fn root_follows_no_link_in_a_folder_that_a_group_may_write() {
    let folder = Scratch::new("group");
    let mail = mail(&folder);
    let accounts = Accounts::empty(Kind::Sqlite).with_mailbox(&format!("home = \"{}/%d/%n\"\n", mail.display()));
    let accounts = accounts.with("login,quota\nanna@example.org,1000S\nbruno@example.org,1000S\n");
    let told = |arguments: &[&str], input: &str, code| ended(&accounts.try_admin(arguments, input), code);
    let server = Mailauth::over(&accounts);
    let said = told(&["account", "set", "anna@example.org", "--make-mailbox"], "", 0);
    assert!(said.starts_with("created the mailbox "), "{said}");
    told(&["deliver", "bruno@example.org"], "a message", 0);
    for name in ["anna", "bruno"] {
        let home = fs::metadata(mail.join("example.org").join(name)).expect("a home");
        assert_eq!((home.uid(), home.gid(), home.mode() & 0o7777), (5000, 5000, 0o700));
        assert_eq!(text(&has_room(&server, &format!("{name}@example.org"))), "OK\n", "{}", server.log());
    }
    told(&["quota", "recount", "--all"], "", 0);
    // A member of the group replaces the domain's folder by a link to a folder that only root can enter.
    let secret = folder.join("secret");
    fs::create_dir(&secret).expect("a folder");
    fs::set_permissions(&secret, Permissions::from_mode(0o700)).expect("its mode");
    let prize = folder.join("secret/anna");
    for path in [&prize, &folder.join("secret/bruno")] {
        fs::create_dir(path).expect("a folder");
        chown(path, Some(5000), Some(5000)).expect("its owner");
        make_maildir(&path.join("Maildir"), User { uid: 5000, gid: 5000 });
    }
    let over = AtomicBool::new(false);
    let (real, aside) = (mail.join("example.org"), mail.join("aside"));
    let exchange = || {
        while !over.load(Ordering::Relaxed) {
            fs::rename(&real, &aside).expect("renamed");
            symlink(&secret, &real).expect("a link");
            std::thread::sleep(Duration::from_micros(300));
            fs::remove_file(&real).expect("removed");
            fs::rename(&aside, &real).expect("renamed");
            std::thread::sleep(Duration::from_micros(300));
        }
    };
    std::thread::scope(|scope| {
        let exchanging = scope.spawn(exchange);
        for _ in 0..200 {
            for name in ["anna", "bruno"] {
                let answer = text(&has_room(&server, &format!("{name}@example.org")));
                assert!(answer == "OK\n" || answer.starts_with("LATER "), "{answer}");
            }
        }
        for _ in 0..10 {
            let _ = accounts.try_admin(&["quota", "recount", "--all"], "");
            let _ = accounts.try_admin(&["account", "set", "anna@example.org", "--make-mailbox"], "");
        }
        over.store(true, Ordering::Relaxed);
        exchanging.join().expect("the exchange");
    });
    fs::rename(&real, &aside).expect("renamed");
    symlink(&secret, &real).expect("a link");
    let said = told(&["quota", "recount", "anna@example.org"], "", 75);
    assert!(said.contains("example.org is a link in a folder that others than root may write to"), "{said}");
    let said = told(&["account", "set", "anna@example.org", "--make-mailbox"], "", 75);
    assert!(said.contains("is a link in a folder that others than root may write to"), "{said}");
    told(&["deliver", "anna@example.org"], "a message", 75);
    let answer = text(&has_room(&server, "anna@example.org"));
    assert!(answer.starts_with("LATER "), "{answer}");
    for name in ["anna", "bruno"] {
        let names = fs::read_dir(secret.join(name).join("Maildir")).expect("the folder").count();
        assert_eq!(names, 3, "nothing was written there");
    }
}

#[test]
fn checkpassword_creates_no_home_through_a_link_of_a_group() {
    let folder = Scratch::new("group");
    let mail = mail(&folder);
    let prize = folder.join("prize");
    fs::create_dir(&prize).expect("a folder");
    symlink(&prize, mail.join("example.org")).expect("a link");
    let accounts =
        Accounts::empty(Kind::Sqlite).with_mailbox(&format!("home = \"{}/%d/%n\"\ncreate = true\n", mail.display()));
    let hash = mailauth_tests::people::CHEAP_HASH;
    let accounts = accounts.with(&format!("login,password\nanna@example.org,{hash}\n"));
    let mut program = Command::new(mailauth_tests::program("mailauth-pop3"));
    program.env("MAILAUTH_CONFIG", accounts.config_path()).arg("true");
    let record = checkpassword::record("anna@example.org", mailauth_tests::people::PASSWORD, "");
    let outcome = checkpassword::call(program, &record);
    assert_eq!(outcome.code, Some(111), "{}", outcome.said);
    assert!(outcome.said.contains("is a link in a folder that others than root may write to"), "{}", outcome.said);
    assert_eq!(fs::read_dir(&prize).expect("the folder").count(), 0);
}
