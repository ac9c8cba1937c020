//! The real amavisd-new, which looks recipients and senders up in an SQL database.

use crate::port::free_port;
use crate::process::{Child, eventually};
use crate::scratch::{Scratch, User};
use crate::smtp::Smtp;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A running amavisd that scans nothing and stores what it passes on in files.
pub struct Amavis {
    folder: Scratch,
    port: u16,
    _process: Child,
}

impl Amavis {
    /// Starts it with these lines of configuration, such as those that set `@lookup_sql_dsn`. `FOLDER` in them is a folder of
    /// its user, to which these files are copied first.
    ///
    /// # Panics
    /// Panics if it does not start. The message contains its log.
    pub fn start(lines: &str, files: &[PathBuf]) -> Self {
        let folder = Scratch::new("amavis");
        let user = User::named("amavis");
        let home = folder.folder_of(user, "home");
        for file in files {
            let copy = home.join(file.file_name().expect("a file"));
            fs::copy(file, &copy).expect("a copy");
            std::os::unix::fs::chown(&copy, Some(user.uid), Some(user.gid)).expect("its owner");
        }
        let port = free_port();
        let config = folder.join("amavisd.conf");
        let text = CONFIG.replace("LINES", lines).replace("FOLDER", &home.display().to_string());
        fs::write(&config, text.replace("PORT", &port.to_string())).expect("the configuration");
        let mut command = Command::new("/usr/sbin/amavisd");
        let log = || File::options().create(true).append(true).open(folder.join("log")).expect("a log");
        command.arg("-c").arg(&config).arg("foreground").current_dir("/");
        command.stdin(Stdio::null()).stdout(log()).stderr(log());
        let mut process = Child::spawn(command);
        let mut up = false;
        eventually("amavisd", Duration::from_secs(30), || {
            up = std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
            up || !process.runs()
        });
        let amavis = Amavis { folder, port, _process: process };
        assert!(up, "amavisd does not start:\n{}", amavis.log());
        amavis
    }

    /// Passes a message through it, and returns what it logged about the message.
    ///
    /// # Panics
    /// Panics if it does not take the message.
    pub fn pass(&self, sender: &str, recipient: &str) -> String {
        let before = self.log().len();
        let mut client = Smtp::connect(self.port);
        client.mail(sender, None);
        assert_eq!(client.rcpt(recipient).code, 250, "{}", self.log());
        let date = "Date: Mon, 23 Nov 2026 20:00:00 +0000";
        let reply = client.data(&format!("From: <{sender}>\nTo: <{recipient}>\n{date}\nSubject: hello\n\nhello\n"));
        assert_eq!(reply.code, 250, "{reply}\n{}", self.log());
        client.quit();
        self.log().split_off(before)
    }

    fn log(&self) -> String {
        let bytes = fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The scanner accepts everything; without one, amavisd does not look senders up.
const CONFIG: &str = r#"use strict;
$max_servers = 1;
$daemon_user = 'amavis'; $daemon_group = 'amavis';
$mydomain = 'mail.example'; $myhostname = 'host.mail.example';
$MYHOME = 'FOLDER'; $TEMPBASE = $MYHOME; $ENV{TMPDIR} = $MYHOME;
$lock_file = "$MYHOME/lock"; $pid_file = "$MYHOME/pid"; $QUARANTINEDIR = undef;
$enable_db = 0; $enable_global_cache = 0;
$log_level = 5; $do_syslog = 0; $logfile = undef;
$inet_socket_bind = '127.0.0.1'; $inet_socket_port = PORT;
@bypass_virus_checks_maps = (1); @decoders = (); @local_domains_maps = ();
@spam_scanners = (['none', 'Amavis::SpamControl::ExtProg', '/bin/true', []]);
$final_spam_destiny = D_PASS; $final_banned_destiny = D_PASS; $final_bad_header_destiny = D_PASS;
$forward_method = "bsmtp:$MYHOME/mail-%i"; $notify_method = $forward_method;
LINES
1;
"#;
