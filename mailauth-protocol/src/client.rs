//! Asking a daemon on an authdaemon socket: ours, or Courier's own.

mod descriptors;
mod endpoint;
mod permitted;
mod reason;
mod socket;
mod trust;

use self::endpoint::Endpoint;
use self::reason::{Cause, Failure};
use self::socket::set_deadline;
use self::trust::Trust;
use crate::{self as protocol, GuessesQuestion, MAX_REPLY, PasswdFields, Question, Reply, Uncomposable};
use mailauth_core::account::{Account, LoginError, trimmed};
use mailauth_core::authenticate::{Answer, Authority, Credential, No, NotNow, PasswordChange, Request};
use mailauth_core::config::Config;
use mailauth_core::mailbox::{MailboxDefaults, Refused};
use mailauth_core::store::Changed;
use mailauth_core::{Secret, Service};
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::net::sockopt::Timeout;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The client of an authdaemon socket.
///
/// Each request is a connection of its own, as the protocol has it. Calls block until the deadline at most; there is no
/// thread, and no state between requests. A daemon says "no" without a reason ([`No::Unexplained`]); if it says nothing,
/// or nothing that can be read, the answer is [`NotNow::Daemon`]; if nobody is there or it does not answer in time,
/// [`NotNow::NoDaemon`]. So it is if the one that listens there is of a user that must not be sent a password: neither root,
/// nor this process's own user, nor [`Client::trusting`] one.
///
/// ```no_run
/// use mailauth_core::Service;
/// use mailauth_core::authenticate::{Answer, Authority, Credential, Request};
/// use mailauth_protocol::client::Client;
/// use std::time::{Duration, Instant};
///
/// let daemon = Client::new("/run/courier/authdaemon/socket", Duration::from_secs(5));
/// let answer = daemon.authenticate(Request {
///     service: Service::Imap,
///     login: b"anna@example.org".to_vec(),
///     credential: Credential::Password("open sesame".into()),
///     client: None,
///     deadline: Instant::now() + Duration::from_secs(5),
/// });
/// if let Answer::Yes(account) = answer {
///     println!("{} lives in {}", account.login, account.home);
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
    /// Tried where the first is closed.
    other: Option<Endpoint>,
    patience: Duration,
    permits: Option<Arc<MailboxDefaults>>,
}

impl Client {
    /// Asks on `socket`, and waits for an answer at most `patience`, or until the request's own deadline.
    pub fn new(socket: impl Into<PathBuf>, patience: Duration) -> Self {
        Client { endpoint: Endpoint::Socket(socket.into(), Trust::default()), other: None, patience, permits: None }
    }

    /// Asks as `[client]` says, by whom the programs that other daemons start are to be answered. An answer says no more of an
    /// account than `[mailbox]` permits.
    pub fn configured(config: &Config) -> Self {
        let (client, user) = (&config.client, config.server_user());
        Client {
            other: client.other_socket.as_ref().map(|path| endpoint(path, user)),
            ..Self::new(&client.socket, client.deadline)
        }
        .trusting(user)
        .permitting(Arc::new(config.mailbox.clone()))
    }

    /// Asks the daemon that runs by this configuration, wherever `[client]` leads.
    pub fn of_daemon(config: &Config, patience: Duration) -> Self {
        let (courier, user) = (&config.courier, config.server_user());
        let other = courier.own_socket.as_ref().map(|_| endpoint(&courier.socket, user));
        let first = courier.own_socket.as_ref().unwrap_or(&courier.socket);
        Client { other, ..Self::new(first, patience) }.trusting(user)
    }

    /// May also ask a daemon of this user, a name or number.
    #[must_use]
    pub fn trusting(mut self, user: &str) -> Self {
        if let Endpoint::Socket(_, trust) = &mut self.endpoint {
            trust.user = Some(user.to_owned());
        }
        self
    }

    /// Starts a program, given with its arguments, for each request: it finds the connection as its standard input and
    /// output. For one that stands in while the daemon is away. Its environment is empty.
    pub fn of_program(command: Vec<OsString>, patience: Duration) -> Self {
        Client { endpoint: Endpoint::Program(command), other: None, patience, permits: None }
    }

