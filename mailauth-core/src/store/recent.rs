//! What was changed a moment ago, which a replica may not know yet.

use super::Changed;
use crate::Login;
use crate::account::{AccountRow, Password};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For so long after a change, only a host that takes writes is believed about what was changed. A replica that lags
/// longer than this is out of order.
pub(super) const LAG: Duration = Duration::from_secs(60);

/// The most accounts, aliases and domains that are remembered, each; with more, everything counts as changed.
const MOST: usize = 10_000;

/// The changes of the last minute of which this process knows. It is shared by the stores that a process opens one after
/// the other, as when its configuration is read again.
pub struct RecentChanges {
    changes: Mutex<Changes>,
    /// Since when it is told of changes, if it does not know those before.
    begun: Option<Instant>,
}

#[derive(Default)]
struct Changes {
    accounts: HashMap<Login, Change>,
    aliases: HashMap<String, Instant>,
    domains: HashMap<String, Instant>,
    /// When accounts and domains were added.
    additions: Option<Instant>,
    /// When anything may have been changed.
    everything: Option<Instant>,
}

/// A change of an account.
#[derive(Clone)]
pub(super) struct Change {
    at: Instant,
    /// The password that the row has since, where it is known.
    password: Option<Password>,
}

impl Change {
    /// Is this row no older than the change?
    pub(super) fn is_in(&self, row: Option<&AccountRow>) -> bool {
        self.password.is_some() && row.map(|row| &row.password) == self.password.as_ref()
    }
}

impl Default for RecentChanges {
    fn default() -> Self {
        RecentChanges { changes: Mutex::default(), begun: Some(Instant::now()) }
    }
}

impl RecentChanges {
    /// No changes, and there were none before either.
    pub fn complete() -> Self {
        RecentChanges { changes: Mutex::default(), begun: None }
    }

    /// Takes note of a change.
    pub(super) fn note(&self, changed: &Changed) {
        let at = Instant::now();
        let mut changes = self.lock();
        let has_room = match changed {
            Changed::Account(login) => {
                put(&mut changes.accounts, login, Change { at, password: None }, |change| change.at)
            }
            Changed::Alias(address) => put(&mut changes.aliases, address, at, |at| *at),
            Changed::Domain(name) => put(&mut changes.domains, &name.as_str().to_owned(), at, |at| *at),
            Changed::Additions => {
                changes.additions = Some(at);
                true
            }
            Changed::Everything => false,
        };
        if !has_room {
            changes.everything = Some(at);
        }
    }

    /// Takes note that the password of `login` is `password` since this moment.
    pub(super) fn note_password(&self, login: &Login, password: &Password) {
        self.note(&Changed::Account(login.clone()));
        if let Some(change) = self.lock().accounts.get_mut(login) {
            change.password = Some(password.clone());
        }
    }

    /// The change of `login` that a replica may not know.
    pub(super) fn of_account(&self, login: &Login) -> Option<Change> {
        let changes = self.lock();
        let one = changes.accounts.get(login).filter(|change| change.at.elapsed() < LAG);
        let more = changes.of_domain(login.domain());
        // Of two changes nothing is known but that the later one may have undone the other.
        match (one, more) {
            (Some(change), more) if more.is_none_or(|more| more < change.at) => Some(change.clone()),
            (_, Some(at)) => Some(Change { at, password: None }),
            _ => None,
        }
    }

    /// Returns true if a replica may not know of an account that was added.
    pub(super) fn are_additions(&self) -> bool {
        young(self.lock().additions).is_some()
    }

    /// Returns true if a replica may not know the targets of this alias address.
    pub(super) fn has_alias(&self, address: &str) -> bool {
        let changes = self.lock();
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        young(changes.aliases.get(address).copied()).is_some() || changes.of_domain(domain).is_some()
    }

    /// Returns true if a replica may not know what a domain is.
    pub(super) fn has_domain(&self, name: &str) -> bool {
        self.lock().of_domain(name).is_some()
    }

    /// Returns true if a replica may not know all accounts as they are.
    pub(super) fn is_any(&self) -> bool {
        let changes = self.lock();
        let young_account = |change: &Change| young(Some(change.at)).is_some();
        changes.accounts.values().any(young_account)
            || changes.domains.values().any(|at| young(Some(*at)).is_some())
            || young(changes.additions.max(changes.everything)).is_some()
    }

    /// Returns true for the first minute, in which something may have been changed just before that a process of the past
    /// was told.
    pub(super) fn are_incomplete(&self) -> bool {
        young(self.begun).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changes {
    /// When anything in a domain may have been changed.
    fn of_domain(&self, name: &str) -> Option<Instant> {
        young(self.domains.get(name).copied()).max(young(self.everything))
    }
}

fn young(at: Option<Instant>) -> Option<Instant> {
    at.filter(|at| at.elapsed() < LAG)
}

/// Returns false, having forgotten all of them, if there are too many.
fn put<K: Clone + Eq + Hash, V>(map: &mut HashMap<K, V>, key: &K, value: V, at: impl Fn(&V) -> Instant) -> bool {
    map.retain(|_, value| at(value).elapsed() < LAG);
    if map.len() >= MOST && !map.contains_key(key) {
        map.clear();
        return false;
    }
    map.insert(key.clone(), value);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DomainName;

    fn login(name: &str) -> Login {
        Login::parse(name.as_bytes(), None).unwrap()
    }

    fn account(name: &str) -> Changed {
        Changed::Account(login(name))
    }

    fn domain(name: &str) -> Changed {
        Changed::Domain(DomainName::parse(name).unwrap())
    }

    #[test]
    fn a_change_is_of_one_account_or_of_all() {
        let recent = RecentChanges::default();
        let new = Password("{PLAIN}new".into());
        recent.note_password(&login("a@x"), &new);
        assert_eq!(recent.of_account(&login("a@x")).unwrap().password, Some(new));
        assert!(recent.of_account(&login("b@x")).is_none());
        recent.note(&Changed::Everything);
        assert_eq!(recent.of_account(&login("a@x")).unwrap().password, None, "it may have been changed again");
        assert!(recent.of_account(&login("b@x")).is_some());
        assert!(recent.has_alias("c@y") && recent.has_domain("y"));
    }

    #[test]
    fn a_change_of_a_domain_is_one_of_what_is_in_it() {
        let recent = RecentChanges::default();
        recent.note(&domain("x"));
        assert!(recent.has_domain("x") && recent.has_alias("c@x") && recent.has_alias("@x"));
        assert!(recent.of_account(&login("a@x")).is_some());
        assert!(!recent.has_domain("y") && !recent.has_alias("@y") && recent.of_account(&login("a@y")).is_none());
    }

    #[test]
    fn an_alias_is_changed_alone_and_additions_change_no_row() {
        let recent = RecentChanges::default();
        recent.note(&Changed::Alias("a@x".into()));
        assert!(recent.has_alias("a@x") && !recent.has_alias("@x") && !recent.has_domain("x"));
        assert!(recent.of_account(&login("a@x")).is_none() && !recent.are_additions());
        recent.note(&Changed::Additions);
        assert!(recent.are_additions() && recent.is_any());
        assert!(!recent.has_domain("x") && recent.of_account(&login("a@x")).is_none(), "what was there is as it was");
    }

    #[test]
    fn more_changes_than_can_be_remembered_count_as_all() {
        let recent = RecentChanges::default();
        for n in 0..=MOST {
            recent.note(&account(&format!("a{n}@x")));
        }
        assert!(recent.of_account(&login("a0@x")).is_some() && recent.of_account(&login("other@x")).is_some());
    }
}
