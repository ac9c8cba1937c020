//! Measuring: loads of logins, what the processes cost during them, and tables of the results.

pub mod cost;
pub mod dovecot;
pub mod load;
pub mod mailbox;
pub mod peak;
pub mod plain_logins;
pub mod plot;
pub mod processes;
pub mod side_by_side;
pub mod smtp;
pub mod spawn;
pub mod summary;
