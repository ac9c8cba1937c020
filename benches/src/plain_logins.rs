//! Clients of Dovecot's authentication protocol that log in by PLAIN.
//!
//! As mail servers do, a client keeps its connection and has some requests in flight on it, or it connects for each
//! login. Every answer is checked, so that a server cannot be fast by answering wrongly.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Size of the buffer for one read.
const BUFFER: usize = 16 * 1024;

/// The logins of some accounts, ready to be sent: those of [`crate::load::account`] from 0 on.
pub struct Logins(Vec<Login>);

struct Login {
    /// What follows the id in the request.
    request: String,
    /// Field that follows the id in the answer.
    answer: String,
}

impl Logins {
    /// Returns the logins of the first `users` accounts of a domain.
    pub fn of(users: u64, domain: &str, password: impl Fn(u64) -> String) -> Self {
        let login = |user| {
            let login = format!("user{user:06}@{domain}");
            let response = STANDARD.encode(format!("\0{login}\0{}", password(user)));
            let client = format!("198.18.{}.{}", user / 256 % 256, user % 256);
            // As Postfix sends it.
            let request =
                format!("PLAIN\tservice=smtp\tnologin\tlip=192.0.2.25\trip={client}\tsecured\tresp={response}");
            Login { request, answer: format!("user={login}") }
        };
        Logins((0..users).map(login).collect())
    }
}

/// A connection, and the requests that are in flight on it.
struct Connection {
    stream: UnixStream,
    input: Vec<u8>,
    /// Number of bytes of `input` that were taken.
    taken: usize,
    output: Vec<u8>,
    in_flight: Vec<InFlight>,
    last_id: u32,
}

struct InFlight {
    id: u32,
    user: usize,
    since: Instant,
}

impl Connection {
    /// Connects and reads the greeting. The client's own greeting is sent with the first request, as Exim does.
    fn open(socket: &Path) -> Result<Self> {
        /// Dovecot refuses a number that another connection has.
        static LAST_CPID: AtomicU32 = AtomicU32::new(100_000);
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let cpid = LAST_CPID.fetch_add(1, Ordering::Relaxed);
        let output = format!("VERSION\t1\t0\nCPID\t{cpid}\n").into_bytes();
        let (input, in_flight) = (Vec::with_capacity(BUFFER), Vec::new());
        let mut connection = Connection { stream, input, taken: 0, output, in_flight, last_id: 0 };
        loop {
            match connection.line() {
                Some(line) if &connection.input[line.clone()] == b"DONE" => return Ok(connection),
                Some(_) => {}
                None => connection.fill()?,
            }
        }
    }

    /// Adds the login of a user to what is sent next.
    fn ask(&mut self, logins: &Logins, user: usize) {
        self.last_id += 1;
        let id = self.last_id;
        writeln!(self.output, "AUTH\t{id}\t{}", logins.0[user].request).expect("memory");
        self.in_flight.push(InFlight { id, user, since: Instant::now() });
    }

    /// Returns whether the next answer is right, and the time since its request.
    fn answer(&mut self, logins: &Logins) -> Result<(bool, Duration)> {
        let line = loop {
            match self.line() {
                Some(line) => break line,
                None => self.exchange()?,
            }
        };
        let mut fields = self.input[line].split(|byte| *byte == b'\t');
        let (word, id, login) = (fields.next(), fields.next(), fields.next());
        let id = id.and_then(|id| std::str::from_utf8(id).ok()?.parse::<u32>().ok());
        let place = self.in_flight.iter().position(|asked| Some(asked.id) == id);
        let asked = self.in_flight.swap_remove(place.ok_or_else(|| Error::from(ErrorKind::InvalidData))?);
        let right = word == Some(b"OK") && login == Some(logins.0[asked.user].answer.as_bytes());
        Ok((right, asked.since.elapsed()))
    }

    /// Takes a line that has arrived; returns its place in the input.
    fn line(&mut self) -> Option<Range<usize>> {
        let start = self.taken;
        let length = self.input[start..].iter().position(|byte| *byte == b'\n')?;
        self.taken += length + 1;
        Some(start..start + length)
    }

