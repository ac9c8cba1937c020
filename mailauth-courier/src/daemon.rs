//! Starting the daemon, reloading its configuration, and stopping it.

use crate::accept::acceptor::Acceptor;
use crate::accept::descriptors;
use crate::accept::kept::{KeptListener, Protocol};
use crate::accept::listener::{BindError, Listener, SocketSpec};
use crate::io::slow_reader::SlowReader;
use crate::io::slow_writer::SlowWriter;
use crate::kept_sockets::{self, Conversations, KeptSockets};
use crate::live_config::{AccessBySocket, LiveConfig};
use crate::observe::metrics::{Metrics, MetricsListener};
use crate::process::identity::IdentityError;
use crate::settings::Settings;
use crate::shared::{Queues, Shared};
use crate::work::delayed_replies::DelayedReplies;
use crate::work::dispatcher::Dispatcher;
use crate::work::hashing::HashingQueue;
use crate::work::learner::Learner;
use crate::work::queue::WorkQueue;
use crate::work::recipient_queues::RecipientQueues;
use mailauth_core::Backend;
use mailauth_core::config::{Config, CourierConfig, MetricsAddress};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Maximum number of passwords that wait to be hashed.
const MAX_HASHING: usize = 1024;

/// Number of threads that change passwords and create mailboxes.
const CHANGE_THREADS: usize = 2;

/// Maximum number of changes that wait.
const MAX_CHANGES: usize = 64;

/// Time after the deadline of the last request after which the daemon stops without having sent all answers.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Reason why the daemon does not start, or does not take over a new configuration.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A user or group in the configuration does not exist.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The system provides no further thread or descriptor.
    #[error("the system provides no more threads or descriptors: {0}")]
    System(#[from] io::Error),
}

/// Change of the socket for mailauth's own programs by a reload.
enum OwnSocket {
    Unchanged,
    Replaced(Listener),
    Removed,
}

/// The sockets that a daemon starts with.
pub struct Listeners {
    courier: Listener,
    own: Option<Listener>,
    kept: Vec<KeptListener>,
}

impl From<Listener> for Listeners {
    fn from(courier: Listener) -> Self {
        Listeners { courier, own: None, kept: Vec::new() }
    }
}

impl Listeners {
    /// Listens on all sockets of `config`. If the one for mailauth's own programs cannot be bound, the log says why:
    /// they ask on the other one then, as Courier's programs always do.
    ///
    /// # Errors
    /// Fails if another socket cannot be bound.
    pub fn bind(config: &Config) -> Result<Self, BindError> {
        let kept = kept_sockets::bind(Protocol::sockets(config))?;
        Ok(Listeners { courier: Listener::bind(&config.courier)?, own: bind_own_or_warn(&config.courier), kept })
    }
}

fn bind_own_or_warn(config: &CourierConfig) -> Option<Listener> {
    Listener::bind_own(config).unwrap_or_else(|error| {
        let fix =
            "with systemd, name its folder below /run in the unit's RuntimeDirectory=; own_socket = \"\" disables it";
        tracing::warn!("[courier] own_socket: {error}; only [courier] socket is served ({fix})");
        None
    })
}

/// A running daemon. Dropping it leaves its threads running; [`Daemon::stop`] ends them properly.
pub struct Daemon {
    settings: Settings,
    shared: Arc<Shared>,
    acceptor: Acceptor,
    /// Acceptor of the socket for mailauth's own programs.
    own_acceptor: Option<Acceptor>,
    kept_sockets: KeptSockets,
    slow_reader: JoinHandle<()>,
    slow_writer: JoinHandle<()>,
    delayed_replies: JoinHandle<()>,
    learner: Learner,
    metrics: Option<Metrics>,
}

impl Daemon {
    /// Starts a daemon that answers on `listeners` by `backend`.
    ///
    /// The sockets are bound before, by [`Listeners::bind`], so that the process can become another user in between.
    ///
    /// # Errors
    /// Fails if a user or group in the configuration does not exist, or the system provides no threads.
    pub fn start(listeners: impl Into<Listeners>, settings: Settings, backend: Backend) -> Result<Self, StartError> {
        let Listeners { courier: listener, own, kept } = listeners.into();
        let config = live_config(&settings, &listener, backend)?;
        let queues = queues(&settings, config.limits.total)?;
        let conversations = Conversations::new(&settings.dovecot)?;
        let shared = Arc::new(Shared::new(config, queues, conversations.dialects()));
        let dispatcher = Dispatcher::new(&shared);
        let kept_sockets = KeptSockets::start(kept, conversations, &settings, &dispatcher)?;
        let writer = Arc::clone(&shared.queues.slow_writer);
        let slow_writer = Builder::new().name("slow-writer".into()).spawn(move || writer.run())?;
        let delayed = dispatcher.clone();
        let delayed_replies =
            Builder::new().name("delayed-replies".into()).spawn(move || delayed.send_delayed_replies())?;
        let slow_reader = Builder::new().name("slow-reader".into()).spawn(move || dispatcher.read_slow_clients())?;
        let learner = Learner::start(&shared)?;
        let acceptor = Acceptor::open(listener, settings.accept_threads(), &shared)?;
        let own_acceptor = own.map(|own| Acceptor::open(own, settings.accept_threads(), &shared)).transpose()?;
        Ok(Daemon {
            settings,
            shared,
            acceptor,
            own_acceptor,
            kept_sockets,
            slow_reader,
            slow_writer,
            delayed_replies,
            learner,
            metrics: None,
        })
    }

    /// Returns the path of the socket for Courier's programs.
    pub fn socket(&self) -> &Path {
        self.acceptor.listener().path()
    }

