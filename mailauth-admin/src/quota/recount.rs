//! `mailauth quota recount`.

use super::figures;
use super::target::{All, Mailbox, Selected, Selection, finish, publish};
use super::work::{for_each, processors};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::listing::{Complaints, each_domain};
use crate::output::{json, remark, say};
use clap::Args;
use mailauth_core::quota::PoolError;
use mailauth_core::quota::{Doubt, Effort, Limits, MaildirQuota, Recount as CountResult, Stored, Usage};
use mailauth_core::store::SqlStore;
use serde::Serialize;
use std::time::Instant;

/// Count mailboxes, and write their maildirsize again
///
/// Folders that have not changed since the last count are not read again, except with --full.
#[derive(Args)]
pub struct Recount {
    #[command(flatten)]
    which: Selection,
    /// Read all folders, even if they have not changed
    #[arg(long)]
    full: bool,
    /// Number of mailboxes to count at the same time, from 1 to 256 [default: number of processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Result for one mailbox in JSON.
#[derive(Serialize)]
struct RecountJson {
    bytes: u64,
    messages: u64,
    folders: usize,
    folders_read: usize,
    /// True if the stored figures changed.
    changed: bool,
    /// Stored figures before the count; null if there were none that could be trusted.
    before: Option<UsageJson>,
    /// Reason why the stored figures were not trusted.
    doubt: Option<String>,
}

#[derive(Serialize)]
struct UsageJson {
    bytes: u64,
    messages: u64,
}

/// A mailbox that was counted, and its stored figures before the count.
struct Recounted {
    before: Previous,
    counted: CountResult,
}

impl Recounted {
    /// Returns true if the stored figures changed. A mailbox without a limit needs no stored figures.
    fn is_changed(&self) -> bool {
        match self.before.usage {
            Some(usage) => usage != self.counted.usage,
            None => self.before.has_limit,
        }
    }

    /// Prints a note if the lock of the mailbox was held by another program.
    fn remark_lock(&self, mailbox: &Mailbox) {
        if !self.counted.locked {
            remark(format_args!(
                "note: {}: the lock {}/maildirlock is held by another program; the figures may lack a message that was \
                 stored at the same moment",
                mailbox.name,
                mailbox.path.display()
            ));
        }
    }

    /// Returns the figures before and after the count as text.
    fn in_words(&self) -> String {
        let after = figures::used(self.counted.usage);
        match (&self.before.usage, &self.before.doubt) {
            (Some(before), None) if *before == self.counted.usage => format!("{after}, unchanged"),
            (Some(before), doubt) => {
                let doubt = doubt.as_ref().map_or_else(String::new, |doubt| format!(" ({doubt})"));
                let fine = |usage: Usage| format!("{} bytes in {} messages", usage.bytes, usage.messages);
                match figures::used(*before) {
                    // The difference is smaller than the precision of these texts.
                    before_shown if before_shown == after => {
                        format!("{}{doubt} -> {}", fine(*before), fine(self.counted.usage))
                    }
                    before_shown => format!("{before_shown}{doubt} -> {after}"),
                }
            }
            (None, doubt) => format!("{} -> {after}", doubt.as_deref().unwrap_or("no stored figures")),
        }
    }
}

/// Stored figures of a mailbox before a count.
#[derive(Default)]
struct Previous {
    usage: Option<Usage>,
    doubt: Option<String>,
    has_limit: bool,
}

impl Previous {
    fn of(open: &MaildirQuota, limits: Limits) -> Self {
        let has_limit = limits != Limits::NONE;
        match open.stored() {
            Ok(Stored { usage, doubt, .. }) => {
                let doubt = doubt.map(|doubt| match doubt {
                    Doubt::Missing => "no maildirsize".to_owned(),
                    doubt => format!("maildirsize was not trusted: {doubt}"),
                });
                Previous { usage, doubt, has_limit }
            }
            Err(error) => Previous { usage: None, doubt: Some(error.to_string()), has_limit },
        }
    }
}

/// Summary of all mailboxes in JSON.
#[derive(Default, Serialize)]
struct SummaryJson {
    mailboxes: usize,
    /// Number of mailboxes whose stored figures changed.
    changed: usize,
    without_mail: usize,
    failed: usize,
    bytes: u64,
    messages: u64,
    seconds: f64,
}

impl Recount {
    pub fn run(self, context: impl FnOnce() -> Result<Context, Failure>) -> Result<Exit, Failure> {
        let effort = if self.full { Effort::Full } else { Effort::Changed };
        match self.which.selected(context)? {
            Selected::One(mailbox, store) => self.one(&mailbox, store.as_deref(), effort),
            Selected::All(all) => self.many(&all, effort),
        }
    }

