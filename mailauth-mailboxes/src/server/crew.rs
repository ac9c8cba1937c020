//! The processes that are owners of mailboxes: each answers one question at a time, is kept for a while for the next one, and
//! is ended when it takes longer than any client waits.

use super::owner::{self, Asked};
use super::process::Process;
use crate::frame::Operation;
use crate::packet::{self, Received};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::io;
use std::time::{Duration, Instant};

/// The most processes, and the most of one owner. A host whose mailboxes all have one owner counts several at a time.
const MOST: usize = 32;
const MOST_OF_ONE: usize = 4;

/// How long a process is kept that has nothing to do.
const IDLE: Duration = Duration::from_secs(10);

/// How much longer than it should a process may take, so that it can say itself that it was too slow.
const GRACE: Duration = Duration::from_millis(200);

/// All of them.
#[derive(Default)]
pub struct Crew(Vec<Member>);

struct Member {
    uid: u32,
    gid: u32,
    process: Process,
    /// None once no more is asked of it.
    control: Option<OwnedFd>,
    /// Until when its question has to be answered, if it has one.
    busy: Option<Instant>,
    /// When it got its last question.
    used: Instant,
}

/// What became of a question.
pub enum Given {
    /// A process has it.
    Taken,
    /// All that may be are busy.
    Later(Asked),
}

impl Crew {
    /// Gives a question to a process of its owner's, and starts one where none is free and another one may be.
    ///
    /// # Errors
    /// Fails if the system gives no more processes; the question is dropped.
    pub fn give(&mut self, asked: Asked, until: Instant, now: Instant) -> io::Result<Given> {
        let (uid, gid) = (asked.question.uid, asked.question.gid);
        let makes = asked.question.operation == Operation::Make;
        let free = |member: &&mut Member| (member.uid, member.gid) == (uid, gid) && member.is_free();
        if !makes && let Some(member) = self.0.iter_mut().find(free) {
            if member.give(&asked, until, now) {
                return Ok(Given::Taken);
            }
            // It has ended just now.
            member.dismiss();
        }
        if self.0.iter().filter(|member| member.uid == uid).count() >= MOST_OF_ONE
            || self.0.len() >= MOST && !self.make_room()
        {
            return Ok(Given::Later(asked));
        }
        if makes { self.start_making(asked, until, now) } else { self.start(&asked, until, now) }.map(|()| Given::Taken)
    }

    fn start(&mut self, asked: &Asked, until: Instant, now: Instant) -> io::Result<()> {
        let (uid, gid) = (asked.question.uid, asked.question.gid);
        let (control, theirs) = packet::pair()?;
        let process = Process::start(&[theirs.as_fd()], || match owner::serve(uid, gid, &theirs) {
            Ok(()) => 0,
            Err(why) => {
                tracing::error!(uid, gid, "{why}; the mailboxes of this user are not looked at");
                1
            }
        })?;
        let mut member = Member { uid, gid, process, control: Some(control), busy: None, used: now };
        member.give(asked, until, now);
        self.0.push(member);
        Ok(())
    }

    /// Starts a process for one question, which has no rights taken from it before it has done root's part.
    fn start_making(&mut self, asked: Asked, until: Instant, now: Instant) -> io::Result<()> {
        let (control, theirs) = packet::pair()?;
        let process = Process::start(&[theirs.as_fd(), asked.reply.as_fd()], || {
            owner::make(&asked);
            0
        })?;
        let (uid, gid) = (asked.question.uid, asked.question.gid);
        let control = Some(control);
        self.0.push(Member { uid, gid, process, control, busy: Some(until), used: now });
        Ok(())
    }

    /// Ends the process that has had nothing to do for the longest time. Returns true if that one is gone already.
    fn make_room(&mut self) -> bool {
        let idle = self.0.iter_mut().filter(|member| member.is_free()).min_by_key(|member| member.used);
        if let Some(member) = idle {
            member.dismiss();
        }
        self.forget_ended();
        self.0.len() < MOST
    }

    /// The sockets on which processes say that they are done.
    pub fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().filter_map(|member| member.control.as_ref().map(AsFd::as_fd))
    }

    /// Hears what the processes say, ends those that take too long, and takes note of those that have ended.
    pub fn look_after(&mut self, now: Instant) {
        for member in &mut self.0 {
            member.hear();
            if member.control.is_none() {
                continue;
            }
            match member.busy {
                Some(until) if now >= until + GRACE => {
                    let (uid, pid) = (member.uid, member.process.pid());
                    tracing::warn!(uid, pid, "a look at a mailbox of this user took too long, and was ended");
                    member.dismiss();
                }
                None if now >= member.used + IDLE => member.dismiss(),
                Some(_) | None => {}
            }
        }
        self.forget_ended();
    }

    fn forget_ended(&mut self) {
        self.0.retain_mut(|member| member.control.is_some() || !member.process.is_over());
    }

    /// When [`Crew::look_after`] has something to do at the latest.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let due = |member: &Member| match (&member.control, member.busy) {
            // Its end is not announced.
            (None, _) => now + Duration::from_millis(20),
            (Some(_), Some(until)) => until + GRACE,
            (Some(_), None) => member.used + IDLE,
        };
        self.0.iter().map(due).min()
    }

    /// Ends all of them.
    pub fn end(&mut self) {
        self.0.iter().for_each(|member| member.process.kill());
    }
}

impl Member {
    fn is_free(&self) -> bool {
        self.busy.is_none() && self.control.is_some()
    }

    fn give(&mut self, asked: &Asked, until: Instant, now: Instant) -> bool {
        let Some(control) = &self.control else { return false };
        if packet::send(control.as_fd(), &asked.question.bytes(), Some(asked.reply.as_fd())).is_err() {
            return false;
        }
        (self.busy, self.used) = (Some(until), now);
        true
    }

    fn hear(&mut self) {
        let Some(control) = &self.control else { return };
        let mut word = [0; 1];
        match packet::receive(control.as_fd(), &mut word) {
            Ok(Received::Packet(..)) => self.busy = None,
            Err(rustix::io::Errno::AGAIN) => {}
            Ok(Received::End) | Err(_) => self.dismiss(),
        }
    }

    /// Asks no more of it. It has nothing to do, and its owner could keep it from noticing that it should end.
    fn dismiss(&mut self) {
        self.control = None;
        self.process.kill();
    }
}
