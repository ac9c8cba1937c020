//! Clients that wait for an answer from a queue.

use super::dispatcher::Dispatcher;
use super::response::{Response, ResponseOptions};
use crate::io::connection::Connection;
use mailauth_core::account::Account;
use mailauth_core::answer::Answer;
use mailauth_dovecot::answerer::Waiter;

/// A client, on whatever socket. Dropping it means "not now".
pub(crate) trait Client: Send {
    /// Returns false if the client has disconnected, so that it would not read an answer.
    fn is_wanted(&self) -> bool;
}

/// A client that waits for an answer of this type.
pub(crate) trait Waiting<A>: Client {
    /// Takes the answer.
    fn take(self: Box<Self>, answer: A);
}

impl Client for Connection {
    fn is_wanted(&self) -> bool {
        !self.is_abandoned()
    }
}

impl Client for dyn Waiter {
    fn is_wanted(&self) -> bool {
        Waiter::is_wanted(self)
    }
}

impl<C: Client + ?Sized> Client for Box<C> {
    fn is_wanted(&self) -> bool {
        (**self).is_wanted()
    }
}

/// A client on the authdaemon socket that waits for the answer to a login or look-up.
pub(super) struct WaitingLogin {
    pub dispatcher: Dispatcher,
    pub connection: Connection,
    pub options: ResponseOptions,
}

impl Client for WaitingLogin {
    fn is_wanted(&self) -> bool {
        self.connection.is_wanted()
    }
}

impl Waiting<Answer<Box<Account>>> for WaitingLogin {
    fn take(self: Box<Self>, answer: Answer<Box<Account>>) {
        let WaitingLogin { dispatcher, connection, options } = *self;
        dispatcher.respond_to_login(connection, answer, options);
    }
}

/// A client on the authdaemon socket that asked whether a recipient accepts a message.
pub(super) struct WaitingForRecipient {
    pub dispatcher: Dispatcher,
    pub connection: Connection,
}

impl Client for WaitingForRecipient {
    fn is_wanted(&self) -> bool {
        self.connection.is_wanted()
    }
}

impl Waiting<Answer<()>> for WaitingForRecipient {
    fn take(self: Box<Self>, answer: Answer<()>) {
        self.dispatcher.respond(self.connection, Response::recipient(answer));
    }
}
