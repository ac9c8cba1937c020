//! Logins of a user by each protocol, once or again and again.

use super::machine::{ANNA, Machine};
use mailauth_tests::imap::Imap;
use mailauth_tests::people::PASSWORD;
use mailauth_tests::pop3::Pop3;
use mailauth_tests::smtp::Smtp;
use mailauth_tests::{MailHost, wire};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Pause of a client between two logins.
const PAUSE: Duration = Duration::from_millis(20);

/// A way to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Imap,
    Pop3,
    Smtp,
    /// Courier's socket of the daemon, which every program of Courier uses.
    Socket,
}

impl Way {
    pub const ALL: [Way; 4] = [Way::Imap, Way::Pop3, Way::Smtp, Way::Socket];
}

/// What a client on the machine needs.
#[derive(Clone)]
pub struct Client {
    authority: PathBuf,
    socket: PathBuf,
}

impl Client {
    pub fn of(machine: &Machine) -> Self {
        Client { authority: machine.authority().to_owned(), socket: machine.booted.inside(MailHost::SOCKET) }
    }

    /// Logs Anna in, in a thread that uses the machine's network. Whatever else happens than a yes is an error.
    pub fn log_in(&self, way: Way) -> Result<(), String> {
        let (said, right) = catch_unwind(|| self.answer(way)).map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
        })?;
        if said.starts_with(right) { Ok(()) } else { Err(said) }
    }

    /// Returns what the server says to the right password, and how its yes begins.
    fn answer(&self, way: Way) -> (String, &'static str) {
        match way {
            Way::Imap => {
                let mut client = Imap::connect(143);
                let said = client.login(ANNA, PASSWORD);
                client.command("LOGOUT");
                (said, "OK ")
            }
            Way::Pop3 => {
                let mut client = Pop3::connect(110);
                let said = client.login(ANNA, PASSWORD);
                client.command("QUIT");
                (said, "+OK")
            }
            Way::Smtp => {
                let mut client = smtp(&self.authority);
                let said = client.auth_plain(ANNA.as_bytes(), PASSWORD.as_bytes()).to_string();
                client.quit();
                (said, "235 ")
            }
            Way::Socket => {
                let request = wire::auth("imap", ANNA, PASSWORD);
                let reply = wire::try_ask(&self.socket, &request, wire::Manner::Whole);
                (reply.map_or("no server", |reply| reply.outcome().word()).to_owned(), "ACCOUNT")
            }
        }
    }
}

/// Returns a connection to the port for mail programs, before the login.
pub fn smtp(authority: &Path) -> Smtp {
    Smtp::connect_tls(587, authority)
}

/// What came of a load of logins.
pub struct Record {
    /// Number of logins by each way.
    pub right: Vec<(Way, usize)>,
    /// What went wrong, and how many seconds after the beginning.
    pub wrong: Vec<String>,
    /// Longest time that a login took.
    pub slowest: Duration,
}

/// Logs in by every way again and again while `during` runs, for a moment before and a moment after it.
pub fn while_logins_go_on(machine: &Machine, during: impl FnOnce() + Send) -> Record {
    let (client, over, begin) = (Client::of(machine), AtomicBool::new(false), Instant::now());
    let done = Mutex::new(Vec::new());
    machine.booted.on_its_network(|| {
        std::thread::scope(|scope| {
            for way in Way::ALL {
                let (client, over, done) = (&client, &over, &done);
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        let from = Instant::now();
                        let outcome = client.log_in(way);
                        done.lock().expect("no panic with the lock held").push((way, from, from.elapsed(), outcome));
                        std::thread::sleep(PAUSE);
                    }
                });
            }
            let _end = End(&over);
            std::thread::sleep(Duration::from_secs(1));
            during();
            std::thread::sleep(Duration::from_secs(2));
        });
    });
    let done = done.into_inner().expect("no panic with the lock held");
    let right = |way| done.iter().filter(|(other, .., outcome)| *other == way && outcome.is_ok()).count();
    let wrong = done.iter().filter_map(|(way, from, _, outcome)| {
        let after = from.duration_since(begin).as_secs_f32();
        outcome.as_ref().err().map(|why| format!("{way:?} after {after:.1} s: {why}"))
    });
    Record {
        right: Way::ALL.map(|way| (way, right(way))).to_vec(),
        wrong: wrong.collect(),
        slowest: done.iter().map(|(_, _, time, _)| *time).max().unwrap_or_default(),
    }
}

/// Ends the clients, also if the work meanwhile panics.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
