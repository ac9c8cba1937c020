//! A private PostgreSQL server.

use crate::certificates::Certificates;
use crate::crowd::{Crowd, Session};
use crate::page_memory;
use crate::process::{run, run_with_input};
use crate::scratch::{Scratch, User};
use crate::server::{Server, ServerProcess};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A PostgreSQL server with its data in a temporary folder, on a unix socket and on a port of 127.0.0.1 and 127.0.0.2,
/// with TLS for clients that request it.
pub struct Postgres {
    process: ServerProcess,
    /// Settings in addition to the usual ones.
    settings: Vec<&'static str>,
}

impl Postgres {
    /// Starts a new server, for tests that stop or freeze it. Other tests use [`Postgres::shared`].
    ///
    /// # Panics
    /// Panics if it does not start. The message contains its log.
    pub fn start_new() -> Self {
        Self::start_new_with(&[])
    }

    /// Starts a new server with more settings.
    pub(crate) fn start_new_with(settings: &[&'static str]) -> Self {
        let folder = Scratch::new("postgres");
        folder.copy_of(template(), "data");
        Self::start_in(folder, settings)
    }

    /// Starts a standby of this server, with the same settings, which reads from the replication slot `slot`.
    pub(crate) fn start_follower(&self, slot: &str) -> Self {
        let folder = Scratch::new("postgres");
        let data = folder.folder_of(self.process.user, "data");
        let mut copy = as_postgres(self.process.user, "pg_basebackup");
        copy.args(["--write-recovery-conf", "--create-slot", "--slot", slot, "--wal-method=stream", "--no-sync"]);
        copy.args(["--checkpoint=fast", "--username=postgres", "--host"]).arg(self.socket());
        run(copy.arg("--pgdata").arg(&data));
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("the data's mode");
        Self::start_in(folder, &self.settings)
    }

    /// Makes this server a standby of `leader` from its next start on, reading from the replication slot `slot`.
    ///
    /// # Panics
    /// Panics if its settings cannot be written.
    pub(crate) fn follow(&self, leader: &Postgres, slot: &str) {
        let file = self.process.data().join("postgresql.auto.conf");
        let leader = leader.socket();
        let text =
            format!("primary_conninfo = 'user=postgres host={}'\nprimary_slot_name = '{slot}'\n", leader.display());
        fs::write(file, text).expect("its settings");
        fs::write(self.process.data().join("standby.signal"), "").expect("its role");
    }

    fn start_in(folder: Scratch, settings: &[&'static str]) -> Self {
        let user = User::named("postgres");
        folder.folder_of(user, "socket");
        let process = ServerProcess::new("PostgreSQL", Signal::INT, folder, user);
        let mut server = Postgres { process, settings: settings.to_vec() };
        for _ in 0..5 {
            server.process.choose_port();
            if server.try_start() {
                return server;
            }
        }
        server.process.panic_with_log()
    }

    /// Returns the server that all tests of this process share. Each creates a database of its own, and leaves the
    /// server running.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start_new)
    }

    /// Returns the folder of its unix socket, which also has the name for port 5432.
    pub fn socket(&self) -> PathBuf {
        self.process.folder.join("socket")
    }

    /// Creates an empty database, and a user with all rights in it.
    ///
    /// # Panics
    /// Panics if the server reports an error.
    pub fn database(&self) -> PostgresDatabase<'_> {
        self.database_with("")
    }

