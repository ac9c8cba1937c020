//! The process itself: its signals, its user, and what the kernel lets it do.

pub(crate) mod identity;
pub(crate) mod interrupt;
pub(crate) mod panic;
pub mod sandbox;
pub mod signals;
