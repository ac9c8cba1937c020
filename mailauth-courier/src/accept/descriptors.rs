//! Enough file descriptors for the connections that the configuration promises.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors beside the connections: log, sockets, epoll, clients that read metrics, the database's connections and
/// files.
const OTHERS: u64 = 512;

/// Raises the limit of open files as far as `connections` need and the system lets. Returns how many connections fit.
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
    // Not root: as far as the hard limit.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let current = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if current >= needed {
        return connections;
    }
    let fit = usize::try_from(current.saturating_sub(OTHERS)).unwrap_or(usize::MAX).clamp(1, connections.max(1));
    tracing::warn!(
        max_connections = connections,
        allowed = fit,
        "the system allows {current} open files, so fewer connections are taken; raise the limit (LimitNOFILE in the \
         systemd unit, or ulimit -n) to {needed}"
    );
    fit
}
