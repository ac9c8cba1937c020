//! One connection and its conversation.

use super::Dialect;
use super::inbox::{Inbox, WaitingConnection};
use crate::answerer::{Answerer, Ask, Told};
use crate::conversation::{Action, Conversation, QuestionNumber};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use zeroize::{Zeroize, Zeroizing};

/// Number of bytes that wait to be sent beyond which no more is read: as in Dovecot.
const MAX_UNSENT: usize = 50 * 1024;

/// Size of a buffer that is not kept for the next answers: all of it is wiped after they are sent.
const LARGE: usize = 4 * 1024;

/// Number of requests in flight beyond which no more is read.
const MAX_IN_FLIGHT: usize = 1000;

/// Time without any progress after which a client that does not read is closed.
const MAX_STALL: Duration = Duration::from_secs(60);

/// State of a connection after something has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Closed,
}

/// How the questions of a connection are answered.
pub(super) struct Asker<'a> {
    pub answerer: &'a dyn Answerer,
    pub inbox: &'a Arc<Inbox>,
    /// Key of the connection.
    pub key: u64,
}

/// A connection. Dropping it closes it, and its questions are not wanted any more.
pub(super) struct Connection {
    socket: OwnedFd,
    dialect: Arc<Dialect>,
    conversation: Box<dyn Conversation>,
    /// Bytes to be sent, of which `sent` have been.
    output: Zeroizing<Vec<u8>>,
    sent: usize,
    /// Bytes that are sent at a later time.
    held: Vec<(Instant, Zeroizing<Vec<u8>>)>,
    /// Questions that are asked when all bytes have been sent.
    when_sent: VecDeque<(QuestionNumber, Ask)>,
    /// Questions that are being answered, and the flags that say whether the answers are wanted.
    questions: HashMap<QuestionNumber, Arc<AtomicBool>>,
    /// True if the client sends nothing more, or what it sends is not read.
    input_ended: bool,
    /// Time since which the client has read nothing although there is something to read.
    stalled: Option<Instant>,
    /// Events for which it is watched.
    pub watched: EventFlags,
    /// Time at which it is to be looked at, as the event loop knows it.
    pub due: Option<Instant>,
}

impl Connection {
    pub fn new(socket: OwnedFd, dialect: Arc<Dialect>, mut conversation: Box<dyn Conversation>) -> Self {
        let output = Zeroizing::new(conversation.greeting());
        dialect.counts.open.fetch_add(1, Ordering::Relaxed);
        dialect.counts.accepted.fetch_add(1, Ordering::Relaxed);
        Connection {
            socket,
            dialect,
            conversation,
            output,
            sent: 0,
            held: Vec::new(),
            when_sent: VecDeque::new(),
            questions: HashMap::new(),
            input_ended: false,
            stalled: None,
            watched: EventFlags::empty(),
            due: None,
        }
    }

    /// Reads what has arrived, once.
    pub fn receive(&mut self, buffer: &mut [u8], asker: &Asker<'_>, actions: &mut Vec<Action>) -> Fate {
        match recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((0, _)) => self.input_ended = true,
            Ok((count, _)) => {
                let input = buffer.get_mut(..count).unwrap_or_default();
                self.conversation.receive(input, actions);
                input.zeroize();
                return self.carry_out(actions, asker);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return Fate::Closed,
        }
        self.settle(asker, actions)
    }

    /// Takes the answer to a question.
    pub fn told(
        &mut self,
        number: QuestionNumber,
        told: Option<Told>,
        asker: &Asker<'_>,
        actions: &mut Vec<Action>,
    ) -> Fate {
        if self.questions.remove(&number).is_some() {
            self.conversation.told(number, told, actions);
        }
        self.carry_out(actions, asker)
    }

    /// Does what is due.
    pub fn expire(&mut self, now: Instant, asker: &Asker<'_>, actions: &mut Vec<Action>) -> Fate {
        if self.stalled.is_some_and(|since| now.saturating_duration_since(since) >= MAX_STALL) {
            tracing::debug!(dialect = self.dialect.name, "a client that reads none of its answers is closed");
            return Fate::Closed;
        }
        for (_, bytes) in self.held.extract_if(.., |(at, _)| *at <= now) {
            self.output.extend_from_slice(&bytes);
        }
        if self.conversation.expiry().is_some_and(|at| at <= now) {
            self.conversation.expire(now, actions);
        }
        self.carry_out(actions, asker)
    }

    /// Goes on sending.
    pub fn go_on(&mut self, asker: &Asker<'_>, actions: &mut Vec<Action>) -> Fate {
        self.settle(asker, actions)
    }

