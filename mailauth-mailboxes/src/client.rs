//! The daemon's side: sends questions about mailboxes to the root part.

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

/// First and longest pause between attempts to reach a root part that does not answer. Each pause is twice as long as the
/// one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// Time for which an answer is waited for after its deadline. The root part ends processes that take longer.
const GRACE: Duration = Duration::from_millis(500);

/// Maximum time for which the daemon waits for the creation of a mailbox.
const MAKING: Duration = Duration::from_secs(10);

/// The root part, as the daemon sees it.
///
/// This process itself works on the mailboxes of its own user, for which it has the rights. The root part works on all
/// others.
pub struct RootPart {
    at: Location,
    own: u32,
    connection: Mutex<Connection>,
    /// True if the root part has to run: it was reached once, or this process had no right to read a mailbox.
    needed: AtomicBool,
}

/// How the root part is reached.
enum Location {
    /// It listens on this socket.
    Path(PathBuf),
    /// It was started by this process, with this end of its socket.
    Started(Arc<OwnedFd>),
    /// It was not started, for this reason.
    Nowhere(String),
}

/// The connection.
#[derive(Default)]
struct Connection {
    socket: Option<Arc<OwnedFd>>,
    /// Why it failed, since when, and until when it is not tried again.
    trouble: Option<Trouble>,
}

struct Trouble {
    why: String,
    since: Instant,
    pause: Duration,
    again: Instant,
}

/// Reason why a question got no answer.
enum AskError {
    /// There is no root part on this host.
    NoSuch,
    /// The root part cannot be reached.
    Away(String),
    /// The root part did not answer in time.
    Late,
}

impl RootPart {
    /// Returns the root part that listens on the socket `path`. It connects with the first question.
    pub fn at(path: &Path) -> Self {
        Self::new(Location::Path(path.to_owned()))
    }

    pub(crate) fn started(socket: OwnedFd) -> Self {
        Self::new(Location::Started(Arc::new(socket)))
    }

    /// Returns a root part that is missing for this reason. Mailboxes of other users than this process's own cannot be
    /// reached.
    pub fn missing(why: String) -> Self {
        Self::new(Location::Nowhere(why))
    }

    fn new(at: Location) -> Self {
        // This process may still change its user, so its own user is set by `settled`.
        RootPart { at, own: u32::MAX, connection: Mutex::default(), needed: AtomicBool::new(false) }
    }

    /// Notes the user of this process, which no longer changes.
    #[must_use]
    pub fn settled(self) -> Self {
        RootPart { own: rustix::process::geteuid().as_raw(), ..self }
    }

    /// Returns the connection, and connects first if necessary.
    fn socket(&self, now: Instant) -> Result<Arc<OwnedFd>, AskError> {
        let path = match &self.at {
            Location::Path(path) => path,
            Location::Started(socket) => {
                let connection = self.connection.lock();
                return match &connection.trouble {
                    Some(trouble) if now < trouble.again => Err(AskError::Away(trouble.why.clone())),
                    _ => Ok(Arc::clone(socket)),
                };
            }
            Location::Nowhere(why) => return Err(AskError::Away(why.clone())),
        };
        let mut connection = self.connection.lock();
        if let Some(socket) = &connection.socket {
            return Ok(Arc::clone(socket));
        }
        if let Some(trouble) = &connection.trouble
            && now < trouble.again
        {
            return Err(AskError::Away(trouble.why.clone()));
        }
        match reach(path) {
            Ok(socket) => {
                if let Some(Trouble { since, .. }) = connection.trouble.take() {
                    tracing::info!(after = ?since.elapsed(), "mailauth-mailboxes answers again");
                }
                self.needed.store(true, Ordering::Relaxed);
                let socket = Arc::new(socket);
                connection.socket = Some(Arc::clone(&socket));
                Ok(socket)
            }
            Err(AskError::NoSuch) if !self.needed.load(Ordering::Relaxed) => Err(AskError::NoSuch),
            Err(why) => {
                let why = match why {
                    AskError::NoSuch => format!("mailauth-mailboxes does not listen on {}: start it", path.display()),
                    AskError::Away(why) => why,
                    AskError::Late => "mailauth-mailboxes did not answer in time".to_owned(),
                };
                connection.note(&why, now);
                Err(AskError::Away(why))
            }
        }
    }

