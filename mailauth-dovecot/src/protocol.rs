//! The lines of Dovecot's authentication protocol, as servers of versions 2.2 to 2.4 write and read them.
//!
//! A line is a word and its fields, with one TAB between them and LF at its end; a CR before the LF is ignored. With its
//! LF it has at most [`MAX_LINE`] bytes. In a field the byte 0x01 escapes the byte after it (`escape`). Several mail
//! servers do not undo that, so no text that would have to be escaped is sent to them in `user=`.
//!
//! ```text
//! id        = 1*DIGIT                     from 1 to 4294967295
//! pid       = 1*DIGIT                     from 1 to 4294967295
//! base64    = <padded, without spaces>    empty for no bytes
//! ```
//!
//! # Clients: Postfix, Exim and other mail servers, and the login processes of Dovecot
//!
//! ```text
//! greeting  = "VERSION" TAB "1" TAB "2" LF
//!             1*( "MECH" TAB name *( TAB flag ) LF )
//!             "SPID" TAB pid LF           the same on each socket, another one after a restart
//!             "CUID" TAB id LF            of this connection
//!             "COOKIE" TAB 32HEXDIG LF    of this connection, for REQUEST
//!             "DONE" LF
//!
//! hello     = "VERSION" TAB "1" TAB minor LF "CPID" TAB pid LF
//! request   = "AUTH" TAB id TAB name *( TAB parameter ) [ TAB "resp=" base64 ] LF
//!           | "CONT" TAB id TAB base64 LF
//!           | "CANCEL" TAB id LF
//!
//! reply     = "CONT" TAB id TAB base64 LF
//!           | "OK" TAB id TAB "user=" login [ TAB "resp=" base64 ] LF
//!           | "FAIL" TAB id [ TAB "user=" login ] *( TAB reason ) LF
//!           | nothing, and the connection is closed
//! ```
//!
//! - The greeting is sent at once and in one piece. The client need not wait for it.
//! - The order of the greeting matters: a SPID before the first MECH is the wrong kind of socket to Postfix and Exim.
//! - Of the parameters, `service=` (in 2.4 `protocol=`) is required. `rip=`, `secured`, `session=`, `final-resp-ok` and
//!   `nologin` are used; others are ignored.
//! - `resp=` is the last field: anything after it closes the connection, because it may come from a mail client.
//!   `resp=` without text is no initial response before version 1.2, and an empty one from then on; `resp==` is always
//!   an empty one.
//! - Requests are answered as they finish. An id may be used again after its OK or FAIL.
//! - A line that is none of these closes the connection, and so does an id that is in use.
//!
//! **Not now** has no word that mail servers understand: Postfix and Exim take each FAIL for a wrong password. For them
//! the connection is closed, after the other requests on it have been answered. Dovecot's own processes understand
//! `FAIL` with `temp` and `code=temp_fail`. It is sent for requests with `session=` or `final-resp-ok`, which only they
//! send, and for all requests on their own socket.
//!
//! # Look-ups: Dovecot's mail processes, LMTP server and administration
//!
//! ```text
//! greeting  = "VERSION" TAB "1" TAB "1" LF "SPID" TAB pid LF
//! hello     = "VERSION" TAB "1" TAB minor LF
//! request   = "USER" TAB id TAB login *( TAB parameter ) LF
//!           | "PASS" TAB id TAB login *( TAB parameter ) LF
//!           | "LIST" TAB id *( TAB parameter ) LF
//!           | "REQUEST" TAB id TAB pid TAB id TAB cookie *( TAB parameter ) LF
//!           | "CACHE-FLUSH" TAB id *( TAB login ) LF
//!
//! reply     = "USER" TAB id TAB login TAB "uid=" uid TAB "gid=" gid TAB "home=" path *( TAB field ) LF
//!           | "NOTFOUND" TAB id LF        only if the account does certainly not exist, because mail bounces
//!           | "FAIL" TAB id [ TAB "reason=" text ] LF
//!           | "LIST" TAB id TAB login LF  for each login, then one of the next two
//!           | "DONE" TAB id TAB LF
//!           | "DONE" TAB id TAB "fail" LF
//!           | "OK" TAB id TAB number LF   for CACHE-FLUSH
//! ```
//!
//! - `LIST` has a mask in `user=`, with `*` and `?`, in any case. Without one, every login is listed.
//! - `REQUEST` and `CACHE-FLUSH` are for the master's socket. `REQUEST` names the pid that a login process gave as its
//!   CPID, the id of a request that succeeded there, and the cookie of that connection.
//! - `PASS` is always answered by FAIL: no password leaves this program.

pub(crate) mod escape;
pub(crate) mod handshake;
pub(crate) mod lines;
pub(crate) mod login_request;
pub(crate) mod lookup_request;
pub(crate) mod number;
pub(crate) mod reply;

/// Maximum number of bytes of a line, with its LF.
pub const MAX_LINE: usize = 16384;

/// Maximum number of bytes of a greeting: some clients read it by one call with a buffer of this size.
pub const MAX_GREETING: usize = 1023;

/// Reason for which a line closes the connection. The text is for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub &'static str);
