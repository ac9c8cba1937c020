//! How much mail an account may keep.

mod limits;

pub use limits::{Limits, LimitsError};
