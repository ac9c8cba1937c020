//! From a request to its answer.
//!
//! What is quick is done by whichever thread has the request; what hashes, changes a password or lists accounts goes to
//! a lane of its own. "Not now" is always the same: the connection is dropped without a byte.

use super::hashing::{Hashing, Trial};
use super::held::Held;
use super::presence::Present;
use super::queue::Lane;
use super::recipients::Recipients;
use super::reply::{Form, Reply};
use super::throttle;
use super::turns;
use crate::accept::load::Crew;
use crate::accept::slots::Shares;
use crate::io::connection::{Connection, Sent};
use crate::io::slow_writer::Outbox;
use crate::observe::log_limiter::Throttle;
use crate::observe::status::Refusals;
use mailauth_core::Service;
use mailauth_core::account::Account;
use mailauth_core::authenticate::{self, Answer, Authenticator, Authority as _, Credential, No, PasswordChange, Step};
use mailauth_core::home::{self, NotMade, Presence};
use mailauth_core::quota::room;
use mailauth_core::store::Changed;
use mailauth_protocol::reply::{FAIL, OK, line};
use mailauth_protocol::throttle::ThrottleQuestion;
use mailauth_protocol::{Command, Question, Request};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// The lanes, and what is counted and said about them.
pub(crate) struct Works {
    /// Look-ups and cheap passwords that their reader could not do itself.
    pub lookups: Arc<Lane>,
    /// Passwords that take milliseconds.
    pub hashing: Arc<Hashing>,
    /// `PASSWD`, which looks up, hashes and writes; and what makes a mailbox.
    pub changes: Arc<Lane>,
    /// `ASK recipient` and `ASK account`, which may count a mailbox.
    pub recipients: Recipients,
    /// `ENUMERATE`.
    pub outbox: Arc<Outbox>,
    /// Refusals, until they are sent.
    pub held: Held,
    /// The connections that are open.
    pub places: Shares,
    pub started: Instant,
    pub turned_away: Refusals,
    pub overload: Throttle,
    pub refusals: Throttle,
    pub unsendable: Throttle,
    pub unmade: Throttle,
    /// Maildirs that were there a short while ago.
    pub present: Present,
}

/// A login or look-up, and what its answer needs beside the account.
struct Asked {
    request: authenticate::Request,
    form: Form,
}

impl Works {
    /// Answers `request` on the thread that accepted it.
    pub fn answer_here(self: &Arc<Self>, crew: &Crew, mut connection: Connection, request: Request) {
        connection.asked = Instant::now();
        let _shift = crew.begin();
        self.answer(connection, request);
    }

    /// Answers `request` on the lane for look-ups, if it needs one.
    pub fn answer_elsewhere(self: &Arc<Self>, mut connection: Connection, request: Request) {
        connection.asked = Instant::now();
        if !looks_up(&request.command) {
            return self.answer(connection, request);
        }
        let works = Arc::clone(self);
        self.queue(&self.lookups, "look-ups", connection, move |connection| works.answer(connection, request));
    }

    fn answer(self: &Arc<Self>, connection: Connection, request: Request) {
        match request.command {
            Command::Enumerate => self.enumerate(connection),
            Command::Ask(question) => self.route(connection, question),
            Command::Forget(None) => self.forget(connection, "FORGET", |known| known.forget(&Changed::Everything)),
            Command::Forget(Some(login)) => self.forget(connection, "FORGET", |known| known.forget_login(&login)),
            Command::Changed(changed) => self.forget(connection, "CHANGED", |known| known.forget(&changed)),
            Command::Status => self.tell_status(connection),
            Command::Throttle(question) => self.tell_throttle(connection, &question),
            Command::Never(why) => {
                tracing::debug!(why, "a request that no account can fit");
                self.send(connection, FAIL);
            }
            Command::ChangePassword { service, login, old, new } => {
                let request = ask(&connection, request.client, &service, login, Credential::Password(old));
                self.change(connection, PasswordChange { request, new });
            }
            Command::LookUp { service, login } => {
                // Exim asks like this for the password of a login by CRAM-MD5, which it verifies itself.
                let credential = if connection.rights.clear { Credential::Secret } else { Credential::Lookup };
                let request = ask(&connection, request.client, &service, login, credential);
                self.decide(connection, Asked { request, form: Form { looked_up: true, ..Form::of(&service) } });
            }
            Command::LogIn { service, login, password } => {
                let sent = connection.live.send_clear.then(|| password.clone());
                let request = ask(&connection, request.client, &service, login, Credential::Password(password));
                self.decide(connection, Asked { request, form: Form { sent, ..Form::of_login(&service) } });
            }
            Command::Challenge { service, mechanism, response } => {
                let login = response.login().to_vec();
                let credential = Credential::Cram(mechanism, response);
                let request = ask(&connection, request.client, &service, login, credential);
                self.decide(connection, Asked { request, form: Form::of_login(&service) });
            }
        }
    }

