//! A raw client of the authdaemon socket: sends any bytes, reads to the end, and classifies the reply.
//!
//! A connection carries one request. The replies: an account record of `NAME=value` lines ended by `.`; `FAIL`; `OK`;
//! a listing, which is `# module` and an empty line, and then one line per account, ended by `.`; or the end of the
//! connection without a byte, which means "not now".

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longer than every timeout of the protocol.
const LIMIT: Duration = Duration::from_secs(45);

/// How a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// All at once, then waiting.
    Whole,
    /// All at once, then shutting down this side, as Exim does.
    HalfClose,
    /// This number of bytes at a time, with a pause between.
    Pieces(usize, Duration),
}

/// A classified reply.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A well-formed account record, and nothing after it.
    Account(Record),
    /// A well-formed and complete listing.
    List(Vec<Entry>),
    /// `FAIL`.
    Fail,
    /// `OK`.
    Done,
    /// The end of the connection, without a byte.
    Closed,
    /// A reply that the protocol does not know, or that a client cannot rely on: why, and its beginning.
    Odd(&'static str, String),
}

impl Outcome {
    /// Returns its name, without its content.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Account(_) => "ACCOUNT",
            Outcome::List(_) => "LIST",
            Outcome::Fail => "FAIL",
            Outcome::Done => "OK",
            Outcome::Closed => "CLOSED",
            Outcome::Odd(why, _) => why,
        }
    }

    /// Returns the record.
    ///
    /// # Panics
    /// Panics if it is another reply.
    pub fn account(self) -> Record {
        match self {
            Outcome::Account(record) => record,
            other => panic!("not an account but {other:?}"),
        }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Odd(why, start) => write!(f, "{why}: {start:?}"),
            other => f.write_str(other.word()),
        }
    }
}

/// The lines of an account record that have a value. `HOME=` without a value counts as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record(pub Vec<(String, String)>);

impl Record {
    /// The names, in authdaemond's order.
    pub const NAMES: [&'static str; 11] =
        ["USERNAME", "UID", "GID", "HOME", "ADDRESS", "NAME", "MAILDIR", "QUOTA", "PASSWD", "PASSWD2", "OPTIONS"];

    /// Returns the value of a line.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut lines = Vec::new();
        let mut last = None;
        for line in text.split('\n') {
            let (name, value) = line.split_once('=').ok_or("a line without a name")?;
            let place = Self::NAMES.iter().position(|known| *known == name).ok_or("an unknown line")?;
            if last.replace(place).is_some_and(|last| last >= place) {
                return Err("lines out of order, or twice");
            }
            if !value.is_empty() {
                lines.push((name.to_owned(), value.to_owned()));
            }
        }
        let record = Record(lines);
        let number = |name| record.get(name).is_some_and(|value: &str| value.parse::<u32>().is_ok());
        if !number("GID") || (!number("UID") && record.get("USERNAME").is_none()) {
            return Err("no user or group");
        }
        if ["HOME", "ADDRESS"].iter().any(|name| record.get(name).is_none()) {
            return Err("no HOME or ADDRESS");
        }
        Ok(record)
    }
}

/// A line of a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Login of the account.
    pub login: String,
    /// Its user and group IDs.
    pub ids: (u32, u32),
    /// Its home.
    pub home: String,
    /// Its Maildir. May be empty.
    pub maildir: String,
    /// Its options. May be empty.
    pub options: String,
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        let [login, uid, gid, home, maildir, options] = line.split('\t').collect::<Vec<_>>()[..] else { return None };
        let ids = (uid.parse().ok()?, gid.parse().ok()?);
        let [login, home, maildir, options] = [login, home, maildir, options].map(str::to_owned);
        (!login.is_empty() && !home.is_empty()).then_some(Entry { login, ids, home, maildir, options })
    }
}

/// A reply, with how and when it ended.
#[derive(Clone, Debug)]
pub struct Reply {
    /// All bytes received.
    pub bytes: Vec<u8>,
    /// Time from before the connect to the end.
    pub took: Duration,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Clean,
    Reset,
    TimeOut,
}

