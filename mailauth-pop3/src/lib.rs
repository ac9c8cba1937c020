//! The checkpassword program, in its parts. There are two programs of them: `mailauth-pop3` asks the daemon on its
//! socket, and when that is away becomes `mailauth-pop3-database`, which asks the database itself. Because the drivers
//! are in the second one alone, the first is small and starts in a fraction of a millisecond.
//!
//! # The contract
//!
//! As <https://cr.yp.to/checkpwd/interface.html> has it: the caller puts `login NUL password NUL timestamp NUL` on
//! descriptor 3, and a program with its arguments on our command line. Where the login is right, we become that program,
//! as the mailbox's owner and in its home. Otherwise we end with one of the codes of [`End`].
//!
//! Dovecot 2.3 has extensions of its own, see [`dovecot`].

pub mod caller;
pub mod check_mode;
pub mod daemon;
pub mod dovecot;
pub mod end;
pub mod environment;
pub mod fallback;
pub mod launch;
pub mod question;
pub mod quota_at_login;
pub mod record;
mod run;
pub mod start;
pub mod terminal;

pub use end::End;
pub use run::{Way, run};
