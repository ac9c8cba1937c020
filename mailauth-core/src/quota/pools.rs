//! Domain pools: what the mailboxes of a domain may hold together.
//!
//! The mailboxes of a domain cannot all be counted, nor their figures be added up, at each message. So each mailbox
//! *publishes* what it holds, as one row of a table, and the pool's use is the sum of those rows, which is a row of its
//! own: whatever is published changes the sum by the difference, in the same transaction. Each delivery publishes, and each
//! recount does.
//!
//! How wrong can the sum be?
//!
//! - Our own deliveries add nothing to the error. Each publishes its mailbox with the message in it before the message is
//!   in `new`, and is told the sum by the transaction that changed it. These transactions wait for each other at the
//!   domain's row, so the sums that they are told are those of some order, one after the other: of two that race for the
//!   last room, the later is told a sum with both. Each publishes under its mailbox's lock, so that an older figure never
//!   takes the place of a newer one. The limit is not overshot; it can happen that two that race are both refused.
//! - The sum is too low by what other programs (Exim, an IMAP server) put into a mailbox since it last published, and by
//!   the whole of a mailbox that never did: after a domain is given a quota, recount its mailboxes once.
//! - `mailauth account remove` and `mailauth domain remove` take out what they remove. The sum is too high by the whole of
//!   a mailbox whose account another program removed from the database, and wrong by what it changed in the figures.
//! - The sum is too high by what was deleted from a mailbox since, and by one message for each delivery that died between
//!   its two steps. Before a message is refused its own mailbox is counted and published again, and so are those of the
//!   [`others`](super::others) that published the most, as far as they have changed; what was deleted from the rest is
//!   seen when they are delivered to, or recounted.
//!
//! So the error is at most what foreign programs change in the domain's mailboxes and accounts between two recounts, and
//! `mailauth quota recount --all` at night brings it to nothing: it adds up each domain's figures too.
//!
//! When the database does not answer, that is [`Denied::Unknown`], and never an answer about the quota.

use super::mailboxes::{Counted, Mailbox, Mailboxes};
use super::others::{Others, Wanted};
use super::{Denied, Limits, Over, PoolError, PoolOver, Usage};
use crate::Login;
use crate::maildir::{Effort, MaildirQuota, QuotaError, Reservation};
use crate::store::{PoolStore, PoolUse, StoreError};

/// How the mailbox that a message is for can be counted before the pool refuses it.
#[derive(Clone, Copy)]
pub enum MailboxAccess<'a> {
    /// It does not exist yet, and nothing is counted.
    Missing,
    /// It is open in this process.
    Open(&'a MaildirQuota),
    /// It is counted by these [`Mailboxes`].
    Through(&'a dyn Mailboxes, &'a Mailbox),
}

/// A mailbox's share in the pool of its domain.
pub struct Member<'a> {
    store: &'a dyn PoolStore,
    login: &'a Login,
    limits: Limits,
    others: Option<Others<'a>>,
}

impl<'a> Member<'a> {
    /// Returns the share of the account `login`; `None` where its domain has no quota, which asks nothing more of the database.
    ///
    /// # Errors
    /// Fails if that cannot be known.
    pub fn of(store: &'a dyn PoolStore, login: &'a Login) -> Result<Option<Self>, StoreError> {
        let limits = store.pool_limits(login.domain())?;
        Ok((limits != Limits::NONE).then_some(Member { store, login, limits, others: None }))
    }

    /// The same, with a look at the other mailboxes of the domain before that refuses a message.
    #[must_use]
    pub fn with_others(self, others: Others<'a>) -> Self {
        Member { others: Some(others), ..self }
    }

    /// Returns the limits of the pool.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns the limits to keep the mailbox itself under. One without a quota of its own gets the pool's, which it could not
    /// hold more than anyway: so there is a maildirsize, and its use is known without counting it for each message.
    pub fn mailbox_limits(&self, own: Limits) -> Limits {
        own.or(self.limits)
    }

