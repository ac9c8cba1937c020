//! A private server of MariaDB, or of MySQL, which has the same protocol.

use crate::certificates::Certificates;
use crate::crowd::{Crowd, Session};
use crate::mysql;
use crate::page_memory;
use crate::process::{output_with_input, run, run_with_input};
use crate::scratch::{Scratch, User};
use crate::server::{Server, ServerProcess};
use rustix::process::Signal;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A MariaDB server with its data in a temporary folder, on a unix socket and on a port of 127.0.0.1 and 127.0.0.2,
/// with TLS for clients that request it.
pub struct MariaDb {
    flavor: Flavor,
    process: ServerProcess,
    /// Options in addition to the usual ones.
    options: Vec<String>,
}

/// Product of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// MariaDB of Debian.
    MariaDb,
    /// MySQL.
    MySql,
}

impl MariaDb {
    /// Starts a new server, for tests that stop or freeze it. Other tests use [`MariaDb::shared`].
    ///
    /// # Panics
    /// Panics if it does not start. The message contains its log.
    pub fn start_new() -> Self {
        Self::start_new_with(&[], &[])
    }

    /// Starts a new server of MySQL.
    ///
    /// # Panics
    /// Panics as [`MariaDb::start_new`] does.
    pub fn start_new_mysql() -> Self {
        Self::start_new_of(Flavor::MySql, &[], &[])
    }

    /// Starts a server that blocks a host after this number of interrupted connection attempts. It counts hosts only
    /// if it resolves names, and never blocks 127.0.0.1.
    pub fn start_new_that_blocks(errors: u32) -> Self {
        Self::start_new_with(&["--skip-name-resolve=0".into(), format!("--max-connect-errors={errors}")], &[])
    }

    /// Starts a server with more options: those that it keeps, and those of this first start.
    pub(crate) fn start_new_with(options: &[String], at_first: &[&str]) -> Self {
        Self::start_new_of(Flavor::MariaDb, options, at_first)
    }

    fn start_new_of(flavor: Flavor, options: &[String], at_first: &[&str]) -> Self {
        let user = User::named("mysql");
        let folder = Scratch::new("mariadb");
        let template = match flavor {
            Flavor::MariaDb => template(),
            Flavor::MySql => mysql::template(),
        };
        folder.copy_of(template, "data");
        folder.folder_of(user, TEMPORARY);
        let process = ServerProcess::new("MariaDB", Signal::TERM, folder, user);
        let mut server = MariaDb { flavor, process, options: options.to_vec() };
        for _ in 0..5 {
            server.process.choose_port();
            if server.try_start(at_first) {
                return server;
            }
        }
        server.process.panic_with_log()
    }

