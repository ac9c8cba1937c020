//! The real Exim on a mail host, with the configuration printed in docs/exim.md.

use crate::certificates::Certificates;
use crate::mail_host::MailHost;
use crate::port::free_port;
use crate::process::{Child, children, eventually, run};
use crate::programs::{library, program};
use crate::scratch::{Scratch, User};
use crate::smtp::Smtp;
use rustix::process::Pid;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// How Exim asks mailauth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// By functions of the shared object.
    Dlfunc,
    /// By the daemon's socket.
    Readsocket,
    /// By the program, except for questions with a password, which go to the socket.
    Run,
}

/// A private Exim: its configuration, spool and logs belong to the host.
pub struct Exim {
    host: Arc<MailHost>,
    files: Scratch,
    certificates: Certificates,
    daemon: Option<Daemon>,
}

struct Daemon {
    port: u16,
    process: Child,
}

/// How a program of the host ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// All its output.
    pub said: String,
}

impl Exim {
    /// Folder in which the object and the programs are installed.
    pub const FOLDER: &'static str = "/usr/local/lib/mailauth";
    /// Folders of which the host needs its own copies.
    pub const OWN: [&'static str; 6] =
        ["/etc", "/usr/local", "/var/lib", "/var/mail", "/var/spool/exim4", "/var/log/exim4"];

    /// Installs the files that docs/exim.md prints, and what they refer to. Nothing runs yet.
    ///
    /// # Panics
    /// Panics if a file is missing.
    pub fn set_up(host: Arc<MailHost>, form: Form) -> Self {
        let questions = match form {
            Form::Dlfunc => printed("/etc/exim4/mailauth.conf", "${dlfunc{"),
            Form::Readsocket => printed("/etc/exim4/mailauth.conf", "${readsocket{"),
            Form::Run => {
                let rest = printed("/etc/exim4/mailauth.conf", "${readsocket{");
                with_others(&rest, &printed("/etc/exim4/mailauth.conf", "${run{"))
            }
        };
        let exim = Self::on(host);
        exim.write("/etc/exim4/exim4.conf", &printed("/etc/exim4/exim4.conf", "begin routers"));
        exim.write("/etc/exim4/mailauth.conf", &questions);
        if form != Form::Readsocket {
            let folder = exim.host.inside(Self::FOLDER);
            fs::create_dir_all(&folder).expect("a folder");
            fs::copy(library("libmailauth_exim.so"), folder.join("libmailauth_exim.so")).expect("the object");
            for name in ["mailauth-exim", "mailauth-exim-database"] {
                fs::copy(program(name), folder.join(name)).expect("a program");
            }
        }
        exim
    }

    /// Offers CRAM-MD5 by the block of the page, to the loopback addresses instead of the page's printer.
    ///
    /// # Panics
    /// Panics if the page has no such block, or another address.
    pub fn permit_cram(&self) {
        let block = printed("/etc/exim4/cram.conf", "cram_md5");
        assert!(block.contains("192.0.2.10"), "{block}");
        self.write("/etc/exim4/cram.conf", &block.replace("192.0.2.10", "127.0.0.1"));
    }

    /// Restricts senders to the addresses of the login, by the block of the page.
    pub fn limit_senders(&self) {
        self.write("/etc/exim4/senders.conf", &printed("/etc/exim4/senders.conf", "check_sender"));
    }

    /// Does the same without a configuration, but with a certificate.
    ///
    /// # Panics
    /// Panics as [`Exim::set_up`] does.
    pub fn on(host: Arc<MailHost>) -> Self {
        let files = Scratch::new("exim");
        let user = User::named("Debian-exim");
        let certificates = Certificates::make(files.path(), user);
        let exim = Exim { host, files, certificates, daemon: None };
        for (from, to) in [(&exim.certificates.certificate, "exim.crt"), (&exim.certificates.key, "exim.key")] {
            let to = exim.host.inside("/etc/exim4").join(to);
            fs::copy(from, &to).expect("the certificate");
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).expect("its mode");
            chown(&to, Some(user.uid), Some(user.gid)).expect("its owner");
        }
        exim
    }

