//! `mailauth quota report`.

use super::figures::{bar, size};
use super::show::look;
use super::sorted::Sorted;
use super::target::{All, Mailbox, finish};
use super::work::{for_each, processors};
use crate::colour::Tone;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::listing::Complaints;
use crate::output::{List, ListRow, Mark};
use clap::Args;
use mailauth_core::delivery::warnings::percent;
use mailauth_core::quota::{Limits, QuotaError, Usage};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// List the sizes of all mailboxes, the fullest first
#[derive(Args)]
pub struct Report {
    /// Show only the first N mailboxes [default: all]
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Show only mailboxes that use more than this percentage of their quota
    #[arg(long, value_name = "PERCENT")]
    over: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize, Serialize)]
struct MailboxLine {
    login: String,
    bytes: u64,
    messages: u64,
    limit_bytes: Option<u64>,
    limit_messages: Option<u64>,
    percent: Option<u64>,
}

impl MailboxLine {
    fn new(mailbox: &Mailbox, usage: Usage) -> Self {
        let (login, Limits { bytes, messages }) = (mailbox.name.clone(), mailbox.limits);
        let percent = percent(usage, mailbox.limits);
        MailboxLine {
            login,
            bytes: usage.bytes,
            messages: usage.messages,
            limit_bytes: bytes,
            limit_messages: messages,
            percent,
        }
    }
}

impl Report {
    pub fn run(self, context: Context) -> Result<Exit, Failure> {
        let all = All::of(context)?;
        let (mut problems, mut lines) = (Complaints::default(), Sorted::new()?);
        let used = |mailbox: &Mailbox| -> Result<Usage, QuotaError> {
            let looked = mailbox.open()?.as_ref().map(look).transpose()?;
            Ok(looked.map(|(usage, _)| usage).unwrap_or_default())
        };
        let unusable = for_each(&all, processors(), used, |mailbox, outcome| {
            match outcome {
                Ok(usage) => {
                    let line = MailboxLine::new(mailbox, usage);
                    if self.over.is_none_or(|over| line.percent.is_some_and(|percent| percent > over)) {
                        lines.add(line.percent, line.bytes, &line)?;
                    }
                }
                Err(error) => problems.add(format_args!("{}: {error}", mailbox.name)),
            }
            Ok(())
        })?;
        problems.append(unusable);
        let mut list = List::new(["LOGIN", "FULL", "", "USED", "LIMIT", "MESSAGES"], self.json);
        lines.each(self.top.unwrap_or(usize::MAX), |line: MailboxLine| list.add(&line))?;
        list.end()?;
        finish(problems, Exit::Yes)
    }
}

/// Percentage from which a mailbox is nearly full.
const NEARLY_FULL: u64 = 90;

impl ListRow<6> for MailboxLine {
    fn mark(&self) -> Option<Mark> {
        self.percent.map(|percent| match percent {
            0..NEARLY_FULL => Mark(1, Tone::Good),
            NEARLY_FULL..100 => Mark(1, Tone::Warning),
            _ => Mark(1, Tone::Bad),
        })
    }

    fn cells(&self) -> [Cow<'_, str>; 6] {
        let (percent, bar) = match self.percent {
            Some(percent) => (format!("{percent} %"), bar(percent)),
            None => (String::new(), String::new()),
        };
        let limit = self.limit_bytes.map_or("none".to_owned(), size);
        let messages =
            super::figures::of(self.messages.to_string(), self.limit_messages.map(|limit| limit.to_string()));
        [self.login.as_str().into(), percent.into(), bar.into(), size(self.bytes).into(), limit.into(), messages.into()]
    }
}
