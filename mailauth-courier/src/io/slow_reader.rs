//! Reading requests that do not arrive at once.
//!
//! One thread waits for all slow clients, so that a thousand of them occupy no thread that could do work. A complete
//! request is passed on.

use super::connection::Connection;
use super::read_buffer::ReadBuffer;
use mailauth_core::poller::Poller;
use mailauth_core::sync::{Mutex, MutexGuard};
use mailauth_protocol::request::{Parse, Request, parse};
use rustix::event::epoll::EventFlags;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Time that clients have to complete their requests when the daemon stops. Programs send them at once, and until the
/// daemon has ended, connections wait for the next one.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// A client that has not sent its complete request.
pub(crate) struct SlowClient {
    connection: Connection,
    input: Zeroizing<Vec<u8>>,
    last_byte: Instant,
}

impl SlowClient {
    pub fn new(connection: Connection, input: &[u8]) -> Self {
        SlowClient { connection, input: Zeroizing::new(input.to_vec()), last_byte: Instant::now() }
    }

    /// Adds `bytes`, leaving no copy of the input behind when it has to grow.
    fn append(&mut self, bytes: &[u8]) {
        if self.input.capacity() - self.input.len() < bytes.len() {
            let needed = self.input.len() + bytes.len();
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two().max(256)));
            larger.extend_from_slice(&self.input);
            self.input = larger;
        }
        self.input.extend_from_slice(bytes);
    }

    /// Returns the time at which the client is closed if nothing more arrives.
    fn expiry(&self) -> Instant {
        let idle = self.last_byte + self.connection.config.idle;
        if self.input.is_empty() { idle } else { idle.min(self.connection.deadline) }
    }
}

/// All slow clients, and the thread that reads from them.
pub(crate) struct SlowReader {
    poller: Poller,
    keys: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    clients: HashMap<u64, SlowClient>,
    /// Time of the next search for expired clients; never later than the first expiry.
    next: Option<Instant>,
    /// Time at which all clients are closed, if the daemon stops.
    end: Option<Instant>,
}

/// State of a client after a read.
enum Progress {
    Complete(Connection, Request),
    Incomplete(SlowClient),
    Done,
}

impl SlowReader {
    /// Creates a reader without clients.
    ///
    /// # Errors
    /// Fails if the system provides no descriptor.
    pub fn new() -> io::Result<Self> {
        Ok(SlowReader { poller: Poller::new()?, keys: AtomicU64::new(0), table: Mutex::default() })
    }

    /// Adds a client. If it cannot be watched, it is closed.
    pub fn add(&self, client: SlowClient) {
        let key = self.keys.fetch_add(1, Ordering::Relaxed);
        let mut table = self.lock();
        if let Err(error) = self.poller.watch(&client.connection, key, EventFlags::IN) {
            tracing::warn!(%error, "cannot watch a client; its connection is closed");
            return;
        }
        if table.insert(key, client) {
            self.poller.wake();
        }
    }

    /// Reads the requests that arrive within [`STOP_PATIENCE`], and closes all other clients then.
    pub fn stop(&self) {
        self.lock().end = Some(Instant::now() + STOP_PATIENCE);
        self.poller.wake();
    }

    /// Reads until [`SlowReader::stop`], and calls `answer` for each complete request.
    pub fn run(&self, answer: impl Fn(Connection, Request)) {
        let mut buffer = ReadBuffer::new();
        let mut ready = Vec::new();
        let mut next = None;
        loop {
            self.poller.wait(next, &mut ready);
            for key in &ready {
                // The client is not in the table in the meantime; only this thread removes clients.
                let Some(client) = self.lock().clients.remove(key) else { continue };
                match read_on(client, &mut buffer) {
                    Progress::Incomplete(client) => drop(self.lock().insert(*key, client)),
                    Progress::Complete(connection, request) => {
                        // This thread does not watch it any more: a client that ends its side or disconnects would wake
                        // the thread again and again until the answer.
                        self.poller.unwatch(&connection);
                        answer(connection, request);
                    }
                    Progress::Done => {}
                }
            }
            let mut table = self.lock();
            let now = Instant::now();
            table.expire(now);
            next = match table.end {
                // Input that has arrived is read first, from however many clients.
                Some(_) if !ready.is_empty() => Some(now),
                Some(end) if end <= now || table.clients.is_empty() => return table.clients.clear(),
                Some(end) => Some(table.next.map_or(end, |next| next.min(end))),
                None => table.next,
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }
}

impl Table {
    /// Adds a client. Returns true if it expires before the time for which the thread sleeps.
    fn insert(&mut self, key: u64, client: SlowClient) -> bool {
        let expiry = client.expiry();
        self.clients.insert(key, client);
        let earlier = self.next.is_none_or(|next| expiry < next);
        if earlier {
            self.next = Some(expiry);
        }
        earlier
    }

    /// Closes the clients that have expired.
    fn expire(&mut self, now: Instant) {
        if self.next.is_some_and(|next| next <= now) {
            self.clients.retain(|_, client| client.expiry() > now);
            self.next = self.clients.values().map(SlowClient::expiry).min();
        }
    }
}

fn read_on(mut client: SlowClient, buffer: &mut ReadBuffer) -> Progress {
    let Some(received) = buffer.receive(&client.connection) else { return Progress::Incomplete(client) };
    let ended = received.is_empty();
    if client.input.is_empty() {
        client.connection.begin();
    }
    client.append(&received);
    client.last_byte = Instant::now();
    match parse(&client.input, ended) {
        Parse::Complete(request) => Progress::Complete(client.connection, request),
        Parse::Incomplete => Progress::Incomplete(client),
        Parse::Malformed(why) => {
            tracing::debug!(%why, "a client sent something that is not a request");
            client.connection.close();
            Progress::Done
        }
    }
}
