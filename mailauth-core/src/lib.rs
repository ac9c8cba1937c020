//! Decides which logins of a mail server are accepted, where mail goes, and how much mail an account may keep.
//!
//! The accounts are in one SQL table, in SQLite, MariaDB, MySQL or PostgreSQL, or in a store of the program's own
//! ([`store::AccountStore`]). The library knows no daemon's protocol: an adapter parses its daemon's question, asks here,
//! and writes the answer in its daemon's words. Every answer is one of three, and no layer folds two of them into one:
//! *yes*, *no*, and *not now* (the answer cannot be known).
//!
//! ```no_run
//! use mailauth_core::Backend;
//! use mailauth_core::config::Config;
//! use mailauth_core::routing::DomainMail;
//! use mailauth_core::answer::Refusal;
//!
//! let (config, _) = Config::load(Some("/etc/mailauth/mailauth.toml".as_ref()))?;
//! let backend = Backend::open(&config)?;
//! match backend.router.domain(b"example.org") {
//!     Ok(DomainMail::Kept) => println!("mail is kept here"),
//!     Ok(DomainMail::SentOn) => println!("mail is accepted and sent on"),
//!     Err(Refusal::No(reason)) => println!("no: {reason}"),
//!     Err(Refusal::NotNow(reason)) => println!("try again later: {reason}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The folder `examples` has programs that check passwords (`authenticate`), decide about a quota (`quota_decision`) and
//! implement a store (`own_store`).
//!
//! # Modules
//!
//! - [`backend`]: everything below, put together from a [`config`].
//! - [`authenticate`]: logins and changes of passwords, by the schemes of [`password`] and the limits of [`throttle`].
//! - [`routing`]: domains, aliases and recipients.
//! - [`quota`]: Maildirs and the quotas of accounts and domains.
//! - [`store`]: the databases, the cache and the snapshot.
//!
//! # Features
//!
//! - `sqlite`, `mysql`, `postgres`: the databases. The snapshot for outages is an SQLite file and needs `sqlite`.
//! - `log`: the log of a program; without it, the library only emits `tracing` events.
//! - `testing`: a store in memory, for the tests of programs that use the library.
//!
//! The first four are on by default.

pub mod answer;
pub mod authenticate;
pub mod backend;
pub mod challenge;
pub mod config;
pub mod counters;
mod decision_log;
pub mod delivery;
#[cfg(feature = "log")]
pub mod log;
pub mod maildir;
mod model;
pub mod moving;
pub mod password;
pub mod policy;
pub mod quota;
pub mod routing;
pub mod schema;
pub mod scram;
pub mod store;
pub mod sync;
mod system;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod throttle;

pub use backend::{Backend, DaemonState};
pub use model::account::{Account, AccountRow, Login};
pub use model::domain::{DomainName, DomainNameError};
pub use model::secret::Secret;
pub use model::service::{Service, Services, ServicesError};
pub use model::{account, alias, detail, mailbox, names, spelling};
pub use system::{
    credentials, environment, home, lock_file, notify, parents, poller, printable, privileges, process_memory,
    system_ids, trusted_path,
};

use system::stack;
