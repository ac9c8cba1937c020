//! Who waits for an answer that is found in a queue.

use super::dispatcher::Dispatcher;
use super::response::{Response, ResponseOptions};
use crate::io::connection::Connection;
use mailauth_core::account::Account;
use mailauth_core::answer::Answer;

/// A client that waits for an answer, on whatever socket. Dropping it means "not now".
pub(crate) trait Waiting<A>: Send {
    /// Returns false if the client has disconnected, so that it would not read an answer.
    fn is_wanted(&self) -> bool;

    /// Takes the answer.
    fn take(self: Box<Self>, answer: A);
}

/// A client on the authdaemon socket that waits for the answer to a login or look-up.
pub(super) struct WaitingLogin {
    pub dispatcher: Dispatcher,
    pub connection: Connection,
    pub options: ResponseOptions,
}

impl Waiting<Answer<Box<Account>>> for WaitingLogin {
    fn is_wanted(&self) -> bool {
        !self.connection.is_abandoned()
    }

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

impl Waiting<Answer<()>> for WaitingForRecipient {
    fn is_wanted(&self) -> bool {
        !self.connection.is_abandoned()
    }

    fn take(self: Box<Self>, answer: Answer<()>) {
        self.dispatcher.respond(self.connection, Response::recipient(answer));
    }
}
