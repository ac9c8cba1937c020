//! A mail host in a mount namespace: the real Courier programs have `/run/courier` and `/etc/courier` compiled in, and
//! find folders of the tests there.

use crate::port::free_port;
use crate::process::{Child, Family};
use crate::scratch::{Scratch, User};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mail host: its own folders, and the programs that use them.
pub struct MailHost {
    family: Family,
    folder: Scratch,
}

impl MailHost {
    /// The socket, as programs on the host know it.
    pub const SOCKET: &'static str = "/run/courier/authdaemon/socket";
    /// Owner of the mail of every account.
    pub const OWNER: User = User { uid: 5000, gid: 5000 };

    /// Creates a host with Debian's configuration, on which nothing runs yet.
    ///
    /// # Panics
    /// Panics if it cannot be created.
    pub fn new() -> Self {
        Self::with_own(&[])
    }

    /// Does the same, with its own copies of these folders of the machine. What is written there is visible only on
    /// this host, and is removed with it.
    ///
    /// # Panics
    /// Panics as [`MailHost::new`] does.
    pub fn with_own(folders: &[&str]) -> Self {
        let folder = Scratch::new("host");
        for inside in ["etc", "run/authdaemon", "ours", "run-mailboxes", "mail"] {
            fs::create_dir_all(folder.join(inside)).expect("a folder");
        }
        for file in ["imapd", "imapd-ssl", "pop3d", "pop3d-ssl"] {
            fs::copy(Path::new("/etc/courier").join(file), folder.join("etc").join(file))
                .expect("Courier's configuration");
        }
        let binds = [
            ("etc", "/etc/courier"),
            ("run", "/run/courier"),
            ("ours", "/run/mailauth"),
            ("run-mailboxes", "/run/mailauth-mailboxes"),
        ];
        let binds = binds.map(|(ours, theirs)| {
            format!("mkdir -p {theirs}; mount --bind {} {theirs}\n", folder.join(ours).display())
        });
        let mounts = overlays(&folder.join("own"), folders) + &binds.concat();
        // A process has to live as long as the namespace. It creates a file once everything is mounted.
        let ready = folder.join("ready");
        let wait = ["sh", "-c", "touch \"$0\"; exec sleep infinity"].map(String::from);
        let family =
            Family::spawn(&mounts, None, &[&wait[..], &[ready.display().to_string()]].concat(), &folder.join("log"));
        crate::eventually("the mounts", std::time::Duration::from_secs(20), || ready.exists());
        MailHost { family, folder }
    }

    /// Returns the socket for mailauth's own programs, as the tests know it.
    pub fn own_socket(&self) -> PathBuf {
        self.folder.join("ours/socket")
    }

