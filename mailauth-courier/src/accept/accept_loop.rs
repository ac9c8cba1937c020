//! What a thread that accepts does.

use super::access::PeerRights;
use super::listener::Listener;
use super::load::AcceptorLoad;
use super::slots::{ConnectionSlot, Full};
use crate::io::connection::{Connection, is_readable_within};
use crate::io::read_buffer::{Input, ReadBuffer};
use crate::io::slow_reader::SlowClient;
use crate::live_config::LiveConfig;
use crate::process::panic::catch_panic;
use crate::work::dispatcher::Dispatcher;
use mailauth_protocol::request::{Parse, Request, parse};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Time after which the threads that accept count as blocked, if all of them work and none begins a new request.
const BLOCKED: Duration = Duration::from_millis(10);

/// Time that a thread that accepts waits for a client's request before it leaves the client to the slow reader, while
/// there are no more clients than threads that accept: a request that passes through three threads costs more than the
/// wait.
const REQUEST_WAIT: Duration = Duration::from_micros(500);

/// Pause when the system has no descriptor or memory for a connection.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(50);

/// State of a thread that accepts connections on one socket.
pub(super) struct AcceptLoop {
    listener: Arc<Listener>,
    load: Arc<AcceptorLoad>,
    /// True when no more connections are to be accepted.
    stopped: Arc<AtomicBool>,
    /// True while this thread waits for a connection.
    waits: Arc<AtomicBool>,
    dispatcher: Dispatcher,
}

impl AcceptLoop {
    pub fn new(
        listener: Arc<Listener>,
        load: Arc<AcceptorLoad>,
        stopped: Arc<AtomicBool>,
        dispatcher: Dispatcher,
    ) -> Self {
        AcceptLoop { listener, load, stopped, waits: Arc::default(), dispatcher }
    }

