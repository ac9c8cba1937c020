//! The part of the daemon that runs as root, so that the daemon need not.
//!
//! The daemon (SQL, TLS, clients) runs as its own user. Only the owner of a mailbox can read it, so the daemon asks this
//! part, which starts a process that becomes the owner and does the work:
//!
//! ```text
//! mailauth-courier (user mailauth)          mailauth-mailboxes (root)            a process of the owner
//!   client  --question, reply socket-->  server: floors, queue, deadlines  -->  reads, counts, creates
//!      ^-----------------------------------answer--------------------------------------+
//! ```
//!
//! A question is one packet of bounded length ([`frame`]) with a socket for the answer. The root part processes only this
//! packet: no SQL, no TLS, no clients of the daemon, and no mailboxes. Only to create a home in a folder of root, a separate
//! process works as root, by [`mailauth_core::home::as_root`].

mod client;
pub mod frame;
pub mod packet;
#[cfg(feature = "program")]
pub mod server;
mod start;
pub mod usage;

pub use client::RootPart;
pub use start::{PROGRAM, Rights, own_program, start};

/// Default path of the socket of the root part.
pub const SOCKET: &str = "/run/mailauth-mailboxes/socket";
