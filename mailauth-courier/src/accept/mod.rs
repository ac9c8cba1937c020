//! Taking connections: the sockets, the users that may connect, and the threads that accept.

mod accept_loop;
pub(crate) mod acceptor;
pub(crate) mod access;
pub(crate) mod descriptors;
mod folder;
pub(crate) mod kept;
pub(crate) mod listener;
pub(crate) mod load;
pub(crate) mod passed;
mod scope;
pub(crate) mod slots;
