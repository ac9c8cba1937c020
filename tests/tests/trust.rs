//! Sockets on which another user's program listens, and folders in which another user creates files. Each attack is
//! carried out against the real programs.

use mailauth_tests::checkpassword::{Outcome as Ended, call, record};
use mailauth_tests::exim::{Exim, Form};
use mailauth_tests::people::{ANNA, PASSWORD, people};
use mailauth_tests::wire::{Manner, Outcome, ask, login, passwd, pre};
use mailauth_tests::{
    Accounts, Kind, MailHost, Mailauth, Scratch, User, as_user, ended, eventually, output_with_input, program,
};
use rustix::process::Signal;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);

/// Returns a user whose group is Courier's.
fn mallory() -> User {
    User { uid: 40_001, gid: User::named("courier").gid }
}

/// A daemon that answers yes to everything, and records what it receives.
struct FalseDaemon {
    socket: PathBuf,
    heard: Arc<Mutex<Vec<u8>>>,
    connections: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FalseDaemon {
    fn of(user: User, socket: &Path, uid_told: u32) -> Self {
        let listener = as_user(user, || {
            let listener = UnixListener::bind(socket).expect("a socket");
            fs::set_permissions(socket, Permissions::from_mode(0o777)).expect("its mode");
            listener
        });
        let (heard, connections, over) = (Arc::default(), Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (theirs, counted, ends) = (Arc::clone(&heard), Arc::clone(&connections), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            for client in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                counted.fetch_add(1, Ordering::SeqCst);
                serve(client.expect("a client"), &theirs, uid_told);
            }
        });
        FalseDaemon { socket: socket.to_owned(), heard, connections, over, thread: Some(thread) }
    }

    fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().expect("no panic")).into_owned()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for FalseDaemon {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.socket);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Reads until a request is complete, and answers yes.
fn serve(mut client: UnixStream, heard: &Mutex<Vec<u8>>, uid: u32) {
    let mut buffer = [0; 9000];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        heard.lock().expect("no panic").extend_from_slice(&buffer[..count]);
        let request = String::from_utf8_lossy(&buffer[..count]).into_owned();
        let record = format!("UID={uid}\nGID={uid}\nHOME=/\nADDRESS={ANNA}\nMAILDIR=Maildir\n.\n");
        let reply = if request.contains("ASK ") || request.contains("CHANGED ") { "OK\n" } else { &record };
        let _ = client.write_all(reply.as_bytes());
        let _ = client.shutdown(std::net::Shutdown::Both);
    }
}

/// A mail host as in Debian, where a member of group courier has put a false daemon in place of the right one.
struct Site {
    host: Arc<MailHost>,
    exim: Exim,
    accounts: Accounts,
}

impl Site {
    fn new(courier: &str) -> Self {
        let host = Arc::new(MailHost::with_own(&Exim::OWN));
        let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
        let exim = Exim::set_up(Arc::clone(&host), Form::Dlfunc);
        let config = host.inside("/etc/mailauth");
        fs::create_dir_all(&config).expect("a folder");
        let text = format!("{}[courier]\n{courier}\n[client]\nfallback = \"none\"\n", accounts.config());
        fs::write(config.join("mailauth.toml"), text).expect("a configuration");
        let run = host.path("run");
        chown(&run, Some(0), Some(mallory().gid)).expect("its group");
        fs::set_permissions(&run, Permissions::from_mode(0o775)).expect("its mode");
        Site { host, exim, accounts }
    }

    /// Does what a member of the group can do to Debian's `/run/courier`.
    fn move_the_folder_away(&self) {
        as_user(mallory(), || {
            fs::rename(self.host.path("run/authdaemon"), self.host.path("run/away")).expect("to rename it");
            fs::create_dir(self.host.path("run/authdaemon")).expect("another folder");
        });
    }

    fn pop3(&self) -> Ended {
        let mut command = self.host.plain_command(program("mailauth-pop3"));
        command.args(["sh", "-c", "echo became $(id -u)"]).env_remove("MAILAUTH_CONFIG").current_dir("/");
        call(command, &record(ANNA, PASSWORD, ""))
    }

    fn exim_by_run(&self, arguments: &[&str]) -> Output {
        output_with_input(self.host.plain_command(program("mailauth-exim")).args(arguments).current_dir("/"), "")
    }

    fn exim_by_dlfunc(&self, function: &str, arguments: &str) -> String {
        let object = format!("{}/libmailauth_exim.so", Exim::FOLDER);
        self.exim.expand(&format!("${{dlfunc{{{object}}}{{mailauth_{function}}}{arguments}}}"))
    }

