//! The server: one thread, a queue of bounded length, and processes that become owners.

mod crew;
mod floors;
mod listener;
mod owner;
pub mod process;

pub use floors::Floors;
pub use listener::{BindError, Listener};

use crate::frame::{MOST_QUESTION, Question};
use crate::packet::{self, Received};
use crew::{Crew, Given};
use owner::Asked;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

/// Questions that wait for a process. While there are so many, no other is read.
const MOST_WAITING: usize = 256;

/// Of these, the most of one owner. One more is not answered.
const MOST_WAITING_OF_ONE: usize = 128;

/// Connections of daemons: one, and another while it is restarted; root's own programs may ask too.
const MOST_CLIENTS: usize = 16;

/// Questions that are read from one client before the others get their turn.
const AT_ONCE: usize = 32;

/// Where questions come from.
pub enum Door {
    /// From those that connect.
    Listener(Listener),
    /// From the daemon that started this program; its end is this program's.
    Inherited,
}

/// The root part.
pub struct Server {
    floors: Floors,
    door: Door,
    /// The user that may ask, in addition to root.
    user: Option<u32>,
    clients: Vec<OwnedFd>,
    waiting: VecDeque<(Asked, Instant)>,
    crew: Crew,
    /// When the last refusal was logged.
    refused: Option<Instant>,
}

/// What there is to do.
struct Ready {
    door: bool,
    clients: Vec<bool>,
}

impl Server {
    /// One that takes questions from root and from `user` on the sockets that connect with `listener`.
    pub fn listening(listener: Listener, user: Option<u32>, floors: Floors) -> Self {
        Self::new(Door::Listener(listener), user, Vec::new(), floors)
    }

    /// One that takes questions from the other end of `socket` until that is closed.
    pub fn inherited(socket: OwnedFd, floors: Floors) -> Self {
        Self::new(Door::Inherited, None, vec![socket], floors)
    }

    fn new(door: Door, user: Option<u32>, clients: Vec<OwnedFd>, floors: Floors) -> Self {
        let (waiting, crew) = (VecDeque::new(), Crew::default());
        Server { floors, door, user, clients, waiting, crew, refused: None }
    }

    /// Answers until the daemon that started this program has ended; else for ever. The processes that it has started end
    /// with it.
    ///
    /// # Errors
    /// Fails if the system cannot wait for questions.
    pub fn run(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; MOST_QUESTION + 1];
        loop {
            let ready = self.wait()?;
            let now = Instant::now();
            self.crew.look_after(now);
            if ready.door {
                self.accept();
            }
            self.read(&ready.clients, &mut buffer, now);
            self.hand_out(now);
            if matches!(self.door, Door::Inherited) && self.clients.is_empty() {
                break;
            }
        }
        self.crew.end();
        Ok(())
    }

    fn wait(&self) -> io::Result<Ready> {
        let reads = self.waiting.len() < MOST_WAITING;
        let of = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut sources: Vec<PollFd<'_>> = Vec::new();
        if let Door::Listener(listener) = &self.door
            && self.clients.len() < MOST_CLIENTS
        {
            sources.push(of(listener.socket()));
        }
        let clients = sources.len();
        if reads {
            sources.extend(self.clients.iter().map(|client| of(client.as_fd())));
        }
        sources.extend(self.crew.sockets().map(of));
        let now = Instant::now();
        let due = self.waiting.iter().map(|(_, until)| *until).chain(self.crew.next(now)).min();
        let left = due.map(|due| packet::timespec(due.saturating_duration_since(now)));
        match poll(&mut sources, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let is_ready = |place: usize| sources.get(place).is_some_and(|source| !source.revents().is_empty());
        let read = |place| reads && is_ready(clients + place);
        Ok(Ready { door: clients > 0 && is_ready(0), clients: (0..self.clients.len()).map(read).collect() })
    }

    /// Takes a connection of root's or of the daemon's user.
    fn accept(&mut self) {
        let Door::Listener(listener) = &self.door else { return };
        let Ok(client) = listener.accept() else { return };
        match packet::peer(&client) {
            Ok(uid) if uid == 0 || Some(uid) == self.user => self.clients.push(client),
            Ok(uid) => self.refuse(&format!("user {uid} may not ask: only root and the user of --user may")),
            Err(error) => self.refuse(&format!("a client is refused that is not known: {error}")),
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

    /// Returns false once the client has gone.
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

    /// Takes a question up, if it is one and permitted. One that is not is not answered: its socket is closed.
    fn take(&mut self, packet: &[u8], reply: Option<OwnedFd>, now: Instant) {
        let question = match Question::parse(packet) {
            Ok(question) => question,
            Err(why) => return self.refuse(&format!("a packet of the daemon's is refused: {why}")),
        };
        if let Err(why) = self.floors.permit(&question) {
            return self.refuse(&format!("a question of the daemon's is refused: its {why}"));
        }
        let Some(reply) = reply else { return self.refuse("a question of the daemon's has no socket for its answer") };
        let of_owner = self.waiting.iter().filter(|(asked, _)| asked.question.uid == question.uid).count();
        if of_owner >= MOST_WAITING_OF_ONE {
            return self.refuse(&format!("too many questions wait about mailboxes of user {}", question.uid));
        }
        let until = now + Duration::from_millis(question.answer.into());
        self.waiting.push_back((Asked { question, reply }, until));
    }

    /// Gives the questions that wait to processes, as far as these are free. No client waits for what is late.
    fn hand_out(&mut self, now: Instant) {
        for _ in 0..self.waiting.len() {
            let Some((mut asked, until)) = self.waiting.pop_front() else { break };
            if now >= until {
                continue;
            }
            let left = u32::try_from((until - now).as_millis()).unwrap_or(u32::MAX);
            asked.question.answer = left.min(asked.question.answer);
            match self.crew.give(asked, until, now) {
                Ok(Given::Taken) => {}
                Ok(Given::Later(asked)) => self.waiting.push_back((asked, until)),
                Err(error) => self.refuse(&format!("there is no process for a mailbox: {error}")),
            }
        }
    }
}