    /// Sends what there is, and waits for more to arrive.
    fn exchange(&mut self) -> Result<()> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output)?;
            self.output.clear();
        }
        self.fill()
    }

    /// Waits for more to arrive.
    fn fill(&mut self) -> Result<()> {
        self.input.drain(..self.taken);
        self.taken = 0;
        let length = self.input.len();
        self.input.resize(length + BUFFER, 0);
        let count = self.stream.read(&mut self.input[length..]);
        self.input.truncate(length + *count.as_ref().unwrap_or(&0));
        if count? == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// Returns a client that keeps its connection and `in_flight` requests on it. Each call takes one answer: it returns
/// whether it is right, and the time since its request. `next` chooses the users.
pub fn keep(
    socket: &Path,
    logins: &Logins,
    in_flight: usize,
    mut next: impl FnMut() -> usize,
) -> impl FnMut() -> (bool, Duration) {
    let mut kept = None;
    move || {
        let opened = kept.take().map_or_else(|| Connection::open(socket), Ok);
        let answered = opened.and_then(|mut connection| {
            while connection.in_flight.len() < in_flight {
                connection.ask(logins, next());
            }
            let answer = connection.answer(logins)?;
            kept = Some(connection);
            Ok(answer)
        });
        answered.unwrap_or_default()
    }
}

/// Returns a client that connects for each login, as Exim does. Each call returns whether the answer is right, and the
/// time since before the connection. `next` chooses the users.
pub fn connect_each(
    socket: &Path,
    logins: &Logins,
    mut next: impl FnMut() -> usize,
) -> impl FnMut() -> (bool, Duration) {
    move || {
        let begin = Instant::now();
        (is_logged_in(socket, logins, next()), begin.elapsed())
    }
}

/// Logs in on a connection of its own; returns true if the password is accepted.
pub fn is_logged_in(socket: &Path, logins: &Logins, user: usize) -> bool {
    let answer = Connection::open(socket).and_then(|mut connection| {
        connection.ask(logins, user);
        connection.answer(logins)
    });
    answer.is_ok_and(|(right, _)| right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// Serves one connection: answers each request with what `answer` returns for its id.
    fn served(answer: impl Fn(&str) -> String + Sync, client: impl FnOnce(&Path, &Logins)) {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let logins = Logins::of(2, "example.org", |user| format!("secret-{user}"));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().expect("a client");
                stream.write_all(b"VERSION\t1\t2\nMECH\tPLAIN\nDONE\n").expect("the client reads");
                let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stream.try_clone().expect("a socket")));
                while let Some(Ok(line)) = lines.next() {
                    if let Some(request) = line.strip_prefix("AUTH\t") {
                        let id = request.split('\t').next().expect("an id");
                        // The client may have closed.
                        let _ = stream.write_all(answer(id).as_bytes());
                    }
                }
            });
            client(&socket, &logins);
        });
    }

    #[test]
    fn only_an_ok_with_the_login_is_right() {
        for (answer, right) in [
            ("OK\t1\tuser=user000001@example.org\n", true),
            ("OK\t1\tuser=user000001@example.org\tresp=AA==\n", true),
            ("OK\t1\tuser=user000000@example.org\n", false),
            ("OK\t2\tuser=user000001@example.org\n", false),
            ("FAIL\t1\tuser=user000001@example.org\n", false),
        ] {
            served(
                |_| answer.to_owned(),
                |socket, logins| assert_eq!(is_logged_in(socket, logins, 1), right, "{answer}"),
            );
        }
    }

    #[test]
    fn a_kept_connection_takes_the_answers_to_all_requests() {
        let answer = |id: &str| format!("OK\t{id}\tuser=user000000@example.org\n");
        served(answer, |socket, logins| {
            let mut client = keep(socket, logins, 3, || 0);
            assert!((0..20).all(|_| client().0));
        });
    }
}