    /// Does the same with an encoding such as `LATIN1`.
    ///
    /// # Panics
    /// Panics if the server reports an error.
    pub fn database_in(&self, encoding: &str) -> PostgresDatabase<'_> {
        self.database_with(&format!("ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"))
    }

    fn database_with(&self, more: &str) -> PostgresDatabase<'_> {
        let (name, password) = self.process.new_database();
        self.admin(&format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'"));
        self.admin(&format!("CREATE DATABASE {name} OWNER {name} {more}"));
        PostgresDatabase { server: self, name, password }
    }

    /// Runs statements as the server's administrator and returns the rows: one per line, with tabs between columns.
    ///
    /// # Panics
    /// Panics if a statement fails.
    pub fn admin(&self, sql: &str) -> String {
        run_with_input(self.client().arg("postgres"), sql)
    }

    fn client(&self) -> Command {
        let mut command = Command::new(program("psql"));
        command.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--field-separator=\t"]);
        command.args(["--set=ON_ERROR_STOP=1", "--username=postgres", "--host"]).arg(self.socket());
        command
    }

    fn try_start(&self) -> bool {
        // Drivers that are given a folder and no port use the name with 5432.
        let name = self.socket().join(".s.PGSQL.5432");
        let _ = fs::remove_file(&name);
        std::os::unix::fs::symlink(format!(".s.PGSQL.{}", self.port()), &name).expect("a link");
        let ask = || self.client().args(["--command=SELECT 1", "postgres"]).output().expect("psql");
        self.process.try_start(&self.command_line(), || ask().status.success())
    }

    fn command_line(&self) -> Vec<String> {
        let Certificates { authority, certificate, key, .. } = &self.process.certificates;
        let settings = [
            format!("port={}", self.port()),
            format!("shared_buffers={}MB", page_memory::mebibytes()),
            format!("unix_socket_directories={}", self.socket().display()),
            format!("ssl_ca_file={}", authority.display()),
            format!("ssl_cert_file={}", certificate.display()),
            format!("ssl_key_file={}", key.display()),
        ];
        let fixed = [
            "listen_addresses=127.0.0.1,127.0.0.2",
            "ssl=on",
            "max_connections=300",
            "fsync=off",
            "autovacuum=off",
            // Files of a killed server are removed with its folder.
            "dynamic_shared_memory_type=mmap",
        ];
        let more = self.settings.iter().map(|setting| String::from(*setting));
        let settings = fixed.map(String::from).into_iter().chain(settings).chain(more);
        let start = [program("postgres").display().to_string(), "-D".into(), self.process.data().display().to_string()];
        start.into_iter().chain(settings.flat_map(|setting| ["-c".into(), setting])).collect()
    }
}

impl Server for Postgres {
    fn process(&self) -> &ServerProcess {
        &self.process
    }

    fn start(&self) {
        if !self.try_start() {
            self.process.panic_with_log();
        }
    }

    fn cut_connections(&self) {
        self.admin(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE backend_type = 'client backend' AND usename <> 'postgres'",
        );
    }

    fn fill_up(&self, user: &str) -> Crowd {
        // The administrator connects before the crowd does.
        let mut admin = Session::open(self.client().arg("postgres"));
        let crowd = Crowd::before(self.port(), &start_of_session(user));
        admin.end_with(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{user}';"));
        crowd
    }
}

/// Returns the data of a new server, created once for all servers of this process.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<Scratch> = OnceLock::new();
    let folder = TEMPLATE.get_or_init(|| {
        let user = User::named("postgres");
        let folder = Scratch::new("postgres-new");
        let data = folder.folder_of(user, "data");
        run(as_postgres(user, "initdb")
            .args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "--pgdata",
            ])
            .arg(&data));
        fs::write(data.join("pg_hba.conf"), ACCESS).expect("its access rules");
        folder
    });
    folder.path()
}

/// Every user needs a password, except the administrator.
const ACCESS: &str = "\
local all,replication postgres trust
local all all scram-sha-256
host all all 127.0.0.0/8 scram-sha-256
";

/// Returns the first message of a client. The server then uses a connection for it, and waits for a password.
fn start_of_session(user: &str) -> Vec<u8> {
    const PROTOCOL: u32 = 3 << 16;
    let values = format!("user\0{user}\0database\0{user}\0\0");
    let length = u32::try_from(values.len() + 8).expect("a short name");
    [&length.to_be_bytes()[..], &PROTOCOL.to_be_bytes(), values.as_bytes()].concat()
}

/// Returns a command that runs a program of PostgreSQL as its user.
fn as_postgres(user: User, name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={}", user.uid), format!("--regid={}", user.gid)]);
    command.arg("--clear-groups").arg(program(name)).current_dir("/");
    command
}

/// Returns the path of a program of the newest installed PostgreSQL. Debian keeps some of them off the path.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL, which tests/run installs");
    versions
        .filter_map(|version| Some(version.ok()?.path().join("bin").join(name)))
        .filter(|path| path.exists())
        .max()
        .unwrap_or_else(|| panic!("{name}, which tests/run installs"))
}

/// A database of a [`Postgres`], dropped with the server.
#[derive(Clone)]
pub struct PostgresDatabase<'s> {
    server: &'s Postgres,
    name: String,
    password: String,
}

impl<'s> PostgresDatabase<'s> {
    /// Returns its server.
    pub fn server(&self) -> &'s Postgres {
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
        format!("postgres://{user}@localhost/{}?socket={}", self.name, self.server.socket().display())
    }

    /// Returns its URL with TCP. The server's certificate is valid for `localhost` and `127.0.0.1`, not for
    /// `127.0.0.2`.
    pub fn url_tcp(&self, host: &str) -> String {
        format!("postgres://{}@{host}:{}/{}", self.name, self.server.port(), self.name)
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
