//! A thread that serves many connections.

use super::connection::{Asker, Connection, Fate};
use super::inbox::{Inbox, Message};
use super::{Listening, Shared};
use crate::conversation::Action;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Size of the buffer for one read: a line of the longest kind.
const BUFFER: usize = 16 * 1024;

/// Number of connections that are accepted before others are served.
const ACCEPTED_AT_ONCE: usize = 16;

/// Time for which no client is accepted on a socket after the system had no descriptor or memory for one.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(20);

/// Minimum time between two lines of the log about the same trouble.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// The state of the thread.
pub(super) struct EventLoop {
    inbox: Arc<Inbox>,
    shared: Arc<Shared>,
    listeners: HashMap<u64, Arc<Listening>>,
    connections: HashMap<u64, Connection>,
    /// The connections that are to be looked at at some time, in the order of the times.
    due: BTreeSet<(Instant, u64)>,
    /// Key of the last listener or connection. Those of listeners are even, those of connections odd.
    last: u64,
    buffer: Vec<u8>,
    actions: Vec<Action>,
    /// Listeners whose clients wait because the system has no descriptor or memory for them, and until when.
    paused: BTreeSet<(Instant, u64)>,
    /// Time at which the thread ends at the latest, if it is to end.
    end: Option<Instant>,
    complained: Option<Instant>,
}

impl EventLoop {
    pub fn new(inbox: Arc<Inbox>, shared: Arc<Shared>) -> Self {
        EventLoop {
            inbox,
            shared,
            listeners: HashMap::new(),
            connections: HashMap::new(),
            due: BTreeSet::new(),
            last: 1,
            buffer: vec![0; BUFFER],
            actions: Vec::new(),
            paused: BTreeSet::new(),
            end: None,
            complained: None,
        }
    }

    /// Serves until it is told to stop, and until the connections that are open then have been answered.
    pub fn run(mut self) {
        let (mut ready, mut messages) = (Vec::new(), Vec::new());
        loop {
            let first = |set: &BTreeSet<(Instant, u64)>| set.first().map(|(at, _)| *at);
            let next = [self.end, first(&self.due), first(&self.paused)].into_iter().flatten().min();
            self.inbox.poller.wait_for_events(next, &mut ready);
            self.inbox.take(&mut messages);
            messages.drain(..).for_each(|message| self.read(message));
            for (key, events) in ready.drain(..) {
                match self.listeners.get(&(key / 2)).filter(|_| key % 2 == 0) {
                    Some(listening) => self.accept(key / 2, &Arc::clone(listening)),
                    None => self.serve_ready(key, events),
                }
            }
            self.expire();
            self.end_pauses();
            if self.end.is_some_and(|end| self.connections.is_empty() || Instant::now() >= end) {
                return;
            }
        }
    }

    fn read(&mut self, message: Message) {
        match message {
            Message::Listen(id, listening) => {
                self.listeners.insert(id, listening);
                self.watch_listener(id);
            }
            Message::Close(id) => {
                if let Some(listening) = self.listeners.remove(&id) {
                    self.inbox.poller.unwatch(&listening.socket);
                }
            }
            Message::Told(key, number, told) => {
                self.serve(key, |connection, asker, _, actions| connection.told(number, told, asker, actions));
            }
            Message::Stop(until) => {
                self.end = Some(until);
                self.listeners.drain().for_each(|(_, listening)| self.inbox.poller.unwatch(&listening.socket));
                let keys: Vec<u64> = self.connections.keys().copied().collect();
                for key in keys {
                    self.serve(key, |connection, asker, buffer, actions| {
                        // A request that has arrived is answered.
                        if connection.reads() && connection.receive(buffer, asker, actions) == Fate::Closed {
                            return Fate::Closed;
                        }
                        connection.end_input(asker, actions)
                    });
                }
            }
        }
    }

    /// Waits for clients of a listener, or tries to do so later if the system has no memory for that.
    fn watch_listener(&mut self, id: u64) {
        let Some(listening) = self.listeners.get(&id) else { return };
        let events = EventFlags::IN | EventFlags::EXCLUSIVE;
        if let Err(error) = self.inbox.poller.watch(&listening.socket, id * 2, events) {
            let dialect = listening.dialect.name;
            self.complain(|| tracing::error!(%error, dialect, "cannot wait for clients on a socket; trying again"));
            self.paused.insert((Instant::now() + SHORTAGE_PAUSE, id));
        }
    }

    /// Waits again for clients of the listeners whose pause is over.
    fn end_pauses(&mut self) {
        let now = Instant::now();
        while let Some((at, id)) = self.paused.first().copied().filter(|(at, _)| *at <= now) {
            self.paused.remove(&(at, id));
            self.watch_listener(id);
        }
    }

