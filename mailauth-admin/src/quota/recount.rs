//! `mailauth quota recount`.

use super::target::{All, Mailbox, Meant, Selection, finish, publish};
use super::work::{for_each, processors};
use crate::failure::{Exit, Failure};
use crate::listing::{Complaints, each_domain};
use crate::output::{json, say};
use crate::setup::Setup;
use clap::Args;
use mailauth_core::quota::pools::PoolError;
use mailauth_core::quota::{Effort, Limits, MaildirQuota, Recount as Counted, Usage};
use mailauth_core::store::SqlStore;
use serde::Serialize;
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
#[derive(Default, Serialize)]
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
        match self.which.meant(setup)? {
            Meant::One(mailbox, store) => self.one(&mailbox, store.as_deref(), effort),
            Meant::All(all) => self.many(&all, effort),
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

    fn many(&self, all: &All, effort: Effort) -> Result<Exit, Failure> {
        let begin = Instant::now();
        let jobs = self.jobs.map_or_else(processors, usize::from);
        let mut sum = Many::default();
        let mut problems = Complaints::default();
        let count = |mailbox: &Mailbox| -> Result<Option<Counted>, PoolError> {
            let open = mailbox.open()?;
            open.map(|open| recount(&open, mailbox, Some(&all.store), effort)).transpose()
        };
        let unusable = for_each(all, jobs, count, |mailbox, outcome| {
            match outcome {
                Ok(Some(counted)) => {
                    sum.mailboxes += 1;
                    sum.bytes = sum.bytes.saturating_add(counted.usage.bytes);
                    sum.messages = sum.messages.saturating_add(counted.usage.messages);
                }
                Ok(None) => sum.without_mail += 1,
                Err(error) => problems.add(format_args!("{}: {error}", mailbox.name)),
            }
            Ok(())
        })?;
        problems.append(unusable);
        sum.failed = problems.count();
        sum_up(&all.store, &mut problems).unwrap_or_else(|failure| problems.add(failure.message));
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
        finish(problems, Exit::Yes)
    }
}

/// Adds up what the mailboxes of each domain with a quota published.
fn sum_up(store: &SqlStore, problems: &mut Complaints) -> Result<(), Failure> {
    let mut failed = Complaints::default();
    let unusable = each_domain(store, |domain| {
        if domain.quota != Limits::NONE
            && let Err(error) = store.sum_up(&domain.name)
        {
            failed.add(format_args!("{}: {error}", domain.name));
        }
        Ok(())
    })?;
    problems.append(failed);
    problems.append(unusable);
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
