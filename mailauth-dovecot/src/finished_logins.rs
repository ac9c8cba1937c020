//! Logins that succeeded and whose mail process has not asked for the account yet.
//!
//! A login process of Dovecot passes its process id, the id of its request and the cookie of its connection to a mail
//! process, which is started for the login and asks for the account by REQUEST. Each login is given out once.
//!
//! Several connections may have the same process id: when a login process connects again, the end of its previous
//! connection may be noticed later than the new one. The cookies tell them apart. Dovecot refuses the second one.

use crate::settings::Cookie;
use mailauth_core::account::Account;
use mailauth_core::sync::Mutex;
use std::collections::VecDeque;
use std::collections::hash_map::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time for which a login is kept.
pub(crate) const KEPT: Duration = Duration::from_secs(150);

/// Maximum number of logins that are kept for one connection. Of more, the oldest are dropped.
const MAX_KEPT: usize = 10_000;

/// Maximum number of connections with the same process id.
const MAX_OF_PROCESS: usize = 16;

/// The login connections of one server process, with the logins that succeeded on them. Shared by the conversations
/// with login processes and with mail processes.
#[derive(Debug, Default)]
pub struct FinishedLogins {
    /// By process id.
    connections: Mutex<HashMap<u32, Vec<Connection>>>,
}

#[derive(Debug)]
struct Connection {
    cookie: Cookie,
    logins: HashMap<u32, FinishedLogin>,
    /// The ids of the logins, oldest first. Some may have been taken since.
    ages: VecDeque<(Instant, u32)>,
}

/// A login that succeeded.
#[derive(Debug)]
pub(crate) struct FinishedLogin {
    /// The account.
    pub account: Box<Account>,
    /// Name of the mechanism.
    pub mechanism: &'static str,
    /// Whether the names of settings are those of Dovecot 2.4.
    pub is_2_4: bool,
    /// Time of the answer.
    pub at: Instant,
}

/// A login connection. Its logins are dropped with it.
#[derive(Debug)]
pub(crate) struct LoginConnection {
    registry: Arc<FinishedLogins>,
    cpid: u32,
    cookie: Cookie,
}

impl FinishedLogins {
    /// Begins a login connection. Returns `None` if there are too many with this process id.
    pub(crate) fn open(self: &Arc<Self>, cpid: u32, cookie: &Cookie) -> Option<LoginConnection> {
        let mut connections = self.connections.lock();
        let of_process = connections.entry(cpid).or_default();
        if of_process.len() >= MAX_OF_PROCESS {
            return None;
        }
        of_process.push(Connection { cookie: cookie.clone(), logins: HashMap::new(), ages: VecDeque::new() });
        Some(LoginConnection { registry: Arc::clone(self), cpid, cookie: cookie.clone() })
    }

    /// Takes the login with this process id and id, once, if the cookie is that of its connection.
    pub(crate) fn take(&self, cpid: u32, id: u32, cookie: &[u8], now: Instant) -> Option<FinishedLogin> {
        let mut connections = self.connections.lock();
        let login = with_cookie(&mut connections, cpid, cookie)?.logins.remove(&id)?;
        (now.saturating_duration_since(login.at) < KEPT).then_some(login)
    }
}

impl LoginConnection {
    /// Keeps a login.
    pub fn keep(&self, id: u32, login: FinishedLogin) {
        self.with(|connection| {
            connection.drop_older(login.at);
            connection.ages.push_back((login.at, id));
            connection.logins.insert(id, login);
        });
    }

    /// Drops a login, because it was cancelled or its id is used again.
    pub fn drop_login(&self, id: u32) {
        self.with(|connection| drop(connection.logins.remove(&id)));
    }

    /// Drops the logins that have expired. Returns the time at which the next one does.
    pub fn expire(&self, now: Instant) -> Option<Instant> {
        self.with(|connection| {
            connection.drop_older(now);
            connection.ages.front().map(|(at, _)| *at + KEPT)
        })?
    }

    fn with<T>(&self, change: impl FnOnce(&mut Connection) -> T) -> Option<T> {
        let mut connections = self.registry.connections.lock();
        with_cookie(&mut connections, self.cpid, self.cookie.expose().as_bytes()).map(change)
    }
}

impl Drop for LoginConnection {
    fn drop(&mut self) {
        let mut connections = self.registry.connections.lock();
        if let Some(of_process) = connections.get_mut(&self.cpid) {
            of_process.retain(|connection| !connection.cookie.matches(self.cookie.expose().as_bytes()));
            if of_process.is_empty() {
                connections.remove(&self.cpid);
            }
        }
    }
}

