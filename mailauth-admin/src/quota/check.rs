//! `mailauth quota check`.

use super::figures::{ago, seconds};
use super::recount::{for_each, processors};
use super::target::{Mailbox, Selection, finish};
use crate::failure::{Exit, Failure};
use crate::output::{Table, json, say};
use crate::setup::Setup;
use clap::Args;
use mailauth_core::quota::{Check as Checked, Doubt, Limits, QuotaError};
use serde::Serialize;
use std::time::SystemTime;

/// Compare maildirsize with a full count; changes nothing
///
/// Exit codes: 0 all are right, 1 some are off, 75 some could not be told.
#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    which: Selection,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A mailbox whose file is off.
#[derive(Serialize)]
struct Off {
    mailbox: String,
    /// Kept less counted: negative where the owner has room that he should not have.
    bytes: Option<i128>,
    messages: Option<i128>,
    /// Why the file would not be believed; then it does no harm.
    doubt: Option<String>,
    /// When it was last counted, in seconds since 1970: it has not been off for longer.
    since: Option<u64>,
    #[serde(skip)]
    counted: Option<SystemTime>,
}

impl Check {
    pub fn run(self, setup: impl FnOnce() -> Result<Setup, Failure>) -> Result<Exit, Failure> {
        let meant = self.which.meant(setup)?;
        let outcomes = for_each(&meant.mailboxes, processors(), check);
        let (mut problems, mut off, mut right) = (meant.unusable, Vec::new(), 0usize);
        for (mailbox, outcome) in meant.mailboxes.iter().zip(outcomes) {
            match outcome {
                Ok(None) => right += 1,
                Ok(Some(found)) => off.push(found),
                Err(error) => problems.push(format!("{}: {error}", mailbox.name)),
            }
        }
        if self.json {
            json(&off)?;
        } else {
            if !off.is_empty() {
                say(table(&off))?;
            }
            say(format_args!("{right} right, {} off, {} that could not be told", off.len(), problems.len()))?;
        }
        finish(&problems, if off.is_empty() { Exit::Yes } else { Exit::No })
    }
}

/// What is wrong with the figures of a mailbox, if anything is.
fn check(mailbox: &Mailbox) -> Result<Option<Off>, QuotaError> {
    let Some(open) = mailbox.open()? else { return Ok(None) };
    let Checked { stored, counted } = open.check()?;
    let kept = match (stored.usage, stored.doubt) {
        (Some(kept), None) if kept == counted => return Ok(None),
        // Nothing is kept, and nothing has to be.
        (_, Some(_)) if mailbox.limits == Limits::NONE => return Ok(None),
        (_, Some(Doubt::Missing)) => return Ok(None),
        (kept, _) => kept,
    };
    let less = |kept: u64, counted: u64| i128::from(kept) - i128::from(counted);
    Ok(Some(Off {
        mailbox: mailbox.name.clone(),
        bytes: kept.map(|kept| less(kept.bytes, counted.bytes)),
        messages: kept.map(|kept| less(kept.messages, counted.messages)),
        doubt: stored.doubt.map(|doubt| doubt.to_string()),
        since: stored.counted.map(seconds),
        counted: stored.counted,
    }))
}

fn table(off: &[Off]) -> Table<5> {
    let mut table = Table::new(["MAILBOX", "BYTES", "MESSAGES", "COUNTED", "REMARK"]);
    let signed = |number: Option<i128>| number.map_or(String::new(), |number| format!("{number:+}"));
    for Off { mailbox, bytes, messages, doubt, counted, .. } in off {
        let (counted, doubt) = (counted.map(ago).unwrap_or_default(), doubt.as_deref().unwrap_or_default());
        table.row([mailbox, &signed(*bytes), &signed(*messages), &counted, doubt]);
    }
    table
}