    /// Checks that the pool has room for a message of `size` bytes to this mailbox. Before the message is denied, the
    /// mailbox is counted and published, and so are the [`Others`]. The caller must not hold a [`Reservation`], because a
    /// count would wait for it.
    ///
    /// # Errors
    /// Returns [`Denied`] if the pool has no room, or if that is not known.
    pub fn precheck(&self, mailbox: MailboxAccess<'_>, size: u64) -> Result<(), Denied> {
        let mut pool = self.pool_use()?;
        if self.limits.broken_by(pool.usage, size).is_some() {
            pool = match mailbox {
                MailboxAccess::Missing => pool,
                MailboxAccess::Open(mailbox) => self.recount(mailbox)?,
                MailboxAccess::Through(mailboxes, mailbox) => self.recount_through(mailboxes, mailbox)?,
            };
        }
        self.denied(self.broken_by(pool, size)?)
    }

    /// Returns the limit that a message breaks in a pool of this use, after a look at the others.
    fn broken_by(&self, pool: PoolUse, size: u64) -> Result<Option<Over>, StoreError> {
        let Some(over) = self.limits.broken_by(pool.usage, size) else { return Ok(None) };
        // No deletion could make room for it.
        let never = self.limits.broken_by(Usage::default(), size).is_some();
        let Some(others) = self.others.filter(|_| !never) else { return Ok(Some(over)) };
        let wanted = Wanted { store: self.store, login: self.login, limits: self.limits, kind: over.kind, size };
        Ok(match others.count(&wanted)? {
            Some(pool) => self.limits.broken_by(pool.usage, size),
            None => Some(over),
        })
    }

    /// Reserves room for a message of `size` bytes in the mailbox and in the pool: in both or in neither. Returns, with
    /// the reservation, the usage of the mailbox with the message. If the message is not stored, pass that to
    /// [`Member::withdraw`].
    ///
    /// The mailbox should be open under [`Member::mailbox_limits`]; without a limit it is counted for each message.
    ///
    /// # Errors
    /// Returns [`Denied`] if one of them has no room, or if that is not known.
    pub fn reserve<'m>(&self, mailbox: &'m MaildirQuota, size: u64) -> Result<(Reservation<'m>, Usage), Denied> {
        self.precheck(MailboxAccess::Open(mailbox), size)?;
        let reservation = mailbox.reserve(size)?;
        let message = Usage { bytes: size, messages: 1 };
        let usage = match reservation.usage() {
            Some(usage) => usage,
            None => {
                let sum = mailbox.count()?.checked_add(message);
                sum.ok_or_else(|| QuotaError::TooLarge(mailbox.path().to_owned()))?
            }
        };
        // An error drops the reservation, which takes it back.
        self.reserve_in_pool(usage, size)?;
        Ok((reservation, usage))
    }

    /// Publishes a mailbox that holds `usage` together with a message of `size` bytes for which there is a
    /// [`Reservation`], and only then checks that the pool has room for it. If it has none, publishes the mailbox without
    /// the message.
    fn reserve_in_pool(&self, usage: Usage, size: u64) -> Result<(), Denied> {
        let with = self.publish(usage)?.usage;
        let over = self.limits.broken_by(without(with, size), size);
        if over.is_some() {
            self.withdraw(usage, size)?;
        }
        self.denied(over)
    }

    /// Publishes the mailbox without a message of `size` bytes that was reserved and is not stored. `usage` is what
    /// [`Member::reserve`] returned.
    ///
    /// # Errors
    /// Fails if the database cannot be told. Then the pool counts a message too many until the mailbox publishes again.
    pub fn withdraw(&self, usage: Usage, size: u64) -> Result<(), StoreError> {
        self.publish(without(usage, size)).map(|_| ())
    }

    /// Publishes what the mailbox holds, and returns what the pool does.
    ///
    /// # Errors
    /// Fails if the database could not be told.
    pub fn publish(&self, usage: Usage) -> Result<PoolUse, StoreError> {
        self.store.publish(self.login, usage)
    }

    fn pool_use(&self) -> Result<PoolUse, StoreError> {
        self.store.pool_use(self.login.domain())
    }

    fn recount(&self, mailbox: &MaildirQuota) -> Result<PoolUse, PoolError> {
        // Under the mailbox's lock, or an older figure could take the place of one with a delivery in it.
        let (_, published) = mailbox.recount_and(Effort::Changed, |usage| self.publish(usage))?;
        Ok(published?)
    }

    fn recount_through(&self, mailboxes: &dyn Mailboxes, mailbox: &Mailbox) -> Result<PoolUse, PoolError> {
        let mut published = None;
        let counted = mailboxes.count(mailbox, None, &mut |usage| published = Some(self.publish(usage)))?;
        match (published, counted) {
            (Some(published), _) => Ok(published?),
            // It was removed just now.
            (None, Counted::Missing | Counted::Unchanged | Counted::Now(_)) => Ok(self.pool_use()?),
        }
    }

    fn denied(&self, over: Option<Over>) -> Result<(), Denied> {
        match over {
            None => Ok(()),
            Some(over) => Err(Denied::Domain(PoolOver { domain: self.login.domain().to_owned(), over })),
        }
    }
}