    /// Uses no account that these settings do not permit ([`MailboxDefaults::permit`]), whatever the daemon says: the answer
    /// is [`NotNow::Daemon`] then. Without settings only user 0 and group 0 are not permitted.
    #[must_use]
    pub fn permitting(self, mailbox: Arc<MailboxDefaults>) -> Self {
        Client { permits: Some(mailbox), ..self }
    }

    /// Tells our own daemon what was changed in the database. A yes is that nothing of it is remembered any more, also
    /// because no daemon is there. Courier's daemon closes without an answer: [`NotNow::Daemon`].
    pub fn forget(&self, changed: &Changed, deadline: Instant) -> Answer<()> {
        let request = match protocol::changed(changed) {
            Ok(request) => request,
            Err(what) => return self.uncomposable(what, b""),
        };
        let told = self.tell(&request, deadline);
        match (&told, changed) {
            // An older daemon of ours does not know that request, and keeps rows that the change may have touched.
            (Answer::NotNow(NotNow::Daemon(_)), Changed::Domain(_) | Changed::Additions) => {
                self.forget(&Changed::Everything, deadline)
            }
            _ => told,
        }
    }

    fn tell(&self, request: &Secret, deadline: Instant) -> Answer<()> {
        self.talk(request, deadline, |endpoint, reply| match reply {
            Ok(Reply::Ok) => Answer::Yes(()),
            Ok(Reply::Fail) => Answer::No(No::Unexplained),
            Ok(other) => unclear(endpoint, &other),
            Err(failure) if failure.is_absence() => Answer::Yes(()),
            Err(failure) => no_daemon(endpoint, &failure),
        })
    }

    /// How our own daemon is, as JSON: what `mailauth_protocol::status::Status` reads. Courier's daemon closes without an
    /// answer: [`NotNow::Daemon`].
    pub fn status(&self, deadline: Instant) -> Answer<String> {
        self.ask(&protocol::status(), deadline, |endpoint, reply| match reply {
            Reply::Text(text) => Answer::Yes(text.to_owned()),
            Reply::Fail => Answer::No(No::Unexplained),
            other => unclear(endpoint, &other),
        })
    }

    /// Asks our own daemon about the wrong passwords that it has counted; the answer is what
    /// `mailauth_protocol::guesses` reads. Courier's daemon closes without an answer: [`NotNow::Daemon`].
    pub fn guesses(&self, question: &GuessesQuestion, deadline: Instant) -> Answer<String> {
        let request = match question.compose() {
            Ok(request) => request,
            Err(what) => return self.uncomposable(what, b""),
        };
        self.ask(&request, deadline, |endpoint, reply| match reply {
            Reply::Text(text) => Answer::Yes(text.to_owned()),
            Reply::Fail => Answer::No(No::Unexplained),
            other => unclear(endpoint, &other),
        })
    }

