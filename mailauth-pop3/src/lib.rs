//! The checkpassword program, for POP3 daemons, Dovecot, qmail-smtpd and others. It consists of two programs:
//! `mailauth-pop3` asks the daemon on its socket, and if the daemon is down, replaces itself by
//! `mailauth-pop3-database`, which asks the database. Only the second one contains the database drivers, so the first is
//! small and starts in a fraction of a millisecond.
//!
//! # The contract
//!
//! As described at <https://cr.yp.to/checkpwd/interface.html>: the caller writes `login NUL password NUL timestamp NUL` to
//! descriptor 3, and gives a program and its arguments on the command line. If the login is accepted, this program
//! switches to the mailbox's owner and home and replaces itself by that program. Otherwise it exits with one of the codes
//! of [`End`].
//!
//! For the extensions of Dovecot 2.3, see [`dovecot`].

pub mod caller;
pub mod check_mode;
pub mod daemon;
pub mod dovecot;
pub mod end;
pub mod environment;
pub mod fallback;
pub mod launch;
pub mod login_backend;
pub mod question;
pub mod quota_at_login;
pub mod record;
mod run;
pub mod start;
pub mod terminal;

pub use end::End;
pub use login_backend::LoginBackend;
pub use run::run;
