//! Replies that are sent at a later time.
//!
//! One thread sends them when they are due. While its reply is delayed, a client occupies its connection slot, and no thread. If
//! it disconnects a long time before the reply is due, its slot is free at once.

use crate::io::connection::Connection;
use crate::process::panic::catch_panic;
use mailauth_core::poller::Poller;
use mailauth_core::sync::{Mutex, MutexGuard};
use rustix::event::epoll::EventFlags;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Delay beyond which a reply is dropped as soon as its client disconnects. For a shorter delay the system calls are
/// not worth it.
const LONG: Duration = Duration::from_millis(250);

/// A reply and its client.
struct DelayedReply {
    connection: Connection,
    bytes: Zeroizing<Vec<u8>>,
    watched: bool,
}

/// The replies that are not due yet, and the thread that sends them.
pub(crate) struct DelayedReplies {
    poller: Poller,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// Replies in the order in which they are due. The number distinguishes those of the same time.
    replies: BTreeMap<(Instant, u64), DelayedReply>,
    /// Times of the replies to watched clients.
    watched: HashMap<u64, Instant>,
    last: u64,
    /// True if replies are no longer delayed.
    released: bool,
    /// True if no more replies will be added.
    stopped: bool,
}

impl DelayedReplies {
    /// Creates a queue without replies.
    ///
    /// # Errors
    /// Fails if the system provides no descriptor.
    pub fn new() -> io::Result<Self> {
        Ok(DelayedReplies { poller: Poller::new()?, table: Mutex::default() })
    }

    /// Sends `bytes` at the time `at`, then closes the connection. If the number of delayed replies exceeds half of the
    /// connections that one user may have, one of them is sent early, so that refusals cannot exclude other clients. It
    /// is sent here, by `send`: on a busy machine the other thread could lag behind, and the number would grow.
    pub fn send_at(&self, connection: Connection, bytes: &[u8], at: Instant, send: impl FnOnce(Connection, &[u8])) {
        let most = (connection.config.limits.per_user / 2).max(1);
        let is_long = at.saturating_duration_since(Instant::now()) > LONG;
        let mut table = self.lock();
        table.last += 1;
        let key = table.last;
        let watched = is_long && self.poller.watch(&connection, key, EventFlags::empty()).is_ok();
        if watched {
            table.watched.insert(key, at);
        }
        let next = table.next();
        table.replies.insert((at, key), DelayedReply { connection, bytes: Zeroizing::new(bytes.to_vec()), watched });
        let early = if table.replies.len() > most { table.take_one_early() } else { None };
        let is_first = next.is_none() || table.next() < next || table.released;
        drop(table);
        if is_first {
            self.poller.wake();
        }
        if let Some(reply) = early {
            self.send_now(reply, send);
        }
    }

    fn send_now(&self, reply: DelayedReply, send: impl FnOnce(Connection, &[u8])) {
        let DelayedReply { connection, bytes, watched } = reply;
        if watched {
            // The thread that continues with the connection must not be woken here.
            self.poller.unwatch(&connection);
        }
        send(connection, &bytes);
    }

    /// Sends all delayed replies at once, and delays no more of them.
    pub fn release(&self) {
        self.lock().released = true;
        self.poller.wake();
    }

    /// Sends all delayed replies at once, and ends [`DelayedReplies::run`]: no more will be added.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.release();
    }

    /// Sends each reply by `send` at its time, until [`DelayedReplies::stop`].
    pub fn run(&self, send: impl Fn(Connection, &[u8])) {
        let mut ready = Vec::new();
        let mut next = None;
        loop {
            self.poller.wait(next, &mut ready);
            let mut table = self.lock();
            // They are dropped after the lock is released: closing takes a system call each.
            let disconnected: Vec<_> = ready.iter().filter_map(|key| table.remove(*key)).collect();
            let due = table.take_due(Instant::now());
            next = table.next();
            let stopped = table.stopped;
            drop(table);
            drop(disconnected);
            for reply in due {
                catch_panic(|| self.send_now(reply, &send));
            }
            if stopped {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }
}

impl Table {
    fn next(&self) -> Option<Instant> {
        self.replies.first_key_value().map(|((at, _), _)| *at)
    }

    /// Removes the reply to a client that has disconnected.
    fn remove(&mut self, key: u64) -> Option<DelayedReply> {
        let at = self.watched.remove(&key)?;
        self.replies.remove(&(at, key))
    }

    fn take_due(&mut self, now: Instant) -> Vec<DelayedReply> {
        let mut due = Vec::new();
        while let Some(first) = self.replies.first_entry() {
            let (at, key) = *first.key();
            if at > now && !self.released {
                break;
            }
            self.watched.remove(&key);
            due.push(first.remove());
        }
        due
    }

    /// Removes the reply to send early: the last one if it is delayed for long, since its client guesses most; otherwise
    /// the first one, which is nearly due.
    fn take_one_early(&mut self) -> Option<DelayedReply> {
        let now = Instant::now();
        let last = self.replies.last_key_value().map(|(key, _)| *key);
        let last = last.filter(|(at, _)| at.saturating_duration_since(now) > Duration::from_secs(1));
        let (at, key) = last.or_else(|| self.replies.first_key_value().map(|(key, _)| *key))?;
        self.watched.remove(&key);
        self.replies.remove(&(at, key))
    }
}
