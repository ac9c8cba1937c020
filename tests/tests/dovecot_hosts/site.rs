//! A mail host with the daemon, whose sockets are opened before it and stay open while it restarts, as systemd does.

use crate::page::page;
use mailauth_tests::checkpassword::give;
use mailauth_tests::people::{CHEAP_HASH, DORAS_PASSWORD};
use mailauth_tests::{Accounts, Child, MailHost, Scratch, User, eventually, program, run};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::Signal;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

pub const LIMIT: Duration = Duration::from_secs(30);

/// Folders of which the host has its own copies.
const OWN: [&str; 4] = ["/etc", "/run", "/usr", "/var"];

/// Folder into which tests/run unpacks postfix, which conflicts with Exim.
const POSTFIX: &str = "/var/cache/mailauth-tests/postfix";

/// Folder into which it unpacks dovecot-imapd and dovecot-pop3d, which conflict with Courier's servers.
const UNPACKED: &str = "/var/cache/mailauth-tests/unpacked";

/// What the packages do when they are installed, as far as these tests need it.
const INSTALL: &str = r#"
cp -a --remove-destination "$1"/usr/. "$2"/usr/. /usr/
cp -a "$1"/etc/postfix /etc/
echo 'postfix:x:190:190::/var/spool/postfix:/usr/sbin/nologin' >>/etc/passwd
printf 'postfix:x:190:\npostdrop:x:191:\n' >>/etc/group
chgrp postdrop /usr/sbin/postqueue /usr/sbin/postdrop
chmod 2755 /usr/sbin/postqueue /usr/sbin/postdrop
mkdir -p /var/spool/postfix
install -d -o postfix /var/lib/postfix /var/spool/postfix/private
chmod 700 /var/spool/postfix/private
install -d /run/dovecot /run/dovecot/login /run/dovecot/login/mailauth /etc/mailauth
"#;

/// A socket of the host, as its unit describes it.
struct Unit {
    path: &'static str,
    user: &'static str,
    group: &'static str,
    mode: u32,
}

/// The sockets of the units that the pages print, and Exim's.
const UNITS: [Unit; 7] = [
    Unit { path: POSTFIXS_SOCKET, user: "postfix", group: "postfix", mode: 0o660 },
    Unit { path: EXIMS_SOCKET, user: "root", group: "Debian-exim", mode: 0o660 },
    Unit { path: "/run/dovecot/login/mailauth/login", user: "root", group: "dovenull", mode: 0o660 },
    Unit { path: "/run/mailauth/userdb", user: "root", group: "dovecot", mode: 0o660 },
    Unit { path: "/run/mailauth/master", user: "root", group: "dovecot", mode: 0o660 },
    Unit { path: "/run/mailauth/chasquid", user: "root", group: "mail", mode: 0o660 },
    Unit { path: "/run/mailauth/chasquid-users", user: "root", group: "mail", mode: 0o660 },
];

pub const POSTFIXS_SOCKET: &str = "/var/spool/postfix/private/auth";
pub const EXIMS_SOCKET: &str = "/run/mailauth/exim";

/// The host. Fields are dropped in their order.
pub struct Site {
    daemon: Option<Child>,
    pub accounts: Accounts,
    pub files: Scratch,
    pub host: Arc<MailHost>,
    sockets: Vec<OwnedFd>,
    /// Port of the protocol for `inet:`.
    pub port: u16,
}

impl Site {
    /// Creates a host, and starts the daemon with these sections of the configuration in addition. `dovecot` are more
    /// keys of `[dovecot]`.
    pub fn new(accounts: Accounts, dovecot: &str, sections: &str) -> Self {
        for (folder, file) in [(POSTFIX, "usr/lib/postfix/sbin/smtpd"), (UNPACKED, "usr/lib/dovecot/imap-login")] {
            assert!(Path::new(folder).join(file).exists(), "tests/run unpacks {folder}");
        }
        let host = Arc::new(MailHost::with_own(&OWN));
        run(host.command("sh").args(["-ec", INSTALL, "sh", POSTFIX, UNPACKED]));
        let accounts = accounts.with(&people(&host));
        let mut sockets: Vec<OwnedFd> = UNITS.iter().map(|unit| unit.bind(&host)).collect();
        let inet = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = inet.local_addr().expect("its address").port();
        sockets.push(inet.into());
        let mut site = Site { daemon: None, accounts, files: Scratch::new("hosts"), host, sockets, port };
        site.configure(dovecot, sections);
        site.start_daemon();
        site
    }

    fn configure(&self, dovecot: &str, sections: &str) {
        let socket = |unit: &Unit| {
            let Unit { path, user, group, mode } = unit;
            format!("{{ path = \"{path}\", user = \"{user}\", group = \"{group}\", mode = \"{mode:04o}\" }}")
        };
        let [postfix, exim, login, userdb, master, chasquid, users] = UNITS.each_ref().map(socket);
        // Wrong passwords are sent all the time.
        let accounts = self.accounts.config().replacen("[throttle]\n", "[throttle]\nenabled = false\n", 1);
        let config = format!(
            "{accounts}deadline = \"1s\"\n[courier]\nsocket = \"/run/mailauth/courier\"\n\
             own_socket = \"/run/mailauth/socket\"\n\
             [dovecot]\nclient_socket = [{postfix}, {exim}, {chasquid}, \"127.0.0.1:{}\"]\nlogin_socket = {login}\n\
             userdb_socket = [{userdb}, {users}]\nmaster_socket = {master}\n{dovecot}\n{sections}\n",
            self.port
        );
        self.write("/etc/mailauth/mailauth.toml", &config);
    }