    /// Returns the path of the socket for mailauth's own programs, if there is one.
    pub fn own_socket(&self) -> Option<&Path> {
        self.own_acceptor.as_ref().map(|acceptor| acceptor.listener().path())
    }

    /// Returns the address on which metrics are served, if they are.
    pub fn metrics(&self) -> Option<&MetricsAddress> {
        self.metrics.as_ref().map(Metrics::address)
    }

    /// Serves metrics on `listener` from now on, and no longer on the previous one; `None` ends serving them.
    ///
    /// # Errors
    /// Fails if the system provides no thread. Nothing changes then.
    pub fn serve_metrics(&mut self, listener: Option<MetricsListener>) -> Result<(), StartError> {
        let metrics = listener.map(|listener| Metrics::open(listener, &self.shared)).transpose()?;
        if let Some(old) = std::mem::replace(&mut self.metrics, metrics) {
            old.close();
        }
        Ok(())
    }

    /// Continues with other settings and accounts. Requests that were accepted before are answered under the old ones.
    ///
    /// # Errors
    /// Fails if the new settings cannot be used. The daemon then continues under the old ones.
    pub fn reload(&mut self, settings: Settings, backend: Backend) -> Result<(), StartError> {
        let spec = SocketSpec::of_courier(&settings.courier);
        let current = self.acceptor.listener();
        let listener = if spec.is_served_by(current.spec()) { None } else { Some(current.rebind(spec)?) };
        let own = self.own_socket_under(&settings.courier)?;
        let kept = self.kept_sockets.bind_new(&settings)?;
        let config = live_config(&settings, listener.as_ref().unwrap_or(current), backend)?;
        let queues = &self.shared.queues;
        queues.lookups.resize(settings.lookup_threads(), config.limits.total)?;
        queues.hashing.resize(settings.hashing_threads())?;
        let threads = self.acceptor.threads();
        let open = |listener| Acceptor::open(listener, threads, &self.shared);
        let acceptor = listener.map(open).transpose()?;
        let own_acceptor = match own {
            OwnSocket::Unchanged => None,
            OwnSocket::Replaced(listener) => Some(Some(open(listener)?)),
            OwnSocket::Removed => Some(None),
        };
        self.kept_sockets.change(kept, &settings, &Dispatcher::new(&self.shared))?;
        self.shared.replace_config(config);
        self.learner.restart();
        self.settings = settings;
        if let Some(acceptor) = acceptor {
            std::mem::replace(&mut self.acceptor, acceptor).close();
        }
        if let Some(own_acceptor) = own_acceptor
            && let Some(previous) = std::mem::replace(&mut self.own_acceptor, own_acceptor)
        {
            previous.close();
        }
        Ok(())
    }

    /// Returns what becomes of the socket for mailauth's own programs under new settings. If there was none before, the
    /// log says why the new one cannot be bound, and that is not an error.
    fn own_socket_under(&self, new: &CourierConfig) -> Result<OwnSocket, BindError> {
        let current = self.own_acceptor.as_ref().map(Acceptor::listener);
        Ok(match (current, SocketSpec::of_own(new)) {
            (_, None) => OwnSocket::Removed,
            (Some(current), Some(spec)) if spec.is_served_by(current.spec()) => OwnSocket::Unchanged,
            (Some(current), Some(spec)) => OwnSocket::Replaced(current.rebind(spec)?),
            (None, Some(_)) => bind_own_or_warn(new).map_or(OwnSocket::Removed, OwnSocket::Replaced),
        })
    }

    /// Accepts no more connections, answers the requests of those that were accepted, and returns when that is done.
    /// Delayed refusals are sent at once. A request that has arrived in part has the time of `[courier] idle` and
    /// `request`; a client that has sent nothing is closed at once.
    pub fn stop(self) {
        let patience = self.settings.courier.request + STOP_GRACE;
        let queues = &self.shared.queues;
        if let Some(metrics) = self.metrics {
            metrics.close();
        }
        self.acceptor.close();
        if let Some(own) = self.own_acceptor {
            own.close();
        }
        // Before the queues that answer its questions.
        self.kept_sockets.stop(Instant::now() + patience);
        queues.delayed_replies.release();
        queues.slow_reader.stop();
        // No thread here can end by a panic: the panic of a request is caught.
        let _ = self.slow_reader.join();
        self.learner.stop();
        queues.lookups.close();
        queues.changes.close();
        queues.recipients.close();
        queues.hashing.close();
        queues.delayed_replies.stop();
        let _ = self.delayed_replies.join();
        queues.slow_writer.stop(Instant::now() + patience);
        let _ = self.slow_writer.join();
        queues.slow_writer.pages().close();
    }
}

fn queues(settings: &Settings, max_connections: usize) -> io::Result<Queues> {
    Ok(Queues {
        slow_reader: SlowReader::new()?,
        lookups: WorkQueue::open("look-ups", settings.lookup_threads(), max_connections)?,
        hashing: HashingQueue::open(settings.hashing_threads(), MAX_HASHING)?,
        changes: WorkQueue::open("changes", CHANGE_THREADS, MAX_CHANGES)?,
        recipients: RecipientQueues::open()?,
        slow_writer: Arc::new(SlowWriter::new()?),
        delayed_replies: DelayedReplies::new()?,
    })
}

fn live_config(settings: &Settings, listener: &Listener, backend: Backend) -> Result<LiveConfig, StartError> {
    let access = AccessBySocket::new(&settings.courier, Some(listener.group()))?;
    let kept = if settings.kept.is_empty() { 0 } else { settings.dovecot.max_connections };
    let max_connections = descriptors::reserve(settings.courier.max_connections + kept);
    let max_connections = max_connections.saturating_sub(kept).max(1);
    Ok(LiveConfig::new(&settings.courier, &settings.rules, backend, access, max_connections, kept))
}
