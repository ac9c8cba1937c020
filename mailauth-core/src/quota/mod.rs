//! Decides how much mail an account may keep, and whether a message fits.
//!
//! A mailbox has its own limits and those of its domain ([`pools`]). [`maildir`](crate::maildir) counts what a Maildir
//! holds and writes it down. Every adapter uses both, so that all of them give the same answer.
//!
//! # Why a message is checked twice
//!
//! Two functions say whether a message fits. Mailboxes, pools and [`room`] have them by the same names. Both return `Ok`
//! or [`Denied`]; `Denied::Unknown` means "not now" and never "over".
//!
//! - `precheck` answers before the message is stored, and changes nothing but figures that are out of date. It does not
//!   hold the mailbox's lock when it returns, so that another delivery can take the room that it found.
//! - `reserve` decides. It takes the room in the same step, and holds the mailbox's lock until the message is in the
//!   mailbox or has failed.
//!
//! A mail server at RCPT has no message yet and calls only [`room::precheck`], which checks the mailbox's own limits
//! ([`Mailboxes::precheck`](mailboxes::Mailboxes::precheck)) and then the domain's ([`pools::Member::precheck`]).
//!
//! A [delivery](crate::delivery) calls [`MaildirQuota::precheck`] when the message is in `tmp`, so that a message that is
//! refused is not synced to disk. After the sync it calls `reserve`: [`pools::Member::reserve`] for a domain with a quota,
//! else [`MaildirQuota::reserve`]. The former calls [`pools::Member::precheck`] before it takes the mailbox's lock,
//! because a count of this mailbox or of others under the lock would keep every other delivery waiting. Under the lock it
//! writes only the figures, and compares the limit with the sum that the database returns, because another delivery may
//! have taken the room in between.
//!
//! ```no_run
//! use mailauth_core::quota::{Denied, Limits, MaildirQuota, CountRules};
//!
//! let limits = Limits::parse("1000000000S,10000C")?;
//! let mailbox = MaildirQuota::open("/var/mail/example.org/anna/Maildir".as_ref(), limits, CountRules::default())?;
//! match mailbox.precheck(48_213) {
//!     Ok(()) => println!("it fits"),
//!     Err(Denied::Unknown(error)) => println!("not now: {error}"),
//!     Err(over) => println!("{over}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod denied;
pub mod mailboxes;
pub mod others;
pub mod pools;
pub mod room;

pub use crate::maildir::{
    Check, CountRules, Doubt, Effort, IfLocked, MaildirQuota, Patience, QuotaError, Recount, Reservation, Stored,
    StrayLink,
};
pub use crate::model::limits::{Limits, LimitsError, WrittenLimits};
pub use crate::model::usage::{Kind, Over, Usage};
pub use denied::{Denied, PoolError, PoolOver};
