//! A small client of Dovecot's authentication protocol.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longer than every time limit of the protocol's clients.
const LIMIT: Duration = Duration::from_secs(30);

/// A connection to one of the sockets.
pub struct Client {
    stream: BufReader<UnixStream>,
    /// Lines that the server sent when the client connected.
    pub greeting: Vec<String>,
}

impl Client {
    /// Connects as Postfix and Exim do, and reads the greeting.
    pub fn connect(socket: &Path) -> Self {
        let mut client = Self::greeted(socket, "DONE");
        client.send(&["VERSION", "1", "0"]);
        client.send(&["CPID", &std::process::id().to_string()]);
        client
    }

    /// Connects as Dovecot's login processes do, of which this one has the number `pid`.
    pub fn connect_as_login_process(socket: &Path, pid: u32) -> Self {
        let mut client = Self::greeted(socket, "DONE");
        client.send(&["VERSION", "1", "2"]);
        client.send(&["CPID", &pid.to_string()]);
        client
    }

    /// Connects to a socket for look-ups.
    pub fn connect_for_lookups(socket: &Path) -> Self {
        let mut client = Self::greeted(socket, "SPID");
        client.send(&["VERSION", "1", "1"]);
        client
    }

    /// Connects, and sends nothing.
    fn greeted(socket: &Path, last: &str) -> Self {
        let stream = UnixStream::connect(socket).unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
        stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
        stream.set_write_timeout(Some(LIMIT)).expect("a time limit");
        let mut client = Client { stream: BufReader::new(stream), greeting: Vec::new() };
        loop {
            let line = client.line().expect("the whole greeting");
            let is_last = line.split('\t').next() == Some(last);
            client.greeting.push(line);
            if is_last {
                return client;
            }
        }
    }

    /// Sends a line of these fields.
    pub fn send(&mut self, fields: &[&str]) {
        let line = fields.join("\t") + "\n";
        self.stream.get_mut().write_all(line.as_bytes()).expect("the server reads");
    }

    /// Asks for a login by PLAIN, with more parameters if needed. Postfix sends `nologin`: no program will ask for the
    /// account with `REQUEST`.
    pub fn plain(&mut self, id: &str, login: &str, password: &str, parameters: &[&str]) {
        let resp = format!("resp={}", plain(login, password));
        let first = ["AUTH", id, "PLAIN", "service=smtp", "lip=127.0.0.1", "rip=127.0.0.1"];
        let fields: Vec<&str> = first.iter().chain(parameters).copied().chain([resp.as_str()]).collect();
        self.send(&fields);
    }

    /// Returns the next line, or `None` if the server has closed the connection.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.strip_suffix('\n').expect("a whole line").to_owned()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("the server neither answers nor closes the connection: {error}"),
        }
    }

    /// Returns the next line and the time that it took.
    pub fn timed_line(&mut self) -> (Option<String>, Duration) {
        let begin = Instant::now();
        (self.line(), begin.elapsed())
    }

    /// Returns the value of the greeting's line of this name.
    pub fn greeted_with(&self, name: &str) -> &str {
        let value = self.greeting.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
        value.unwrap_or_else(|| panic!("no {name} in {:?}", self.greeting))
    }

    /// Returns the connection.
    pub fn stream(&mut self) -> &mut UnixStream {
        self.stream.get_mut()
    }
}

/// Returns the initial response of PLAIN.
pub fn plain(login: &str, password: &str) -> String {
    base64(&format!("\0{login}\0{password}"))
}

/// Returns text in base64.
pub fn base64(text: &str) -> String {
    STANDARD.encode(text)
}
