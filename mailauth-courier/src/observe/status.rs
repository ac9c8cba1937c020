//! The status of the daemon.

use crate::live_config::LiveConfig;
use crate::shared::Shared;
use crate::work::queue::WorkQueue;
use mailauth_core::counters::AnswerCounts;
use mailauth_core::store::{HostState, SnapshotState};
use mailauth_core::throttle::Totals;
use mailauth_dovecot::server::{Dialect, DialectUse};
use mailauth_protocol::status::{
    AnswersByReason, CacheUse, Connections, Host, Kept, KeptSocket, Queue, Snapshot, Status, Throttle,
};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Shared {
    /// Returns the current status. This does not ask a database.
    pub fn status(&self, config: &LiveConfig) -> Status {
        let (counts, limits) = (config.backend.counters.read(), config.limits);
        let store = config.backend.authenticator.state();
        let (mailboxes_error, error_age) = config.backend.mailboxes.trouble().unzip();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            user: Some(rustix::process::geteuid().as_raw()),
            mailboxes_error,
            mailboxes_error_seconds: error_age.map(|age| age.as_secs_f64()),
            uptime_seconds: self.stats.started.elapsed().as_secs_f64(),
            connections: Connections { open: self.slots.taken(), max: limits.total, max_per_user: limits.per_user },
            kept: (config.max_kept > 0).then(|| self.kept(config.max_kept)),
            queues: self.queue_lengths(),
            turned_away: self.stats.turned_away.read(),
            logins: answers(&counts.logins),
            lookups: answers(&counts.lookups),
            secrets: answers(&counts.secrets),
            changes: answers(&counts.changes),
            addresses: answers(&counts.addresses),
            cache: CacheUse {
                hits: counts.hits,
                misses: counts.misses,
                rereads: counts.rereads,
                coalesced: counts.coalesced,
                verified: counts.verified,
            },
            throttle: config.backend.authenticator.throttle().map(|found| throttle(found.ledger().totals())),
            hosts: store.hosts.into_iter().map(host).collect(),
            snapshot: store.snapshot.map(snapshot),
        }
    }

    fn kept(&self, max: usize) -> Kept {
        let socket = |dialect: &Arc<Dialect>| {
            let DialectUse { open, accepted, asked, turned_away } = dialect.usage();
            KeptSocket { name: dialect.name.to_owned(), open, accepted, questions: asked, turned_away }
        };
        Kept { max, sockets: self.dialects.iter().map(socket).collect() }
    }

    fn queue_lengths(&self) -> Vec<Queue> {
        let queues = &self.queues;
        let length = |queue: &WorkQueue| (queue.name(), queue.waiting());
        let lengths = [
            length(&queues.lookups),
            (queues.hashing.name(), queues.hashing.waiting()),
            length(&queues.changes),
            length(&queues.recipients.quick),
            length(&queues.recipients.slow),
            length(queues.slow_writer.pages()),
        ];
        lengths.map(|(name, (waiting, max))| Queue { name: name.to_owned(), waiting, max }).into()
    }
}

fn answers(counts: &AnswerCounts) -> AnswersByReason {
    AnswersByReason {
        yes: counts.yes,
        no: occurred(counts.no_by_reason()),
        not_now: occurred(counts.not_now_by_reason()),
    }
}

fn occurred(reasons: impl Iterator<Item = (&'static str, u64)>) -> BTreeMap<String, u64> {
    reasons.filter(|(_, number)| *number > 0).map(|(reason, number)| (reason.to_owned(), number)).collect()
}

fn throttle(totals: Totals) -> Throttle {
    let Totals { counted, known, most, delayed, refused, put_off } = totals;
    Throttle { counted, known, max: most, delayed, refused, put_off }
}

fn host(state: HostState) -> Host {
    let (last_error, ago) = state.last_error.unzip();
    Host {
        place: state.place,
        role: state.role.name().to_owned(),
        live: state.live,
        full: state.full,
        latency_seconds: state.latency.map(|latency| latency.as_secs_f64()),
        last_error,
        last_error_seconds: ago.map(|ago| ago.as_secs_f64()),
    }
}

fn snapshot(state: SnapshotState) -> Snapshot {
    Snapshot {
        path: state.path.display().to_string(),
        accounts: state.accounts,
        bytes: state.bytes,
        age_seconds: state.age.as_secs_f64(),
        max_age_seconds: state.max_age.map(|age| age.as_secs_f64()),
        in_use: state.in_use,
        refresh_error_seconds: state.failure.as_ref().map(|(since, _)| since.as_secs_f64()),
        refresh_error: state.failure.map(|(_, why)| why),
    }
}
