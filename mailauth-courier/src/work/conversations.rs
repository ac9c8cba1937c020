//! The answers to the conversations of kept connections: Dovecot's protocol, and Postfix's.
//!
//! The threads that read these connections must not wait. What is not known at once goes the way of the requests on the
//! authdaemon socket, through the same queues.

use super::dispatcher::Dispatcher;
use super::hashing::HashingJob;
use super::permits;
use super::queue::WorkQueue;
use super::recipients::RecipientJob;
use super::response::opens_mailbox;
use super::waiting::Waiting;
use crate::live_config::LiveConfig;
use mailauth_core::account::Account;
use mailauth_core::answer::{Answer, NotNow};
use mailauth_core::authenticate::{AtOnce, Credential, Request, Step};
use mailauth_dovecot::answerer::{Answerer, Ask, Told, Waiter};
use mailauth_protocol::Question;
use mailauth_protocol::reply::{account_text, alias_text, domain_text};
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
                let question = permits::Question { address, size };
                self.inspect_in_turn(RecipientJob::new(router, waiting, deadline, question));
            }
            Ask::Address(question, deadline) => {
                self.find(&self.shared().queues.lookups, "look-ups", waiter(), move || {
                    Told::Address(address_text(&config, &question, deadline))
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
        self.enqueue_job(queue, what, Box::new(WaitingInQueue(waiter)), |waiting| waiting.take(find()));
    }

    /// Decides a login or a look-up from memory. If that is not possible, a queue decides it.
    fn decide(
        &self,
        config: Arc<LiveConfig>,
        request: Request,
        waiter: &mut dyn FnMut() -> Box<dyn Waiter>,
    ) -> Option<Told> {
        let authenticator = Arc::clone(&config.backend.authenticator);
        let refuse_at = authenticator.refuse_at(Instant::now());
        let opens_mailbox = authenticator.makes_mailboxes()
            && opens_mailbox(&request.service)
            && !matches!(request.credential, Credential::Lookup);
        let (deadline, queues) = (request.deadline, &self.shared().queues);
        let step = authenticator.begin_at_once(request);
        let is_at_once = match &step {
            AtOnce::Decided(Ok(_)) => !opens_mailbox,
            AtOnce::Decided(Err(_)) => true,
            AtOnce::Hash(_) | AtOnce::AskAgain(_) | AtOnce::Ask(_) => false,
        };
        if is_at_once && let AtOnce::Decided(answer) = step {
            return Some(Told::Account { answer, refuse_at });
        }
        let dispatcher = self.clone();
        let waiting =
            Box::new(WaitingForAccount { dispatcher, config, deadline, opens_mailbox, refuse_at, waiter: waiter() });
        let dispatcher = self.clone();
        match step {
            // Only the file system says whether there is a mailbox.
            AtOnce::Decided(answer) => {
                self.enqueue_job(&queues.changes, "mailboxes to be created", waiting, |waiting| waiting.take(answer));
            }
            AtOnce::Hash(verification) => self.hash(HashingJob { dispatcher, authenticator, verification, waiting }),
            AtOnce::AskAgain(verification) => {
                self.enqueue_job(&queues.lookups, "look-ups", waiting, move |waiting| {
                    HashingJob { dispatcher, authenticator, verification, waiting }.run();
                });
            }
            AtOnce::Ask(request) => self.enqueue_job(&queues.lookups, "look-ups", waiting, move |waiting| {
                match authenticator.begin(request) {
                    Step::Decided(answer) => waiting.take(answer),
                    Step::Hash(verification) => {
                        let job = HashingJob { dispatcher: dispatcher.clone(), authenticator, verification, waiting };
                        dispatcher.hash(job);
                    }
                }
            }),
        }
        None
    }

    /// Puts work for somebody that waits into `queue`. If that is full, the answer is "not now". If the client has
    /// disconnected before its turn, the work is not done.
    fn enqueue_job<A: 'static, W: Waiting<A> + ?Sized + 'static>(
        &self,
        queue: &WorkQueue,
        what: &str,
        waiting: Box<W>,
        work: impl FnOnce(Box<W>) + Send + 'static,
    ) {
        let dispatcher = self.clone();
        let job = move || {
            if waiting.is_wanted() {
                work(waiting);
            } else {
                dispatcher.count_gone();
            }
        };
        if !queue.push(Box::new(job)) {
            self.report_full_queue(what);
        }
    }
}

/// A conversation that waits for the answer to a login or look-up.
struct WaitingForAccount {
    dispatcher: Dispatcher,
    config: Arc<LiveConfig>,
    deadline: Instant,
    /// True if the mailbox is created before the answer, if it is missing.
    opens_mailbox: bool,
    /// Earliest time at which a refusal may be sent.
    refuse_at: Instant,
    waiter: Box<dyn Waiter>,
}

impl WaitingForAccount {
    fn tell(self, answer: Answer<Box<Account>>) {
        self.waiter.tell(Told::Account { answer, refuse_at: self.refuse_at });
    }
}

impl Waiting<Answer<Box<Account>>> for WaitingForAccount {
    fn is_wanted(&self) -> bool {
        self.waiter.is_wanted()
    }

    fn take(self: Box<Self>, answer: Answer<Box<Account>>) {
        match answer {
            Ok(account) if self.opens_mailbox && self.dispatcher.may_lack_mailbox(&account) => {
                let dispatcher = self.dispatcher.clone();
                let queue = &self.dispatcher.shared().queues.changes;
                let queue = Arc::clone(queue);
                dispatcher.clone().enqueue_job(&queue, "mailboxes to be created", self, move |waiting| {
                    if dispatcher.create_mailbox(&waiting.config, waiting.deadline, &account) {
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

impl Waiting<Answer<()>> for WaitingForAddress {
    fn is_wanted(&self) -> bool {
        self.0.is_wanted()
    }

    fn take(self: Box<Self>, answer: Answer<()>) {
        self.0.tell(Told::Address(answer.map(|()| String::new())));
    }
}

/// A conversation that waits for an answer that a queue finds.
struct WaitingInQueue(Box<dyn Waiter>);

impl Waiting<Told> for WaitingInQueue {
    fn is_wanted(&self) -> bool {
        self.0.is_wanted()
    }

    fn take(self: Box<Self>, told: Told) {
        self.0.tell(told);
    }
}

/// Returns the text of the answer to a question about an address.
fn address_text(config: &LiveConfig, question: &Question, deadline: Instant) -> Answer<String> {
    if Instant::now() >= deadline {
        return Err(NotNow::Late.into());
    }
    let router = &config.backend.router;
    let text = match question {
        Question::Domain(name) => Ok(domain_text(router.domain(name)?).to_owned()),
        Question::Account(address) => account_text(&router.account(address)?),
        Question::Alias(address) => alias_text(&router.alias(address)?),
        Question::SenderLogins(address) => alias_text(&router.sender_logins(address)?),
        Question::Sender { login, address } => router.sender(login, address).map(|()| Ok(String::new()))?,
        Question::Recipient { address, size } => {
            router.recipient(address, *size, deadline).map(|()| Ok(String::new()))?
        }
    };
    text.map_err(|why| NotNow::Daemon(format!("the answer cannot be sent: {why}")).into())
}
