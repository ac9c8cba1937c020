//! A load of logins or look-ups on an authdaemon socket.
//!
//! Each client does what courier-imap, maildrop and Exim do for one account: connect, send one request, read the reply to
//! its end, close. Every reply is checked, so that a server cannot be fast by answering wrongly.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The request that a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// A login with a password (`AUTH`).
    Login,
    /// A look-up of an account (`PRE`).
    LookUp,
}

/// The columns of [`account`].
pub const COLUMNS: &str = "login,password,uid,gid,home,maildir,quota,name\n";

/// Returns the account of a user in CSV, with this stored password. Home and Maildir are set, so that every server answers
/// with the same record.
pub fn account(user: u64, domain: &str, password: &str) -> String {
    format!(
        "user{user:06}@{domain},{password},65534,65534,/var/mail/{domain}/user{user:06},Maildir,\"10000000S,1000C\",User {user}\n"
    )
}

/// What to request, for which accounts, and for how long.
#[derive(Clone, Debug)]
pub struct Load {
    /// Path of the daemon's socket.
    pub socket: PathBuf,
    /// The request that each client sends.
    pub question: Question,
    /// Number of concurrent clients.
    pub connections: usize,
    /// Duration of the measurement. A warm-up of the same duration, at most a second, precedes it.
    pub time: Duration,
    /// Number of accounts: those of [`account`] from 0 on, with the passwords `secret-0` and so on.
    pub users: u64,
    /// Domain of the accounts.
    pub domain: &'static str,
}

/// Result of a load.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Microseconds from before the connect to the end of the reply, for each request that was answered rightly, in
    /// ascending order.
    pub micros: Vec<u32>,
    /// Number of requests that were answered wrongly or not at all.
    pub wrong: u64,
    /// Duration of the measurement, without the warm-up.
    pub time: Duration,
}

impl Outcome {
    /// Returns the outcome of several clients that ran for this time.
    pub fn of_all(parts: impl IntoIterator<Item = Outcome>, time: Duration) -> Outcome {
        let mut all = Outcome { time, ..Outcome::default() };
        for part in parts {
            all.micros.extend(part.micros);
            all.wrong += part.wrong;
        }
        all.micros.sort_unstable();
        all
    }

    /// Returns the right answers per second.
    pub fn rate(&self) -> f64 {
        self.micros.len() as f64 / self.time.as_secs_f64()
    }

    /// Returns the milliseconds within which this share (0 to 1) of the requests was answered.
    pub fn percentile(&self, share: f64) -> f64 {
        let last = self.micros.len().saturating_sub(1);
        let at = ((self.micros.len() as f64 * share).ceil() as usize).saturating_sub(1).min(last);
        self.micros.get(at).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
    }
}

impl Load {
    /// Runs the load to its end. Calls `measured` when the warm-up is over.
    pub fn run(&self, measured: impl FnOnce()) -> Outcome {
        let warm_up = self.time.min(Duration::from_secs(1));
        again_and_again(self.connections, warm_up, self.time, measured, |number| {
            let mut random = Random::of(number);
            move || {
                let user = random.draw() % self.users;
                let request = self.request(user);
                let started = Instant::now();
                let right = ask(&self.socket, request.as_bytes()).is_ok_and(|reply| is_account(&reply));
                (right, started.elapsed())
            }
        })
    }

    fn request(&self, user: u64) -> String {
        let login = format!("user{user:06}@{}", self.domain);
        match self.question {
            Question::Login => {
                let body = format!("imap\nlogin\n{login}\nsecret-{user}\n");
                format!("AUTH {}\n{body}", body.len())
            }
            Question::LookUp => format!("PRE . imap {login}\n"),
        }
    }
}

/// Runs a number of concurrent clients, each of which repeats an action that returns whether it succeeded and how long it
/// took. Actions that begin within `warm_up` do not count. Calls `measured` when the warm-up is over.
pub fn again_and_again<C: FnMut() -> (bool, Duration)>(
    clients: usize,
    warm_up: Duration,
    time: Duration,
    measured: impl FnOnce(),
    client: impl Fn(usize) -> C + Sync,
) -> Outcome {
    let begin = Instant::now() + warm_up;
    let end = begin + time;
    let one = |number| one_client(client(number), begin, end);
    let one = &one;
    let parts = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|number| scope.spawn(move || one(number))).collect();
        std::thread::sleep(begin.saturating_duration_since(Instant::now()));
        measured();
        clients.into_iter().map(|client| client.join().expect("a client panicked")).collect::<Vec<_>>()
    });
    Outcome::of_all(parts, time)
}

fn one_client(mut act: impl FnMut() -> (bool, Duration), begin: Instant, end: Instant) -> Outcome {
    let mut outcome = Outcome::default();
    loop {
        let started = Instant::now();
        if started >= end {
            return outcome;
        }
        let (right, took) = act();
        if started < begin {
            continue;
        }
        if right {
            outcome.micros.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        } else {
            outcome.wrong += 1;
        }
    }
}

fn ask(socket: &Path, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(request)?;
    let mut reply = Vec::with_capacity(512);
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer)?;
        reply.extend_from_slice(&buffer[..n]);
        if n == 0 || reply.ends_with(b"\n.\n") || reply == b"FAIL\n" {
            return Ok(reply);
        }
    }
}

/// Looks an account up (`PRE`); returns true if it exists.
pub fn looked_up(socket: &Path, login: &str) -> bool {
    ask(socket, format!("PRE . imap {login}\n").as_bytes()).is_ok_and(|reply| is_account(&reply))
}

/// Logs in (`AUTH`); returns true if the password is accepted.
pub fn is_logged_in(socket: &Path, login: &str, password: &str) -> bool {
    let body = format!("imap\nlogin\n{login}\n{password}\n");
    ask(socket, format!("AUTH {}\n{body}", body.len()).as_bytes()).is_ok_and(|reply| is_account(&reply))
}

fn is_account(reply: &[u8]) -> bool {
    reply.ends_with(b"\n.\n")
}

/// Random numbers by xorshift64*, the same in each run.
pub struct Random(u64);

impl Random {
    /// Returns the numbers of one client.
    pub fn of(client: usize) -> Self {
        Random(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(client as u64 + 1) | 1)
    }

    /// Returns the next number, of 53 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }
}
