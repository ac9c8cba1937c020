//! Look-ups of accounts: the conversation with the mail processes, the LMTP server and the administration of Dovecot.
//!
//! The lines are described in [`crate::protocol`].

mod mask;
#[cfg(test)]
mod tests;

use crate::answerer::{Ask, Told};
use crate::conversation::{Action, Conversation, QuestionNumber};
use crate::finished_logins::FinishedLogins;
use crate::protocol::lines::{LineBuffer, TooLong};
use crate::protocol::lookup_request::{FinishedRequest, LookupLine, User};
use crate::protocol::reply::{self, Line};
use crate::protocol::{Malformed, handshake};
use crate::scope::Scope;
use crate::settings::Settings;
use mailauth_core::Service;
use mailauth_core::account::Account;
use mailauth_core::answer::{Answer, No, Refusal};
use mailauth_core::authenticate::{Credential, Flushed, Request};
use mailauth_core::store::Cursor;
use mask::Mask;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time in which a look-up is answered.
const PATIENCE: Duration = Duration::from_secs(4);

/// Reason that is sent if the answer cannot be known.
const NOT_NOW: &str = "Temporary failure, try again later";

/// Reason that is sent to a client that may look up only the accounts with its own uid.
const OUT_OF_SCOPE: &str = "Only accounts with your own uid may be looked up at this socket";

/// A connection on which accounts are looked up.
pub struct LookupConversation {
    settings: Arc<Settings>,
    /// The accounts that the client may look up.
    scope: Scope,
    /// The registry of successes on login connections, if this is a connection of the master's socket.
    finished: Option<Arc<FinishedLogins>>,
    /// Second number of the client's version, once that is known.
    minor: Option<u32>,
    ended: bool,
    lines: LineBuffer,
    asked: HashMap<QuestionNumber, Asked>,
    next_question: QuestionNumber,
}

/// A request that is being decided.
enum Asked {
    User { id: u32, is_2_4: bool, is_for_mail: bool },
    List { id: u32, mask: Option<Mask> },
    Flush { id: u32, rest: VecDeque<String>, number: usize },
}

impl LookupConversation {
    /// Returns the conversation with a client that looks up accounts of `scope`.
    pub fn userdb(settings: Arc<Settings>, scope: Scope) -> Self {
        Self::new(settings, scope, None)
    }

    /// Returns the conversation with a client that may also ask for the successes in `finished`.
    ///
    /// `scope` does not restrict those: a client that knows the cookie of a login connection may know its account.
    pub fn master(settings: Arc<Settings>, scope: Scope, finished: Arc<FinishedLogins>) -> Self {
        Self::new(settings, scope, Some(finished))
    }

    fn new(settings: Arc<Settings>, scope: Scope, finished: Option<Arc<FinishedLogins>>) -> Self {
        LookupConversation {
            settings,
            scope,
            finished,
            minor: None,
            ended: false,
            lines: LineBuffer::default(),
            asked: HashMap::new(),
            next_question: 0,
        }
    }

    /// Handles the lines that are complete, as long as there may be more requests in flight.
    fn advance(&mut self, actions: &mut Vec<Action>) {
        let mut lines = std::mem::take(&mut self.lines);
        while !self.ended && self.in_flight() < self.settings.max_in_flight {
            let handled = match lines.next_line() {
                None => break,
                Some(Ok(line)) => self.handle(line, actions),
                Some(Err(TooLong)) => Err(Malformed("the client sent a line of more than 16384 bytes")),
            };
            if let Err(Malformed(why)) = handled {
                self.ended = true;
                actions.push(Action::Close(why));
            }
        }
        if !self.ended {
            self.lines = lines;
        }
    }

