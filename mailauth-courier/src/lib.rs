//! The Courier authdaemon socket: what is said on it, the server, and the client.

pub mod client;
#[cfg(feature = "server")]
pub mod guesses;
pub mod protocol;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod status;
