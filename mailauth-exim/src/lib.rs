//! Answers Exim's questions about mail accounts.
//!
//! A [`question`] is sent to the daemon ([`ask`]), and its answer is returned in the form that Exim expects: as the value of
//! a function for `${dlfunc` ([`dlfunc`]), or on the standard output and by an exit code for `${run`. While the daemon is
//! down, a program in the same folder asks the database.

pub mod ask;
pub mod dlfunc;
pub mod kept;
pub mod question;
pub mod usage;

pub use question::{Kind, Misuse, Question, Said};
