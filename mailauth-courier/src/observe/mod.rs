//! What the daemon reports about itself: its status, its metrics, and log lines that clients cannot multiply.

mod exposition;
pub(crate) mod log_limiter;
pub(crate) mod metrics;
mod process_use;
pub(crate) mod stats;
mod status;
