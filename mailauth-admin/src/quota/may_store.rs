//! `mailauth quota may-store`.

use super::target::ByPath;
use crate::context::Context;
use crate::failure::{Exit, Failure, no_such};
use crate::output::say;
use crate::recipient::Recipient;
use clap::Args;
use mailauth_core::quota::mailboxes::Here;
use mailauth_core::quota::others::Others;
use mailauth_core::quota::{Denied, IfLocked, Limits, Patience, room};

/// Check whether a message of a given size may be stored
///
/// Exit codes: 0 yes, 77 no, over quota, 75 not now (try again), 2 invalid command line.
#[derive(Args)]
pub struct MayStore {
    /// Login of the account, such as anna@example.org
    #[arg(required_unless_present = "maildir", conflicts_with = "maildir")]
    login: Option<String>,
    #[command(flatten)]
    by_path: ByPath,
    /// Size of the message in bytes
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(..=Limits::MAX))]
    size: u64,
}

impl MayStore {
    pub fn run(self, context: impl FnOnce() -> Result<Context, Failure>) -> Result<Exit, Failure> {
        match (self.by_path.mailbox(), &self.login) {
            // The first message for an account creates its mailbox; a wrong path must not create one.
            (Some(mailbox), _) => answer(mailbox.open_existing()?.precheck(self.size)),
            (None, login) => of_account(&context()?, login.as_deref().unwrap_or_default(), self.size),
        }
        .or_else(|failure| match failure.exit {
            Exit::OverQuota => say(failure.message).map(|()| Exit::OverQuota),
            _ => Err(failure),
        })
    }
}

fn of_account(context: &Context, login: &str, size: u64) -> Result<Exit, Failure> {
    let store = context.store()?;
    let login = context.recipient(login)?;
    let unknown = Failure::no(no_such("account", login.as_str()));
    let recipient = Recipient::find(&store, &login, &context.config.address.delimiters, unknown, |_| true)?;
    let account = context.config.mailbox.resolve(recipient.row.clone());
    let account = account.map_err(|unusable| Failure::not_now(unusable.to_string()))?;
    let (defaults, rules) = (&context.config.mailbox, context.config.quota.rules());
    let others = Others { accounts: &store, defaults, rules, mailboxes: &Here };
    let patience = Patience { if_locked: IfLocked::GoOn, ..Patience::default() };
    let room = room::precheck(&account, others, recipient.pools(), size, patience);
    answer(room).map_err(|failure| recipient.refused(failure))
}

fn answer(room: Result<(), Denied>) -> Result<Exit, Failure> {
    match room {
        Ok(()) => say("it fits").map(|()| Exit::Yes),
        Err(denied) if denied.is_over() => Err(Failure::new(Exit::OverQuota, denied.to_string())),
        Err(denied) => Err(Failure::not_now(denied.to_string())),
    }
}