    /// Sends a question, and returns the answer with the socket on which it was received.
    fn ask(&self, question: &Question, until: Instant) -> Result<(Answer, OwnedFd), AskError> {
        let away = |errno: Errno| AskError::Away(format!("cannot ask mailauth-mailboxes: {errno}"));
        let (here, there) = packet::pair().map_err(away)?;
        self.send(question, there, until)?;
        let mut buffer = vec![0; MOST_ANSWER];
        if !packet::wait(here.as_fd(), PollFlags::IN, until + GRACE).map_err(away)? {
            return Err(AskError::Late);
        }
        match packet::receive(here.as_fd(), &mut buffer) {
            Ok(Received::Packet(length, _)) => {
                let answer = Answer::parse(buffer.get(..length).unwrap_or_default());
                answer
                    .map(|answer| (answer, here))
                    .map_err(|why| AskError::Away(format!("the answer of mailauth-mailboxes is invalid: {why}")))
            }
            // The root part closes the socket of a question that it does not answer, and of one that takes too long.
            Ok(Received::End) if Instant::now() >= until => Err(AskError::Late),
            Ok(Received::End) => Err(AskError::Away(
                "mailauth-mailboxes is overloaded, was ended, or refuses this mailbox; see its log".into(),
            )),
            Err(errno) => Err(away(errno)),
        }
    }

    /// Sends a question, with the socket for its answer. If the connection has ended, connects again once.
    fn send(&self, question: &Question, reply: OwnedFd, until: Instant) -> Result<(), AskError> {
        let bytes = question.bytes();
        let mut attempts = 0;
        loop {
            let socket = self.socket(Instant::now())?;
            match packet::send(socket.as_fd(), &bytes, Some(reply.as_fd())) {
                Ok(()) => return Ok(()),
                // The queue of the root part is full.
                Err(Errno::AGAIN) => match packet::wait(socket.as_fd(), PollFlags::OUT, until) {
                    Ok(true) => {}
                    Ok(false) => return Err(AskError::Away("mailauth-mailboxes is overloaded".into())),
                    Err(errno) => return Err(AskError::Away(format!("cannot ask mailauth-mailboxes: {errno}"))),
                },
                Err(errno) => {
                    self.forget(&socket, errno);
                    attempts += 1;
                    if attempts > 1 {
                        return Err(AskError::Away(format!("cannot ask mailauth-mailboxes: {errno}")));
                    }
                }
            }
        }
    }

