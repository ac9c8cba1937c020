//! Requests: reading them, as the server does, and writing them, as the client does.

mod read;
mod write;

pub use read::{Malformed, Parse, parse};
pub use write::{
    PasswdFields, Uncomposable, auth_cram, auth_login, changed, flush, forget, passwd, pre, status, with_client,
};

use crate::question::Question;
use crate::throttle::ThrottleQuestion;
use mailauth_core::Secret;
use mailauth_core::challenge::{CramMechanism, CramResponse};
use mailauth_core::store::Changed;

/// A complete request.
#[derive(Debug)]
pub struct Request {
    /// `TCPREMOTEIP`: the address of the user's machine, if the value can be an address.
    pub client: Option<String>,
    /// The command and its arguments.
    pub command: Command,
}

/// The command of a request.
#[derive(Debug)]
pub enum Command {
    /// `PRE`: looks an account up without a password.
    LookUp {
        /// Service for which the account is looked up.
        service: Vec<u8>,
        /// Login of the account.
        login: Vec<u8>,
    },
    /// `AUTH` with authtype `login`: checks a password.
    LogIn {
        /// Service that the user logs in to.
        service: Vec<u8>,
        /// Login of the account.
        login: Vec<u8>,
        /// Password, which is never empty.
        password: Secret,
    },
    /// `AUTH` with authtype `cram-*` or `apop`: checks the answer to a challenge.
    Challenge {
        /// Service that the user logs in to.
        service: Vec<u8>,
        /// Mechanism named by the authtype.
        mechanism: CramMechanism,
        /// Challenge and its answer, which names the login.
        response: CramResponse,
    },
    /// `PASSWD`: changes a password.
    ChangePassword {
        /// Service for which the account is looked up.
        service: Vec<u8>,
        /// Login of the account.
        login: Vec<u8>,
        /// Current password, in clear. It may be empty, which matches no account.
        old: Secret,
        /// New password, in clear. It may be empty, which no account accepts.
        new: Secret,
    },
    /// `ENUMERATE`: lists all accounts.
    Enumerate,
    /// `ASK`: asks a question of a mail server.
    Ask(Question),
    /// `FORGET`: the login of the account that was changed, or `None` for any account.
    Forget(Option<Vec<u8>>),
    /// `CHANGED`: tells what was changed in the database.
    Changed(Changed),
    /// `FLUSH`: forgets what is kept in memory of this login, address or domain, or of everything.
    Flush(Option<String>),
    /// `STATUS`: asks for the state of the server.
    Status,
    /// `THROTTLE`: asks about counted wrong passwords, or resets them.
    Throttle(ThrottleQuestion),
    /// A well-formed request to which the answer is no, whatever accounts there are. The reason is for the log.
    Never(&'static str),
}
