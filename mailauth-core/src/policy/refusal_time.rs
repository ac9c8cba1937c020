//! The time at which a refusal is sent.
//!
//! A refusal takes microseconds for one account and half a second for another, and a different time for an unknown
//! login. So that the time does not tell them apart, each refusal is delayed until as much time has passed since the
//! request as the most expensive of them takes, and a little more at random.

use std::time::Duration;

/// Minimum time, which hides the look-ups and the cheap schemes.
const LEAST: Duration = Duration::from_millis(20);

/// Maximum time, however expensive a password is.
const MOST: Duration = Duration::from_secs(1);

/// Time for a program that decides one login and knows nothing about the table.
const UNKNOWN: Duration = Duration::from_millis(500);

/// The key `[login] refusal_time`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefusalTime {
    /// `"auto"`: derived from what the passwords of the table cost on this machine.
    #[default]
    Auto,
    /// This time; zero sends refusals at once.
    Fixed(Duration),
}

impl RefusalTime {
    /// Returns the time from the request to its refusal, if the most expensive password takes `slowest`.
    pub(crate) fn of_table(self, slowest: Duration) -> Duration {
        match self {
            // One and a half times as much, because the processor may be busy.
            RefusalTime::Auto => jittered((slowest + slowest / 2).clamp(LEAST, MOST)),
            RefusalTime::Fixed(time) => jittered(time),
        }
    }

    /// Returns false if a password that takes `slowest` is refused later than others.
    pub(crate) fn hides(self, slowest: Duration) -> bool {
        match self {
            RefusalTime::Auto => slowest <= MOST,
            // The delay was disabled on purpose.
            RefusalTime::Fixed(time) => time.is_zero() || slowest <= time,
        }
    }

    /// Returns the time from the request to its refusal for a program that decides one login.
    pub fn of_one(self) -> Duration {
        match self {
            RefusalTime::Auto => jittered(UNKNOWN),
            RefusalTime::Fixed(time) => jittered(time),
        }
    }
}

/// Returns `time` plus up to an eighth of it.
fn jittered(time: Duration) -> Duration {
    let chance = getrandom::u32().unwrap_or_default();
    time + (time / 8).mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_takes_longer_than_the_costliest_password() {
        for (slowest, least) in [(0, 20), (2, 20), (100, 150), (467, 700), (900, 1000), (60_000, 1000)] {
            let least = Duration::from_millis(least);
            let time = RefusalTime::Auto.of_table(Duration::from_millis(slowest));
            assert!(time >= least && time <= least + least / 8, "{slowest}: {time:?}");
        }
    }

    #[test]
    fn a_configured_time_does_not_depend_on_the_table() {
        let fixed = RefusalTime::Fixed(Duration::from_millis(80));
        assert!(fixed.of_table(MOST) < Duration::from_millis(91) && fixed.of_one() >= Duration::from_millis(80));
        assert_eq!(RefusalTime::Fixed(Duration::ZERO).of_one(), Duration::ZERO);
    }

    #[test]
    fn a_password_that_takes_longer_than_refusals_is_not_hidden() {
        let (short, long) = (Duration::from_millis(80), Duration::from_millis(1200));
        assert!(RefusalTime::Auto.hides(short) && !RefusalTime::Auto.hides(long));
        assert!(!RefusalTime::Fixed(short).hides(long) && RefusalTime::Fixed(long).hides(long));
        assert!(RefusalTime::Fixed(Duration::ZERO).hides(long), "nothing is to be hidden");
    }

    #[test]
    fn two_refusals_take_different_times() {
        let times: std::collections::BTreeSet<_> = (0..8).map(|_| RefusalTime::Auto.of_one()).collect();
        assert!(times.len() > 1);
    }
}
