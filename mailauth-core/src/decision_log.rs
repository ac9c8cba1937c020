//! Logs one structured line for each decision, up to a rate.
//!
//! The fields are `kind login service answer reason from ms client omitted`. A line never contains a secret, and bytes
//! that would break it are escaped. The rate is limited for each reason and kind of question separately, so that a flood
//! of wrong passwords neither fills a disk nor hides the first line about an outage, and look-ups hide no login. `omitted`
//! is the number of lines of the same kind and reason that were left out since the last one.

use crate::Service;
use crate::answer::Refusal;
use crate::mailbox::Unusable;
use crate::printable::exact;
use crate::store::Lookup;
use crate::sync::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Maximum number of lines of one reason that are logged at once.
const BURST: u32 = 100;

/// Maximum number of lines of one reason in each second after that.
const PER_SECOND: u32 = 20;

/// Maximum number of bytes of a login or a client address that are printed.
const MAX_TEXT: usize = 128;

/// A decision, as it is logged.
pub(crate) struct Decision<'a> {
    pub kind: Kind,
    pub service: &'a Service,
    pub login: &'a [u8],
    pub client: Option<&'a str>,
    pub took: Duration,
    pub from: Provenance,
    pub answer: Result<(), &'a Refusal>,
}

/// Kind of question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A login, with a password or the answer to a challenge.
    Login,
    /// A look-up of an account, for a delivery or after another proof.
    LookUp,
    /// A look-up with the clear password, with which the caller verifies the answer to a challenge itself.
    Secret,
    /// A change of a password.
    Change,
    /// A question about an address: where its mail goes.
    Address,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Login => "login",
            Kind::LookUp => "lookup",
            Kind::Secret => "secret",
            Kind::Change => "change",
            Kind::Address => "address",
        }
    }
}

/// Source of what is known about the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provenance {
    /// Nothing was looked up.
    Nowhere,
    /// The database, whether it answered or not.
    Database,
    /// A row that was kept in memory.
    Cache,
    /// A copy, because the database does not answer.
    Snapshot,
    /// A row, and a recent verification of the password with it.
    Verified,
}

impl Provenance {
    pub fn of(seen: &Lookup) -> Self {
        if seen.is_copied() {
            Provenance::Snapshot
        } else if seen.is_kept() {
            Provenance::Cache
        } else {
            Provenance::Database
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Provenance::Nowhere => "-",
            Provenance::Database => "database",
            Provenance::Cache => "cache",
            Provenance::Snapshot => "snapshot",
            Provenance::Verified => "verified",
        }
    }
}

/// Writes decisions through [`tracing`], under the target `mailauth::decision`.
#[derive(Default)]
pub(crate) struct DecisionLog {
    allowances: Mutex<HashMap<(Kind, &'static str), Allowance>>,
}

struct Allowance {
    left: u32,
    since: Instant,
    omitted: u64,
}

impl DecisionLog {
    pub fn record(&self, decision: &Decision<'_>) {
        let (answer, reason) = match decision.answer {
            Ok(()) => ("yes", "ok"),
            Err(refusal @ Refusal::No(_)) => ("no", refusal.code()),
            Err(refusal @ Refusal::NotNow(_)) => ("not now", refusal.code()),
        };
        let Some(omitted) = self.admit(decision.kind, reason, Instant::now()) else { return };
        let login = exact(decision.login, MAX_TEXT);
        let client = exact(decision.client.unwrap_or("-").as_bytes(), MAX_TEXT);
        let (kind, service, from) = (decision.kind.word(), decision.service.name(), decision.from.word());
        let ms = decision.took.as_secs_f64() * 1000.0;
        let ms = (ms * 1000.0).round() / 1000.0;
        match decision.answer {
            Ok(()) => {
                tracing::info!(target: "mailauth::decision", kind, login, service, answer, reason, from, ms, client, omitted)
            }
            Err(Refusal::No(no)) => {
                tracing::info!(target: "mailauth::decision", kind, login, service, answer, reason, from, ms, client, omitted, "{no}")
            }
            Err(Refusal::NotNow(why)) => {
                tracing::warn!(target: "mailauth::decision", kind, login, service, answer, reason, from, ms, client, omitted, "{why}")
            }
        }
    }

    /// Logs that a list of all accounts was sent without this one.
    pub fn left_out(&self, unusable: &Unusable) {
        let Some(omitted) = self.admit(Kind::LookUp, "left-out", Instant::now()) else { return };
        let Unusable { login, column, problem } = unusable;
        let login = exact(login.as_bytes(), MAX_TEXT);
        tracing::warn!(login, column, omitted, "an account is left out of a list of all: column {column} {problem}");
    }

    /// Returns the number of lines of this kind and reason that were left out since the last one; `None` if this one is to
    /// be left out too.
    fn admit(&self, kind: Kind, reason: &'static str, now: Instant) -> Option<u64> {
        let mut allowances = self.allowances.lock();
        let allowance = allowances.entry((kind, reason)).or_insert(Allowance { left: BURST, since: now, omitted: 0 });
        let earned = now.duration_since(allowance.since).as_millis() * u128::from(PER_SECOND) / 1000;
        if earned > 0 {
            allowance.left = BURST.min(allowance.left.saturating_add(u32::try_from(earned).unwrap_or(BURST)));
            allowance.since = now;
        }
        if allowance.left == 0 {
            allowance.omitted += 1;
            return None;
        }
        allowance.left -= 1;
        Some(std::mem::take(&mut allowance.omitted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_reason_is_counted_and_hides_no_other() {
        let log = DecisionLog::default();
        let start = Instant::now();
        let login = |reason, at| log.admit(Kind::Login, reason, at);
        let printed = (0..1000).filter(|_| login("wrong-password", start).is_some()).count();
        assert_eq!(printed, BURST as usize);
        assert_eq!(login("database-unreachable", start), Some(0));
        assert_eq!(log.admit(Kind::LookUp, "wrong-password", start), Some(0));
        assert_eq!(login("wrong-password", start + Duration::from_secs(1)), Some(900));
        assert_eq!(login("wrong-password", start + Duration::from_secs(1)), Some(0));
    }
}
