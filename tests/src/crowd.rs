//! Clients that use all connections of a database server and send no queries.

use crate::process::eventually;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A crowd of clients. They disconnect when it is dropped.
pub struct Crowd {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Crowd {
    /// Connects to a port of 127.0.0.1 until the server refuses, sends `hello` each time, and takes each connection
    /// that becomes free.
    ///
    /// # Panics
    /// Panics if the server does not refuse within some seconds.
    pub(crate) fn before(port: u16, hello: &[u8]) -> Self {
        let (over, full) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (over, full, hello) = (over.clone(), full.clone(), hello.to_vec());
            std::thread::spawn(move || press(port, &hello, &over, &full))
        };
        let crowd = Crowd { over, thread: Some(thread) };
        eventually("a full server", Duration::from_secs(20), || full.load(Ordering::Relaxed));
        crowd
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn press(port: u16, hello: &[u8], over: &AtomicBool, full: &AtomicBool) {
    let mut inside: Vec<TcpStream> = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let before = inside.len();
        inside.retain_mut(is_open);
        if inside.len() < before {
            full.store(true, Ordering::Relaxed);
        }
        if let Ok(mut client) = TcpStream::connect(("127.0.0.1", port))
            && client.write_all(hello).is_ok()
            && client.set_nonblocking(true).is_ok()
        {
            inside.push(client);
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Reads what the server sends, which is ignored, and so notices the end of the connection.
fn is_open(client: &mut TcpStream) -> bool {
    match client.read(&mut [0; 1024]) {
        Ok(count) => count > 0,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}

/// A client of the administrator that is connected already.
pub(crate) struct Session(std::process::Child);

impl Session {
    /// Starts a client that reads SQL from its standard input, and waits until it is connected.
    pub(crate) fn open(client: &mut Command) -> Self {
        client.stdin(Stdio::piped()).stdout(Stdio::piped());
        // Unless told otherwise, a client that does not write to a terminal prints only at its end.
        if client.get_args().any(|argument| argument == "--skip-column-names") {
            client.arg("--unbuffered");
        }
        let mut child = client.spawn().expect("a client");
        let stdin = child.stdin.as_mut().expect("a pipe");
        stdin.write_all(b"SELECT 1;\n").expect("a client that reads");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("an answer");
        assert_eq!(line, "1\n", "of the server");
        Session(child)
    }

    /// Runs a statement without a result, and waits until it is done.
    pub(crate) fn run(&mut self, sql: &str) {
        let stdin = self.0.stdin.as_mut().expect("a pipe");
        stdin.write_all(format!("{sql};\nSELECT 2;\n").as_bytes()).expect("a client that reads");
        let mut line = String::new();
        // Nothing else is in transit, so nothing is lost with the buffer.
        BufReader::new(self.0.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("an answer");
        assert_eq!(line, "2\n", "of the server");
    }

    /// Sends more statements, and waits for the end of the client.
    pub(crate) fn end_with(&mut self, sql: &str) {
        let mut stdin = self.0.stdin.take().expect("a pipe");
        stdin.write_all(sql.as_bytes()).expect("a client that reads");
        drop(stdin);
        let _ = self.0.wait();
    }
}
