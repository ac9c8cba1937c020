//! Asking a daemon on an authdaemon socket: mailauth-courier, or Courier's own.

mod descriptors;
mod endpoint;
mod exchange;
mod permitted;
mod reason;
mod reply_buffer;
mod socket;
mod trust;

use self::endpoint::Endpoint;
use self::exchange::exchange;
use self::reason::{Cause, Failure};
use self::reply_buffer::ReplyBuffer;
use self::trust::Trust;
use crate::reply::Record;
use crate::request::{self, PasswdFields, Uncomposable};
use crate::throttle::ThrottleQuestion;
use crate::{Question, Reply};
use mailauth_core::account::{Account, LoginError, trimmed};
use mailauth_core::answer::{Answer, No, NotNow, Refusal};
use mailauth_core::authenticate::{Authority, Credential, PasswordChange, Request};
use mailauth_core::config::Config;
use mailauth_core::mailbox::{MailboxDefaults, Refused};
use mailauth_core::store::Changed;
use mailauth_core::{Secret, Service, system_ids};
use rustix::fd::AsFd;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client of an authdaemon socket.
///
/// Each request is a connection of its own, as the protocol requires. Calls block until the deadline at most. There is
/// no thread, and no state between requests. A daemon answers "no" without a reason ([`No::Unexplained`]). If it closes
/// without an answer, or the answer cannot be read, the result is [`NotNow::Daemon`]. If no daemon is there, or it does
/// not answer in time, the result is [`NotNow::NoDaemon`]; the same holds if the process that listens there belongs to
/// a user that must not receive passwords: neither root, nor this process's own user, nor the one of
/// [`Client::trusting`].
///
/// ```no_run
/// use mailauth_core::Service;
/// use mailauth_core::authenticate::{Authority, Request};
/// use mailauth_protocol::client::Client;
/// use std::time::Duration;
///
/// let daemon = Client::new("/run/courier/authdaemon/socket", Duration::from_secs(5));
/// let answer = daemon.authenticate(Request::password(Service::Imap, "anna@example.org", "open sesame"));
/// if let Ok(account) = answer {
///     println!("{} lives in {}", account.login, account.home);
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
    /// Endpoint to try if the first one is closed.
    other: Option<Endpoint>,
    patience: Duration,
    permits: Option<Arc<MailboxDefaults>>,
}

impl Client {
    /// Creates a client that asks on `socket` and waits for an answer for `patience` at most, or until the request's
    /// own deadline.
    pub fn new(socket: impl Into<PathBuf>, patience: Duration) -> Self {
        Client { endpoint: Endpoint::Socket(socket.into(), Trust::default()), other: None, patience, permits: None }
    }

    /// Creates a client that asks the daemon of `[client]`, for programs that other daemons start. Accounts that
    /// `[mailbox]` does not permit are not used.
    pub fn from_config(config: &Config) -> Self {
        let (client, user) = (&config.client, config.server_user());
        Client {
            other: client.other_socket.as_ref().map(|path| socket_of(path, user)),
            ..Self::new(&client.socket, client.deadline)
        }
        .trusting(user)
        .permitting(Arc::new(config.mailbox.clone()))
    }

    /// Creates a client that asks the daemon that runs with this configuration, whatever `[client]` says.
    pub fn for_daemon(config: &Config, patience: Duration) -> Self {
        let (courier, user) = (&config.courier, config.server_user());
        let other = courier.own_socket.as_ref().map(|_| socket_of(&courier.socket, user));
        let first = courier.own_socket.as_ref().unwrap_or(&courier.socket);
        Client { other, ..Self::new(first, patience) }.trusting(user)
    }

    /// Permits a daemon that runs as this user, given by name or number.
    #[must_use]
    pub fn trusting(mut self, user: &str) -> Self {
        if let Endpoint::Socket(_, trust) = &mut self.endpoint {
            trust.user = Some(user.to_owned());
        }
        self
    }

