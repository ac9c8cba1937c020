//! A bounded queue of work with threads of its own.
//!
//! Each kind of work that may take long has a lane, so that one kind never waits behind another.

use mailauth_core::sync::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

/// A piece of work. One that is dropped closes its connection, which is "not now".
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// A queue, and what its threads have to know.
pub(crate) struct Lane {
    name: &'static str,
    state: Mutex<State>,
    arrived: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    /// Jobs that wait for their time.
    later: Vec<(Instant, Job)>,
    capacity: usize,
    threads: usize,
    wanted: usize,
    closed: bool,
    handles: Vec<JoinHandle<()>>,
}

impl Lane {
    /// A lane of `threads` threads on which at most `capacity` jobs wait.
    ///
    /// # Errors
    /// When the system gives no thread.
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
        let lane = Arc::new(Lane { name, state: Mutex::new(state), arrived: Condvar::new() });
        lane.resize(threads, capacity)?;
        Ok(lane)
    }

    /// Changes the numbers of threads and of jobs that may wait. Surplus threads end after the job they are at.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn resize(self: &Arc<Self>, threads: usize, capacity: usize) -> io::Result<()> {
        let mut state = self.lock();
        state.wanted = threads.max(1);
        state.capacity = capacity;
        state.handles.retain(|handle| !handle.is_finished());
        while state.threads < state.wanted {
            let lane = Arc::clone(self);
            let handle = Builder::new().name(self.name.into()).spawn(move || lane.work())?;
            state.handles.push(handle);
            state.threads += 1;
        }
        drop(state);
        self.arrived.notify_all();
        Ok(())
    }

    /// Adds a job. False when the queue is full or closed; the job is then dropped.
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

    /// Adds a job that goes on with one of this lane's own, from within that, or whose caller has looked whether it fits: it
    /// is never refused.
    pub fn resume(&self, job: Job) {
        self.lock().jobs.push_back(job);
        self.arrived.notify_one();
    }

    /// The same, at its time; when the lane is closed, at once.
    pub fn resume_at(&self, at: Instant, job: Job) {
        self.lock().later.push((at, job));
        self.arrived.notify_one();
    }

    /// What its work is called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How many jobs wait, and how many may.
    pub fn waiting(&self) -> (usize, usize) {
        let state = self.lock();
        (state.jobs.len(), state.capacity)
    }

    /// Lets the threads finish what is queued, and waits for them.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let handles = std::mem::take(&mut state.handles);
        drop(state);
        self.arrived.notify_all();
        for handle in handles {
            // A thread cannot end by a panic: each job's is caught.
            let _ = handle.join();
        }
    }

    /// Does what is queued, and waits for more until the lane is closed.
    pub fn work(&self) {
        while let Some(job) = self.next() {
            guarded(job);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.threads > state.wanted {
                state.threads -= 1;
                return None;
            }
            let next = state.ripen(Instant::now());
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
    /// Queues the jobs whose time has come, and returns the time of the next one.
    fn ripen(&mut self, now: Instant) -> Option<Instant> {
        let closed = self.closed;
        let ripe = self.later.extract_if(.., |(at, _)| closed || *at <= now).map(|(_, job)| job);
        self.jobs.extend(ripe);
        self.later.iter().map(|(at, _)| *at).min()
    }
}

/// Runs `work`; a panic in it is logged and ends there. What the work held is dropped: its connection is closed, which
/// is "not now".
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work))
        .inspect_err(|panic| {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?");
            tracing::error!(panic = text, "a request was given up for a defect in this program; please report it");
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_panic_costs_its_own_job_and_nothing_else() {
        let lane = Lane::open("test", 1, 10).unwrap();
        let (sender, receiver) = mpsc::channel();
        assert!(lane.push(Box::new(|| panic!("on purpose"))));
        assert!(lane.push(Box::new(move || sender.send(1).unwrap())));
        assert_eq!(receiver.recv_timeout(LONG), Ok(1));
        lane.close();
    }

    #[test]
    fn a_full_lane_refuses_and_a_closed_one_finishes_what_it_took() {
        let lane = Lane::open("test", 1, 2).unwrap();
        let (release, gate) = mpsc::channel::<()>();
        let (sender, done) = mpsc::channel();
        let (started, running) = mpsc::channel();
        assert!(lane.push(Box::new(move || {
            started.send(()).unwrap();
            gate.recv().unwrap();
        })));
        running.recv_timeout(LONG).unwrap();
        for n in 0..2 {
            let sender = sender.clone();
            assert!(lane.push(Box::new(move || sender.send(n).unwrap())));
        }
        assert!(!lane.push(Box::new(|| ())), "two wait already");
        release.send(()).unwrap();
        lane.close();
        assert_eq!(done.try_iter().collect::<Vec<_>>(), [0, 1]);
        assert!(!lane.push(Box::new(|| ())), "closed");
    }

    #[test]
    fn a_job_that_waits_for_its_time_holds_no_thread_and_is_not_lost() {
        let lane = Lane::open("test", 1, 10).unwrap();
        let (sender, arrivals) = mpsc::channel();
        let send = |word: &'static str| {
            let sender = sender.clone();
            Box::new(move || sender.send((word, Instant::now())).unwrap()) as Job
        };
        let soon = Instant::now() + Duration::from_millis(50);
        lane.resume_at(soon, send("soon"));
        lane.resume_at(soon + LONG * 10, send("at the end"));
        assert!(lane.push(send("now")));
        assert_eq!(arrivals.recv_timeout(LONG).unwrap().0, "now");
        let (word, at) = arrivals.recv_timeout(LONG).unwrap();
        assert!(word == "soon" && at >= soon);
        lane.close();
        assert_eq!(arrivals.try_recv().unwrap().0, "at the end");
    }

    #[test]
    fn a_lane_grows_and_shrinks() {
        let lane = Lane::open("test", 1, 10).unwrap();
        lane.resize(3, 10).unwrap();
        let (sender, arrivals) = mpsc::channel();
        let (release, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for _ in 0..3 {
            let (sender, gate) = (sender.clone(), gate.clone());
            lane.push(Box::new(move || {
                sender.send(()).unwrap();
                let _ = gate.lock().recv();
            }));
        }
        for _ in 0..3 {
            arrivals.recv_timeout(LONG).expect("three jobs at once");
        }
        lane.resize(1, 10).unwrap();
        drop(release);
        lane.push(Box::new(move || sender.send(()).unwrap()));
        arrivals.recv_timeout(LONG).expect("one thread is left");
        lane.close();
    }
}
