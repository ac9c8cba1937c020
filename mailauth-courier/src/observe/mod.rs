//! What the daemon says about itself: its status, its metrics, and log lines that no client can multiply.

pub(crate) mod exposition;
pub(crate) mod log_limiter;
pub(crate) mod metrics;
pub(crate) mod status;
