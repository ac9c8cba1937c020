//! The daemon's side: questions about mailboxes, put to the root part.

use crate::frame::{Answer, LONGEST, MOST_ANSWER, Operation, Question, RELEASE};
use crate::packet::{self, Received};
use mailauth_core::Account;
use mailauth_core::home::NotMade;
use mailauth_core::quota::mailboxes::{Counted, Here, Mailbox, Mailboxes, Space};
use mailauth_core::quota::{CountRules, IfLocked, Limits, QuotaError, Usage};
use mailauth_core::sync::Mutex;
use rustix::event::PollFlags;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, connect};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The pauses between attempts to reach a root part that is away grow from one to the other.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// How much later than it was promised an answer may come: the root part ends what takes longer.
const GRACE: Duration = Duration::from_millis(500);

/// How long the daemon waits until a mailbox is made, at most.
const MAKING: Duration = Duration::from_secs(10);

/// The root part, as the daemon sees it.
///
/// Mailboxes of this process's own user are looked at here, which needs no other rights; those of all others by the root part.
pub struct RootPart {
    at: At,
    own: u32,
    line: Mutex<Line>,
    /// It was reached once, or this process could not look at a mailbox: it has to be there.
    needed: AtomicBool,
}

/// Where the root part is.
enum At {
    /// It listens on this socket.
    Path(PathBuf),
    /// It was started by this process, with this end of its socket.
    Started(Arc<OwnedFd>),
    /// It was not started, for this reason.
    Nowhere(String),
}

/// The connection.
#[derive(Default)]
struct Line {
    socket: Option<Arc<OwnedFd>>,
    /// Why there is none, since when, and until when no other attempt is made.
    trouble: Option<Trouble>,
}

struct Trouble {
    why: String,
    since: Instant,
    pause: Duration,
    again: Instant,
}

/// Why a question got no answer.
enum Unasked {
    /// There is no root part on this host.
    NoSuch,
    /// The root part is away.
    Away(String),
    /// It did not answer in time.
    Late,
}

impl RootPart {
    /// One that listens on the socket `path`. Whether it does is seen with the first question.
    pub fn at(path: &Path) -> Self {
        Self::new(At::Path(path.to_owned()))
    }

    pub(crate) fn started(socket: OwnedFd) -> Self {
        Self::new(At::Started(Arc::new(socket)))
    }

    /// None: mailboxes of others than this process's own user cannot be looked at, for this reason.
    pub fn missing(why: String) -> Self {
        Self::new(At::Nowhere(why))
    }

    fn new(at: At) -> Self {
        // The user that this process is now is the one that it was when it started to answer.
        RootPart { at, own: u32::MAX, line: Mutex::default(), needed: AtomicBool::new(false) }
    }

    /// The same, once this process is the user that it stays.
    #[must_use]
    pub fn settled(self) -> Self {
        RootPart { own: rustix::process::geteuid().as_raw(), ..self }
    }

    /// The connection, which is made where there is none.
    fn socket(&self, now: Instant) -> Result<Arc<OwnedFd>, Unasked> {
        let path = match &self.at {
            At::Path(path) => path,
            At::Started(socket) => {
                let line = self.line.lock();
                return match &line.trouble {
                    Some(trouble) if now < trouble.again => Err(Unasked::Away(trouble.why.clone())),
                    _ => Ok(Arc::clone(socket)),
                };
            }
            At::Nowhere(why) => return Err(Unasked::Away(why.clone())),
        };
        let mut line = self.line.lock();
        if let Some(socket) = &line.socket {
            return Ok(Arc::clone(socket));
        }
        if let Some(trouble) = &line.trouble
            && now < trouble.again
        {
            return Err(Unasked::Away(trouble.why.clone()));
        }
        match reach(path) {
            Ok(socket) => {
                if let Some(Trouble { since, .. }) = line.trouble.take() {
                    tracing::info!(after = ?since.elapsed(), "mailauth-mailboxes is there again");
                }
                self.needed.store(true, Ordering::Relaxed);
                let socket = Arc::new(socket);
                line.socket = Some(Arc::clone(&socket));
                Ok(socket)
            }
            Err(Unasked::NoSuch) if !self.needed.load(Ordering::Relaxed) => Err(Unasked::NoSuch),
            Err(why) => {
                let why = match why {
                    Unasked::NoSuch => format!("mailauth-mailboxes does not listen on {}: start it", path.display()),
                    Unasked::Away(why) => why,
                    Unasked::Late => "mailauth-mailboxes did not answer in time".to_owned(),
                };
                line.note(&why, now);
                Err(Unasked::Away(why))
            }
        }
    }

