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

/// What is spoken, and the state that the conversations share.
struct Conversations {
    /// Rules for new conversations.
    settings: Mutex<Arc<DovecotSettings>>,
    finished: Arc<FinishedLogins>,
}

/// The sockets that are served.
pub(crate) struct KeptSockets {
    conversations: Arc<Conversations>,
    dialects: Vec<(Protocol, Arc<Dialect>)>,
    /// The threads; there are none until there is a socket.
    server: Option<Server>,
    open: Vec<(KeptListener, ListenerId)>,
}

impl KeptSockets {
    /// Serves connections on `listeners`.
    ///
    /// # Errors
    /// Fails if the system provides no random numbers, threads or descriptors.
    pub fn start(
        listeners: Vec<KeptListener>,
        settings: &Settings,
        dispatcher: &Dispatcher,
    ) -> Result<Self, StartError> {
        let rules = rules(&settings.dovecot, None)?;
        let conversations = Arc::new(Conversations { settings: Mutex::new(Arc::new(rules)), finished: Arc::default() });
        let dialects = dialects(&conversations);
        let mut sockets = KeptSockets { conversations, dialects, server: None, open: Vec::new() };
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
        let spid = self.conversations.settings.lock().spid;
        let rules = rules(&settings.dovecot, Some(spid))?;
        *self.conversations.settings.lock() = Arc::new(rules);
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
            let Some((_, dialect)) = self.dialects.iter().find(|(protocol, _)| *protocol == listener.protocol) else {
                continue;
            };
            let id = server.listen(listener.descriptor()?, dialect)?;
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
fn dialects(conversations: &Arc<Conversations>) -> Vec<(Protocol, Arc<Dialect>)> {
    let with = || Arc::clone(conversations);
    let (client, login, userdb, master) = (with(), with(), with(), with());
    let rules = |conversations: &Conversations| Arc::clone(&conversations.settings.lock());
    vec![
        (
            Protocol::Client,
            Dialect::new("dovecot-client", move || Ok(Box::new(LoginConversation::for_clients(rules(&client))?))),
        ),
        (
            Protocol::Login,
            Dialect::new("dovecot-login", move || {
                let finished = Arc::clone(&login.finished);
                Ok(Box::new(LoginConversation::for_login_processes(rules(&login), finished)?))
            }),
        ),
        (
            Protocol::Userdb,
            Dialect::new("dovecot-userdb", move || Ok(Box::new(LookupConversation::userdb(rules(&userdb))))),
        ),
        (
            Protocol::Master,
            Dialect::new("dovecot-master", move || {
                Ok(Box::new(LookupConversation::master(rules(&master), Arc::clone(&master.finished))))
            }),
        ),
        (
            Protocol::Socketmap,
            Dialect::new("postfix-socketmap", || Ok(Box::new(SocketmapConversation::new(ANSWERED_WITHIN)))),
        ),
        (Protocol::Policy, Dialect::new("postfix-policy", || Ok(Box::new(PolicyConversation::new(ANSWERED_WITHIN))))),
    ]
}