/// Returns the connection with this process id and cookie.
fn with_cookie<'c>(
    connections: &'c mut HashMap<u32, Vec<Connection>>,
    cpid: u32,
    cookie: &[u8],
) -> Option<&'c mut Connection> {
    connections.get_mut(&cpid)?.iter_mut().find(|connection| connection.cookie.matches(cookie))
}

impl Connection {
    fn drop_older(&mut self, now: Instant) {
        while let Some((at, id)) = self.ages.front().copied() {
            if now.saturating_duration_since(at) < KEPT && self.ages.len() < MAX_KEPT {
                return;
            }
            self.ages.pop_front();
            // The id may have been used again since.
            if self.logins.get(&id).is_some_and(|login| login.at == at) {
                self.logins.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::account;

    fn login(at: Instant) -> FinishedLogin {
        FinishedLogin { account: Box::new(account("anna@example.org")), mechanism: "PLAIN", is_2_4: false, at }
    }

    #[test]
    fn a_login_is_given_out_once_and_only_for_its_cookie() {
        let finished = Arc::new(FinishedLogins::default());
        let (cookie, other) = (Cookie::random().unwrap(), Cookie::random().unwrap());
        let now = Instant::now();
        let connection = finished.open(7, &cookie).unwrap();
        connection.keep(1, login(now));
        let take = |cpid, id, cookie: &str| finished.take(cpid, id, cookie.as_bytes(), now).is_some();
        for wrong in [other.expose(), "", "00", &cookie.expose()[1..]] {
            assert!(!take(7, 1, wrong), "{wrong}");
        }
        assert!(!take(7, 2, cookie.expose()) && !take(8, 1, cookie.expose()));
        assert!(take(7, 1, cookie.expose()));
        assert!(!take(7, 1, cookie.expose()), "it was taken");
    }

    #[test]
    fn logins_end_with_their_connection_and_after_150_seconds() {
        let finished = Arc::new(FinishedLogins::default());
        let cookie = Cookie::random().unwrap();
        let begin = Instant::now();
        let connection = finished.open(7, &cookie).unwrap();
        connection.keep(1, login(begin));
        connection.keep(2, login(begin));
        // The id is used again.
        connection.drop_login(2);
        connection.keep(2, login(begin + Duration::from_secs(100)));
        assert_eq!(connection.expire(begin), Some(begin + KEPT));
        assert_eq!(connection.expire(begin + KEPT), Some(begin + Duration::from_secs(100) + KEPT));
        assert!(finished.take(7, 1, cookie.expose().as_bytes(), begin + KEPT).is_none());
        assert!(finished.take(7, 2, cookie.expose().as_bytes(), begin + KEPT).is_some());
        drop(connection);
        assert!(finished.connections.lock().is_empty());
    }

    #[test]
    fn connections_of_one_process_are_told_apart_by_their_cookies() {
        let finished = Arc::new(FinishedLogins::default());
        let (first, second) = (Cookie::random().unwrap(), Cookie::random().unwrap());
        let now = Instant::now();
        let old = finished.open(7, &first).unwrap();
        let new = finished.open(7, &second).unwrap();
        old.keep(1, login(now));
        new.keep(1, login(now));
        drop(old);
        assert!(finished.take(7, 1, first.expose().as_bytes(), now).is_none(), "it ended with its connection");
        assert!(finished.take(7, 1, second.expose().as_bytes(), now).is_some());

        let more = || finished.open(7, &Cookie::random().unwrap());
        let many: Vec<_> = (1..MAX_OF_PROCESS).map(|_| more().expect("a connection")).collect();
        assert!(more().is_none(), "there is a limit");
        drop(many);
        assert!(more().is_some());
    }

    #[test]
    fn a_process_that_never_asks_for_its_logins_does_not_fill_the_memory() {
        let finished = Arc::new(FinishedLogins::default());
        let cookie = Cookie::random().unwrap();
        let connection = finished.open(7, &cookie).unwrap();
        let now = Instant::now();
        (1..=MAX_KEPT as u32 + 10).for_each(|id| connection.keep(id, login(now)));
        assert_eq!(connection.with(|connection| connection.logins.len()), Some(MAX_KEPT));
        assert!(finished.take(7, MAX_KEPT as u32 + 10, cookie.expose().as_bytes(), now).is_some());
    }
}
