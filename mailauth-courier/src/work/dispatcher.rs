//! From a complete request to its answer.
//!
//! Quick work is done by the thread that has the request. Hashing, changing passwords, counting mailboxes and listing
//! accounts each have a queue of their own. "Not now" always looks the same: the connection is dropped without a byte.

use super::hashing::HashingJob;
use super::login::{Login, LoginContext, Task};
use super::permits;
use super::queue::WorkQueue;
use super::response::{Response, ResponseOptions};
use super::throttle;
use super::waiting::{Client, WaitingLogin};
use crate::accept::load::AcceptorLoad;
use crate::io::connection::{Connection, Sent};
use crate::shared::Shared;
use mailauth_core::account::Account;
use mailauth_core::answer::{Answer, No, Refusal};
use mailauth_core::authenticate::{
    self, AtOnce, Authenticator, Authority as _, Credential, Flushed, PasswordChange, Step, Verification,
};
use mailauth_core::store::Changed;
use mailauth_core::{Secret, Service};
use mailauth_protocol::flushed;
use mailauth_protocol::reply::{FAIL, OK, line};
use mailauth_protocol::throttle::ThrottleQuestion;
use mailauth_protocol::{Command, Question, Request};
use std::sync::Arc;
use std::time::Instant;

/// Answers complete requests by the shared state. Clones share all of their state.
#[derive(Clone)]
pub(crate) struct Dispatcher {
    shared: Arc<Shared>,
}

impl Dispatcher {
    pub fn new(shared: &Arc<Shared>) -> Self {
        Dispatcher { shared: Arc::clone(shared) }
    }

    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Answers `request` on the thread that accepted the connection.
    pub fn answer_here(&self, load: &AcceptorLoad, mut connection: Connection, request: Request) {
        connection.requested_at = Instant::now();
        let _guard = load.begin();
        self.answer(connection, request);
    }

    /// Answers `request` on a thread that must not wait: from memory, or by the queue for look-ups if it has to ask the
    /// database.
    pub fn answer_elsewhere(&self, mut connection: Connection, request: Request) {
        connection.requested_at = Instant::now();
        match task(&connection, request) {
            Task::Login(login) => self.log_in_elsewhere(connection, login),
            Task::Other(Request { client, command }) if asks_database(&command) => {
                let dispatcher = self.clone();
                let answer = move |connection| dispatcher.answer_other(connection, client, command);
                self.enqueue(&self.shared.queues.lookups, "look-ups", connection, answer);
            }
            Task::Other(Request { client, command }) => self.answer_other(connection, client, command),
        }
    }

    /// Answers the requests that arrive slowly, until the slow reader stops.
    pub fn read_slow_clients(&self) {
        self.shared.queues.slow_reader.run(|connection, request| self.answer_elsewhere(connection, request));
    }

    /// Sends delayed replies, until their queue stops.
    pub fn send_delayed_replies(&self) {
        self.shared.queues.delayed_replies.run(|connection, bytes| self.send(connection, bytes));
    }

    fn answer(&self, connection: Connection, request: Request) {
        match task(&connection, request) {
            Task::Login(login) => self.log_in(connection, login),
            Task::Other(Request { client, command }) => self.answer_other(connection, client, command),
        }
    }

    fn answer_other(&self, connection: Connection, client: Option<String>, command: Command) {
        match command {
            Command::Enumerate => self.enumerate(connection),
            Command::Ask(question) => self.answer_question(connection, question),
            Command::Forget(None) => self.forget(connection, "FORGET", |known| known.forget(&Changed::Everything)),
            Command::Forget(Some(login)) => self.forget(connection, "FORGET", |known| known.forget_login(&login)),
            Command::Changed(changed) => self.forget(connection, "CHANGED", |known| known.forget(&changed)),
            Command::Flush(name) => self.flush(connection, name),
            Command::Status => self.send_status(connection),
            Command::Throttle(question) => self.answer_throttle(connection, &question),
            Command::Never(why) => {
                tracing::debug!(why, "a request that no account can match");
                self.send(connection, FAIL);
            }
            Command::ChangePassword { service, login, old, new } => {
                let (service, deadline) = (Service::from_name(&service), connection.deadline);
                let credential = Credential::Password(old);
                let request = authenticate::Request { service, login, credential, client, deadline };
                self.change_password(connection, request, new);
            }
            // `Task::new` returns these as logins.
            Command::LookUp { .. } | Command::LogIn { .. } | Command::Challenge { .. } => connection.close(),
        }
    }

    fn log_in(&self, connection: Connection, login: Login) {
        let Login { request, options } = login;
        match connection.config.backend.authenticator.begin(request) {
            Step::Decided(answer) => self.respond_to_login(connection, answer, options),
            Step::Hash(verification) => self.hash(self.hashing_job(connection, verification, options)),
        }
    }

