//! The clients of the socket for metrics, all served by one thread.
//!
//! It waits for none of them: it reads what has come, writes what is taken, and closes those that take too long. When there
//! are too many, those make way that have had time to ask for something and did not.

use super::http::{ends, refusal, reply};
use crate::work::queue::guarded;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags, accept_with, recv, send, shutdown};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// From accepting a connection to the end of its request.
const READING: Duration = Duration::from_secs(2);

/// From there until the client has taken the reply.
const WRITING: Duration = Duration::from_secs(2);

/// From there until it has closed its side. What it sends is thrown away: left unread, it would make the kernel reset the
/// connection under the reply.
const ENDING: Duration = Duration::from_millis(500);

/// Bytes of a request. Prometheus sends about 300.
const MAX_REQUEST: usize = 4096;

/// Connections that are open at one time; for one more, another makes way.
const MOST: usize = 256;

/// Connections that are accepted before those that are open are looked at again.
const AT_ONCE: usize = 64;

/// How long to wait when the system has no descriptor for a connection.
const SHORTAGE: Duration = Duration::from_millis(50);

/// What the clients are given.
type Text<'t> = &'t dyn Fn() -> String;

/// The clients, those first that came first.
#[derive(Default)]
struct Clients {
    open: Vec<Client>,
    /// Until when no more are accepted.
    rest_until: Option<Instant>,
}

struct Client {
    socket: OwnedFd,
    state: State,
    deadline: Instant,
}

/// How far a client has come.
enum State {
    /// These bytes of its request are there.
    Reading(Vec<u8>),
    /// So many bytes of its reply are sent.
    Writing(Vec<u8>, usize),
    /// It has its reply.
    Ending,
}

/// Gives `text` to all that ask on `listener`, which does not block, until it is `over` and those that asked are served. A
/// change of `over` is seen when the listener is shut after it.
pub(super) fn serve(listener: &OwnedFd, over: &AtomicBool, text: Text<'_>) {
    let mut clients = Clients::default();
    let mut is_over = false;
    while !is_over || !clients.open.is_empty() {
        let now = Instant::now();
        clients.rest_until = clients.rest_until.filter(|until| *until > now);
        let watched = (!is_over && clients.rest_until.is_none()).then_some(listener);
        let ready = match clients.wait(watched, now) {
            Ok(ready) => ready,
            Err(error) => {
                tracing::debug!(%error, "cannot wait for clients that read metrics");
                std::thread::sleep(SHORTAGE);
                continue;
            }
        };
        clients.go_on(&ready, text);
        if ready.last() == Some(&true) && watched.is_some() {
            clients.accept(listener, text);
        }
        if !is_over && over.load(Ordering::SeqCst) {
            is_over = true;
            clients.open.retain(Client::has_begun);
        }
        clients.expire(Instant::now());
    }
}

impl Clients {
    /// Waits until something can be done, and says of each client whether that is one to do it for; of the listener
    /// last.
    fn wait(&self, listener: Option<&OwnedFd>, now: Instant) -> io::Result<Vec<bool>> {
        let of_client = |client: &Client| match client.state {
            State::Writing(..) => PollFlags::OUT,
            State::Reading(_) | State::Ending => PollFlags::IN,
        };
        let mut sources: Vec<PollFd<'_>> =
            self.open.iter().map(|client| PollFd::new(&client.socket, of_client(client))).collect();
        sources.extend(listener.map(|listener| PollFd::new(listener, PollFlags::IN)));
        let until = self.open.iter().map(|client| client.deadline).chain(self.rest_until).min();
        let timeout = until.map(|until| timespec(until.saturating_duration_since(now)));
        match poll(&mut sources, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(sources.iter().map(|source| !source.revents().is_empty()).collect())
    }

    /// Goes on with those that are ready.
    fn go_on(&mut self, ready: &[bool], text: Text<'_>) {
        let mut ready = ready.iter();
        self.open.retain_mut(|client| ready.next() != Some(&true) || client.goes_on(text));
    }

    /// Accepts those that wait.
    fn accept(&mut self, listener: &OwnedFd, text: Text<'_>) {
        for _ in 0..AT_ONCE {
            match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) => self.take_in(Client::new(socket), text),
                // There are no more, or it was shut.
                Err(Errno::AGAIN | Errno::INVAL) => return,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a connection for metrics");
                    self.rest_until = Some(Instant::now() + SHORTAGE);
                    return;
                }
            }
        }
    }

    /// Serves a client at once if its request is there already, which no number of others can delay.
    fn take_in(&mut self, mut client: Client, text: Text<'_>) {
        if !client.goes_on(text) {
            return;
        }
        if self.open.len() >= MOST {
            let is_one = |wanted: fn(&State) -> bool| self.open.iter().position(|client| wanted(&client.state));
            let served = is_one(|state| matches!(state, State::Ending));
            let silent = || is_one(|state| matches!(state, State::Reading(_)));
            self.open.remove(served.or_else(silent).unwrap_or(0));
        }
        self.open.push(client);
    }

    /// Tells those whose request did not come in time, and closes all others that took too long.
    fn expire(&mut self, now: Instant) {
        self.open.retain_mut(|client| client.deadline > now || client.is_told_that_it_is_late());
    }
}

