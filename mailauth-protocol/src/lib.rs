//! What is said on an authdaemon socket, as bytes, and the client of a daemon there.
//!
//! # The wire
//!
//! Unix stream socket, one request for each connection: connect, request, reply, the server closes. No banner, no
//! version, no quoting anywhere. Numbers are decimal. As courier-authlib 0.71 has it (its authdaemond.c and
//! libs/authdaemon*.c, and what it was seen to send):
//!
//! ```text
//! request  = *( NAME "=" value LF ) command
//! command  = "PRE" SP module SP service SP login LF         look up, no password
//!          | "AUTH" SP length LF body                       length = bytes of body
//!          | "PASSWD" SP service TAB login TAB old TAB new LF
//!          | "ENUMERATE" LF
//!          | "ASK" SP question LF                           our own: see [`question`]
//!          | "FORGET" [ SP login ] LF                       our own: see below
//!          | "CHANGED" SP changed LF                        our own: see below
//!          | "STATUS" LF                                    our own: see below
//!          | "THROTTLE" SP guesses LF                       our own: see below
//! changed  = "alias" SP address / "domain" SP name / "additions"
//! guesses  = "list" SP ( "throttled" / "all" ) SP from [ SP name ] / "clear" [ SP name ]
//! body     = service LF authtype LF data
//! data     = login LF password [LF]                         authtype "login"
//!          | base64(challenge) LF base64(login SP hex) [LF] authtype "cram-md5", "cram-sha1", "cram-sha256", "apop"
//!
//! reply    = *( NAME "=" value LF ) "." LF                  PRE, AUTH: yes
//!          | "OK" LF                                        PASSWD: yes; FORGET, CHANGED: done
//!          | "FAIL" LF                                      no
//!          | "OK" SP json LF                                STATUS, THROTTLE
//!          | "# " name LF LF *( row LF ) "." LF             ENUMERATE; without the "." it was cut off
//!          | nothing                                        not now, or not a request
//! row      = login TAB uid TAB gid TAB home TAB maildir TAB options
//! ```
//!
//! A line has at most [`MAX_LINE`] bytes, a body [`MAX_BODY`]. A client takes a reply of more than [`MAX_REPLY`] bytes
//! for a temporary failure, except that of `ENUMERATE`, which has no bound.
//!
//! The authtype `apop` is our own: POP3's challenge (RFC 1939), for programs that are handed its timestamp and digest.
//! Courier's daemon says `FAIL` to it, as to every type that it does not know.
//!
//! `FORGET` tells the server that the account with this login, or without one any account, was changed in the database:
//! what it remembers of that is not so any more. It is taken from root and the server's own user, and is `FAIL` to
//! others. Courier's daemon closes without a byte, and has nothing to forget.
//!
//! `CHANGED` tells the same of an alias address, of a domain with all that is in it, or that accounts and domains were
//! added while what was there is as it was. Courier's daemon and older ones of ours close without a byte; those of ours
//! have to be told `FORGET` then.
//!
//! `STATUS` asks how the server is: its databases, queues and what it has counted, as JSON on one line (`Status`, in
//! `status.rs`). It is taken from the same users as `FORGET`, and is `FAIL` to others. Courier's daemon closes without a
//! byte.
//!
//! `THROTTLE` asks what is counted of wrong passwords, of all or of a login or network, as JSON on one line (`Guesses` and
//! `Cleared`, in `guesses.rs`), a page at a time: `from` is 0, or what the page before said. `clear` has it forgotten. It is
//! taken from the same users as `FORGET`, and is `FAIL` to others, and for a name that nothing can be counted of.
//!
//! # Where this is stricter than Courier
//!
//! * The length is digits and nothing else; Courier's `atoi` lets signs, junk and a wrap at 2^32 pass.
//! * A NUL is a byte like others, so that a login or password with one fits no account. Courier's ends there, and
//!   `secret NUL junk` logs in.
//! * In `data`, an empty login or password is `FAIL`, and so is anything but line ends after the password. Courier skips
//!   blank lines and ignores what follows, so that a line break in a password cuts it.
//! * A fifth field of `PASSWD` is `FAIL`; Courier would set a password cut at the TAB.
//! * Metadata is bounded by [`MAX_METADATA`] in all.

pub mod client;
pub mod guesses;
pub mod question;
mod reply;
mod request;
pub mod status;
mod throttle_question;

pub use question::Question;
pub use reply::{Passwords, Record, RecordError, Reply, Unsendable, account, list_row};
pub use request::{
    Command, Malformed, Parse, PasswdFields, Request, Uncomposable, auth_cram, auth_login, changed, forget, parse,
    passwd, pre, status, with_client,
};
pub use throttle_question::GuessesQuestion;

/// Bytes of a line, without its LF.
pub const MAX_LINE: usize = 8190;

/// Bytes of the body of `AUTH`.
pub const MAX_BODY: usize = 8191;

/// Bytes of a reply that clients read.
pub const MAX_REPLY: usize = 8191;

/// Bytes of all metadata lines together. Real clients send one of at most 52.
pub const MAX_METADATA: usize = 16 * 1024;

/// Bytes of the longest request.
pub const MAX_REQUEST: usize = MAX_METADATA + MAX_LINE + 1 + MAX_BODY;

/// "No."
pub const FAIL: &[u8] = b"FAIL\n";

/// What is sent for "no" to the question about a recipient whose mail is switched off.
pub const NO_MAIL: &[u8] = b"NOMAIL\n";

/// "Yes" to `PASSWD` and `FORGET`, without a text.
pub const OK: &[u8] = b"OK\n";

/// What begins an enumeration. Clients drop whatever follows a `#`.
pub const LIST_HEAD: &[u8] = b"# mailauth\n\n";

/// What ends an account record or an enumeration that is whole.
pub const END: &[u8] = b".\n";

#[cfg(test)]
mod tests;