    /// Decides a login from memory, or by the queue for look-ups if that is not possible.
    fn log_in_elsewhere(&self, connection: Connection, login: Login) {
        let Login { request, options } = login;
        let (dispatcher, lookups) = (self.clone(), &self.shared.queues.lookups);
        match connection.config.backend.authenticator.begin_at_once(request) {
            AtOnce::Decided(answer) => self.respond_to_login(connection, answer, options),
            AtOnce::Hash(verification) => self.hash(self.hashing_job(connection, verification, options)),
            AtOnce::AskAgain(verification) => self.enqueue(lookups, "look-ups", connection, move |connection| {
                dispatcher.hashing_job(connection, verification, options).run();
            }),
            AtOnce::Ask(request) => self.enqueue(lookups, "look-ups", connection, move |connection| {
                dispatcher.log_in(connection, Login { request, options });
            }),
        }
    }

    fn hashing_job(
        &self,
        connection: Connection,
        verification: Box<Verification>,
        options: ResponseOptions,
    ) -> HashingJob {
        let (dispatcher, authenticator) = (self.clone(), Arc::clone(&connection.config.backend.authenticator));
        let waiting = Box::new(WaitingLogin { dispatcher: self.clone(), connection, options });
        HashingJob { dispatcher, authenticator, verification, waiting }
    }

    /// Queues a password to be hashed.
    pub(super) fn hash(&self, job: HashingJob) {
        if !self.shared.queues.hashing.push(job) {
            self.report_full_queue("passwords");
        }
    }

    fn change_password(&self, connection: Connection, request: authenticate::Request, new: Secret) {
        if !connection.rights.passwd {
            self.report_refused_command("PASSWD", "passwd_users");
            return self.send(connection, FAIL);
        }
        let dispatcher = self.clone();
        self.enqueue(&self.shared.queues.changes, "password changes", connection, move |connection| {
            match connection.config.backend.authenticator.change_password(PasswordChange { request, new }) {
                Ok(()) => dispatcher.send(connection, OK),
                Err(Refusal::No(no)) => dispatcher.refuse_login(connection, &no),
                Err(Refusal::NotNow(_)) => connection.close(),
            }
        });
    }

    fn answer_question(&self, connection: Connection, question: Question) {
        match question {
            Question::Account(address) => self.answer_account(connection, address),
            Question::Recipient { address, size } => {
                self.answer_recipient(connection, permits::Question { address, size });
            }
            Question::Domain(_) | Question::Alias(_) | Question::Sender { .. } | Question::SenderLogins(_) => {
                let response = Response::route(&connection.config.backend.router, &question, connection.deadline);
                self.respond(connection, response);
            }
        }
    }

    fn enumerate(&self, connection: Connection) {
        if connection.rights.enumerate {
            self.shared.queues.slow_writer.list(connection);
        } else {
            // The protocol has no "no" here that a client would not take for an empty list.
            self.report_refused_command("ENUMERATE", "enumerate_users");
            connection.close();
        }
    }

    fn forget(&self, connection: Connection, what: &str, forget: impl FnOnce(&Authenticator)) {
        if !connection.rights.manage {
            return self.refuse_management(connection, what);
        }
        forget(&connection.config.backend.authenticator);
        self.send(connection, OK);
    }

    /// Forgets what is kept in memory, in the queue of look-ups because it asks the database first.
    fn flush(&self, connection: Connection, name: Option<String>) {
        if !connection.rights.manage {
            return self.refuse_management(connection, "FLUSH");
        }
        let dispatcher = self.clone();
        self.enqueue(&self.shared.queues.lookups, "look-ups", connection, move |connection| {
            let answer = match connection.config.backend.authenticator.flush(name.as_deref()) {
                Ok(Flushed { rows, passwords }) => {
                    tracing::info!(name, rows, passwords, "what was kept in memory is forgotten, as a client asked");
                    line("OK", &flushed::Flushed { rows, passwords }.line())
                }
                Err(why) => line("LATER", &format!("{}: {why}", flushed::KEPT)),
            };
            dispatcher.send(connection, answer.as_bytes());
        });
    }

    fn send_status(&self, connection: Connection) {
        if !connection.rights.manage {
            return self.refuse_management(connection, "STATUS");
        }
        let text = self.shared.status(&connection.config).line();
        self.send(connection, line("OK", &text).as_bytes());
    }

    fn answer_throttle(&self, connection: Connection, question: &ThrottleQuestion) {
        if !connection.rights.manage {
            return self.refuse_management(connection, "THROTTLE");
        }
        match throttle::answer(question, &connection.config) {
            Some(text) => self.send(connection, line("OK", &text).as_bytes()),
            None => self.send(connection, FAIL),
        }
    }

