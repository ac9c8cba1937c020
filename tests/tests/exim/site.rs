//! A mail host with Exim, the daemon, and some accounts.

use crate::page::page;
use mailauth_tests::exim::{Exim, Form, maildir};
use mailauth_tests::people::{CHEAP_HASH, DORAS_PASSWORD, SHA512_CRYPT_HASH};
use mailauth_tests::{Accounts, Kind, MailHost, Mailauth};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::sync::Arc;

/// The whole site. Fields are dropped in their order.
pub struct Site {
    pub exim: Exim,
    pub daemon: Option<Mailauth>,
    pub accounts: Accounts,
    pub host: Arc<MailHost>,
}

impl Site {
    /// Configuration of the daemon that permits Exim, whatever groups it has.
    pub const COURIER: &str =
        "socket_mode = \"0666\"\nallow_users = [\"Debian-exim\"]\nclear_users = [\"Debian-exim\"]\n";

    /// Creates a site with SQLite, and starts Exim.
    pub fn new(form: Form) -> Self {
        Self::over(form, Accounts::empty(Kind::Sqlite))
    }

    /// Does the same, with CRAM-MD5 offered.
    pub fn with_cram(form: Form) -> Self {
        Self::make(form, Accounts::empty(Kind::Sqlite), true)
    }

    /// Creates a site with an empty table.
    pub fn over(form: Form, accounts: Accounts) -> Self {
        Self::make(form, accounts, false)
    }

    /// Creates a site with an empty table, with or without CRAM-MD5.
    pub fn make(form: Form, accounts: Accounts, cram: bool) -> Self {
        let host = Arc::new(MailHost::with_own(&Exim::OWN));
        let accounts = accounts.with(&people());
        for alias in ALIASES {
            accounts.admin(&[&["alias", "add"], *alias].concat(), "");
        }
        accounts.admin(&["domain", "add", "closed.example"], "");
        accounts.admin(&["account", "add", "gina@closed.example", "--password-stdin"], "correct horse\n");
        accounts.admin(&["domain", "set", "closed.example", "--disabled"], "");
        for domain in ["example.org", "catch.example"] {
            give(&host.inside(&format!("/var/mail/{domain}")), 0o755);
        }
        let daemon = Some(Mailauth::on_with(&host, &accounts, Self::COURIER));
        let mut exim = Exim::set_up(Arc::clone(&host), form);
        exim.write("/etc/mailauth/mailauth.toml", &Self::client(&accounts, "none", "3s"));
        if cram {
            exim.permit_cram();
        }
        exim.start();
        Site { exim, daemon, accounts, host }
    }

    /// Returns the configuration that Exim's side reads.
    pub fn client(accounts: &Accounts, fallback: &str, deadline: &str) -> String {
        let socket = MailHost::SOCKET;
        format!(
            "{}[client]\nsocket = \"{socket}\"\nfallback = \"{fallback}\"\ndeadline = \"{deadline}\"\n",
            accounts.config()
        )
    }

    /// Returns the running daemon.
    pub fn daemon(&self) -> &Mailauth {
        self.daemon.as_ref().expect("a running daemon")
    }

    /// Stops the daemon.
    pub fn stop_daemon(&mut self) {
        let mut daemon = self.daemon.take().expect("a running daemon");
        daemon.terminate();
        daemon.wait(std::time::Duration::from_secs(30));
    }

    /// Starts it again.
    pub fn start_daemon(&mut self) {
        self.daemon = Some(Mailauth::on_with(&self.host, &self.accounts, Self::COURIER));
    }

    /// Returns the names of all processes of the host. One that ends while they are read is left out.
    pub fn processes(&self) -> String {
        mailauth_tests::run(self.host.command("sh").args(["-c", "cat /proc/[0-9]*/comm 2>/dev/null || true"]))
    }

    /// Returns the messages in a mailbox.
    pub fn messages(&self, address: &str) -> Vec<PathBuf> {
        let new = maildir(&self.host, address).join("new");
        let mut files: Vec<PathBuf> = match fs::read_dir(new) {
            Ok(entries) => entries.map(|entry| entry.expect("an entry").path()).collect(),
            Err(_) => Vec::new(),
        };
        files.sort();
        files
    }

    /// Creates a mailbox with one message of this size.
    pub fn fill(&self, address: &str, size: usize) {
        let maildir = maildir(&self.host, address);
        for folder in [maildir.parent().expect("a home").to_owned(), maildir.clone()] {
            give(&folder, 0o700);
        }
        for part in ["tmp", "new", "cur"] {
            give(&maildir.join(part), 0o700);
        }
        let file = maildir.join(format!("cur/1700000000.1.test,S={size}:2,S"));
        fs::write(&file, vec![b'x'; size]).expect("a message");
        chown(&file, Some(MailHost::OWNER.uid), Some(MailHost::OWNER.gid)).expect("its owner");
    }