    /// Sends `request` and gives the reply to `understand`.
    fn ask<T>(
        &self,
        request: &Secret,
        deadline: Instant,
        understand: impl Fn(&Endpoint, Reply<'_>) -> Answer<T>,
    ) -> Answer<T> {
        self.talk(request, deadline, |endpoint, reply| match reply {
            Ok(reply) => understand(endpoint, reply),
            Err(failure) => no_daemon(endpoint, &failure),
        })
    }

    /// Where the first endpoint is closed, or what is said there is not even read, the other one is tried. What counts is what
    /// happens there, unless it is closed too.
    fn talk<T>(
        &self,
        request: &Secret,
        deadline: Instant,
        understand: impl Fn(&Endpoint, Result<Reply<'_>, Failure>) -> Answer<T>,
    ) -> Answer<T> {
        let deadline = deadline.min(Instant::now() + self.patience);
        let mut buffer = Zeroizing::new([0; MAX_REPLY + 1]);
        let reply = exchange(&self.endpoint, request.expose(), deadline, &mut *buffer);
        let goes_on = is_useless(&reply);
        let answer = understand(&self.endpoint, reply);
        let Some(other) = self.other.as_ref().filter(|_| goes_on) else { return answer };
        match exchange(other, request.expose(), deadline, &mut *buffer) {
            reply if is_useless(&reply) => answer,
            reply => understand(other, reply),
        }
    }
}

/// Returns true if this endpoint leads nowhere, where another may.
fn is_useless(reply: &Result<Reply<'_>, Failure>) -> bool {
    match reply {
        Ok(reply) => matches!(reply, Reply::Nothing { unread: true }),
        Err(failure) => failure.is_closed_endpoint(),
    }
}

fn endpoint(path: &Path, user: &str) -> Endpoint {
    Endpoint::Socket(path.to_owned(), Trust { user: Some(user.to_owned()) })
}

fn no_daemon<T>(endpoint: &Endpoint, failure: &Failure) -> Answer<T> {
    Answer::NotNow(NotNow::NoDaemon(failure.explain(endpoint)))
}

fn exchange<'a>(
    endpoint: &Endpoint,
    request: &[u8],
    deadline: Instant,
    buffer: &'a mut [u8],
) -> Result<Reply<'a>, Failure> {
    let allowed = deadline.saturating_duration_since(Instant::now());
    let failed = |connecting| move |cause: Cause| Failure { connecting, cause, limit: allowed };
    let channel = endpoint.open(deadline).map_err(failed(true))?;
    let socket = &channel.socket;
    set_deadline(socket, Timeout::Send, deadline).map_err(|errno| failed(false)(errno.into()))?;
    let (mut sent, mut unread) = (0, false);
    while let Some(rest) = request.get(sent..).filter(|rest| !rest.is_empty()) {
        match send(socket, rest, SendFlags::NOSIGNAL) {
            Ok(count) => sent += count,
            Err(Errno::INTR) => {}
            // It has closed already; what it may have said can still be read.
            Err(Errno::PIPE | Errno::CONNRESET) => {
                unread = true;
                break;
            }
            Err(errno) => return Err(failed(false)(errno.into())),
        }
    }
    let mut length = 0;
    loop {
        set_deadline(socket, Timeout::Recv, deadline).map_err(|errno| failed(false)(errno.into()))?;
        let ended = match recv(socket, buffer.get_mut(length..).unwrap_or_default(), RecvFlags::empty()) {
            Ok((count, _)) => {
                length += count;
                count == 0
            }
            Err(Errno::INTR) => false,
            // It has closed with our request unread: it does not let us in, or has too much to do.
            Err(Errno::CONNRESET) => {
                unread = true;
                true
            }
            Err(errno) => return Err(failed(false)(errno.into())),
        };
        match Reply::read(buffer.get(..length).unwrap_or_default(), ended) {
            Reply::Incomplete => {}
            Reply::Nothing { .. } => break Ok(Reply::Nothing { unread }),
            _ => break Ok(Reply::read(buffer.get(..length).unwrap_or_default(), ended)),
        }
    }
}

/// What a reply means that is neither yes nor no.
fn unclear<T>(endpoint: &Endpoint, reply: &Reply<'_>) -> Answer<T> {
    match reply {
        Reply::Nothing { unread } => Answer::NotNow(NotNow::Daemon(reason::closed(endpoint, *unread))),
        reply => not_now(endpoint, reply),
    }
}

fn not_permitted<T>(endpoint: &Endpoint, refused: &Refused) -> Answer<T> {
    Answer::NotNow(NotNow::Daemon(format!("the daemon's answer is not used: its {refused} ({endpoint})")))
}

fn not_now<T>(endpoint: &Endpoint, why: impl std::fmt::Display) -> Answer<T> {
    Answer::NotNow(NotNow::Daemon(match endpoint {
        Endpoint::Socket(..) => format!("the daemon cannot say: {why} ({endpoint})"),
        Endpoint::Program(_) => format!("{endpoint}: {why}"),
    }))
}

impl Client {
    fn uncomposable<T>(&self, what: Uncomposable, login: &[u8]) -> Answer<T> {
        match what.0 {
            "login" if login.is_empty() => Answer::No(No::UnusableLogin(LoginError::Empty)),
            "login" => Answer::No(No::UnusableLogin(LoginError::Unprintable)),
            "password" | "old password" | "new password" => Answer::No(No::UnusablePassword),
            // The parts fit each for itself, but not together: longer than any login and password can be.
            "request" => Answer::No(No::UnusablePassword),
            "address" => Answer::No(No::UnusableLogin(LoginError::Unprintable)),
            _ => not_now(&self.endpoint, what),
        }
    }
}

