//! Recent changes, which a replica may not have yet.

use crate::Login;
use crate::account::{AccountRow, Password};
use crate::store::Changed;
use crate::sync::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Time after a change during which only a writable host is trusted about what was changed. A replica that lags longer
/// than this is broken.
pub(in crate::store) const MAX_LAG: Duration = Duration::from_secs(60);

/// Maximum number of accounts, of aliases and of domains that are remembered; beyond it, everything counts as changed.
const MAX_REMEMBERED: usize = 10_000;

/// The changes of the last minute that this process knows of. It is shared by the stores that a process opens one after
/// the other, as when the configuration is reloaded.
pub struct RecentChanges {
    changes: Mutex<Changes>,
    /// Time from which changes are recorded; `None` if there were none before.
    begun: Option<Instant>,
}

#[derive(Default)]
struct Changes {
    accounts: HashMap<Login, Change>,
    aliases: HashMap<String, Instant>,
    domains: HashMap<String, Instant>,
    /// Time of the last addition of accounts or domains.
    additions: Option<Instant>,
    /// Time of the last change that may concern anything.
    everything: Option<Instant>,
}

/// A recent change of an account.
#[derive(Clone)]
pub(in crate::store) struct Change {
    at: Instant,
    /// The new stored password, if it is known.
    password: Option<Password>,
}

impl Change {
    /// Returns true if this row is known to include the change.
    pub(in crate::store) fn is_in(&self, row: Option<&AccountRow>) -> bool {
        self.password.is_some() && row.map(|row| &row.password) == self.password.as_ref()
    }
}

impl Default for RecentChanges {
    fn default() -> Self {
        RecentChanges { changes: Mutex::default(), begun: Some(Instant::now()) }
    }
}

impl RecentChanges {
    /// Creates an empty record for a process before which there were no changes.
    pub fn complete() -> Self {
        RecentChanges { changes: Mutex::default(), begun: None }
    }

    /// Records a change.
    pub(in crate::store) fn note(&self, changed: &Changed) {
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

    /// Records that the stored password of `login` has just become `password`.
    pub(in crate::store) fn note_password(&self, login: &Login, password: &Password) {
        self.note(&Changed::Account(login.clone()));
        if let Some(change) = self.lock().accounts.get_mut(login) {
            change.password = Some(password.clone());
        }
    }

    /// Returns the change of `login` that a replica may not have yet.
    pub(in crate::store) fn of_account(&self, login: &Login) -> Option<Change> {
        let changes = self.lock();
        let one = changes.accounts.get(login).filter(|change| change.at.elapsed() < MAX_LAG);
        let more = changes.of_domain(login.domain());
        // All that is known of two changes is that the later one may have undone the other.
        match (one, more) {
            (Some(change), more) if more.is_none_or(|more| more < change.at) => Some(change.clone()),
            (_, Some(at)) => Some(Change { at, password: None }),
            _ => None,
        }
    }

    /// Returns true if a replica may lack an account that was added.
    pub(in crate::store) fn are_additions(&self) -> bool {
        young(self.lock().additions).is_some()
    }

    /// Returns true if a replica may have old targets of this alias address.
    pub(in crate::store) fn has_alias(&self, address: &str) -> bool {
        let changes = self.lock();
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        young(changes.aliases.get(address).copied()).is_some() || changes.of_domain(domain).is_some()
    }

    /// Returns true if a replica may have an old row of this domain.
    pub(in crate::store) fn has_domain(&self, name: &str) -> bool {
        self.lock().of_domain(name).is_some()
    }

    /// Returns true if a replica may have old rows of any account.
    pub(in crate::store) fn is_any(&self) -> bool {
        let changes = self.lock();
        let young_account = |change: &Change| young(Some(change.at)).is_some();
        changes.accounts.values().any(young_account)
            || changes.domains.values().any(|at| young(Some(*at)).is_some())
            || young(changes.additions.max(changes.everything)).is_some()
    }

    /// Returns true in the first minute of the process, when a change that only its predecessor knew of may be recent.
    pub(in crate::store) fn are_incomplete(&self) -> bool {
        young(self.begun).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock()
    }
}

impl Changes {
    /// Returns the time of the last recent change that may concern anything in a domain.
    fn of_domain(&self, name: &str) -> Option<Instant> {
        young(self.domains.get(name).copied()).max(young(self.everything))
    }
}

/// Returns `at` if a replica may not have a change of that time yet.
fn young(at: Option<Instant>) -> Option<Instant> {
    at.filter(|at| at.elapsed() < MAX_LAG)
}

/// Inserts an entry; returns false, after clearing the map, if there are too many.
fn put<K: Clone + Eq + Hash, V>(map: &mut HashMap<K, V>, key: &K, value: V, at: impl Fn(&V) -> Instant) -> bool {
    map.retain(|_, value| at(value).elapsed() < MAX_LAG);
    if map.len() >= MAX_REMEMBERED && !map.contains_key(key) {
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
    fn a_change_concerns_one_account_or_all() {
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
    fn a_change_of_a_domain_concerns_what_is_in_it() {
        let recent = RecentChanges::default();
        recent.note(&domain("x"));
        assert!(recent.has_domain("x") && recent.has_alias("c@x") && recent.has_alias("@x"));
        assert!(recent.of_account(&login("a@x")).is_some());
        assert!(!recent.has_domain("y") && !recent.has_alias("@y") && recent.of_account(&login("a@y")).is_none());
    }

    #[test]
    fn an_alias_changes_alone_and_additions_change_no_row() {
        let recent = RecentChanges::default();
        recent.note(&Changed::Alias("a@x".into()));
        assert!(recent.has_alias("a@x") && !recent.has_alias("@x") && !recent.has_domain("x"));
        assert!(recent.of_account(&login("a@x")).is_none() && !recent.are_additions());
        recent.note(&Changed::Additions);
        assert!(recent.are_additions() && recent.is_any());
        assert!(!recent.has_domain("x") && recent.of_account(&login("a@x")).is_none(), "existing rows are unchanged");
    }

    #[test]
    fn more_changes_than_fit_count_as_a_change_of_everything() {
        let recent = RecentChanges::default();
        for n in 0..=MAX_REMEMBERED {
            recent.note(&account(&format!("a{n}@x")));
        }
        assert!(recent.of_account(&login("a0@x")).is_some() && recent.of_account(&login("other@x")).is_some());
    }
}