    /// Returns the server that all tests of this process share. Each creates a database of its own, and leaves the
    /// server running.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<MariaDb> = OnceLock::new();
        SHARED.get_or_init(Self::start_new)
    }

    /// Returns the shared server of MySQL.
    pub fn shared_mysql() -> &'static Self {
        static SHARED: OnceLock<MariaDb> = OnceLock::new();
        SHARED.get_or_init(Self::start_new_mysql)
    }

    /// Returns the product of the server.
    pub fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// Starts the server again, with more options for this time.
    pub(crate) fn start_with(&self, options: &[&str]) {
        if !self.try_start(options) {
            self.process.panic_with_log();
        }
    }

    /// Returns its unix socket.
    pub fn socket(&self) -> PathBuf {
        self.process.data().join("mariadb.sock")
    }

    /// Creates an empty database, and a user with all rights in it.
    ///
    /// # Panics
    /// Panics if the server reports an error.
    pub fn database(&self) -> MariaDbDatabase<'_> {
        let (name, password) = self.process.new_database();
        self.admin(&format!(
            "CREATE DATABASE {name} CHARACTER SET utf8mb4;
             CREATE USER {name}@'%' IDENTIFIED BY '{password}';
             GRANT ALL ON {name}.* TO {name}@'%';"
        ));
        MariaDbDatabase { server: self, name, password }
    }

    /// Runs statements as the server's administrator and returns the rows: one per line, with tabs between columns.
    ///
    /// # Panics
    /// Panics if a statement fails.
    pub fn admin(&self, sql: &str) -> String {
        run_with_input(&mut self.client(), sql)
    }

    /// Returns the last write of a Galera node, as `UUID:NUMBER`. After a crash its files do not contain it directly.
    ///
    /// # Panics
    /// Panics if the node is running, or its position cannot be determined.
    pub(crate) fn recovered_position(&self) -> String {
        assert!(!self.process.is_running(), "the position of a running node cannot be recovered");
        let mut command = Command::new("setpriv");
        let User { uid, gid } = self.process.user;
        command.args(["--clear-groups".into(), format!("--reuid={uid}"), format!("--regid={gid}")]);
        command.args(self.command_line()).arg("--wsrep-recover").current_dir("/");
        let said = output_with_input(&mut command, "").stderr;
        let said = String::from_utf8_lossy(&said);
        let position = said.split("Recovered position: ").nth(1).and_then(|rest| rest.split_whitespace().next());
        position.unwrap_or_else(|| panic!("no position:\n{said}")).to_owned()
    }

    /// Marks a Galera node as one that may start a new cluster, though it was not the last one to stop.
    ///
    /// # Panics
    /// Panics if the node has no such state.
    pub(crate) fn allow_bootstrap(&self) {
        let file = self.process.data().join("grastate.dat");
        let state = std::fs::read_to_string(&file).expect("the state of a Galera node");
        std::fs::write(file, state.replace("safe_to_bootstrap: 0", "safe_to_bootstrap: 1")).expect("the same");
    }

    /// Does `work` while nothing can be changed, as during a backup. Replication waits too.
    ///
    /// # Panics
    /// Panics if the server reports an error.
    pub fn while_locked(&self, work: impl FnOnce()) {
        let mut session = Session::open(&mut self.client());
        session.run("FLUSH TABLES WITH READ LOCK");
        work();
        session.end_with("UNLOCK TABLES;");
    }

    fn client(&self) -> Command {
        let line = match self.flavor {
            Flavor::MariaDb => vec!["mariadb".to_owned(), "--no-defaults".to_owned()],
            Flavor::MySql => mysql::command_line("bin/mysql"),
        };
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).args([
            "--user=root",
            "--batch",
            "--skip-column-names",
            "--default-character-set=utf8mb4",
        ]);
        command.arg(format!("--socket={}", self.socket().display()));
        command
    }

    fn try_start(&self, options: &[&str]) -> bool {
        let mut command_line = self.command_line();
        command_line.extend(options.iter().map(|option| String::from(*option)));
        // The server greets each client, and only once it can answer.
        let is_ready =
            || UnixStream::connect(self.socket()).is_ok_and(|mut server| server.read_exact(&mut [0; 5]).is_ok());
        self.process.try_start(&command_line, is_ready)
    }

    fn command_line(&self) -> Vec<String> {
        let Certificates { authority, certificate, key, .. } = &self.process.certificates;
        let data = self.process.data();
        let options = [
            format!("--datadir={}", data.display()),
            format!("--socket={}", self.socket().display()),
            format!("--pid-file={}", data.join("mariadb.pid").display()),
            format!("--tmpdir={}", self.process.folder.join(TEMPORARY).display()),
            format!("--port={}", self.port()),
            format!("--innodb-buffer-pool-size={}M", page_memory::mebibytes()),
            format!("--ssl-ca={}", authority.display()),
            format!("--ssl-cert={}", certificate.display()),
            format!("--ssl-key={}", key.display()),
        ];
        let (program, hurry) = match self.flavor {
            Flavor::MariaDb => (vec!["mariadbd".to_owned(), "--no-defaults".to_owned()], IN_A_HURRY),
            Flavor::MySql => (mysql::server(), mysql::USUAL),
        };
        let fixed = [
            "--bind-address=127.0.0.1,127.0.0.2",
            "--skip-name-resolve",
            "--max-connections=500",
            "--character-set-server=utf8mb4",
            "--performance-schema=off",
        ];
        let usual = fixed.iter().chain(&hurry).map(|option| String::from(*option)).chain(options);
        program.into_iter().chain(usual).chain(self.options.iter().cloned()).collect()
    }
}

