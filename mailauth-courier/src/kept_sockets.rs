//! The sockets of `[dovecot]` and `[postfix]`, and the server of their connections.

use crate::accept::kept::{KeptListener, Protocol};
use crate::accept::listener::BindError;
use crate::daemon::StartError;
use crate::settings::Settings;
use crate::work::dispatcher::Dispatcher;
use mailauth_core::config::{DovecotConfig, ListenSocket};
use mailauth_core::sync::Mutex;
use mailauth_dovecot::postfix::{ANSWERED_WITHIN, PolicyConversation, SocketmapConversation};
use mailauth_dovecot::server::{Dialect, ListenerId, Server};
use mailauth_dovecot::{FinishedLogins, LoginConversation, LookupConversation, Settings as DovecotSettings, mechanism};
use std::io;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Instant;

/// Maximum number of threads that serve connections.
const MAX_THREADS: usize = 4;

/// Listens on these sockets.
///
/// # Errors
/// Fails if one of them cannot be bound.
pub(crate) fn bind<'s>(
    sockets: impl Iterator<Item = (Protocol, &'s ListenSocket)>,
) -> Result<Vec<KeptListener>, BindError> {
    sockets.map(|(protocol, socket)| KeptListener::bind(protocol, socket)).collect()
}

/// What is spoken on the sockets.
pub(crate) struct Conversations {
    state: Arc<State>,
    dialects: Vec<(Protocol, Arc<Dialect>)>,
}

impl Conversations {
    /// Returns conversations by the rules of `config`.
    ///
    /// # Errors
    /// Fails if there are no random numbers.
    pub fn new(config: &DovecotConfig) -> io::Result<Self> {
        let state = State { settings: Mutex::new(Arc::new(rules(config, None)?)), finished: Arc::default() };
        let state = Arc::new(state);
        Ok(Conversations { dialects: dialects(&state), state })
    }

    /// Returns what is spoken.
    pub fn dialects(&self) -> Vec<Arc<Dialect>> {
        self.dialects.iter().map(|(_, dialect)| Arc::clone(dialect)).collect()
    }
}

/// The state that the conversations share.
struct State {
    /// Rules for new conversations.
    settings: Mutex<Arc<DovecotSettings>>,
    finished: Arc<FinishedLogins>,
}

/// The sockets that are served.
pub(crate) struct KeptSockets {
    conversations: Conversations,
    /// The threads; there are none until there is a socket.
    server: Option<Server>,
    open: Vec<(KeptListener, ListenerId)>,
}

impl KeptSockets {
    /// Serves `conversations` on `listeners`.
    ///
    /// # Errors
    /// Fails if the system provides no threads or descriptors.
    pub fn start(
        listeners: Vec<KeptListener>,
        conversations: Conversations,
        settings: &Settings,
        dispatcher: &Dispatcher,
    ) -> Result<Self, StartError> {
        let mut sockets = KeptSockets { conversations, server: None, open: Vec::new() };
        sockets.open(listeners, settings, dispatcher)?;
        Ok(sockets)
    }

    /// Binds the sockets of new settings that are not served yet.
    ///
    /// # Errors
    /// Fails if one of them cannot be bound.
    pub fn bind_new(&self, settings: &Settings) -> Result<Vec<KeptListener>, BindError> {
        let wanted = settings.kept.iter().map(|(protocol, socket)| (*protocol, socket));
        bind(wanted.filter(|(protocol, socket)| !self.open.iter().any(|(open, _)| open.serves(*protocol, socket))))
    }

    /// Serves connections on the sockets of new settings only, `new` among them. Open connections go on.
    ///
    /// # Errors
    /// Fails if the system provides no threads or descriptors.
    pub fn change(
        &mut self,
        new: Vec<KeptListener>,
        settings: &Settings,
        dispatcher: &Dispatcher,
    ) -> Result<(), StartError> {
        let state = &self.conversations.state;
        let spid = state.settings.lock().spid;
        let rules = rules(&settings.dovecot, Some(spid))?;
        *state.settings.lock() = Arc::new(rules);
        let is_wanted =
            |open: &KeptListener| settings.kept.iter().any(|(protocol, socket)| open.serves(*protocol, socket));
        for (listener, id) in self.open.extract_if(.., |(listener, _)| !is_wanted(listener)) {
            if let Some(server) = &mut self.server {
                server.close(id);
            }
            drop(listener);
        }
        self.open(new, settings, dispatcher)
    }

    fn open(
        &mut self,
        listeners: Vec<KeptListener>,
        settings: &Settings,
        dispatcher: &Dispatcher,
    ) -> Result<(), StartError> {
        let max = settings.dovecot.max_connections;
        if self.server.is_none() && !listeners.is_empty() {
            let threads = available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
            self.server = Some(Server::start(Arc::new(dispatcher.clone()), threads, max)?);
        }
        let Some(server) = &mut self.server else { return Ok(()) };
        server.limit(max);
        for listener in listeners {
            let dialects = &self.conversations.dialects;
            let Some((_, dialect)) = dialects.iter().find(|(protocol, _)| *protocol == listener.protocol) else {
                continue;
            };
            let id = server.listen(listener.descriptor()?, dialect, listener.scope_of())?;
            self.open.push((listener, id));
        }
        Ok(())
    }

    /// Accepts and reads nothing more, and returns when what was asked is answered, or at `until`.
    pub fn stop(self, until: Instant) {
        if let Some(server) = self.server {
            server.stop(until);
        }
    }
}

/// Returns the rules of conversations. `spid` is the number of this process, if it has one already.
fn rules(config: &DovecotConfig, spid: Option<u32>) -> io::Result<DovecotSettings> {
    let mechanisms = config.mechanisms.iter().filter_map(|name| mechanism::by_name(name)).collect();
    let new = DovecotSettings::new(mechanisms).map_err(io::Error::other)?;
    Ok(DovecotSettings { require_secured: config.require_secured, spid: spid.unwrap_or(new.spid), ..new })
}

/// Returns what is spoken on the sockets: to add a protocol, add a line here and one to [`Protocol`].
fn dialects(state: &Arc<State>) -> Vec<(Protocol, Arc<Dialect>)> {
    let with = || Arc::clone(state);
    let (client, login, userdb, master) = (with(), with(), with(), with());
    let rules = |state: &State| Arc::clone(&state.settings.lock());
    vec![
        (
            Protocol::Client,
            Dialect::new("dovecot-client", move |_| Ok(Box::new(LoginConversation::for_clients(rules(&client))?))),
        ),
        (
            Protocol::Login,
            Dialect::new("dovecot-login", move |_| {
                let finished = Arc::clone(&login.finished);
                Ok(Box::new(LoginConversation::for_login_processes(rules(&login), finished)?))
            }),
        ),
        (
            Protocol::Userdb,
            Dialect::new("dovecot-userdb", move |scope| {
                Ok(Box::new(LookupConversation::userdb(rules(&userdb), scope)))
            }),
        ),
        (
            Protocol::Master,
            Dialect::new("dovecot-master", move |scope| {
                Ok(Box::new(LookupConversation::master(rules(&master), scope, Arc::clone(&master.finished))))
            }),
        ),
        (
            Protocol::Socketmap,
            Dialect::new("postfix-socketmap", |_| Ok(Box::new(SocketmapConversation::new(ANSWERED_WITHIN)))),
        ),
        (Protocol::Policy, Dialect::new("postfix-policy", |_| Ok(Box::new(PolicyConversation::new(ANSWERED_WITHIN))))),
    ]
}