    fn decide(self: &Arc<Self>, connection: Connection, asked: Asked) {
        let Asked { request, form } = asked;
        match connection.live.backend.authenticator.begin(request) {
            Step::Decided(answer) => self.reply(connection, answer, form),
            Step::Hash(verification) => {
                let works = Arc::clone(self);
                if !self.hashing.push(Trial { works, connection, verification, form }) {
                    self.turn_away("passwords");
                }
            }
        }
    }

    fn change(self: &Arc<Self>, connection: Connection, change: PasswordChange) {
        if !connection.rights.passwd {
            self.refuse("PASSWD", "passwd_users");
            return self.send(connection, FAIL);
        }
        let works = Arc::clone(self);
        self.queue(&self.changes, "password changes", connection, move |connection| {
            match connection.live.backend.authenticator.change_password(change) {
                Answer::Yes(()) => works.send(connection, OK),
                Answer::No(no) => works.refuse_login(connection, &no),
                Answer::NotNow(_) => connection.close(),
            }
        });
    }

    fn route(self: &Arc<Self>, connection: Connection, question: Question) {
        let (address, size) = match question {
            Question::Account(address) => return self.route_to_mailbox(connection, address),
            Question::Recipient { address, size } => (address, size),
            Question::Domain(_) | Question::Alias(_) | Question::Sender { .. } => {
                let reply = Reply::route(&connection.live.backend.router, &question, connection.deadline);
                return self.give(connection, reply);
            }
        };
        self.ask_recipient(connection, turns::Question { address, size });
    }

    /// Answers where the mail of an address is to be put, and makes the mailbox where it is missing and is to be made. If
    /// that fails, the delivery may be able to do it.
    fn route_to_mailbox(self: &Arc<Self>, connection: Connection, address: Vec<u8>) {
        if !connection.live.backend.authenticator.makes_mailboxes() {
            let answer = connection.live.backend.router.account(&address);
            return self.give_destination(connection, answer);
        }
        let works = Arc::clone(self);
        self.queue(&self.changes, "mailboxes to be made", connection, move |connection| {
            let answer = connection.live.backend.router.account(&address);
            if let Answer::Yes(to) = &answer
                && works.may_lack_mailbox(&to.account)
            {
                works.make_mailbox(&connection, &to.account);
            }
            works.give_destination(connection, answer);
        });
    }

    /// Returns true unless the Maildir is there, or was a short while ago.
    fn may_lack_mailbox(&self, account: &Account) -> bool {
        match home::presence(account) {
            Presence::There => false,
            Presence::Missing => true,
            Presence::Unseen => !self.present.has(&room::maildir(account)),
        }
    }

    /// Makes what is missing of a mailbox. Returns false if there is none then. One that is not seen by this process is
    /// taken to be there as long as what looks at mailboxes is away.
    fn make_mailbox(&self, connection: &Connection, account: &Account) -> bool {
        let (login, maildir) = (account.login.as_str(), room::maildir(account));
        match connection.live.backend.mailboxes.make(account, connection.deadline) {
            Ok(was_missing) => {
                if was_missing {
                    tracing::info!(login, "the mailbox {} was missing, and is made", maildir.display());
                }
                self.present.note(maildir);
                true
            }
            Err(why) => {
                if let Some(omitted) = self.unmade.admit() {
                    tracing::warn!(login, omitted, "{why}");
                }
                matches!(why, NotMade::Unasked(_)) && home::presence(account) == Presence::Unseen
            }
        }
    }

    fn enumerate(&self, connection: Connection) {
        if connection.rights.enumerate {
            self.outbox.list(connection);
        } else {
            // There is no word for "no" here that a client would not take for an empty list.
            self.refuse("ENUMERATE", "enumerate_users");
            connection.close();
        }
    }

    fn forget(&self, connection: Connection, what: &str, forget: impl FnOnce(&Authenticator)) {
        if !connection.rights.manage {
            return self.refuse_to_stranger(connection, what);
        }
        forget(&connection.live.backend.authenticator);
        self.send(connection, OK);
    }

    fn tell_status(&self, connection: Connection) {
        if !connection.rights.manage {
            return self.refuse_to_stranger(connection, "STATUS");
        }
        let text = self.status(&connection.live).line();
        self.send(connection, line("OK", &text).as_bytes());
    }

    fn tell_throttle(&self, connection: Connection, question: &ThrottleQuestion) {
        if !connection.rights.manage {
            return self.refuse_to_stranger(connection, "THROTTLE");
        }
        match throttle::answer(question, &connection.live) {
            Some(text) => self.send(connection, line("OK", &text).as_bytes()),
            None => self.send(connection, FAIL),
        }
    }

    fn refuse_to_stranger(&self, connection: Connection, what: &str) {
        if let Some(omitted) = self.refusals.admit() {
            tracing::warn!(omitted, "a client may not use {what}: it is taken from root and this process's own user");
        }
        self.send(connection, FAIL);
    }

