//! How this server is, for who asks.

use crate::live_config::Live;
use crate::work::dispatcher::Works;
use crate::work::queue::Lane;
use mailauth_core::counters::AnswerCounts;
use mailauth_core::store::{HostState, SnapshotState};
use mailauth_core::throttle::Totals;
use mailauth_protocol::status::{
    AnswersByReason, CacheUse, Connections, Host, Queue, Snapshot, Status, Throttle, TurnedAway,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts who got no answer.
#[derive(Default)]
pub(crate) struct Refusals {
    pub crowded: AtomicU64,
    pub over_share: AtomicU64,
    pub queue_full: AtomicU64,
    pub gone: AtomicU64,
    pub strangers: AtomicU64,
}

impl Refusals {
    fn read(&self) -> TurnedAway {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TurnedAway {
            crowded: read(&self.crowded),
            over_share: read(&self.over_share),
            queue_full: read(&self.queue_full),
            gone: read(&self.gone),
            strangers: read(&self.strangers),
        }
    }
}

impl Works {
    /// How all of it is now. Asks no database.
    pub fn status(&self, live: &Live) -> Status {
        let counts = live.backend.counters.read();
        let store = live.backend.authenticator.state();
        let (mailboxes_error, trouble_for) = live.backend.mailboxes.trouble().unzip();
        let lane = |lane: &Lane| (lane.name(), lane.waiting());
        let hashing = (self.hashing.name(), self.hashing.waiting());
        let (recipients, counts_lane) = (lane(&self.recipients.quick), lane(&self.recipients.slow));
        let changes = lane(&self.changes);
        let queues = [lane(&self.lookups), hashing, changes, recipients, counts_lane, lane(self.outbox.pages())];
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            user: Some(rustix::process::geteuid().as_raw()),
            mailboxes_error,
            mailboxes_error_seconds: trouble_for.map(|seconds| seconds.as_secs_f64()),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            connections: Connections { open: self.places.taken(), max: live.room.all, max_per_user: live.room.each },
            queues: queues.map(|(name, (waiting, max))| Queue { name: name.to_owned(), waiting, max }).into(),
            turned_away: self.turned_away.read(),
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
            throttle: live.backend.authenticator.throttle().map(|throttle| guesses(throttle.ledger().totals())),
            hosts: store.hosts.into_iter().map(host).collect(),
            snapshot: store.snapshot.map(snapshot),
        }
    }
}

fn answers(counts: &AnswerCounts) -> AnswersByReason {
    AnswersByReason {
        yes: counts.yes,
        no: came_up(counts.no_by_reason()),
        not_now: came_up(counts.not_now_by_reason()),
    }
}

fn came_up(reasons: impl Iterator<Item = (&'static str, u64)>) -> BTreeMap<String, u64> {
    reasons.filter(|(_, number)| *number > 0).map(|(reason, number)| (reason.to_owned(), number)).collect()
}

fn guesses(totals: Totals) -> Throttle {
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
        in_use: state.in_use,
        refresh_error_seconds: state.failure.as_ref().map(|(since, _)| since.as_secs_f64()),
        refresh_error: state.failure.map(|(_, why)| why),
    }
}