impl Reply {
    /// Classifies the reply.
    pub fn outcome(&self) -> Outcome {
        let text = String::from_utf8_lossy(&self.bytes);
        let odd = |why| Outcome::Odd(why, text.chars().take(200).collect());
        match (self.end, &*text) {
            (End::TimeOut, _) => odd("TIMEOUT"),
            (_, "") => Outcome::Closed, // a reset without a byte looks like an end without one
            (End::Reset, _) => odd("RESET"), // Cyrus SASL takes a reply followed by a reset as a failure
            (_, "FAIL\n") => Outcome::Fail,
            (_, "OK\n") => Outcome::Done,
            (_, listing) if listing.starts_with('#') => match listing.strip_suffix(".\n") {
                None => odd("CUT OFF"),
                Some(lines) => lines
                    .lines()
                    .filter(|line| !line.is_empty() && !line.starts_with('#'))
                    .map(Entry::parse)
                    .collect::<Option<_>>()
                    .map_or_else(|| odd("LIST"), Outcome::List),
            },
            (_, record) => match record.split_once("\n.\n").map(|(record, more)| (Record::parse(record), more)) {
                Some((Ok(record), "")) => Outcome::Account(record),
                Some((Ok(_), _)) => odd("EXTRA"),
                Some((Err(why), _)) => odd(why),
                None => odd("OTHER"),
            },
        }
    }
}

/// Sends a request and reads the reply to its end.
///
/// # Panics
/// Panics if the server is unreachable.
pub fn ask(socket: &Path, request: &[u8], manner: Manner) -> Reply {
    try_ask(socket, request, manner).unwrap_or_else(|| panic!("{}: no server is listening", socket.display()))
}

/// Does the same with a server that may be unreachable, for which it returns `None`.
pub fn try_ask(socket: &Path, request: &[u8], manner: Manner) -> Option<Reply> {
    let begin = Instant::now();
    let mut stream = try_connect(socket).ok()?;
    let (size, pause) = match manner {
        Manner::Pieces(size, pause) => (size, pause),
        _ => (request.len().max(1), Duration::ZERO),
    };
    for (number, piece) in request.chunks(size).enumerate() {
        if number > 0 {
            std::thread::sleep(pause);
        }
        if stream.write_all(piece).is_err() {
            break; // closed already: its reply, if any, can still be read
        }
    }
    if manner == Manner::HalfClose {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut bytes = Vec::new();
    let end = match stream.read_to_end(&mut bytes) {
        Ok(_) => End::Clean,
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => End::TimeOut,
        Err(_) => End::Reset,
    };
    Some(Reply { bytes, took: begin.elapsed(), end })
}

/// Connects to the server, with a time limit for each read and write.
///
/// # Panics
/// Panics if the server is unreachable.
pub fn connect(socket: &Path) -> UnixStream {
    try_connect(socket).unwrap_or_else(|e| panic!("{}: {e}", socket.display()))
}

fn try_connect(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Returns the request to look up a login.
pub fn pre(service: &str, login: &str) -> Vec<u8> {
    format!("PRE . {service} {login}\n").into_bytes()
}

/// Returns the request to check a password.
pub fn auth(service: &str, login: &str, password: &str) -> Vec<u8> {
    auth_body(format!("{service}\nlogin\n{login}\n{password}\n").as_bytes())
}

/// Returns an AUTH request with this body and the right length.
pub fn auth_body(body: &[u8]) -> Vec<u8> {
    [format!("AUTH {}\n", body.len()).as_bytes(), body].concat()
}

/// Returns the request to change a password.
pub fn passwd(login: &str, old: &str, new: &str) -> Vec<u8> {
    format!("PASSWD imap\t{login}\t{old}\t{new}\n").into_bytes()
}

/// Returns the outcome of a login with this password.
pub fn login(socket: &Path, login: &str, password: &str) -> Outcome {
    ask(socket, &auth("imap", login, password), Manner::Whole).outcome()
}
