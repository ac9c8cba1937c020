//! The library that decides who may log in and how much mail they may keep.
//!
//! It knows no daemon's protocol: an adapter parses its daemon's question, asks here, and writes the answer in its
//! daemon's words. Three answers hold everywhere, and no layer folds two of them into one: *yes*, *no*, and *not now*
//! (we cannot know).

pub mod account;
pub mod alias;
pub mod authenticate;
pub mod backend;
pub mod challenge;
pub mod config;
pub mod counters;
pub mod credentials;
mod decision_log;
pub mod delivery;
pub mod detail;
mod domain;
pub mod environment;
pub mod home;
pub mod lock_file;
#[cfg(feature = "log")]
pub mod log;
pub mod mailbox;
pub mod maildir;
pub mod moving;
pub mod names;
pub mod notify;
pub mod parents;
pub mod password;
pub mod printable;
pub mod privileges;
pub mod process_memory;
pub mod quota;
pub mod routing;
pub mod schema;
mod secret;
mod service;
pub mod spelling;
mod stack;
pub mod store;
pub mod sync;
pub mod system_ids;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod throttle;
pub mod trusted_path;

pub use account::{Account, AccountRow, Login};
pub use backend::{Backend, DaemonState};
pub use domain::{DomainName, DomainNameError};
pub use secret::Secret;
pub use service::{Service, Services, ServicesError};
