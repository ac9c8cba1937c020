//! The processes that run as owners of mailboxes. Each answers one question at a time, is kept for a while for the next one,
//! and is killed if it takes longer than any client waits.

use super::owner::{self, Request};
use super::process::Process;
use crate::frame::Operation;
use crate::packet::{self, Received};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::io;
use std::time::{Duration, Instant};

/// Maximum number of processes, in total and for one owner. If all mailboxes of a host have one owner, several are counted
/// at a time.
const MOST: usize = 32;
const MOST_OF_ONE: usize = 4;

/// Time for which an idle process is kept.
const IDLE: Duration = Duration::from_secs(10);

/// Time after its deadline for which a process may run, so that it can report itself that it was too slow.
const GRACE: Duration = Duration::from_millis(200);

/// All processes.
#[derive(Default)]
pub struct Workers(Vec<Worker>);

struct Worker {
    uid: u32,
    gid: u32,
    process: Process,
    /// The socket for its questions; `None` once it gets no more.
    control: Option<OwnedFd>,
    /// Deadline of its current question; `None` if it is idle.
    busy: Option<Instant>,
    /// Time at which it got its last question.
    used: Instant,
}

/// Result of giving a question to a process.
pub enum Assignment {
    /// A process works on it.
    Taken,
    /// All processes that are permitted are busy.
    Later(Request),
}

impl Workers {
    /// Gives a question to a process of the owner. If none is idle, starts one, unless there are too many.
    ///
    /// # Errors
    /// Fails if no process can be started. Then the question is dropped.
    pub fn assign(&mut self, request: Request, until: Instant, now: Instant) -> io::Result<Assignment> {
        let (uid, gid) = (request.question.uid, request.question.gid);
        let makes = request.question.operation == Operation::Make;
        let free = |worker: &&mut Worker| (worker.uid, worker.gid) == (uid, gid) && worker.is_free();
        if !makes && let Some(worker) = self.0.iter_mut().find(free) {
            if worker.assign(&request, until, now) {
                return Ok(Assignment::Taken);
            }
            // The process has just ended.
            worker.stop();
        }
        if self.0.iter().filter(|worker| worker.uid == uid).count() >= MOST_OF_ONE
            || self.0.len() >= MOST && !self.make_room()
        {
            return Ok(Assignment::Later(request));
        }
        if makes { self.start_making(request, until, now) } else { self.start(&request, until, now) }
            .map(|()| Assignment::Taken)
    }

    fn start(&mut self, request: &Request, until: Instant, now: Instant) -> io::Result<()> {
        let (uid, gid) = (request.question.uid, request.question.gid);
        let (control, theirs) = packet::pair()?;
        let process = Process::start(&[theirs.as_fd()], || match owner::serve(uid, gid, &theirs) {
            Ok(()) => 0,
            Err(why) => {
                tracing::error!(uid, gid, "{why}; no mailbox of this user can be read");
                1
            }
        })?;
        let mut worker = Worker { uid, gid, process, control: Some(control), busy: None, used: now };
        worker.assign(request, until, now);
        self.0.push(worker);
        Ok(())
    }

    /// Starts a process for one question, which keeps root's rights until it has done the part that needs them.
    fn start_making(&mut self, request: Request, until: Instant, now: Instant) -> io::Result<()> {
        let (control, theirs) = packet::pair()?;
        let process = Process::start(&[theirs.as_fd(), request.reply.as_fd()], || {
            owner::make(&request);
            0
        })?;
        let (uid, gid) = (request.question.uid, request.question.gid);
        let control = Some(control);
        self.0.push(Worker { uid, gid, process, control, busy: Some(until), used: now });
        Ok(())
    }

    /// Ends the process that has been idle for the longest time. Returns true if there is room for another one now.
    fn make_room(&mut self) -> bool {
        let idle = self.0.iter_mut().filter(|worker| worker.is_free()).min_by_key(|worker| worker.used);
        if let Some(worker) = idle {
            worker.stop();
        }
        self.forget_ended();
        self.0.len() < MOST
    }

    /// Returns the sockets on which processes report that they are done.
    pub fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().filter_map(|worker| worker.control.as_ref().map(AsFd::as_fd))
    }

    /// Reads the reports of the processes, kills those that take too long, and removes those that have ended.
    pub fn supervise(&mut self, now: Instant) {
        for worker in &mut self.0 {
            worker.read_report();
            if worker.control.is_none() {
                continue;
            }
            match worker.busy {
                Some(until) if now >= until + GRACE => {
                    let (uid, pid) = (worker.uid, worker.process.pid());
                    tracing::warn!(uid, pid, "the work on a mailbox of this user took too long, and was ended");
                    worker.stop();
                }
                None if now >= worker.used + IDLE => worker.stop(),
                Some(_) | None => {}
            }
        }
        self.forget_ended();
    }

    fn forget_ended(&mut self) {
        self.0.retain_mut(|worker| worker.control.is_some() || !worker.process.is_over());
    }

    /// Returns the time by which [`Workers::supervise`] has to be called again.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let due = |worker: &Worker| match (&worker.control, worker.busy) {
            // The end of a process is not reported.
            (None, _) => now + Duration::from_millis(20),
            (Some(_), Some(until)) => until + GRACE,
            (Some(_), None) => worker.used + IDLE,
        };
        self.0.iter().map(due).min()
    }

    /// Kills all processes.
    pub fn end(&mut self) {
        self.0.iter().for_each(|worker| worker.process.kill());
    }
}

impl Worker {
    fn is_free(&self) -> bool {
        self.busy.is_none() && self.control.is_some()
    }

    fn assign(&mut self, request: &Request, until: Instant, now: Instant) -> bool {
        let Some(control) = &self.control else { return false };
        if packet::send(control.as_fd(), &request.question.bytes(), Some(request.reply.as_fd())).is_err() {
            return false;
        }
        (self.busy, self.used) = (Some(until), now);
        true
    }

    fn read_report(&mut self) {
        let Some(control) = &self.control else { return };
        let mut word = [0; 1];
        match packet::receive(control.as_fd(), &mut word) {
            Ok(Received::Packet(..)) => self.busy = None,
            Err(rustix::io::Errno::AGAIN) => {}
            Ok(Received::End) | Err(_) => self.stop(),
        }
    }

    /// Kills it. Closing its socket would not be enough, because its owner could keep it from noticing that.
    fn stop(&mut self) {
        self.control = None;
        self.process.kill();
    }
}