    /// Starts the daemon with its sockets, as sd_listen_fds(3) says.
    pub fn start_daemon(&mut self) {
        let mut command = self.host.plain_command("sh");
        let count = self.sockets.len();
        command.args(["-c", &format!("export LISTEN_PID=$$ LISTEN_FDS={count}; exec \"$0\" \"$@\"")]);
        command.arg(program("mailauth-courier")).args(["--config", "/etc/mailauth/mailauth.toml"]).current_dir("/");
        for (number, socket) in (3..).zip(&self.sockets) {
            // Numbers that the sockets are not given.
            give(&mut command, fcntl_dupfd_cloexec(socket.as_fd(), 100).expect("a descriptor"), number);
        }
        let log = File::options().create(true).append(true).open(self.files.join("log")).expect("a log");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor")).stderr(log);
        self.daemon = Some(Child::spawn(command));
    }

    /// Returns true if a client has connected to a socket that no process has accepted yet.
    pub fn has_waiting_client(&self, path: &str) -> bool {
        let number = UNITS.iter().position(|unit| unit.path == path).expect("a socket");
        let socket = fs::read_link(format!("/proc/self/fd/{}", self.sockets[number].as_raw_fd())).expect("a socket");
        let inode = socket.to_string_lossy().trim_start_matches("socket:[").trim_end_matches(']').to_owned();
        // State, waiting clients, maximum, path, inode.
        let listed = run(Command::new("ss").args(["--no-header", "--unix", "--listening"]));
        let lines = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let mut found = lines.filter(|words| words.get(5) == Some(&&*inode));
        found.any(|words| words.get(2).is_some_and(|waiting| *waiting != "0"))
    }

    /// Makes the daemon read its configuration again.
    pub fn reload(&self) {
        self.daemon.as_ref().expect("a running daemon").signal(Signal::HUP);
    }

    /// Stops the daemon in order. Its sockets stay open.
    pub fn stop_daemon(&mut self) {
        let mut daemon = self.daemon.take().expect("a running daemon");
        daemon.signal(Signal::TERM);
        let status = daemon.wait(LIMIT);
        assert!(status.is_some_and(|status| status.success()), "{status:?}\n{}", self.log());
    }

    /// Kills the daemon, as a crash does.
    pub fn kill_daemon(&mut self) {
        let mut daemon = self.daemon.take().expect("a running daemon");
        daemon.signal(Signal::KILL);
        daemon.wait(LIMIT);
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.files.join("log")).unwrap_or_default()
    }

    /// Waits until the daemon's log contains a text.
    pub fn wait_for_log(&self, text: &str) {
        eventually(text, LIMIT, || self.log().contains(text));
    }

    /// Writes a file of the host.
    pub fn write(&self, path: &str, text: &str) {
        let file = self.host.inside(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("its folder");
        fs::write(&file, text).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Returns a file of the host, or nothing if it does not exist.
    pub fn read(&self, path: &str) -> String {
        let bytes = fs::read(self.host.inside(path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Runs lines of a shell on the host to their end, and returns their output.
    pub fn shell(&self, lines: &str) -> String {
        run(self.host.command("sh").current_dir("/").args(["-ec", lines]))
    }
}

impl Drop for Site {
    /// Prints the logs if a test fails.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = ["/var/log/mail.log", "/var/log/dovecot.log", "/var/log/exim4/mainlog"];
            eprintln!("--- daemon\n{}", self.log());
            logs.iter().for_each(|path| eprintln!("--- {path}\n{}", self.read(path)));
        }
    }
}

impl Unit {
    fn bind(&self, host: &MailHost) -> OwnedFd {
        let socket = host.among_its_files(|| UnixListener::bind(self.path)).expect("a socket");
        let file = host.inside(self.path);
        let (user, group) = (id_of(host, "passwd", self.user), id_of(host, "group", self.group));
        chown(&file, Some(user), Some(group)).expect("its owner");
        fs::set_permissions(&file, fs::Permissions::from_mode(self.mode)).expect("its mode");
        socket.into()
    }
}

/// Returns the number of a user or a group of the host.
fn id_of(host: &MailHost, table: &str, name: &str) -> u32 {
    let text = fs::read_to_string(host.inside("/etc").join(table)).expect("the table");
    let line = text.lines().find(|line| line.split(':').next() == Some(name));
    line.and_then(|line| line.split(':').nth(2)).and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("no {name}"))
}

/// Returns the block of a page for this file, below this heading, without the line that names the file.
pub fn printed(name: &str, heading: &str, file: &str) -> String {
    let first = format!("# {file}\n");
    let mut found = page(name).into_iter().filter(|piece| piece.heading == heading && piece.language().is_some());
    let block = found.find_map(|piece| piece.text.strip_prefix(&first).map(str::to_owned));
    block.unwrap_or_else(|| panic!("{name} has no {file} below {heading}"))
}

/// Anna has a quota, Bruno may use only POP3, Carla is disabled, and Dora's password is stored in clear.
fn people(host: &MailHost) -> String {
    let User { uid, gid } = MailHost::OWNER;
    let row = |name: &str, rest: &str| {
        let home = host.home(name, &["Subject: one\n\nhello\n", "Subject: two\n\nhello\n"]);
        format!("{name}@example.org,{uid},{gid},{},{rest}\n", home.display())
    };
    [
        "login,uid,gid,home,password,quota,services,enabled\n".to_owned(),
        row("anna", &format!("{CHEAP_HASH},\"10000000S,1000C\",,true")),
        row("bruno", &format!("{CHEAP_HASH},,pop3,true")),
        row("carla", &format!("{CHEAP_HASH},,,false")),
        row("dora", &format!("{{PLAIN}}{DORAS_PASSWORD},,,true")),
    ]
    .concat()
}
