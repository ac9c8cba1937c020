//! The answers to the conversations of kept connections: Dovecot's protocol, and Postfix's.
//!
//! The threads that read these connections must not wait. What is not known at once goes the way of the requests on the
//! authdaemon socket, through the same queues.

use super::dispatcher::Dispatcher;
use super::hashing::HashingJob;
use super::permits;
use super::queue::WorkQueue;
use super::response::{answer_text, opens_mailbox};
use super::waiting::{Client, Waiting};
use crate::live_config::LiveConfig;
use mailauth_core::account::Account;
use mailauth_core::answer::{Answer, NotNow};
use mailauth_core::authenticate::{AtOnce, Authenticator, Credential, Request, Step};
use mailauth_dovecot::answerer::{Answerer, Ask, Told, Waiter};
use mailauth_protocol::Question;
use std::sync::Arc;
use std::time::Instant;

impl Answerer for Dispatcher {
    fn answer(&self, ask: Ask, waiter: &mut dyn FnMut() -> Box<dyn Waiter>) -> Option<Told> {
        let config = self.shared().config();
        match ask {
            Ask::Account(request) => return self.decide(config, request, waiter),
            Ask::Address(Question::Recipient { address, size }, deadline) => {
                let waiting = Box::new(WaitingForAddress(waiter()));
                let router = Arc::clone(&config.backend.router);
                self.inspect_in_turn(router, waiting, deadline, permits::Question { address, size });
            }
            Ask::Address(question, deadline) => {
                self.find(&self.shared().queues.lookups, "look-ups", waiter(), move || {
                    let is_late = Instant::now() >= deadline;
                    let answer = || answer_text(&config.backend.router, &question, deadline);
                    Told::Address(if is_late { Err(NotNow::Late.into()) } else { answer() })
                })
            }
            Ask::Scram(mechanism, request) => {
                self.find(&self.shared().queues.lookups, "look-ups", waiter(), move || {
                    Told::Scram(config.backend.authenticator.scram_parameters(mechanism, request))
                })
            }
            Ask::List(after) => {
                let pages = self.shared().queues.slow_writer.pages();
                self.find(pages, "pages of accounts", waiter(), move || {
                    Told::Page(config.backend.authenticator.enumerate(after.as_ref()))
                });
            }
            Ask::Flush(name) => self.find(&self.shared().queues.lookups, "look-ups", waiter(), move || {
                Told::Flushed(config.backend.authenticator.flush(name.as_deref()).map_err(Into::into))
            }),
        }
        None
    }
}

impl Dispatcher {
    /// Tells an answer that `find` finds, in a queue.
    fn find(
        &self,
        queue: &WorkQueue,
        what: &str,
        waiter: Box<dyn Waiter>,
        find: impl FnOnce() -> Told + Send + 'static,
    ) {
        self.enqueue(queue, what, waiter, |waiter| waiter.tell(find()));
    }

    /// Decides a login or a look-up from memory. If that is not possible, a queue decides it.
    fn decide(
        &self,
        config: Arc<LiveConfig>,
        request: Request,
        waiter: &mut dyn FnMut() -> Box<dyn Waiter>,
    ) -> Option<Told> {
        let authenticator = Arc::clone(&config.backend.authenticator);
        let asked_at = Instant::now();
        let opens_mailbox = authenticator.makes_mailboxes()
            && opens_mailbox(&request.service)
            && !matches!(request.credential, Credential::Lookup);
        let (deadline, queues) = (request.deadline, &self.shared().queues);
        let step = match authenticator.begin_at_once(request) {
            AtOnce::Decided(answer) if answer.is_err() || !opens_mailbox => {
                return Some(told(answer, &authenticator, asked_at));
            }
            step => step,
        };
        let dispatcher = self.clone();
        let waiting =
            Box::new(WaitingForAccount { dispatcher, config, deadline, opens_mailbox, asked_at, waiter: waiter() });
        let dispatcher = self.clone();
        match step {
            // Only the file system says whether there is a mailbox.
            AtOnce::Decided(answer) => {
                self.enqueue(&queues.changes, "mailboxes to be created", waiting, |waiting| waiting.take(answer));
            }
            AtOnce::Hash(verification) => self.hash(HashingJob { dispatcher, authenticator, verification, waiting }),
            AtOnce::AskAgain(verification) => {
                self.enqueue(&queues.lookups, "look-ups", waiting, move |waiting| {
                    HashingJob { dispatcher, authenticator, verification, waiting }.run();
                });
            }
            AtOnce::Ask(request) => {
                self.enqueue(&queues.lookups, "look-ups", waiting, move |waiting| match authenticator.begin(request) {
                    Step::Decided(answer) => waiting.take(answer),
                    Step::Hash(verification) => {
                        let job = HashingJob { dispatcher: dispatcher.clone(), authenticator, verification, waiting };
                        dispatcher.hash(job);
                    }
                })
            }
        }
        None
    }
}

/// Returns the answer to a login or look-up that began at `asked_at`, and when it may be sent if it is a refusal. That
/// time takes a system call for a random number, without which most logins are answered.
fn told(answer: Answer<Box<Account>>, authenticator: &Authenticator, asked_at: Instant) -> Told {
    let refuse_at = if answer.is_err() { authenticator.refuse_at(asked_at) } else { asked_at };
    Told::Account { answer, refuse_at }
}

/// A conversation that waits for the answer to a login or look-up.
struct WaitingForAccount {
    dispatcher: Dispatcher,
    config: Arc<LiveConfig>,
    deadline: Instant,
    /// True if the mailbox is created before the answer, if it is missing.
    opens_mailbox: bool,
    /// Time at which it began to wait.
    asked_at: Instant,
    waiter: Box<dyn Waiter>,
}

impl WaitingForAccount {
    fn tell(self, answer: Answer<Box<Account>>) {
        self.waiter.tell(told(answer, &self.config.backend.authenticator, self.asked_at));
    }
}

impl Client for WaitingForAccount {
    fn is_wanted(&self) -> bool {
        self.waiter.is_wanted()
    }
}

impl Waiting<Answer<Box<Account>>> for WaitingForAccount {
    fn take(self: Box<Self>, answer: Answer<Box<Account>>) {
        match answer {
            Ok(account) if self.opens_mailbox && self.dispatcher.may_lack_mailbox(&account) => {
                let (dispatcher, creator) = (self.dispatcher.clone(), self.dispatcher.clone());
                let queue = &dispatcher.shared().queues.changes;
                dispatcher.enqueue(queue, "mailboxes to be created", self, move |waiting| {
                    if creator.create_mailbox(&waiting.config, waiting.deadline, &account) {
                        waiting.tell(Ok(account));
                    }
                });
            }
            answer => self.tell(answer),
        }
    }
}

/// A conversation that waits for the answer to a question about an address.
struct WaitingForAddress(Box<dyn Waiter>);

impl Client for WaitingForAddress {
    fn is_wanted(&self) -> bool {
        self.0.is_wanted()
    }
}

impl Waiting<Answer<()>> for WaitingForAddress {
    fn take(self: Box<Self>, answer: Answer<()>) {
        self.0.tell(Told::Address(answer.map(|()| String::new())));
    }
}
