//! Requests: [`read`] is the server's side, [`write`] the client's.

mod read;
mod write;

pub use read::{Command, Malformed, Parse, Request, parse};
pub use write::{PasswdFields, Uncomposable, auth_cram, auth_login, changed, forget, passwd, pre, status, with_client};
