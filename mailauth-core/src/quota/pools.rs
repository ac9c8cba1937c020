//! Domain pools: what the mailboxes of a domain may hold together.
//!
//! Counting all mailboxes of a domain for each message, or adding up their figures, would take too long. So each mailbox
//! *publishes* what it holds, as one row of a table, and the usage of the pool is the sum of those rows. The sum is a row
//! of its own: each publication changes it by the difference, in the same transaction. Each delivery and each recount
//! publishes.
//!
//! # Exactness of the sum
//!
//! - Our own deliveries do not make the sum wrong. Each publishes its mailbox with the message in it before the message is
//!   in `new`, and the transaction that changes the sum returns it. These transactions wait for each other at the domain's
//!   row, so they are executed in some order, one after the other: if two deliveries compete for the last room, the later
//!   one receives a sum with both messages. Each publishes under its mailbox's lock, so that an older figure never
//!   replaces a newer one. The limit is never exceeded, but both deliveries may be refused.
//! - The sum is too low by what other programs (Exim, an IMAP server) have put into a mailbox since it last published, and
//!   by the whole usage of a mailbox that has never published: recount the mailboxes of a domain once after setting its
//!   quota.
//! - `mailauth account remove` and `mailauth domain remove` subtract what they remove. If another program removes an
//!   account from the database, the sum is too high by the whole usage of its mailbox; if it changes the figures, the sum
//!   is wrong by the change.
//! - The sum is too high by what has been deleted from a mailbox since it last published, and by one message for each
//!   delivery whose process died between its two steps. Before a message is refused, its own mailbox is counted and
//!   published again, and so are those of the [`others`](super::others) that published the most and have changed. Messages
//!   deleted from the rest are noticed at the next delivery to them or at their next recount.
//!
//! So the error is at most what other programs change in the domain's mailboxes and accounts between two recounts. A
//! nightly `mailauth quota recount --all` removes it, because it also adds up each domain's figures.
//!
//! If the database does not answer, the result is [`Denied::Unknown`], and never an answer about the quota.

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
    /// Returns the share of the account `login`; `None` if its domain has no quota. Then nothing more is read from the
    /// database.
    ///
    /// # Errors
    /// Fails if the domain's quota is not known.
    pub fn of(store: &'a dyn PoolStore, login: &'a Login) -> Result<Option<Self>, StoreError> {
        let limits = store.pool_limits(login.domain())?;
        Ok((limits != Limits::NONE).then_some(Member { store, login, limits, others: None }))
    }

    /// Makes it count other mailboxes of the domain before a message is refused.
    #[must_use]
    pub fn with_others(self, others: Others<'a>) -> Self {
        Member { others: Some(others), ..self }
    }

    /// Returns the limits of the pool.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns the limits of the mailbox itself. A mailbox without a quota of its own gets the pool's, which it could not
    /// exceed anyway: so it has a maildirsize, and its usage is known without a count for each message.
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

    /// Returns the limit that a message breaks in a pool of this usage, after counting others.
    fn broken_by(&self, pool: PoolUse, size: u64) -> Result<Option<Over>, StoreError> {
        let Some(over) = self.limits.broken_by(pool.usage, size) else { return Ok(None) };
        // The message would not even fit if all mailboxes were empty.
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

    /// Publishes what the mailbox holds, and returns the usage of the pool.
    ///
    /// # Errors
    /// Fails if the database cannot be told.
    pub fn publish(&self, usage: Usage) -> Result<PoolUse, StoreError> {
        self.store.publish(self.login, usage)
    }

    fn pool_use(&self) -> Result<PoolUse, StoreError> {
        self.store.pool_use(self.login.domain())
    }

    fn recount(&self, mailbox: &MaildirQuota) -> Result<PoolUse, PoolError> {
        // Under the mailbox's lock: otherwise an older figure could replace one that includes a new delivery.
        let (_, published) = mailbox.recount_and(Effort::Changed, |usage| self.publish(usage))?;
        Ok(published?)
    }

    fn recount_through(&self, mailboxes: &dyn Mailboxes, mailbox: &Mailbox) -> Result<PoolUse, PoolError> {
        let mut published = None;
        let counted = mailboxes.count(mailbox, None, &mut |usage| published = Some(self.publish(usage)))?;
        match (published, counted) {
            (Some(published), _) => Ok(published?),
            // The mailbox was removed just now.
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

/// Returns the usage without a message of `size` bytes.
fn without(usage: Usage, size: u64) -> Usage {
    Usage { bytes: usage.bytes.saturating_sub(size), messages: usage.messages.saturating_sub(1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Kind;
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    /// A table in memory that can be made unreachable.
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
        assert!(Member::of(&away, &login("a")).unwrap().is_none(), "nothing more is read");
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
    fn a_mailbox_without_a_quota_has_the_limits_of_its_pool() {
        let rows = Rows { limits: Limits::parse("100S").unwrap(), ..Rows::default() };
        let anna = login("anna");
        let member = Member::of(&rows, &anna).unwrap().unwrap();
        let own = Limits::parse("7C").unwrap();
        assert_eq!(member.mailbox_limits(Limits::NONE), rows.limits);
        assert_eq!(member.mailbox_limits(own), own);
    }

    #[test]
    fn a_pool_in_an_unreachable_database_is_unknown() {
        let rows = Rows { limits: Limits::parse("1S").unwrap(), away: true, ..Rows::default() };
        let anna = login("anna");
        let member = Member::of(&rows, &anna).unwrap().unwrap();
        assert!(matches!(member.reserve_in_pool(usage(1000, 1), 1000), Err(Denied::Unknown(PoolError::Store(_)))));
    }
}
