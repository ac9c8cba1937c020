//! A mail host with the real Postfix, whose tables and policy are answered by the daemon.

use crate::page::page;
use mailauth_tests::smtp::{Reply, Smtp};
use mailauth_tests::{Accounts, MailHost, Mailauth, User, eventually, free_port, output_with_input, program, run};
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::path::Path;
use std::time::Duration;

pub const LIMIT: Duration = Duration::from_secs(60);

/// Folder into which tests/run unpacks postfix, which conflicts with Exim.
const UNPACKED: &str = "/var/cache/mailauth-tests/postfix";

/// Folders of which the host has its own copies.
const OWN: [&str; 4] = ["/etc", "/run", "/usr", "/var"];

/// What the packages do when they are installed, as far as these tests need it.
const INSTALL: &str = r#"
cp -a --remove-destination "$1"/usr/. /usr/
cp -a "$1"/etc/postfix /etc/
install -m 755 "$2" /usr/local/bin/mailauth
printf 'postfix:x:190:190::/var/spool/postfix:/usr/sbin/nologin\n' >>/etc/passwd
printf 'vmail:x:5000:5000::/nonexistent:/usr/sbin/nologin\n' >>/etc/passwd
printf 'postfix:x:190:\npostdrop:x:191:\nmailauth:x:192:\nvmail:x:5000:\n' >>/etc/group
chgrp postdrop /usr/sbin/postqueue /usr/sbin/postdrop
chmod 2755 /usr/sbin/postqueue /usr/sbin/postdrop
mkdir -p /var/spool/postfix /etc/mailauth
install -d -o postfix /var/lib/postfix /var/spool/postfix/private
chmod 700 /var/spool/postfix/private
"#;

/// The settings that a host has before those of `main.cf`.
const MAIN: &str = "compatibility_level = 3.6\nmyhostname = mail.example.org\nmydestination =\nalias_maps =\n\
    inet_interfaces = loopback-only\nmynetworks =\nmaillog_file = /var/log/mail.log\n\
    minimal_backoff_time = 1s\nqueue_run_delay = 1s\nrecipient_delimiter = +\n";

/// The group that lets the command read the configuration and the database.
const GROUP: u32 = 192;

/// The host. Postfix ends with it.
pub struct Host {
    _daemon: Mailauth,
    pub accounts: Accounts,
    pub host: MailHost,
    port: u16,
    /// A port on which every client counts as logged in as the user that it names.
    named: u16,
}

impl Host {
    /// Starts Postfix over these accounts, with the lines of `main.cf` and `master.cf`.
    pub fn new(accounts: Accounts) -> Self {
        assert!(Path::new(UNPACKED).join("usr/lib/postfix/sbin/smtpd").exists(), "tests/run unpacks postfix");
        let host = MailHost::with_own(&OWN);
        let mut install = host.command("sh");
        run(install.args(["-ec", INSTALL, "sh", UNPACKED]).arg(program("mailauth")));
        for (name, messages) in [("anna", 1), ("ben", 1), ("carla", 0), ("dora", 0)] {
            host.home(name, &vec!["Subject: old\n\nhello\n"; messages]);
        }
        let accounts = accounts.with(&people(&host.path("mail")));
        let config = host.inside("/etc/mailauth/mailauth.toml");
        fs::write(&config, format!("{}deadline = \"1s\"\n", accounts.config())).expect("the configuration");
        let daemon = Mailauth::on_with(&host, &accounts, &block("[postfix]"));
        let host = Host { _daemon: daemon, accounts, host, port: free_port(), named: free_port() };
        host.start();
        host
    }

