//! Logins: the conversation with mail servers, and with the login processes of Dovecot.
//!
//! The lines are described in [`crate::protocol`].

mod request;
#[cfg(test)]
mod tests;

use crate::answerer::{Ask, Told};
use crate::conversation::{Action, Conversation, QuestionNumber};
use crate::finished_logins::{FinishedLogin, FinishedLogins, LoginConnection};
use crate::mechanism::Step;
use crate::protocol::lines::{LineBuffer, TooLong};
use crate::protocol::login_request::{LoginLine, LoginRequest, parse_base64};
use crate::protocol::reply::{self, FailCode, Line};
use crate::protocol::{Malformed, escape, handshake};
use crate::settings::{Cookie, NoRandomNumbers, Settings};
use mailauth_core::account::Account;
use mailauth_core::answer::Refusal;
use mailauth_core::authenticate::Credential;
use request::{Asked, Dialog, Held, LoginInfo};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Time in which a login is answered. Exim waits for an answer without end, and other clients as long as five seconds.
const PATIENCE: Duration = Duration::from_secs(4);

/// Time after which an exchange ends whose client does not respond.
const UNFINISHED: Duration = Duration::from_secs(150);

/// Maximum number of exchanges on one connection that wait for their client. Of more, the oldest ends.
const MAX_DIALOGS: usize = 1000;

/// Number of the next connection.
static NEXT_CUID: AtomicU32 = AtomicU32::new(1);

/// A connection on which clients log in.
pub struct LoginConversation {
    settings: Arc<Settings>,
    /// The registry of successes, if the client is a login process of Dovecot.
    finished: Option<Arc<FinishedLogins>>,
    /// The place of this connection there, once the client's process id is known.
    connection: Option<LoginConnection>,
    cookie: Cookie,
    phase: Phase,
    lines: LineBuffer,
    /// Exchanges that wait for the client.
    dialogs: HashMap<u32, Dialog>,
    /// Requests that are being decided.
    asked: HashMap<u32, Asked>,
    /// The request of each question.
    questions: HashMap<QuestionNumber, u32>,
    next_question: QuestionNumber,
    /// Refusals that are sent later.
    held: HashMap<u32, Held>,
    /// When dialogs end.
    ends: BTreeSet<(Instant, u32)>,
    /// When refusals are sent.
    due: BTreeSet<(Instant, u32)>,
    /// When the next finished login expires, or earlier.
    finished_end: Option<Instant>,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The client's version is expected.
    Version,
    /// The client's process id is expected.
    Cpid { minor: u32 },
    /// Requests are expected.
    Requests { minor: u32 },
    /// Nothing is read any more.
    Ended,
}

impl LoginConversation {
    /// Returns the conversation with a mail server.
    ///
    /// # Errors
    /// Fails if there are no random numbers.
    pub fn for_clients(settings: Arc<Settings>) -> Result<Self, NoRandomNumbers> {
        Self::new(settings, None)
    }

    /// Returns the conversation with a login process of Dovecot, whose successes are kept in `finished` for the mail
    /// processes. It leaves `finished` when it is dropped.
    ///
    /// # Errors
    /// Fails if there are no random numbers.
    pub fn for_login_processes(
        settings: Arc<Settings>,
        finished: Arc<FinishedLogins>,
    ) -> Result<Self, NoRandomNumbers> {
        Self::new(settings, Some(finished))
    }

    fn new(settings: Arc<Settings>, finished: Option<Arc<FinishedLogins>>) -> Result<Self, NoRandomNumbers> {
        Ok(LoginConversation {
            settings,
            finished,
            connection: None,
            cookie: Cookie::random()?,
            phase: Phase::Version,
            lines: LineBuffer::default(),
            dialogs: HashMap::new(),
            asked: HashMap::new(),
            questions: HashMap::new(),
            next_question: 0,
            held: HashMap::new(),
            ends: BTreeSet::new(),
            due: BTreeSet::new(),
            finished_end: None,
        })
    }

