//! Accounts that were changed a moment ago, which a replica may not know yet.

use crate::Login;
use crate::account::{AccountRow, Password};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So long after a change of an account, only a host that takes writes is believed about it. A replica that lags longer
/// than this is out of order.
pub(super) const LAG: Duration = Duration::from_secs(60);

/// The most accounts that are remembered; with more, all count as changed.
const MOST: usize = 10_000;

/// Which accounts those are.
#[derive(Default)]
pub(super) struct Recent(Mutex<Changes>);

#[derive(Default)]
struct Changes {
    accounts: HashMap<Login, Change>,
    /// When all of them were changed.
    all: Option<Instant>,
}

/// A change.
#[derive(Clone)]
pub(super) struct Change {
    at: Instant,
    /// The password that stands there since, where it is known.
    password: Option<Password>,
}

impl Change {
    /// Is this row no older than the change?
    pub(super) fn is_in(&self, row: Option<&AccountRow>) -> bool {
        self.password.is_some() && row.map(|row| &row.password) == self.password.as_ref()
    }
}

impl Recent {
    /// Takes note of a change of `login`, or of all.
    pub(super) fn changed(&self, login: Option<&Login>, password: Option<&Password>) {
        let at = Instant::now();
        let mut changes = self.lock();
        match login {
            None => changes.all = Some(at),
            Some(login) => {
                changes.accounts.retain(|_, change| change.at.elapsed() < LAG);
                if changes.accounts.len() >= MOST {
                    changes.all = Some(at);
                    changes.accounts.clear();
                }
                changes.accounts.insert(login.clone(), Change { at, password: password.cloned() });
            }
        }
    }

    /// The change of `login` that a replica may not know.
    pub(super) fn of(&self, login: &Login) -> Option<Change> {
        let changes = self.lock();
        let one = changes.accounts.get(login).filter(|change| change.at.elapsed() < LAG);
        let all = changes.all.filter(|at| at.elapsed() < LAG);
        // Of two changes nothing is known but that the later one may have undone the other.
        match (one, all) {
            (Some(change), all) if all.is_none_or(|all| all < change.at) => Some(change.clone()),
            (_, Some(at)) => Some(Change { at, password: None }),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Changes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(name: &str) -> Login {
        Login::parse(name.as_bytes(), None).unwrap()
    }

    #[test]
    fn a_change_is_of_one_account_or_of_all() {
        let recent = Recent::default();
        let new = Password("{PLAIN}new".into());
        recent.changed(Some(&login("a@x")), Some(&new));
        assert_eq!(recent.of(&login("a@x")).unwrap().password, Some(new));
        assert!(recent.of(&login("b@x")).is_none());
        recent.changed(None, None);
        assert_eq!(recent.of(&login("a@x")).unwrap().password, None, "it may have been changed again");
        assert!(recent.of(&login("b@x")).is_some());
    }

    #[test]
    fn more_changes_than_can_be_remembered_count_as_all() {
        let recent = Recent::default();
        for n in 0..=MOST {
            recent.changed(Some(&login(&format!("a{n}@x"))), None);
        }
        assert!(recent.of(&login("a0@x")).is_some() && recent.of(&login("other@x")).is_some());
    }
}