    /// Writes a file of the host.
    ///
    /// # Panics
    /// Panics if the file cannot be written.
    pub fn write(&self, path: &str, text: &str) {
        let file = self.host.inside(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("its folder");
        fs::write(&file, text).unwrap_or_else(|e| panic!("{path}: {e}"));
    }

    /// Starts the daemon, on a port of the loopback interface.
    ///
    /// # Panics
    /// Panics if the daemon does not start.
    pub fn start(&mut self) {
        for _ in 0..5 {
            let port = free_port();
            let mut command = self.command(&["-bdf", "-q1h", "-oY", "-oX", &format!("127.0.0.1.{port}")]);
            command.arg("-oP").arg(self.files.join("pid"));
            let said = fs::File::create(self.files.join("said")).expect("a file");
            command.stdin(Stdio::null()).stdout(said.try_clone().expect("a descriptor")).stderr(said);
            let mut process = Child::spawn(command);
            let mut up = false;
            eventually("exim", Duration::from_secs(20), || {
                up = std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
                up || !process.runs()
            });
            if up {
                self.daemon = Some(Daemon { port, process });
                return;
            }
        }
        let said = fs::read_to_string(self.files.join("said")).unwrap_or_default();
        panic!("exim does not start:\n{said}{}{}", self.log("mainlog"), self.log("paniclog"));
    }

    /// Stops the daemon.
    ///
    /// # Panics
    /// Panics if the daemon does not end.
    pub fn stop(&mut self) {
        let mut daemon = self.daemon.take().expect("a running daemon");
        run(self.host.command("sh").args(["-c", "kill $(cat \"$0\")"]).arg(self.files.join("pid")));
        assert!(daemon.process.wait(Duration::from_secs(20)).is_some(), "exim does not end");
    }

    /// Returns the daemon's port.
    pub fn port(&self) -> u16 {
        self.daemon.as_ref().expect("a running daemon").port
    }

    /// Returns the certificate of the daemon.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Returns the daemon's process.
    ///
    /// # Panics
    /// Panics if the daemon is not running.
    pub fn pid(&self) -> Pid {
        // nsenter is the parent of the daemon.
        match children(self.daemon.as_ref().expect("a running daemon").process.pid())[..] {
            [pid] => pid,
            _ => panic!("exim has ended:\n{}{}", self.log("mainlog"), self.log("paniclog")),
        }
    }

    /// Connects a client without TLS.
    pub fn connect(&self) -> Smtp {
        Smtp::connect(self.port())
    }

    /// Connects a client with TLS.
    pub fn connect_tls(&self) -> Smtp {
        Smtp::connect_tls(self.port(), &self.certificates.authority)
    }

    /// Returns a command that runs Exim on the host as root, with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.host.command("exim4");
        command.args(arguments).current_dir("/");
        command
    }

    /// Runs it to its end, which has to come within a minute.
    ///
    /// # Panics
    /// Panics if it does not end.
    pub fn run(&self, arguments: &[&str], input: &str) -> Ended {
        let path = self.files.join("input");
        fs::write(&path, input).expect("a file");
        let mut command = self.command(arguments);
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        command.stdin(fs::File::open(&path).expect("the file"));
        command.stdout(writer.try_clone().expect("a descriptor")).stderr(writer);
        let mut process = Child::spawn(command);
        let mut said = String::new();
        reader.read_to_string(&mut said).expect("text");
        let status = process.wait(Duration::from_secs(60)).unwrap_or_else(|| panic!("{arguments:?} does not end"));
        Ended { code: status.code(), said }
    }

    /// Expands a string with `exim -be`. A failure is a line that begins with `Failed:`.
    pub fn expand(&self, text: &str) -> String {
        self.run(&["-be", text], "").said.trim_end_matches('\n').to_owned()
    }

    /// Tries to deliver the waiting messages now, regardless of their retry times.
    pub fn run_queue(&self) {
        let ended = self.run(&["-qff"], "");
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }

    /// Returns the number of waiting messages.
    pub fn waiting(&self) -> usize {
        self.run(&["-bpc"], "").said.trim().parse().expect("a number")
    }

    /// Returns one of its logs: `mainlog`, `rejectlog` or `paniclog`.
    pub fn log(&self, name: &str) -> String {
        fs::read(self.host.inside("/var/log/exim4").join(name))
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until the main log contains a text.
    ///
    /// # Panics
    /// Panics if it does not within some seconds. The message contains the log.
    pub fn wait_for_log(&self, text: &str) {
        let begin = std::time::Instant::now();
        while !self.log("mainlog").contains(text) {
            let patient = begin.elapsed() < Duration::from_secs(20);
            assert!(patient, "no {text:?} in the log:\n{}{}", self.log("mainlog"), self.log("paniclog"));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Exim {
    fn drop(&mut self) {
        if self.daemon.is_some() && !std::thread::panicking() {
            self.stop();
        }
    }
}

/// Returns the block of docs/exim.md for this file that contains a text, without the line that names the file.
fn printed(file: &str, with: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/exim.md");
    let page = fs::read_to_string(path).expect("docs/exim.md");
    let start = format!("```exim\n# {file}\n");
    let mut blocks =
        page.split(start.as_str()).skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block);
    blocks
        .find(|block| block.contains(with))
        .unwrap_or_else(|| panic!("docs/exim.md has no {file} with {with}"))
        .to_owned()
}

/// Returns `text` in which the definitions of `others` replace those of the same name, or come first.
fn with_others(text: &str, others: &str) -> String {
    let name = |line: &str| line.split_once(" = ").map(|(name, _)| name.to_owned());
    // Joined as Exim joins lines.
    let joined = |text: &str| text.split("\\\n").map(str::trim_start).collect::<String>();
    let mut lines: Vec<String> = joined(text).lines().map(str::to_owned).collect();
    for other in joined(others).lines() {
        match lines.iter().position(|line| name(line).is_some() && name(line) == name(other)) {
            Some(place) => other.clone_into(&mut lines[place]),
            None => lines.insert(0, other.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

/// Returns the Maildir of an account of the host whose home is the default one.
pub fn maildir(host: &MailHost, address: &str) -> PathBuf {
    let (local_part, domain) = address.split_once('@').expect("an address");
    host.inside(&format!("/var/mail/{domain}/{local_part}/Maildir"))
}