impl Client {
    /// Asks a question of a mail server, which only our own daemon understands; the text is the answer, empty where that
    /// is a plain yes. Courier's daemon closes without an answer: [`NotNow::Daemon`].
    pub fn route(&self, question: &Question, deadline: Instant) -> Answer<String> {
        let request = match question.compose() {
            Ok(request) => request,
            Err(what) => return self.uncomposable(what, b""),
        };
        self.ask(&request, deadline, |endpoint, reply| match reply {
            Reply::Ok => Answer::Yes(String::new()),
            Reply::Text(text) => match question {
                Question::Account(_) => match permitted::account_text(self.permits.as_deref(), text) {
                    Ok(()) => Answer::Yes(text.to_owned()),
                    Err(refused) => not_permitted(endpoint, &refused),
                },
                _ => Answer::Yes(text.to_owned()),
            },
            Reply::Fail => Answer::No(No::Unexplained),
            Reply::Over(text) => Answer::No(No::OverQuota(text.to_owned())),
            Reply::NoMail => Answer::No(No::NoMail),
            other => unclear(endpoint, &other),
        })
    }
}

impl Client {
    /// Returns the number of the process that listens on the socket, whoever may be asked: 0 where this process cannot see
    /// it.
    ///
    /// # Errors
    /// When no connection is made.
    pub fn listener(&self, deadline: Instant) -> std::io::Result<u32> {
        let channel = self.endpoint.connect(deadline)?;
        let peer = mailauth_core::credentials::peer_credentials(channel.socket.as_fd())?;
        Ok(u32::try_from(peer.pid).unwrap_or(0))
    }

    /// Returns what is wrong with the user of the one that listens on the socket, if that must not be asked.
    pub fn stranger(&self, deadline: Instant) -> Option<String> {
        match self.endpoint.open(deadline) {
            Err(cause @ Cause::Stranger(_)) => {
                let failure = Failure { connecting: true, cause, limit: Duration::ZERO };
                Some(failure.explain(&self.endpoint))
            }
            _ => None,
        }
    }
}

impl Authority for Client {
    fn authenticate(&self, request: Request) -> Answer<Box<Account>> {
        let service = service_name(&request.service);
        let login = trimmed(&request.login);
        let composed = match &request.credential {
            Credential::Lookup | Credential::Secret => protocol::pre(service, login),
            Credential::Password(password) => protocol::auth_login(service, login, password.expose()),
            Credential::Cram(mechanism, response) => protocol::auth_cram(service, *mechanism, response),
        };
        let composed = match composed {
            Ok(composed) => protocol::with_client(request.client.as_deref(), composed),
            Err(what) => return self.uncomposable(what, login),
        };
        self.ask(&composed, request.deadline, |endpoint, reply| match reply {
            Reply::Record(record) => match record.account() {
                Ok(account) => match permitted::account(self.permits.as_deref(), &account) {
                    Ok(()) => Answer::Yes(Box::new(account)),
                    Err(refused) => not_permitted(endpoint, &refused),
                },
                Err(error) => not_now(endpoint, format_args!("its record is no account: {error}")),
            },
            Reply::Fail => Answer::No(No::Unexplained),
            other => unclear(endpoint, &other),
        })
    }

    fn change_password(&self, change: PasswordChange) -> Answer<()> {
        let PasswordChange { request, new } = change;
        let Credential::Password(old) = &request.credential else {
            return Answer::No(No::UnusablePassword);
        };
        let service = service_name(&request.service);
        let login = trimmed(&request.login);
        let fields = PasswdFields { service, login, old: old.expose(), new: new.expose() };
        let composed = match protocol::passwd(fields) {
            Ok(composed) => protocol::with_client(request.client.as_deref(), composed),
            Err(what) => return self.uncomposable(what, login),
        };
        self.ask(&composed, request.deadline, |endpoint, reply| match reply {
            Reply::Ok => Answer::Yes(()),
            Reply::Fail => Answer::No(No::Unexplained),
            other => unclear(endpoint, &other),
        })
    }
}

/// The protocol has no empty service.
fn service_name(service: &Service) -> &[u8] {
    match service.name().as_bytes() {
        b"" => b"unknown",
        name => name,
    }
}