    /// Looks the user of [`Client::trusting`] up in `/etc/passwd` now, and not again for each request, until a process of
    /// another user listens on the socket. This is for a program that creates a new client after that file has changed.
    #[must_use]
    pub fn knowing_user(mut self) -> Self {
        for endpoint in [Some(&mut self.endpoint), self.other.as_mut()].into_iter().flatten() {
            if let Endpoint::Socket(_, trust) = endpoint {
                trust.number = trust.user.as_deref().and_then(system_ids::of_listed_user);
            }
        }
        self
    }

    /// Creates a client that starts a program, given with its arguments, for each request. The program has the
    /// connection as its standard input and output, and an empty environment. It is for a program that answers while
    /// the daemon is away.
    pub fn for_program(command: Vec<OsString>, patience: Duration) -> Self {
        Client { endpoint: Endpoint::Program(command), other: None, patience, permits: None }
    }

    /// Rejects accounts that these settings do not permit ([`MailboxDefaults::permit`]), whatever the daemon says: the
    /// answer is then [`NotNow::Daemon`]. Without settings, only user 0 and group 0 are rejected.
    #[must_use]
    pub fn permitting(self, mailbox: Arc<MailboxDefaults>) -> Self {
        Client { permits: Some(mailbox), ..self }
    }

    /// Tells mailauth-courier what was changed in the database. A yes means that nothing of it is remembered any more,
    /// also because no daemon is there. Courier's daemon closes without an answer: [`NotNow::Daemon`].
    pub fn forget(&self, changed: &Changed, deadline: Instant) -> Answer<()> {
        let request = request::changed(changed).map_err(|what| self.uncomposable(what, b""))?;
        let answer = self.forget_by(&request, deadline);
        match (&answer, changed) {
            // An older mailauth-courier does not know that request, and keeps rows that the change may affect.
            (Err(Refusal::NotNow(NotNow::Daemon(_))), Changed::Domain(_) | Changed::Additions) => {
                self.forget(&Changed::Everything, deadline)
            }
            _ => answer,
        }
    }

    fn forget_by(&self, request: &Secret, deadline: Instant) -> Answer<()> {
        self.talk(request, deadline, |endpoint, reply| match reply {
            Ok(Reply::Ok) => Ok(()),
            Ok(Reply::Fail) => Err(No::Unexplained.into()),
            Ok(other) => Err(unclear(endpoint, &other)),
            Err(failure) if failure.is_absence() => Ok(()),
            Err(failure) => Err(no_daemon(endpoint, &failure)),
        })
    }

    /// Makes mailauth-courier forget what it keeps in memory of a login, an address or a domain, or of everything. The
    /// text is JSON that [`Flushed::parse`](crate::flushed::Flushed::parse) reads. Courier's daemon closes without an
    /// answer: [`NotNow::Daemon`].
    pub fn flush(&self, name: Option<&str>, deadline: Instant) -> Answer<String> {
        let request = request::flush(name).map_err(|what| self.uncomposable(what, b""))?;
        self.ask_for_text(&request, deadline)
    }

    /// Asks mailauth-courier for its state, as JSON that [`Status::parse`](crate::status::Status::parse) reads.
    /// Courier's daemon closes without an answer: [`NotNow::Daemon`].
    pub fn status(&self, deadline: Instant) -> Answer<String> {
        self.ask_for_text(&request::status(), deadline)
    }

    /// Asks mailauth-courier about the wrong passwords that it has counted, as JSON that [`throttle`](crate::throttle)
    /// reads. Courier's daemon closes without an answer: [`NotNow::Daemon`].
    pub fn throttle(&self, question: &ThrottleQuestion, deadline: Instant) -> Answer<String> {
        let request = question.compose().map_err(|what| self.uncomposable(what, b""))?;
        self.ask_for_text(&request, deadline)
    }

    fn ask_for_text(&self, request: &Secret, deadline: Instant) -> Answer<String> {
        self.ask(request, deadline, |endpoint, reply| match reply {
            Reply::Text(text) => Ok(text.to_owned()),
            Reply::Fail => Err(No::Unexplained.into()),
            other => Err(unclear(endpoint, &other)),
        })
    }

