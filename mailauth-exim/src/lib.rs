//! What Exim asks about mail accounts.
//!
//! A [`question`] is asked of the daemon ([`ask`]), and its answer said in Exim's ways: as a function's value to
//! `${dlfunc` ([`dlfunc`]), or on the standard output and by an exit code to `${run`. While the daemon is away, a program
//! beside this object asks the database.

pub mod ask;
pub mod dlfunc;
pub mod question;

pub use question::{Kind, Misuse, Question, Said};
