//! What all connections of one server process share.

use crate::mechanism::Mechanism;
use std::fmt;

/// Rules for all conversations, and the identity of the process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Mechanisms that are announced and accepted, in this order.
    pub mechanisms: Vec<&'static Mechanism>,
    /// Whether mechanisms that send the password in clear need a request with `secured`.
    pub require_secured: bool,
    /// Number of requests in flight on one connection at which no more is read.
    pub max_in_flight: usize,
    /// Number of this process: the same on each socket, and another one after a restart. Dovecot's processes notice a
    /// restart by it. From 1 to 2147483647.
    pub spid: u32,
}

/// The operating system gives no random numbers, without which no connection is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random numbers")]
pub struct NoRandomNumbers;

impl Settings {
    /// Usual value of [`Settings::max_in_flight`].
    pub const MAX_IN_FLIGHT: usize = 1000;

    /// Returns settings with these mechanisms and a random [`Settings::spid`]. The process id would be the same after a
    /// restart in a container.
    ///
    /// # Errors
    /// Fails if there are no random numbers.
    pub fn new(mechanisms: Vec<&'static Mechanism>) -> Result<Self, NoRandomNumbers> {
        let spid = getrandom::u32().map_err(|_| NoRandomNumbers)? >> 1;
        Ok(Settings { mechanisms, require_secured: false, max_in_flight: Self::MAX_IN_FLIGHT, spid: spid.max(1) })
    }

    /// Returns the announced mechanism of this name, in any case: mail servers pass on what the mail client sent.
    pub(crate) fn mechanism(&self, name: &[u8]) -> Option<&'static Mechanism> {
        self.mechanisms.iter().copied().find(|mechanism| name.eq_ignore_ascii_case(mechanism.name.as_bytes()))
    }
}

/// The secret of one login connection: 32 lower-case hexadecimal digits.
#[derive(Clone)]
pub(crate) struct Cookie(String);

impl Cookie {
    /// Creates a random cookie.
    pub fn random() -> Result<Self, NoRandomNumbers> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|_| NoRandomNumbers)?;
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        Ok(Cookie(digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()))
    }

    /// Returns the digits.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in a time that does not depend on the digits.
    pub fn matches(&self, sent: &[u8]) -> bool {
        use subtle::ConstantTimeEq;
        self.0.as_bytes().ct_eq(sent).into()
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(..)")
    }
}
