//! Writing what does not fit into one send: enumerations, page by page, and answers that a client is slow to read.
//!
//! One thread writes to all these clients. A work queue of its own reads the pages from the database, so that a slow
//! database does not delay output that is ready. An enumeration that the client does not read occupies one page of
//! memory and no thread: the next page is read when the kernel has accepted the last one.

use super::connection::{Connection, Sent};
use crate::accept::slots::{Slot, SlotCounter};
use crate::observe::log_limiter::LogLimiter;
use crate::process::panic::catch_panic;
use crate::work::queue::WorkQueue;
use mailauth_core::poller::Poller;
use mailauth_core::store::Cursor;
use mailauth_core::sync::{Mutex, MutexGuard};
use mailauth_protocol::reply::{END, LIST_HEAD, list_row};
use rustix::event::epoll::EventFlags;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Time after which a client that has not accepted a byte is closed.
const BLOCKED: Duration = Duration::from_secs(30);

/// Maximum number of enumerations at the same time. The answer to a further one is "not now".
const MAX_LISTS: usize = 64;

/// Number of threads that read the pages of enumerations.
const PAGE_THREADS: usize = 2;

/// All clients to which output is being written, and the thread that does so.
pub(crate) struct SlowWriter {
    poller: Poller,
    inbox: Mutex<Inbox>,
    lists: SlotCounter,
    /// Counts the lists for which a page is being read. A list is back in the inbox before its slot is given back.
    reading: SlotCounter,
    pages: Arc<WorkQueue>,
    refusals: LogLimiter,
}

#[derive(Default)]
struct Inbox {
    arrived: Vec<Outgoing>,
    stop_at: Option<Instant>,
}

/// A client and the output for it.
struct Outgoing {
    connection: Connection,
    bytes: Zeroizing<Vec<u8>>,
    sent: usize,
    list: Option<List>,
    last_taken: Instant,
}

/// Next step for a client.
enum NextStep {
    /// More output is to be written.
    Write(Outgoing),
    /// The next page of its list is to be read.
    ReadPage(Outgoing),
    /// Nothing is left to do.
    Done,
}

/// State of an enumeration of which more pages are to be read.
struct List {
    begun: bool,
    after: Option<Cursor>,
    _slot: Slot,
}

impl SlowWriter {
    /// Creates a writer without clients.
    ///
    /// # Errors
    /// Fails if the system provides no descriptor or thread.
    pub fn new() -> io::Result<Self> {
        let (inbox, lists, reading, refusals) = Default::default();
        // There is at most one job for each list, so the queue is never full.
        let pages = WorkQueue::open("pages", PAGE_THREADS, MAX_LISTS)?;
        Ok(SlowWriter { poller: Poller::new()?, inbox, lists, reading, pages, refusals })
    }

    /// Returns the queue that reads pages.
    pub fn pages(&self) -> &Arc<WorkQueue> {
        &self.pages
    }

    /// Sends all accounts to a client.
    pub fn list(self: &Arc<Self>, connection: Connection) {
        match self.lists.take(MAX_LISTS) {
            Some(slot) => {
                let list = Some(List { begun: false, after: None, _slot: slot });
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
                    tracing::warn!(omitted, "an ENUMERATE was turned away: {MAX_LISTS} are already being sent");
                }
            }
        }
    }

    /// Sends the rest of an answer.
    pub fn finish(&self, connection: Connection, rest: &[u8]) {
        let bytes = Zeroizing::new(rest.to_vec());
        self.add(Outgoing { connection, bytes, sent: 0, list: None, last_taken: Instant::now() });
    }

    fn add(&self, client: Outgoing) {
        self.lock().arrived.push(client);
        self.poller.wake();
    }

    /// Reads the client's next page in the queue for pages, and adds the client again. It is not watched in the
    /// meantime.
    fn read_page(self: &Arc<Self>, mut client: Outgoing) {
        let Some(reading) = self.reading.take(usize::MAX) else { return };
        let writer = Arc::clone(self);
        self.pages.push(Box::new(move || {
            let has_page = catch_panic(|| !client.connection.is_abandoned() && client.next_page());
            if has_page == Some(true) {
                client.last_taken = Instant::now();
                writer.add(client);
            }
            drop(reading);
            writer.poller.wake();
        }));
    }

    /// Lets clients finish that have been added, until the time `at`.
    pub fn stop(&self, at: Instant) {
        self.lock().stop_at = Some(at);
        self.poller.wake();
    }

    /// Writes until [`SlowWriter::stop`].
    pub fn run(self: &Arc<Self>) {
        let mut clients: HashMap<u64, Outgoing> = HashMap::new();
        let mut keys = 0;
        let mut ready = Vec::new();
        let mut until = None;
        loop {
            self.poller.wait(until, &mut ready);
            for key in &ready {
                let Some(client) = clients.remove(key) else { continue };
                match catch_panic(|| client.write()) {
                    Some(NextStep::Write(client)) => drop(clients.insert(*key, client)),
                    Some(NextStep::ReadPage(client)) => {
                        self.poller.unwatch(&client.connection);
                        self.read_page(client);
                    }
                    Some(NextStep::Done) | None => {}
                }
            }
            // Checked before the inbox: lists with a new page are in it.
            let all_read = self.reading.taken() == 0;
            let mut inbox = self.lock();
            for client in inbox.arrived.drain(..) {
                keys += 1;
                match self.poller.watch(&client.connection, keys, EventFlags::OUT) {
                    Ok(()) => drop(clients.insert(keys, client)),
                    Err(error) => tracing::warn!(%error, "cannot watch a client; its connection is closed"),
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
    /// Sends as much as the kernel accepts.
    fn write(mut self) -> NextStep {
        let taken = match self.connection.send(self.bytes.get(self.sent..).unwrap_or_default()) {
            Sent::All => self.bytes.len() - self.sent,
            Sent::Some(count) => count,
            Sent::Gone => return NextStep::Done,
        };
        if taken > 0 {
            self.sent += taken;
            self.last_taken = Instant::now();
        }
        match (self.sent == self.bytes.len(), &self.list) {
            (false, _) => NextStep::Write(self),
            (true, Some(_)) => NextStep::ReadPage(self),
            (true, None) => {
                self.connection.close();
                NextStep::Done
            }
        }
    }

    /// Replaces the last page by the next one. Returns false if the enumeration has to be cut off.
    fn next_page(&mut self) -> bool {
        let Some(list) = &mut self.list else { return true };
        let (accounts, next) = match self.connection.config.backend.authenticator.enumerate(list.after.as_ref()) {
            Ok(page) => page,
            Err(why) => return cut_off(&why),
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
    tracing::warn!(%why, "an ENUMERATE was cut off");
    false
}
