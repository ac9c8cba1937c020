//! A host whose accounts are checked by a checkpassword program.

use mailauth_tests::checkpassword::{Outcome, call, record};
use mailauth_tests::people::{CHEAP_HASH, DORA, DORAS_PASSWORD};
use mailauth_tests::{Accounts, Child, Kind, MailHost, Mailauth, Scratch, program};
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Has a quota, options, and a Maildir with 2 messages.
pub const ANNA: &str = "anna@example.org";
/// May use only IMAP.
pub const BRUNO: &str = "bruno@example.org";
/// Password of Anna and Bruno.
pub const PASSWORD: &str = "correct horse";
/// Timestamp of a server's greeting.
pub const TIMESTAMP: &str = "<1896.697170952@popup.example>";

/// The daemon, a configuration, and homes.
pub struct Site {
    pub accounts: Accounts,
    pub files: Scratch,
    /// `None` when it was stopped.
    pub daemon: Option<Mailauth>,
    _sockets: Option<Scratch>,
}

impl Site {
    pub fn new() -> Self {
        Self::on(Kind::Sqlite)
    }

    pub fn on(kind: Kind) -> Self {
        Self::over(Accounts::empty(kind))
    }

    /// Creates a site with the rights of docs/exim.md: besides root, these users may use the socket of mailauth's
    /// programs.
    pub fn for_users(users: &str) -> Self {
        let folder = Scratch::new("sockets");
        let own = folder.join("own/socket");
        let courier = format!("own_socket = '{}'\nallow_users = [{users}]", own.display());
        let mut site = Self::with(Accounts::empty(Kind::Sqlite), &courier);
        site._sockets = Some(folder);
        site.name_socket(&own, "");
        site
    }

    /// Creates a site with an empty database.
    pub fn over(accounts: Accounts) -> Self {
        Self::with(accounts, "socket_mode = '0666'\nallow_users = ['dovecot', 'nobody']")
    }

    fn with(accounts: Accounts, courier: &str) -> Self {
        let files = Scratch::new("site");
        let mail = files.join("mail");
        fs::create_dir(&mail).expect("a folder");
        let (home, ids) = (mail.display(), format!("{},{}", MailHost::OWNER.uid, MailHost::OWNER.gid));
        let accounts = accounts.with(&format!(
            "login,password,uid,gid,home,maildir,quota,services,options\n\
             {ANNA},{CHEAP_HASH},{ids},{home}/anna,Maildir,\"10000000S,1000C\",,wbnodsn=1\n\
             {BRUNO},{CHEAP_HASH},{ids},{home}/bruno,,,imap,\n\
             {DORA},{{PLAIN}}{DORAS_PASSWORD},{ids},{home}/dora,,,,\n"
        ));
        // Some tests cause hundreds of refusals in a row, and do not test how long they take.
        let daemon = Mailauth::unthrottled(&accounts, &format!("{courier}\n[login]\nrefusal_time = '0s'"));
        let site = Site { accounts, files, daemon: Some(daemon), _sockets: None };
        for name in ["anna", "bruno", "dora"] {
            site.home(name);
        }
        site.configure("");
        site
    }

    /// Creates a home with a Maildir that contains two messages.
    fn home(&self, name: &str) {
        let home = self.files.join("mail").join(name);
        let mut made = vec![home.clone()];
        made.extend(["Maildir", "Maildir/cur", "Maildir/new", "Maildir/tmp"].map(|folder| home.join(folder)));
        made.iter().for_each(|folder| fs::create_dir(folder).expect("a folder"));
        for number in 0..2 {
            let message = home.join(format!("Maildir/cur/{}.M1P1.host,S=37:2,", 1_700_000_000 + number));
            fs::write(&message, "From: dora\r\nSubject: Lunch?\r\n\r\nNoon\r\n").expect("a message");
            made.push(message);
        }
        for path in made {
            chown(path, Some(MailHost::OWNER.uid), Some(MailHost::OWNER.gid)).expect("its owner");
        }
    }

    /// Writes the configuration of the programs, with more lines at its end.
    pub fn configure(&self, lines: &str) {
        let socket = self.files.join("socket");
        if let Some(daemon) = &self.daemon
            && !socket.exists()
        {
            symlink(daemon.socket(), &socket).expect("a link");
        }
        self.name_socket(&socket, lines);
    }

    fn name_socket(&self, socket: &Path, lines: &str) {
        let text = format!("{}[client]\nsocket = \"{}\"\n{lines}\n", self.accounts.config(), socket.display());
        fs::write(self.config(), text).expect("the configuration");
    }

    /// Returns the configuration of the programs.
    pub fn config(&self) -> PathBuf {
        self.files.join("client.toml")
    }

    /// Returns a command that runs the program of this name, which executes `next`.
    pub fn command(&self, name: &str, next: &[&str]) -> Command {
        let path = self.files.join(name);
        if !path.exists() {
            symlink(program("mailauth-pop3"), &path).expect("a link");
        }
        let mut command = Command::new(path);
        command.args(next).env("MAILAUTH_CONFIG", self.config()).env_remove("MAILAUTH_SERVICE").current_dir("/");
        command
    }

    /// Runs a login, after which the shell runs `script`.
    pub fn log_in(&self, login: &str, password: &str, script: &str) -> Outcome {
        call(self.command("mailauth-pop3", &["sh", "-c", script]), &record(login, password, TIMESTAMP))
    }

    /// Returns the exit code of a login.
    pub fn code(&self, login: &str, password: &str) -> Option<i32> {
        self.log_in(login, password, "exit 0").code
    }

    /// Stops the daemon.
    pub fn stop_daemon(&mut self) {
        self.daemon = None;
    }

    /// Starts a program that runs until it is dropped.
    pub fn keep(command: Command) -> Child {
        Child::spawn(command)
    }
}
