//! Taking connections: the sockets, the users that may connect, and the threads that accept.

pub(crate) mod acceptor;
pub(crate) mod descriptors;
pub(crate) mod folder;
pub(crate) mod listener;
pub(crate) mod load;
pub(crate) mod peer;
pub(crate) mod slots;