    fn admin(&self, arguments: &[&str]) -> Output {
        let mut command = self.host.plain_command(program("mailauth"));
        command.args(arguments).env_remove("MAILAUTH_CONFIG").current_dir("/");
        output_with_input(&mut command, "")
    }
}

fn names_the_stranger(said: &str) {
    for part in ["uid 40001", "[client] server_user", MailHost::SOCKET] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

#[test]
fn a_false_daemon_in_couriers_folder_is_sent_nothing() {
    let site = Site::new("own_socket = \"\"");
    site.move_the_folder_away();
    let daemon = FalseDaemon::of(mallory(), &site.host.socket(), 0);

    let by_pop3 = site.pop3();
    assert_eq!((by_pop3.code, &*by_pop3.output), (Some(111), ""), "{by_pop3:?}");
    names_the_stranger(&by_pop3.said);
    for question in
        [&["domain", "example.org"][..], &["account", ANNA], &["--insecure-argv", "login", "smtp", ANNA, PASSWORD]]
    {
        names_the_stranger(&ended(&site.exim_by_run(question), 75));
    }
    names_the_stranger(&site.exim_by_dlfunc("login", &format!("{{smtp}}{{{ANNA}}}{{{PASSWORD}}}")));
    names_the_stranger(&site.exim_by_dlfunc("recipient", &format!("{{{ANNA}}}{{1}}")));

    names_the_stranger(&ended(&site.admin(&["status"]), 75));
    let told = ended(&site.admin(&["account", "set", ANNA, "--name", "Anna"]), 0);
    assert!(told.contains("mailauth-courier could not be notified"), "{told}");
    names_the_stranger(&told);
    let checked = ended(&site.admin(&["check"]), 2);
    let line = checked.lines().find(|line| line.starts_with("down ")).unwrap_or_else(|| panic!("{checked}"));
    names_the_stranger(line);
    let folder = checked.lines().find(|line| line.contains("folders")).unwrap_or_else(|| panic!("{checked}"));
    assert!(folder.contains("every member of the group courier may write to /run/courier (mode 0775)"), "{checked}");

    assert_eq!(daemon.heard(), "", "not a byte");
    assert!(daemon.connections() >= 8, "{} connected to it", daemon.connections());
}

#[test]
fn the_same_daemon_is_asked_if_its_user_is_configured() {
    let site = Site::new("own_socket = \"\"\nuser = \"40001\"");
    site.move_the_folder_away();
    let daemon = FalseDaemon::of(mallory(), &site.host.socket(), 5000);
    let by_pop3 = site.pop3();
    assert!(daemon.heard().contains(PASSWORD), "{by_pop3:?}");
    let said = String::from_utf8_lossy(&site.exim_by_run(&["domain", "example.org"]).stdout).into_owned();
    assert_eq!(said.trim_end(), "yes");
}

#[test]
fn a_false_daemon_does_not_block_the_right_one() {
    let site = Site::new("");
    let server = Mailauth::on(&site.host, &site.accounts);
    site.move_the_folder_away();
    let daemon = FalseDaemon::of(mallory(), &site.host.socket(), 0);
    let by_run = site.exim_by_run(&["--insecure-argv", "login", "smtp", ANNA, PASSWORD]);
    assert_eq!(ended(&by_run, 0).trim_end(), "yes", "{}", server.log());
    ended(&site.exim_by_run(&["--insecure-argv", "login", "smtp", ANNA, "wrong"]), 1);
    assert_eq!(site.exim_by_dlfunc("login", &format!("{{smtp}}{{{ANNA}}}{{{PASSWORD}}}")), "yes");
    ended(&site.admin(&["status"]), 0);
    let told = ended(&site.admin(&["account", "set", ANNA, "--name", "Anna"]), 0);
    assert!(!told.contains("could not be notified"), "{told}");
    assert_eq!((daemon.heard(), daemon.connections()), (String::new(), 0));
    // For Courier's programs it is an outage, which is reported to the administrator.
    names_the_stranger(&ended(&site.admin(&["check"]), 2));
}

/// Writes a configuration in a folder of its own, and starts the program with it.
fn start(folder: &Scratch, accounts: &Accounts, socket: &Path, courier: &str) -> mailauth_tests::Child {
    let config = folder.join("mailauth.toml");
    fs::write(&config, Mailauth::config(accounts, socket, courier)).expect("a configuration");
    let log = fs::File::create(folder.join("log")).expect("a log");
    let mut command = Command::new(program("mailauth-courier"));
    command.arg("--config").arg(config).current_dir("/").stderr(log);
    mailauth_tests::Child::spawn(command)
}

fn log(folder: &Scratch) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// Tells a thread to end.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The owner of the socket's folder puts a link to a file of root in place of the socket as soon as that is created,
/// under its temporary name, while the daemon is started again and again.
#[test]
fn links_in_place_of_the_socket_change_no_file_of_root() {
    let folder = Scratch::new("links");
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let nobody = User::named("nobody");
    let theirs = folder.folder_of(nobody, "theirs");
    let victim = folder.join("victim");
    fs::write(&victim, "precious").expect("a file");
    fs::set_permissions(&victim, Permissions::from_mode(0o600)).expect("its mode");
    let state = || {
        let found = fs::metadata(&victim).expect("the file");
        (found.mode(), found.uid(), found.gid(), found.ctime_nsec())
    };
    let before = state();

    let (over, laid) = (AtomicBool::new(false), AtomicUsize::new(0));
    let socket = theirs.join("socket");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            as_user(nobody, || {
                let (link, new) = (theirs.join("link"), theirs.join("socket.new"));
                let _ = symlink(&victim, &link);
                while !over.load(Ordering::SeqCst) {
                    // A link that already exists would keep the daemon from creating a socket at all.
                    let is_socket = fs::symlink_metadata(&new).is_ok_and(|found| found.file_type().is_socket());
                    if is_socket && fs::rename(&link, &new).is_ok() {
                        laid.fetch_add(1, Ordering::SeqCst);
                        let _ = symlink(&victim, &link);
                    }
                }
            });
        });
        // Also if a start fails: otherwise the other thread would never end.
        let _end = Ends(&over);
        let mut starts = 0;
        while starts < 40 || laid.load(Ordering::SeqCst) < 5 {
            starts += 1;
            let courier = "user = \"nobody\"\nsocket_mode = \"0666\"\nsocket_group = \"courier\"";
            let mut process = start(&folder, &accounts, &socket, courier);
            // It starts, or the link keeps it from starting.
            let is_link = || fs::symlink_metadata(&socket).is_ok_and(|found| found.is_symlink());
            let connects = || UnixStream::connect(&socket).is_ok();
            eventually("a socket or an end", LIMIT, || !process.runs() || connects() || is_link());
            process.signal(Signal::KILL);
            process.wait(LIMIT);
            let _ = fs::remove_file(&socket);
        }
    });
    assert_eq!(state(), before, "{}", log(&folder));
}

