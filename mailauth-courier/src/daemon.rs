//! Starting the daemon, changing its configuration, and stopping it.

use crate::accept::acceptor::{Door, Hall};
use crate::accept::listener::{BindError, Listener, Place};
use crate::accept::slots::Shares;
use crate::io::slow_reader::Reader;
use crate::io::slow_writer::Outbox;
use crate::live_config::{Accesses, Live};
use crate::observe::log_limiter::Throttle;
use crate::observe::metrics::{Metrics, MetricsListener};
use crate::observe::status::Refusals;
use crate::process::identity::IdentityError;
use crate::work::dispatcher::Works;
use crate::work::hashing::Hashing;
use crate::work::held::Held;
use crate::work::learner::Learner;
use crate::work::presence::Present;
use crate::work::queue::Lane;
use crate::work::recipients::Recipients;
use mailauth_core::Backend;
use mailauth_core::config::{Config, CourierConfig, MetricsAddress};
use mailauth_core::password::Rules;
use mailauth_core::sync::Mutex;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle, available_parallelism};
use std::time::{Duration, Instant};

/// The most threads that accept.
const DOOR_THREADS: usize = 32;

/// Passwords that may wait for being hashed; one more is "not now".
const HASHING_QUEUE: usize = 1024;

/// Threads that change passwords, and how many changes may wait.
const CHANGES: (usize, usize) = (2, 64);

/// What the server needs of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[courier]`.
    pub courier: CourierConfig,
    /// `[password]`: how stored values are read.
    pub rules: Rules,
    /// `[password] parallel`: passwords hashed at once; 0 is one for each processor.
    pub parallel: usize,
    /// `[database] pool`: connections to the database.
    pub pool: usize,
}

/// Why the server does not start, or does not take over a new configuration.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A name in the configuration is none.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No thread or descriptor.
    #[error("the system gives no more threads or descriptors: {0}")]
    System(#[from] io::Error),
}

/// What becomes of the socket for our own programs.
enum Own {
    Same,
    Another(Listener),
    None,
}

/// A server that runs. Dropping it leaves its threads; [`Running::stop`] ends it properly.
pub struct Running {
    settings: Settings,
    hall: Arc<Hall>,
    door: Door,
    /// That of the socket for our own programs.
    own: Option<Door>,
    reading: JoinHandle<()>,
    writing: JoinHandle<()>,
    refusing: JoinHandle<()>,
    learner: Learner,
    metrics: Option<Metrics>,
}

impl Settings {
    /// What of `config` the server needs.
    pub fn new(config: &Config) -> Self {
        Settings {
            courier: config.courier.clone(),
            rules: config.password.rules.clone(),
            parallel: config.password.parallel,
            pool: config.database.pool,
        }
    }

    fn hashing_threads(&self) -> usize {
        match self.parallel {
            0 => available_parallelism().map_or(1, usize::from),
            number => number,
        }
    }

    /// As many as the database has connections: one more would have to wait for another's.
    fn door_threads(&self) -> usize {
        self.pool.clamp(1, DOOR_THREADS)
    }

    /// For requests that came slowly, and for all while the threads that accept are stuck.
    fn lookup_threads(&self) -> usize {
        (self.pool / 2).max(2)
    }
}

/// The sockets that a server begins with.
pub struct Listeners {
    courier: Listener,
    own: Option<Listener>,
}

impl From<Listener> for Listeners {
    fn from(courier: Listener) -> Self {
        Listeners { courier, own: None }
    }
}

impl Listeners {
    /// Listens on both sockets of `config`. Where that for our own programs cannot be had, the log says why: they ask on the
    /// other one then, and Courier's programs do in any case.
    ///
    /// # Errors
    /// When Courier's socket cannot be had.
    pub fn bind(config: &CourierConfig) -> Result<Self, BindError> {
        Ok(Listeners { courier: Listener::bind(config)?, own: own_or_warning(config) })
    }
}

fn own_or_warning(config: &CourierConfig) -> Option<Listener> {
    Listener::bind_own(config).unwrap_or_else(|error| {
        let cure =
            "with systemd, name its folder below /run in the unit's RuntimeDirectory=; own_socket = \"\" leaves it out";
        tracing::warn!("[courier] own_socket: {error}; only [courier] socket is served ({cure})");
        None
    })
}

/// Starts a server that answers on `listeners` by `backend`.
///
/// The sockets are bound before ([`Listeners::bind`]), so that the process can become another user in between.
///
/// # Errors
/// When a name in the configuration is none, or the system gives no threads.
pub fn start(listeners: impl Into<Listeners>, settings: Settings, backend: Backend) -> Result<Running, StartError> {
    let Listeners { courier: listener, own } = listeners.into();
    let live = live(&settings, &listener, backend)?;
    let most = live.room.all;
    let works = Arc::new(Works {
        lookups: Lane::open("look-ups", settings.lookup_threads(), most)?,
        hashing: Hashing::open(settings.hashing_threads(), HASHING_QUEUE)?,
        changes: Lane::open("changes", CHANGES.0, CHANGES.1)?,
        recipients: Recipients::open()?,
        outbox: Arc::new(Outbox::new()?),
        held: Held::new()?,
        places: Shares::default(),
        started: Instant::now(),
        turned_away: Refusals::default(),
        overload: Throttle::default(),
        refusals: Throttle::default(),
        unsendable: Throttle::default(),
        unmade: Throttle::default(),
        present: Present::default(),
    });
    let hall = Arc::new(Hall {
        live: Mutex::new(Arc::new(live)),
        reader: Arc::new(Reader::new()?),
        works: Arc::clone(&works),
        crowded: Throttle::default(),
        over_share: Throttle::default(),
        strangers: Throttle::default(),
        shortages: Throttle::default(),
    });
    let outbox = Arc::clone(&works.outbox);
    let writing = Builder::new().name("writing".into()).spawn(move || outbox.run())?;
    let holding = Arc::clone(&works);
    let refusing = Builder::new().name("refusing".into()).spawn(move || holding.send_held())?;
    let reader = Arc::clone(&hall.reader);
    let hand_on = move |connection, request| works.answer_elsewhere(connection, request);
    let reading = Builder::new().name("reading".into()).spawn(move || reader.run(hand_on))?;
    let learner = Learner::start(&hall)?;
    let door = Door::open(listener, settings.door_threads(), &hall)?;
    let own = own.map(|own| Door::open(own, settings.door_threads(), &hall)).transpose()?;
    Ok(Running { settings, hall, door, own, reading, writing, refusing, learner, metrics: None })
}

