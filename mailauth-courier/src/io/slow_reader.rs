//! Reading requests that do not come at once.
//!
//! One thread waits for all clients that are slow, so that a thousand of them hold no thread that could do work. A
//! request that has come whole is handed on.

use super::connection::{Connection, Received};
use super::poller::Bell;
use mailauth_core::sync::{Mutex, MutexGuard};
use mailauth_protocol::MAX_REQUEST;
use mailauth_protocol::request::{Parse, Request, parse};
use rustix::event::epoll::EventFlags;
use std::collections::HashMap;
use std::io;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use zeroize::{Zeroize as _, Zeroizing};

/// A place to read into, wiped after each use: requests hold passwords.
pub(crate) struct Scratch(Zeroizing<Vec<u8>>);

/// What was read, for as long as it is looked at.
pub(crate) struct Fresh<'a>(&'a mut [u8]);

impl Scratch {
    pub fn new() -> Self {
        Scratch(Zeroizing::new(vec![0; MAX_REQUEST]))
    }

    /// Reads once from `connection`; nothing when nothing has come. At the end of input there are no bytes.
    pub fn receive(&mut self, connection: &Connection) -> Option<Fresh<'_>> {
        match connection.receive(&mut self.0) {
            Received::Nothing => None,
            Received::Ended => Some(Fresh(&mut [])),
            Received::Bytes(count) => self.0.get_mut(..count).map(Fresh),
        }
    }
}

impl Deref for Fresh<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A client that has not sent its whole request.
pub(crate) struct Slow {
    connection: Connection,
    input: Zeroizing<Vec<u8>>,
    last_byte: Instant,
}

impl Slow {
    pub fn new(connection: Connection, input: &[u8]) -> Self {
        Slow { connection, input: Zeroizing::new(input.to_vec()), last_byte: Instant::now() }
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

    /// When it will have been silent, or have taken, too long.
    fn expiry(&self) -> Instant {
        let idle = self.last_byte + self.connection.live.idle;
        if self.input.is_empty() { idle } else { idle.min(self.connection.deadline) }
    }
}

/// All of them.
pub(crate) struct Reader {
    bell: Bell,
    keys: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    clients: HashMap<u64, Slow>,
    /// When to look for clients that took too long; never later than the first one's expiry.
    next: Option<Instant>,
    stopping: bool,
}

/// What became of a client when there was something to read.
enum Progress {
    Whole(Connection, Request),
    Slow(Slow),
    Done,
}

impl Reader {
    /// # Errors
    /// When the system gives no descriptor.
    pub fn new() -> io::Result<Self> {
        Ok(Reader { bell: Bell::new()?, keys: AtomicU64::new(0), table: Mutex::default() })
    }

    /// Takes over a client. One that cannot be watched is closed.
    pub fn adopt(&self, client: Slow) {
        let key = self.keys.fetch_add(1, Ordering::Relaxed);
        let mut table = self.lock();
        if let Err(error) = self.bell.watch(&client.connection, key, EventFlags::IN) {
            tracing::warn!(%error, "a client was turned away");
            return;
        }
        if table.insert(key, client) {
            self.bell.ring();
        }
    }

    /// Lets those finish that have begun; closes the others at once.
    pub fn stop(&self) {
        self.lock().stopping = true;
        self.bell.ring();
    }

    /// Reads until [`Reader::stop`], and hands on each whole request.
    pub fn run(&self, hand_on: impl Fn(Connection, Request)) {
        let mut scratch = Scratch::new();
        let mut ready = Vec::new();
        let mut next = None;
        loop {
            self.bell.wait(next, &mut ready);
            for key in &ready {
                // While it is worked on it is out of the table; only this thread takes any out.
                let Some(client) = self.lock().clients.remove(key) else { continue };
                match read_on(client, &mut scratch) {
                    Progress::Slow(client) => drop(self.lock().insert(*key, client)),
                    Progress::Whole(connection, request) => {
                        // From now on this thread does not look at it: watched, a client that ends its side or hangs
                        // up would keep the thread awake until the answer.
                        self.bell.unwatch(&connection);
                        hand_on(connection, request);
                    }
                    Progress::Done => {}
                }
            }
            let mut table = self.lock();
            // What has come before the end is read first, however many clients have sent something.
            if table.stopping && ready.is_empty() {
                table.clients.retain(|_, client| !client.input.is_empty());
                if table.clients.is_empty() {
                    return;
                }
            }
            let now = Instant::now();
            table.expire(now);
            next = if table.stopping && !ready.is_empty() { Some(now) } else { table.next };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }
}

impl Table {
    /// True when it has to be looked at earlier than the thread would.
    fn insert(&mut self, key: u64, client: Slow) -> bool {
        let expiry = client.expiry();
        self.clients.insert(key, client);
        let earlier = self.next.is_none_or(|next| expiry < next);
        if earlier {
            self.next = Some(expiry);
        }
        earlier
    }

    /// Closes whoever took too long.
    fn expire(&mut self, now: Instant) {
        if self.next.is_some_and(|next| next <= now) {
            self.clients.retain(|_, client| client.expiry() > now);
            self.next = self.clients.values().map(Slow::expiry).min();
        }
    }
}

fn read_on(mut client: Slow, scratch: &mut Scratch) -> Progress {
    let Some(fresh) = scratch.receive(&client.connection) else { return Progress::Slow(client) };
    let ended = fresh.is_empty();
    if client.input.is_empty() {
        client.connection.begin();
    }
    client.append(&fresh);
    client.last_byte = Instant::now();
    match parse(&client.input, ended) {
        Parse::Complete(request) => Progress::Whole(client.connection, request),
        Parse::Incomplete => Progress::Slow(client),
        Parse::Malformed(why) => {
            tracing::debug!(%why, "what a client sent is no request");
            client.connection.close();
            Progress::Done
        }
    }
}
