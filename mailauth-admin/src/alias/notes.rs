//! Notes about an alias that was just added: it is stored and takes effect, but may not do what was intended.

use mailauth_core::answer::{No, NotNow, Refusal};
use mailauth_core::config::Config;
use mailauth_core::routing::{Looking, Router};
use mailauth_core::spelling::readable;
use mailauth_core::store::{AccountStore, MailStore, SqlStore, StoreError};
use mailauth_core::{Backend, Login};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Maximum number of targets that are examined, and of addresses that are followed from one of them.
const MOST: usize = 100;

/// Maximum time for following one target.
const PATIENCE: Duration = Duration::from_secs(5);

/// Returns notes about the alias of this address, to which these targets were added. Errors of the database give no notes,
/// because the alias is stored.
pub fn notes(store: &Arc<SqlStore>, config: &Config, address: &str, added: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    match hides_account(store, address) {
        Ok(true) => notes.push(hidden(address)),
        Ok(false) => {}
        Err(StoreError::UnusableAlias { address, problem }) => {
            notes.push(format!("mail for {} is deferred: {problem}", readable(&address)));
        }
        Err(_) => return notes,
    }
    let router = Backend::over(Arc::clone(store), config).router;
    let looked_at = added.iter().take(MOST).filter_map(|target| Some((target, as_login(target)?)));
    notes.extend(looked_at.filter_map(|(target, login)| {
        if login.as_str() == address {
            return leads_nowhere_by_itself(store, &login);
        }
        match comes_back(store, &login, address) {
            Ok(Some(by)) => {
                Some(format!("{by} sends mail for {address} back to {address}; such a loop is followed only once"))
            }
            Ok(None) => leads_nowhere(&router, target),
            Err(_) => None,
        }
    }));
    notes
}

/// Returns a note if an alias takes the mail of an account that was just added.
pub fn of_account(store: &SqlStore, login: &Login) -> Option<String> {
    let targets = store.alias_targets(login.as_str()).ok()?;
    let is_hidden = !targets.is_empty() && !targets.iter().any(|target| as_login(target).as_ref() == Some(login));
    is_hidden.then(|| hidden(login.as_str()))
}

fn hidden(address: &str) -> String {
    let address = readable(address);
    format!(
        "{address} is both an account and an alias, and its mail goes only to the targets of the alias; 'mailauth alias \
         add {address} {address}' also keeps it in the mailbox"
    )
}

fn as_login(target: &str) -> Option<Login> {
    Login::parse(target.as_bytes(), None).ok()
}

/// Returns true if this address is an account whose mail now goes only to the targets of the alias.
fn hides_account(store: &SqlStore, address: &str) -> Result<bool, StoreError> {
    let Some(login) = as_login(address).filter(|_| !address.starts_with('@')) else { return Ok(false) };
    let is_account = match store.find(&login) {
        Err(StoreError::Unusable(_)) => true,
        found => found?.is_some(),
    };
    let targets = store.alias_targets(address)?;
    Ok(is_account && !targets.iter().any(|target| as_login(target).as_ref() == Some(&login)))
}

fn leads_nowhere_by_itself(store: &SqlStore, login: &Login) -> Option<String> {
    match store.find(login) {
        Ok(None) => Some(format!(
            "{login} is a target of itself, but there is no account {login} whose mailbox could keep the mail"
        )),
        _ => None,
    }
}

/// Returns a note if a target in one of our domains does not exist, or rejects mail.
fn leads_nowhere(router: &Router, target: &str) -> Option<String> {
    let now = Instant::now();
    let mut looking = Looking { may_look: &mut |_| false, locked_until: now, counted_until: now };
    match router.recipient_in_turn(target.as_bytes(), 0, now + PATIENCE, &mut looking) {
        Ok(Err(Refusal::No(No::UnknownLogin))) => Some(format!(
            "the target {target} does not exist: it is in a domain of this host, but no account, alias or catch-all accepts \
             its mail; add the account, or correct the target"
        )),
        Ok(Err(Refusal::No(No::UnknownDomain))) => None,
        Ok(Err(Refusal::No(why))) => Some(format!("{target} accepts no mail: {why}")),
        Ok(Err(Refusal::NotNow(NotNow::Store(why @ (StoreError::Unusable(_) | StoreError::UnusableAlias { .. }))))) => {
            Some(format!("mail for {target} is deferred: {why}"))
        }
        // This is a mailbox, which need not be examined, or an address of another host.
        Ok(Ok(()) | Err(Refusal::NotNow(_))) | Err(_) => None,
    }
}

/// Returns the address through which mail for `login` comes back to `address`, if it does.
fn comes_back(store: &SqlStore, login: &Login, address: &str) -> Result<Option<String>, StoreError> {
    let (mut waiting, mut seen) = (vec![login.clone()], BTreeSet::new());
    while let Some(next) = waiting.pop() {
        if seen.len() >= MOST || !seen.insert(next.clone()) {
            continue;
        }
        let mut targets = store.alias_targets(next.as_str())?;
        let catch_all = format!("@{}", next.domain());
        if targets.is_empty() && catch_all != address && store.find(&next)?.is_none() {
            targets = store.alias_targets(&catch_all)?;
        }
        for target in targets.iter().filter_map(|target| as_login(target)) {
            if target.as_str() == address {
                return Ok(Some(next.to_string()));
            }
            waiting.push(target);
        }
    }
    Ok(None)
}