    /// Sends `request` and passes the reply to `understand`.
    fn ask<T>(
        &self,
        request: &Secret,
        deadline: Instant,
        understand: impl Fn(&Endpoint, Reply<'_>) -> Answer<T>,
    ) -> Answer<T> {
        self.talk(request, deadline, |endpoint, reply| match reply {
            Ok(reply) => understand(endpoint, reply),
            Err(failure) => Err(no_daemon(endpoint, &failure)),
        })
    }

    /// Sends `request` to the first endpoint, and to the other one if the first is closed or does not read the request.
    /// The result of the other one counts, unless that is closed too.
    fn talk<T>(
        &self,
        request: &Secret,
        deadline: Instant,
        understand: impl Fn(&Endpoint, Result<Reply<'_>, Failure>) -> Answer<T>,
    ) -> Answer<T> {
        let deadline = deadline.min(Instant::now() + self.patience);
        let mut buffer = ReplyBuffer::new();
        let reply = exchange(&self.endpoint, request.expose(), deadline, &mut buffer);
        let tries_other = is_unread(&reply);
        let answer = understand(&self.endpoint, reply);
        let Some(other) = self.other.as_ref().filter(|_| tries_other) else { return answer };
        match exchange(other, request.expose(), deadline, &mut buffer) {
            reply if is_unread(&reply) => answer,
            reply => understand(other, reply),
        }
    }
}

/// Returns true if nothing at the endpoint has read the request, so that another endpoint may answer it.
fn is_unread(reply: &Result<Reply<'_>, Failure>) -> bool {
    match reply {
        Ok(reply) => matches!(reply, Reply::Nothing { unread: true }),
        Err(failure) => failure.is_closed_endpoint(),
    }
}

fn socket_of(path: &Path, user: &str) -> Endpoint {
    Endpoint::Socket(path.to_owned(), Trust { user: Some(user.to_owned()), number: None })
}

fn no_daemon(endpoint: &Endpoint, failure: &Failure) -> Refusal {
    NotNow::NoDaemon(failure.explain(endpoint)).into()
}

/// Returns the answer for a reply that is neither yes nor no.
fn unclear(endpoint: &Endpoint, reply: &Reply<'_>) -> Refusal {
    match reply {
        Reply::Nothing { unread } => NotNow::Daemon(reason::closed(endpoint, *unread)).into(),
        reply => not_now(endpoint, reply),
    }
}

fn not_permitted(endpoint: &Endpoint, refused: &Refused) -> Refusal {
    NotNow::Daemon(format!("the daemon's answer is not used: its {refused} ({endpoint})")).into()
}

fn not_now(endpoint: &Endpoint, why: impl std::fmt::Display) -> Refusal {
    let why = match endpoint {
        Endpoint::Socket(..) => format!("the daemon cannot answer now: {why} ({endpoint})"),
        Endpoint::Program(_) => format!("{endpoint}: {why}"),
    };
    NotNow::Daemon(why).into()
}

impl Client {
    /// Returns the answer to a request that no daemon would understand.
    fn uncomposable(&self, what: Uncomposable, login: &[u8]) -> Refusal {
        match what.0 {
            "login" if login.is_empty() => No::UnusableLogin(LoginError::Empty).into(),
            "login" | "address" => No::UnusableLogin(LoginError::Unprintable).into(),
            // The parts of a request may each fit, but not all together: they are longer than any login and password
            // can be.
            "password" | "old password" | "new password" | "request" => No::UnusablePassword.into(),
            _ => not_now(&self.endpoint, what),
        }
    }
}

impl Client {
    /// Asks a question of a mail server, which only mailauth-courier understands. The text is the answer; it is empty
    /// for a plain yes. Courier's daemon closes without an answer: [`NotNow::Daemon`].
    pub fn route(&self, question: &Question, deadline: Instant) -> Answer<String> {
        let request = question.compose().map_err(|what| self.uncomposable(what, b""))?;
        self.ask(&request, deadline, |endpoint, reply| match reply {
            Reply::Ok => Ok(String::new()),
            Reply::Text(text) => match question {
                Question::Account(_) => match permitted::account_text(self.permits.as_deref(), text) {
                    Ok(()) => Ok(text.to_owned()),
                    Err(refused) => Err(not_permitted(endpoint, &refused)),
                },
                _ => Ok(text.to_owned()),
            },
            Reply::Fail => Err(No::Unexplained.into()),
            Reply::Over(text) => Err(No::OverQuota(text.to_owned()).into()),
            Reply::NoMail => Err(No::NoMail.into()),
            other => Err(unclear(endpoint, &other)),
        })
    }
}

impl Client {
    /// Looks an account up without a password, and passes the record to `read` as the daemon sent it, whatever
    /// [`Client::permitting`] says. The account in it must not be used.
    pub fn look_up<T>(
        &self,
        service: &Service,
        login: &[u8],
        deadline: Instant,
        read: impl Fn(&Record<'_>) -> T,
    ) -> Answer<T> {
        let login = trimmed(login);
        let request = request::pre(service_name(service), login).map_err(|what| self.uncomposable(what, login))?;
        self.ask(&request, deadline, |endpoint, reply| match reply {
            Reply::Record(record) => Ok(read(&record)),
            Reply::Fail => Err(No::Unexplained.into()),
            other => Err(unclear(endpoint, &other)),
        })
    }

    /// Returns the ID of the process that listens on the socket, whether or not its user is trusted; 0 if this process
    /// cannot see it.
    ///
    /// # Errors
    /// Fails if no connection is made.
    pub fn listener(&self, deadline: Instant) -> std::io::Result<u32> {
        let channel = self.endpoint.connect(deadline)?;
        let peer = mailauth_core::credentials::peer_credentials(channel.socket.as_fd())?;
        Ok(u32::try_from(peer.pid).unwrap_or(0))
    }

    /// Returns a sentence about the user of the process that listens on the socket, if that user is not trusted.
    pub fn untrusted_listener(&self, deadline: Instant) -> Option<String> {
        match self.endpoint.open(deadline) {
            Err(cause @ Cause::Untrusted(_)) => {
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
            Credential::Lookup | Credential::Secret => request::pre(service, login),
            Credential::Password(password) => request::auth_login(service, login, password.expose()),
            Credential::Cram(mechanism, response) => request::auth_cram(service, *mechanism, response),
            // The protocol has no request for it.
            Credential::Scram(_) => return Err(No::NoClearPassword.into()),
        };
        let composed = match composed {
            Ok(composed) => request::with_client(request.client.as_deref(), composed),
            Err(what) => return Err(self.uncomposable(what, login)),
        };
        self.ask(&composed, request.deadline, |endpoint, reply| match reply {
            Reply::Record(record) => match record.account() {
                Ok(account) => match permitted::account(self.permits.as_deref(), &account) {
                    Ok(()) => Ok(Box::new(account)),
                    Err(refused) => Err(not_permitted(endpoint, &refused)),
                },
                Err(error) => Err(not_now(endpoint, format_args!("its record is not an account: {error}"))),
            },
            Reply::Fail => Err(No::Unexplained.into()),
            other => Err(unclear(endpoint, &other)),
        })
    }

    fn change_password(&self, change: PasswordChange) -> Answer<()> {
        let PasswordChange { request, new } = change;
        let Credential::Password(old) = &request.credential else {
            return Err(No::UnusablePassword.into());
        };
        let service = service_name(&request.service);
        let login = trimmed(&request.login);
        let fields = PasswdFields { service, login, old: old.expose(), new: new.expose() };
        let composed = match request::passwd(fields) {
            Ok(composed) => request::with_client(request.client.as_deref(), composed),
            Err(what) => return Err(self.uncomposable(what, login)),
        };
        self.ask(&composed, request.deadline, |endpoint, reply| match reply {
            Reply::Ok => Ok(()),
            Reply::Fail => Err(No::Unexplained.into()),
            other => Err(unclear(endpoint, &other)),
        })
    }
}

/// Returns the name of the service, or `unknown`: the protocol has no empty service.
fn service_name(service: &Service) -> &[u8] {
    match service.name().as_bytes() {
        b"" => b"unknown",
        name => name,
    }
}
