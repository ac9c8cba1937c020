//! The process itself: its signals, its user, and what the kernel lets it do.

pub(crate) mod identity;
pub mod sandbox;
pub mod signals;
