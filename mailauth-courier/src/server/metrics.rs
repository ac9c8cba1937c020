//! What the server has counted, for Prometheus: `GET /metrics` and nothing else, over as much of HTTP/1 as that needs.
//!
//! One thread serves one client after the other, each within [`READING`] and [`WRITING`], so that whoever is slow or
//! hostile here delays other scrapes for that long and logins not at all.

use super::connection::drain;
use super::door::Hall;
use super::exposition::exposition;
use super::lane::guarded;
use super::listener::{BindError, Listener};
use crate::client::limit;
use mailauth_core::config::{CourierConfig, MetricsAddress};
use rustix::io::Errno;
use rustix::net::sockopt::Timeout;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags, accept_with, listen, recv, send, shutdown};
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// From accepting a connection to the end of its request.
const READING: Duration = Duration::from_secs(2);

/// From there until the client has taken the reply.
const WRITING: Duration = Duration::from_secs(2);

/// Bytes of a request. Prometheus sends about 300.
const MAX_REQUEST: usize = 4096;

/// Connections that may wait while one is served.
const BACKLOG: i32 = 8;

/// How long to wait when the system has no descriptor for a connection.
const SHORTAGE: Duration = Duration::from_millis(50);

/// Why metrics cannot be given out.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// No unix socket.
    #[error("[metrics] listen: {0}")]
    Unix(#[from] BindError),
    /// No port.
    #[error("[metrics] listen: cannot listen on {address}: {error}; choose another port, or stop who has this one")]
    Port {
        /// Which.
        address: MetricsAddress,
        /// What the system said.
        error: io::Error,
    },
}

/// A listening socket for metrics, before anybody is served.
#[derive(Debug)]
pub struct MetricsListener {
    address: MetricsAddress,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Unix(Listener),
    Tcp(OwnedFd),
}

impl MetricsListener {
    /// Listens on `address`; a unix socket gets the group of `[courier] socket_group` and the mode 0660.
    ///
    /// # Errors
    /// When somebody else does so already, or the system refuses.
    pub fn bind(address: &MetricsAddress, courier: &CourierConfig) -> Result<Self, MetricsError> {
        let socket = match address {
            MetricsAddress::Unix(path) => {
                let place = CourierConfig { socket: path.clone(), socket_mode: 0o660, ..courier.clone() };
                Socket::Unix(Listener::bind(&place)?)
            }
            MetricsAddress::Tcp(port) => {
                let failed = |error| MetricsError::Port { address: address.clone(), error };
                Socket::Tcp(TcpListener::bind(port).map_err(failed)?.into())
            }
        };
        let listener = MetricsListener { address: address.clone(), socket };
        // It listens already; this only makes fewer wait. It cannot fail.
        let _ = listen(listener.descriptor(), BACKLOG);
        Ok(listener)
    }

    fn descriptor(&self) -> &OwnedFd {
        match &self.socket {
            Socket::Unix(listener) => listener.socket(),
            Socket::Tcp(socket) => socket,
        }
    }
}

/// The thread that serves metrics.
pub(super) struct Metrics {
    listener: Arc<MetricsListener>,
    thread: JoinHandle<()>,
}

impl Metrics {
    /// # Errors
    /// When the system gives no thread.
    pub fn open(listener: MetricsListener, hall: &Arc<Hall>) -> io::Result<Self> {
        let listener = Arc::new(listener);
        let (theirs, hall) = (Arc::clone(&listener), Arc::clone(hall));
        let text = move || exposition(&hall.works.status(&hall.live()));
        let thread = Builder::new().name("metrics".into()).spawn(move || serve(theirs.descriptor(), text))?;
        Ok(Metrics { listener, thread })
    }

    pub fn address(&self) -> &MetricsAddress {
        &self.listener.address
    }

    /// Accepts no more, and waits for the one that is being served.
    pub fn close(self) {
        // On a listening socket this cannot fail; accepting fails with EINVAL from now on.
        let _ = shutdown(self.listener.descriptor(), Shutdown::Read);
        // The thread cannot end by a panic: that of each connection is caught.
        let _ = self.thread.join();
    }
}

fn serve(listener: &OwnedFd, text: impl Fn() -> String) {
    loop {
        match accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(socket) => drop(guarded(|| answer(&socket, &text))),
            // It was shut.
            Err(Errno::INVAL) => return,
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection for metrics");
                std::thread::sleep(SHORTAGE);
            }
        }
    }
}

/// Whether a client takes its reply is its own affair.
fn answer(socket: &OwnedFd, text: impl Fn() -> String) {
    let reply = match receive(socket, Instant::now() + READING) {
        Ok(request) => reply(&request, text),
        Err(Refusal::Nothing) => return,
        Err(Refusal::TooLong) => refusal("431 Request Header Fields Too Large", ""),
        Err(Refusal::Late) => refusal("408 Request Timeout", ""),
    };
    if transmit(socket, reply.as_bytes(), Instant::now() + WRITING).is_ok() {
        let _ = shutdown(socket, Shutdown::Write);
        // What is left unread would make the kernel reset the connection under the reply.
        drain(socket);
    }
}

/// Why there is no request.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// The client has gone.
    Nothing,
    TooLong,
    Late,
}