    /// Handles the lines that are complete, as long as there may be more requests in flight.
    fn advance(&mut self, actions: &mut Vec<Action>) {
        let mut lines = std::mem::take(&mut self.lines);
        while self.phase != Phase::Ended && self.in_flight() < self.settings.max_in_flight {
            let handled = match lines.next_line() {
                None => break,
                Some(Ok(line)) => self.handle(line, actions),
                Some(Err(TooLong)) => Err(Malformed("the client sent a line of more than 16384 bytes")),
            };
            if let Err(Malformed(why)) = handled {
                self.phase = Phase::Ended;
                actions.push(Action::Close(why));
            }
        }
        if self.phase != Phase::Ended {
            self.lines = lines;
        }
    }

    fn handle(&mut self, line: &[u8], actions: &mut Vec<Action>) -> Result<(), Malformed> {
        match (self.phase, LoginLine::parse(line)?) {
            (Phase::Version, LoginLine::Version(minor)) => self.phase = Phase::Cpid { minor },
            (Phase::Cpid { minor }, LoginLine::Cpid(cpid)) => {
                if let Some(finished) = &self.finished {
                    let connection = finished.open(cpid, &self.cookie);
                    let too_many = Malformed("the login process has too many connections with the same CPID");
                    self.connection = Some(connection.ok_or(too_many)?);
                }
                self.phase = Phase::Requests { minor };
            }
            (Phase::Requests { minor }, LoginLine::Auth(request)) => return self.begin(&request, minor, actions),
            (Phase::Requests { .. }, LoginLine::Cont(id, response)) => {
                let response = response.ok_or(Malformed("CONT without a response"))?;
                self.go_on(id, response, actions);
            }
            (Phase::Requests { .. }, LoginLine::Cancel(id)) => self.cancel(id, actions),
            _ => return Err(Malformed("the client did not begin with its version and its process id")),
        }
        Ok(())
    }

    /// Begins a request.
    fn begin(&mut self, request: &LoginRequest<'_>, minor: u32, actions: &mut Vec<Action>) -> Result<(), Malformed> {
        let id = request.id;
        if self.dialogs.contains_key(&id) || self.asked.contains_key(&id) || self.held.contains_key(&id) {
            return Err(Malformed("the client used the id of a request that is not finished"));
        }
        if let Some(connection) = &self.connection {
            connection.drop_login(id);
        }
        let Some(mechanism) = self.settings.mechanism(request.mechanism) else {
            actions.push(Action::Send(reply::fail(id, b"", None)));
            return Ok(());
        };
        if self.settings.require_secured && mechanism.is_plaintext() && !request.secured {
            actions.push(Action::Send(reply::fail(id, b"", Some(FailCode::NotSecured))));
            return Ok(());
        }
        let initial = match request.initial {
            // Older clients send this if there is no initial response.
            Some(b"") if minor < 2 => Some(None),
            Some(b"=") => Some(Some(Default::default())),
            Some(response) => parse_base64(response).map(Some),
            None => Some(None),
        };
        let Some(initial) = initial else {
            actions.push(Action::Send(reply::fail(id, b"", Some(FailCode::NotBase64))));
            return Ok(());
        };
        let info = LoginInfo::new(request, mechanism, self.finished.is_some());
        let mut exchange = mechanism.begin();
        let step = exchange.start(initial);
        let until = Instant::now() + UNFINISHED;
        self.take_step(id, Dialog { info, exchange, accepted: None, until }, step, actions);
        Ok(())
    }

    /// Handles the response to a challenge.
    fn go_on(&mut self, id: u32, response: &[u8], actions: &mut Vec<Action>) {
        if self.held.contains_key(&id) {
            // It is refused already.
            return;
        }
        if let Some(asked) = self.asked.remove(&id) {
            // There was no challenge. What was asked must not count either.
            self.forget(asked.question, actions);
            actions.push(Action::Send(reply::fail(id, b"", None)));
            return;
        }
        let Some(mut dialog) = self.take_dialog(id) else {
            actions.push(Action::Send(reply::fail(id, b"", Some(FailCode::NoSuchRequest))));
            return;
        };
        match (parse_base64(response), dialog.accepted.take()) {
            (Some(response), Some(account)) if response.is_empty() => {
                self.succeed(id, &dialog.info, account, None, actions);
            }
            (Some(_), Some(_)) => actions.push(Action::Send(reply::fail(id, b"", None))),
            (Some(response), None) => {
                let step = dialog.exchange.respond(response);
                self.take_step(id, dialog, step, actions);
            }
            (None, _) => actions.push(Action::Send(reply::fail(id, b"", Some(FailCode::NotBase64)))),
        }
    }