#[test]
fn a_pipe_in_place_of_the_lock_fails_the_start_with_advice() {
    let folder = Scratch::new("pipe");
    let accounts = Accounts::empty(Kind::Sqlite);
    let socket = folder.join("socket");
    mailauth_tests::run(Command::new("mkfifo").arg(folder.join("socket.lock")));
    let mut process = start(&folder, &accounts, &socket, "");
    let status = process.wait(LIMIT).expect("an end");
    assert_eq!(status.code(), Some(1));
    let said = log(&folder);
    assert!(said.contains("cannot lock") && said.contains("socket.lock") && said.contains("remove it"), "{said}");
}

#[test]
fn a_link_in_place_of_the_snapshots_lock_is_not_followed() {
    let accounts = Accounts::empty(Kind::Postgres).with(&people(Path::new("/var/mail"))).with_snapshot("");
    let folder = Scratch::new("lock");
    let target = folder.join("made through the link");
    let lock = PathBuf::from(format!("{}.lock", accounts.snapshot_file().display()));
    symlink(&target, &lock).expect("a link");
    let server = Mailauth::over(&accounts);
    server.wait_for_log("cannot lock");
    assert!(server.log().contains("remove it"), "{}", server.log());
    assert!(!target.exists());
    assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT", "logins continue");
}

