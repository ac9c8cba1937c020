//! A server over accounts in memory, on a socket in a temporary folder.
#![allow(dead_code, missing_docs, reason = "each test program uses a part of it")]

use mailauth_core::account::{AccountRow, Login, Password};
use mailauth_core::authenticate::{Authenticator, Policy};
use mailauth_core::config::CourierConfig;
use mailauth_core::mailbox::MailboxDefaults;
use mailauth_core::password::{Budget, NewScheme, Rules};
use mailauth_core::store::{AccountStore, Page, StoreError};
use mailauth_courier::server::{Listener, Running, Settings, start};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// Longer than any wait that ends well; shorter than anybody's patience.
pub const LONG: Duration = Duration::from_secs(30);

/// `{SHA256}` of `secret`.
pub const HASH: &str = "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=";

/// Accounts in memory, which can be made to fail.
#[derive(Default)]
pub struct Table {
    pub rows: Mutex<Vec<AccountRow>>,
    pub outage: Mutex<Option<StoreError>>,
    /// Pages of an enumeration that are answered before the outage.
    pub pages: Mutex<Option<usize>>,
    frozen: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Table {
    pub fn with(rows: impl IntoIterator<Item = AccountRow>) -> Arc<Self> {
        Arc::new(Table { rows: Mutex::new(rows.into_iter().collect()), ..Table::default() })
    }

    pub fn fail(&self, failing: bool) {
        let error = StoreError::Unreachable { place: "memory".into(), reason: "on purpose".into() };
        *self.outage.lock().unwrap() = failing.then_some(error);
    }

    /// From now on look-ups of `slow@x.example` wait.
    pub fn freeze(&self) {
        self.frozen.lock().unwrap().0 = true;
    }

    pub fn thaw(&self) {
        self.frozen.lock().unwrap().0 = false;
        self.changed.notify_all();
    }

    /// Waits until so many look-ups wait.
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

    fn enumerate(&self, after: Option<&Login>, limit: usize) -> Result<Page, StoreError> {
        self.check()?;
        match &mut *self.pages.lock().unwrap() {
            Some(0) => return Err(StoreError::Schema("on purpose".into())),
            Some(pages) => *pages -= 1,
            None => {}
        }
        let rows = self.rows.lock().unwrap();
        Ok(rows
            .iter()
            .filter(|row| after.is_none_or(|after| row.login > *after))
            .take(limit)
            .cloned()
            .map(Ok)
            .collect())
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

/// `anna` and `slow`, both with the password `secret`.
pub fn two_accounts() -> Arc<Table> {
    Table::with([row("anna@x.example", HASH), row("slow@x.example", HASH)])
}

pub fn authenticator(table: &Arc<Table>) -> Arc<Authenticator> {
    let policy = Policy {
        default_domain: Some("x.example".into()),
        mailbox: MailboxDefaults::default(),
        rules: Rules::default(),
        scheme: NewScheme::Sha256Crypt,
        min_length: 8,
        unknown_services: true,
    };
    let store: Arc<dyn AccountStore> = table.clone();
    Arc::new(Authenticator::new(store, policy, Arc::new(Budget::new(2, 64 << 20))))
}

pub fn settings(courier: CourierConfig) -> Settings {
    Settings { courier, rules: Rules::default(), parallel: 2, pool: 8 }
}

/// A running server.
pub struct Served {
    pub running: Option<Running>,
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
    let mut courier = CourierConfig { socket: socket.clone(), ..CourierConfig::default() };
    change(&mut courier);
    let listener = Listener::bind(&courier).unwrap();
    let running = start(listener, settings(courier.clone()), authenticator(table)).unwrap();
    Served { running: Some(running), courier, socket, folder }
}

impl Served {
    pub fn stop(&mut self) {
        self.running.take().unwrap().stop();
    }

    pub fn connect(&self) -> UnixStream {
        connect(&self.socket)
    }

    /// Sends a request and reads to the end.
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

/// What comes until the server closes; a reset shows.
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

/// The record of an account with nothing but defaults.
pub fn record(login: &str) -> String {
    let home = format!("/var/mail/x.example/{login}");
    format!("UID=5000\nGID=5001\nHOME={home}\nADDRESS={login}@x.example\nMAILDIR=Maildir\n.\n")
}
