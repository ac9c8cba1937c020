//! From a request to its answer.
//!
//! What is quick is done by whichever thread has the request; what hashes, changes a password or lists accounts goes to
//! a lane of its own. "Not now" is always the same: the connection is dropped without a byte.

use super::connection::{Connection, Sent};
use super::crew::Crew;
use super::lane::Lane;
use super::outbox::Outbox;
use super::throttle::Throttle;
use crate::protocol::{self, Command, FAIL, OK, Passwords, Request};
use mailauth_core::account::Account;
use mailauth_core::authenticate::{self, Answer, Authority as _, Credential, PasswordChange, Step};
use mailauth_core::password::Stored;
use mailauth_core::{Secret, Service};
use std::sync::Arc;
use std::time::Instant;

/// The lanes, and what is counted and said about them.
pub(super) struct Works {
    /// Look-ups and cheap passwords that their reader could not do itself.
    pub lookups: Arc<Lane>,
    /// Passwords that take milliseconds.
    pub hashing: Arc<Lane>,
    /// `PASSWD`, which looks up, hashes and writes.
    pub changes: Arc<Lane>,
    /// `ENUMERATE`.
    pub outbox: Arc<Outbox>,
    /// The threads that accept.
    pub crew: Crew,
    pub overload: Throttle,
    pub refusals: Throttle,
    pub unsendable: Throttle,
}

/// A login or look-up, and what its answer needs beside the account.
struct Question {
    request: authenticate::Request,
    form: Form,
}

/// What is special in a record, beside the account.
struct Form {
    /// The password sent, when it is to be repeated.
    sent: Option<Secret>,
    /// The mail server of Courier itself takes `MAILDIR` for delivery instructions, as in dot-courier(5), that go before
    /// its own: `Maildir`, without `./`, would be an address to send the mail on to. We have no such instructions.
    without_maildir: bool,
}

impl Form {
    fn of(service: &[u8]) -> Self {
        Form { sent: None, without_maildir: service == b"courier" }
    }
}

impl Works {
    /// Answers `request` on the thread that accepted it.
    pub fn answer_here(self: &Arc<Self>, connection: Connection, request: Request) {
        let _shift = self.crew.begin();
        self.answer(connection, request);
    }

    /// Answers `request` on the lane for look-ups, if it needs one.
    pub fn answer_elsewhere(self: &Arc<Self>, connection: Connection, request: Request) {
        if !looks_up(&request.command) {
            return self.answer(connection, request);
        }
        let works = Arc::clone(self);
        self.queue(&self.lookups, "look-ups", move || works.answer(connection, request));
    }

    fn answer(self: &Arc<Self>, connection: Connection, request: Request) {
        match request.command {
            Command::Enumerate => self.enumerate(connection),
            Command::Never(why) => {
                tracing::debug!(why, "a request that no account can fit");
                self.send(connection, FAIL);
            }
            Command::ChangePassword { service, login, old, new } => {
                let request = ask(&connection, request.client, &service, login, Credential::Password(old));
                self.change(connection, PasswordChange { request, new });
            }
            Command::LookUp { service, login } => {
                let request = ask(&connection, request.client, &service, login, Credential::Lookup);
                self.decide(connection, Question { request, form: Form::of(&service) });
            }
            Command::LogIn { service, login, password } => {
                let sent = connection.live.send_clear.then(|| password.clone());
                let request = ask(&connection, request.client, &service, login, Credential::Password(password));
                self.decide(connection, Question { request, form: Form { sent, ..Form::of(&service) } });
            }
            Command::Challenge { service, mechanism, response } => {
                let login = response.login().to_vec();
                let credential = Credential::Cram(mechanism, response);
                let request = ask(&connection, request.client, &service, login, credential);
                self.decide(connection, Question { request, form: Form::of(&service) });
            }
        }
    }

    fn decide(self: &Arc<Self>, connection: Connection, question: Question) {
        let Question { request, form } = question;
        match connection.live.authenticator.begin(request) {
            Step::Decided(answer) => self.reply(connection, answer, &form),
            Step::Hash(verification) => {
                let works = Arc::clone(self);
                self.queue(&self.hashing, "passwords", move || {
                    let answer = connection.live.authenticator.finish(verification);
                    works.reply(connection, answer, &form);
                });
            }
        }
    }

    fn change(self: &Arc<Self>, connection: Connection, change: PasswordChange) {
        if !connection.rights.passwd {
            self.refuse("PASSWD", "passwd_users");
            return self.send(connection, FAIL);
        }
        let works = Arc::clone(self);
        self.queue(&self.changes, "password changes", move || {
            match connection.live.authenticator.change_password(change) {
                Answer::Yes(()) => works.send(connection, OK),
                Answer::No(_) => works.send(connection, FAIL),
                Answer::NotNow(_) => connection.close(),
            }
        });
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

    fn refuse(&self, what: &str, key: &str) {
        if let Some(omitted) = self.refusals.admit() {
            tracing::warn!(omitted, "a client may not use {what}; to let it, add its user to [courier] {key}");
        }
    }

    /// Puts `work` on `lane`. When it is full, the connection in `work` is closed.
    fn queue(&self, lane: &Lane, what: &str, work: impl FnOnce() + Send + 'static) {
        if !lane.push(Box::new(work))
            && let Some(omitted) = self.overload.admit()
        {
            tracing::warn!(omitted, "a request was turned away: too many {what} are waiting");
        }
    }

    fn reply(&self, connection: Connection, answer: Answer<Box<Account>>, form: &Form) {
        let mut account = match answer {
            Answer::Yes(account) => account,
            Answer::No(_) => return self.send(connection, FAIL),
            Answer::NotNow(_) => return connection.close(),
        };
        if form.without_maildir {
            account.maildir = None;
        }
        let live = &connection.live;
        let stored = account.password.0.expose();
        let read = if live.send_hash || live.send_clear { Stored::parse(stored, &live.rules).ok() } else { None };
        let kept = read.as_ref().and_then(Stored::clear);
        let passwords = Passwords {
            // What cannot be read could be a clear password.
            hash: (live.send_hash && read.is_some() && kept.is_none()).then_some(stored),
            // One with a control character cannot be sent; who needs it has to do without.
            clear: form
                .sent
                .as_ref()
                .map(Secret::expose)
                .or(kept.filter(|_| live.send_clear))
                .filter(|clear| is_text(clear)),
        };
        match protocol::account(&account, passwords) {
            Ok(reply) => self.send(connection, &reply),
            Err(why) => {
                if let Some(omitted) = self.unsendable.admit() {
                    tracing::warn!(login = account.login.as_str(), omitted, "the account cannot be sent: {why}");
                }
                connection.close();
            }
        }
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
        Command::ChangePassword { .. } | Command::Enumerate | Command::Never(_) => false,
    }
}

fn is_text(bytes: &[u8]) -> bool {
    !bytes.iter().any(u8::is_ascii_control)
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
