//! Replies: writing them, as the server does, and reading them, as the client does.

mod account_values;
mod read;
mod write;

pub use account_values::{account_values, value_in_account};
pub use read::{Record, RecordError, Reply};
pub use write::{Passwords, Unsendable, account, account_text, alias_text, domain_text, line, list_row};

/// Reply that means "no".
pub const FAIL: &[u8] = b"FAIL\n";

/// Reply to the question about a recipient for which mail is switched off.
pub const NO_MAIL: &[u8] = b"NOMAIL\n";

/// Reply that means "yes", without a text.
pub const OK: &[u8] = b"OK\n";

/// First line of an enumeration. Clients ignore lines that begin with `#`.
pub const LIST_HEAD: &[u8] = b"# mailauth\n\n";

/// Last line of an account record, and of an enumeration that is complete.
pub const END: &[u8] = b".\n";
