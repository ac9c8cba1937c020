//! How much mail an account may keep, and the decision whether a message fits.
//!
//! A mailbox's own limits, those of its domain ([`pools`]), and the answer to "does it fit?" ([`room`]). What a Maildir
//! holds is counted and written down by [`maildir`](crate::maildir), which this module's calculator of Maildir++ quotas
//! comes from: every adapter shares it.
//!
//! # The way of a decision
//!
//! A decision is `Ok` or [`Denied`]; `Denied::Unknown` means "not now" and never "over".
//!
//! - A mail server that asks before the message comes: [`room::of`]. The mailbox's own limit is checked first
//!   ([`MaildirQuota::may_store`]), then the domain's ([`pools::Member::may_store_in`]).
//! - A delivery: [`delivery`](crate::delivery). [`MaildirQuota::may_store`] comes first and without the mailbox's lock, so
//!   that a message that is refused is not synced to disk. Then the message is synced, and `reserve` decides for good:
//!   [`pools::Member::reserve`] for a domain with a quota, else [`MaildirQuota::reserve`]. The former checks the pool before
//!   the mailbox's lock is taken: a count of the mailbox or of others under the lock would keep every other delivery
//!   waiting. Under the lock only the figures are written, and the pool's sum is checked once more as the database
//!   returns it, because another delivery may have taken the room in between.
//!
//! ```no_run
//! use mailauth_core::quota::{Denied, Limits, MaildirQuota, CountRules};
//!
//! let limits = Limits::parse("1000000000S,10000C")?;
//! let mailbox = MaildirQuota::open("/var/mail/example.org/anna/Maildir".as_ref(), limits, CountRules::default())?;
//! match mailbox.may_store(48_213) {
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