/// What there is without a message of `size` bytes.
fn without(usage: Usage, size: u64) -> Usage {
    Usage { bytes: usage.bytes.saturating_sub(size), messages: usage.messages.saturating_sub(1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Kind;
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    /// A table in memory that can be taken away.
    #[derive(Default)]
    struct Rows {
        limits: Limits,
        rows: Mutex<BTreeMap<String, Usage>>,
        away: bool,
    }

    impl Rows {
        fn answer<T>(&self, value: T) -> Result<T, StoreError> {
            match self.away {
                true => Err(StoreError::Unreachable { place: "here".into(), reason: "away".into() }),
                false => Ok(value),
            }
        }
    }

    impl PoolStore for Rows {
        fn pool_limits(&self, _: &str) -> Result<Limits, StoreError> {
            Ok(self.limits)
        }

        fn pool_use(&self, _: &str) -> Result<PoolUse, StoreError> {
            let rows = self.rows.lock().unwrap();
            let usage = rows.values().fold(Usage::default(), |sum, row| sum.checked_add(*row).unwrap());
            self.answer(PoolUse { usage, mailboxes: rows.len() as u64 })
        }

        fn publish(&self, login: &Login, usage: Usage) -> Result<PoolUse, StoreError> {
            self.rows.lock().unwrap().insert(login.to_string(), usage);
            self.pool_use("")
        }
    }

    fn login(name: &str) -> Login {
        Login::parse(format!("{name}@x.example").as_bytes(), None).unwrap()
    }

    fn usage(bytes: u64, messages: u64) -> Usage {
        Usage { bytes, messages }
    }

    #[test]
    fn a_domain_without_a_quota_has_no_members() {
        let away = Rows { away: true, ..Rows::default() };
        assert!(Member::of(&away, &login("a")).unwrap().is_none(), "and asks nothing more");
    }

    #[test]
    fn a_message_that_breaks_the_pool_is_not_left_in_it() {
        let rows = Rows { limits: Limits::parse("100S,10C").unwrap(), ..Rows::default() };
        let (anna, bruno) = (login("anna"), login("bruno"));
        let member = |login| Member::of(&rows, login).unwrap().unwrap();
        assert!(matches!(member(&anna).reserve_in_pool(usage(60, 1), 60), Ok(())));
        assert!(matches!(member(&bruno).reserve_in_pool(usage(40, 1), 40), Ok(())), "a limit may be reached");
        let Err(Denied::Domain(over)) = member(&bruno).reserve_in_pool(usage(41, 2), 1) else { panic!("it fits") };
        assert_eq!((over.over.kind, over.over.by, over.over.usage), (Kind::Bytes, 1, usage(100, 2)));
        assert_eq!(
            over.to_string(),
            "over the quota of the domain x.example: 100 of 100 bytes used, and this message would be 1 over it"
        );
        assert_eq!(rows.pool_use("").unwrap().usage, usage(100, 2));
    }

    #[test]
    fn a_mailbox_without_a_quota_is_kept_under_the_pools() {
        let rows = Rows { limits: Limits::parse("100S").unwrap(), ..Rows::default() };
        let anna = login("anna");
        let member = Member::of(&rows, &anna).unwrap().unwrap();
        let own = Limits::parse("7C").unwrap();
        assert_eq!(member.mailbox_limits(Limits::NONE), rows.limits);
        assert_eq!(member.mailbox_limits(own), own);
    }

    #[test]
    fn a_database_that_is_away_cannot_tell() {
        let rows = Rows { limits: Limits::parse("1S").unwrap(), away: true, ..Rows::default() };
        let anna = login("anna");
        let member = Member::of(&rows, &anna).unwrap().unwrap();
        assert!(matches!(member.reserve_in_pool(usage(1000, 1), 1000), Err(Denied::Unknown(PoolError::Store(_)))));
    }
}