    /// Returns Courier's socket, as the tests know it.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("run/authdaemon/socket")
    }

    /// Returns a path in the host's folder: `etc` is its `/etc/courier`, `run` its `/run/courier`, `ours` its
    /// `/run/mailauth`, and `mail` is for mail.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }

    /// Returns a file of the host, by its path there.
    pub fn inside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.family.eldest().as_raw_nonzero()))
    }

    /// Returns a command that runs a program on the host.
    pub fn command(&self, program: &str) -> Command {
        self.family.command(program)
    }

    /// Does the same for a program that gets signals from outside as a normal process, and has to end its own
    /// children.
    pub fn plain_command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.family.eldest().as_raw_nonzero().to_string()]).arg(program);
        command
    }

    /// Does `act` in a thread that sees the files of the host.
    ///
    /// # Panics
    /// Panics if `act` panics.
    pub fn among_its_files<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let mounts = format!("/proc/{}/ns/mnt", self.family.eldest().as_raw_nonzero());
        let mounts = File::open(mounts).expect("its mounts");
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                // SAFETY: the thread stops sharing its root and its working folder with the other threads, which is
                // necessary before it changes them. It shares no less memory and no fewer descriptors.
                assert_eq!(unsafe { libc::unshare(libc::CLONE_FS) }, 0, "the rights of root");
                move_into_link_name_space(mounts.as_fd(), Some(LinkNameSpaceType::Mount)).expect("the rights of root");
                act()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Starts the real courier-imapd, on a port of the loopback interface.
    pub fn imap(&self) -> TcpService {
        self.tcp_service("imapd", "imaplogin /usr/bin/imapd Maildir")
    }

    /// Starts the real courier-pop3d, on a port of the loopback interface.
    pub fn pop3(&self) -> TcpService {
        self.tcp_service("pop3d", "courierpop3login /usr/lib/courier/courier/courierpop3d Maildir")
    }

    /// Starts a service as Debian's /usr/lib/courier/imapd and pop3d do, but in the foreground.
    fn tcp_service(&self, name: &str, login_program: &str) -> TcpService {
        for _ in 0..5 {
            let port = free_port();
            let script = format!(
                "set -a; . /etc/courier/{name}; exec couriertcpd -address=127.0.0.1 -maxprocs=100 -maxperip=100 \
                 $TCPDOPTS {port} /usr/lib/courier/courier/{login_program}"
            );
            let log = self.folder.join(format!("{name}.log"));
            let mut command = self.command("env");
            command.args(["-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", &script]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).expect("a log"));
            let mut process = Child::spawn(command);
            let mut up = false;
            crate::eventually(name, std::time::Duration::from_secs(20), || {
                up = std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
                up || !process.runs()
            });
            if up {
                return TcpService { port, log, _process: process };
            }
        }
        panic!(
            "{name} does not start:\n{}",
            fs::read_to_string(self.folder.join(format!("{name}.log"))).unwrap_or_default()
        )
    }

    /// Creates a home with a Maildir that contains these messages, for accounts of [`MailHost::OWNER`], and returns
    /// its path.
    ///
    /// # Panics
    /// Panics if it cannot be created.
    pub fn home(&self, name: &str, messages: &[&str]) -> PathBuf {
        make_home(&self.folder.join("mail"), name, messages)
    }
}

impl Default for MailHost {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the shell commands that mount a layer over each of these folders. The layers are in memory, because a
/// folder that is such a layer itself, in a container, cannot contain one.
fn overlays(layers: &Path, folders: &[&str]) -> String {
    let mut script = format!("layers={}; mkdir $layers; mount -t tmpfs -o mode=755 tmpfs $layers\n", layers.display());
    for (number, folder) in folders.iter().enumerate() {
        script += &format!(
            "top=$layers/{number}/top; work=$layers/{number}/work; mkdir -p $top $work\n\
             chown --reference={folder} $top; chmod --reference={folder} $top\n\
             mount -t overlay -o lowerdir={folder},upperdir=$top,workdir=$work overlay {folder}\n"
        );
    }
    script
}

/// Creates a home with a Maildir that contains these messages.
fn make_home(mail: &Path, name: &str, messages: &[&str]) -> PathBuf {
    let User { uid, gid } = MailHost::OWNER;
    let home = mail.join(name);
    let mut made = vec![home.clone()];
    made.extend(["Maildir", "Maildir/cur", "Maildir/new", "Maildir/tmp"].map(|folder| home.join(folder)));
    for folder in &made {
        fs::create_dir(folder).expect("a folder");
    }
    for (number, message) in messages.iter().enumerate() {
        let path = home.join(format!("Maildir/new/{}.message.test", 1_700_000_000 + number));
        fs::write(&path, message).expect("a message");
        made.push(path);
    }
    for path in made {
        chown(&path, Some(uid), Some(gid)).expect("the owner of the mail");
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
    }
    home
}

/// A server on a port of the loopback interface. It is stopped when dropped.
pub struct TcpService {
    port: u16,
    log: PathBuf,
    _process: Child,
}

impl TcpService {
    /// Returns its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns its log.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}
