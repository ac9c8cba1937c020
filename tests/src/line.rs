//! A client of a line protocol over TCP.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection on which lines end with CR LF.
pub(crate) struct LineClient(BufReader<TcpStream>);

impl LineClient {
    /// Connects to a port of the loopback interface.
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a server on the port");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time limit");
        LineClient(BufReader::new(stream))
    }

    /// Returns the next line without its end, or `None` at the end of the connection.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.0.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Err(e) if e.kind() == ErrorKind::ConnectionReset => None,
            Ok(_) => Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()),
            Err(e) => panic!("no answer within the time limit: {e}"),
        }
    }

    /// Returns the next bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> String {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).expect("as many bytes as were announced");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends a line.
    pub(crate) fn send(&mut self, line: &str) {
        // A server that has said goodbye may be gone already. What it sent can still be read.
        let _ = self.0.get_mut().write_all(format!("{line}\r\n").as_bytes());
    }
}
