//! What `mailauth check` reports about the folders above the sockets and files that logins depend on.

use super::findings::{Findings, State};
use super::kept::{self, Kept};
use mailauth_core::config::{Config, ListenAddress, MetricsAddress};
use mailauth_core::parents::{Exposed, Writers, exposed, exposed_file};
use mailauth_core::system_ids;
use rustix::process::geteuid;
use std::path::Path;

const SOCKET: &str = "[courier] socket";

/// A file or socket of the configuration.
struct Depended<'c> {
    /// Key that names it, or a description.
    key: &'static str,
    path: &'c Path,
    /// Users other than root and the daemon's that may write to its folder, because only they ask there.
    askers: Vec<u32>,
    /// True if the file itself must not be writable by others either.
    is_file: bool,
}

/// Reports folders and files that users other than root and the daemon's user may write to.
pub(super) fn look(config: &Config, file: Option<&Path>, findings: &mut Findings) {
    let trusted: Vec<u32> =
        [Some(geteuid().as_raw()), system_ids::of_user(config.server_user())].into_iter().flatten().collect();
    let mut found: Vec<(Exposed, Vec<&'static str>)> = Vec::new();
    for Depended { key, path, askers, is_file } in depended(config, file) {
        let trusted = [trusted.clone(), askers].concat();
        let all = if is_file { exposed_file(path, &trusted) } else { exposed(path, &trusted) };
        for exposed in all {
            match found.iter_mut().find(|(known, _)| *known == exposed) {
                Some((_, keys)) => keys.push(key),
                None => found.push((exposed, vec![key])),
            }
        }
    }
    for (exposed, keys) in found {
        let (state, text) = judge(&exposed, &keys, config);
        findings.add("folders", state, text);
    }
}

fn depended<'c>(config: &'c Config, file: Option<&'c Path>) -> Vec<Depended<'c>> {
    let socket = |key, path| Depended { key, path, askers: Vec::new(), is_file: false };
    let secret =
        |key, path: Option<&'c Path>| path.map(|path| Depended { key, path, askers: Vec::new(), is_file: true });
    let metrics = match &config.metrics.listen {
        Some(MetricsAddress::Unix(path)) => Some(path.as_path()),
        _ => None,
    };
    let database = config.database.url.file();
    let folders = [
        Some((SOCKET, config.courier.socket.as_path())),
        config.courier.own_socket.as_deref().map(|path| ("[courier] own_socket", path)),
        Some(("[client] socket", config.client.socket.as_path()))
            .filter(|(_, path)| config.courier.sockets().all(|known| known != path)),
        Some(("[courier] mailboxes", config.courier.mailboxes.as_path())),
        metrics.map(|path| ("[metrics] listen", path)),
        config.outage.snapshot_of(&config.database.url).map(|path| ("[outage] snapshot", path)),
        database.map(|path| ("[database] url", path)),
    ];
    let files = [
        secret("the configuration", file),
        secret("[database] password_file", config.database.password_file.as_deref()),
        secret("[admin] password_file", config.admin.password_file.as_deref()),
    ];
    let folders = folders.into_iter().flatten().map(|(key, path)| socket(key, path));
    folders.chain(kept::sockets(config).filter_map(kept_socket)).chain(files.into_iter().flatten()).collect()
}

/// Returns the path of a socket of `[dovecot]` or `[postfix]`. In the folder `private` of Postfix, only Postfix asks.
fn kept_socket(kept: Kept<'_>) -> Option<Depended<'_>> {
    let ListenAddress::Unix(path) = &kept.socket.address else { return None };
    let askers = [&kept.socket.user, &kept.socket.group].into_iter().flatten();
    let askers = askers.filter_map(|name| system_ids::of_user(name)).collect();
    Some(Depended { key: kept.key, path, askers, is_file: false })
}

fn judge(exposed: &Exposed, keys: &[&str], config: &Config) -> (State, String) {
    let own = config.courier.own_socket.as_ref().map(|own| own.display());
    match (keys, exposed.writers, own) {
        // Debian has this folder, and Courier's programs expect the socket there.
        ([SOCKET], Writers::Group(_), Some(own)) if Some(exposed.path.as_path()) != config.courier.socket.parent() => {
            let text = format!(
                "{exposed}, which is so on Debian; its members could replace {SOCKET}, which Courier's programs use. \
                 mailauth's own programs use {own}. Only Courier's own users should be in that group"
            );
            (State::Ok, text)
        }
        _ => {
            let what = keys.join(", ");
            let text =
                format!("{exposed}; {what} could be replaced there, and logins depend on it; run {}", exposed.remedy());
            (State::Degraded, text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_group_folder_is_advice_if_our_programs_ask_elsewhere() {
        let of_group = Exposed { path: "/run/courier".into(), writers: Writers::Group(0), mode: 0o775 };
        let config = Config::default();
        let (state, text) = judge(&of_group, &[SOCKET], &config);
        assert!(state == State::Ok && text.contains("mailauth's own programs use /run/mailauth/socket"), "{text}");
        let mut alone = Config::default();
        alone.courier.own_socket = None;
        let (state, text) = judge(&of_group, &[SOCKET], &alone);
        assert!(state == State::Degraded && text.ends_with("run chmod go-w /run/courier"), "{text}");
        for (exposed, keys) in [
            (Exposed { writers: Writers::All, ..of_group.clone() }, &[SOCKET][..]),
            (Exposed { path: "/run/courier/authdaemon".into(), ..of_group.clone() }, &[SOCKET]),
            (of_group, &[SOCKET, "[outage] snapshot"]),
        ] {
            assert_eq!(judge(&exposed, keys, &config).0, State::Degraded, "{exposed} {keys:?}");
        }
    }
}
