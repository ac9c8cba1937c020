//! Connects to database servers: addresses, sockets, and the identity of the process at the other end.

pub(in crate::store::driver) mod advice;
pub(in crate::store::driver) mod answer_limit;
pub(in crate::store::driver) mod dial;
pub(in crate::store) mod endpoint;
pub(in crate::store::driver) mod loopback;
pub(in crate::store::driver) mod name_lookup;
pub(in crate::store::driver) mod server_user;
pub(in crate::store::driver) mod socket_error;