    /// Asks, and returns the answer with the socket that it came on.
    fn ask(&self, question: &Question, until: Instant) -> Result<(Answer, OwnedFd), Unasked> {
        let away = |errno: Errno| Unasked::Away(format!("mailauth-mailboxes cannot be asked: {errno}"));
        let (here, there) = packet::pair().map_err(away)?;
        self.send(question, there, until)?;
        let mut buffer = vec![0; MOST_ANSWER];
        if !packet::wait(here.as_fd(), PollFlags::IN, until + GRACE).map_err(away)? {
            return Err(Unasked::Late);
        }
        match packet::receive(here.as_fd(), &mut buffer) {
            Ok(Received::Packet(length, _)) => {
                let answer = Answer::parse(buffer.get(..length).unwrap_or_default());
                answer
                    .map(|answer| (answer, here))
                    .map_err(|why| Unasked::Away(format!("what mailauth-mailboxes says cannot be understood: {why}")))
            }
            // It closes what it will not answer, and ends what takes too long.
            Ok(Received::End) if Instant::now() >= until => Err(Unasked::Late),
            Ok(Received::End) => Err(Unasked::Away(
                "mailauth-mailboxes has too much to do, was ended, or refuses this mailbox; its log says which".into(),
            )),
            Err(errno) => Err(away(errno)),
        }
    }

    /// Sends a question, with the socket for its answer. A connection that has ended is made again once.
    fn send(&self, question: &Question, reply: OwnedFd, until: Instant) -> Result<(), Unasked> {
        let bytes = question.bytes();
        let mut attempts = 0;
        loop {
            let socket = self.socket(Instant::now())?;
            match packet::send(socket.as_fd(), &bytes, Some(reply.as_fd())) {
                Ok(()) => return Ok(()),
                // It has as many questions as it takes.
                Err(Errno::AGAIN) => match packet::wait(socket.as_fd(), PollFlags::OUT, until) {
                    Ok(true) => {}
                    Ok(false) => return Err(Unasked::Away("mailauth-mailboxes has too much to do".into())),
                    Err(errno) => return Err(Unasked::Away(format!("mailauth-mailboxes cannot be asked: {errno}"))),
                },
                Err(errno) => {
                    self.lose(&socket, errno);
                    attempts += 1;
                    if attempts > 1 {
                        return Err(Unasked::Away(format!("mailauth-mailboxes cannot be asked: {errno}")));
                    }
                }
            }
        }
    }

    /// Forgets a connection that has ended.
    fn lose(&self, socket: &Arc<OwnedFd>, errno: Errno) {
        let mut line = self.line.lock();
        if line.socket.as_ref().is_some_and(|current| Arc::ptr_eq(current, socket)) {
            line.socket = None;
        }
        if matches!(self.at, At::Started(_)) {
            line.note(&format!("mailauth-mailboxes has ended ({errno}); restart mailauth-courier"), Instant::now());
        }
    }

    fn question(&self, mailbox: &Mailbox, operation: Operation) -> Question {
        Question {
            operation,
            uid: mailbox.uid,
            gid: mailbox.gid,
            lock: milliseconds_until(mailbox.patience.lock),
            answer: milliseconds_until(mailbox.patience.answer),
            asks_again: mailbox.patience.if_locked == IfLocked::AskAgain,
            limits: mailbox.limits,
            rules: mailbox.rules,
            home: PathBuf::new(),
            path: mailbox.path.clone(),
        }
    }

    /// Asks about a mailbox; `None` where there is no root part.
    fn ask_about(&self, mailbox: &Mailbox, operation: Operation) -> Result<Option<(Answer, OwnedFd)>, QuotaError> {
        let question = self.question(mailbox, operation);
        match self.ask(&question, mailbox.patience.answer) {
            Ok((Answer::Locked, _)) => Err(QuotaError::Locked(mailbox.path.clone())),
            Ok((Answer::Late, _)) | Err(Unasked::Late) => Err(QuotaError::Late(mailbox.path.clone())),
            Ok((Answer::Failed(why), _)) => Err(QuotaError::NotTold(why)),
            Ok(answer) => Ok(Some(answer)),
            Err(Unasked::NoSuch) => Ok(None),
            Err(Unasked::Away(why)) => {
                Err(QuotaError::NotTold(format!("cannot look at {}: {why}", mailbox.path.display())))
            }
        }
    }

    fn is_own(&self, uid: u32) -> bool {
        uid == self.own
    }

    /// What was seen here, where there is no root part that could look. Where this process may not look, there has to be one.
    fn seen_here<T>(&self, seen: Result<T, QuotaError>) -> Result<T, QuotaError> {
        match seen {
            Err(error) if error.is_forbidden() => {
                self.needed.store(true, Ordering::Relaxed);
                Err(QuotaError::NotTold(format!("{error}; mailauth-mailboxes, which could look, does not run")))
            }
            seen => seen,
        }
    }
}

impl Line {
    fn note(&mut self, why: &str, now: Instant) {
        let (since, pause) = match &self.trouble {
            Some(trouble) => (trouble.since, (trouble.pause * 2).min(LAST_PAUSE)),
            None => {
                tracing::error!("{why}; logins go on, and mail for mailboxes with a quota waits");
                (now, FIRST_PAUSE)
            }
        };
        self.trouble = Some(Trouble { why: why.to_owned(), since, pause, again: now + pause });
    }
}

