//! The clients of the socket for metrics, all served by one thread.
//!
//! The thread waits for none of them: it reads what has arrived, writes what the kernel accepts, and closes clients
//! that take too long. When there are too many, clients that have had time to send a request and did not are closed.

use super::http::{is_complete, refusal, reply};
use crate::process::panic::catch_panic;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags, accept_with, recv, send, shutdown};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time from accepting a connection to the end of its request.
const READING: Duration = Duration::from_secs(2);

/// Time from the end of the request until the kernel has accepted the reply.
const WRITING: Duration = Duration::from_secs(2);

/// Time from there until the client has closed its side. What it sends is discarded: unread input would make the kernel
/// reset the connection before the client has read the reply.
const ENDING: Duration = Duration::from_millis(500);

/// Maximum length of a request in bytes. Prometheus sends about 300.
const MAX_REQUEST: usize = 4096;

/// Maximum number of open connections. For a further one, another is closed.
const MAX_CLIENTS: usize = 256;

/// Maximum number of connections that are accepted before the open ones are served again.
const MAX_ACCEPTS: usize = 64;

/// Pause when the system has no descriptor for a connection.
const SHORTAGE: Duration = Duration::from_millis(50);

/// Returns the text that is sent to clients.
type Text<'t> = &'t dyn Fn() -> String;

/// The clients, in the order in which they connected.
#[derive(Default)]
struct Clients {
    open: Vec<Client>,
    /// Time until which no more clients are accepted.
    pause_until: Option<Instant>,
}

struct Client {
    socket: OwnedFd,
    state: State,
    deadline: Instant,
}

/// State of a client.
enum State {
    /// Its request is being read; these bytes have arrived.
    Reading(Vec<u8>),
    /// Its reply is being sent; this number of bytes has been.
    Writing(Vec<u8>, usize),
    /// Its reply has been sent.
    Ending,
}

/// Sends `text` to all clients that ask on `listener`, which does not block, until `stopped` is true and the clients
/// that have begun a request are served. After setting `stopped`, the listener has to be shut to wake this thread.
pub(super) fn serve(listener: &OwnedFd, stopped: &AtomicBool, text: Text<'_>) {
    let mut clients = Clients::default();
    let mut is_stopping = false;
    while !is_stopping || !clients.open.is_empty() {
        let now = Instant::now();
        clients.pause_until = clients.pause_until.filter(|until| *until > now);
        let watched = (!is_stopping && clients.pause_until.is_none()).then_some(listener);
        let ready = match clients.wait(watched, now) {
            Ok(ready) => ready,
            Err(error) => {
                tracing::debug!(%error, "cannot wait for clients that read metrics");
                std::thread::sleep(SHORTAGE);
                continue;
            }
        };
        clients.serve_ready(&ready, text);
        if ready.last() == Some(&true) && watched.is_some() {
            clients.accept(listener, text);
        }
        if !is_stopping && stopped.load(Ordering::SeqCst) {
            is_stopping = true;
            clients.open.retain(Client::has_begun);
        }
        clients.expire(Instant::now());
    }
}

