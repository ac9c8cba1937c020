//! Serving conversations: a few threads, each of which waits for many connections.
//!
//! A thread accepts connections, reads what has arrived, lets the conversation answer, and writes everything that it has
//! to say at once. It never waits for an answer: one that is not known at once arrives later, from another thread. So a
//! connection costs a few hundred bytes while it is idle, and one on which much is in flight delays no other.
//!
//! A client that does not read its answers is not read from, and is closed when it has read nothing for
//! a minute.

mod connection;
mod event_loop;
mod inbox;

use crate::answerer::Answerer;
use crate::conversation::Conversation;
use crate::scope::{Scope, ScopeOf};
use crate::settings::NoRandomNumbers;
use event_loop::EventLoop;
use inbox::{Inbox, Message};
use rustix::io::ioctl_fionbio;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

/// Begins a conversation with a client that has connected, and that may look up these accounts.
pub type Open = dyn Fn(Scope) -> Result<Box<dyn Conversation>, NoRandomNumbers> + Send + Sync;

/// A kind of conversation, and how often it takes place.
pub struct Dialect {
    /// Name in the log and in metrics.
    pub name: &'static str,
    begin: Box<Open>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    open: AtomicU64,
    accepted: AtomicU64,
    asked: AtomicU64,
    turned_away: AtomicU64,
}

/// Numbers of one dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DialectUse {
    /// Connections that are open.
    pub open: u64,
    /// Connections that were accepted since the start.
    pub accepted: u64,
    /// Questions that were asked since the start.
    pub asked: u64,
    /// Connections that were closed at once since the start, because too many were open.
    pub turned_away: u64,
}

impl Dialect {
    /// Returns a dialect whose conversations are begun by `begin`.
    pub fn new(
        name: &'static str,
        begin: impl Fn(Scope) -> Result<Box<dyn Conversation>, NoRandomNumbers> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Dialect { name, begin: Box::new(begin), counts: Counts::default() })
    }

    /// Returns how often it takes place.
    pub fn usage(&self) -> DialectUse {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { open, accepted, asked, turned_away } = &self.counts;
        DialectUse { open: read(open), accepted: read(accepted), asked: read(asked), turned_away: read(turned_away) }
    }
}

/// A socket that listens, and what is spoken on it.
struct Listening {
    socket: OwnedFd,
    dialect: Arc<Dialect>,
    scope_of: Box<ScopeOf>,
}

/// State that all threads share.
struct Shared {
    answerer: Arc<dyn Answerer>,
    /// Number of open connections, and its maximum.
    open: AtomicUsize,
    max: AtomicUsize,
}

/// A socket of a [`Server`], by which it is closed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

/// The threads that serve conversations.
pub struct Server {
    shared: Arc<Shared>,
    threads: Vec<(Arc<Inbox>, JoinHandle<()>)>,
    last: u64,
}

impl Server {
    /// Starts `threads` threads that ask `answerer` and serve at most `max_connections` connections.
    ///
    /// # Errors
    /// Fails if the system provides no thread or no descriptor.
    pub fn start(answerer: Arc<dyn Answerer>, threads: usize, max_connections: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared { answerer, open: AtomicUsize::new(0), max: AtomicUsize::new(max_connections) });
        let mut server = Server { shared, threads: Vec::new(), last: 0 };
        for _ in 0..threads.max(1) {
            let inbox = Arc::new(Inbox::new()?);
            let event_loop = EventLoop::new(Arc::clone(&inbox), Arc::clone(&server.shared));
            let thread = Builder::new().name("conversations".into()).spawn(move || event_loop.run())?;
            server.threads.push((inbox, thread));
        }
        Ok(server)
    }

    /// Accepts connections on `socket`, which listens, and speaks `dialect` on them. `scope_of` is asked once for each
    /// connection; if it fails, the connection is closed.
    ///
    /// # Errors
    /// Fails if the socket cannot be used without waiting.
    pub fn listen(
        &mut self,
        socket: OwnedFd,
        dialect: &Arc<Dialect>,
        scope_of: impl Fn(BorrowedFd<'_>) -> io::Result<Scope> + Send + Sync + 'static,
    ) -> io::Result<ListenerId> {
        ioctl_fionbio(&socket, true)?;
        self.last += 1;
        let listening = Arc::new(Listening { socket, dialect: Arc::clone(dialect), scope_of: Box::new(scope_of) });
        for (inbox, _) in &self.threads {
            inbox.put(Message::Listen(self.last, Arc::clone(&listening)));
        }
        Ok(ListenerId(self.last))
    }

    /// Accepts no more connections on a socket. The connections that were accepted go on.
    pub fn close(&mut self, ListenerId(id): ListenerId) {
        self.threads.iter().for_each(|(inbox, _)| inbox.put(Message::Close(id)));
    }

    /// Changes the maximum number of connections. Those that are open go on.
    pub fn limit(&self, max_connections: usize) {
        self.shared.max.store(max_connections, Ordering::Relaxed);
    }

    /// Accepts and reads nothing more, answers what was asked, and returns when that is done, or at `until`.
    pub fn stop(self, until: Instant) {
        self.threads.iter().for_each(|(inbox, _)| inbox.put(Message::Stop(until)));
        for (_, thread) in self.threads {
            // A thread cannot end by a panic: the panic of a conversation is caught.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
