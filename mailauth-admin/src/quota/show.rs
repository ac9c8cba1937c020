//! `mailauth quota show`.

use super::figures::{ago, of, seconds, size};
use super::target::account;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Sheet, json, say};
use clap::Args;
use mailauth_core::delivery::warnings::percent;
use mailauth_core::quota::{Limits, MaildirQuota, QuotaError, Stored, Usage};
use serde::Serialize;

/// Show the size of a mailbox and its quota
///
/// The figures come from the file maildirsize in the mailbox. If they cannot be trusted, the mailbox is counted, and the
/// file is not changed.
#[derive(Args)]
pub struct Show {
    /// Login, such as anna@example.org
    login: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct QuotaJson {
    login: String,
    maildir: String,
    bytes: u64,
    messages: u64,
    limit_bytes: Option<u64>,
    limit_messages: Option<u64>,
    percent: Option<u64>,
    /// Reason why the stored figures were not trusted.
    doubt: Option<String>,
    /// Time of the last change of the figures, in seconds since 1970.
    written: Option<u64>,
    /// Time of the last count, in seconds since 1970.
    counted: Option<u64>,
}

/// Returns the size of a mailbox: the stored figures or, if they are in doubt, those of a count. Writes nothing.
pub fn look(open: &MaildirQuota) -> Result<(Usage, Stored), QuotaError> {
    let stored = open.stored()?;
    match (stored.usage, stored.doubt) {
        (Some(usage), None) => Ok((usage, stored)),
        _ => Ok((open.count()?, stored)),
    }
}

impl Show {
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (mailbox, _) = account(context, &self.login)?;
        let looked = mailbox.open().and_then(|open| open.as_ref().map(look).transpose());
        let looked = looked.map_err(|error| Failure::not_now(error.to_string()))?;
        let (usage, stored) = looked.clone().unzip();
        let (usage, limits) = (usage.unwrap_or_default(), mailbox.limits);
        let percent = percent(usage, limits);
        let doubt = stored.as_ref().and_then(|stored| stored.doubt).filter(|_| limits != Limits::NONE);
        let kept = stored.filter(|stored| stored.doubt.is_none());
        if self.json {
            json(&QuotaJson {
                login: mailbox.name,
                maildir: mailbox.path.display().to_string(),
                bytes: usage.bytes,
                messages: usage.messages,
                limit_bytes: limits.bytes,
                limit_messages: limits.messages,
                percent,
                doubt: doubt.map(|doubt| doubt.to_string()),
                written: kept.as_ref().and_then(|kept| kept.written).map(seconds),
                counted: kept.as_ref().and_then(|kept| kept.counted).map(seconds),
            })?;
            return Ok(Exit::Yes);
        }
        let mut sheet = Sheet::new();
        sheet.line("login", &mailbox.name);
        sheet.line("maildir", mailbox.path.display());
        sheet.line("used", of(size(usage.bytes), limits.bytes.map(size)));
        sheet.line("messages", of(usage.messages.to_string(), limits.messages.map(|limit| limit.to_string())));
        sheet.line("full", percent.map_or("no limit".to_owned(), |percent| format!("{percent} %")));
        sheet.line(
            "figures",
            match (kept, doubt, looked.is_some()) {
                (_, _, false) => "no mail yet".to_owned(),
                (Some(kept), ..) => match (kept.written.map(ago), kept.counted.map(ago)) {
                    (Some(written), Some(counted)) => format!("counted {counted}, last changed {written}"),
                    (written, _) => format!("stored, last changed {}", written.unwrap_or_default()),
                },
                (None, Some(doubt), _) => format!("counted now: maildirsize is not trusted, {doubt}"),
                (None, None, _) => "counted now".to_owned(),
            },
        );
        say(sheet)?;
        Ok(Exit::Yes)
    }
}
