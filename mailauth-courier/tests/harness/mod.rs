//! A daemon over accounts in memory, on a socket in a temporary folder.
#![allow(dead_code, missing_docs, reason = "each test program uses a part of it")]

use mailauth_core::account::{AccountRow, Login, Password};
use mailauth_core::authenticate::{Answer, RefusalTime};
use mailauth_core::config::{Config, CourierConfig, MetricsAddress};
use mailauth_core::mailbox::MailboxDefaults;
use mailauth_core::password::{HashRules, NewScheme};
use mailauth_core::quota::{Limits, Usage};
use mailauth_core::store::{
    AccountStore, Cursor, DomainKind, DomainStanding, MailStore, Page, PoolStore, PoolUse, StoreError,
};
use mailauth_core::{Backend, DomainName};
use mailauth_courier::{Daemon, Listener, MetricsListener, Settings};
use mailauth_protocol::client::Client;
use mailauth_protocol::status::Status;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Time after which a test fails: longer than any wait of a test that passes.
pub const LONG: Duration = Duration::from_secs(30);

/// Stored password for `secret`, of the scheme `{SHA256}`.
pub const HASH: &str = "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=";

/// Store of accounts of x.example in memory, which can be made to fail.
#[derive(Default)]
pub struct Table {
    pub rows: Mutex<Vec<AccountRow>>,
    pub aliases: Mutex<Vec<(String, Vec<String>)>>,
    pub outage: Mutex<Option<StoreError>>,
    /// Number of pages of an enumeration that are returned before it fails.
    pub pages: Mutex<Option<usize>>,
    /// While true, reading the first page of a list waits.
    pub lists_frozen: Mutex<bool>,
    lists_changed: Condvar,
    /// Logins that were looked up.
    pub asked: Mutex<Vec<String>>,
    frozen: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Table {
    pub fn with(rows: impl IntoIterator<Item = AccountRow>) -> Arc<Self> {
        Arc::new(Table { rows: Mutex::new(rows.into_iter().collect()), ..Table::default() })
    }

    pub fn alias(&self, address: &str, targets: &[&str]) {
        let targets = targets.iter().map(|target| (*target).to_owned()).collect();
        self.aliases.lock().unwrap().push((address.to_owned(), targets));
    }

    pub fn fail(&self, failing: bool) {
        let error = StoreError::Unreachable { place: "memory".into(), reason: "on purpose".into() };
        *self.outage.lock().unwrap() = failing.then_some(error);
    }

    /// Lets look-ups of `slow@x.example` wait from now on.
    pub fn freeze(&self) {
        self.frozen.lock().unwrap().0 = true;
    }

    pub fn thaw(&self) {
        self.frozen.lock().unwrap().0 = false;
        self.changed.notify_all();
    }

    pub fn thaw_lists(&self) {
        *self.lists_frozen.lock().unwrap() = false;
        self.lists_changed.notify_all();
    }

    /// Waits until this number of look-ups wait.
    pub fn wait_for_waiting(&self, number: usize) {
        let frozen = self.frozen.lock().unwrap();
        let (frozen, timeout) =
            self.changed.wait_timeout_while(frozen, LONG, |(_, waiting)| *waiting < number).unwrap();
        assert!(!timeout.timed_out(), "{} look-ups wait instead of {number}", frozen.1);
    }

    fn check(&self) -> Result<(), StoreError> {
        self.outage.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

impl AccountStore for Table {
    fn find(&self, login: &Login) -> Result<Option<AccountRow>, StoreError> {
        self.asked.lock().unwrap().push(login.to_string());
        match login.local_part() {
            "panic" => panic!("on purpose"),
            "slow" => {
                let mut frozen = self.frozen.lock().unwrap();
                frozen.1 += 1;
                self.changed.notify_all();
                let mut frozen = self.changed.wait_while(frozen, |(frozen, _)| *frozen).unwrap();
                frozen.1 -= 1;
            }
            _ => {}
        }
        self.check()?;
        Ok(self.rows.lock().unwrap().iter().find(|row| row.login == *login).cloned())
    }

    fn set_password(&self, login: &Login, old: &Password, new: &Password) -> Result<bool, StoreError> {
        self.check()?;
        let mut rows = self.rows.lock().unwrap();
        let row = rows.iter_mut().find(|row| row.login == *login && row.password == *old);
        Ok(row.map(|row| row.password = new.clone()).is_some())
    }

    fn enumerate(&self, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        // The daemon's own sample of the table must not be counted or delayed by a test.
        if std::thread::current().name() == Some("learner") {
            return Ok(Page::default());
        }
        self.check()?;
        if after.is_none() {
            let frozen = self.lists_frozen.lock().unwrap();
            drop(self.lists_changed.wait_while(frozen, |frozen| *frozen).unwrap());
        }
        match &mut *self.pages.lock().unwrap() {
            Some(0) => return Err(StoreError::Schema("on purpose".into())),
            Some(pages) => *pages -= 1,
            None => {}
        }
        let rows = self.rows.lock().unwrap();
        let later = |row: &&AccountRow| after.is_none_or(|after| row.login.as_str().as_bytes() > after.as_bytes());
        let rows: Vec<_> = rows.iter().filter(later).take(limit).cloned().collect();
        let next = rows.last().filter(|_| rows.len() == limit).map(|row| Cursor::behind(row.login.as_str()));
        Ok(Page { rows: rows.into_iter().map(Ok).collect(), next })
    }
}

/// The domain has no quota.
impl PoolStore for Table {
    fn pool_limits(&self, _: &str) -> Result<Limits, StoreError> {
        self.check().map(|()| Limits::NONE)
    }

    fn pool_use(&self, _: &str) -> Result<PoolUse, StoreError> {
        self.check().map(|()| PoolUse::default())
    }

    fn publish(&self, _: &Login, usage: Usage) -> Result<PoolUse, StoreError> {
        self.check().map(|()| PoolUse { usage, mailboxes: 1 })
    }
}

impl MailStore for Table {
    fn domain(&self, name: &DomainName) -> Result<Option<DomainStanding>, StoreError> {
        let own = DomainStanding { enabled: true, kind: DomainKind::Own };
        self.check().map(|()| (name.as_str() == "x.example").then_some(own))
    }

    fn alias_targets(&self, address: &str) -> Result<Vec<String>, StoreError> {
        self.check()?;
        let aliases = self.aliases.lock().unwrap();
        Ok(aliases.iter().find(|(name, _)| name == address).map(|(_, targets)| targets.clone()).unwrap_or_default())
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
pub fn two_accounts() -> Arc<Table> {
    Table::with([row("anna@x.example", HASH), row("slow@x.example", HASH)])
}

pub fn backend(table: &Arc<Table>) -> Backend {
    let mut config = Config::default();
    config.login.default_domain = Some("x.example".into());
    config.login.refusal_time = RefusalTime::Fixed(Duration::ZERO);
    config.mailbox = MailboxDefaults { allow_root: true, root: Some("/".into()), ..MailboxDefaults::default() };
    config.password.scheme = NewScheme::Sha256Crypt;
    (config.password.parallel, config.password.memory) = (2, 64 << 20);
    Backend::over(Arc::clone(table), &config)
}

pub fn settings(courier: CourierConfig) -> Settings {
    Settings { courier, rules: HashRules::default(), parallel: 2, pool: 8 }
}

/// A running daemon.
pub struct Served {
    pub running: Option<Daemon>,
    pub courier: CourierConfig,
    pub socket: PathBuf,
    pub folder: TempDir,
}

pub fn serve(table: &Arc<Table>) -> Served {
    serve_with(table, |_| ())
}

pub fn serve_with(table: &Arc<Table>, change: impl FnOnce(&mut CourierConfig)) -> Served {
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
        if let Answer::Yes(line) = client.status(until) {
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