/// The head of a request.
fn receive(socket: &OwnedFd, deadline: Instant) -> Result<Vec<u8>, Refusal> {
    let mut buffer = [0; MAX_REQUEST];
    let mut length = 0;
    loop {
        limit(socket, Timeout::Recv, deadline).map_err(|_| Refusal::Late)?;
        let rest = buffer.get_mut(length..).filter(|rest| !rest.is_empty()).ok_or(Refusal::TooLong)?;
        match recv(socket, rest, RecvFlags::empty()) {
            Ok((0, _)) => return Err(Refusal::Nothing),
            Ok((count, _)) => length += count,
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => return Err(Refusal::Late),
            Err(_) => return Err(Refusal::Nothing),
        }
        let head = buffer.get(..length).unwrap_or_default();
        if ends(head) {
            return Ok(head.to_vec());
        }
    }
}

/// Has the empty line come? A line may end without a CR (RFC 9112, section 2.2).
fn ends(head: &[u8]) -> bool {
    let mut line_is_empty = false;
    for byte in head {
        match byte {
            b'\n' if line_is_empty => return true,
            b'\n' => line_is_empty = true,
            b'\r' => {}
            _ => line_is_empty = false,
        }
    }
    false
}

fn reply(head: &[u8], text: impl Fn() -> String) -> String {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).unwrap_or_default().trim_end_matches('\r');
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return refusal("400 Bad Request", "");
    };
    if !version.starts_with("HTTP/1.") {
        return refusal("505 HTTP Version Not Supported", "");
    }
    if target.split('?').next() != Some("/metrics") {
        return refusal("404 Not Found", "");
    }
    if method != "GET" {
        return refusal("405 Method Not Allowed", "Allow: GET\r\n");
    }
    let body = text();
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    format!("{}{body}", head_of("200 OK", kind, "", body.len()))
}

fn refusal(status: &str, more: &str) -> String {
    let body = format!("{status}\n");
    format!("{}{body}", head_of(status, "text/plain; charset=utf-8", more, body.len()))
}

fn head_of(status: &str, kind: &str, more: &str, length: usize) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n")
}

fn transmit(socket: &OwnedFd, bytes: &[u8], deadline: Instant) -> Result<(), Errno> {
    let mut sent = 0;
    while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
        limit(socket, Timeout::Send, deadline)?;
        match send(socket, rest, SendFlags::NOSIGNAL) {
            Ok(count) => sent += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn status(request: &str) -> String {
        let reply = reply(request.as_bytes(), || "a 1\n".to_owned());
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
        head.split("\r\n").next().unwrap()["HTTP/1.1 ".len()..][..3].to_owned()
    }

    #[test]
    fn metrics_are_got_and_nothing_else_is() {
        assert_eq!(status("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), "200");
        assert_eq!(status("GET /metrics?name=x HTTP/1.0\n\n"), "200");
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), "404");
        assert_eq!(status("GET /metrics/../x HTTP/1.1\r\n\r\n"), "404");
        assert_eq!(status("POST /metrics HTTP/1.1\r\n\r\n"), "405");
        assert_eq!(status("GET /metrics HTTP/2\r\n\r\n"), "505");
        for request in ["\r\n\r\n", "GET /metrics\r\n\r\n", "GET  /metrics HTTP/1.1\r\n\r\n", "\u{1}\n\n"] {
            assert_eq!(status(request), "400", "{request:?}");
        }
    }

    #[test]
    fn a_request_ends_with_its_empty_line() {
        for whole in ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\n\n", "a\r\nb\r\n\r\nrest"] {
            assert!(ends(whole.as_bytes()), "{whole:?}");
        }
        for part in ["", "GET / HTTP/1.1\r\n", "a\r\nb\r\n", "\r\r"] {
            assert!(!ends(part.as_bytes()), "{part:?}");
        }
    }

    #[test]
    fn a_request_has_a_bound_and_a_deadline() {
        let (mut client, server) = UnixStream::pair().unwrap();
        let server = OwnedFd::from(server);
        client.write_all(&[b'x'; 5000]).unwrap();
        assert_eq!(receive(&server, Instant::now() + READING), Err(Refusal::TooLong));
        drain(&server);
        client.write_all(b"GET").unwrap();
        let begin = Instant::now();
        assert_eq!(receive(&server, begin + Duration::from_millis(50)), Err(Refusal::Late));
        assert!(begin.elapsed() < READING);
        drop(client);
        assert_eq!(receive(&server, Instant::now() + READING), Err(Refusal::Nothing));
    }

    #[test]
    fn who_does_not_read_is_given_up() {
        let (client, server) = UnixStream::pair().unwrap();
        let begin = Instant::now();
        let much = vec![b'x'; 8 << 20];
        assert!(transmit(&OwnedFd::from(server), &much, begin + Duration::from_millis(50)).is_err());
        assert!(begin.elapsed() < WRITING);
        drop(client);
    }

    #[test]
    fn what_comes_after_the_request_does_not_cost_the_reply() {
        let (mut client, server) = UnixStream::pair().unwrap();
        client.write_all(b"GET /metrics HTTP/1.1\r\n\r\nand more").unwrap();
        answer(&OwnedFd::from(server), || "a 1\n".to_owned());
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert!(text.ends_with("\r\n\r\na 1\n"), "{text}");
    }
}
