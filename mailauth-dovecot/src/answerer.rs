//! What the conversations ask, and the program that answers.

use mailauth_core::account::Account;
use mailauth_core::answer::Answer;
use mailauth_core::authenticate::{Flushed, Request};
use mailauth_core::scram::{ScramMechanism, ScramParameters};
use mailauth_core::store::Cursor;
use mailauth_protocol::Question;
use std::time::Instant;

/// A question of a conversation.
#[derive(Debug)]
pub enum Ask {
    /// To decide a login or to look an account up. The answer is [`Told::Account`].
    Account(Request),
    /// What a client needs for a proof of SCRAM. The credential of the request is not used. The answer is [`Told::Scram`].
    Scram(ScramMechanism, Request),
    /// A question about an address, to be answered before the time. The answer is [`Told::Address`].
    Address(Question, Instant),
    /// The accounts after this place, in pages. The answer is [`Told::Page`].
    List(Option<Cursor>),
    /// To forget what is kept in memory of one login, or of all. The answer is [`Told::Flushed`].
    Flush(Option<String>),
}

/// The answer to an [`Ask`] of the same kind.
#[derive(Debug)]
pub enum Told {
    /// The answer to [`Ask::Account`].
    Account {
        /// The answer.
        answer: Answer<Box<Account>>,
        /// Earliest time at which a refusal of a login may be sent, so that the time does not reveal its reason.
        refuse_at: Instant,
    },
    /// The answer to [`Ask::Scram`].
    Scram(Answer<ScramParameters>),
    /// The answer to [`Ask::Address`]: a text, as in the replies to [`Question`], which may be empty.
    Address(Answer<String>),
    /// The answer to [`Ask::List`]: a page of accounts, and the beginning of the next page if there is one.
    Page(Answer<(Vec<Account>, Option<Cursor>)>),
    /// The answer to [`Ask::Flush`].
    Flushed(Answer<Flushed>),
}

/// Takes the answer to one question, once. Dropping it means "not now".
pub trait Waiter: Send {
    /// Returns false if the client has disconnected or cancelled the question: its answer is not wanted any more.
    fn is_wanted(&self) -> bool;

    /// Takes the answer.
    fn tell(self: Box<Self>, told: Told);
}

/// Decides the questions of conversations.
pub trait Answerer: Send + Sync {
    /// Returns the answer to `ask` if it is known at once, without waiting for a database and without hashing.
    /// Otherwise calls `waiter` once, and tells that the answer later, on another thread.
    fn answer(&self, ask: Ask, waiter: &mut dyn FnMut() -> Box<dyn Waiter>) -> Option<Told>;
}