    fn refuse(&self, what: &str, key: &str) {
        if let Some(omitted) = self.refusals.admit() {
            tracing::warn!(omitted, "a client may not use {what}; to let it, add its user to [courier] {key}");
        }
    }

    /// Puts `work` for `connection` on `lane`. When it is full, the connection is closed. What a client has hung up on
    /// before its turn comes is not done.
    pub fn queue(
        self: &Arc<Self>,
        lane: &Lane,
        what: &str,
        connection: Connection,
        work: impl FnOnce(Connection) + Send + 'static,
    ) {
        let works = Arc::clone(self);
        let job = move || {
            if connection.is_abandoned() {
                works.count_gone();
            } else {
                work(connection);
            }
        };
        if !lane.push(Box::new(job)) {
            self.turn_away(what);
        }
    }

    /// Counts a client that hung up before its turn.
    pub fn count_gone(&self) {
        self.turned_away.gone.fetch_add(1, Ordering::Relaxed);
    }

    pub fn turn_away(&self, what: &str) {
        self.turned_away.queue_full.fetch_add(1, Ordering::Relaxed);
        if let Some(omitted) = self.overload.admit() {
            tracing::warn!(omitted, "a request was turned away: too many {what} are waiting");
        }
    }

    /// Answers a login or a look-up.
    pub fn reply(self: &Arc<Self>, connection: Connection, answer: Answer<Box<Account>>, form: Form) {
        if form.is_login
            && let Answer::No(no) = &answer
        {
            return self.refuse_login(connection, no);
        }
        if form.opens_mailbox
            && connection.live.backend.authenticator.makes_mailboxes()
            && let Answer::Yes(account) = &answer
            && self.may_lack_mailbox(account)
        {
            return self.reply_at_first_login(connection, account.clone(), form);
        }
        let reply = Reply::account(answer, &form, &connection.live, connection.rights);
        self.give(connection, reply);
    }

    /// Makes the mailbox before the answer. Without one, the answer is "not now": no program could open it.
    fn reply_at_first_login(self: &Arc<Self>, connection: Connection, account: Box<Account>, form: Form) {
        let works = Arc::clone(self);
        self.queue(&self.changes, "mailboxes to be made", connection, move |connection| {
            if works.make_mailbox(&connection, &account) {
                let reply = Reply::account(Answer::Yes(account), &form, &connection.live, connection.rights);
                works.give(connection, reply);
            } else {
                connection.close();
            }
        });
    }

    pub fn give(&self, connection: Connection, reply: Reply) {
        match reply {
            Reply::Bytes(bytes) => self.send(connection, &bytes),
            Reply::Silence => connection.close(),
            Reply::Unsendable(login, why) => {
                if let Some(omitted) = self.unsendable.admit() {
                    tracing::warn!(login = login.as_str(), omitted, "the account cannot be sent: {why}");
                }
                connection.close();
            }
        }
    }

    /// Says no to a login or a change of a password, when that does not tell why, and not before guesses have had their
    /// delay.
    fn refuse_login(&self, connection: Connection, no: &No) {
        let at = connection.live.backend.authenticator.refuse_at(connection.asked).max(Instant::now() + no.delay());
        self.send_at(connection, FAIL, at);
    }

    /// Sends `bytes` at `at` in place of now. Meanwhile the client holds its place among the connections, and no thread.
    pub fn send_at(&self, connection: Connection, bytes: &[u8], at: Instant) {
        self.held.send_at(connection, bytes, at);
    }

    /// Sends what [`Works::send_at`] was given, until the server stops.
    pub fn send_held(&self) {
        self.held.run(|connection, bytes| self.send(connection, bytes));
    }

    fn send(&self, connection: Connection, bytes: &[u8]) {
        match connection.send(bytes) {
            Sent::All => connection.close(),
            Sent::Some(count) => self.outbox.finish(connection, bytes.get(count..).unwrap_or_default()),
            Sent::Gone => {}
        }
    }
}

/// Does the thread that answers ask the database itself?
fn looks_up(command: &Command) -> bool {
    match command {
        Command::LookUp { .. } | Command::LogIn { .. } | Command::Challenge { .. } => true,
        Command::Ask(Question::Recipient { .. }) => false,
        Command::Ask(_) => true,
        Command::ChangePassword { .. } | Command::Enumerate => false,
        Command::Forget(_) | Command::Changed(_) | Command::Status | Command::Throttle(_) => false,
        Command::Never(_) => false,
    }
}

fn ask(
    connection: &Connection,
    client: Option<String>,
    service: &[u8],
    login: Vec<u8>,
    credential: Credential,
) -> authenticate::Request {
    let deadline: Instant = connection.deadline;
    authenticate::Request { service: Service::from_name(service), login, credential, client, deadline }
}
