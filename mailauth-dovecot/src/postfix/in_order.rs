//! A conversation of requests that are answered one after the other, in the order in which they came.

use crate::answerer::{Ask, Told};
use crate::conversation::{Action, Conversation, QuestionNumber};
use mailauth_core::answer::{Answer, NotNow};
use mailauth_protocol::Question;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Maximum number of requests of one client that wait at once. Postfix sends one, and waits.
const MOST_WAITING: usize = 256;

/// Reads the requests of a client.
pub trait Reader: Send {
    /// A request.
    type Request: Request;

    /// Takes bytes, however they are cut, and returns the requests that they complete.
    ///
    /// # Errors
    /// Fails with the reason, for the log, if they are no requests. The connection is closed then.
    fn read(&mut self, input: &[u8]) -> Result<Vec<Self::Request>, &'static str>;
}

/// A request of a client.
pub trait Request: Send {
    /// Returns the reply, or the question that has to be answered first.
    fn begin(&self) -> Step;

    /// Returns the reply by the answer to the question.
    fn reply(&self, answer: Answer<String>) -> Vec<u8>;
}

/// What a request needs next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: this is the reply.
    Reply(Vec<u8>),
    /// The answer to this question.
    Ask(Question),
}

/// A conversation whose requests are answered one after the other.
pub struct InOrder<R: Reader> {
    reader: R,
    within: Duration,
    /// The request whose question is being answered, and the number of the question.
    asked: Option<(QuestionNumber, R::Request)>,
    waiting: VecDeque<R::Request>,
    questions: QuestionNumber,
    is_closed: bool,
}

impl<R: Reader> InOrder<R> {
    /// Begins a conversation, each of whose questions is to be answered within this time.
    pub(super) fn over(reader: R, within: Duration) -> Self {
        InOrder { reader, within, asked: None, waiting: VecDeque::new(), questions: 0, is_closed: false }
    }

    /// Answers the requests that wait, up to the next question.
    fn proceed(&mut self, actions: &mut Vec<Action>) {
        while self.asked.is_none()
            && let Some(request) = self.waiting.pop_front()
        {
            match request.begin() {
                Step::Reply(reply) => actions.push(Action::Send(reply.into())),
                Step::Ask(question) => {
                    self.questions += 1;
                    let ask = Ask::Address(question, Instant::now() + self.within);
                    actions.push(Action::Ask(self.questions, ask));
                    self.asked = Some((self.questions, request));
                }
            }
        }
    }

    fn close(&mut self, why: &'static str, actions: &mut Vec<Action>) {
        self.is_closed = true;
        self.waiting.clear();
        if let Some((number, _)) = self.asked.take() {
            actions.push(Action::Forget(number));
        }
        actions.push(Action::Close(why));
    }
}

impl<R: Reader> Conversation for InOrder<R> {
    fn greeting(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn receive(&mut self, input: &[u8], actions: &mut Vec<Action>) {
        if self.is_closed {
            return;
        }
        match self.reader.read(input) {
            Ok(requests) => self.waiting.extend(requests),
            Err(why) => return self.close(why, actions),
        }
        self.proceed(actions);
        if self.waiting.len() > MOST_WAITING {
            self.close("more requests at once than one client may send", actions);
        }
    }

    fn told(&mut self, number: QuestionNumber, told: Option<Told>, actions: &mut Vec<Action>) {
        let Some((_, request)) = self.asked.take_if(|(asked, _)| *asked == number) else { return };
        let answer = match told {
            Some(Told::Address(answer)) => answer,
            _ => Err(NotNow::Late.into()),
        };
        actions.push(Action::Send(request.reply(answer).into()));
        self.proceed(actions);
    }

    fn in_flight(&self) -> usize {
        self.waiting.len() + usize::from(self.asked.is_some())
    }

    fn expiry(&self) -> Option<Instant> {
        None
    }

    fn expire(&mut self, _: Instant, _: &mut Vec<Action>) {}
}
