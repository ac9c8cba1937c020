//! The daemon that answers on the Courier authdaemon socket.

pub mod server;
