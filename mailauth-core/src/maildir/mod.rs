//! One Maildir and what it holds, by the rules of Maildir++.
//!
//! [`MaildirQuota`] is a Maildir under a quota. Its usage is stored in its file `maildirsize`, which Courier, Exim and
//! Dovecot read and write too ([`maildirsize`]). If that file is missing or cannot be trusted, the Maildir is counted. The
//! sums of folders that have not changed since the last count are read from the file `maildirsums`.

mod count;
pub(crate) mod directory;
mod error;
mod folder;
mod lock;
mod mailbox;
pub mod maildirsize;
mod maildirsums;
mod name;
mod patience;
pub(crate) mod replace;
mod reservation;
mod tally;

#[cfg(test)]
mod histories;
#[cfg(test)]
mod hostile_owner;
#[cfg(test)]
mod tests;

pub use count::CountRules;
pub use directory::StrayLink;
pub use error::QuotaError;
pub use mailbox::{Check, Effort, MaildirQuota, Recount, Stored};
pub use maildirsize::Doubt;
pub use patience::{IfLocked, Patience};
pub use reservation::Reservation;

/// Returns the number of directories whose sums are accepted from the text of a file `maildirsums`, for a Maildir with a
/// few folders; `None` if the text is damaged. For the fuzz target.
#[cfg(fuzzing)]
pub fn believed_sums(text: &[u8], rules: CountRules) -> Option<usize> {
    maildirsums::believed(text, rules)
}
