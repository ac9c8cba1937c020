//! Counts since the start of a process: its answers, and how much work the caches saved.

mod latency;

pub use latency::LatencyCounts;

use crate::answer::{Answer, No, NotNow, Refusal};
use crate::decision_log::Provenance;
use latency::Latencies;
use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The counts of a process. Any thread adds to them, without a lock.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) rereads: AtomicU64,
    pub(crate) coalesced: AtomicU64,
    pub(crate) verified: AtomicU64,
    pub(crate) logins: Tally,
    pub(crate) lookups: Tally,
    pub(crate) secrets: Tally,
    pub(crate) changes: Tally,
    pub(crate) addresses: Tally,
}

/// The counts at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Look-ups that were answered from memory.
    pub hits: u64,
    /// Look-ups that were not answered from memory.
    pub misses: u64,
    /// Rows that were read again before a refusal.
    pub rereads: u64,
    /// Of the last two, those that waited for the query of another request instead of sending one.
    pub coalesced: u64,
    /// Passwords that were not hashed because they had been verified recently.
    pub verified: u64,
    /// Answers about logins.
    pub logins: AnswerCounts,
    /// Answers about accounts that were only looked up.
    pub lookups: AnswerCounts,
    /// Answers about clear passwords, for challenges that the caller verifies.
    pub secrets: AnswerCounts,
    /// Answers about changes of passwords.
    pub changes: AnswerCounts,
    /// Answers about addresses.
    pub addresses: AnswerCounts,
}

/// Numbers of answers by kind and reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerCounts {
    /// Number of answers that were yes.
    pub yes: u64,
    /// Number of answers that were no, for each reason in [`No::CODES`].
    pub no: [u64; No::CODES.len()],
    /// Number of answers that were "not now", for each reason in [`NotNow::CODES`].
    pub not_now: [u64; NotNow::CODES.len()],
}

impl AnswerCounts {
    /// Returns each reason for a no, with its number.
    pub fn no_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        No::CODES.into_iter().zip(self.no)
    }

    /// Returns each reason for a "not now", with its number.
    pub fn not_now_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NotNow::CODES.into_iter().zip(self.not_now)
    }
}

/// Counts answers by kind and reason.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    yes: AtomicU64,
    no: [AtomicU64; No::CODES.len()],
    not_now: [AtomicU64; NotNow::CODES.len()],
    latencies: Latencies,
}

impl Tally {
    /// Adds one to the count of this kind of answer and its reason.
    pub fn count<T>(&self, answer: &Answer<T>) {
        let counter = match answer {
            Ok(_) => Some(&self.yes),
            Err(Refusal::No(no)) => place(&No::CODES, no.code()).and_then(|place| self.no.get(place)),
            Err(Refusal::NotNow(why)) => place(&NotNow::CODES, why.code()).and_then(|place| self.not_now.get(place)),
        };
        if let Some(counter) = counter {
            count(counter);
        }
    }

    /// Adds the duration of an answer to the histogram of what the answer was made from.
    pub fn time(&self, from: Provenance, hashed: bool, took: Duration) {
        self.latencies.add(from, hashed, took);
    }

    fn read(&self) -> AnswerCounts {
        AnswerCounts { yes: read(&self.yes), no: read_all(&self.no), not_now: read_all(&self.not_now) }
    }
}

