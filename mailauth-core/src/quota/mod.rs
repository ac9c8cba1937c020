//! How much mail an account may keep, and the decision whether a message fits.
//!
//! A mailbox's own limits, those of its domain ([`pools`]), and the answer to "does it fit?" ([`room`]). What a Maildir
//! holds is counted and written down by [`maildir`](crate::maildir), which this module's calculator of Maildir++ quotas
//! comes from: every adapter shares it.
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

mod limits;
pub mod mailboxes;
pub mod others;
pub mod pools;
pub mod room;
mod usage;

pub use crate::maildir::{
    Check, Doubt, Effort, IfLocked, MaildirQuota, Patience, QuotaError, Recount, Refused, Reservation, Stored,
    StrayLink,
};
pub use limits::{Limits, LimitsError, WrittenLimits};
pub use usage::{Decision, Kind, Over, Rules, Usage};
