//! What an account, a domain, an alias and a mailbox are, and what their names may be.

pub mod account;
pub mod alias;
pub mod detail;
pub mod domain;
pub mod limits;
pub mod mailbox;
pub mod names;
pub mod secret;
pub mod service;
pub mod spelling;
pub mod usage;
