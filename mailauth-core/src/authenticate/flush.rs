//! Forgetting what is kept in memory, because the administrator asks for it.

use super::Authenticator;
use crate::DomainName;
use crate::account::Login;
use crate::store::{Changed, StoreError};

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Number of look-ups by login: rows, and logins that were known not to exist.
    pub rows: usize,
    /// Number of logins whose password had been verified.
    pub passwords: usize,
}

impl Authenticator {
    /// Forgets what is kept in memory of `name`, which may be a login, an address or a domain; of everything if there is
    /// no name. In contrast to [`Authenticator::forget`], nothing is said to have changed, so the copy for outages goes
    /// on answering.
    ///
    /// # Errors
    /// Fails, and forgets nothing, if no host that has every change can be asked: what is kept may be all that lets
    /// users log in.
    pub fn flush(&self, name: Option<&str>) -> Result<Flushed, StoreError> {
        let what = self.named(name);
        self.ensure_database(&what)?;
        let mut flushed = Flushed::default();
        for what in &what {
            flushed.rows += self.store.flush(what);
            flushed.passwords += self.verified.as_ref().map_or(0, |verified| match what {
                Changed::Account(login) => verified.flush(|known| known == login),
                Changed::Domain(name) => verified.flush(|known| known.domain() == name.as_str()),
                Changed::Everything => verified.flush(|_| true),
                Changed::Alias(_) | Changed::Additions => 0,
            });
        }
        if let Some(successor) = self.successor.get() {
            let of_successor = successor.flush(name)?;
            flushed.rows += of_successor.rows;
            flushed.passwords += of_successor.passwords;
        }
        Ok(flushed)
    }

    /// Returns everything that may have this name: a domain may be spelled like a login without a domain.
    fn named(&self, name: Option<&str>) -> Vec<Changed> {
        let Some(name) = name else { return vec![Changed::Everything] };
        let login = Login::parse(name.as_bytes(), self.default_domain()).ok().map(Changed::Account);
        let address = Some(name).filter(|name| name.contains('@')).and_then(Changed::alias);
        let domain = DomainName::parse(name).ok().map(Changed::Domain);
        login.into_iter().chain(address).chain(domain).collect()
    }

    /// Reads a row from a host that has every change.
    fn ensure_database(&self, what: &[Changed]) -> Result<(), StoreError> {
        let named = what.iter().find_map(|what| match what {
            Changed::Account(login) => Some(login.clone()),
            _ => None,
        });
        let Some(login) = named.or_else(|| Login::parse(b"postmaster@localhost", None).ok()) else { return Ok(()) };
        match self.store.find_newest(&login) {
            // The database has answered.
            Ok(_) | Err(StoreError::Unusable(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