    fn one(&self, mailbox: &Mailbox, store: Option<&SqlStore>, effort: Effort) -> Result<Exit, Failure> {
        let counted = match mailbox.open().map_err(|error| Failure::not_now(error.to_string()))? {
            Some(open) => recount(&open, mailbox, store, effort),
            // An account has no mailbox before its first mail, but a path without a mailbox is a mistake.
            None if mailbox.login.is_some() => {
                let counted = CountResult { usage: Usage::default(), folders: 0, folders_read: 0, locked: true };
                Ok(Recounted { before: Previous { usage: Some(counted.usage), ..Previous::default() }, counted })
            }
            None => return Err(Failure::not_now(format!("there is no mailbox {}", mailbox.path.display()))),
        };
        let recounted = counted.map_err(|error| Failure::not_now(format!("{}: {error}", mailbox.name)))?;
        recounted.remark_lock(mailbox);
        let CountResult { usage, folders, folders_read, .. } = recounted.counted;
        if self.json {
            let changed = recounted.is_changed();
            let Previous { usage: before, doubt, .. } = recounted.before;
            let before = before.map(|usage| UsageJson { bytes: usage.bytes, messages: usage.messages });
            let (bytes, messages) = (usage.bytes, usage.messages);
            json(&RecountJson { bytes, messages, folders, folders_read, changed, before, doubt })?;
        } else {
            let in_words = recounted.in_words();
            say(format_args!("{}: {in_words}; read {folders_read} of {folders} folders", mailbox.name))?;
        }
        Ok(Exit::Yes)
    }

    fn many(&self, all: &All, effort: Effort) -> Result<Exit, Failure> {
        let begin = Instant::now();
        let jobs = self.jobs.map_or_else(processors, usize::from);
        let mut sum = SummaryJson::default();
        let mut problems = Complaints::default();
        let count = |mailbox: &Mailbox| -> Result<Option<Recounted>, PoolError> {
            let open = mailbox.open()?;
            open.map(|open| recount(&open, mailbox, Some(&all.store), effort)).transpose()
        };
        let unusable = for_each(all, jobs, count, |mailbox, outcome| {
            match outcome {
                Ok(Some(recounted)) => {
                    recounted.remark_lock(mailbox);
                    let usage = recounted.counted.usage;
                    sum.mailboxes += 1;
                    sum.bytes = sum.bytes.saturating_add(usage.bytes);
                    sum.messages = sum.messages.saturating_add(usage.messages);
                    if recounted.is_changed() {
                        sum.changed += 1;
                        if !self.json {
                            say(format_args!("{}: {}", mailbox.name, recounted.in_words()))?;
                        }
                    }
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
            let SummaryJson { mailboxes, changed, without_mail, failed, bytes, messages, seconds } = sum;
            let used = figures::used(Usage { bytes, messages });
            say(format_args!(
                "counted {mailboxes} mailboxes in {seconds} s: {used}; the figures of {changed} changed, \
                 {without_mail} have no mail yet, {failed} failed"
            ))?;
        }
        finish(problems, Exit::Yes)
    }
}

/// Adds up the published sizes of the mailboxes of each domain that has a quota.
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

/// Counts a mailbox and publishes its size for the quota of its domain.
fn recount(
    open: &MaildirQuota,
    mailbox: &Mailbox,
    store: Option<&SqlStore>,
    effort: Effort,
) -> Result<Recounted, PoolError> {
    // Another program may change the figures meanwhile; the count then includes that change.
    let before = Previous::of(open, mailbox.limits);
    let (counted, published) = open.recount_and(effort, |usage| publish(store, mailbox, usage))?;
    published?;
    Ok(Recounted { before, counted })
}
