//! `mailauth quota recount`.

use super::progress::Progress;
use super::target::{Mailbox, Meant, Selection, finish, publish};
use crate::failure::{Exit, Failure};
use crate::output::{json, say};
use crate::setup::Setup;
use clap::Args;
use mailauth_core::quota::pools::PoolError;
use mailauth_core::quota::{Effort, Limits, MaildirQuota, Recount as Counted, Usage};
use mailauth_core::store::{Administration, SqlStore, StoreError};
use serde::Serialize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Count mailboxes, and write their maildirsize afresh
///
/// Folders that have not changed since they were last counted are not read again.
#[derive(Args)]
pub struct Recount {
    #[command(flatten)]
    which: Selection,
    /// Read every folder
    #[arg(long)]
    full: bool,
    /// Mailboxes counted at once [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One mailbox as JSON has it.
#[derive(Serialize)]
struct One {
    bytes: u64,
    messages: u64,
    folders: usize,
    folders_read: usize,
}

/// All of them as JSON has them.
#[derive(Serialize)]
struct Many {
    mailboxes: usize,
    without_mail: usize,
    failed: usize,
    bytes: u64,
    messages: u64,
    seconds: f64,
}

impl Recount {
    pub fn run(self, setup: impl FnOnce() -> Result<Setup, Failure>) -> Result<Exit, Failure> {
        let effort = if self.full { Effort::Full } else { Effort::Changed };
        let meant = self.which.meant(setup)?;
        match &meant.mailboxes[..] {
            [mailbox] if !meant.several => self.one(mailbox, meant.store.as_ref(), effort),
            _ => self.many(meant, effort),
        }
    }

    fn one(&self, mailbox: &Mailbox, store: Option<&SqlStore>, effort: Effort) -> Result<Exit, Failure> {
        let counted = match mailbox.open().map_err(|error| Failure::not_now(error.to_string()))? {
            Some(open) => recount(&open, mailbox, store, effort),
            // An account has no mailbox before its first mail; a path that is wrong is a mistake.
            None if mailbox.login.is_some() => Ok(Counted { usage: Usage::default(), folders: 0, folders_read: 0 }),
            None => return Err(Failure::not_now(format!("there is no mailbox {}", mailbox.path.display()))),
        };
        let Counted { usage, folders, folders_read } =
            counted.map_err(|error| Failure::not_now(format!("{}: {error}", mailbox.name)))?;
        if self.json {
            json(&One { bytes: usage.bytes, messages: usage.messages, folders, folders_read })?;
        } else {
            say(format_args!("{}: {usage}; read {folders_read} of {folders} folders", mailbox.name))?;
        }
        Ok(Exit::Yes)
    }

    fn many(&self, meant: Meant, effort: Effort) -> Result<Exit, Failure> {
        let Meant { mailboxes, unusable, store, .. } = meant;
        let begin = Instant::now();
        let jobs = self.jobs.map_or_else(processors, usize::from);
        let outcomes = for_each(&mailboxes, jobs, |mailbox| -> Result<Option<Counted>, PoolError> {
            let open = mailbox.open()?;
            open.map(|open| recount(&open, mailbox, store.as_ref(), effort)).transpose()
        });
        let mut problems = unusable;
        let mut sum =
            Many { mailboxes: 0, without_mail: 0, failed: problems.len(), bytes: 0, messages: 0, seconds: 0.0 };
        for (mailbox, outcome) in mailboxes.iter().zip(outcomes) {
            match outcome {
                Ok(Some(counted)) => {
                    sum.mailboxes += 1;
                    sum.bytes = sum.bytes.saturating_add(counted.usage.bytes);
                    sum.messages = sum.messages.saturating_add(counted.usage.messages);
                }
                Ok(None) => sum.without_mail += 1,
                Err(error) => {
                    sum.failed += 1;
                    problems.push(format!("{}: {error}", mailbox.name));
                }
            }
        }
        let summed_up = store.as_ref().map_or(Ok(()), |store| sum_up(store, &mut problems));
        summed_up.unwrap_or_else(|error| problems.push(error.to_string()));
        sum.seconds = (begin.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        if self.json {
            json(&sum)?;
        } else {
            let Many { mailboxes, without_mail, failed, bytes, messages, seconds } = sum;
            say(format_args!(
                "counted {mailboxes} mailboxes in {seconds} s: {bytes} bytes in {messages} messages; {without_mail} have \
                 no mail yet, {failed} failed"
            ))?;
        }
        finish(&problems, Exit::Yes)
    }
}

/// Adds up what the mailboxes of each domain with a quota published.
fn sum_up(store: &SqlStore, problems: &mut Vec<String>) -> Result<(), StoreError> {
    for domain in store.domains()?.into_iter().filter(|domain| domain.quota != Limits::NONE) {
        if let Err(error) = store.sum_up(&domain.name) {
            problems.push(format!("{}: {error}", domain.name));
        }
    }
    Ok(())
}

/// Counts a mailbox and tells the pool of its domain.
fn recount(
    open: &MaildirQuota,
    mailbox: &Mailbox,
    store: Option<&SqlStore>,
    effort: Effort,
) -> Result<Counted, PoolError> {
    let (counted, published) = open.recount_and(effort, |usage| publish(store, mailbox, usage))?;
    published?;
    Ok(counted)
}

pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Does the work for each mailbox, several at once, and gives the outcomes in order.
pub fn for_each<T: Send>(mailboxes: &[Mailbox], jobs: usize, work: impl Fn(&Mailbox) -> T + Sync) -> Vec<T> {
    let progress = Progress::of(mailboxes.len());
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(mailboxes.len()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(mailboxes.len()) {
            scope.spawn(|| {
                while let Some((index, mailbox)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    mailboxes.get(index).map(|mailbox| (index, mailbox))
                } {
                    let outcome = work(mailbox);
                    outcomes.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((index, outcome));
                    progress.step();
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}
