//! A bounded queue of work with threads of its own.
//!
//! Each kind of work that may take long has its own queue, so that one kind never waits behind another.

use crate::process::panic::catch_panic;
use mailauth_core::sync::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

/// A piece of work. Dropping it closes its connection, which means "not now".
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// A queue of jobs and the threads that run them.
pub(crate) struct WorkQueue {
    name: &'static str,
    state: Mutex<State>,
    arrived: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    /// Jobs that are to run at a later time.
    later: Vec<(Instant, Job)>,
    capacity: usize,
    threads: usize,
    wanted: usize,
    closed: bool,
    handles: Vec<JoinHandle<()>>,
}

impl WorkQueue {
    /// Creates a queue with `threads` threads in which at most `capacity` jobs wait.
    ///
    /// # Errors
    /// Fails if the system provides no thread.
    pub fn open(name: &'static str, threads: usize, capacity: usize) -> io::Result<Arc<Self>> {
        let state = State {
            jobs: VecDeque::new(),
            later: Vec::new(),
            capacity,
            threads: 0,
            wanted: 0,
            closed: false,
            handles: Vec::new(),
        };
        let queue = Arc::new(WorkQueue { name, state: Mutex::new(state), arrived: Condvar::new() });
        queue.resize(threads, capacity)?;
        Ok(queue)
    }

    /// Changes the number of threads and the number of jobs that may wait. Surplus threads end after their current job.
    ///
    /// # Errors
    /// Fails if the system provides no thread.
    pub fn resize(self: &Arc<Self>, threads: usize, capacity: usize) -> io::Result<()> {
        let mut state = self.lock();
        state.wanted = threads.max(1);
        state.capacity = capacity;
        state.handles.retain(|handle| !handle.is_finished());
        while state.threads < state.wanted {
            let queue = Arc::clone(self);
            let handle = Builder::new().name(self.name.into()).spawn(move || queue.work())?;
            state.handles.push(handle);
            state.threads += 1;
        }
        drop(state);
        self.arrived.notify_all();
        Ok(())
    }

    /// Adds a job. Returns false if the queue is full or closed; the job is then dropped.
    pub fn push(&self, job: Job) -> bool {
        let mut state = self.lock();
        if state.closed || state.jobs.len() >= state.capacity {
            return false;
        }
        state.jobs.push_back(job);
        drop(state);
        self.arrived.notify_one();
        true
    }

    /// Adds a job without checking the capacity: one that continues another job of this queue and is added by that, or
    /// one of which the caller has checked that it fits.
    pub fn resume(&self, job: Job) {
        self.lock().jobs.push_back(job);
        self.arrived.notify_one();
    }

    /// Adds a job without checking the capacity, to be run at the time `at`, or at once when the queue is closed.
    pub fn resume_at(&self, at: Instant, job: Job) {
        self.lock().later.push((at, job));
        self.arrived.notify_one();
    }

    /// Returns the name of the work.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the number of waiting jobs, and its maximum.
    pub fn waiting(&self) -> (usize, usize) {
        let state = self.lock();
        (state.jobs.len(), state.capacity)
    }

    /// Lets the threads run the jobs that wait, and waits for the threads.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let handles = std::mem::take(&mut state.handles);
        drop(state);
        self.arrived.notify_all();
        for handle in handles {
            // A thread cannot end by a panic: the panic of a job is caught.
            let _ = handle.join();
        }
    }

    /// Runs the jobs that wait, and waits for more until the queue is closed.
    pub fn work(&self) {
        while let Some(job) = self.next() {
            catch_panic(job);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.threads > state.wanted {
                state.threads -= 1;
                return None;
            }
            let next = state.queue_due_jobs(Instant::now());
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state = match next {
                None => self.arrived.wait(state),
                Some(next) => {
                    let pause = next.saturating_duration_since(Instant::now());
                    self.arrived.wait_timeout(state, pause)
                }
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// Queues the jobs that are due, and returns the time of the next one.
    fn queue_due_jobs(&mut self, now: Instant) -> Option<Instant> {
        let closed = self.closed;
        let due = self.later.extract_if(.., |(at, _)| closed || *at <= now).map(|(_, job)| job);
        self.jobs.extend(due);
        self.later.iter().map(|(at, _)| *at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_panic_ends_only_its_own_job() {
        let queue = WorkQueue::open("test", 1, 10).unwrap();
        let (sender, receiver) = mpsc::channel();
        assert!(queue.push(Box::new(|| panic!("on purpose"))));
        assert!(queue.push(Box::new(move || sender.send(1).unwrap())));
        assert_eq!(receiver.recv_timeout(LONG), Ok(1));
        queue.close();
    }

    #[test]
    fn a_full_queue_refuses_jobs_and_a_closed_one_finishes_them() {
        let queue = WorkQueue::open("test", 1, 2).unwrap();
        let (release, gate) = mpsc::channel::<()>();
        let (sender, done) = mpsc::channel();
        let (started, running) = mpsc::channel();
        assert!(queue.push(Box::new(move || {
            started.send(()).unwrap();
            gate.recv().unwrap();
        })));
        running.recv_timeout(LONG).unwrap();
        for n in 0..2 {
            let sender = sender.clone();
            assert!(queue.push(Box::new(move || sender.send(n).unwrap())));
        }
        assert!(!queue.push(Box::new(|| ())), "two wait already");
        release.send(()).unwrap();
        queue.close();
        assert_eq!(done.try_iter().collect::<Vec<_>>(), [0, 1]);
        assert!(!queue.push(Box::new(|| ())), "closed");
    }

    #[test]
    fn a_delayed_job_occupies_no_thread_and_is_not_lost() {
        let queue = WorkQueue::open("test", 1, 10).unwrap();
        let (sender, arrivals) = mpsc::channel();
        let send = |word: &'static str| {
            let sender = sender.clone();
            Box::new(move || sender.send((word, Instant::now())).unwrap()) as Job
        };
        let soon = Instant::now() + Duration::from_millis(50);
        queue.resume_at(soon, send("soon"));
        queue.resume_at(soon + LONG * 10, send("at the end"));
        assert!(queue.push(send("now")));
        assert_eq!(arrivals.recv_timeout(LONG).unwrap().0, "now");
        let (word, at) = arrivals.recv_timeout(LONG).unwrap();
        assert!(word == "soon" && at >= soon);
        queue.close();
        assert_eq!(arrivals.try_recv().unwrap().0, "at the end");
    }

    #[test]
    fn a_queue_gets_more_and_fewer_threads() {
        let queue = WorkQueue::open("test", 1, 10).unwrap();
        queue.resize(3, 10).unwrap();
        let (sender, arrivals) = mpsc::channel();
        let (release, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for _ in 0..3 {
            let (sender, gate) = (sender.clone(), gate.clone());
            queue.push(Box::new(move || {
                sender.send(()).unwrap();
                let _ = gate.lock().recv();
            }));
        }
        for _ in 0..3 {
            arrivals.recv_timeout(LONG).expect("three jobs at once");
        }
        queue.resize(1, 10).unwrap();
        drop(release);
        queue.push(Box::new(move || sender.send(()).unwrap()));
        arrivals.recv_timeout(LONG).expect("one thread is left");
        queue.close();
    }
}
