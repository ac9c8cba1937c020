//! From a request to its answer.

mod conversations;
pub(crate) mod delayed_replies;
pub(crate) mod dispatcher;
mod fair_queue;
pub(crate) mod hashing;
pub(crate) mod known_maildirs;
pub(crate) mod learner;
mod login;
mod mailboxes;
mod permits;
pub(crate) mod queue;
pub(crate) mod recipient_queues;
mod recipients;
mod response;
mod slow_mailboxes;
pub(crate) mod stdio;
mod throttle;
mod waiting;
