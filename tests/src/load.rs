//! A steady load of logins and password changes, with a record of which answers are right.
//!
//! A change that was answered by "not now" may have been made, or may still be: the request can wait in a server that
//! hangs. Until one of the two passwords is known to be the only possible one, both are right.

use crate::answers::{Answer, Answers, Asked, STRETCH, Verdict};
use crate::pauses;
use crate::people::{CHEAP_HASH, PASSWORD};
use crate::process::eventually;
use crate::wire::{Manner, Outcome, auth, passwd, pre, try_ask};
use std::fmt::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Number of accounts that only log in.
const READERS: usize = 20;
/// Number of accounts whose password is changed all the time, each by a client of its own.
const CHANGERS: usize = 2;
/// Number of clients that only log in.
const CLIENTS: usize = 3;
/// Pause of a client between an answer and its next request.
const PAUSE: Duration = Duration::from_millis(8);

/// Clients and what they know.
pub struct Load {
    changers: Vec<Mutex<Changer>>,
    restarts: bool,
}

impl Default for Load {
    fn default() -> Self {
        Self::new()
    }
}

impl Load {
    /// Returns clients of the new accounts of [`Load::accounts`].
    pub fn new() -> Self {
        Load { changers: (0..CHANGERS).map(|number| Mutex::new(Changer::new(number))).collect(), restarts: false }
    }

    /// Returns clients of a server that may be killed: an unreachable server or an incomplete reply is "not now" too.
    pub fn on_a_restarting_server() -> Self {
        Load { restarts: true, ..Self::new() }
    }

    /// Returns the accounts that it uses, in CSV with a header. All passwords are cheap to check.
    pub fn accounts() -> String {
        let mut csv = String::from("login,password\n");
        for number in 0..READERS {
            let password = if number % 2 == 0 { CHEAP_HASH.to_owned() } else { format!("{{PLAIN}}{PASSWORD}") };
            let _ = writeln!(csv, "{},{password}", reader(number));
        }
        for number in 0..CHANGERS {
            let Changer { login, password, .. } = Changer::new(number);
            let _ = writeln!(csv, "{login},{{PLAIN}}{password}");
        }
        csv
    }

    /// Sends requests to the server on this socket while `during` runs.
    ///
    /// # Panics
    /// Panics if a client panics.
    pub fn run(&self, socket: &Path, during: impl FnOnce()) -> Answers {
        self.run_watched(socket, |_| during())
    }

    /// Does the same, and passes the answers so far to `during`.
    ///
    /// # Panics
    /// Panics if a client panics.
    pub fn run_watched(&self, socket: &Path, during: impl FnOnce(Watch)) -> Answers {
        let (answers, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
        let line = Line { socket, answers: &answers, over: &over, restarts: self.restarts };
        let recorded = std::thread::scope(|scope| {
            let recording = scope.spawn(|| pauses::record(&over));
            for client in 0..CLIENTS {
                scope.spawn(move || log_in_again_and_again(line, client));
            }
            for changer in &self.changers {
                scope.spawn(move || changer.lock().expect("no panic with the lock held").go_on(line));
            }
            // The clients have to be told to end even if `during` panics.
            let end = End(&over);
            during(Watch(&answers));
            drop(end);
            recording.join().expect("no panic while pauses are recorded")
        });
        Answers::new(answers.into_inner().expect("no panic with the lock held"), recorded)
    }
}

/// The answers so far.
#[derive(Clone, Copy)]
pub struct Watch<'a>(&'a Mutex<Vec<Answer>>);