#[test]
fn no_socket_is_created_in_a_folder_that_others_may_write() {
    let accounts = Accounts::empty(Kind::Sqlite);
    let refused = |make: &dyn Fn(&Path), wanted: &str| {
        let folder = Scratch::new("shared");
        let inside = folder.join("inside");
        fs::create_dir(&inside).expect("a folder");
        make(&inside);
        let mut process = start(&folder, &accounts, &inside.join("socket"), "");
        assert_eq!(process.wait(LIMIT).expect("an end").code(), Some(1));
        assert!(log(&folder).contains(wanted), "no {wanted:?} in {}", log(&folder));
        assert_eq!(fs::read_dir(&inside).expect("the folder").count(), 0, "nothing was created there");
    };
    let mode = |mode| move |path: &Path| fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    refused(&mode(0o777), "every user may write to");
    refused(&mode(0o1777), "chmod go-w");
    refused(
        &|path| {
            chown(path, Some(0), Some(mallory().gid)).expect("a group");
            mode(0o775)(path);
        },
        "every member of the group courier may write to",
    );
    refused(&|path| chown(path, Some(mallory().uid), None).expect("an owner"), "belongs to the user 40001");
}

#[test]
fn group_members_need_permission_to_list_and_change_passwords() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let group = "socket_group = \"courier\"";
    let asks = |server: &Mailauth, request: &[u8]| {
        as_user(mallory(), || ask(server.socket(), request, Manner::Whole)).outcome()
    };
    let change = passwd(ANNA, PASSWORD, "new words");
    {
        let server = Mailauth::with(&accounts, group);
        assert_eq!(asks(&server, &pre("imap", ANNA)).word(), "ACCOUNT", "it is in the group");
        assert_eq!(asks(&server, b"ENUMERATE\n"), Outcome::Closed);
        assert_eq!(asks(&server, &change), Outcome::Fail);
        server.wait_for_log("enumerate_users");
        assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT", "unchanged");
        assert_eq!(ask(server.socket(), b"ENUMERATE\n", Manner::Whole).outcome().word(), "LIST", "root is permitted");
    }
    for list in ["[\"*\"]", "[\"40001\"]"] {
        let server = Mailauth::with(&accounts, &format!("{group}\nenumerate_users = {list}"));
        assert_eq!(asks(&server, b"ENUMERATE\n").word(), "LIST", "{list}");
        assert_eq!(asks(&server, &change), Outcome::Fail, "{list}");
    }
    let server = Mailauth::with(&accounts, &format!("{group}\npasswd_users = [\"*\"]"));
    assert_eq!(asks(&server, &change), Outcome::Done);
}

#[test]
fn check_lists_parent_folders_that_others_may_write() {
    let folder = Scratch::new("parents");
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let open = folder.join("open");
    fs::create_dir_all(open.join("inside")).expect("a folder");
    let config = open.join("inside/mailauth.toml");
    let text = format!("{}[courier]\nsocket = '{}'\n", accounts.config(), folder.join("socket").display());
    fs::write(&config, text).expect("a configuration");
    let checked = || {
        let output = output_with_input(Command::new(program("mailauth")).arg("--config").arg(&config).arg("check"), "");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(!checked().contains("folders"), "{}", checked());
    fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("a mode");
    let said = checked();
    let line = said.lines().find(|line| line.contains("folders")).unwrap_or_else(|| panic!("{said}"));
    let advice = format!("run chmod go-w {}", open.display());
    assert!(line.starts_with("degraded") && line.contains("the configuration") && line.contains(&advice), "{said}");
    fs::set_permissions(&open, Permissions::from_mode(0o755)).expect("a mode");
    symlink(open.join("inside"), folder.join("link")).expect("a link");
    fs::set_permissions(&config, Permissions::from_mode(0o666)).expect("a mode");
    assert!(checked().contains(&format!("every user may write to {} (mode 0666)", config.display())), "{}", checked());
}

#[test]
fn a_false_frozen_daemon_costs_no_more_than_a_stopped_one() {
    // One that accepts and does nothing: the client checks its user before it waits.
    let folder = Scratch::new("silent");
    let theirs = folder.folder_of(mallory(), "theirs");
    let socket = theirs.join("socket");
    let _listener = as_user(mallory(), || {
        let listener = UnixListener::bind(&socket).expect("a socket");
        fs::set_permissions(&socket, Permissions::from_mode(0o777)).expect("its mode");
        listener
    });
    let config = folder.join("client.toml");
    fs::write(&config, format!("[client]\nsocket = '{}'\nfallback = 'none'\ndeadline = '20s'\n", socket.display()))
        .expect("a configuration");
    let begin = Instant::now();
    let mut command = Command::new(program("mailauth-exim"));
    let said = ended(&output_with_input(command.arg("--config").arg(&config).args(["domain", "example.org"]), ""), 75);
    assert!(said.contains("uid 40001") && begin.elapsed() < Duration::from_secs(15), "{said}");
}
