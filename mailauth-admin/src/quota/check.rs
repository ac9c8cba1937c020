//! `mailauth quota check`.

use super::figures::{ago, seconds};
use super::target::{Mailbox, Selected, Selection, finish};
use super::work::{for_each, processors};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::listing::Complaints;
use crate::output::{List, ListRow, say};
use clap::Args;
use mailauth_core::quota::{Check as Comparison, Doubt, Limits, QuotaError};
use serde::Serialize;
use std::borrow::Cow;
use std::time::SystemTime;

/// Compare maildirsize with a full count of the mailbox; changes nothing
///
/// Exit codes: 0 all are correct, 1 some are incorrect, 75 some could not be checked.
#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    which: Selection,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A mailbox with an incorrect maildirsize.
#[derive(Serialize)]
struct Mismatch {
    mailbox: String,
    /// Figure in the file minus that of the count: negative if the owner has more space than the quota permits.
    bytes: Option<i128>,
    messages: Option<i128>,
    /// Reason why the file is not trusted; then it does no harm.
    doubt: Option<String>,
    /// Time of the last count, in seconds since 1970: the file became incorrect after it.
    since: Option<u64>,
    #[serde(skip)]
    counted: Option<SystemTime>,
}

impl Check {
    pub fn run(self, context: impl FnOnce() -> Result<Context, Failure>) -> Result<Exit, Failure> {
        let (mut problems, mut correct, mut incorrect) = (Complaints::default(), 0usize, 0usize);
        let mut list = List::new(["MAILBOX", "BYTES", "MESSAGES", "COUNTED", "REMARK"], self.json);
        let mut each = |mailbox: &Mailbox, outcome| {
            match outcome {
                Ok(None) => correct += 1,
                Ok(Some(found)) => {
                    incorrect += 1;
                    list.add(&found)?;
                }
                Err(error) => problems.add(format_args!("{}: {error}", mailbox.name)),
            }
            Ok(())
        };
        let unusable = match self.which.selected(context)? {
            Selected::One(mailbox, _) => each(&mailbox, check(&mailbox)).map(|()| Complaints::default())?,
            Selected::All(all) => for_each(&all, processors(), check, each)?,
        };
        problems.append(unusable);
        if self.json || incorrect > 0 {
            list.end()?;
        }
        if !self.json {
            say(format_args!("{correct} correct, {incorrect} incorrect, {} could not be checked", problems.count()))?;
        }
        finish(problems, if incorrect == 0 { Exit::Yes } else { Exit::No })
    }
}

/// Compares the figures of a mailbox with a count. Returns the difference, if there is one that matters.
fn check(mailbox: &Mailbox) -> Result<Option<Mismatch>, QuotaError> {
    let Some(open) = mailbox.open()? else { return Ok(None) };
    let Comparison { stored, counted } = open.check()?;
    let kept = match (stored.usage, stored.doubt) {
        (Some(kept), None) if kept == counted => return Ok(None),
        // A mailbox without a limit needs no figures.
        (_, Some(_)) if mailbox.limits == Limits::NONE => return Ok(None),
        (_, Some(Doubt::Missing)) => return Ok(None),
        (kept, _) => kept,
    };
    let less = |kept: u64, counted: u64| i128::from(kept) - i128::from(counted);
    Ok(Some(Mismatch {
        mailbox: mailbox.name.clone(),
        bytes: kept.map(|kept| less(kept.bytes, counted.bytes)),
        messages: kept.map(|kept| less(kept.messages, counted.messages)),
        doubt: stored.doubt.map(|doubt| doubt.to_string()),
        since: stored.counted.map(seconds),
        counted: stored.counted,
    }))
}

impl ListRow<5> for Mismatch {
    fn cells(&self) -> [Cow<'_, str>; 5] {
        let signed = |number: Option<i128>| number.map_or(String::new(), |number| format!("{number:+}"));
        [
            self.mailbox.as_str().into(),
            signed(self.bytes).into(),
            signed(self.messages).into(),
            self.counted.map(ago).unwrap_or_default().into(),
            self.doubt.as_deref().unwrap_or_default().into(),
        ]
    }
}