    fn start(&self) {
        let main = format!("{MAIN}{}", block("# /etc/postfix/main.cf"));
        fs::write(self.host.inside("/etc/postfix/main.cf"), main).expect("main.cf");
        let debian = fs::read_to_string(self.host.inside("/usr/share/postfix/master.cf.dist")).expect("master.cf");
        let debian = debian.replacen("\nsmtp      inet ", &format!("\n127.0.0.1:{} inet ", self.port), 1);
        let named = format!(
            "127.0.0.1:{} inet n - y - - smtpd\n  -o smtpd_authorized_xclient_hosts=127.0.0.1\n  \
             -o smtpd_relay_restrictions=permit_mynetworks,reject_unauth_destination\n",
            self.named
        );
        let master = format!("{debian}{named}{}", block("# /etc/postfix/master.cf"));
        fs::write(self.host.inside("/etc/postfix/master.cf"), master).expect("master.cf");
        self.shell("postfix start");
        let ports = [self.port, self.named];
        eventually("Postfix", LIMIT, || ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()));
    }

    /// Gives the files of the database to the group of the delivering command.
    pub fn open_to_group(&self) {
        let file = self.accounts.file();
        let folder = file.parent().expect("a folder");
        chown(folder, Some(0), Some(GROUP)).expect("its group");
        for entry in fs::read_dir(folder).expect("the folder") {
            chown(entry.expect("an entry").path(), Some(0), Some(GROUP)).expect("its group");
        }
    }

    /// Runs lines of a shell on the host to their end, and returns their output.
    pub fn shell(&self, lines: &str) -> String {
        run(self.host.command("sh").current_dir("/").args(["-ec", lines]))
    }

    /// Returns what postmap(1) finds, its exit code and its message.
    pub fn postmap(&self, table: &str, key: &str) -> (String, Option<i32>, String) {
        let name = format!("socketmap:unix:/var/spool/postfix/private/mailauth-maps:{table}");
        let output = output_with_input(self.host.command("postmap").current_dir("/").args(["-q", key, &name]), "");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        (text(&output.stdout), output.status.code(), text(&output.stderr))
    }

    pub fn connect(&self) -> Smtp {
        Smtp::connect(self.port)
    }

    /// Returns the reply to a recipient of a message of this size.
    pub fn rcpt(&self, address: &str, size: Option<u64>) -> Reply {
        let mut client = self.connect();
        client.mail("me@else.example", size);
        client.rcpt(address)
    }

    /// Returns the reply to a recipient of a message from `sender`, of a client that has logged in as `login`.
    pub fn rcpt_as(&self, login: &str, sender: &str, address: &str) -> Reply {
        let mut client = Smtp::connect(self.named);
        assert_eq!(client.command(format!("XCLIENT LOGIN={login}")).code, 220);
        assert_eq!(client.command("EHLO client.example").code, 250);
        client.mail(sender, None);
        client.rcpt(address)
    }

    /// Sends a message, which Postfix has to take.
    pub fn send(&self, address: &str, text: &str) {
        let mut client = self.connect();
        client.mail("me@else.example", None);
        let reply = client.rcpt(address);
        assert_eq!(reply.code, 250, "{address}: {reply}\n{}", self.log());
        let reply = client.data(&format!("Subject: {text}\n\nhello\n"));
        assert_eq!(reply.code, 250, "{address}: {reply}\n{}", self.log());
    }

    /// Returns true if a message with this subject is in the Maildir of `name`.
    pub fn has(&self, name: &str, subject: &str) -> bool {
        let new = self.host.path("mail").join(name).join("Maildir/new");
        let files = fs::read_dir(new).into_iter().flatten().map(|entry| entry.expect("an entry").path());
        let line = format!("Subject: {subject}\n");
        files.filter_map(|file| fs::read_to_string(file).ok()).any(|text| text.contains(&line))
    }

    pub fn wait_for(&self, name: &str, subject: &str) {
        let mut last = String::new();
        let begin = std::time::Instant::now();
        while !self.has(name, subject) {
            last = self.log();
            assert!(begin.elapsed() < LIMIT, "{subject} does not reach {name}:\n{last}");
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(last);
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.host.inside("/var/log/mail.log")).unwrap_or_default()
    }

    /// Returns the messages in the queue, as postqueue(1) prints them.
    pub fn queue(&self) -> String {
        self.shell("postqueue -p")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- Postfix\n{}", self.log());
        }
        let _ = output_with_input(self.host.command("postfix").current_dir("/").arg("abort"), "");
    }
}

/// Returns the block of the page that begins with this line.
fn block(first: &str) -> String {
    let found = page("docs/postfix-maps.md").into_iter().find(|piece| piece.text.lines().next() == Some(first));
    found.unwrap_or_else(|| panic!("the page has no block {first}")).text
}

/// Returns the rows of the accounts, with homes below `mail`: Anna has room for nine messages, Ben for none, Carla
/// is disabled, and Dora receives no mail.
fn people(mail: &Path) -> String {
    let User { uid, gid } = MailHost::OWNER;
    let row = |name: &str, rest: &str| format!("{name}@example.org,{uid},{gid},{}/{name},{rest}\n", mail.display());
    [
        "login,uid,gid,home,quota,enabled,receives\n".to_owned(),
        row("anna", "\"100000S,10C\",true,true"),
        row("ben", "\"1000S,1C\",true,true"),
        row("carla", ",false,true"),
        row("dora", ",true,false"),
    ]
    .concat()
}