/// Connects with the root part, if it is root.
fn reach(path: &Path) -> Result<OwnedFd, Unasked> {
    let failed = |errno: Errno| match errno {
        Errno::NOENT => Unasked::NoSuch,
        errno => Unasked::Away(format!(
            "mailauth-mailboxes cannot be asked on {}: {errno}; does it run, and may user {} ask it?",
            path.display(),
            rustix::process::geteuid().as_raw()
        )),
    };
    let socket = packet::socket().map_err(failed)?;
    // A connection on a unix socket is made at once or not at all, unless the other side takes none.
    rustix::io::ioctl_fionbio(&socket, true).map_err(failed)?;
    connect(&socket, &SocketAddrUnix::new(path).map_err(failed)?).map_err(failed)?;
    match packet::peer(&socket) {
        Ok(0) => Ok(socket),
        Ok(uid) => Err(Unasked::Away(format!(
            "user {uid} listens on {}, and not root: is it mailauth-mailboxes?",
            path.display()
        ))),
        Err(error) => Err(Unasked::Away(format!("{}: {error}", path.display()))),
    }
}

fn milliseconds_until(deadline: Instant) -> u32 {
    let left = deadline.saturating_duration_since(Instant::now()).as_millis();
    u32::try_from(left).unwrap_or(LONGEST).min(LONGEST)
}

fn nonsense(answer: &Answer) -> String {
    format!("mailauth-mailboxes answers another question than was asked ({answer:?})")
}

impl Mailboxes for RootPart {
    fn trouble(&self) -> Option<(String, Duration)> {
        match self.socket(Instant::now()) {
            Ok(_) | Err(Unasked::NoSuch | Unasked::Late) => None,
            Err(Unasked::Away(why)) => {
                let line = self.line.lock();
                Some((why, line.trouble.as_ref().map(|trouble| trouble.since.elapsed()).unwrap_or_default()))
            }
        }
    }

    fn precheck(&self, mailbox: &Mailbox, size: u64) -> Result<Space, QuotaError> {
        if self.is_own(mailbox.uid) {
            return Here.precheck(mailbox, size);
        }
        match self.ask_about(mailbox, Operation::Precheck(size))? {
            None => self.seen_here(Here.precheck(mailbox, size)),
            Some((Answer::Space(space), _)) => Ok(space),
            Some((answer, _)) => Err(QuotaError::NotTold(nonsense(&answer))),
        }
    }

    fn renew(&self, mailbox: &Mailbox) -> Result<bool, QuotaError> {
        if self.is_own(mailbox.uid) {
            return Here.renew(mailbox);
        }
        match self.ask_about(mailbox, Operation::Renew)? {
            None => self.seen_here(Here.renew(mailbox)),
            Some((Answer::Renewed(counted), _)) => Ok(counted),
            Some((answer, _)) => Err(QuotaError::NotTold(nonsense(&answer))),
        }
    }

    fn count(
        &self,
        mailbox: &Mailbox,
        known: Option<Usage>,
        tell: &mut dyn FnMut(Usage),
    ) -> Result<Counted, QuotaError> {
        if self.is_own(mailbox.uid) {
            return Here.count(mailbox, known, tell);
        }
        match self.ask_about(mailbox, Operation::Count(known))? {
            None => self.seen_here(Here.count(mailbox, known, tell)),
            Some((Answer::Counted(counted), reply)) => {
                if let Counted::Now(usage) = counted {
                    tell(usage);
                    // Without it the lock is kept for a while longer.
                    let _ = packet::send(reply.as_fd(), RELEASE, None);
                }
                Ok(counted)
            }
            Some((answer, _)) => Err(QuotaError::NotTold(nonsense(&answer))),
        }
    }

    fn make(&self, account: &Account, until: Instant) -> Result<bool, NotMade> {
        if self.is_own(account.uid) {
            return Here.make(account, until);
        }
        let until = until.min(Instant::now() + MAKING);
        let question = Question {
            operation: Operation::Make,
            uid: account.uid,
            gid: account.gid,
            lock: 0,
            answer: milliseconds_until(until),
            asks_again: false,
            limits: Limits::NONE,
            rules: CountRules::default(),
            home: account.home.clone().into(),
            path: account.maildir_path(),
        };
        match self.ask(&question, until) {
            Ok((Answer::Made(was_missing), _)) => Ok(was_missing),
            Ok((Answer::Failed(why), _)) => Err(NotMade::NotTold(why)),
            Ok((answer, _)) => Err(NotMade::NotTold(nonsense(&answer))),
            Err(Unasked::NoSuch) => Here.make(account, until),
            Err(Unasked::Late) => Err(NotMade::Unasked(format!(
                "the mailbox {} was not made in time; it is tried again at the next login",
                account.maildir_path().display()
            ))),
            Err(Unasked::Away(why)) => {
                Err(NotMade::Unasked(format!("the mailbox {} cannot be made: {why}", account.maildir_path().display())))
            }
        }
    }
}
