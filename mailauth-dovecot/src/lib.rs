//! Dovecot's authentication protocol, and Postfix's socketmap and policy protocols, as servers.
//!
//! The connections of these protocols are kept, and many requests may be in flight on one. Each protocol is a
//! [`conversation`] that does no I/O: it takes bytes, and returns bytes and questions. The questions are decided by the
//! program that serves the sockets, through [`answerer`].

pub mod answerer;
pub mod conversation;
mod finished_logins;
mod login;
mod lookup;
pub mod mechanism;
pub mod postfix;
pub mod protocol;
mod scope;
pub mod server;
mod settings;
#[cfg(test)]
mod testing;

pub use finished_logins::FinishedLogins;
pub use login::LoginConversation;
pub use lookup::LookupConversation;
pub use scope::{Scope, ScopeOf};
pub use settings::{NoRandomNumbers, Settings};
