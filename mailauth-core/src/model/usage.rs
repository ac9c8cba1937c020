//! What a mailbox holds, and whether one more message is allowed.

use super::limits::Limits;
use std::fmt;

/// What a mailbox holds. Each number is at most 2^63 - 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Sum of the messages' sizes, in bytes.
    pub bytes: u64,
    /// Number of messages.
    pub messages: u64,
}

impl Usage {
    /// Returns the sum of both; `None` if it is larger than 2^63 - 1.
    pub fn checked_add(self, other: Usage) -> Option<Usage> {
        let sum = |a: u64, b: u64| a.checked_add(b).filter(|sum| *sum <= Limits::MAX);
        Some(Usage { bytes: sum(self.bytes, other.bytes)?, messages: sum(self.messages, other.messages)? })
    }
}

/// Written for people: `1234 bytes in 5 messages`.
impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.messages == 1 { "" } else { "s" };
        write!(f, "{} bytes in {} message{plural}", self.bytes, self.messages)
    }
}

/// What a limit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The sum of the messages' sizes.
    Bytes,
    /// The number of messages.
    Messages,
}

/// A limit that a message would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// The kind of limit.
    pub kind: Kind,
    /// The limit, in bytes or messages.
    pub limit: u64,
    /// How far the message would exceed it, in bytes or messages.
    pub by: u64,
    /// What the mailbox holds without the message.
    pub usage: Usage,
}

impl Over {
    /// Returns the limit and the usage as text.
    pub(crate) fn figures(&self) -> String {
        let (unit, used) = match self.kind {
            Kind::Bytes => ("bytes", self.usage.bytes),
            Kind::Messages => ("messages", self.usage.messages),
        };
        format!("{used} of {} {unit} used, and this message would be {} over it", self.limit, self.by)
    }
}

/// Written for people.
impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "over quota: {}", self.figures())
    }
}

impl Limits {
    /// Returns the limit that a message of `size` bytes would exceed in a mailbox that holds `usage`; `None` if it fits.
    /// Reaching a limit exactly is allowed.
    ///
    /// ```
    /// use mailauth_core::quota::{Limits, Usage};
    /// let limits = Limits::parse("1000S,10C").unwrap();
    /// let usage = Usage { bytes: 900, messages: 9 };
    /// assert_eq!(limits.broken_by(usage, 100), None);
    /// assert_eq!(limits.broken_by(usage, 101).unwrap().by, 1);
    /// ```
    pub fn broken_by(&self, usage: Usage, size: u64) -> Option<Over> {
        let over = |kind, limit: Option<u64>, used: u64, more| {
            let limit = limit?;
            let by = used.saturating_add(more).checked_sub(limit).filter(|by| *by > 0)?;
            Some(Over { kind, limit, by, usage })
        };
        over(Kind::Bytes, self.bytes, usage.bytes, size)
            .or_else(|| over(Kind::Messages, self.messages, usage.messages, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_counts_separately_and_may_be_reached() {
        let full = Usage { bytes: 100, messages: 10 };
        let broken =
            |limits: &str, size| Limits::parse(limits).unwrap().broken_by(full, size).map(|over| (over.kind, over.by));
        assert_eq!(broken("150S,11C", 50), None);
        assert_eq!(broken("150S,11C", 51), Some((Kind::Bytes, 1)));
        assert_eq!(broken("150S,10C", 50), Some((Kind::Messages, 1)));
        assert_eq!(broken("10C", 0), Some((Kind::Messages, 1)));
        assert_eq!(broken("", u64::MAX), None);
        assert_eq!(broken("9223372036854775807S", u64::MAX).map(|(kind, _)| kind), Some(Kind::Bytes));
    }

    #[test]
    fn sums_larger_than_63_bits_are_an_error() {
        let most = Usage { bytes: Limits::MAX, messages: 0 };
        assert_eq!(most.checked_add(Usage { bytes: 1, messages: 0 }), None);
        assert_eq!(most.checked_add(Usage { bytes: 0, messages: 1 }), Some(Usage { bytes: Limits::MAX, messages: 1 }));
    }
}