impl Clients {
    /// Waits until a client or the listener is ready. Returns for each client, and last for the listener, whether it
    /// is.
    fn wait(&self, listener: Option<&OwnedFd>, now: Instant) -> io::Result<Vec<bool>> {
        let of_client = |client: &Client| match client.state {
            State::Writing(..) => PollFlags::OUT,
            State::Reading(_) | State::Ending => PollFlags::IN,
        };
        let mut sources: Vec<PollFd<'_>> =
            self.open.iter().map(|client| PollFd::new(&client.socket, of_client(client))).collect();
        sources.extend(listener.map(|listener| PollFd::new(listener, PollFlags::IN)));
        let until = self.open.iter().map(|client| client.deadline).chain(self.pause_until).min();
        let timeout = until.map(|until| timespec(until.saturating_duration_since(now)));
        match poll(&mut sources, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(sources.iter().map(|source| !source.revents().is_empty()).collect())
    }

    /// Continues with the clients that are ready.
    fn serve_ready(&mut self, ready: &[bool], text: Text<'_>) {
        let mut ready = ready.iter();
        self.open.retain_mut(|client| ready.next() != Some(&true) || client.proceed(text));
    }

    /// Accepts the clients that wait.
    fn accept(&mut self, listener: &OwnedFd, text: Text<'_>) {
        for _ in 0..MAX_ACCEPTS {
            match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) => self.add(Client::new(socket), text),
                // No more clients wait, or the listener was shut.
                Err(Errno::AGAIN | Errno::INVAL) => return,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a connection for metrics");
                    self.pause_until = Some(Instant::now() + SHORTAGE);
                    return;
                }
            }
        }
    }

    /// Adds a client. If its request has arrived already, it is served at once, which no number of other clients can
    /// delay.
    fn add(&mut self, mut client: Client, text: Text<'_>) {
        if !client.proceed(text) {
            return;
        }
        if self.open.len() >= MAX_CLIENTS {
            let is_one = |wanted: fn(&State) -> bool| self.open.iter().position(|client| wanted(&client.state));
            let served = is_one(|state| matches!(state, State::Ending));
            let silent = || is_one(|state| matches!(state, State::Reading(_)));
            self.open.remove(served.or_else(silent).unwrap_or(0));
        }
        self.open.push(client);
    }

    /// Sends an error to clients that did not send their request in time, and closes all others that took too long.
    fn expire(&mut self, now: Instant) {
        self.open.retain_mut(|client| client.deadline > now || client.report_timeout());
    }
}

impl Client {
    fn new(socket: OwnedFd) -> Self {
        Client { socket, state: State::Reading(Vec::new()), deadline: Instant::now() + READING }
    }

    /// Returns true if a part of the request has arrived and the reply has not been sent.
    fn has_begun(&self) -> bool {
        match &self.state {
            State::Reading(head) => !head.is_empty(),
            State::Writing(..) => true,
            State::Ending => false,
        }
    }

    /// Does everything that is possible without waiting. Returns false if the client is finished or gone.
    fn proceed(&mut self, text: Text<'_>) -> bool {
        catch_panic(|| {
            (!matches!(self.state, State::Reading(_)) || self.read(text))
                && (!matches!(self.state, State::Writing(..)) || self.write())
                && (!matches!(self.state, State::Ending) || self.drain())
        })
        .unwrap_or(false)
    }

    /// Sends an error to a client that did not send its request in time. Returns false for any other client.
    fn report_timeout(&mut self) -> bool {
        if !matches!(self.state, State::Reading(_)) {
            return false;
        }
        self.answer(refusal("408 Request Timeout", ""));
        self.write()
    }

    fn answer(&mut self, reply: String) {
        self.state = State::Writing(reply.into_bytes(), 0);
        self.deadline = Instant::now() + WRITING;
    }

