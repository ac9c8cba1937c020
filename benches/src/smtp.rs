//! A load of SMTP logins.
//!
//! Each client does what a mail program does when it sends a message: connect, EHLO, AUTH PLAIN, QUIT, without TLS. A
//! login is timed from before the connect to the reply to AUTH. The reply to QUIT is not awaited, because Exim delays it
//! by a fifth of a second.

use crate::load::{Outcome, again_and_again};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Concurrent clients that log in by SMTP.
#[derive(Clone, Debug)]
pub struct SmtpLoad {
    /// Port of the server on 127.0.0.1.
    pub port: u16,
    /// Number of concurrent clients.
    pub clients: usize,
    /// Duration of the measurement, after a warm-up of half a second.
    pub time: Duration,
    /// Number of accounts: `user000000@domain` and so on, with the passwords `secret-0` and so on.
    pub users: usize,
    /// Domain of the accounts.
    pub domain: &'static str,
}

impl SmtpLoad {
    /// Runs the load to its end. Calls `measured` when the warm-up is over.
    pub fn run(&self, measured: impl FnOnce()) -> Outcome {
        again_and_again(self.clients, Duration::from_millis(500), self.time, measured, |number| {
            let mut user = number * 7919;
            move || {
                user = (user + 104_729) % self.users;
                let begin = Instant::now();
                let right = self.log_in(user).is_ok_and(|code| code == 235);
                (right, begin.elapsed())
            }
        })
    }

    /// Logs in once and returns the code of the reply to AUTH.
    fn log_in(&self, user: usize) -> io::Result<u16> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut server = BufReader::new(stream);
        reply(&mut server)?;
        server.get_mut().write_all(b"EHLO client.example\r\n")?;
        reply(&mut server)?;
        let response = STANDARD.encode(format!("\0user{user:06}@{}\0secret-{user}", self.domain));
        server.get_mut().write_all(format!("AUTH PLAIN {response}\r\n").as_bytes())?;
        let code = reply(&mut server)?;
        server.get_mut().write_all(b"QUIT\r\n")?;
        Ok(code)
    }
}

/// Reads a whole reply and returns its code.
fn reply(server: &mut impl BufRead) -> io::Result<u16> {
    let mut line = String::new();
    loop {
        line.clear();
        if server.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            let code = line.get(..3).and_then(|code| code.parse().ok());
            return code.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, line));
        }
    }
}
