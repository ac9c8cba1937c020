//! `mailauth quota may-store`.

use super::target::{ByPath, account};
use crate::failure::{Exit, Failure};
use crate::output::say;
use crate::setup::Setup;
use clap::Args;
use mailauth_core::quota::pools::{Member, PoolDecision};
use mailauth_core::quota::{Decision, Limits, Usage};

/// May a message of this size be stored?
///
/// Exit codes: 0 it fits, 77 it would be over quota, 75 that cannot be told now, 2 the command line is wrong.
#[derive(Args)]
pub struct MayStore {
    /// An account, as anna@example.org
    #[arg(required_unless_present = "maildir", conflicts_with = "maildir")]
    login: Option<String>,
    #[command(flatten)]
    by_path: ByPath,
    /// The message's size
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(..=Limits::MAX))]
    size: u64,
}

impl MayStore {
    pub fn run(self, setup: impl FnOnce() -> Result<Setup, Failure>) -> Result<Exit, Failure> {
        let (mailbox, store) = match (self.by_path.mailbox(), &self.login) {
            (Some(mailbox), _) => (mailbox, None),
            (None, login) => {
                let (mailbox, store) = account(&setup()?, login.as_deref().unwrap_or_default())?;
                (mailbox, Some(store))
            }
        };
        let open = mailbox.open().map_err(|error| Failure::not_now(error.to_string()))?;
        let decision = match &open {
            Some(open) => open.may_store(self.size),
            // An account's first message makes its mailbox; a path that is wrong makes none.
            None if mailbox.owner.is_none() => {
                return Err(Failure::not_now(format!("there is no mailbox {}", mailbox.path.display())));
            }
            None => mailbox.limits.broken_by(Usage::default(), self.size).map_or(Decision::Fits, Decision::Over),
        };
        if let (Decision::Fits, Some(store), Some(login)) = (&decision, &store, &mailbox.login)
            && let Some(member) = Member::of(store, login)?
        {
            let pool = match &open {
                Some(open) => member.may_store(open, self.size),
                None => member.may_begin(self.size),
            };
            match pool {
                PoolDecision::Fits => {}
                PoolDecision::Over(over) => {
                    say(over)?;
                    return Ok(Exit::OverQuota);
                }
                PoolDecision::CannotTell(error) => return Err(Failure::not_now(error.to_string())),
            }
        }
        match decision {
            Decision::Fits => {
                say("it fits")?;
                Ok(Exit::Yes)
            }
            Decision::Over(over) => {
                say(over)?;
                Ok(Exit::OverQuota)
            }
            Decision::CannotTell(error) => Err(Failure::not_now(error.to_string())),
        }
    }
}
