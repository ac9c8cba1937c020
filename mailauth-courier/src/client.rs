//! Asking a daemon on an authdaemon socket: ours, or Courier's own.

mod door;
mod reason;

use self::door::Door;
use self::reason::Failure;
use crate::protocol::{self, MAX_REPLY, PasswdFields, Question, Reply, Uncomposable};
use mailauth_core::account::{Account, LoginError, trimmed};
use mailauth_core::authenticate::{Answer, Authority, Credential, No, NotNow, PasswordChange, Request};
use mailauth_core::store::Changed;
use mailauth_core::{Secret, Service};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The client of an authdaemon socket.
///
/// Each request is a connection of its own, as the protocol has it. Calls block until the deadline at most; there is no
/// thread, and no state between requests. A daemon says "no" without a reason ([`No::Unexplained`]); if it says nothing,
/// or nothing that can be read, the answer is [`NotNow::Daemon`]; if nobody is there or it does not answer in time,
/// [`NotNow::NoDaemon`].
///
/// ```no_run
/// use mailauth_core::Service;
/// use mailauth_core::authenticate::{Answer, Authority, Credential, Request};
/// use mailauth_courier::client::Client;
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
    door: Door,
    patience: Duration,
}

impl Client {
    /// Asks on `socket`, and waits for an answer at most `patience`, or until the request's own deadline.
    pub fn new(socket: impl Into<PathBuf>, patience: Duration) -> Self {
        Client { door: Door::Socket(socket.into()), patience }
    }

    /// Starts a program, given with its arguments, for each request: it finds the connection as its standard input and
    /// output. For one that stands in while the daemon is away. Its environment is empty.
    pub fn of_program(command: Vec<OsString>, patience: Duration) -> Self {
        Client { door: Door::Program(command), patience }
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
        let mut buffer = Zeroizing::new([0; MAX_REPLY + 1]);
        match self.exchange(request.expose(), deadline.min(Instant::now() + self.patience), &mut *buffer) {
            Ok(Reply::Ok) | Err(Failure { errno: Errno::NOENT | Errno::CONNREFUSED, .. }) => Answer::Yes(()),
            Ok(Reply::Fail) => Answer::No(No::Unexplained),
            Ok(other) => self.unclear(&other),
            Err(failure) => self.no_daemon(&failure),
        }
    }

    /// How our own daemon is, as JSON: what `mailauth_courier::status::Status` reads. Courier's daemon closes without an
    /// answer: [`NotNow::Daemon`].
    pub fn status(&self, deadline: Instant) -> Answer<String> {
        self.ask(&protocol::status(), deadline, |reply| match reply {
            Reply::Text(text) => Answer::Yes(text.to_owned()),
            Reply::Fail => Answer::No(No::Unexplained),
            other => self.unclear(&other),
        })
    }

    /// Sends `request` and gives the reply to `understand`.
    fn ask<T>(&self, request: &Secret, deadline: Instant, understand: impl Fn(Reply<'_>) -> Answer<T>) -> Answer<T> {
        let deadline = deadline.min(Instant::now() + self.patience);
        let mut buffer = Zeroizing::new([0; MAX_REPLY + 1]);
        match self.exchange(request.expose(), deadline, &mut *buffer) {
            Ok(reply) => understand(reply),
            Err(failure) => self.no_daemon(&failure),
        }
    }

    fn no_daemon<T>(&self, failure: &Failure) -> Answer<T> {
        Answer::NotNow(NotNow::NoDaemon(failure.explain(&self.door)))
    }

    fn exchange<'a>(&self, request: &[u8], deadline: Instant, buffer: &'a mut [u8]) -> Result<Reply<'a>, Failure> {
        let allowed = deadline.saturating_duration_since(Instant::now());
        let failed = |connecting| move |errno| Failure { connecting, errno, limit: allowed };
        let way = self.door.open(deadline).map_err(failed(true))?;
        let socket = &way.socket;
        limit(socket, Timeout::Send, deadline).map_err(failed(false))?;
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
                Err(errno) => return Err(failed(false)(errno)),
            }
        }
        let mut length = 0;
        loop {
            limit(socket, Timeout::Recv, deadline).map_err(failed(false))?;
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
                Err(errno) => return Err(failed(false)(errno)),
            };
            match Reply::read(buffer.get(..length).unwrap_or_default(), ended) {
                Reply::Incomplete => {}
                Reply::Nothing { .. } => break Ok(Reply::Nothing { unread }),
                _ => break Ok(Reply::read(buffer.get(..length).unwrap_or_default(), ended)),
            }
        }
    }

    /// What a reply means that is neither yes nor no.
    fn unclear<T>(&self, reply: &Reply<'_>) -> Answer<T> {
        match reply {
            Reply::Nothing { unread } => Answer::NotNow(NotNow::Daemon(reason::closed(&self.door, *unread))),
            reply => self.not_now(reply),
        }
    }

    fn not_now<T>(&self, why: impl std::fmt::Display) -> Answer<T> {
        Answer::NotNow(NotNow::Daemon(match &self.door {
            Door::Socket(_) => format!("the daemon cannot say: {why} ({})", self.door),
            Door::Program(_) => format!("{}: {why}", self.door),
        }))
    }

    fn uncomposable<T>(&self, what: Uncomposable, login: &[u8]) -> Answer<T> {
        match what.0 {
            "login" if login.is_empty() => Answer::No(No::UnusableLogin(LoginError::Empty)),
            "login" => Answer::No(No::UnusableLogin(LoginError::Unprintable)),
            "password" | "old password" | "new password" => Answer::No(No::UnusablePassword),
            // The parts fit each for itself, but not together: longer than any login and password can be.
            "request" => Answer::No(No::UnusablePassword),
            "address" => Answer::No(No::UnusableLogin(LoginError::Unprintable)),
            _ => self.not_now(what),
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
        self.ask(&request, deadline, |reply| match reply {
            Reply::Ok => Answer::Yes(String::new()),
            Reply::Text(text) => Answer::Yes(text.to_owned()),
            Reply::Fail => Answer::No(No::Unexplained),
            Reply::Over(text) => Answer::No(No::OverQuota(text.to_owned())),
            Reply::NoMail => Answer::No(No::NoMail),
            other => self.unclear(&other),
        })
    }
}

/// Bounds the next system calls of that direction. Zero would be no bound.
pub(crate) fn limit(socket: &OwnedFd, direction: Timeout, deadline: Instant) -> Result<(), Errno> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Errno::AGAIN);
    }
    set_socket_timeout(socket, direction, Some(left.max(Duration::from_millis(1))))
}

#[cfg(feature = "server")]
impl Client {
    /// Returns the number of the process that listens on the socket: 0 where this process cannot see it.
    ///
    /// # Errors
    /// When no connection is made.
    pub fn listener(&self, deadline: Instant) -> std::io::Result<u32> {
        use rustix::fd::AsFd;
        let way = self.door.open(deadline)?;
        let peer = crate::server::peer_credentials(way.socket.as_fd())?;
        Ok(u32::try_from(peer.pid).unwrap_or(0))
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
        self.ask(&composed, request.deadline, |reply| match reply {
            Reply::Record(record) => match record.account() {
                Ok(account) => Answer::Yes(Box::new(account)),
                Err(error) => self.not_now(format_args!("its record is no account: {error}")),
            },
            Reply::Fail => Answer::No(No::Unexplained),
            other => self.unclear(&other),
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
        self.ask(&composed, request.deadline, |reply| match reply {
            Reply::Ok => Answer::Yes(()),
            Reply::Fail => Answer::No(No::Unexplained),
            other => self.unclear(&other),
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