    fn refuse_management(&self, connection: Connection, what: &str) {
        if let Some(omitted) = self.shared.log_limits.refused_commands.admit() {
            tracing::warn!(omitted, "a client may not use {what}: only root and this process's own user may");
        }
        self.send(connection, FAIL);
    }

    fn report_refused_command(&self, what: &str, key: &str) {
        if let Some(omitted) = self.shared.log_limits.refused_commands.admit() {
            tracing::warn!(omitted, "a client may not use {what}; to permit it, add its user to [courier] {key}");
        }
    }

    /// Puts `work` for `client` into `queue`. If that is full, the answer is "not now". If the client has disconnected
    /// before its turn, the work is not done.
    pub(super) fn enqueue<C: Client + 'static>(
        &self,
        queue: &WorkQueue,
        what: &str,
        client: C,
        work: impl FnOnce(C) + Send + 'static,
    ) {
        let dispatcher = self.clone();
        let job = move || {
            if client.is_wanted() {
                work(client);
            } else {
                dispatcher.count_gone();
            }
        };
        if !queue.push(Box::new(job)) {
            self.report_full_queue(what);
        }
    }

    /// Counts a client that disconnected before its turn.
    pub(super) fn count_gone(&self) {
        self.shared.stats.turned_away.gone.increment();
    }

    /// Counts and logs a request that was turned away because a queue is full.
    pub(super) fn report_full_queue(&self, what: &str) {
        self.shared.stats.turned_away.queue_full.increment();
        if let Some(omitted) = self.shared.log_limits.full_queues.admit() {
            tracing::warn!(omitted, "a request was turned away: too many {what} are waiting");
        }
    }

    /// Answers a login or a look-up.
    pub(super) fn respond_to_login(
        &self,
        connection: Connection,
        answer: Answer<Box<Account>>,
        options: ResponseOptions,
    ) {
        if options.is_login
            && let Err(Refusal::No(no)) = &answer
        {
            return self.refuse_login(connection, no);
        }
        if options.opens_mailbox
            && connection.config.backend.authenticator.makes_mailboxes()
            && let Ok(account) = &answer
            && self.may_lack_mailbox(account)
        {
            return self.respond_at_first_login(connection, account.clone(), options);
        }
        let response = Response::account(answer, &options, &connection.config, connection.rights);
        self.respond(connection, response);
    }

    /// Sends a response and closes the connection.
    pub(super) fn respond(&self, connection: Connection, response: Response) {
        match response {
            Response::Bytes(bytes) => self.send(connection, &bytes),
            Response::NoAnswer => connection.close(),
            Response::Unsendable(login, why) => {
                if let Some(omitted) = self.shared.log_limits.unsendable.admit() {
                    tracing::warn!(login = login.as_str(), omitted, "the account cannot be sent: {why}");
                }
                connection.close();
            }
        }
    }

    /// Refuses a login or a change of a password at a time that does not reveal the reason, and not before the delay
    /// against password guessing is over. Until then the client occupies its connection slot, and no thread.
    fn refuse_login(&self, connection: Connection, no: &No) {
        let at =
            connection.config.backend.authenticator.refuse_at(connection.requested_at).max(Instant::now() + no.delay());
        let send = |connection, bytes: &[u8]| self.send(connection, bytes);
        self.shared.queues.delayed_replies.send_at(connection, FAIL, at, send);
    }

    fn send(&self, connection: Connection, bytes: &[u8]) {
        match connection.send(bytes) {
            Sent::All => connection.close(),
            Sent::Some(count) => {
                self.shared.queues.slow_writer.finish(connection, bytes.get(count..).unwrap_or_default());
            }
            Sent::Gone => {}
        }
    }
}

/// Returns what is to be done for a request.
fn task(connection: &Connection, request: Request) -> Task {
    let (deadline, rights) = (connection.deadline, connection.rights);
    Task::new(request, LoginContext { deadline, rights, send_clear: connection.config.send_clear })
}

/// Returns true if the thread that answers the command, which is not a login, asks the database itself.
fn asks_database(command: &Command) -> bool {
    match command {
        Command::LookUp { .. } | Command::LogIn { .. } | Command::Challenge { .. } => true,
        Command::Ask(Question::Recipient { .. }) => false,
        Command::Ask(_) => true,
        Command::ChangePassword { .. } | Command::Enumerate => false,
        Command::Forget(_) | Command::Changed(_) => false,
        Command::Flush(_) | Command::Status | Command::Throttle(_) => false,
        Command::Never(_) => false,
    }
}
