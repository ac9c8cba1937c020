//! `mailauth deliver`: a delivery agent that enforces quotas.
//!
//! Its exit codes are those that mail servers expect of a delivery agent (sysexits.h(3head)): 0 stored, 77 over quota (or
//! 75, by an option), 67 no such account, 75 try again. Everything that an administrator has to correct, including the
//! command line and the configuration, is 75, so that mail waits and is not sent back. The same holds for a refusal that is
//! known only from a replica.

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::remark;
use crate::quota::{ByPath, Mailbox};
use crate::recipient::Recipient;
use clap::Args;
use mailauth_core::account::AccountRow;
use mailauth_core::config::QuotaConfig;
use mailauth_core::delivery::warnings::{self, Warning};
use mailauth_core::delivery::{Delivered, DeliveryError, Spooled};
use mailauth_core::quota::mailboxes::Here;
use mailauth_core::quota::others::Others;
use mailauth_core::quota::pools::Member;
use mailauth_core::quota::{Limits, MaildirQuota};
use mailauth_core::{home, privileges};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::SystemTime;

/// Store a message from the standard input in a mailbox, if its quota permits
///
/// If this command runs as root, it switches to the owner of the account's mailbox before it stores the message. A missing
/// home and Maildir are created.
///
/// Exit codes: 0 stored, 77 over quota, 67 no such account, 75 all other errors (try again).
#[derive(Args)]
pub struct Deliver {
    /// Address of an account, such as anna@example.org; may have a detail, as in anna+news@example.org, and may be in an alias
    /// domain
    #[arg(required_unless_present = "maildir", conflicts_with = "maildir")]
    login: Option<String>,
    #[command(flatten)]
    by_path: ByPath,
    /// Exit code for a message over quota: 77, and the mail server sends it back, or 75, and it tries again later
    #[arg(long, value_name = "CODE", value_parser = read_exit, default_value_t = 77)]
    over_quota_exit: u8,
}

impl Deliver {
    pub fn run(self, context: impl FnOnce() -> Result<Context, Failure>) -> Result<Exit, Failure> {
        // SAFETY: ignoring a signal runs no code of ours. Reaching a limit of file sizes is then an ordinary error.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        let store = || match (self.by_path.mailbox(), &self.login) {
            (Some(mailbox), _) => deliver_to_path(&mailbox),
            (None, login) => {
                context().and_then(|context| deliver_to_account(&context, login.as_deref().unwrap_or_default()))
            }
        };
        // A defect of this program is no reason to send mail back.
        let stored = catch_unwind(AssertUnwindSafe(store)).unwrap_or_else(|_| {
            Err(Failure::not_now("internal error in this program; please report the message above"))
        });
        stored.map_err(|failure| match failure.exit {
            Exit::OverQuota => Failure { exit: Exit::Other(self.over_quota_exit), ..failure },
            Exit::NoUser => failure,
            _ => Failure { exit: Exit::NotNow, ..failure },
        })
    }
}

/// Parses the exit code for a message over quota. To a mail server, any other code might have another meaning.
fn read_exit(text: &str) -> Result<u8, &'static str> {
    match text {
        "75" => Ok(75),
        "77" => Ok(77),
        _ => Err("give 77, for which mail is sent back, or 75, for which it waits"),
    }
}

/// Stores the message in a mailbox given by its path.
fn deliver_to_path(mailbox: &Mailbox) -> Result<Exit, Failure> {
    let open = mailbox.open_existing()?;
    store(&open, &mut io::stdin().lock(), None)?;
    Ok(Exit::Yes)
}