impl Server for MariaDb {
    fn process(&self) -> &ServerProcess {
        &self.process
    }

    fn start(&self) {
        self.start_with(&[]);
    }

    fn cut_connections(&self) {
        let kill = "SELECT CONCAT('KILL ', id, ';') FROM information_schema.processlist
                    WHERE id <> CONNECTION_ID() AND user NOT IN ('system user', 'root')";
        let kills = self.admin(kill);
        // A connection that has ended in the meantime is no error.
        run_with_input(self.client().arg("--force"), &kills);
    }

    fn fill_up(&self, user: &str) -> Crowd {
        // The administrator connects before the crowd does.
        let mut admin = Session::open(self.client().arg("--force"));
        let crowd = Crowd::before(self.port(), &[]);
        let kill = match self.flavor {
            Flavor::MariaDb => format!("KILL USER {user};"),
            // MySQL kills one connection at a time, and takes its number only as a literal.
            Flavor::MySql => format!(
                "SET @kill = (SELECT CONCAT('KILL ', id) FROM information_schema.processlist WHERE user = '{user}' LIMIT 1);
                 SET @kill = COALESCE(@kill, 'DO 0'); PREPARE kill_one FROM @kill; EXECUTE kill_one; DO SLEEP(0.02);"
            )
            .repeat(40),
        };
        admin.end_with(&kill);
        crowd
    }
}

/// The data of the tests has to survive the server, even if it is killed, but not the machine.
const IN_A_HURRY: [&str; 4] =
    ["--innodb-log-file-size=8M", "--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=2", "--sync-frm=0"];

/// Folder for the temporary tables of one server. MariaDB deletes those of all other servers in the same folder when
/// it starts.
const TEMPORARY: &str = "tmp";

/// Returns the data of a new server, created once for all servers of this process.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<Scratch> = OnceLock::new();
    let folder = TEMPLATE.get_or_init(|| {
        let folder = Scratch::new("mariadb-new");
        let data = folder.folder_of(User::named("mysql"), "data");
        run(Command::new("mariadb-install-db")
            .args(["--no-defaults", "--user=mysql", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(IN_A_HURRY)
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--tmpdir={}", folder.folder_of(User::named("mysql"), TEMPORARY).display())));
        folder
    });
    folder.path()
}

/// A database of a [`MariaDb`], dropped with the server.
#[derive(Clone)]
pub struct MariaDbDatabase<'s> {
    server: &'s MariaDb,
    name: String,
    password: String,
}

impl<'s> MariaDbDatabase<'s> {
    /// Returns its server.
    pub fn server(&self) -> &'s MariaDb {
        self.server
    }

    /// Returns its name, which is also the name of its user.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the password of its user.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Returns its URL with the unix socket.
    pub fn url(&self) -> String {
        self.url_as(&self.name)
    }

    /// Returns its URL with the unix socket and another user.
    pub fn url_as(&self, user: &str) -> String {
        format!("mysql://{user}@localhost/{}?socket={}", self.name, self.server.socket().display())
    }

    /// Returns its URL with TCP. The server's certificate is valid for `localhost` and `127.0.0.1`, not for
    /// `127.0.0.2`.
    pub fn url_tcp(&self, host: &str) -> String {
        format!("mysql://{}@{host}:{}/{}", self.name, self.server.port(), self.name)
    }

    /// Runs statements in this database as the server's administrator and returns the rows: one per line, with tabs
    /// between columns.
    ///
    /// # Panics
    /// Panics if a statement fails.
    pub fn execute_admin(&self, sql: &str) -> String {
        run_with_input(self.server.client().arg(&self.name), sql)
    }

    /// Does `work` during a transaction with this statement, which is committed afterwards.
    ///
    /// # Panics
    /// Panics if the server reports an error.
    pub fn while_uncommitted(&self, sql: &str, work: impl FnOnce()) {
        let mut session = Session::open(self.server.client().arg(&self.name));
        session.run("BEGIN");
        session.run(sql);
        work();
        session.end_with("COMMIT;");
    }
}
