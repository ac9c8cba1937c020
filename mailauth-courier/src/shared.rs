//! The state that all threads of the daemon share.

use crate::accept::slots::ConnectionSlots;
use crate::io::slow_reader::SlowReader;
use crate::io::slow_writer::SlowWriter;
use crate::live_config::LiveConfig;
use crate::observe::log_limiter::LogLimits;
use crate::observe::stats::Stats;
use crate::work::delayed_replies::DelayedReplies;
use crate::work::hashing::HashingQueue;
use crate::work::known_maildirs::KnownMaildirs;
use crate::work::queue::WorkQueue;
use crate::work::recipient_queues::RecipientQueues;
use mailauth_core::sync::Mutex;
use mailauth_dovecot::server::Dialect;
use std::sync::Arc;

/// State that all threads share.
pub(crate) struct Shared {
    config: Mutex<Arc<LiveConfig>>,
    /// Slots of the open connections.
    pub slots: ConnectionSlots,
    pub queues: Queues,
    pub stats: Stats,
    pub log_limits: LogLimits,
    /// Maildirs that existed a short while ago.
    pub known_maildirs: KnownMaildirs,
    /// What is spoken on kept connections.
    pub dialects: Vec<Arc<Dialect>>,
}

/// Queues of work and of slow clients, each with threads of its own.
pub(crate) struct Queues {
    /// Clients that have not sent their complete request.
    pub slow_reader: SlowReader,
    /// Look-ups and cheap passwords that the thread with the request cannot handle itself.
    pub lookups: Arc<WorkQueue>,
    /// Passwords that take milliseconds to hash.
    pub hashing: Arc<HashingQueue>,
    /// `PASSWD`, which looks up, hashes and writes; and the creation of mailboxes.
    pub changes: Arc<WorkQueue>,
    /// `ASK recipient` and `ASK account`, which may count a mailbox.
    pub recipients: RecipientQueues,
    /// `ENUMERATE`, and answers that a client is slow to read.
    pub slow_writer: Arc<SlowWriter>,
    /// Refusals, until they are sent.
    pub delayed_replies: DelayedReplies,
}

impl Shared {
    pub fn new(config: LiveConfig, queues: Queues, dialects: Vec<Arc<Dialect>>) -> Self {
        Shared {
            config: Mutex::new(Arc::new(config)),
            slots: ConnectionSlots::default(),
            queues,
            stats: Stats::new(),
            log_limits: LogLimits::default(),
            known_maildirs: KnownMaildirs::default(),
            dialects,
        }
    }

    /// Returns the configuration in force.
    pub fn config(&self) -> Arc<LiveConfig> {
        Arc::clone(&self.config.lock())
    }

    /// Replaces the configuration in force. What the old authenticator has learned goes to the new one.
    pub fn replace_config(&self, new: LiveConfig) {
        let mut current = self.config.lock();
        current.backend.authenticator.leave_to(Arc::clone(&new.backend.authenticator));
        *current = Arc::new(new);
    }
}
