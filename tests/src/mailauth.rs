//! The daemon `mailauth-courier`.

use crate::accounts::Accounts;
use crate::mail_host::MailHost;
use crate::process::Child;
use crate::programs::program;
use crate::scratch::Scratch;
use rustix::process::{Pid, Signal};
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A running `mailauth-courier`.
pub struct Mailauth {
    process: Child,
    folder: Scratch,
    socket: PathBuf,
    /// Its socket for mailauth's own programs, which exists a moment later, if the tests know where it is.
    own_socket: Option<PathBuf>,
}

impl Mailauth {
    /// Starts it with these accounts, on a socket of its own.
    ///
    /// # Panics
    /// Panics if it does not start. The message contains its log.
    pub fn over(accounts: &Accounts) -> Self {
        Self::with(accounts, "")
    }

    /// Does the same, with more lines for `[courier]`, and sections after them if needed.
    ///
    /// # Panics
    /// Panics as [`Mailauth::over`] does.
    pub fn with(accounts: &Accounts, courier: &str) -> Self {
        Self::configured(|socket| {
            accounts.are_served_on(socket);
            Self::config(accounts, socket, courier)
        })
    }

    /// Does the same without the throttle, for tests of other things that send many wrong passwords.
    ///
    /// # Panics
    /// Panics as [`Mailauth::over`] does.
    pub fn unthrottled(accounts: &Accounts, courier: &str) -> Self {
        Self::configured(|socket| {
            accounts.are_served_on(socket);
            let off = "[throttle]\nenabled = false\n";
            Self::config(accounts, socket, courier).replacen("[throttle]\n", off, 1)
        })
    }

    /// Starts it with the configuration that `config` returns for a socket.
    ///
    /// # Panics
    /// Panics as [`Mailauth::over`] does.
    pub fn configured(config: impl FnOnce(&Path) -> String) -> Self {
        let folder = Scratch::new("mailauth");
        let socket = folder.join("socket");
        let config = config(&socket);
        Self::start(Command::new(program("mailauth-courier")), folder, &config, socket, None)
    }

    /// Starts it on a mail host, in place of authdaemond.
    ///
    /// # Panics
    /// Panics as [`Mailauth::over`] does.
    pub fn on(host: &MailHost, accounts: &Accounts) -> Self {
        Self::on_with(host, accounts, "")
    }

    /// Does the same, with more lines for `[courier]`.
    ///
    /// # Panics
    /// Panics as [`Mailauth::over`] does.
    pub fn on_with(host: &MailHost, accounts: &Accounts, courier: &str) -> Self {
        let config = Self::config(accounts, Path::new(MailHost::SOCKET), courier);
        accounts.are_served_on(&host.socket());
        let command = host.plain_command(program("mailauth-courier"));
        let own_socket = (!courier.contains("own_socket")).then(|| host.own_socket());
        Self::start(command, Scratch::new("mailauth"), &config, host.socket(), own_socket)
    }

    fn start(command: Command, folder: Scratch, config: &str, socket: PathBuf, own_socket: Option<PathBuf>) -> Self {
        fs::write(folder.join("mailauth.toml"), config).expect("the configuration");
        let process = Self::spawn(command, &folder);
        let mut server = Mailauth { process, folder, socket, own_socket };
        server.wait_until_up();
        server
    }

    fn spawn(mut command: Command, folder: &Scratch) -> Child {
        let log = File::options().create(true).append(true).open(folder.join("log")).expect("a log");
        command.arg("--config").arg(folder.join("mailauth.toml")).current_dir("/");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor")).stderr(log);
        Child::spawn(command)
    }

    fn wait_until_up(&mut self) {
        let begin = Instant::now();
        while !(answers(&self.socket) && self.has_own_socket()) {
            let patient = self.process.runs() && begin.elapsed() < Duration::from_secs(20);
            assert!(patient, "mailauth-courier does not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns true if its own socket exists, or the daemon has given it up.
    fn has_own_socket(&self) -> bool {
        self.own_socket.as_deref().is_none_or(answers) || self.log().contains("only [courier] socket is served")
    }

    /// Kills it, as a crash does.
    pub fn crash(&mut self) {
        self.process.signal(Signal::KILL);
        self.wait(Duration::from_secs(10));
    }

    /// Starts it again after its end, with the same configuration, not on a mail host.
    ///
    /// # Panics
    /// Panics as [`Mailauth::over`] does.
    pub fn start_again(&mut self) {
        self.process = Self::spawn(Command::new(program("mailauth-courier")), &self.folder);
        self.wait_until_up();
    }

    /// Returns a whole configuration: these accounts, this socket, these other lines of `[courier]`.
    pub fn config(accounts: &Accounts, socket: &Path, courier: &str) -> String {
        format!("{}[courier]\nsocket = \"{}\"\n{courier}\n", accounts.config(), socket.display())
    }

    /// Returns its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Returns its configuration file, which [`Mailauth::reload`] makes it read again.
    pub fn config_path(&self) -> PathBuf {
        self.folder.join("mailauth.toml")
    }

    /// Returns its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Waits until its log contains a text.
    ///
    /// # Panics
    /// Panics if it does not within some seconds. The message contains the log.
    pub fn wait_for_log(&self, text: &str) {
        let begin = Instant::now();
        while !self.log().contains(text) {
            assert!(begin.elapsed() < Duration::from_secs(10), "no {text:?} in the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Makes it read its configuration again.
    pub fn reload(&self) {
        self.process.signal(Signal::HUP);
    }

    /// Sends it a signal, such as one that freezes it.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Waits for its end and returns its status.
    ///
    /// # Panics
    /// Panics if it does not end within the time.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        self.process.wait(limit).unwrap_or_else(|| panic!("still running after {limit:?}:\n{}", self.log()))
    }

    /// Returns its process ID.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Returns its process.
    pub fn process(&mut self) -> &mut Child {
        &mut self.process
    }
}

/// Returns true if a program listens on a socket.
fn answers(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}