impl Watch<'_> {
    /// Waits until, since `from`, all requests of these kinds have been answered for a while, and each kind was sent.
    /// Returns after `limit` in any case: the caller finds missing answers in the list.
    pub fn wait_until_answered(&self, kinds: &[Asked], from: Instant, limit: Duration) {
        while Instant::now() < from + limit && !self.is_answered(kinds, from) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until `number` requests of a kind sent after `from` have been answered correctly.
    ///
    /// # Panics
    /// Panics if they are not within `limit`.
    pub fn wait_for_right(&self, kind: Asked, number: usize, from: Instant, limit: Duration) {
        let right = |answer: &&Answer| answer.asked == kind && answer.verdict == Verdict::Right && answer.from >= from;
        eventually("right answers", limit, || {
            self.0.lock().expect("no panic with the lock held").iter().filter(right).count() >= number
        });
    }

    /// Returns the number of answers.
    #[cfg(test)]
    fn count(&self) -> usize {
        self.0.lock().expect("no panic with the lock held").len()
    }

    fn is_answered(&self, kinds: &[Asked], from: Instant) -> bool {
        let answers = self.0.lock().expect("no panic with the lock held");
        let silent = |answer: &&Answer| answer.verdict == Verdict::NotNow && kinds.contains(&answer.asked);
        let since = answers.iter().filter(silent).map(|answer| answer.to).max().map_or(from, |last| last.max(from));
        let is_answered = |kind: &Asked| {
            let right = |answer: &&Answer| answer.asked == *kind && answer.verdict == Verdict::Right;
            answers.iter().filter(right).any(|answer| answer.from >= since)
        };
        since.elapsed() > STRETCH && kinds.iter().all(is_answered)
    }
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn reader(number: usize) -> String {
    format!("reader{number}@load.example")
}

/// The connection to the server, and the list of its answers.
#[derive(Clone, Copy)]
struct Line<'a> {
    socket: &'a Path,
    answers: &'a Mutex<Vec<Answer>>,
    over: &'a AtomicBool,
    restarts: bool,
}