    /// Reads what has arrived of the request. Returns false if the client is gone.
    fn read(&mut self, text: Text<'_>) -> bool {
        let State::Reading(head) = &mut self.state else { return true };
        let mut buffer = [0; MAX_REQUEST];
        let room = MAX_REQUEST - head.len().min(MAX_REQUEST);
        match recv(&self.socket, buffer.get_mut(..room).unwrap_or_default(), RecvFlags::empty()) {
            Ok((count, _)) if count > 0 => {
                head.extend_from_slice(buffer.get(..count).unwrap_or_default());
                if is_complete(head) {
                    let reply = reply(head, text);
                    self.answer(reply);
                } else if head.len() >= MAX_REQUEST {
                    self.answer(refusal("431 Request Header Fields Too Large", ""));
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(_) | Err(_) => return false,
        }
        true
    }

    /// Sends as much as the kernel accepts. Returns false if the client is gone.
    fn write(&mut self) -> bool {
        let State::Writing(reply, sent) = &mut self.state else { return true };
        while let Some(rest) = reply.get(*sent..).filter(|rest| !rest.is_empty()) {
            match send(&self.socket, rest, SendFlags::NOSIGNAL) {
                Ok(count) => *sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
        self.state = State::Ending;
        self.deadline = Instant::now() + ENDING;
        shutdown(&self.socket, Shutdown::Write).is_ok()
    }

    /// Discards the input that has arrived. Returns false at its end.
    fn drain(&mut self) -> bool {
        let mut bin = [0; MAX_REQUEST];
        match recv(&self.socket, &mut bin, RecvFlags::empty()) {
            Ok((count, _)) => count > 0,
            Err(error) => matches!(error, Errno::AGAIN | Errno::INTR),
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    // Rounded up, so that the time has come after the wait.
    let duration = duration + Duration::from_micros(1);
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    const GET: &[u8] = b"GET /metrics HTTP/1.1\r\n\r\n";

    fn text() -> String {
        "a 1\n".to_owned()
    }

    /// Returns the two ends of a connection. A client in these tests can only read what has been sent already.
    fn pair() -> (UnixStream, Client) {
        let (client, server) = UnixStream::pair().unwrap();
        client.set_nonblocking(true).unwrap();
        server.set_nonblocking(true).unwrap();
        (client, Client::new(OwnedFd::from(server)))
    }

    fn read(client: &mut UnixStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        text
    }

    /// Waits until the other end is closed. A process that another test is just starting may hold a copy of it until exec.
    fn is_closed(client: &mut UnixStream) -> bool {
        client.set_nonblocking(false).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client.read(&mut [0]).unwrap() == 0
    }

    #[test]
    fn a_request_has_a_maximum_length_and_a_deadline() {
        let (mut client, server) = pair();
        let (mut late, silent) = pair();
        let mut clients = Clients { open: vec![server, silent], pause_until: None };
        client.write_all(&[b'x'; 5000]).unwrap();
        clients.serve_ready(&[true, true], &text);
        assert!(read(&mut client).starts_with("HTTP/1.1 431 "));
        clients.expire(Instant::now());
        assert_eq!(clients.open.len(), 2, "there is time left");
        let (reading, ending) = (clients.open[1].deadline, clients.open[0].deadline);
        assert!(ending < reading);
        clients.expire(reading);
        assert!(read(&mut late).starts_with("HTTP/1.1 408 "));
        assert_eq!(clients.open.len(), 1);
        clients.expire(Instant::now() + READING);
        assert!(clients.open.is_empty());
    }

    #[test]
    fn a_request_may_arrive_in_pieces_and_be_followed_by_more() {
        let (mut client, mut server) = pair();
        for byte in GET {
            assert!(server.proceed(&text));
            client.write_all(&[*byte]).unwrap();
        }
        client.write_all(b"and more").unwrap();
        assert!(server.proceed(&text), "its end is waited for");
        client.write_all(b"and more").unwrap();
        assert!(server.proceed(&text));
        assert!(read(&mut client).ends_with("\r\n\r\na 1\n"));
        drop(client);
        assert!(!server.proceed(&text));
    }

    #[test]
    fn a_slow_reader_gets_everything_and_one_that_never_reads_is_closed() {
        let much = || "x".repeat(4 << 20);
        let ((mut slow, server), (mut never, other)) = (pair(), pair());
        let mut clients = Clients { open: vec![server, other], pause_until: None };
        slow.write_all(GET).unwrap();
        never.write_all(GET).unwrap();
        clients.serve_ready(&[true, true], &much);
        let (mut length, mut buffer) = (0, vec![0; 1 << 16]);
        loop {
            match slow.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(_) => clients.serve_ready(&[true, false], &much),
            }
        }
        assert!(length > 4 << 20);
        clients.expire(Instant::now() + WRITING);
        assert!(clients.open.is_empty());
    }

    #[test]
    fn with_too_many_clients_the_oldest_silent_one_is_closed() {
        let mut clients = Clients::default();
        let mut peers = Vec::new();
        for _ in 0..MAX_CLIENTS {
            let (peer, client) = pair();
            peers.push(peer);
            clients.add(client, &text);
        }
        peers[0].write_all(GET).unwrap();
        let all = vec![true; MAX_CLIENTS];
        clients.serve_ready(&all, &|| "x".repeat(4 << 20));
        let (mut asking, client) = pair();
        asking.write_all(GET).unwrap();
        clients.add(client, &text);
        assert!(read(&mut asking).ends_with("a 1\n"), "it is served at once");
        assert_eq!(clients.open.len(), MAX_CLIENTS);
        assert!(is_closed(&mut peers[1]));
        assert!(peers[2].read(&mut [0]).is_err(), "waits");
        assert!(peers[0].read(&mut [0]).is_ok_and(|count| count == 1), "is being served");
    }
}
