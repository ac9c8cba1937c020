//! The process that runs as a mailbox's owner: it answers questions about this owner's mailboxes, one after the other.

use crate::frame::{Answer, MOST_QUESTION, Operation, Question, RELEASE};
use crate::packet::{self, Received};
use mailauth_core::quota::mailboxes::{Counted, Here, Mailbox, Mailboxes as _};
use mailauth_core::quota::{IfLocked, Patience, QuotaError, Usage};
use mailauth_core::{home, privileges};
use rustix::event::PollFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, set_dumpable_behavior, set_parent_process_death_signal, setrlimit,
};
use std::path::Path;
use std::time::{Duration, Instant};

/// Limits of such a process: far more memory than the largest mailbox needs, and a few descriptors.
const LIMITS: [(Resource, u64); 5] = [
    (Resource::As, 1 << 30),
    (Resource::Fsize, 64 << 20),
    (Resource::Nofile, 64),
    // The process starts no other processes.
    (Resource::Nproc, 0),
    (Resource::Core, 0),
];

/// A question with the socket for its answer.
pub struct Request {
    pub question: Question,
    pub reply: OwnedFd,
}

/// Becomes the owner, and answers the questions on `control` until that is closed.
///
/// # Errors
/// Fails if it cannot become the owner. Then no mailbox was read.
pub fn serve(uid: u32, gid: u32, control: &OwnedFd) -> Result<(), String> {
    become_owner(uid, gid)?;
    let mut buffer = vec![0; MOST_QUESTION + 1];
    loop {
        let far = Instant::now() + Duration::from_secs(3600);
        if !packet::wait(control.as_fd(), PollFlags::IN, far).map_err(|errno| errno.to_string())? {
            continue;
        }
        let (length, reply) = match packet::receive(control.as_fd(), &mut buffer) {
            Ok(Received::Packet(length, Some(reply))) => (length, reply),
            _ => return Ok(()),
        };
        // The root part has parsed it before.
        if let Ok(question) = Question::parse(buffer.get(..length).unwrap_or_default()) {
            answer(&Request { question, reply });
        }
        if packet::send(control.as_fd(), b"d", None).is_err() {
            return Ok(());
        }
    }
}

/// Creates a home and Maildir: as root in root's folders, and the rest as the owner. The process ends afterwards.
pub fn make(request: &Request) {
    let Question { uid, gid, home, path, .. } = &request.question;
    let made = home::as_root(home, *uid, *gid)
        .map_err(|error| format!("the mailbox {} cannot be made: {error}", path.display()))
        .and_then(|()| become_owner(*uid, *gid))
        .and_then(|()| make_as_owner(home, path, *uid));
    say(request.reply.as_fd(), &made.map_or_else(Answer::Failed, Answer::Made));
}

/// Returns true if there was no Maildir.
fn make_as_owner(home: &Path, path: &Path, uid: u32) -> Result<bool, String> {
    let missing = home::is_missing_at(path);
    let failed = |error| home::NotMade::Io { path: path.to_owned(), uid, source: error };
    home::as_owner(home, Some(path)).map_err(|error| failed(error).to_string())?;
    Ok(missing)
}

fn become_owner(uid: u32, gid: u32) -> Result<(), String> {
    privileges::become_owner(uid, gid).map_err(|error| error.to_string())?;
    // If the process were dumpable, other processes of this user could trace it.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|errno| errno.to_string())?;
    // The change of the user has reset this.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|errno| errno.to_string())?;
    for (resource, most) in LIMITS {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(|errno| format!("its limits cannot be set: {errno}"))?;
    }
    Ok(())
}

fn answer(request: &Request) {
    let Question { operation, uid, gid, lock, answer, asks_again, limits, rules, path, .. } = request.question.clone();
    let (now, after) = (Instant::now(), |milliseconds: u32| Duration::from_millis(milliseconds.into()));
    let if_locked = if asks_again { IfLocked::AskAgain } else { IfLocked::GoOn };
    let patience = Patience { lock: now + after(lock), answer: now + after(answer), if_locked };
    let mailbox = Mailbox { uid, gid, path, limits, rules, patience };
    let reply = request.reply.as_fd();
    let told = match operation {
        Operation::Precheck(size) => Here.precheck(&mailbox, size).map(Answer::Space),
        Operation::Renew => Here.renew(&mailbox).map(Answer::Renewed),
        Operation::Count(known) => return count(reply, &mailbox, known),
        Operation::Make => return, // a separate process does that
    };
    say(reply, &told.unwrap_or_else(|error| failure(&error)));
}

/// Counts and answers under the lock, and holds the lock until the daemon has published the figure.
fn count(reply: BorrowedFd<'_>, mailbox: &Mailbox, known: Option<Usage>) {
    let counted = Here.count(mailbox, known, &mut |usage| {
        say(reply, &Answer::Counted(Counted::Now(usage)));
        let _ = packet::wait(reply, PollFlags::IN, mailbox.patience.answer); // the daemon has ended, or has had enough time
        let mut word = [0; RELEASE.len()];
        let _ = packet::receive(reply, &mut word);
    });
    match counted {
        Ok(Counted::Now(_)) => {}
        Ok(counted) => say(reply, &Answer::Counted(counted)),
        Err(error) => say(reply, &failure(&error)),
    }
}

fn failure(error: &QuotaError) -> Answer {
    match error {
        QuotaError::Locked(_) => Answer::Locked,
        QuotaError::Late(_) => Answer::Late,
        error => Answer::Failed(error.to_string()),
    }
}

/// Sends an answer. The daemon may have ended, which is not an error of this process.
fn say(reply: BorrowedFd<'_>, answer: &Answer) {
    let _ = packet::send(reply, &answer.bytes(), None);
}
