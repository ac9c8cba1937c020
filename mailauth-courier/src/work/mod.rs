//! From a request to its answer.

pub(crate) mod dispatcher;
pub(crate) mod fair;
pub(crate) mod hashing;
pub(crate) mod held;
pub(crate) mod learner;
pub(crate) mod presence;
pub(crate) mod queue;
pub(crate) mod recipients;
pub(crate) mod reply;
pub(crate) mod stdio;
pub(crate) mod throttle;
pub(crate) mod turns;
