//! Measuring: a load of logins, what processes cost meanwhile, and a table of both.

pub mod cost;
pub mod load;
pub mod mailbox;
pub mod peak;
pub mod processes;
pub mod smtp;
pub mod spawn;
pub mod summary;
