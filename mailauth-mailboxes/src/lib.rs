//! The part of the daemon that is root, so that the daemon need not be.
//!
//! The daemon (SQL, TLS, clients) runs as its own user. What a mailbox holds can be seen by its owner alone, so the daemon
//! asks this part, which starts a process that becomes the owner and looks:
//!
//! ```text
//! mailauth-courier (user mailauth)          mailauth-mailboxes (root)            a process of the owner
//!   client  --question, reply socket-->  server: floors, queue, deadlines  -->  looks, counts, makes
//!      ^-----------------------------------answer--------------------------------------+
//! ```
//!
//! A question is one packet of bounded length ([`frame`]) with a socket for the answer. The root part reads that packet and
//! nothing else: no SQL, no TLS, no client of the daemon's, and no mailbox. Only where a home is made in a folder of root's,
//! a process of its own does that as root, by [`mailauth_core::home::as_root`].

mod client;
pub mod frame;
pub mod packet;
#[cfg(feature = "program")]
pub mod server;
mod start;

pub use client::RootPart;
pub use start::{PROGRAM, Rights, own_program, start};

/// Where the root part listens if the configuration does not say.
pub const SOCKET: &str = "/run/mailauth-mailboxes/socket";
