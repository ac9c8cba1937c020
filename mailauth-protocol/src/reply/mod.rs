//! Replies: [`read`] is the client's side, [`write`] the server's.

mod read;
mod write;

pub use read::{Record, RecordError, Reply};
pub use write::{Passwords, Unsendable, account, list_row};
