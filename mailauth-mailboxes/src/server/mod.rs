//! The server: one thread, a queue of bounded length, and processes that run as owners.

mod floors;
mod listener;
mod owner;
pub mod process;
mod workers;

pub use floors::Floors;
pub use listener::{BindError, Listener};

use crate::frame::{MOST_QUESTION, Question};
use crate::packet::{self, Received};
use owner::Request;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};
use workers::{Assignment, Workers};

/// Maximum number of questions that wait for a process. While the queue is full, no more are read.
const MOST_WAITING: usize = 256;

/// Maximum number of waiting questions about mailboxes of one owner. Any more are not answered.
const MOST_WAITING_OF_ONE: usize = 128;

/// Maximum number of connections: one of the daemon, a second one while it is restarted, and those of root's own programs.
const MOST_CLIENTS: usize = 16;

/// Maximum number of questions that are read from one client before the others.
const AT_ONCE: usize = 32;

/// Source of the connections.
pub enum Source {
    /// Clients connect to this socket.
    Listener(Listener),
    /// The daemon that started this program has the only connection. The program ends with it.
    Inherited,
}

/// The root part.
pub struct Server {
    floors: Floors,
    source: Source,
    /// The user that may ask, in addition to root.
    user: Option<u32>,
    clients: Vec<OwnedFd>,
    waiting: VecDeque<(Request, Instant)>,
    workers: Workers,
    /// Time at which the last refusal was logged.
    refused: Option<Instant>,
}

/// The sockets that are ready.
struct Ready {
    source: bool,
    clients: Vec<bool>,
}

impl Server {
    /// Returns a server for clients that connect to `listener`, if they are root or `user`.
    pub fn listening(listener: Listener, user: Option<u32>, floors: Floors) -> Self {
        Self::new(Source::Listener(listener), user, Vec::new(), floors)
    }

    /// Returns a server for the process at the other end of `socket`.
    pub fn inherited(socket: OwnedFd, floors: Floors) -> Self {
        Self::new(Source::Inherited, None, vec![socket], floors)
    }

    fn new(source: Source, user: Option<u32>, clients: Vec<OwnedFd>, floors: Floors) -> Self {
        let (waiting, workers) = (VecDeque::new(), Workers::default());
        Server { floors, source, user, clients, waiting, workers, refused: None }
    }

    /// Answers questions. Returns when the daemon that started this program has ended, if one did. The processes that it has
    /// started end with it.
    ///
    /// # Errors
    /// Fails if the system cannot wait for questions.
    pub fn run(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; MOST_QUESTION + 1];
        loop {
            let ready = self.wait()?;
            let now = Instant::now();
            self.workers.supervise(now);
            if ready.source {
                self.accept();
            }
            self.read(&ready.clients, &mut buffer, now);
            self.assign_waiting(now);
            if matches!(self.source, Source::Inherited) && self.clients.is_empty() {
                break;
            }
        }
        self.workers.end();
        Ok(())
    }

    fn wait(&self) -> io::Result<Ready> {
        let reads = self.waiting.len() < MOST_WAITING;
        let of = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut sources: Vec<PollFd<'_>> = Vec::new();
        if let Source::Listener(listener) = &self.source
            && self.clients.len() < MOST_CLIENTS
        {
            sources.push(of(listener.socket()));
        }
        let clients = sources.len();
        if reads {
            sources.extend(self.clients.iter().map(|client| of(client.as_fd())));
        }
        sources.extend(self.workers.sockets().map(of));
        let now = Instant::now();
        let due = self.waiting.iter().map(|(_, until)| *until).chain(self.workers.next(now)).min();
        let left = due.map(|due| packet::timespec(due.saturating_duration_since(now)));
        match poll(&mut sources, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let is_ready = |place: usize| sources.get(place).is_some_and(|source| !source.revents().is_empty());
        let read = |place| reads && is_ready(clients + place);
        Ok(Ready { source: clients > 0 && is_ready(0), clients: (0..self.clients.len()).map(read).collect() })
    }

    /// Accepts a connection of root or of the daemon's user.
    fn accept(&mut self) {
        let Source::Listener(listener) = &self.source else { return };
        let Ok(client) = listener.accept() else { return };
        match packet::peer(&client) {
            Ok(uid) if uid == 0 || Some(uid) == self.user => self.clients.push(client),
            Ok(uid) => self.refuse(&format!("user {uid} may not ask: only root and the user of --user may")),
            Err(error) => self.refuse(&format!("a client is refused because its user is not known: {error}")),
        }
    }

    fn refuse(&mut self, why: &str) {
        let now = Instant::now();
        if self.refused.is_none_or(|last| now >= last + Duration::from_secs(1)) {
            self.refused = Some(now);
            tracing::warn!("{why}");
        }
    }

    fn read(&mut self, ready: &[bool], buffer: &mut [u8], now: Instant) {
        let mut clients = std::mem::take(&mut self.clients);
        let mut ready = ready.iter().chain(std::iter::repeat(&false));
        clients.retain(|client| !ready.next().is_some_and(|ready| *ready) || self.read_client(client, buffer, now));
        self.clients = clients;
    }

    /// Reads questions. Returns false if the client has closed the connection.
    fn read_client(&mut self, client: &OwnedFd, buffer: &mut [u8], now: Instant) -> bool {
        for _ in 0..AT_ONCE {
            if self.waiting.len() >= MOST_WAITING {
                break;
            }
            match packet::receive(client.as_fd(), buffer) {
                Ok(Received::Packet(length, reply)) => {
                    self.take(buffer.get(..length).unwrap_or_default(), reply, now);
                }
                Err(Errno::AGAIN) => break,
                Ok(Received::End) | Err(_) => return false,
            }
        }
        true
    }

    /// Adds a question to the queue if it is valid and permitted. Otherwise it is not answered: its socket is closed.
    fn take(&mut self, packet: &[u8], reply: Option<OwnedFd>, now: Instant) {
        let question = match Question::parse(packet) {
            Ok(question) => question,
            Err(why) => return self.refuse(&format!("a packet of the daemon is refused: {why}")),
        };
        if let Err(why) = self.floors.permit(&question) {
            return self.refuse(&format!("a question of the daemon is refused: its {why}"));
        }
        let Some(reply) = reply else { return self.refuse("a question of the daemon has no socket for its answer") };
        let of_owner = self.waiting.iter().filter(|(request, _)| request.question.uid == question.uid).count();
        if of_owner >= MOST_WAITING_OF_ONE {
            return self.refuse(&format!("too many questions wait about mailboxes of user {}", question.uid));
        }
        let until = now + Duration::from_millis(question.answer.into());
        self.waiting.push_back((Request { question, reply }, until));
    }

    /// Gives waiting questions to idle processes. Questions after their deadline are dropped, because no client waits for
    /// them.
    fn assign_waiting(&mut self, now: Instant) {
        for _ in 0..self.waiting.len() {
            let Some((mut request, until)) = self.waiting.pop_front() else { break };
            if now >= until {
                continue;
            }
            let left = u32::try_from((until - now).as_millis()).unwrap_or(u32::MAX);
            request.question.answer = left.min(request.question.answer);
            match self.workers.assign(request, until, now) {
                Ok(Assignment::Taken) => {}
                Ok(Assignment::Later(request)) => self.waiting.push_back((request, until)),
                Err(error) => self.refuse(&format!("there is no process for a mailbox: {error}")),
            }
        }
    }
}
