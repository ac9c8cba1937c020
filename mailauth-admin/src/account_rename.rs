//! `mailauth account rename`.

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{printable, remark, say};
use crate::{nearby, stored_login, validation};
use mailauth_core::account::{Account, AccountRow, Login};
use mailauth_core::moving::{Moving, NotMoved};
use mailauth_core::store::{
    AccountStore, AdminError, Administration, AliasTarget, Changed, MailStore, Renaming, SqlStore, StoreError,
};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Maximum number of aliases that the daemon is told one by one. More are reported in one message.
const MAX_NOTICES: usize = 200;

/// Gives the account with the login `old`, byte for byte, the login `new`.
pub fn rename(context: &Context, store: &SqlStore, old: &[u8], new: Login, move_mailbox: bool) -> Result<(), Failure> {
    validation::rename(store, old, &new, &context.config)?;
    // If the stored bytes only parse as this login, another row has its mail and its aliases.
    let former = Login::parse(old, None).ok().filter(|login| login.as_str().as_bytes() == old);
    let paths = former.as_ref().map(|former| paths(context, store, former, &new)).transpose()?.flatten();
    let aliases = former.as_ref().map_or(Ok(Vec::new()), |former| store.alias_targets_that_are(former))?;
    let moving = match (&paths, move_mailbox) {
        (Some(paths), true) => paths.moving()?,
        (None, true) => return Err(Failure::no("the place of the mailbox is unknown, so it cannot be moved")),
        (_, false) => None,
    };
    let mut moved = false;
    let mut beside = || match &moving {
        Some(moving) => moving.run().map(|()| moved = true).map_err(|error| move_refusal(&error)),
        None => Ok(()),
    };
    let what = change_notices(old, &new, &aliases);
    let renaming = &mut Renaming { aliases: &aliases, beside: &mut beside };
    let renamed = context.change(store, &what, |store| store.rename_account_with(old, &new, renaming));
    if let Err(error) = renamed {
        return Err(undone(store, error, moving.as_ref().filter(|_| moved), paths.as_ref(), &new));
    }
    say(format_args!("renamed the account {} to {}", stored_login::readable(old), new.readable()))?;
    report_mailbox(paths.as_ref(), moving.as_ref(), move_mailbox);
    report_aliases(store, former.as_ref(), &new, &aliases);
    Ok(())
}

/// The account under its old and its new login, which decide where its mail is.
struct Paths {
    before: Account,
    after: Account,
}

