//! Debian's Dovecot 2.3 as a server of its authentication protocol, over the rows of mailauth.

use mailauth_tests::{Accounts, Child, Kind, MailHost, Scratch, run};
use rustix::process::Pid;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Folder into which tests/run unpacks the drivers of Dovecot for databases.
const DRIVERS: &str = "/var/cache/mailauth-tests/dovecot-sql/usr/lib/dovecot";

/// A running Dovecot whose mail services are off. Fields are dropped in their order.
pub struct Dovecot {
    process: Child,
    _host: MailHost,
    folder: Scratch,
}

impl Dovecot {
    /// Starts it with Debian's settings and a cache of this size, which may be 0.
    ///
    /// # Panics
    /// Panics if it does not start. The message contains its log.
    pub fn over(accounts: &Accounts, cache: &str) -> Self {
        assert!(Path::new(DRIVERS).exists(), "tests/run unpacks dovecot-mysql and dovecot-sqlite");
        let host = MailHost::with_own(&["/usr/lib/dovecot"]);
        run(Command::new("cp").arg("-a").arg(format!("{DRIVERS}/.")).arg(host.inside("/usr/lib/dovecot")));
        let folder = Scratch::new("dovecot");
        fs::create_dir(folder.join("state")).expect("a folder");
        fs::write(folder.join("sql.conf"), sql(accounts)).expect("the configuration");
        let config = folder.join("dovecot.conf");
        fs::write(&config, settings(folder.path(), cache)).expect("the configuration");
        let mut command = host.command("dovecot");
        let output = File::create(folder.join("output")).expect("a log");
        command.arg("-F").arg("-c").arg(&config).stdin(Stdio::null());
        command.stdout(output.try_clone().expect("a descriptor")).stderr(output);
        let mut dovecot = Dovecot { process: Child::spawn(command), _host: host, folder };
        let begin = Instant::now();
        while !greets(&dovecot.socket()) {
            let patient = dovecot.process.runs() && begin.elapsed() < Duration::from_secs(20);
            assert!(patient, "Dovecot does not start:\n{}", dovecot.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        dovecot
    }

    /// Returns its socket for mail servers.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("run/auth-client")
    }

    /// Returns the parent of its processes.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    fn log(&self) -> String {
        ["output", "log"].map(|name| fs::read_to_string(self.folder.join(name)).unwrap_or_default()).concat()
    }
}

fn greets(socket: &Path) -> bool {
    UnixStream::connect(socket).and_then(|mut stream| stream.read(&mut [0; 8])).is_ok_and(|count| count > 0)
}

fn settings(folder: &Path, cache: &str) -> String {
    let folder = folder.display();
    // It runs as root to reach the databases of the tests.
    format!(
        "base_dir = {folder}/run\nstate_dir = {folder}/state\nlog_path = {folder}/log\nprotocols =\nssl = no\n\
         auth_mechanisms = plain\nauth_cache_size = {cache}\n\
         service auth {{\n  user = root\n  unix_listener auth-client {{\n    mode = 0600\n  }}\n}}\n\
         service auth-worker {{\n  user = root\n}}\n\
         passdb {{\n  driver = sql\n  args = {folder}/sql.conf\n}}\n\
         userdb {{\n  driver = static\n  args = uid=5000 gid=5000 home=/var/mail/%u\n}}\n"
    )
}

fn sql(accounts: &Accounts) -> String {
    let (driver, connect) = match accounts.kind() {
        Kind::Sqlite => ("sqlite", accounts.file().display().to_string()),
        Kind::MariaDb | Kind::MySql => {
            let database = accounts.mariadb();
            // Its settings cannot express a password with spaces, as that of the test's user.
            database.execute_admin(
                "CREATE USER IF NOT EXISTS dovecot@localhost IDENTIFIED BY 'secret';\n\
                 GRANT SELECT ON accounts TO dovecot@localhost;",
            );
            let (socket, name) = (database.server().socket(), database.name());
            ("mysql", format!("host={} dbname={name} user=dovecot password=secret", socket.display()))
        }
        Kind::Postgres => panic!("the driver for PostgreSQL is not unpacked"),
    };
    format!(
        "driver = {driver}\nconnect = {connect}\ndefault_pass_scheme = CRYPT\n\
         password_query = SELECT login AS user, password FROM accounts WHERE login = '%u' AND enabled\n"
    )
}