    fn take_step(&mut self, id: u32, dialog: Dialog, step: Step, actions: &mut Vec<Action>) {
        match step {
            Step::Challenge(challenge) => {
                actions.push(Action::Send(reply::challenge(id, &challenge)));
                self.wait_for_client(id, dialog);
            }
            Step::Decide { login, credential } => {
                let request = dialog.info.request(login.clone(), credential, Instant::now() + PATIENCE);
                self.ask(id, Asked { question: self.next_question, login, dialog }, Ask::Account(request), actions);
            }
            Step::AskScramParameters { mechanism, login } => {
                let request = dialog.info.request(login.clone(), Credential::Lookup, Instant::now() + PATIENCE);
                let ask = Ask::Scram(mechanism, request);
                self.ask(id, Asked { question: self.next_question, login, dialog }, ask, actions);
            }
            Step::Refuse(code) => actions.push(Action::Send(reply::fail(id, b"", code))),
            Step::NotNow => self.not_now(id, &dialog.info, b"", actions),
        }
    }

    fn wait_for_client(&mut self, id: u32, dialog: Dialog) {
        self.ends.insert((dialog.until, id));
        self.dialogs.insert(id, dialog);
        if self.dialogs.len() > MAX_DIALOGS
            && let Some((_, oldest)) = self.ends.first().copied()
        {
            self.take_dialog(oldest);
        }
    }

    fn take_dialog(&mut self, id: u32) -> Option<Dialog> {
        let dialog = self.dialogs.remove(&id)?;
        self.ends.remove(&(dialog.until, id));
        Some(dialog)
    }

    fn ask(&mut self, id: u32, asked: Asked, ask: Ask, actions: &mut Vec<Action>) {
        self.next_question += 1;
        self.questions.insert(asked.question, id);
        actions.push(Action::Ask(asked.question, ask));
        self.asked.insert(id, asked);
    }

    fn forget(&mut self, question: QuestionNumber, actions: &mut Vec<Action>) {
        self.questions.remove(&question);
        actions.push(Action::Forget(question));
    }

    /// Ends a request without an answer.
    fn cancel(&mut self, id: u32, actions: &mut Vec<Action>) {
        self.take_dialog(id);
        if let Some(held) = self.held.remove(&id) {
            self.due.remove(&(held.at, id));
        }
        if let Some(asked) = self.asked.remove(&id) {
            self.forget(asked.question, actions);
        }
        if let Some(connection) = &self.connection {
            connection.drop_login(id);
        }
    }

    /// Takes the answer to a login.
    fn decided(&mut self, id: u32, mut asked: Asked, told: Option<Told>, actions: &mut Vec<Action>) {
        match told {
            Some(Told::Account { answer: Ok(account), .. }) => self.accept(id, asked, account, actions),
            Some(Told::Account { answer: Err(Refusal::No(no)), refuse_at }) => {
                // The reason is for the log. None is sent, not even that of a disabled account, because it would tell
                // that the password is right.
                self.hold(id, Held { at: refuse_at + no.delay(), line: reply::fail(id, &asked.login, None) }, actions);
            }
            // What was asked before the connection was to be closed is answered, but no exchange goes on.
            Some(Told::Scram(Ok(parameters))) if self.phase != Phase::Ended => {
                let step = asked.dialog.exchange.take_scram_parameters(parameters);
                self.take_step(id, asked.dialog, step, actions);
            }
            _ => self.not_now(id, &asked.dialog.info, &asked.login, actions),
        }
    }

    /// Accepts a login, or first sends the last message of its mechanism and waits for the client to confirm it.
    fn accept(&mut self, id: u32, mut asked: Asked, account: Box<Account>, actions: &mut Vec<Action>) {
        let last = asked.dialog.exchange.last_message();
        match last {
            Some(message) if !asked.dialog.info.final_message_in_ok => {
                if self.phase != Phase::Ended {
                    asked.dialog.accepted = Some(account);
                    actions.push(Action::Send(reply::challenge(id, &message)));
                    self.wait_for_client(id, asked.dialog);
                }
            }
            last => self.succeed(id, &asked.dialog.info, account, last.as_deref(), actions),
        }
    }

