//! Accepting connections.
//!
//! A few threads wait in `accept`: the kernel wakes exactly one of them for a connection, and that one, as a rule, finds
//! the request there already, does the work, answers and waits again. That is one thread and five system calls for a
//! login beside those of the database. What does not go so smoothly is handed on.
//!
//! When all of them are stuck in their work, a substitute accepts, and hands on all of it.

use super::descriptors;
use super::listener::{Listener, Side};
use super::load::Crew;
use super::peer::Rights;
use super::slots::{Full, Taken};
use crate::io::connection::{Connection, is_readable_within};
use crate::io::slow_reader::{Fresh, Reader, Scratch, Slow};
use crate::live_config::Live;
use crate::observe::log_limiter::Throttle;
use crate::work::dispatcher::Works;
use crate::work::queue::guarded;
use mailauth_core::sync::Mutex;
use mailauth_protocol::request::{Parse, Request, parse};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// The threads that accept are stuck when for so long all are at work and none begins anew.
const STUCK: Duration = Duration::from_millis(10);

/// How long whoever accepts waits for a client's request before leaving that to the reader, as long as there are no more
/// clients than threads that accept: three threads would take their turns, which costs more than the request.
const SOON: Duration = Duration::from_micros(500);

/// How long to wait when the system has no descriptor or memory for a connection.
const SHORTAGE: Duration = Duration::from_millis(50);

/// What connections meet when they come in.
pub(crate) struct Hall {
    pub live: Mutex<Arc<Live>>,
    pub reader: Arc<Reader>,
    pub works: Arc<Works>,
    pub crowded: Throttle,
    pub over_share: Throttle,
    pub strangers: Throttle,
    pub shortages: Throttle,
}

/// A listening socket and the threads that accept from it.
pub(crate) struct Door {
    listener: Arc<Listener>,
    /// Those of one door may be stuck where those of another are idle.
    crew: Arc<Crew>,
    threads: Vec<JoinHandle<()>>,
    over: Arc<AtomicBool>,
    hall: Arc<Hall>,
    substitute: Option<JoinHandle<()>>,
}

impl Door {
    /// Begins to accept.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn open(listener: Listener, threads: usize, hall: &Arc<Hall>) -> io::Result<Self> {
        let (listener, over) = (Arc::new(listener), Arc::new(AtomicBool::new(false)));
        let (crew, hall) = (Arc::new(Crew::new(threads)), Arc::clone(hall));
        let mut door = Door { listener, crew, threads: Vec::new(), over, hall, substitute: None };
        match door.staff(threads) {
            Ok(()) => Ok(door),
            Err(error) => {
                door.close();
                Err(error)
            }
        }
    }

    fn staff(&mut self, threads: usize) -> io::Result<()> {
        for _ in 0..threads {
            let (listener, hall, crew) = (Arc::clone(&self.listener), Arc::clone(&self.hall), Arc::clone(&self.crew));
            self.threads.push(Builder::new().name("accept".into()).spawn(move || hall.accept_from(&listener, &crew))?);
        }
        let (listener, hall, over) = (Arc::clone(&self.listener), Arc::clone(&self.hall), Arc::clone(&self.over));
        let crew = Arc::clone(&self.crew);
        let stand_in = move || hall.stand_in(&listener, &crew, &over);
        let substitute = Builder::new().name("substitute".into()).spawn(stand_in)?;
        self.substitute = Some(substitute);
        Ok(())
    }

    /// How many threads accept.
    pub fn threads(&self) -> usize {
        self.crew.size()
    }

    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Accepts what has connected before now, and no more; waits until that is worked on.
    pub fn close(self) {
        self.listener.shut();
        // No thread here can end by a panic: that of each connection is caught.
        for thread in self.threads {
            let _ = thread.join();
        }
        self.over.store(true, Ordering::SeqCst);
        self.crew.tell();
        if let Some(substitute) = self.substitute {
            let _ = substitute.join();
        }
    }
}

impl Hall {
    pub fn live(&self) -> Arc<Live> {
        self.live.lock().clone()
    }

    fn accept_from(&self, listener: &Listener, crew: &Crew) {
        let mut scratch = Scratch::new();
        let answer = |connection, request| self.works.answer_here(crew, connection, request);
        while self.accept_one(listener, crew, &mut scratch, answer) {}
    }

