//! Rebuilds a missing or incorrect maildirsize at login, because Courier's POP3 server and others only add to it.

use crate::environment;
use mailauth_core::Account;
use mailauth_core::quota::{CountRules, Effort, Limits, MaildirQuota, Patience, QuotaError};
use std::io::ErrorKind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Counts the account's mailbox if it has a quota and its maildirsize is missing or incorrect. The process must already
/// run as the mailbox's owner.
///
/// Returns after `patience` at the latest. A count that is not finished by then ends when the next program is run: `exec`
/// ends the other threads of a process, and maildirsize is replaced in one step or not at all.
///
/// # Errors
/// Fails with a message for the administrator. It is not a reason to refuse the login.
pub fn make_true(account: &Account, rules: CountRules, patience: Duration) -> Result<(), String> {
    let Some(path) = environment::mailbox(account).filter(|_| account.quota != Limits::NONE) else { return Ok(()) };
    let mailbox = match MaildirQuota::open(&path, account.quota, rules) {
        Ok(mailbox) => {
            let (now, usual) = (Instant::now(), Patience::until(Instant::now() + patience));
            // This leaves time to count without the lock.
            mailbox.within(Patience { lock: usual.lock.min(now + patience / 2), ..usual })
        }
        // The next program reports this error itself.
        Err(QuotaError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let (sender, receiver) = channel();
    let count = move || {
        let done = mailbox
            .is_maildirsize_right()
            .and_then(|is| if is { Ok(()) } else { mailbox.recount(Effort::Changed).map(drop) });
        // The receiver is gone if the count took too long.
        let _ = sender.send(done);
    };
    if let Err(error) = thread::Builder::new().spawn(count) {
        return Err(format!("{} is not counted: {error}", path.display()));
    }
    match receiver.recv_timeout(patience) {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(RecvTimeoutError::Timeout) => Err(format!(
            "{} was not counted within {} ms ([pop3] recount_time); 'mailauth quota recount {}' has the time",
            path.display(),
            patience.as_millis(),
            account.login
        )),
        Err(RecvTimeoutError::Disconnected) => Err(format!("{} could not be counted", path.display())),
    }
}