    /// Accepts the connections that wait. Another thread may accept some of them.
    fn accept(&mut self, id: u64, listening: &Listening) {
        for _ in 0..ACCEPTED_AT_ONCE {
            match accept_with(&listening.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) => self.admit(socket, listening),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => {
                    let open = self.shared.open.load(Ordering::Relaxed);
                    self.complain(|| tracing::error!(%error, open, "cannot accept a connection"));
                    // The connections that are open are served meanwhile.
                    self.inbox.poller.unwatch(&listening.socket);
                    self.paused.insert((Instant::now() + SHORTAGE_PAUSE, id));
                    return;
                }
            }
        }
    }

    fn admit(&mut self, socket: OwnedFd, listening: &Listening) {
        let max = self.shared.max.load(Ordering::Relaxed);
        if self.shared.open.fetch_add(1, Ordering::Relaxed) >= max {
            self.shared.open.fetch_sub(1, Ordering::Relaxed);
            listening.dialect.counts.turned_away.fetch_add(1, Ordering::Relaxed);
            let dialect = listening.dialect.name;
            return self
                .complain(|| tracing::warn!(dialect, max, "a client was turned away: too many connections are open"));
        }
        let begun = (listening.scope_of)(socket.as_fd())
            .and_then(|scope| (listening.dialect.begin)(scope).map_err(io::Error::other));
        let conversation = match begun {
            Ok(conversation) => conversation,
            Err(error) => {
                self.shared.open.fetch_sub(1, Ordering::Relaxed);
                return self.complain(|| tracing::error!(%error, "a client was turned away"));
            }
        };
        self.last += 2;
        let key = self.last;
        let mut connection = Connection::new(socket, Arc::clone(&listening.dialect), conversation);
        connection.watched = EventFlags::IN;
        if let Err(error) = self.inbox.poller.watch(&connection, key, connection.watched) {
            self.shared.open.fetch_sub(1, Ordering::Relaxed);
            return self.complain(|| tracing::error!(%error, "cannot watch a client; its connection is closed"));
        }
        self.connections.insert(key, connection);
        // Most clients send nothing before they have the greeting.
        self.serve(key, |connection, asker, _, actions| connection.go_on(asker, actions));
    }

    fn serve_ready(&mut self, key: u64, events: EventFlags) {
        self.serve(key, |connection, asker, buffer, actions| {
            if events.intersects(EventFlags::HUP | EventFlags::ERR) {
                // The client has disconnected and reads no answer.
                return Fate::Closed;
            }
            if events.contains(EventFlags::IN) && connection.reads() {
                return connection.receive(buffer, asker, actions);
            }
            connection.go_on(asker, actions)
        });
    }

    fn expire(&mut self) {
        let now = Instant::now();
        while let Some((at, key)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, key));
            if let Some(connection) = self.connections.get_mut(&key) {
                connection.due = None;
            }
            self.serve(key, |connection, asker, _, actions| connection.expire(now, asker, actions));
        }
    }

    /// Lets `act` work on a connection, and keeps or closes it. A panic closes it.
    fn serve(&mut self, key: u64, act: impl FnOnce(&mut Connection, &Asker<'_>, &mut [u8], &mut Vec<Action>) -> Fate) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        let asker = Asker { answerer: &*self.shared.answerer, inbox: &self.inbox, key };
        let (buffer, actions) = (&mut self.buffer, &mut self.actions);
        let fate = catch_unwind(AssertUnwindSafe(|| act(connection, &asker, buffer, actions)));
        if !matches!(fate, Ok(Fate::Open)) || self.keep_watching(key).is_err() {
            self.actions.clear();
            self.drop_connection(key);
        }
    }

    /// Adapts the events and the time for which a connection is watched.
    fn keep_watching(&mut self, key: u64) -> Result<(), rustix::io::Errno> {
        let Some(connection) = self.connections.get_mut(&key) else { return Ok(()) };
        let wanted = connection.wanted_events();
        if wanted != connection.watched {
            self.inbox.poller.change(&*connection, key, wanted)?;
            connection.watched = wanted;
        }
        let due = connection.next_due();
        if due != connection.due {
            if let Some(old) = connection.due {
                self.due.remove(&(old, key));
            }
            if let Some(new) = due {
                self.due.insert((new, key));
            }
            connection.due = due;
        }
        Ok(())
    }

    fn drop_connection(&mut self, key: u64) {
        let Some(connection) = self.connections.remove(&key) else { return };
        if let Some(due) = connection.due {
            self.due.remove(&(due, key));
        }
        // A panic of a conversation while it is dropped ends nothing but itself.
        drop(catch_unwind(AssertUnwindSafe(|| drop(connection))));
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Writes a line to the log, unless one was written a short while ago.
    fn complain(&mut self, log: impl FnOnce()) {
        if self.complained.is_none_or(|last| last.elapsed() >= LOG_PAUSE) {
            self.complained = Some(Instant::now());
            log();
        }
    }
}