/// Returns both places of the mail, or `None` if the row cannot be used under one of the logins.
fn paths(context: &Context, store: &SqlStore, former: &Login, new: &Login) -> Result<Option<Paths>, Failure> {
    let row = match store.find(former) {
        Ok(Some(row)) => row,
        // The change itself reports why.
        Ok(None) | Err(StoreError::Unusable(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let account =
        |login: &Login| context.config.mailbox.resolve(AccountRow { login: login.clone(), ..row.clone() }).ok();
    Ok(account(former).zip(account(new)).map(|(before, after)| Paths { before, after }))
}

impl Paths {
    /// Returns the Maildir before and after.
    fn maildirs(&self) -> (PathBuf, PathBuf) {
        (self.before.maildir_path(), self.after.maildir_path())
    }

    /// Returns the folder to move and its new place: the home, or the Maildir if that is not in the home. `None` if
    /// nothing moves.
    fn folders(&self) -> Option<(PathBuf, PathBuf)> {
        let (before, after) = self.maildirs();
        let homes = (Path::new(&self.before.home), Path::new(&self.after.home));
        match (before.strip_prefix(homes.0), after.strip_prefix(homes.1)) {
            (Ok(there), Ok(here)) if there == here => Some((homes.0.to_owned(), homes.1.to_owned())),
            _ => Some((before, after)),
        }
        .filter(|(before, after)| before != after)
    }

    fn moving(&self) -> Result<Option<Moving>, Failure> {
        let Some((before, after)) = self.folders() else { return Ok(None) };
        let owner = (self.before.uid, self.before.gid);
        Moving::prepare(&before, &after, owner).map_err(|error| {
            let exit = if matches!(error, NotMoved::Io { .. }) { Exit::NotNow } else { Exit::No };
            Failure::new(exit, move_refusal(&error))
        })
    }
}

fn move_refusal(error: &NotMoved) -> String {
    format!("the mailbox cannot be moved, and nothing was changed: {error}")
}

/// Returns the messages to the daemon.
fn change_notices(old: &[u8], new: &Login, aliases: &[AliasTarget]) -> Vec<Changed> {
    let addresses: BTreeSet<&str> = aliases.iter().map(|alias| alias.address.as_str()).collect();
    if addresses.len() > MAX_NOTICES {
        return vec![Changed::Everything];
    }
    let aliases = addresses.into_iter().map(|address| Changed::Alias(address.to_owned()));
    stored_login::change_notice(old).into_iter().chain([Changed::Account(new.clone())]).chain(aliases).collect()
}

/// Moves the mailbox back after a change that failed, unless the change was made after all. Returns the failure.
fn undone(store: &SqlStore, error: AdminError, moving: Option<&Moving>, paths: Option<&Paths>, new: &Login) -> Failure {
    let Some(moving) = moving else { return nearby::refused(store, error, true) };
    let (from, to) = paths.and_then(Paths::folders).unwrap_or_default();
    let (from, to) = (from.display(), to.display());
    // A server whose connection was lost during the commit may have made the change.
    let is_done = matches!(&error, AdminError::Store(_)) && store.find_newest(new).is_ok_and(|row| row.is_some());
    let Failure { exit, message } = error.into();
    let place = match is_done {
        true => format!("the account was renamed nevertheless; its mailbox is in {to}"),
        false => match moving.undo() {
            Ok(()) => format!(
                "its mailbox was moved back to {from}; if the account proves to be renamed when the database answers again, \
                 move it to {to}"
            ),
            Err(problem) => {
                format!("its mailbox is in {to} and could not be moved back to {from}: {problem}; move it yourself")
            }
        },
    };
    Failure::new(exit, format!("{message}\n{place}"))
}

fn report_mailbox(paths: Option<&Paths>, moving: Option<&Moving>, move_mailbox: bool) {
    let Some(paths) = paths else { return };
    let (before, after) = paths.maildirs();
    match (paths.folders(), moving) {
        (Some((from, to)), Some(moving)) => {
            remark(format_args!("note: moved its mailbox from {} to {}", from.display(), to.display()));
            if moving.is_there_again() {
                let from = from.display();
                remark(format_args!("warning: mail arrived in {from} meanwhile; move it to the new place"));
            }
        }
        (Some((from, _)), None) if move_mailbox => {
            remark(format_args!("note: there is no mailbox in {}, so none was moved", from.display()));
        }
        (None, _) if move_mailbox => {
            remark(format_args!(
                "note: its mailbox stays in {}, because that path does not contain the login",
                before.display()
            ));
        }
        _ if before != after => remark(format_args!(
            "note: its mail is still in {}, but is now expected in {}: move it there, or keep the former place with \
             'mailauth account set --home'; --move-mailbox would have moved it",
            before.display(),
            after.display()
        )),
        _ => {}
    }
}

/// Prints the aliases that now have the new login as a target. The rename is done, so a failure here is ignored.
fn report_aliases(store: &SqlStore, former: Option<&Login>, new: &Login, aliases: &[AliasTarget]) {
    let addresses: BTreeSet<&str> = aliases.iter().map(|alias| alias.address.as_str()).collect();
    match addresses.len() {
        0 => {}
        1..=5 => {
            let addresses = addresses.into_iter().collect::<Vec<_>>().join(", ");
            remark(format_args!("note: mail for {} now goes to {}", printable(&addresses), new.readable()));
        }
        count => remark(format_args!("note: the mail of {count} aliases now goes to {}", new.readable())),
    }
    let targets = |address: &str| store.alias_targets(address).unwrap_or_default().join(", ");
    let hides = targets(new.as_str());
    if !hides.is_empty() {
        remark(format_args!(
            "note: {new} is also an alias: its mail goes to {}, and to the account only if that is one of these targets",
            printable(&hides)
        ));
    }
    let Some(former) = former else { return };
    if former.domain() != new.domain() {
        remark(format_args!(
            "note: its mail now counts towards the quota of the domain {}, and the settings of that domain apply",
            new.domain()
        ));
        if targets(former.as_str()).is_empty() {
            remark(format_args!(
                "note: mail for {former} is no longer accepted; 'mailauth alias add {former} {new}' forwards it"
            ));
        }
    }
}