    /// Accepts while all that should are stuck, and leaves the work to others.
    fn stand_in(&self, listener: &Listener, crew: &Crew, over: &AtomicBool) {
        let mut scratch = Scratch::new();
        let answer = |connection, request| self.works.answer_elsewhere(connection, request);
        while crew.wait_until_all_work(over) {
            let begun = crew.begun();
            std::thread::sleep(STUCK);
            while crew.is_stuck_since(begun) && !over.load(Ordering::SeqCst) {
                if somebody_waits(listener) && !self.accept_one(listener, crew, &mut scratch, answer) {
                    return;
                }
            }
        }
    }

    /// Accepts one connection; false when the listener was shut and nobody waits any more.
    fn accept_one(
        &self,
        listener: &Listener,
        crew: &Crew,
        scratch: &mut Scratch,
        answer: impl Fn(Connection, Request),
    ) -> bool {
        let (side, few) = (listener.place().side, crew.size());
        match accept_with(listener.socket(), SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(socket) => drop(guarded(|| self.welcome(socket, side, few, scratch, answer))),
            // It was shut.
            Err(Errno::INVAL) => return false,
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(error) => {
                if let Some(omitted) = self.shortages.admit() {
                    tracing::error!(%error, omitted, open = self.works.places.taken(), "cannot accept a connection");
                }
                std::thread::sleep(SHORTAGE);
            }
        }
        true
    }

    /// With no more than `few` clients, one whose request is not there yet is waited for.
    fn welcome(
        &self,
        socket: OwnedFd,
        side: Side,
        few: usize,
        scratch: &mut Scratch,
        answer: impl Fn(Connection, Request),
    ) {
        let live = self.live();
        let (uid, rights) = match live.access(side).judge(socket.as_fd()) {
            Ok(Ok(peer)) => peer,
            Ok(Err(stranger)) => {
                self.works.turned_away.strangers.fetch_add(1, Ordering::Relaxed);
                if let Some(omitted) = self.strangers.admit() {
                    let (uid, gid) = (stranger.uid, stranger.gid);
                    tracing::warn!(
                        uid,
                        gid,
                        omitted,
                        "a client may not connect; to let it, add its user to [courier] allow_users, or its group to \
                         [courier] allow_groups"
                    );
                }
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "a client was turned away: the system does not say who it is");
                return;
            }
        };
        let Some(place) = self.place_for(uid, rights, &live) else { return };
        let connection = Connection::new(socket, rights, live, place);
        let mut patient = self.works.places.taken() <= few;
        loop {
            match scratch.receive(&connection) {
                Some(input) => return self.take(input, connection, answer),
                // Exim and others do this and that between connecting and asking.
                None if patient && connection.is_readable_within(SOON) => patient = false,
                None => return self.reader.adopt(Slow::new(connection, &[])),
            }
        }
    }

    /// A place for a connection of this user. Without one, the connection is closed at once.
    fn place_for(&self, uid: u32, rights: Rights, live: &Live) -> Option<Taken> {
        let (places, room) = (&self.works.places, live.room);
        let taken = if rights.manage { places.take(room) } else { places.take_for(uid, room) };
        let full = match taken {
            Ok(place) => return Some(place),
            Err(full) => full,
        };
        let turned_away = &self.works.turned_away;
        let (counter, throttle) = match full {
            Full::Each => (&turned_away.over_share, &self.over_share),
            Full::All | Full::Others => (&turned_away.crowded, &self.crowded),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if let Some(omitted) = throttle.admit() {
            let why = match full {
                Full::All => format!("[courier] max_connections ({}) are open", room.all),
                Full::Others => format!(
                    "of [courier] max_connections ({}), those that are left are kept for root and the daemon's user",
                    room.all
                ),
                Full::Each => format!("its user has [courier] max_connections_per_user ({}) open", room.each),
            };
            tracing::warn!(uid, omitted, "a client was turned away: {why}");
        }
        None
    }

    fn take(&self, input: Fresh<'_>, connection: Connection, answer: impl Fn(Connection, Request)) {
        match parse(&input, input.is_empty()) {
            Parse::Complete(request) => {
                drop(input);
                answer(connection, request);
            }
            Parse::Incomplete => self.reader.adopt(Slow::new(connection, &input)),
            Parse::Malformed(why) => {
                tracing::debug!(%why, "what a client sent is no request");
                connection.close();
            }
        }
    }

    /// Makes room for `wanted` connections, as far as the system lets.
    pub fn room(wanted: usize) -> usize {
        descriptors::reserve(wanted)
    }
}

/// Does somebody wait to be accepted, now or within [`STUCK`]? Who comes first accepts him, which may be another thread.
fn somebody_waits(listener: &Listener) -> bool {
    is_readable_within(listener.socket(), STUCK)
}
