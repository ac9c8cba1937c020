//! Whether a message is accepted for a recipient: the address is followed to the mailboxes that it leads to, and one of
//! them must have room.

use super::place::Place;
use super::reads::{Negative, Reads};
use super::{HELD, Router};
use crate::account::{Account, Login};
use crate::answer::{Answer, No, NotNow, Refusal};
use crate::quota::others::Others;
use crate::quota::{Denied, IfLocked, Patience, PoolError, QuotaError, room};
use crate::store::StoreError;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Instant;

/// Maximum number of addresses that an alias may lead to before one is found that accepts the message.
pub(super) const MOST_ADDRESSES: usize = 100;

/// Why a question has to be asked again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Later {
    /// A mailbox must not be looked at yet.
    Busy,
    /// Another program has locked a mailbox.
    Locked,
    /// A mailbox takes longer to count than this time.
    Slow,
}

/// How mailboxes are looked at for a question that can be asked again later.
pub struct Looking<'a> {
    /// Called before the mailbox of an account is looked at; returns true if it may be.
    pub may_look: &'a mut dyn FnMut(&Account) -> bool,
    /// Until this time, a mailbox that another program has locked is [`Later::Locked`]. After it, the lock is not
    /// waited for.
    pub locked_until: Instant,
    /// A count that is not finished by this time is [`Later::Slow`].
    pub counted_until: Instant,
}

impl Looking<'_> {
    fn patience(&self, deadline: Instant) -> Patience {
        let now = Instant::now();
        let answer = deadline.min(self.counted_until);
        let if_locked = if now < self.locked_until { IfLocked::AskAgain } else { IfLocked::GoOn };
        Patience { lock: answer.min(now + HELD), answer, if_locked }
    }
}

/// Why a message is not accepted for a recipient now.
enum Undecided {
    Refused(Refusal),
    Later(Later),
}

impl<E: Into<Refusal>> From<E> for Undecided {
    fn from(refusal: E) -> Self {
        Undecided::Refused(refusal.into())
    }
}

impl Negative for Undecided {
    fn is_no(&self) -> bool {
        matches!(self, Undecided::Refused(Refusal::No(_)))
    }
}

impl Router {
    /// Returns whether a message of `size` bytes is accepted for `address`. An alias accepts it if one of the addresses
    /// that it leads to does, and an address elsewhere always does. The deadline is checked between the steps.
    pub fn recipient(&self, address: &[u8], size: u64, deadline: Instant) -> Answer<()> {
        let now = Instant::now();
        let mut looking = Looking { may_look: &mut |_| true, locked_until: now, counted_until: deadline };
        self.recipient_in_turn(address, size, deadline, &mut looking).unwrap_or(Err(NotNow::Late.into()))
    }

    /// Does the same for a caller that can ask again.
    ///
    /// # Errors
    /// Fails with the reason if the question has to be asked again later.
    pub fn recipient_in_turn(
        &self,
        address: &[u8],
        size: u64,
        deadline: Instant,
        looking: &mut Looking<'_>,
    ) -> Result<Answer<()>, Later> {
        let question = self.question(address);
        let taken = self
            .login(address)
            .map_err(Undecided::from)
            .and_then(|login| self.surely(&question, |reads| self.take(reads, login.clone(), size, deadline, looking)));
        let answer = match taken {
            Ok(()) => Ok(()),
            Err(Undecided::Refused(refusal)) => Err(refusal),
            Err(Undecided::Later(later)) => return Err(later),
        };
        self.record(&question, &answer);
        Ok(answer)
    }

    fn take(
        &self,
        reads: &Reads<'_>,
        first: Login,
        size: u64,
        deadline: Instant,
        looking: &mut Looking<'_>,
    ) -> Result<(), Undecided> {
        let (mut refusal, mut unknown, mut later) = (None, None, None);
        // Each address with the aliases that led to it.
        let mut waiting = vec![(first, Rc::new(BTreeSet::new()))];
        let mut followed = 0;
        while let Some((address, by)) = waiting.pop() {
            if Instant::now() >= deadline || followed >= MOST_ADDRESSES {
                return Err(NotNow::Late.into());
            }
            followed += 1;
            // As in mail servers: an address that leads to itself is not an alias any more, but may be an account.
            let place = match self.place(reads, &address, !by.contains(&address)) {
                // Another target of the alias may accept the message.
                Err(why @ NotNow::Store(StoreError::Unusable(_) | StoreError::UnusableAlias { .. })) => {
                    unknown = Some(why);
                    continue;
                }
                place => place?,
            };
            match place {
                Place::Alias(targets) => {
                    let mut by = BTreeSet::clone(&by);
                    by.insert(address);
                    let by = Rc::new(by);
                    let targets = targets.iter().rev().filter_map(|target| Login::parse(target.as_bytes(), None).ok());
                    waiting.extend(targets.map(|target| (target, Rc::clone(&by))));
                }
                Place::Mailbox(to) if !(looking.may_look)(&to.account) => return Err(Undecided::Later(Later::Busy)),
                Place::Mailbox(to) => match self.room(reads, &to.account, size, looking.patience(deadline)) {
                    Ok(()) => return Ok(()),
                    Err(Denied::Unknown(error)) if self.takes_unseen && error.is_forbidden() => {
                        tracing::info!("{error}; the message is taken, and its delivery sees whether there is room");
                        return Ok(());
                    }
                    Err(Denied::Unknown(error)) => {
                        later = match error {
                            PoolError::Mailbox(QuotaError::Locked(_)) => Some(Later::Locked),
                            PoolError::Mailbox(QuotaError::Late(_)) if Instant::now() < deadline => Some(Later::Slow),
                            _ => later,
                        };
                        unknown = Some(NotNow::Quota(error.to_string()));
                    }
                    Err(over) => refusal = Some(No::OverQuota(over.to_string())),
                },
                Place::Elsewhere if by.is_empty() => return Err(No::UnknownDomain.into()),
                Place::Elsewhere | Place::SentOn => return Ok(()),
                Place::Refused(no) => drop(refusal.get_or_insert(no)),
                Place::Of(_) => drop(refusal.get_or_insert(No::UnknownLogin)),
            }
        }
        match (later, unknown) {
            (Some(later), _) => Err(Undecided::Later(later)),
            (None, Some(why)) => Err(why.into()),
            (None, None) => Err(refusal.unwrap_or(No::UnknownLogin).into()),
        }
    }

    /// Returns whether the mailbox of `account`, and its domain, have room for a message of `size` bytes.
    fn room(&self, reads: &Reads<'_>, account: &Account, size: u64, patience: Patience) -> Result<(), Denied> {
        let (defaults, rules, mailboxes) = (&self.mailbox, self.rules, &*self.mailboxes);
        let others = Others { accounts: reads.store, defaults, rules, mailboxes };
        room::precheck(account, others, reads.store, size, patience)
    }
}