/// Returns the position of `code`. The lists are short, and most of their words differ in length or in the first bytes.
fn place(codes: &[&'static str], code: &str) -> Option<usize> {
    codes.iter().position(|known| *known == code)
}

impl Counters {
    /// Returns the counts. Each number is right; the numbers need not be of the same moment.
    pub fn read(&self) -> Counts {
        Counts {
            hits: read(&self.hits),
            misses: read(&self.misses),
            rereads: read(&self.rereads),
            coalesced: read(&self.coalesced),
            verified: read(&self.verified),
            logins: self.logins.read(),
            lookups: self.lookups.read(),
            secrets: self.secrets.read(),
            changes: self.changes.read(),
            addresses: self.addresses.read(),
        }
    }

    /// Returns how long the answers took, by subject and by what they were made from.
    pub fn latencies(&self) -> Vec<LatencyCounts> {
        let tallies = [
            ("login", &self.logins),
            ("lookup", &self.lookups),
            ("secret", &self.secrets),
            ("change", &self.changes),
            ("address", &self.addresses),
        ];
        tallies.into_iter().flat_map(|(about, tally)| tally.latencies.read(about)).collect()
    }
}

/// Adds one to a counter.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn read_all<const N: usize>(counters: &[AtomicU64; N]) -> [u64; N] {
    array::from_fn(|at| counters.get(at).map_or(0, read))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::LoginError;
    use crate::mailbox::Unusable;
    use crate::password::{Flaw, HashError};
    use crate::store::StoreError;

    fn unusable() -> Unusable {
        Unusable { login: String::new(), column: "", problem: "".into() }
    }

    /// Returns one of each kind. The match does not compile if a reason is added and is not listed here.
    fn every_no() -> Vec<No> {
        let all = [
            No::UnusableLogin(LoginError::Empty),
            No::UnknownLogin,
            No::WrongPassword,
            No::UnusablePassword,
            No::NewPasswordTooShort,
            No::ReadOnly(String::new()),
            No::NoPassword,
            No::PasswordLocked,
            No::UnusableHash(Flaw::Empty),
            No::UnusableAccount(unusable()),
            No::NoClearPassword,
            No::AccountDisabled,
            No::DomainDisabled,
            No::ServiceNotAllowed,
            No::NoMail,
            No::UnknownDomain,
            No::UnknownAlias,
            No::NotOwnAddress,
            No::OverQuota(String::new()),
            No::Unexplained,
            No::Throttled(Duration::ZERO),
        ];
        for no in &all {
            match no {
                No::UnusableLogin(_) | No::UnknownLogin | No::WrongPassword | No::UnusablePassword => {}
                No::NewPasswordTooShort | No::NoPassword | No::PasswordLocked | No::UnusableHash(_) => {}
                No::UnusableAccount(_) | No::ReadOnly(_) => {}
                No::NoClearPassword | No::AccountDisabled | No::DomainDisabled | No::ServiceNotAllowed => {}
                No::NoMail | No::UnknownDomain | No::UnknownAlias | No::NotOwnAddress => {}
                No::OverQuota(_) | No::Unexplained => {}
                // The code of `Delayed` is that of the reason inside.
                No::Throttled(_) | No::Delayed(..) => {}
            }
        }
        all.into()
    }

    fn every_not_now() -> Vec<NotNow> {
        let text = String::new;
        let all = [
            NotNow::Store(StoreError::Unreachable { place: text(), reason: text() }),
            NotNow::Store(StoreError::Timeout { place: text(), after: Duration::ZERO }),
            NotNow::Store(StoreError::Refused { place: text(), reason: text() }),
            NotNow::Store(StoreError::Unusable(unusable())),
            NotNow::Store(StoreError::Unconfirmed("")),
            NotNow::Store(StoreError::Schema(text())),
            NotNow::Busy,
            NotNow::NoHash(HashError::Failed("")),
            NotNow::Quota(text()),
            NotNow::Attacked,
            NotNow::Outdated,
            NotNow::Late,
            NotNow::NoDaemon(text()),
            NotNow::Daemon(text()),
        ];
        for why in &all {
            match why {
                NotNow::Store(_) | NotNow::Busy | NotNow::NoHash(_) | NotNow::Quota(_) | NotNow::Late => {}
                NotNow::Outdated => {}
                NotNow::NoDaemon(_) | NotNow::Daemon(_) | NotNow::Attacked => {}
            }
        }
        all.into()
    }

    #[test]
    fn each_reason_has_its_own_count() {
        let tally = Tally::default();
        tally.count(&Ok(()));
        every_no().into_iter().for_each(|no| tally.count(&Err::<(), _>(Refusal::No(no))));
        every_not_now().into_iter().for_each(|why| tally.count(&Err::<(), _>(Refusal::NotNow(why))));
        let counts = tally.read();
        assert_eq!(counts.yes, 1);
        assert!(counts.no_by_reason().all(|(_, number)| number == 1), "{:?}", counts.no);
        assert!(counts.not_now_by_reason().all(|(_, number)| number == 1), "{:?}", counts.not_now);
        assert_eq!((counts.no.len(), counts.not_now.len()), (every_no().len(), every_not_now().len()));
    }
}
