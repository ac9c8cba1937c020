//! A daemon over accounts in memory, on a socket in a temporary folder.
#![allow(dead_code, missing_docs, reason = "each test program uses a part of it")]

use mailauth_core::Backend;
use mailauth_core::account::{AccountRow, Login, Password};
use mailauth_core::config::{Config, CourierConfig, MetricsAddress};
use mailauth_core::mailbox::MailboxDefaults;
use mailauth_core::password::NewScheme;
use mailauth_core::policy::RefusalTime;
use mailauth_core::store::{DomainKind, DomainStanding, StoreError};
use mailauth_core::sync::{Condvar, Mutex};
use mailauth_core::testing::{Call, MemoryStore};
use mailauth_courier::{Daemon, Listener, MetricsListener, Settings};
use mailauth_protocol::client::Client;
use mailauth_protocol::status::Status;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Time after which a test fails: longer than any wait of a test that passes.
pub const LONG: Duration = Duration::from_secs(30);

/// Stored password for `secret`, of the scheme `{SHA256}`.
pub const HASH: &str = "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=";

/// Store of accounts of x.example in memory, whose look-ups and lists can be made to wait.
pub struct Table {
    store: MemoryStore,
    gates: Arc<Gates>,
}

#[derive(Default)]
struct Gates {
    /// Look-ups of `slow@x.example`.
    slow: Gate,
    /// First pages of lists.
    lists: Gate,
    /// Number of pages of a list that are returned before it fails.
    pages: Mutex<Option<usize>>,
    /// Logins that were looked up.
    looked_up: Mutex<Vec<String>>,
}

/// Gate at which threads wait while it is closed.
#[derive(Default)]
struct Gate {
    /// Whether it is closed, and the number of threads that wait.
    state: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Gate {
    fn set_closed(&self, closed: bool) {
        self.state.lock().0 = closed;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock();
        state.1 += 1;
        self.changed.notify_all();
        while state.0 {
            state = self.changed.wait(state);
        }
        state.1 -= 1;
    }

    /// Waits until this number of threads wait.
    fn wait_for_waiting(&self, number: usize) {
        let state = self.changed.wait_timeout_while(self.state.lock(), LONG, |(_, waiting)| *waiting < number);
        assert!(state.1 >= number, "{} look-ups wait instead of {number}", state.1);
    }
}

impl Table {
    pub fn with(rows: impl IntoIterator<Item = AccountRow>) -> Self {
        let own = DomainStanding { enabled: true, kind: DomainKind::Own };
        let store = MemoryStore::with(rows).and_domain("x.example", own);
        let gates = Arc::<Gates>::default();
        let seen = Arc::clone(&gates);
        store.on_call(move |_, call| seen.pass(call));
        Table { store, gates }
    }

    pub fn alias(&self, address: &str, targets: &[&str]) {
        self.store.set_alias(address, targets);
    }

    pub fn fail(&self, failing: bool) {
        self.store.fail(failing.then(MemoryStore::outage));
    }

    /// Lets look-ups of `slow@x.example` wait from now on.
    pub fn freeze(&self) {
        self.gates.slow.set_closed(true);
    }

    pub fn thaw(&self) {
        self.gates.slow.set_closed(false);
    }

    /// Lets the first page of each list wait from now on.
    pub fn freeze_lists(&self) {
        self.gates.lists.set_closed(true);
    }

    pub fn thaw_lists(&self) {
        self.gates.lists.set_closed(false);
    }

    /// Lets lists fail after this number of pages.
    pub fn fail_after_pages(&self, pages: usize) {
        *self.gates.pages.lock() = Some(pages);
    }

    /// Waits until this number of look-ups wait.
    pub fn wait_for_waiting(&self, number: usize) {
        self.gates.slow.wait_for_waiting(number);
    }

    /// Returns true if this login was looked up.
    pub fn was_looked_up(&self, login: &str) -> bool {
        self.gates.looked_up.lock().iter().any(|asked| asked == login)
    }
}

impl Gates {
    fn pass(&self, call: Call<'_>) -> Result<(), StoreError> {
        match call {
            Call::Find(login) => {
                self.looked_up.lock().push(login.to_string());
                match login.local_part() {
                    "panic" => panic!("on purpose"),
                    "slow" => self.slow.pass(),
                    _ => {}
                }
            }
            // The daemon's own sample of the table must not be counted or delayed by a test.
            Call::Enumerate(_) if std::thread::current().name() == Some("learner") => {
                return Err(MemoryStore::outage());
            }
            Call::Enumerate(after) => {
                if after.is_none() {
                    self.lists.pass();
                }
                match &mut *self.pages.lock() {
                    Some(0) => return Err(StoreError::Schema("on purpose".into())),
                    Some(pages) => *pages -= 1,
                    None => {}
                }
            }
            _ => {}
        }
        Ok(())
    }
}

pub fn row(login: &str, password: &str) -> AccountRow {
    AccountRow {
        password: Password(password.into()),
        uid: Some(5000),
        gid: Some(5001),
        ..AccountRow::new(Login::parse(login.as_bytes(), None).unwrap())
    }
}

/// Returns a table with `anna` and `slow`, both with the password `secret`.
pub fn two_accounts() -> Table {
    Table::with([row("anna@x.example", HASH), row("slow@x.example", HASH)])
}

pub fn backend(table: &Table) -> Backend {
    let mut config = Config::default();
    config.login.default_domain = Some("x.example".into());
    config.login.refusal_time = RefusalTime::Fixed(Duration::ZERO);
    config.mailbox = MailboxDefaults { allow_root: true, root: Some("/".into()), ..MailboxDefaults::default() };
    config.password.scheme = NewScheme::Sha256Crypt;
    (config.password.parallel, config.password.memory) = (2, 64 << 20);
    Backend::over(Arc::new(table.store.clone()), &config)
}

pub fn settings(courier: CourierConfig) -> Settings {
    let mut config = Config { courier, ..Config::default() };
    config.password.parallel = 2;
    Settings::new(&config)
}

/// A running daemon.
pub struct Served {
    pub running: Option<Daemon>,
    pub courier: CourierConfig,
    pub socket: PathBuf,
    pub folder: TempDir,
}

pub fn serve(table: &Table) -> Served {
    serve_with(table, |_| ())
}

pub fn serve_with(table: &Table, change: impl FnOnce(&mut CourierConfig)) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let mut courier = CourierConfig { socket: socket.clone(), own_socket: None, ..CourierConfig::default() };
    change(&mut courier);
    let listener = Listener::bind(&courier).unwrap();
    let running = Daemon::start(listener, settings(courier.clone()), backend(table)).unwrap();
    Served { running: Some(running), courier, socket, folder }
}