    fn handle(&mut self, line: &[u8], actions: &mut Vec<Action>) -> Result<(), Malformed> {
        let (minor, line) = match (self.minor, LookupLine::parse(line)?) {
            (None, LookupLine::Version(minor)) => {
                self.minor = Some(minor);
                return Ok(());
            }
            (None, _) => return Err(Malformed("the client did not begin with its version")),
            (Some(_), LookupLine::Version(_)) => return Err(Malformed("the client sent its version twice")),
            (Some(minor), line) => (minor, line),
        };
        match (line, &self.finished) {
            (LookupLine::User(id, user), _) => self.look_up(id, user, minor, actions),
            (LookupLine::Pass(id), _) => {
                actions.push(Action::Send(reply::look_up_failed(id, "Passwords are not looked up here")));
            }
            (LookupLine::List(id, _), _) if self.scope != Scope::All => {
                let mut lines = Line::default();
                reply::list_ended(&mut lines, id, false);
                actions.push(Action::Send(lines));
            }
            (LookupLine::List(id, mask), _) => {
                self.ask(Asked::List { id, mask: mask.as_deref().map(Mask::new) }, Ask::List(None), actions);
            }
            (LookupLine::Request(id, request), Some(finished)) => {
                actions.push(Action::Send(finished_login(finished, id, &request)));
            }
            (LookupLine::CacheFlush(id, _), Some(_)) if self.scope != Scope::All => {
                actions.push(Action::Send(reply::look_up_failed(id, OUT_OF_SCOPE)));
            }
            (LookupLine::CacheFlush(id, logins), Some(_)) => self.begin_flush(id, &logins, actions),
            _ => return Err(Malformed("the client sent a request that is only for the master's socket")),
        }
        Ok(())
    }

    fn ask(&mut self, asked: Asked, ask: Ask, actions: &mut Vec<Action>) {
        actions.push(Action::Ask(self.next_question, ask));
        self.remember(asked);
    }

    fn remember(&mut self, asked: Asked) {
        self.asked.insert(self.next_question, asked);
        self.next_question += 1;
    }

    fn look_up(&mut self, id: u32, user: User, minor: u32, actions: &mut Vec<Action>) {
        let is_2_4 = user.is_2_4 || minor >= 3;
        let is_for_mail = user.service == Service::Delivery;
        let request = Request {
            // Names such as doveadm are no services that an account may or may not use.
            service: if matches!(user.service, Service::Other(_)) { Service::Delivery } else { user.service },
            login: user.login,
            credential: Credential::Lookup,
            client: user.client.map(|address| address.to_string()),
            deadline: Instant::now() + PATIENCE,
        };
        self.ask(Asked::User { id, is_2_4, is_for_mail }, Ask::Account(request), actions);
    }

    fn begin_flush(&mut self, id: u32, logins: &[Vec<u8>], actions: &mut Vec<Action>) {
        // What is not UTF-8 is no login, so nothing is remembered of it.
        let mut rest: VecDeque<_> = logins.iter().filter_map(|login| String::from_utf8(login.clone()).ok()).collect();
        let first = rest.pop_front();
        if first.is_none() && !logins.is_empty() {
            actions.push(Action::Send(reply::flushed(id, 0)));
            return;
        }
        self.ask(Asked::Flush { id, rest, number: 0 }, Ask::Flush(first), actions);
    }

    /// Takes a page of a list, and asks for the next one.
    fn list(&mut self, id: u32, mask: Option<Mask>, page: Option<Page>, actions: &mut Vec<Action>) {
        let mut lines = Line::default();
        let Some(Ok((accounts, next))) = page else {
            reply::list_ended(&mut lines, id, false);
            actions.push(Action::Send(lines));
            return;
        };
        for account in &accounts {
            let login = account.login.as_str();
            if mask.as_ref().is_none_or(|mask| mask.matches(login.as_bytes())) {
                reply::listed(&mut lines, id, login);
            }
        }
        if next.is_none() {
            reply::list_ended(&mut lines, id, true);
        }
        if !lines.is_empty() {
            actions.push(Action::Send(lines));
        }
        if next.is_some() {
            actions.push(Action::AskWhenSent(self.next_question, Ask::List(next)));
            self.remember(Asked::List { id, mask });
        }
    }