fn live(settings: &Settings, listener: &Listener, backend: Backend) -> Result<Live, StartError> {
    let access = Accesses::new(&settings.courier, Some(listener.group()))?;
    let most = Hall::room(settings.courier.max_connections);
    Ok(Live::new(&settings.courier, &settings.rules, backend, access, most))
}

impl Running {
    /// Where it answers Courier's programs.
    pub fn socket(&self) -> &Path {
        self.door.listener().path()
    }

    /// Where it answers our own programs, if there is a socket for them.
    pub fn own_socket(&self) -> Option<&Path> {
        self.own.as_ref().map(|door| door.listener().path())
    }

    /// Where metrics are given out.
    pub fn metrics(&self) -> Option<&MetricsAddress> {
        self.metrics.as_ref().map(Metrics::address)
    }

    /// Gives out metrics on `listener` from now on, in the place of another; without one no more.
    ///
    /// # Errors
    /// When the system gives no thread; it then goes on as before.
    pub fn give_out_metrics(&mut self, listener: Option<MetricsListener>) -> Result<(), StartError> {
        let metrics = listener.map(|listener| Metrics::open(listener, &self.hall)).transpose()?;
        if let Some(old) = std::mem::replace(&mut self.metrics, metrics) {
            old.close();
        }
        Ok(())
    }

    /// Goes on with other settings and accounts. Requests that were taken are answered under the old ones.
    ///
    /// # Errors
    /// When the new ones do not work; the server then goes on under the old ones.
    pub fn reload(&mut self, settings: Settings, backend: Backend) -> Result<(), StartError> {
        let new = &settings.courier;
        let place = Place::of_courier(new);
        let listener = match place.is_served_by(self.door.listener().place()) {
            true => None,
            false => Some(self.door.listener().rebind(place)?),
        };
        let own = self.other_own(new)?;
        let live = live(&settings, listener.as_ref().unwrap_or(self.door.listener()), backend)?;
        let works = &self.hall.works;
        works.lookups.resize(settings.lookup_threads(), live.room.all)?;
        works.hashing.resize(settings.hashing_threads())?;
        let threads = self.door.threads();
        let door = listener.map(|listener| Door::open(listener, threads, &self.hall)).transpose()?;
        let own_door = match own {
            Own::Another(listener) => Some(Some(Door::open(listener, threads, &self.hall)?)),
            Own::None => Some(None),
            Own::Same => None,
        };
        {
            let mut current = self.hall.live.lock();
            current.backend.authenticator.leave_to(Arc::clone(&live.backend.authenticator));
            *current = Arc::new(live);
        }
        self.learner.renew();
        self.settings = settings;
        if let Some(door) = door {
            std::mem::replace(&mut self.door, door).close();
        }
        if let Some(door) = own_door
            && let Some(before) = std::mem::replace(&mut self.own, door)
        {
            before.close();
        }
        Ok(())
    }

    /// The socket for our own programs under new settings. One that there was none of before may still not be had.
    fn other_own(&self, new: &CourierConfig) -> Result<Own, BindError> {
        Ok(match (&self.own, Place::of_own(new)) {
            (_, None) => Own::None,
            (Some(door), Some(place)) if place.is_served_by(door.listener().place()) => Own::Same,
            (Some(door), Some(place)) => Own::Another(door.listener().rebind(place)?),
            (None, Some(_)) => own_or_warning(new).map_or(Own::None, Own::Another),
        })
    }

    /// Accepts no more, answers what was taken, and returns when that is done. Refusals that are held are sent at once. A
    /// request that has come in part has the time that `[courier] idle` and `request` give it; a client that has sent
    /// nothing is closed at once.
    pub fn stop(self) {
        let patience = self.settings.courier.request + Duration::from_secs(5);
        let works = &self.hall.works;
        if let Some(metrics) = self.metrics {
            metrics.close();
        }
        self.door.close();
        if let Some(own) = self.own {
            own.close();
        }
        works.held.release();
        self.hall.reader.stop();
        // No thread here can end by a panic: that of each request is caught.
        let _ = self.reading.join();
        self.learner.stop();
        works.lookups.close();
        works.changes.close();
        works.recipients.close();
        works.hashing.close();
        works.held.stop();
        let _ = self.refusing.join();
        works.outbox.stop(Instant::now() + patience);
        let _ = self.writing.join();
        works.outbox.pages().close();
    }
}