/// Stores the message in the mailbox of an account.
fn deliver_to_account(context: &Context, login: &str) -> Result<Exit, Failure> {
    let login = context.recipient(login)?;
    let database = context.store()?;
    let unknown = Failure::new(Exit::NoUser, format!("no such account {login}, or it is disabled or receives no mail"));
    let receives = |row: &AccountRow| row.enabled && row.domain_enabled && row.receives;
    let recipient = Recipient::find(&database, &login, &context.config.address.delimiters, unknown, receives)?;
    let login = recipient.row.login.clone();
    let mut mailbox = Mailbox::of(recipient.row.clone(), &context.config)
        .map_err(|unusable| Failure::not_now(unusable.to_string()))?;
    // The other mailboxes of the domain that this process may read as the owner.
    let (defaults, rules) = (&context.config.mailbox, context.config.quota.rules());
    let others = Others { accounts: &database, defaults, rules, mailboxes: &Here };
    let member = Member::of(recipient.pools(), &login)?.map(|member| member.with_others(others));
    if let Some(member) = &member {
        mailbox.limits = member.mailbox_limits(mailbox.limits);
    }
    // This is read now, because root may read a file that the owner may not.
    let text = if context.config.quota.warn.is_empty() { None } else { template(&context.config.quota) };
    become_owner(&mailbox)?;
    let open = mailbox.open_existing()?;
    let stored = store(&open, &mut io::stdin().lock(), member.as_ref());
    let Delivered { usage, .. } = stored.map_err(|failure| recipient.refused(failure))?;
    if let (Some(usage), Some(text)) = (usage, text) {
        let warning = Warning { address: login.as_str(), usage, limits: open.limits(), now: SystemTime::now() };
        // The message is stored, even if the warning cannot be.
        if let Err(problem) = warn(&open, &warning, &text, &context.config.quota.warn, member.as_ref()) {
            remark(format_args!("warning: {login} was not warned that the mailbox is filling up: {problem}"));
        }
    }
    Ok(Exit::Yes)
}

/// Creates missing parts of the mailbox as its owner. As root, creates the home and becomes the owner first.
fn become_owner(mailbox: &Mailbox) -> Result<(), Failure> {
    let Some((uid, gid)) = mailbox.owner else { return Ok(()) };
    let failed = |error: io::Error| Failure::not_now(format!("{}: {error}", mailbox.path.display()));
    if rustix::process::geteuid().is_root() {
        home::as_root(&mailbox.home, uid, gid).map_err(failed)?;
        privileges::become_owner(uid, gid).map_err(|error| Failure::not_now(error.to_string()))?;
    }
    home::as_owner(&mailbox.home, Some(&mailbox.path)).map_err(failed)
}

fn store(open: &MaildirQuota, message: &mut dyn Read, member: Option<&Member<'_>>) -> Result<Delivered, Failure> {
    Spooled::read(open, message).and_then(|spooled| spooled.store(member)).map_err(|error| match error {
        DeliveryError::Denied(denied) if denied.is_over() => Failure::new(Exit::OverQuota, denied.to_string()),
        error => Failure::not_now(error.to_string()),
    })
}

/// Returns the text of the warning. If it cannot be read, prints a warning and returns `None`.
fn template(quota: &QuotaConfig) -> Option<String> {
    let Some(path) = quota.warning.as_deref() else { return Some(warnings::TEXT.to_owned()) };
    let read = |path: &Path| std::fs::read_to_string(path);
    match read(path) {
        Ok(text) => Some(text),
        Err(error) => {
            remark(format_args!(
                "warning: users are not warned that their mailboxes are filling up: {}: {error}",
                path.display()
            ));
            None
        }
    }
}

fn warn(
    open: &MaildirQuota,
    warning: &Warning<'_>,
    text: &str,
    percents: &[u8],
    member: Option<&Member<'_>>,
) -> Result<(), String> {
    let due = warnings::due(open, warning.usage, percents, warning.now).map_err(|error| error.to_string())?;
    if due.is_none() || open.limits() == Limits::NONE {
        return Ok(());
    }
    store(open, &mut warning.compose(text).as_bytes(), member).map(drop).map_err(|failure| failure.message)
}