impl Served {
    pub fn stop(&mut self) {
        self.running.take().unwrap().stop();
    }

    pub fn connect(&self) -> UnixStream {
        connect(&self.socket)
    }

    /// Sends a request and returns everything that is sent back.
    pub fn ask(&self, request: impl AsRef<[u8]>) -> String {
        let mut client = self.connect();
        client.write_all(request.as_ref()).unwrap();
        read_to_end(&mut client)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(running) = self.running.take()
            && !std::thread::panicking()
        {
            running.stop();
        }
    }
}

pub fn connect(socket: &Path) -> UnixStream {
    let client = UnixStream::connect(socket).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client
}

/// Returns what the daemon sends until it closes, with `+RESET` if the connection was reset.
pub fn read_to_end(client: &mut UnixStream) -> String {
    let mut reply = Vec::new();
    match client.read_to_end(&mut reply) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => reply.extend_from_slice(b"+RESET"),
        Err(error) => panic!("after {:?}: {error}", String::from_utf8_lossy(&reply)),
    }
    String::from_utf8(reply).unwrap()
}

pub fn half_close(client: &UnixStream) {
    client.shutdown(Shutdown::Write).unwrap();
}

pub fn pre(login: &str) -> String {
    format!("PRE . imap {login}\n")
}

pub fn auth(login: &str, password: &str) -> String {
    let body = format!("imap\nlogin\n{login}\n{password}\n");
    format!("AUTH {}\n{body}", body.len())
}

pub fn ask(question: &str) -> String {
    format!("ASK {question}\n")
}

/// Returns an account of this process's user with a home in `folder`, an empty mailbox, and a quota of 1000 bytes.
pub fn resident(folder: &Path, name: &str) -> AccountRow {
    let home = folder.join(name);
    for part in ["tmp", "new", "cur"] {
        std::fs::create_dir_all(home.join("Maildir").join(part)).unwrap();
    }
    AccountRow {
        home: Some(home.to_str().unwrap().to_owned()),
        uid: Some(rustix::process::geteuid().as_raw()),
        quota_bytes: Some(1000),
        ..row(&format!("{name}@x.example"), HASH)
    }
}

/// Returns the record of an account that only has defaults.
pub fn record(login: &str) -> String {
    let home = format!("/var/mail/x.example/{login}");
    format!("UID=5000\nGID=5001\nHOME={home}\nADDRESS={login}@x.example\nMAILDIR=Maildir\n.\n")
}

/// Returns the status of the daemon. While all connection slots are taken, because it has not closed a connection yet,
/// it is asked again.
pub fn status(server: &Served) -> Status {
    let (client, until) = (Client::new(&server.socket, LONG), Instant::now() + LONG);
    loop {
        if let Ok(line) = client.status(until) {
            return Status::parse(&line).unwrap();
        }
        assert!(Instant::now() < until, "no status");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns an address on which no program listens.
pub fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub fn serve_metrics(server: &mut Served, address: &MetricsAddress) {
    let listener = MetricsListener::bind(address, &server.courier).unwrap();
    server.running.as_mut().unwrap().serve_metrics(Some(listener)).unwrap();
}

pub fn on_port(server: &mut Served) -> SocketAddr {
    let port = free();
    serve_metrics(server, &MetricsAddress::Tcp(port));
    port
}

pub const GET: &str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain\r\n\r\n";

pub fn fetch(port: SocketAddr, request: &str) -> String {
    let mut client = TcpStream::connect(port).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    client.read_to_string(&mut reply).unwrap();
    reply
}

/// Runs `work` as another user, on a thread of its own. The system calls are made directly, because the C library would
/// change all threads.
pub fn as_user<T: Send>(uid: u32, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            for call in [libc::SYS_setresgid, libc::SYS_setresuid] {
                // SAFETY: the call takes three numbers.
                let status = unsafe { libc::syscall(call, uid, uid, uid) };
                assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
            }
            work()
        });
        other.join().unwrap()
    })
}

/// Returns true, with a message, if this process may not become another user.
pub fn is_not_root() -> bool {
    let other = !rustix::process::geteuid().is_root();
    if other {
        eprintln!("skipped: only root can become another user");
    }
    other
}

/// Waits until `is_true` returns true.
pub fn wait_until(what: &str, is_true: impl Fn() -> bool) {
    let until = Instant::now() + LONG * 4;
    while !is_true() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Lets all users enter the folder of the daemon's socket.
pub fn open_folder(server: &Served) {
    std::fs::set_permissions(server.folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
}
