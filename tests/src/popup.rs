//! The work of qmail-popup, which is not packaged in Debian: greets POP3 clients, and passes their login and password
//! to a checkpassword program, which becomes the POP3 server.

use crate::checkpassword::{pass, record};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A POP3 service on a port of the loopback interface, which runs until the test process ends.
pub struct Popup {
    port: u16,
}

impl Popup {
    /// Starts a service with the command that `command` returns: a checkpassword program, and the server as its
    /// arguments.
    ///
    /// # Panics
    /// Panics if no port is free.
    pub fn serve(command: impl Fn() -> Command + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("its number").port();
        std::thread::spawn(move || {
            for (number, client) in listener.incoming().flatten().enumerate() {
                let command = command();
                // A client that disconnects does not affect the others.
                std::thread::spawn(move || greet(&client, command, number));
            }
        });
        Popup { port }
    }

    /// Returns its port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn greet(client: &TcpStream, command: Command, number: usize) -> io::Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(30)))?;
    let timestamp = format!("<{number}.1700000000@popup.example>");
    let mut say = client;
    write!(say, "+OK {timestamp}\r\n")?;
    let mut user = String::new();
    // The client waits for each answer, so none of the server's input stays in the buffer.
    for line in BufReader::new(client).lines() {
        let line = line?;
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match (verb.to_ascii_uppercase().as_str(), rest.split_once(' ')) {
            ("USER", _) => {
                rest.clone_into(&mut user);
                write!(say, "+OK\r\n")?;
            }
            ("PASS", _) => return log_in(client, command, &record(&user, rest, &timestamp)),
            ("APOP", Some((user, digest))) => return log_in(client, command, &record(user, digest, &timestamp)),
            ("QUIT", _) => return write!(say, "+OK\r\n"),
            _ => write!(say, "-ERR authorization first\r\n")?,
        }
    }
    Ok(())
}

fn log_in(mut client: &TcpStream, mut command: Command, record: &[u8]) -> io::Result<()> {
    let (reader, mut writer) = io::pipe()?;
    pass(&mut command, reader.into());
    let end = || client.try_clone().map(OwnedFd::from);
    command.stdin(Stdio::from(end()?)).stdout(Stdio::from(end()?)).stderr(Stdio::null());
    command.env("PROTO", "TCP").env("TCPREMOTEIP", "127.0.0.1");
    let mut child = command.spawn()?;
    drop(command);
    let written = writer.write_all(record);
    drop(writer);
    let status = child.wait()?;
    written?;
    if status.success() { Ok(()) } else { write!(client, "-ERR authorization failed\r\n") }
}
