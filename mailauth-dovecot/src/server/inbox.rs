//! What other threads tell a thread that serves conversations.

use super::Listening;
use crate::answerer::{Told, Waiter};
use crate::conversation::QuestionNumber;
use mailauth_core::poller::Poller;
use mailauth_core::sync::Mutex;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A message to a thread.
pub(super) enum Message {
    /// To accept connections on a socket.
    Listen(u64, Arc<Listening>),
    /// To accept no more connections on a socket.
    Close(u64),
    /// The answer to a question of the conversation on this connection; `None` if it cannot be known.
    Told(u64, QuestionNumber, Option<Told>),
    /// To end, at this time at the latest.
    Stop(Instant),
}

/// The messages that a thread has not read, and what wakes it.
pub(super) struct Inbox {
    pub poller: Poller,
    messages: Mutex<Vec<Message>>,
}

impl Inbox {
    pub fn new() -> io::Result<Self> {
        Ok(Inbox { poller: Poller::new()?, messages: Mutex::default() })
    }

    /// Adds a message, and wakes the thread if it was the first one.
    pub fn put(&self, message: Message) {
        let mut messages = self.messages.lock();
        let is_first = messages.is_empty();
        messages.push(message);
        drop(messages);
        if is_first {
            self.poller.wake();
        }
    }

    /// Moves all messages to `taken`, which is empty.
    pub fn take(&self, taken: &mut Vec<Message>) {
        std::mem::swap(&mut *self.messages.lock(), taken);
    }
}

/// A connection that waits for the answer to a question.
pub(super) struct WaitingConnection {
    pub inbox: Arc<Inbox>,
    pub connection: u64,
    pub number: QuestionNumber,
    pub wanted: Arc<AtomicBool>,
    pub told: bool,
}

impl Waiter for WaitingConnection {
    fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    fn tell(mut self: Box<Self>, told: Told) {
        self.told = true;
        self.inbox.put(Message::Told(self.connection, self.number, Some(told)));
    }
}

impl Drop for WaitingConnection {
    fn drop(&mut self) {
        if !self.told && self.is_wanted() {
            self.inbox.put(Message::Told(self.connection, self.number, None));
        }
    }
}
