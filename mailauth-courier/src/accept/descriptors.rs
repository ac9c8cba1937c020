//! The limit of open files, which has to suffice for the connections that the configuration permits.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Number of descriptors in addition to those of connections: for the log, sockets, epoll, clients that read metrics,
/// and the connections and files of the database.
const OTHERS: u64 = 512;

/// Raises the limit of open files as far as `connections` need and the system permits. Returns the number of
/// connections for which it suffices.
pub(crate) fn reserve(connections: usize) -> usize {
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHERS);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return connections;
    }
    let raised = Rlimit { current: Some(needed), maximum: limit.maximum.map(|maximum| maximum.max(needed)) };
    if setrlimit(Resource::Nofile, raised).is_ok() {
        return connections;
    }
    // Only root may exceed the hard limit.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let current = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if current >= needed {
        return connections;
    }
    let fit = usize::try_from(current.saturating_sub(OTHERS)).unwrap_or(usize::MAX).clamp(1, connections.max(1));
    tracing::warn!(
        max_connections = connections,
        allowed = fit,
        "the system permits {current} open files, so fewer connections are accepted; raise the limit (LimitNOFILE in the \
         systemd unit, or ulimit -n) to {needed}"
    );
    fit
}