    /// Returns what is true while the thread waits for a connection.
    pub fn waits(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.waits)
    }

    /// Accepts connections and answers their requests until the listener is shut, or this is stopped.
    pub fn run(&self) {
        let mut buffer = ReadBuffer::new();
        let answer = |connection, request| self.dispatcher.answer_here(&self.load, connection, request);
        while self.accept_one(&mut buffer, answer) {}
    }

    /// Accepts connections while all other threads are blocked, and passes their requests on.
    pub fn run_as_substitute(&self) {
        let mut buffer = ReadBuffer::new();
        let answer = |connection, request| self.dispatcher.answer_elsewhere(connection, request);
        while self.load.wait_until_all_work(&self.stopped) {
            let begun = self.load.begun();
            std::thread::sleep(BLOCKED);
            while self.load.is_blocked_since(begun) && !self.stopped.load(Ordering::SeqCst) {
                if self.has_waiting_client() && !self.accept_one(&mut buffer, answer) {
                    return;
                }
            }
        }
    }

    /// Returns true if a client is waiting or arrives within [`BLOCKED`]. Another thread may accept it first.
    fn has_waiting_client(&self) -> bool {
        is_readable_within(self.listener.socket(), BLOCKED)
    }

    /// Accepts one connection. Returns false if the listener was shut and no more clients wait, or this is stopped.
    fn accept_one(&self, buffer: &mut ReadBuffer, answer: impl Fn(Connection, Request)) -> bool {
        // In this order: the thread that stops this one interrupts it while it waits.
        self.waits.store(true, Ordering::SeqCst);
        if self.stopped.load(Ordering::SeqCst) {
            return false;
        }
        let accepted = accept_with(self.listener.socket(), SocketFlags::CLOEXEC | SocketFlags::NONBLOCK);
        self.waits.store(false, Ordering::SeqCst);
        match accepted {
            Ok(socket) => drop(catch_panic(|| self.serve(socket, buffer, answer))),
            // The listener was shut.
            Err(Errno::INVAL) => return false,
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(error) => {
                let shared = self.dispatcher.shared();
                if let Some(omitted) = shared.log_limits.accept_errors.admit() {
                    tracing::error!(%error, omitted, open = shared.slots.taken(), "cannot accept a connection");
                }
                std::thread::sleep(SHORTAGE_PAUSE);
            }
        }
        true
    }

    /// Reads the request of a new connection and passes it to `answer`. If it does not arrive at once, the client is
    /// left to the slow reader.
    fn serve(&self, socket: OwnedFd, buffer: &mut ReadBuffer, answer: impl Fn(Connection, Request)) {
        let shared = self.dispatcher.shared();
        let config = shared.config();
        let Some((uid, rights)) = self.check_peer(&socket, &config) else { return };
        let Some(slot) = self.take_slot(uid, rights, &config) else { return };
        let connection = Connection::new(socket, rights, config, slot);
        let mut may_wait = shared.slots.taken() <= self.load.size();
        loop {
            match buffer.receive(&connection) {
                Some(input) => return self.handle_input(input, connection, answer),
                // Exim and others do other things between connecting and sending the request.
                None if may_wait && connection.is_readable_within(REQUEST_WAIT) => may_wait = false,
                None => return shared.queues.slow_reader.add(SlowClient::new(connection, &[])),
            }
        }
    }

    /// Returns the user of the client and its rights. If the user may not connect, the log says so.
    fn check_peer(&self, socket: &OwnedFd, config: &LiveConfig) -> Option<(u32, PeerRights)> {
        let shared = self.dispatcher.shared();
        match config.access(self.listener.spec().kind).check(socket.as_fd()) {
            Ok(Ok(peer)) => return Some(peer),
            Ok(Err(refused)) => {
                shared.stats.turned_away.strangers.increment();
                if let Some(omitted) = shared.log_limits.strangers.admit() {
                    let (uid, gid) = (refused.uid, refused.gid);
                    tracing::warn!(
                        uid,
                        gid,
                        omitted,
                        "a client may not connect; to permit it, add its user to [courier] allow_users, or its group to \
                         [courier] allow_groups"
                    );
                }
            }
            Err(error) => tracing::warn!(%error, "a client was turned away: the system does not report its user"),
        }
        None
    }

    /// Takes a slot for a connection of this user. Without one, the connection is closed at once.
    fn take_slot(&self, uid: u32, rights: PeerRights, config: &LiveConfig) -> Option<ConnectionSlot> {
        let shared = self.dispatcher.shared();
        let limits = config.limits;
        let taken = if rights.manage { shared.slots.take(limits) } else { shared.slots.take_for(uid, limits) };
        let full = match taken {
            Ok(slot) => return Some(slot),
            Err(full) => full,
        };
        let (turned_away, log_limits) = (&shared.stats.turned_away, &shared.log_limits);
        let (counter, limiter) = match full {
            Full::User => (&turned_away.over_share, &log_limits.over_share),
            Full::Total | Full::Others => (&turned_away.crowded, &log_limits.crowded),
        };
        counter.increment();
        if let Some(omitted) = limiter.admit() {
            let why = match full {
                Full::Total => format!("[courier] max_connections ({}) are open", limits.total),
                Full::Others => format!(
                    "the rest of [courier] max_connections ({}) is reserved for root and the daemon's user",
                    limits.total
                ),
                Full::User => format!("its user has [courier] max_connections_per_user ({}) open", limits.per_user),
            };
            tracing::warn!(uid, omitted, "a client was turned away: {why}");
        }
        None
    }

    fn handle_input(&self, input: Input<'_>, connection: Connection, answer: impl Fn(Connection, Request)) {
        match parse(&input, input.is_empty()) {
            Parse::Complete(request) => {
                drop(input);
                answer(connection, request);
            }
            Parse::Incomplete => {
                self.dispatcher.shared().queues.slow_reader.add(SlowClient::new(connection, &input));
            }
            Parse::Malformed(why) => {
                tracing::debug!(%why, "a client sent something that is not a request");
                connection.close();
            }
        }
    }
}