impl Client {
    fn new(socket: OwnedFd) -> Self {
        Client { socket, state: State::Reading(Vec::new()), deadline: Instant::now() + READING }
    }

    /// Returns true if a part of its request has come, and its reply is not sent.
    fn has_begun(&self) -> bool {
        match &self.state {
            State::Reading(head) => !head.is_empty(),
            State::Writing(..) => true,
            State::Ending => false,
        }
    }

    /// Does what can be done without waiting. Returns false if the client is done with, or has gone.
    fn goes_on(&mut self, text: Text<'_>) -> bool {
        guarded(|| {
            (!matches!(self.state, State::Reading(_)) || self.reads(text))
                && (!matches!(self.state, State::Writing(..)) || self.writes())
                && (!matches!(self.state, State::Ending) || self.ends())
        })
        .unwrap_or(false)
    }

    fn is_told_that_it_is_late(&mut self) -> bool {
        if !matches!(self.state, State::Reading(_)) {
            return false;
        }
        self.answer(refusal("408 Request Timeout", ""));
        self.writes()
    }

    fn answer(&mut self, reply: String) {
        self.state = State::Writing(reply.into_bytes(), 0);
        self.deadline = Instant::now() + WRITING;
    }

    /// Reads once. Returns false if the client has gone.
    fn reads(&mut self, text: Text<'_>) -> bool {
        let State::Reading(head) = &mut self.state else { return true };
        let mut buffer = [0; MAX_REQUEST];
        let room = MAX_REQUEST - head.len().min(MAX_REQUEST);
        match recv(&self.socket, buffer.get_mut(..room).unwrap_or_default(), RecvFlags::empty()) {
            Ok((count, _)) if count > 0 => {
                head.extend_from_slice(buffer.get(..count).unwrap_or_default());
                if ends(head) {
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

    /// Sends what the kernel takes. Returns false if the client has gone.
    fn writes(&mut self) -> bool {
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

    /// Throws away what has come. Returns false at its end.
    fn ends(&mut self) -> bool {
        let mut bin = [0; MAX_REQUEST];
        match recv(&self.socket, &mut bin, RecvFlags::empty()) {
            Ok((count, _)) => count > 0,
            Err(error) => matches!(error, Errno::AGAIN | Errno::INTR),
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    // Rounded up, so that what was waited for has come.
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

    /// The two ends of a connection. What a client here reads has to be there already.
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

    #[test]
    fn a_request_has_a_bound_and_a_deadline() {
        let (mut client, server) = pair();
        let (mut late, silent) = pair();
        let mut clients = Clients { open: vec![server, silent], rest_until: None };
        client.write_all(&[b'x'; 5000]).unwrap();
        clients.go_on(&[true, true], &text);
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
    fn a_request_may_come_in_pieces_and_what_comes_after_it_does_not_cost_the_reply() {
        let (mut client, mut server) = pair();
        for byte in GET {
            assert!(server.goes_on(&text));
            client.write_all(&[*byte]).unwrap();
        }
        client.write_all(b"and more").unwrap();
        assert!(server.goes_on(&text), "its end is waited for");
        client.write_all(b"and more").unwrap();
        assert!(server.goes_on(&text));
        assert!(read(&mut client).ends_with("\r\n\r\na 1\n"));
        drop(client);
        assert!(!server.goes_on(&text));
    }

    #[test]
    fn a_client_that_reads_slowly_gets_all_and_one_that_does_not_is_given_up() {
        let much = || "x".repeat(4 << 20);
        let ((mut slow, server), (mut never, other)) = (pair(), pair());
        let mut clients = Clients { open: vec![server, other], rest_until: None };
        slow.write_all(GET).unwrap();
        never.write_all(GET).unwrap();
        clients.go_on(&[true, true], &much);
        let (mut length, mut buffer) = (0, vec![0; 1 << 16]);
        loop {
            match slow.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(_) => clients.go_on(&[true, false], &much),
            }
        }
        assert!(length > 4 << 20);
        clients.expire(Instant::now() + WRITING);
        assert!(clients.open.is_empty());
    }

    #[test]
    fn of_too_many_the_oldest_that_asked_for_nothing_makes_way() {
        let mut clients = Clients::default();
        let mut peers = Vec::new();
        for _ in 0..MOST {
            let (peer, client) = pair();
            peers.push(peer);
            clients.take_in(client, &text);
        }
        peers[0].write_all(GET).unwrap();
        let all = vec![true; MOST];
        clients.go_on(&all, &|| "x".repeat(4 << 20));
        let (mut asking, client) = pair();
        asking.write_all(GET).unwrap();
        clients.take_in(client, &text);
        assert!(read(&mut asking).ends_with("a 1\n"), "it is served at once");
        assert_eq!(clients.open.len(), MOST);
        assert_eq!(peers[1].read(&mut [0]).unwrap(), 0, "closed");
        assert!(peers[2].read(&mut [0]).is_err(), "waits");
        assert!(peers[0].read(&mut [0]).is_ok_and(|count| count == 1), "is being served");
    }
}
