//! Sockets that systemd opens for the daemon: restarts while they stay open, and reloads.

use crate::accounts;
use mailauth_tests::checkpassword::give;
use mailauth_tests::people::{ANNA, PASSWORD};
use mailauth_tests::wire::login;
use mailauth_tests::{Accounts, Asked, Child, Kind, Load, Mailauth, Scratch, Verdict, children, eventually, program};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Pid, Signal};
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

/// A folder with sockets that stay open while daemons start and stop.
struct Folder(Scratch);

impl Folder {
    fn new(accounts: &Accounts, courier: &str) -> Self {
        let folder = Folder(Scratch::new("passed"));
        folder.configure(accounts, &folder.path("socket"), courier);
        accounts.are_served_on(&folder.path("socket"));
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn configure(&self, accounts: &Accounts, socket: &Path, courier: &str) {
        let courier = format!("own_socket = \"{}\"\n{courier}", self.path("own").display());
        let off = "[throttle]\nenabled = false\n";
        let config = Mailauth::config(accounts, socket, &courier).replacen("[throttle]\n", off, 1);
        fs::write(self.path("mailauth.toml"), config).expect("the configuration");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn spawn(&self, mut command: Command) -> Child {
        let log = File::options().create(true).append(true).open(self.path("log")).expect("a log");
        command.arg("--config").arg(self.path("mailauth.toml")).current_dir("/");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor")).stderr(log);
        Child::spawn(command)
    }

    /// Starts a daemon with these sockets, as sd_listen_fds(3) says.
    fn start(&self, sockets: &[&dyn AsFd]) -> Child {
        let mut command = Command::new("sh");
        let line =
            format!("export LISTEN_PID=$$ LISTEN_FDS={} LISTEN_FDNAMES=one:two; exec \"$0\" \"$@\"", sockets.len());
        command.args(["-c", &line]).arg(program("mailauth-courier"));
        for (number, socket) in (3..).zip(sockets) {
            // Numbers that the sockets are not given.
            give(&mut command, fcntl_dupfd_cloexec(socket.as_fd(), 100).expect("a descriptor"), number);
        }
        self.spawn(command)
    }

    fn wait_for_log(&self, text: &str, count: usize) {
        eventually(&format!("{count} times {text}"), LIMIT, || self.log().matches(text).count() >= count);
    }
}

fn file_of(path: &Path) -> (u64, u32) {
    let found = fs::metadata(path).expect("the socket");
    (found.ino(), found.permissions().mode() & 0o777)
}

/// Returns what the descriptors of a process refer to.
fn opened(pid: Pid) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).expect("its descriptors");
    entries.filter_map(|entry| fs::read_link(entry.expect("an entry").path()).ok()).collect()
}

#[test]
fn restarts_with_passed_sockets_refuse_no_login() {
    let accounts = Accounts::empty(Kind::Sqlite).with(&Load::accounts());
    let folder = Folder::new(&accounts, "");
    let [courier, own] = ["socket", "own"].map(|name| UnixListener::bind(folder.path(name)).expect("a socket"));
    let before = file_of(&folder.path("socket")).0;
    let mut daemon = folder.start(&[&courier, &own]);
    let load = Load::new();
    let answers = load.run_watched(&folder.path("socket"), |watch| {
        for _ in 0..20 {
            watch.wait_for_right(Asked::Read, 20, Instant::now(), LIMIT);
            daemon.signal(Signal::TERM);
            assert!(daemon.wait(LIMIT).is_some_and(|status| status.success()), "{}", folder.log());
            daemon = folder.start(&[&courier, &own]);
        }
        watch.wait_for_right(Asked::Change, 1, Instant::now(), LIMIT);
    });
    assert_eq!(answers.wrong(), [""; 0], "{}", folder.log());
    for asked in [Asked::Read, Asked::Change] {
        assert_eq!(answers.which(asked, &Verdict::NotNow).count(), 0, "{asked:?}: {}", folder.log());
    }
    assert!(answers.which(Asked::Read, &Verdict::Right).count() > 400);
    assert_eq!(file_of(&folder.path("socket")), (before, 0o660));
    assert_eq!(file_of(&folder.path("own")).1, 0o600, "the modes are those of the configuration");

    // The programs that it starts have neither the sockets nor the variables.
    let socket = fs::read_link(format!("/proc/self/fd/{}", courier.as_raw_fd())).expect("a socket");
    assert!(opened(daemon.pid()).contains(&socket));
    for child in children(daemon.pid()) {
        assert!(!opened(child).contains(&socket));
        let environment = fs::read(format!("/proc/{}/environ", child.as_raw_nonzero())).expect("its environment");
        assert!(!String::from_utf8_lossy(&environment).contains("LISTEN_"));
    }
}

#[test]
fn a_reload_leaves_passed_sockets_open_and_returns_to_them() {
    let accounts = accounts();
    let folder = Folder::new(&accounts, "");
    let (socket, other) = (folder.path("socket"), folder.path("other"));
    let mut command = Command::new("systemd-socket-activate");
    command.args(["-l", socket.to_str().expect("a path"), "-l", folder.path("spare").to_str().expect("a path")]);
    let daemon = folder.spawn({
        command.arg(program("mailauth-courier"));
        command
    });
    eventually("the sockets", LIMIT, || UnixStream::connect(&socket).is_ok());
    assert_eq!(login(&socket, ANNA, PASSWORD).word(), "ACCOUNT", "{}", folder.log());
    folder.wait_for_log("ready socket=", 1);
    let unused = format!("a socket on unix:{} was passed", folder.path("spare").display());
    assert!(folder.log().contains(&unused) && folder.log().contains("get no answer"), "{}", folder.log());
    let file = file_of(&socket);

    let reload = |path: &Path, courier: &str, count: usize| {
        folder.configure(&accounts, path, courier);
        daemon.signal(Signal::HUP);
        folder.wait_for_log("configuration read again", count);
        assert_eq!(login(path, ANNA, PASSWORD).word(), "ACCOUNT", "{}", folder.log());
    };
    reload(&other, "", 1);
    assert_eq!(file_of(&socket), file, "it belongs to systemd");
    let passed = format!("a socket on unix:{} was passed", socket.display());
    assert!(folder.log().contains(&passed), "{}", folder.log());
    reload(&socket, "", 2);
    assert!(!other.exists());
    reload(&socket, "socket_mode = \"0600\"", 3);
    assert_eq!(file_of(&socket), (file.0, 0o600));

    // Another program takes the path away.
    fs::remove_file(&socket).expect("the socket");
    let _thief = UnixListener::bind(&socket).expect("another socket");
    folder.configure(&accounts, &socket, "socket_mode = \"0660\"");
    daemon.signal(Signal::HUP);
    folder.wait_for_log("leads to another socket than the one that was passed", 1);
}

#[test]
fn descriptors_that_are_no_listening_sockets_stop_the_start_with_all_errors() {
    let accounts = accounts();
    let folder = Folder::new(&accounts, "");
    let datagrams = UnixDatagram::bind(folder.path("socket")).expect("a socket");
    let file = File::open("/dev/null").expect("a file");
    let mut daemon = folder.start(&[&datagrams, &file]);
    assert_eq!(daemon.wait(LIMIT).and_then(|status| status.code()), Some(1), "{}", folder.log());
    for text in ["descriptor 3 (one)", "descriptor 4 (two)", "not a stream socket that listens", "Accept=no"] {
        assert!(folder.log().contains(text), "{}", folder.log());
    }
}
