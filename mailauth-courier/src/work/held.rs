//! Answers that are sent at a later time.
//!
//! One thread sends all of them. A client whose answer is held keeps its place among the connections and holds no thread.
//! One that hangs up while a long time is left gives its place back at once.

use super::queue::guarded;
use crate::io::connection::Connection;
use crate::io::poller::Bell;
use mailauth_core::sync::{Mutex, MutexGuard};
use rustix::event::epoll::EventFlags;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// An answer that is held for longer than this is dropped as soon as its client hangs up. For a shorter time the system
/// calls are not worth it.
const LONG: Duration = Duration::from_millis(250);

/// An answer and its client.
struct Answer {
    connection: Connection,
    bytes: Zeroizing<Vec<u8>>,
    watched: bool,
}

/// The answers that wait for their time.
pub(crate) struct Held {
    bell: Bell,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// In the order in which they are sent; the number tells apart those of one time.
    answers: BTreeMap<(Instant, u64), Answer>,
    /// The times of those whose clients are watched.
    watched: HashMap<u64, Instant>,
    last: u64,
    /// Nothing is held any more.
    released: bool,
    /// Nothing more will come.
    stopped: bool,
}

impl Held {
    /// # Errors
    /// When the system gives no descriptor.
    pub fn new() -> io::Result<Self> {
        Ok(Held { bell: Bell::new()?, table: Mutex::default() })
    }

    /// Sends `bytes` at `at`, then closes the connection. While as many are held as half of what one user's clients
    /// may take, one of the held answers is sent early, so that refusals cannot keep others out.
    pub fn send_at(&self, connection: Connection, bytes: &[u8], at: Instant) {
        let most = (connection.live.room.each / 2).max(1);
        let is_long = at.saturating_duration_since(Instant::now()) > LONG;
        let mut table = self.lock();
        table.last += 1;
        let key = table.last;
        let watched = is_long && self.bell.watch(&connection, key, EventFlags::empty()).is_ok();
        if watched {
            table.watched.insert(key, at);
        }
        let next = table.next();
        table.answers.insert((at, key), Answer { connection, bytes: Zeroizing::new(bytes.to_vec()), watched });
        if table.answers.len() > most {
            table.hasten();
        }
        let is_first = next.is_none() || table.next() < next || table.released;
        drop(table);
        if is_first {
            self.bell.ring();
        }
    }

    /// Sends what is held at once, and holds nothing from now on.
    pub fn release(&self) {
        self.lock().released = true;
        self.bell.ring();
    }

    /// The same, and ends [`Held::run`]: no more will come.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.release();
    }

    /// Sends each answer by `send` at its time, until [`Held::stop`].
    pub fn run(&self, send: impl Fn(Connection, &[u8])) {
        let mut ready = Vec::new();
        let mut next = None;
        loop {
            self.bell.wait(next, &mut ready);
            let mut table = self.lock();
            // They are dropped when the table is free again: closing takes a system call each.
            let gone: Vec<_> = ready.iter().filter_map(|key| table.remove(*key)).collect();
            let due = table.take_due(Instant::now());
            next = table.next();
            let stopped = table.stopped;
            drop(table);
            drop(gone);
            for Answer { connection, bytes, watched } in due {
                if watched {
                    // Whoever goes on with it does so without being woken here.
                    self.bell.unwatch(&connection);
                }
                guarded(|| send(connection, &bytes));
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
        self.answers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes out the answer of a client that has hung up.
    fn remove(&mut self, key: u64) -> Option<Answer> {
        let at = self.watched.remove(&key)?;
        self.answers.remove(&(at, key))
    }

    fn take_due(&mut self, now: Instant) -> Vec<Answer> {
        let mut due = Vec::new();
        while let Some(first) = self.answers.first_entry() {
            let (at, key) = *first.key();
            if at > now && !self.released {
                break;
            }
            self.watched.remove(&key);
            due.push(first.remove());
        }
        due
    }

    /// Makes one answer due: the last one where that is held for long, for it is the one whose client guesses most; else
    /// the first one, whose time has nearly come.
    fn hasten(&mut self) {
        let now = Instant::now();
        let last = self.answers.last_key_value().map(|(key, _)| *key);
        let last = last.filter(|(at, _)| at.saturating_duration_since(now) > Duration::from_secs(1));
        let first = self.answers.first_key_value().map(|(key, _)| *key);
        if let Some((at, key)) = last.or(first)
            && let Some(answer) = self.answers.remove(&(at, key))
        {
            if let Some(at) = self.watched.get_mut(&key) {
                *at = now;
            }
            self.answers.insert((now, key), answer);
        }
    }
}