    /// Removes the messages of a mailbox, as a POP3 server without quotas does.
    pub fn empty(&self, address: &str) {
        for part in ["cur", "new"] {
            for message in fs::read_dir(maildir(&self.host, address).join(part)).expect("a folder") {
                fs::remove_file(message.expect("a message").path()).expect("removed");
            }
        }
    }

    /// Leads root's mail to an account, by the block of docs/exim.md.
    pub fn alias_root(&self) {
        let blocks = page("docs/exim.md").into_iter().filter(|piece| piece.language() == Some("sh"));
        let mut blocks = blocks.filter(|piece| piece.text.contains("/etc/aliases"));
        let block = blocks.next().expect("the block").text;
        mailauth_tests::run(self.host.command("sh").args(["-ec", &block]));
    }

    /// Returns what another host is told about a recipient on a port, in a session that `exim -bh` plays.
    pub fn reply_to_stranger(&self, port: u16, recipient: &str) -> String {
        let interface = format!("127.0.0.1.{port}");
        let typed = format!(
            "EHLO elsewhere.example\r\nMAIL FROM:<sender@elsewhere.example> SIZE=900\r\nRCPT TO:<{recipient}>\r\nQUIT\r\n"
        );
        let said = self.exim.run(&["-oMi", &interface, "-bh", "192.0.2.7"], &typed).said;
        let replies: Vec<&str> = said.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
        // The last one is for QUIT.
        let [.., reply, _] = replies[..] else { panic!("{said}") };
        reply.to_owned()
    }

    /// Asserts that nothing was written to the panic log.
    #[track_caller]
    pub fn no_panic(&self) {
        assert_eq!(self.exim.log("paniclog"), "");
    }
}

impl Drop for Site {
    /// Prints the logs if a test fails.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.daemon.as_ref().map(Mailauth::log).unwrap_or_default();
            for (name, text) in
                [("daemon", log), ("mainlog", self.exim.log("mainlog")), ("paniclog", self.exim.log("paniclog"))]
            {
                eprintln!("--- {name}\n{text}");
            }
        }
    }
}

/// Gives a folder to the owner of the mail.
fn give(folder: &std::path::Path, mode: u32) {
    fs::create_dir_all(folder).expect("a folder");
    chown(folder, Some(MailHost::OWNER.uid), Some(MailHost::OWNER.gid)).expect("its owner");
    fs::set_permissions(folder, fs::Permissions::from_mode(mode)).expect("its mode");
}

/// A difficult password: everything that could confuse Exim, except a line feed.
pub const ODD_PASSWORD: &str = "a$b\\c}d{e,f\"g'h|i:j;k<l>m $auth1 ${lc:X} \\n ä";

/// An address whose local part could confuse Exim.
pub const ODD: &str = "o'neil+$x{}`|&=?^~*!#%-_@example.org";

fn people() -> String {
    let odd = ODD_PASSWORD.replace('"', "\"\"");
    format!(
        "login,password,quota,services,name,enabled\n\
         anna@example.org,{CHEAP_HASH},,,\"Anna \"\"Ä\"\" \\ Ärlig\",true\n\
         bruno@example.org,{SHA512_CRYPT_HASH},,pop3,,true\n\
         carla@example.org,{CHEAP_HASH},,,,false\n\
         dora@example.org,{{PLAIN}}{DORAS_PASSWORD},,,,true\n\
         emil@example.org,,,,,true\n\
         frida@example.org,{CHEAP_HASH},\"1000S,2C\",,,true\n\
         {ODD},\"{{PLAIN}}{odd}\",,,,true\n\
         someone@catch.example,{CHEAP_HASH},,,,true\n"
    )
}

const ALIASES: &[&[&str]] = &[
    &["info@example.org", "anna@example.org"],
    &["team@example.org", "anna@example.org", "dora@example.org"],
    &["full@example.org", "frida@example.org"],
    &["mixed@example.org", "frida@example.org", "dora@example.org"],
    &["loop@example.org", "pool@example.org"],
    &["pool@example.org", "loop@example.org"],
    &["dora@example.org", "dora@example.org", "anna@example.org"],
    &["away@example.org", "somebody@elsewhere.example"],
    &["@catch.example", "someone@catch.example"],
];
