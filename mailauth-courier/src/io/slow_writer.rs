//! Writing what does not fit into one send: enumerations, page by page, and whatever a client is slow to read.
//!
//! One thread writes to all of them. Pages are read from the database on a lane of their own, so that a slow database
//! delays nothing that is there already. An enumeration that nobody reads holds one page of memory and no thread; the
//! next page is read when the last one was taken.

use super::connection::{Connection, Place, Places, Sent};
use super::poller::Bell;
use crate::observe::log_limiter::Throttle;
use crate::work::queue::{Lane, guarded};
use mailauth_core::authenticate::Answer;
use mailauth_core::store::Cursor;
use mailauth_core::sync::{Mutex, MutexGuard};
use mailauth_protocol::reply::{END, LIST_HEAD, list_row};
use rustix::event::epoll::EventFlags;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// A client that takes not a byte for so long is closed.
const BLOCKED: Duration = Duration::from_secs(30);

/// Enumerations at one time; one more is "not now".
const MOST_LISTS: usize = 64;

/// Threads that read their pages.
const PAGE_THREADS: usize = 2;

/// All clients that are being written to.
pub(crate) struct Outbox {
    bell: Bell,
    inbox: Mutex<Inbox>,
    lists: Places,
    /// The lists whose next page is being read; each is back in the inbox before it is counted out.
    reading: Places,
    pages: Arc<Lane>,
    refusals: Throttle,
}

#[derive(Default)]
struct Inbox {
    arrived: Vec<Outgoing>,
    stop_at: Option<Instant>,
}

/// One of them.
struct Outgoing {
    connection: Connection,
    bytes: Zeroizing<Vec<u8>>,
    sent: usize,
    list: Option<List>,
    last_taken: Instant,
}

/// What a client needs next.
enum Turn {
    /// To be written to.
    Write(Outgoing),
    /// The next page of its list.
    Read(Outgoing),
    /// Nothing more.
    Done,
}

/// How far an enumeration is, when there is more of it to ask for.
struct List {
    begun: bool,
    after: Option<Cursor>,
    _place: Place,
}

impl Outbox {
    /// # Errors
    /// When the system gives no descriptor or thread.
    pub fn new() -> io::Result<Self> {
        let (inbox, lists, reading, refusals) = Default::default();
        // One job for each list at most, so it is never full.
        let pages = Lane::open("pages", PAGE_THREADS, MOST_LISTS)?;
        Ok(Outbox { bell: Bell::new()?, inbox, lists, reading, pages, refusals })
    }

    /// Where pages are read.
    pub fn pages(&self) -> &Arc<Lane> {
        &self.pages
    }

    /// Sends all accounts.
    pub fn list(self: &Arc<Self>, connection: Connection) {
        match self.lists.take(MOST_LISTS) {
            Some(place) => {
                let list = Some(List { begun: false, after: None, _place: place });
                self.read_page(Outgoing {
                    connection,
                    bytes: Zeroizing::default(),
                    sent: 0,
                    list,
                    last_taken: Instant::now(),
                });
            }
            None => {
                if let Some(omitted) = self.refusals.admit() {
                    tracing::warn!(omitted, "an ENUMERATE was turned away: {MOST_LISTS} are being sent already");
                }
            }
        }
    }

    /// Sends what is left of an answer.
    pub fn finish(&self, connection: Connection, rest: &[u8]) {
        let bytes = Zeroizing::new(rest.to_vec());
        self.adopt(Outgoing { connection, bytes, sent: 0, list: None, last_taken: Instant::now() });
    }

    fn adopt(&self, client: Outgoing) {
        self.lock().arrived.push(client);
        self.bell.ring();
    }

    /// Reads the client's next page on the lane for that, and adopts the client again. It is not watched meanwhile.
    fn read_page(self: &Arc<Self>, mut client: Outgoing) {
        let Some(reading) = self.reading.take(usize::MAX) else { return };
        let outbox = Arc::clone(self);
        self.pages.push(Box::new(move || {
            let go_on = guarded(|| !client.connection.is_abandoned() && client.next_page());
            if go_on == Some(true) {
                client.last_taken = Instant::now();
                outbox.adopt(client);
            }
            drop(reading);
            outbox.bell.ring();
        }));
    }

    /// Lets those finish that have begun, until `at`.
    pub fn stop(&self, at: Instant) {
        self.lock().stop_at = Some(at);
        self.bell.ring();
    }

    /// Writes until [`Outbox::stop`].
    pub fn run(self: &Arc<Self>) {
        let mut clients: HashMap<u64, Outgoing> = HashMap::new();
        let mut keys = 0;
        let mut ready = Vec::new();
        let mut until = None;
        loop {
            self.bell.wait(until, &mut ready);
            for key in &ready {
                let Some(client) = clients.remove(key) else { continue };
                match guarded(|| client.turn()) {
                    Some(Turn::Write(client)) => drop(clients.insert(*key, client)),
                    Some(Turn::Read(client)) => {
                        self.bell.unwatch(&client.connection);
                        self.read_page(client);
                    }
                    Some(Turn::Done) | None => {}
                }
            }
            // Before the inbox is looked at: what is read no more is in it.
            let all_read = self.reading.taken() == 0;
            let mut inbox = self.lock();
            for client in inbox.arrived.drain(..) {
                keys += 1;
                match self.bell.watch(&client.connection, keys, EventFlags::OUT) {
                    Ok(()) => drop(clients.insert(keys, client)),
                    Err(error) => tracing::warn!(%error, "a client was given up"),
                }
            }
            let now = Instant::now();
            clients.retain(|_, client| client.last_taken + BLOCKED > now);
            let stop_at = inbox.stop_at;
            if stop_at.is_some_and(|at| clients.is_empty() && all_read || at <= now) {
                return;
            }
            until = clients.values().map(|client| client.last_taken + BLOCKED).chain(stop_at).min();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock()
    }
}

impl Outgoing {
    /// Sends once.
    fn turn(mut self) -> Turn {
        let taken = match self.connection.send(self.bytes.get(self.sent..).unwrap_or_default()) {
            Sent::All => self.bytes.len() - self.sent,
            Sent::Some(count) => count,
            Sent::Gone => return Turn::Done,
        };
        if taken > 0 {
            self.sent += taken;
            self.last_taken = Instant::now();
        }
        match (self.sent == self.bytes.len(), &self.list) {
            (false, _) => Turn::Write(self),
            (true, Some(_)) => Turn::Read(self),
            (true, None) => {
                self.connection.close();
                Turn::Done
            }
        }
    }

    /// Puts the next page in the place of the last; false when the enumeration has to be cut off.
    fn next_page(&mut self) -> bool {
        let Some(list) = &mut self.list else { return true };
        let (accounts, next) = match self.connection.live.backend.authenticator.enumerate(list.after.as_ref()) {
            Answer::Yes(page) => page,
            Answer::No(why) => return cut_off(&why),
            Answer::NotNow(why) => return cut_off(&why),
        };
        self.sent = 0;
        self.bytes.clear();
        if !std::mem::replace(&mut list.begun, true) {
            self.bytes.extend_from_slice(LIST_HEAD);
        }
        for account in &accounts {
            if let Err(why) = list_row(&mut self.bytes, account) {
                return cut_off(&format_args!("account {}: {why}", account.login));
            }
        }
        list.after = next;
        if list.after.is_none() {
            self.bytes.extend_from_slice(END);
            self.list = None;
        }
        true
    }
}

fn cut_off(why: &dyn std::fmt::Display) -> bool {
    tracing::warn!(%why, "an ENUMERATE was cut off before its end");
    false
}
