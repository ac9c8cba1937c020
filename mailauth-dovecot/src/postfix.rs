//! What Postfix asks besides logins: its look-up tables, by the socketmap protocol, and its policy service.
//!
//! [`SocketmapConversation`] answers the tables of socketmap_table(5), and [`PolicyConversation`] the requests of
//! SMTPD_POLICY_README. Postfix keeps a connection and waits for each reply before its next request. Requests that come
//! at once are answered in their order.

mod in_order;
mod policy;
mod socketmap;
#[cfg(test)]
mod tests;

pub use policy::PolicyConversation;
pub use socketmap::SocketmapConversation;

use std::time::Duration;

/// Time for which a request may wait for its answer, after which it is "not now". Postfix waits 100 s.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
