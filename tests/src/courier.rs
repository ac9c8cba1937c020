//! The real courier-authdaemond with the same rows.

use crate::accounts::{Accounts, Kind};
use crate::mail_host::{MailHost, TcpService};
use crate::process::Child;
use rustix::process::Pid;
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A running authdaemond, on a host of its own.
pub struct Courier {
    host: Arc<MailHost>,
    process: Child,
}

impl Courier {
    /// The configuration that PostfixAdmin documents for its tables, with mail in /var/vmail.
    pub const POSTFIXADMIN: [(&'static str, &'static str); 10] = [
        ("USER_TABLE", "mailbox"),
        ("CRYPT_PWFIELD", "password"),
        ("UID_FIELD", "5000"),
        ("GID_FIELD", "5000"),
        ("LOGIN_FIELD", "username"),
        ("HOME_FIELD", "'/var/vmail'"),
        ("NAME_FIELD", "name"),
        ("MAILDIR_FIELD", "maildir"),
        ("QUOTA_FIELD", "concat(quota,'S')"),
        ("WHERE_CLAUSE", "active='1'"),
    ];

    /// Starts authdaemond with these accounts.
    ///
    /// # Panics
    /// Panics if it does not start. The message contains its log.
    pub fn over(accounts: &Accounts) -> Self {
        Self::on(Arc::new(MailHost::new()), accounts)
    }

    /// Does the same on a host with other programs.
    ///
    /// # Panics
    /// Panics as [`Courier::over`] does.
    pub fn on(host: Arc<MailHost>, accounts: &Accounts) -> Self {
        Self::reading(host, accounts, columns(accounts.kind()))
    }

    /// Starts authdaemond on tables of another program, with these lines of its configuration, without `MYSQL_` and the
    /// like.
    ///
    /// # Panics
    /// Panics as [`Courier::over`] does.
    pub fn over_columns(accounts: &Accounts, columns: &[(&'static str, &str)]) -> Self {
        let columns = columns.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self::reading(Arc::new(MailHost::new()), accounts, columns)
    }

    fn reading(host: Arc<MailHost>, accounts: &Accounts, columns: Vec<(&'static str, String)>) -> Self {
        let (module, place) = accounts.courier_module();
        let prefix = module.to_uppercase();
        let rc: String =
            place.into_iter().chain(columns).map(|(name, value)| format!("{prefix}_{name}\t{value}\n")).collect();
        // authdaemond considers the file incomplete without this line.
        fs::write(host.path(format!("etc/auth{module}rc")), rc + "##NAME: MARKER:0\n").expect("its configuration");
        let main = format!("authmodulelist=\"auth{module}\"\ndaemons=5\n");
        fs::write(host.path("etc/authdaemonrc"), main).expect("its configuration");

        let log = host.path("authdaemond.log");
        let mut command = host.command("/usr/lib/courier/courier-authlib/authdaemond");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).expect("a log"));
        let mut process = Child::spawn(command);
        let begin = Instant::now();
        while UnixStream::connect(host.socket()).is_err() {
            let patient = process.runs() && begin.elapsed() < Duration::from_secs(20);
            assert!(patient, "authdaemond does not start:\n{}", fs::read_to_string(&log).unwrap_or_default());
            std::thread::sleep(Duration::from_millis(5));
        }
        Courier { host, process }
    }

    /// Returns its socket.
    pub fn socket(&self) -> PathBuf {
        self.host.socket()
    }

    /// Returns the file in which its module reads where the accounts are.
    pub fn accounts_file(&self, accounts: &Accounts) -> PathBuf {
        self.host.path(format!("etc/auth{}rc", accounts.courier_module().0))
    }

    /// Starts the real courier-pop3d, which queries it.
    pub fn pop3(&self) -> TcpService {
        self.host.pop3()
    }

    /// Returns its parent process.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }
}

/// Returns its columns as SQL expressions over our table, which it inserts into its queries unchanged. The defaults
/// are those of [`Accounts::config`].
fn columns(kind: Kind) -> Vec<(&'static str, String)> {
    let uid = format!("COALESCE(uid, {})", MailHost::OWNER.uid);
    let gid = format!("COALESCE(gid, {})", MailHost::OWNER.gid);
    // A limit of 0 means no limit.
    let quota = match kind {
        Kind::MariaDb | Kind::MySql => {
            "CONCAT_WS(',', CONCAT(NULLIF(quota_bytes, 0), 'S'), CONCAT(NULLIF(quota_messages, 0), 'C'))"
        }
        Kind::Sqlite | Kind::Postgres => {
            "COALESCE(NULLIF(quota_bytes, 0) || 'S', '') \
             || CASE WHEN quota_bytes > 0 AND quota_messages > 0 THEN ',' ELSE '' END \
             || COALESCE(NULLIF(quota_messages, 0) || 'C', '')"
        }
    };
    let mut columns = vec![
        ("USER_TABLE", "accounts"),
        ("LOGIN_FIELD", "login"),
        // It has one column for hashes and one for clear passwords.
        ("CRYPT_PWFIELD", "CASE WHEN password NOT LIKE '{PLAIN}%' THEN password END"),
        ("CLEAR_PWFIELD", "CASE WHEN password LIKE '{PLAIN}%' THEN SUBSTR(password, 8) END"),
        ("UID_FIELD", &uid),
        ("GID_FIELD", &gid),
        ("HOME_FIELD", "home"),
        ("MAILDIR_FIELD", "COALESCE(maildir, 'Maildir')"),
        ("QUOTA_FIELD", quota),
        ("NAME_FIELD", "COALESCE(name, '')"),
        ("AUXOPTIONS_FIELD", "COALESCE(options, '')"),
    ];
    match kind {
        Kind::Sqlite => {}
        Kind::MariaDb | Kind::MySql => columns.push(("CHARACTER_SET", "utf8mb4")),
        Kind::Postgres => columns.push(("CHARACTER_SET", "UTF8")),
    }
    columns.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}
