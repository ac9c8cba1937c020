//! A listening socket and the threads that accept connections on it.
//!
//! A few threads wait in `accept`. The kernel wakes exactly one of them for a connection. That thread usually finds the
//! request there already, does the work, answers and waits again: one thread and five system calls for a login, in
//! addition to those of the database. Whatever does not go so smoothly is passed on to other threads.
//!
//! While all of these threads are blocked in their work, a substitute accepts, and passes all requests on.

use super::accept_loop::AcceptLoop;
use super::listener::Listener;
use super::load::AcceptorLoad;
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
    threads: Vec<JoinHandle<()>>,
    substitute: Option<JoinHandle<()>>,
    /// True when the substitute is to end.
    stopped: Arc<AtomicBool>,
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
        let accept_loop =
            || AcceptLoop::new(Arc::clone(&self.listener), Arc::clone(&self.load), Dispatcher::new(shared));
        for _ in 0..threads {
            let accept_loop = accept_loop();
            self.threads.push(Builder::new().name("accept".into()).spawn(move || accept_loop.run())?);
        }
        let (accept_loop, stopped) = (accept_loop(), Arc::clone(&self.stopped));
        let substitute = move || accept_loop.run_as_substitute(&stopped);
        self.substitute = Some(Builder::new().name("accept-spare".into()).spawn(substitute)?);
        Ok(())
    }

    /// Returns the number of threads that accept.
    pub fn threads(&self) -> usize {
        self.load.size()
    }

    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Accepts the connections that were made before now, and no more. Returns when their requests have been passed on
    /// or answered.
    pub fn close(self) {
        self.listener.shut();
        // No thread here can end by a panic: the panic of a connection is caught.
        for thread in self.threads {
            let _ = thread.join();
        }
        self.stopped.store(true, Ordering::SeqCst);
        self.load.wake();
        if let Some(substitute) = self.substitute {
            let _ = substitute.join();
        }
    }
}
