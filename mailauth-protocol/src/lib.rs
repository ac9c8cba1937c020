//! The protocol of the authdaemon socket: reading and writing its requests and replies, and the
//! [client](client::Client) of a daemon.
//!
//! # The wire
//!
//! A Unix stream socket with one request for each connection: the client connects and sends the request, the server
//! sends the reply and closes. There is no banner, no version and no quoting anywhere. Numbers are decimal. The grammar
//! is that of courier-authlib 0.71 (from its authdaemond.c and libs/authdaemon*.c, and from what it was seen to send),
//! with commands of mailauth's own:
//!
//! ```text
//! request  = *( NAME "=" value LF ) command
//! command  = "PRE" SP module SP service SP login LF
//!          | "AUTH" SP length LF body          length = bytes of body
//!          | "PASSWD" SP service TAB login TAB old TAB new LF
//!          | "ENUMERATE" LF
//!          | "ASK" SP question LF              mailauth's own, as are
//!          | "FORGET" [ SP login ] LF          the next ones: see below
//!          | "CHANGED" SP changed LF
//!          | "FLUSH" [ SP name ] LF
//!          | "STATUS" LF
//!          | "THROTTLE" SP throttle LF
//! body     = service LF authtype LF data
//! data     = login LF password [LF]            authtype "login"
//!          | base64(challenge) LF base64(login SP hex) [LF]
//!                                              "cram-md5", "cram-sha1",
//!                                              "cram-sha256", "apop"
//! changed  = "alias" SP address | "domain" SP name | "additions"
//! throttle = "list" SP ( "throttled" | "all" ) SP from [ SP name ]
//!          | "clear" [ SP name ]
//!
//! reply    = *( NAME "=" value LF ) "." LF     PRE, AUTH: yes
//!          | "OK" LF                           PASSWD: yes;
//!                                              FORGET, CHANGED: done
//!          | "FAIL" LF                         no
//!          | "OK" SP json LF                   FLUSH, STATUS, THROTTLE
//!          | "# " name LF LF *( row LF ) "." LF
//!                                              ENUMERATE; without the
//!                                              "." it was cut off
//!          | nothing                           not now, or no request
//! row      = login TAB uid TAB gid TAB home TAB maildir TAB options
//! ```
//!
//! `PRE` looks an account up without a password. A line has at most [`MAX_LINE`] bytes, a body [`MAX_BODY`]. A client treats a reply of more than [`MAX_REPLY`] bytes
//! as a temporary failure. The reply to `ENUMERATE` is the exception: it has no limit.
//!
//! The authtype `apop` is mailauth's own. It is POP3's challenge (RFC 1939), for programs that receive its timestamp
//! and digest. Courier's daemon answers `FAIL` to it, as to every type that it does not know.
//!
//! `FORGET` tells the server that the account with this login, or any account if there is no login, was changed in the
//! database, so that what the server remembers of it is outdated. The server accepts it from root and from its own
//! user, and answers `FAIL` to others. Courier's daemon closes without a byte, and has nothing to forget.
//!
//! `CHANGED` tells the same about an alias address, or about a domain with everything in it, or that accounts and
//! domains were added while existing ones are unchanged. Courier's daemon and older versions of mailauth-courier close
//! without a byte; a client has to send `FORGET` to those versions.
//!
//! `FLUSH` makes the server forget what it keeps in memory of a login, an address or a domain, or of everything, without
//! saying that anything was changed: the copy for outages goes on answering. The answer is what was forgotten, as JSON on
//! one line ([`flushed::Flushed`]), or `LATER` and nothing is forgotten, because no database with every change can be
//! asked. It is accepted from the same users as `FORGET`; others get `FAIL`.
//!
//! `STATUS` asks for the state of the server: its databases, queues and counters, as JSON on one line
//! ([`status::Status`]). It is accepted from the same users as `FORGET`; others get `FAIL`. Courier's daemon closes
//! without a byte.
//!
//! `THROTTLE` asks which wrong passwords are counted, of all or of one login or network, as JSON on one line
//! ([`throttle::Page`]), a page at a time: `from` is 0, or the number that the previous page gave. `clear` resets them
//! ([`throttle::Cleared`]). It is accepted from the same users as `FORGET`; others get `FAIL`, and so does a name for
//! which nothing can be counted.
//!
//! # Where this is stricter than Courier
//!
//! * The length is digits and nothing else; Courier's `atoi` accepts signs, trailing junk and a wrap at 2^32.
//! * A NUL is a byte like others, so that a login or password that contains one matches no account. Courier's strings
//!   end there, and `secret NUL junk` logs in.
//! * In `data`, an empty login or password is `FAIL`, and so is anything but line ends after the password. Courier
//!   skips blank lines and ignores what follows, so that a line break in a password cuts it.
//! * A fifth field of `PASSWD` is `FAIL`; Courier would set a password cut at the TAB.
//! * Metadata is limited to [`MAX_METADATA`] in all.

pub mod client;
pub mod flushed;
pub mod question;
pub mod reply;
pub mod request;
pub mod status;
pub mod throttle;

pub use question::Question;
pub use reply::Reply;
pub use request::{Command, Parse, Request};

/// Maximum length of a line in bytes, without its LF.
pub const MAX_LINE: usize = 8190;

/// Maximum length of the body of `AUTH` in bytes.
pub const MAX_BODY: usize = 8191;

/// Maximum length in bytes of a reply that clients read.
pub const MAX_REPLY: usize = 8191;

/// Maximum length in bytes of all metadata lines together. Real clients send one of at most 52.
pub const MAX_METADATA: usize = 16 * 1024;

/// Length in bytes of the longest request.
pub const MAX_REQUEST: usize = MAX_METADATA + MAX_LINE + 1 + MAX_BODY;

/// Maximum length in bytes of the text in a reply of one word and a text, which leaves room for the word and the line
/// end.
const MAX_TEXT: usize = MAX_REPLY - 16;

#[cfg(test)]
mod tests;