    /// Forgets a connection that has ended.
    fn forget(&self, socket: &Arc<OwnedFd>, errno: Errno) {
        let mut connection = self.connection.lock();
        if connection.socket.as_ref().is_some_and(|current| Arc::ptr_eq(current, socket)) {
            connection.socket = None;
        }
        if matches!(self.at, Location::Started(_)) {
            connection
                .note(&format!("mailauth-mailboxes has ended ({errno}); restart mailauth-courier"), Instant::now());
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

    /// Sends a question about a mailbox, and returns the answer; `None` if there is no root part.
    fn ask_about(&self, mailbox: &Mailbox, operation: Operation) -> Result<Option<(Answer, OwnedFd)>, QuotaError> {
        let question = self.question(mailbox, operation);
        match self.ask(&question, mailbox.patience.answer) {
            Ok((Answer::Locked, _)) => Err(QuotaError::Locked(mailbox.path.clone())),
            Ok((Answer::Late, _)) | Err(AskError::Late) => Err(QuotaError::Late(mailbox.path.clone())),
            Ok((Answer::Failed(why), _)) => Err(QuotaError::NotTold(why)),
            Ok(answer) => Ok(Some(answer)),
            Err(AskError::NoSuch) => Ok(None),
            Err(AskError::Away(why)) => {
                Err(QuotaError::NotTold(format!("cannot read {}: {why}", mailbox.path.display())))
            }
        }
    }

    fn is_own(&self, uid: u32) -> bool {
        uid == self.own
    }

    /// Returns the result of this process's own work if there is no root part. If this process lacks the rights, there has
    /// to be one.
    fn checked_here<T>(&self, seen: Result<T, QuotaError>) -> Result<T, QuotaError> {
        match seen {
            Err(error) if error.is_forbidden() => {
                self.needed.store(true, Ordering::Relaxed);
                Err(QuotaError::NotTold(format!("{error}; mailauth-mailboxes, which has the right, does not run")))
            }
            seen => seen,
        }
    }
}

impl Connection {
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

/// Connects to the root part, and checks that it is root.
fn reach(path: &Path) -> Result<OwnedFd, AskError> {
    let failed = |errno: Errno| match errno {
        Errno::NOENT => AskError::NoSuch,
        errno => AskError::Away(format!(
            "cannot connect to mailauth-mailboxes at {}: {errno}; check that it runs, and that user {} may connect",
            path.display(),
            rustix::process::geteuid().as_raw()
        )),
    };
    let socket = packet::socket().map_err(failed)?;
    // Connecting to a unix socket succeeds or fails at once, unless the backlog of the other side is full.
    rustix::io::ioctl_fionbio(&socket, true).map_err(failed)?;
    connect(&socket, &SocketAddrUnix::new(path).map_err(failed)?).map_err(failed)?;
    match packet::peer(&socket) {
        Ok(0) => Ok(socket),
        Ok(uid) => Err(AskError::Away(format!(
            "user {uid} listens on {}, and not root; check that it is mailauth-mailboxes",
            path.display()
        ))),
        Err(error) => Err(AskError::Away(format!("{}: {error}", path.display()))),
    }
}

fn milliseconds_until(deadline: Instant) -> u32 {
    let left = deadline.saturating_duration_since(Instant::now()).as_millis();
    u32::try_from(left).unwrap_or(LONGEST).min(LONGEST)
}

fn wrong_answer(answer: &Answer) -> String {
    format!("mailauth-mailboxes answers a different question ({answer:?})")
}

impl Mailboxes for RootPart {
    fn trouble(&self) -> Option<(String, Duration)> {
        match self.socket(Instant::now()) {
            Ok(_) | Err(AskError::NoSuch | AskError::Late) => None,
            Err(AskError::Away(why)) => {
                let connection = self.connection.lock();
                Some((why, connection.trouble.as_ref().map(|trouble| trouble.since.elapsed()).unwrap_or_default()))
            }
        }
    }

    fn precheck(&self, mailbox: &Mailbox, size: u64) -> Result<Space, QuotaError> {
        if self.is_own(mailbox.uid) {
            return Here.precheck(mailbox, size);
        }
        match self.ask_about(mailbox, Operation::Precheck(size))? {
            None => self.checked_here(Here.precheck(mailbox, size)),
            Some((Answer::Space(space), _)) => Ok(space),
            Some((answer, _)) => Err(QuotaError::NotTold(wrong_answer(&answer))),
        }
    }

    fn renew(&self, mailbox: &Mailbox) -> Result<bool, QuotaError> {
        if self.is_own(mailbox.uid) {
            return Here.renew(mailbox);
        }
        match self.ask_about(mailbox, Operation::Renew)? {
            None => self.checked_here(Here.renew(mailbox)),
            Some((Answer::Renewed(counted), _)) => Ok(counted),
            Some((answer, _)) => Err(QuotaError::NotTold(wrong_answer(&answer))),
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
            None => self.checked_here(Here.count(mailbox, known, tell)),
            Some((Answer::Counted(counted), reply)) => {
                if let Counted::Now(usage) = counted {
                    tell(usage);
                    // If this fails, the lock is held a little longer.
                    let _ = packet::send(reply.as_fd(), RELEASE, None);
                }
                Ok(counted)
            }
            Some((answer, _)) => Err(QuotaError::NotTold(wrong_answer(&answer))),
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
            Ok((answer, _)) => Err(NotMade::NotTold(wrong_answer(&answer))),
            Err(AskError::NoSuch) => Here.make(account, until),
            Err(AskError::Late) => Err(NotMade::Unasked(format!(
                "the mailbox {} was not made in time; it is tried again at the next login",
                account.maildir_path().display()
            ))),
            Err(AskError::Away(why)) => {
                Err(NotMade::Unasked(format!("the mailbox {} cannot be made: {why}", account.maildir_path().display())))
            }
        }
    }
}
