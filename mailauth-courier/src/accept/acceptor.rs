//! A listening socket and the threads that accept connections on it.
//!
//! Some threads wait in `accept`. The kernel wakes exactly one of them for a connection. That thread usually finds the
//! request there already, does the work, answers and waits again: one thread and five system calls for a login, in
//! addition to those of the database. Whatever does not go so smoothly is passed on to other threads.
//!
//! While all of these threads are blocked in their work, a substitute accepts, and passes all requests on.

use super::accept_loop::AcceptLoop;
use super::listener::Listener;
use super::load::AcceptorLoad;
use crate::process::interrupt;
use crate::shared::Shared;
use crate::work::dispatcher::Dispatcher;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

/// A listening socket and the threads that accept connections on it.
pub(crate) struct Acceptor {
    listener: Arc<Listener>,
    /// Load of this acceptor's own threads: those of another may be idle while these are blocked.
    load: Arc<AcceptorLoad>,
    threads: Vec<AcceptThread>,
    substitute: Option<AcceptThread>,
    /// True when no thread is to accept another connection.
    stopped: Arc<AtomicBool>,
}

/// A thread that accepts.
struct AcceptThread {
    handle: JoinHandle<()>,
    /// True while the thread waits for a connection.
    waits: Arc<AtomicBool>,
}

impl AcceptThread {
    fn start(name: &str, accept_loop: AcceptLoop, run: impl FnOnce(&AcceptLoop) + Send + 'static) -> io::Result<Self> {
        let waits = accept_loop.waits();
        let handle = Builder::new().name(name.into()).spawn(move || run(&accept_loop))?;
        Ok(AcceptThread { handle, waits })
    }

    /// Waits for the end of the thread, which accepts no more connections.
    fn join(self) {
        interrupt::join(self.handle, || self.waits.load(Ordering::SeqCst));
    }
}

impl Acceptor {
    /// Starts to accept.
    ///
    /// # Errors
    /// Fails if the system provides no thread.
    pub fn open(listener: Listener, threads: usize, shared: &Arc<Shared>) -> io::Result<Self> {
        let (listener, load) = (Arc::new(listener), Arc::new(AcceptorLoad::new(threads)));
        let stopped = Arc::<AtomicBool>::default();
        let mut acceptor = Acceptor { listener, load, threads: Vec::new(), substitute: None, stopped };
        match acceptor.start_threads(threads, shared) {
            Ok(()) => Ok(acceptor),
            Err(error) => {
                acceptor.close();
                Err(error)
            }
        }
    }

    fn start_threads(&mut self, threads: usize, shared: &Arc<Shared>) -> io::Result<()> {
        let accept_loop = || {
            let (listener, load, stopped) = (&self.listener, &self.load, &self.stopped);
            AcceptLoop::new(Arc::clone(listener), Arc::clone(load), Arc::clone(stopped), Dispatcher::new(shared))
        };
        for _ in 0..threads {
            self.threads.push(AcceptThread::start("accept", accept_loop(), AcceptLoop::run)?);
        }
        self.substitute = Some(AcceptThread::start("accept-spare", accept_loop(), AcceptLoop::run_as_substitute)?);
        Ok(())
    }

    /// Returns the number of threads that accept.
    pub fn threads(&self) -> usize {
        self.load.size()
    }

    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Accepts the connections that were made before now, and no more; those on a socket that was passed to this process
    /// wait for the next one. Returns when the requests of those that were accepted have been passed on or answered.
    pub fn close(self) {
        if self.listener.outlives_process() {
            self.stopped.store(true, Ordering::SeqCst);
        } else {
            self.listener.shut();
        }
        self.threads.into_iter().for_each(AcceptThread::join);
        self.stopped.store(true, Ordering::SeqCst);
        self.load.wake();
        if let Some(substitute) = self.substitute {
            substitute.join();
        }
    }
}
