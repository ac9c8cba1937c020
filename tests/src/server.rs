//! What the tests' database servers have in common: one process, with its data in a temporary folder.

use crate::certificates::Certificates;
use crate::crowd::Crowd;
use crate::port::free_port;
use crate::process::Family;
use crate::scratch::{Scratch, User};
use rustix::process::{Pid, Signal};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// A database server of the tests that can be stopped, killed and frozen.
pub trait Server: Sync {
    /// Returns its process.
    fn process(&self) -> &ServerProcess;

    /// Starts the server again, with the same data, on the same port.
    ///
    /// # Panics
    /// Panics if it does not start.
    fn start(&self);

    /// Closes the connections of all clients, as a failing network or a restart does.
    ///
    /// # Panics
    /// Panics if the server reports an error.
    fn cut_connections(&self);

    /// Closes the connections of a user and takes all others, so that no new one is accepted while the crowd is kept.
    ///
    /// # Panics
    /// Panics if the server cannot be filled.
    fn fill_up(&self, user: &str) -> Crowd;

    /// Shuts the server down in order: it closes the connections of its clients and accepts no new ones.
    fn stop(&self) {
        if let Some(mut family) = self.process().lock().take() {
            family.end(self.process().shutdown);
        }
    }

    /// Kills the server, as a crash does.
    fn crash(&self) {
        self.process().lock().take();
    }

    /// Freezes the server: the kernel still accepts connections, and nothing is answered.
    ///
    /// # Panics
    /// Panics if the server is not running.
    fn freeze(&self) {
        self.process().lock().as_ref().expect("a running server").freeze();
    }

    /// Lets a frozen server continue.
    ///
    /// # Panics
    /// Panics if the server is not running.
    fn thaw(&self) {
        self.process().lock().as_ref().expect("a running server").thaw();
    }

    /// Returns the ID of its first process.
    ///
    /// # Panics
    /// Panics if the server is not running.
    fn pid(&self) -> Pid {
        self.process().lock().as_ref().expect("a running server").eldest()
    }

    /// Returns its port on 127.0.0.1 and 127.0.0.2.
    fn port(&self) -> u16 {
        self.process().port
    }

    /// Returns its certificate and the authority that signed it.
    fn certificates(&self) -> &Certificates {
        &self.process().certificates
    }
}

/// The process of a database server, and the folder, port and certificates that it keeps when it is restarted.
pub struct ServerProcess {
    /// Name of the program, for messages.
    name: &'static str,
    /// Signal that makes it shut down in order.
    shutdown: Signal,
    pub(crate) folder: Scratch,
    pub(crate) user: User,
    pub(crate) certificates: Certificates,
    pub(crate) port: u16,
    /// `None` while it is not running.
    family: Mutex<Option<Family>>,
    databases: AtomicU32,
}

impl ServerProcess {
    /// Describes a server that is not started yet. Its data is in `folder`.
    pub(crate) fn new(name: &'static str, shutdown: Signal, folder: Scratch, user: User) -> Self {
        let certificates = Certificates::make(folder.path(), user);
        let (family, databases) = (Mutex::default(), AtomicU32::new(0));
        ServerProcess { name, shutdown, folder, user, certificates, port: 0, family, databases }
    }

    /// Chooses a port that is free now. Another program can take it before the server does.
    pub(crate) fn choose_port(&mut self) {
        self.port = free_port();
    }

    /// Starts the server and waits until it is ready. Returns false if it ends or is not ready within a minute.
    pub(crate) fn try_start(&self, command_line: &[String], is_ready: impl Fn() -> bool) -> bool {
        let mut family = self.lock();
        let running = family.insert(Family::spawn("", Some(self.user), command_line, &self.folder.join("log")));
        let begin = Instant::now();
        while running.runs() && begin.elapsed() < Duration::from_secs(60) {
            if is_ready() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        *family = None;
        false
    }

    /// Fails the test with the server's log.
    pub(crate) fn panic_with_log(&self) -> ! {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        panic!("{} does not start:\n{log}", self.name)
    }

    /// Returns true if it is running.
    pub(crate) fn is_running(&self) -> bool {
        self.lock().is_some()
    }

    /// Returns the folder of its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Returns a name and a password for a new database and its user.
    pub(crate) fn new_database(&self) -> (String, String) {
        let name = format!("mail{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let password = format!("password of {name}");
        (name, password)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Family>> {
        self.family.lock().expect("no panic with the lock held")
    }
}
