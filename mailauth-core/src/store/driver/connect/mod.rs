//! Connects to database servers: addresses, sockets, and the identity of the process at the other end.

pub(in crate::store) mod advice;
pub(in crate::store) mod answer_limit;
pub(in crate::store) mod dial;
pub(in crate::store) mod endpoint;
pub(in crate::store) mod loopback;
pub(in crate::store) mod name_lookup;
pub(in crate::store) mod server_user;