    /// Takes the answer for one login, and asks for the next one.
    fn flush(
        &mut self,
        id: u32,
        mut rest: VecDeque<String>,
        number: usize,
        flushed: Option<Answer<Flushed>>,
        actions: &mut Vec<Action>,
    ) {
        let Some(Ok(Flushed { rows, passwords })) = flushed else {
            actions.push(Action::Send(reply::look_up_failed(id, NOT_NOW)));
            return;
        };
        let number = number + rows + passwords;
        match rest.pop_front() {
            Some(next) => self.ask(Asked::Flush { id, rest, number }, Ask::Flush(Some(next)), actions),
            None => actions.push(Action::Send(reply::flushed(id, number))),
        }
    }
}

type Page = Answer<(Vec<Account>, Option<Cursor>)>;

/// Returns the reply to USER.
fn user(id: u32, is_2_4: bool, is_for_mail: bool, scope: Scope, told: Option<Told>) -> Line {
    let no = match told {
        Some(Told::Account { answer: Ok(account), .. }) if !scope.covers(account.uid) => {
            return reply::look_up_failed(id, OUT_OF_SCOPE);
        }
        Some(Told::Account { answer: Ok(account), .. }) => return reply::user(id, &account, is_2_4, &[]),
        Some(Told::Account { answer: Err(Refusal::No(no)), .. }) => no,
        _ => return reply::look_up_failed(id, NOT_NOW),
    };
    match no {
        No::UnusableLogin(_) | No::UnknownLogin | No::AccountDisabled | No::DomainDisabled | No::ServiceNotAllowed => {
            reply::not_found(id)
        }
        No::NoMail if is_for_mail => reply::not_found(id),
        No::NoMail => reply::look_up_failed(id, "The account receives no mail"),
        _ => reply::look_up_failed(id, "The account cannot be used, see the log"),
    }
}

/// Returns the reply to REQUEST.
fn finished_login(finished: &FinishedLogins, id: u32, request: &FinishedRequest<'_>) -> Line {
    match finished.take(request.cpid, request.id, request.cookie, Instant::now()) {
        Some(login) => reply::user(id, &login.account, login.is_2_4, &[("auth_mech", login.mechanism)]),
        None => reply::fail(id, b"", None),
    }
}

impl Conversation for LookupConversation {
    fn greeting(&mut self) -> Vec<u8> {
        handshake::for_lookups(self.settings.spid)
    }

    fn receive(&mut self, input: &[u8], actions: &mut Vec<Action>) {
        if !self.ended {
            self.lines.push(input);
            self.advance(actions);
        }
    }

    fn told(&mut self, number: QuestionNumber, told: Option<Told>, actions: &mut Vec<Action>) {
        match (self.asked.remove(&number), told) {
            (None, _) => return,
            (Some(Asked::User { id, is_2_4, is_for_mail }), told) => {
                actions.push(Action::Send(user(id, is_2_4, is_for_mail, self.scope, told)));
            }
            (Some(Asked::List { id, mask }), Some(Told::Page(page))) => self.list(id, mask, Some(page), actions),
            (Some(Asked::List { id, mask }), _) => self.list(id, mask, None, actions),
            (Some(Asked::Flush { id, rest, number }), Some(Told::Flushed(flushed))) => {
                self.flush(id, rest, number, Some(flushed), actions);
            }
            (Some(Asked::Flush { id, rest, number }), _) => self.flush(id, rest, number, None, actions),
        }
        self.advance(actions);
    }

    fn in_flight(&self) -> usize {
        self.asked.len()
    }

    fn expiry(&self) -> Option<Instant> {
        None
    }

    fn expire(&mut self, _: Instant, _: &mut Vec<Action>) {}
}