    /// Reads no more, and closes when everything is answered.
    pub fn end_input(&mut self, asker: &Asker<'_>, actions: &mut Vec<Action>) -> Fate {
        self.input_ended = true;
        self.settle(asker, actions)
    }

    /// Returns true if the client is to be read from.
    pub fn reads(&self) -> bool {
        !self.input_ended
            && self.output.len() - self.sent <= MAX_UNSENT
            && self.conversation.in_flight() < MAX_IN_FLIGHT
    }

    /// Returns the events for which it has to be watched. The end of the peer is reported in any case.
    pub fn wanted_events(&self) -> EventFlags {
        let mut events = EventFlags::empty();
        events.set(EventFlags::IN, self.reads());
        events.set(EventFlags::OUT, self.sent < self.output.len());
        events
    }

    /// Returns the time at which [`Connection::expire`] is to be called.
    pub fn next_due(&self) -> Option<Instant> {
        let held = self.held.iter().map(|(at, _)| *at).min();
        let stalled = self.stalled.map(|since| since + MAX_STALL);
        [held, stalled, self.conversation.expiry()].into_iter().flatten().min()
    }

    /// Carries out `actions`, and those that follow from answers that are known at once.
    fn carry_out(&mut self, actions: &mut Vec<Action>, asker: &Asker<'_>) -> Fate {
        let mut batch = std::mem::take(actions);
        while !batch.is_empty() {
            for action in batch.drain(..) {
                match action {
                    Action::Send(bytes) => self.output.extend_from_slice(&bytes),
                    Action::SendAt(at, bytes) => self.held.push((at, bytes)),
                    Action::Ask(number, ask) => self.ask(number, ask, asker, actions),
                    Action::AskWhenSent(number, ask) => self.when_sent.push_back((number, ask)),
                    Action::Forget(number) => self.forget(number),
                    Action::CloseWhenAnswered => self.input_ended = true,
                    Action::Close(why) => {
                        tracing::debug!(dialect = self.dialect.name, why, "a connection is closed");
                        self.flush();
                        return Fate::Closed;
                    }
                }
            }
            std::mem::swap(&mut batch, actions);
        }
        // The larger buffer is kept for the next time.
        *actions = batch;
        self.settle(asker, actions)
    }

    fn ask(&mut self, number: QuestionNumber, ask: Ask, asker: &Asker<'_>, actions: &mut Vec<Action>) {
        self.dialect.counts.asked.fetch_add(1, Ordering::Relaxed);
        let mut wanted = None;
        let told = asker.answerer.answer(ask, &mut || {
            let wanted = Arc::clone(wanted.insert(Arc::new(AtomicBool::new(true))));
            let (inbox, connection) = (Arc::clone(asker.inbox), asker.key);
            Box::new(WaitingConnection { inbox, connection, number, wanted, told: false })
        });
        match (told, wanted) {
            (None, Some(wanted)) => drop(self.questions.insert(number, wanted)),
            // The answer is known, or the question was dropped and there will be none.
            (told, _) => self.conversation.told(number, told, actions),
        }
    }

    fn forget(&mut self, number: QuestionNumber) {
        if let Some(wanted) = self.questions.remove(&number) {
            wanted.store(false, Ordering::Relaxed);
        }
        self.when_sent.retain(|(other, _)| *other != number);
    }

    /// Sends what there is, asks what was to be asked after that, and closes if nothing more will happen.
    fn settle(&mut self, asker: &Asker<'_>, actions: &mut Vec<Action>) -> Fate {
        if self.flush() == Fate::Closed {
            return Fate::Closed;
        }
        if self.output.is_empty()
            && let Some((number, ask)) = self.when_sent.pop_front()
        {
            self.ask(number, ask, asker, actions);
            return self.carry_out(actions, asker);
        }
        let is_busy = self.conversation.in_flight() > 0
            || !self.questions.is_empty()
            || !self.held.is_empty()
            || !self.output.is_empty();
        if self.input_ended && !is_busy { Fate::Closed } else { Fate::Open }
    }

    /// Sends as much as the kernel accepts.
    fn flush(&mut self) -> Fate {
        while let Some(rest) = self.output.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match send(&self.socket, rest, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(count) => {
                    self.sent += count;
                    self.stalled = None;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.stalled.get_or_insert_with(Instant::now);
                    return Fate::Open;
                }
                Err(_) => return Fate::Closed,
            }
        }
        self.output.zeroize();
        if self.output.capacity() > LARGE {
            self.output = Zeroizing::default();
        }
        (self.sent, self.stalled) = (0, None);
        Fate::Open
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.dialect.counts.open.fetch_sub(1, Ordering::Relaxed);
        self.questions.values().for_each(|wanted| wanted.store(false, Ordering::Relaxed));
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
