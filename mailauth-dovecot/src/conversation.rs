//! The protocol of one kept connection, without I/O.

use crate::answerer::{Ask, Told};
use std::time::Instant;
use zeroize::Zeroizing;

/// Number of a question within its conversation. It is never used again, in contrast to the ids that clients choose.
pub type QuestionNumber = u64;

/// What a conversation wants done, in order.
#[derive(Debug)]
pub enum Action {
    /// To send these bytes.
    Send(Zeroizing<Vec<u8>>),
    /// To send these bytes at this time. Other bytes may be sent before.
    SendAt(Instant, Zeroizing<Vec<u8>>),
    /// To answer this question by [`Conversation::told`].
    Ask(QuestionNumber, Ask),
    /// The same, once all bytes so far have been sent: for the next part of an answer that may be long.
    AskWhenSent(QuestionNumber, Ask),
    /// To drop the question, whose answer is not wanted any more.
    Forget(QuestionNumber),
    /// To close the connection at once. The text is for the log.
    Close(&'static str),
    /// To read no more, and to close the connection when all questions are answered and all bytes are sent: the client
    /// has no word for "not now".
    CloseWhenAnswered,
}

/// The server's side of a protocol on one connection.
pub trait Conversation: Send {
    /// Returns the bytes that are sent when the client has connected, before anything is read.
    fn greeting(&mut self) -> Vec<u8>;

    /// Takes bytes that the client has sent, however they are cut, and adds what is to be done to `actions`. `input` is
    /// wiped by the caller.
    fn receive(&mut self, input: &[u8], actions: &mut Vec<Action>);

    /// Takes the answer to a question, or `None` if it cannot be known.
    fn told(&mut self, number: QuestionNumber, told: Option<Told>, actions: &mut Vec<Action>);

    /// Returns the number of requests in flight: those that are being decided, and refusals that are held until their
    /// time. While it is large, no more is read.
    fn in_flight(&self) -> usize;

    /// Returns the time at which [`Conversation::expire`] is to be called, if there is one: a refusal is due, or an
    /// unfinished exchange ends. It may change with each call of another function.
    fn expiry(&self) -> Option<Instant>;

    /// Sends refusals that are due, and ends exchanges that have expired.
    fn expire(&mut self, now: Instant, actions: &mut Vec<Action>);
}