impl Line<'_> {
    /// Sends a request and judges the answer: `Ok` is right, `Err` is why it is wrong. "Not now" is neither.
    fn ask(
        self,
        asked: Asked,
        what: &str,
        request: &[u8],
        judge: impl FnOnce(&Outcome) -> Result<(), String>,
    ) -> Option<Outcome> {
        let from = Instant::now();
        let reply = try_ask(self.socket, request, Manner::Whole).map(|reply| reply.outcome());
        let outcome = match reply {
            None if self.restarts => Outcome::Closed,
            None => Outcome::Odd("NO SERVER", String::new()),
            Some(Outcome::Odd(..)) if self.restarts => Outcome::Closed,
            Some(outcome) => outcome,
        };
        let verdict = match judge(&outcome) {
            _ if outcome == Outcome::Closed => Verdict::NotNow,
            Ok(()) => Verdict::Right,
            Err(why) => Verdict::Wrong(format!("{what}: {outcome:?}, but {why}")),
        };
        let answer = Answer { asked, verdict, from, to: Instant::now() };
        self.answers.lock().expect("no panic with the lock held").push(answer);
        std::thread::sleep(PAUSE);
        (outcome != Outcome::Closed).then_some(outcome)
    }

    fn is_over(self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

fn log_in_again_and_again(line: Line, client: usize) {
    for number in client.. {
        let (login, unknown) = (reader(number % READERS), format!("nobody{}@load.example", number % READERS));
        let (what, request, right) = match number % 5 {
            0 => ("the right password", auth("imap", &login, PASSWORD), "ACCOUNT"),
            1 => ("a wrong password", auth("imap", &login, "wrong"), "FAIL"),
            2 => ("a look-up", pre("imap", &login), "ACCOUNT"),
            3 => ("an unknown login", pre("imap", &unknown), "FAIL"),
            _ => ("an unknown login with a password", auth("imap", &unknown, PASSWORD), "FAIL"),
        };
        line.ask(Asked::Read, &format!("{what} ({login})"), &request, |outcome| match outcome {
            Outcome::Account(record) if right == "ACCOUNT" && record.get("ADDRESS") != Some(&login) => {
                Err(format!("that is the account of {:?}", record.get("ADDRESS")))
            }
            outcome if outcome.word() == right => Ok(()),
            _ => Err(format!("{right} is right")),
        });
        if line.is_over() {
            return;
        }
    }
}

/// A client that changes the password of an account that no other client changes.
struct Changer {
    login: String,
    /// Last password that is known to have been valid.
    password: String,
    /// Password that a change of unknown outcome may have set, or may still set.
    pending: Option<String>,
    /// Last password that is known to be no longer valid.
    old: Option<String>,
    changes: usize,
}

impl Changer {
    fn new(number: usize) -> Self {
        Changer {
            login: format!("changer{number}@load.example"),
            password: format!("first words {number}"),
            pending: None,
            old: None,
            changes: 0,
        }
    }

    fn go_on(&mut self, line: Line) {
        loop {
            self.try_out(line);
            if line.is_over() {
                return;
            }
            self.change(line);
            self.try_out(line);
        }
    }

    /// Logs in with each password that is, may be, or was the right one.
    fn try_out(&mut self, line: Line) {
        if let Some(candidate) = self.pending.clone() {
            let request = auth("imap", &self.login, &candidate);
            let what = format!("a password that may have been set ({}, {candidate:?})", self.login);
            let outcome = line.ask(Asked::ReadChanged, &what, &request, |outcome| match outcome {
                Outcome::Account(_) | Outcome::Fail => Ok(()),
                _ => Err("a yes or a no is right".into()),
            });
            if let Some(Outcome::Account(_)) = outcome {
                self.is_now(candidate);
            }
        }
        let certain = self.pending.is_none();
        let request = auth("imap", &self.login, &self.password);
        let what = format!("the password that was set ({}, {:?})", self.login, self.password);
        line.ask(Asked::ReadChanged, &what, &request, |outcome| match outcome {
            Outcome::Account(_) => Ok(()),
            Outcome::Fail if !certain => Ok(()),
            _ => Err(format!("it was set{}", if certain { "" } else { ", or one after it" })),
        });
        if let Some(old) = &self.old {
            let what = format!("the password before ({}, {old:?})", self.login);
            line.ask(Asked::ReadChanged, &what, &auth("imap", &self.login, old), |outcome| match outcome {
                Outcome::Fail => Ok(()),
                _ => Err("another one was set after it".into()),
            });
        }
    }

    fn change(&mut self, line: Line) {
        let certain = self.pending.is_none();
        let new = self.pending.clone().unwrap_or_else(|| {
            self.changes += 1;
            format!("words number {}", self.changes)
        });
        let what = format!("a change ({}, {:?} to {new:?})", self.login, self.password);
        let request = passwd(&self.login, &self.password, &new);
        let outcome = line.ask(Asked::Change, &what, &request, |outcome| match outcome {
            Outcome::Done => Ok(()),
            Outcome::Fail if !certain => Ok(()),
            _ => Err("the old password was right".into()),
        });
        match outcome {
            // A change is made only if the old password is still valid, so one in transit can no longer be made.
            Some(Outcome::Done) => self.is_now(new),
            Some(_) => {}
            None => self.pending = Some(new),
        }
    }

    fn is_now(&mut self, password: String) {
        self.old = Some(std::mem::replace(&mut self.password, password));
        self.pending = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::io::{Read, Write as _};
    use std::os::unix::net::UnixListener;

    /// Returns the answers of a server that sends the same reply to everything.
    fn answers(reply: &'static str) -> Answers {
        let folder = Scratch::new("load");
        let socket = folder.join("socket");
        let listener = UnixListener::bind(&socket).expect("a socket");
        std::thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let _ = client.read(&mut [0; 1024]);
                let _ = client.write_all(reply.as_bytes());
            }
        });
        // Enough for every client to send each kind of request.
        let limit = Duration::from_secs(20);
        Load::new().run_watched(&socket, |watch| eventually("answers", limit, || watch.count() >= 200))
    }

    fn has(wrong: &[String], start: &str) -> bool {
        wrong.iter().any(|line| line.starts_with(start))
    }

    #[test]
    fn a_wrong_no_is_found() {
        let wrong = answers("FAIL\n").wrong();
        for what in ["the right password", "a look-up", "a change", "the password that was set"] {
            assert!(has(&wrong, what), "{what}: {wrong:?}");
        }
        assert!(!has(&wrong, "a wrong password") && !has(&wrong, "an unknown login"), "{wrong:?}");
    }

    #[test]
    fn a_wrong_yes_is_found() {
        let wrong = answers("UID=1\nGID=1\nHOME=/\nADDRESS=reader0@load.example\n.\n").wrong();
        for what in ["a wrong password", "an unknown login", "the right password (reader10@"] {
            assert!(has(&wrong, what), "{what}: {wrong:?}");
        }
        assert!(!has(&wrong, "the right password (reader0@"), "{wrong:?}");
    }

    #[test]
    fn a_lost_change_is_found() {
        let wrong = answers("OK\n").wrong();
        let what = "the password that was set (changer0@load.example, \"words number 1\")";
        assert!(has(&wrong, what), "{wrong:?}");
    }

    #[test]
    fn a_missing_answer_is_not_a_wrong_answer() {
        let answers = answers("");
        let silent = |asked| answers.which(asked, &Verdict::NotNow).count();
        assert_eq!(answers.wrong(), Vec::<String>::new());
        assert_eq!([Asked::Read, Asked::ReadChanged, Asked::Change].map(silent).iter().sum::<usize>(), answers.count());
        assert!(silent(Asked::Change) > 0, "a change was asked for too");
    }
}
