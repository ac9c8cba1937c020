//! `mailauth quota report`.

use super::figures::{bar, size};
use super::recount::{for_each, processors};
use super::show::look;
use super::target::{Mailbox, all, finish};
use crate::failure::{Exit, Failure};
use crate::output::{Table, json, say};
use crate::setup::Setup;
use clap::Args;
use mailauth_core::quota::warnings::percent;
use mailauth_core::quota::{Limits, QuotaError, Usage};
use serde::Serialize;

/// List what all mailboxes hold, the fullest first
#[derive(Args)]
pub struct Report {
    /// Only the first N
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Only those that are fuller than this
    #[arg(long, value_name = "PERCENT")]
    over: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line {
    login: String,
    bytes: u64,
    messages: u64,
    limit_bytes: Option<u64>,
    limit_messages: Option<u64>,
    percent: Option<u64>,
}

impl Line {
    fn new(mailbox: &Mailbox, usage: Usage) -> Self {
        let (login, Limits { bytes, messages }) = (mailbox.name.clone(), mailbox.limits);
        let percent = percent(usage, mailbox.limits);
        Line {
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
    pub fn run(self, setup: &Setup) -> Result<Exit, Failure> {
        let meant = all(setup)?;
        let outcomes = for_each(&meant.mailboxes, processors(), |mailbox| -> Result<Usage, QuotaError> {
            let looked = mailbox.open()?.as_ref().map(look).transpose()?;
            Ok(looked.map(|(usage, _)| usage).unwrap_or_default())
        });
        let (mut problems, mut lines) = (meant.unusable, Vec::new());
        for (mailbox, outcome) in meant.mailboxes.iter().zip(outcomes) {
            match outcome {
                Ok(usage) => lines.push(Line::new(mailbox, usage)),
                Err(error) => problems.push(format!("{}: {error}", mailbox.name)),
            }
        }
        if let Some(over) = self.over {
            lines.retain(|line| line.percent.is_some_and(|percent| percent > over));
        }
        lines.sort_by(|a, b| (b.percent, b.bytes).cmp(&(a.percent, a.bytes)).then_with(|| a.login.cmp(&b.login)));
        lines.truncate(self.top.unwrap_or(usize::MAX));
        if self.json {
            json(&lines)?
        } else {
            say(table(&lines))?
        }
        finish(&problems, Exit::Yes)
    }
}

fn table(lines: &[Line]) -> Table<6> {
    let mut table = Table::new(["LOGIN", "FULL", "", "USED", "LIMIT", "MESSAGES"]);
    for line in lines {
        let (percent, bar) = match line.percent {
            Some(percent) => (format!("{percent} %"), bar(percent)),
            None => (String::new(), String::new()),
        };
        let limit = line.limit_bytes.map_or("none".to_owned(), size);
        let messages =
            super::figures::of(line.messages.to_string(), line.limit_messages.map(|limit| limit.to_string()));
        table.row([&line.login, &percent, &bar, &size(line.bytes), &limit, &messages]);
    }
    table
}