    fn succeed(
        &mut self,
        id: u32,
        info: &LoginInfo,
        account: Box<Account>,
        last_message: Option<&[u8]>,
        actions: &mut Vec<Action>,
    ) {
        let login = account.login.as_str();
        if !escape::is_plain(login.as_bytes()) {
            tracing::error!(login, "a login cannot be sent to clients; rename the account");
            return self.not_now(id, info, b"", actions);
        }
        let line = reply::ok(id, login, last_message);
        self.keep(id, info, account);
        actions.push(Action::Send(line));
    }

    /// Keeps a success for the mail process that will ask for it.
    fn keep(&mut self, id: u32, info: &LoginInfo, mut account: Box<Account>) {
        let (Some(connection), false) = (&self.connection, info.no_login) else { return };
        account.password = Default::default();
        let login = FinishedLogin { account, mechanism: info.mechanism.name, is_2_4: info.is_2_4, at: Instant::now() };
        self.finished_end.get_or_insert(login.at + crate::finished_logins::KEPT);
        connection.keep(id, login);
    }

    /// Sends a refusal at its time.
    fn hold(&mut self, id: u32, held: Held, actions: &mut Vec<Action>) {
        if held.at <= Instant::now() {
            actions.push(Action::Send(held.line));
        } else if self.phase == Phase::Ended {
            actions.push(Action::SendAt(held.at, held.line));
        } else {
            self.due.insert((held.at, id));
            self.held.insert(id, held);
        }
    }

    /// Answers that the answer cannot be known: in words if the client understands them, otherwise by closing the
    /// connection.
    fn not_now(&mut self, id: u32, info: &LoginInfo, login: &[u8], actions: &mut Vec<Action>) {
        if info.knows_not_now {
            actions.push(Action::Send(reply::fail(id, login, Some(FailCode::NotNow))));
        } else if self.phase != Phase::Ended {
            self.phase = Phase::Ended;
            self.lines.clear();
            self.dialogs.clear();
            self.ends.clear();
            self.due.clear();
            actions.extend(self.held.drain().map(|(_, held)| Action::SendAt(held.at, held.line)));
            actions.push(Action::CloseWhenAnswered);
        }
    }

    fn send_due(&mut self, now: Instant, actions: &mut Vec<Action>) {
        while let Some((at, id)) = self.due.first().copied()
            && at <= now
        {
            self.due.pop_first();
            let line = self.held.remove(&id).map(|held| held.line);
            actions.extend(line.map(|line: Line| Action::Send(line)));
        }
    }
}

impl Conversation for LoginConversation {
    fn greeting(&mut self) -> Vec<u8> {
        // A number of 0 would mean none to clients.
        let cuid = NEXT_CUID.fetch_add(1, Ordering::Relaxed).max(1);
        handshake::for_logins(&self.settings.mechanisms, self.settings.spid, cuid, self.cookie.expose())
    }

    fn receive(&mut self, input: &[u8], actions: &mut Vec<Action>) {
        if self.phase != Phase::Ended {
            self.lines.push(input);
            self.advance(actions);
        }
    }

    fn told(&mut self, number: QuestionNumber, told: Option<Told>, actions: &mut Vec<Action>) {
        let Some(id) = self.questions.remove(&number) else { return };
        let Some(asked) = self.asked.remove(&id) else { return };
        self.decided(id, asked, told, actions);
        self.advance(actions);
    }

    fn in_flight(&self) -> usize {
        self.asked.len() + self.held.len()
    }

    fn expiry(&self) -> Option<Instant> {
        let first = |set: &BTreeSet<(Instant, u32)>| set.first().map(|(at, _)| *at);
        [first(&self.due), first(&self.ends), self.finished_end].into_iter().flatten().min()
    }

    fn expire(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.send_due(now, actions);
        while let Some((until, id)) = self.ends.first().copied()
            && until <= now
        {
            self.take_dialog(id);
        }
        if self.finished_end.is_some_and(|end| end <= now)
            && let Some(connection) = &self.connection
        {
            self.finished_end = connection.expire(now);
        }
        self.advance(actions);
    }
}
