//! How much mail an account may keep, and how much it keeps.
//!
//! The calculator of Maildir++ quotas that every adapter shares. [`MaildirQuota`] is a mailbox under a quota: what it
//! holds stands in its file `maildirsize`, which Courier, Exim and Dovecot read and write too ([`maildirsize`]); where
//! that is in doubt, the mailbox is counted, but for the folders that have not changed since the last count.
//!
//! ```no_run
//! use mailauth_core::quota::{Decision, Limits, MaildirQuota, Rules};
//!
//! let limits = Limits::parse("1000000000S,10000C")?;
//! let mailbox = MaildirQuota::open("/var/mail/example.org/anna/Maildir".as_ref(), limits, Rules::default())?;
//! match mailbox.may_store(48_213) {
//!     Decision::Fits => println!("it fits"),
//!     Decision::Over(over) => println!("{over}"),
//!     Decision::CannotTell(error) => println!("not now: {error}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod count;
pub mod delivery;
mod directory;
mod error;
mod limits;
mod lock;
pub mod mailboxes;
mod maildir;
pub mod maildirsize;
mod name;
pub mod others;
mod patience;
pub mod pools;
mod replace;
mod reservation;
pub mod room;
mod sums;
mod tally;
mod usage;
pub mod warnings;

#[cfg(test)]
mod histories;
#[cfg(test)]
mod hostile_owner;
#[cfg(test)]
mod tests;

pub use directory::StrayLink;
pub use error::QuotaError;
pub use limits::{Limits, LimitsError, WrittenLimits};
pub use maildir::{Check, Effort, MaildirQuota, Recount, Stored};
pub use maildirsize::Doubt;
pub use patience::{IfLocked, Patience};
pub use reservation::{Refused, Reservation};
pub use usage::{Decision, Kind, Over, Rules, Usage};

/// How many directories of a mailbox with a few folders the text of its file `maildirsums` is believed about; `None` where
/// it is damaged. For the fuzz target.
#[cfg(fuzzing)]
pub fn believed_sums(text: &[u8], rules: Rules) -> Option<usize> {
    sums::believed(text, rules)
}
