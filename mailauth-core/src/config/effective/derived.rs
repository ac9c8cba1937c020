//! Values that follow from other keys or from the machine, and notes about values.

use super::super::written::{Written, size, word};
use super::super::{Config, HostPort, TlsMode};
use super::{EffectiveKey, ValueOrigin};
use crate::mailbox::LEAST_ID;
use crate::names;
use toml::Value;

/// A value that is derived, if there is one, and a note.
type Explained = (Option<Value>, String);

/// Returns the key with the value that it has in effect, and with what there is to know about it.
pub(super) fn explain(key: EffectiveKey, config: &Config) -> EffectiveKey {
    let is_set = matches!(key.from, ValueOrigin::File(_) | ValueOrigin::Profile(_) | ValueOrigin::Mistake(_));
    let explained = if is_set { None } else { derive(&key, config) };
    match explained {
        Some((value, note)) => EffectiveKey { value, from: ValueOrigin::Derived, note: Some(note), ..key },
        None => EffectiveKey { note: note(&key, config), ..key },
    }
}

/// Returns the value of a key that is not set, if it follows from something else.
fn derive(key: &EffectiveKey, config: &Config) -> Option<Explained> {
    let (database, courier, mailbox) = (&config.database, &config.courier, &config.mailbox);
    let same = |note: &str| Some((key.value.clone(), note.to_owned()));
    match (key.section.as_str(), key.name.as_str()) {
        ("database", "url") => {
            same("for the mailauth command only; all other programs that ask the database need this key")
        }
        ("database", "tls") => Some(tls(config)),
        ("admin", name) => of_admin(name, config),
        ("cache", "memory") => Some((size(config.cache.memory()), "64M, or 1K for each of accounts".to_owned())),
        ("mailbox", "min_uid") => Some(least(mailbox.uid, "uid")),
        ("mailbox", "min_gid") => Some(least(mailbox.gid, "gid")),
        ("mailbox", "root") if mailbox.root.is_some() => same("[schema] rows name their own folders"),
        ("mailbox", "root") => {
            let folders: Vec<_> = mailbox.folders().map(|folder| folder.display().to_string()).collect();
            let value = if let [only] = &folders[..] { only.written() } else { None };
            Some((value, format!("where home and maildir begin: {}", folders.join(" and "))))
        }
        ("courier", "own_socket") if courier.own_socket.is_none() => same("none, because socket is set"),
        ("courier", "socket_group") => Some((None, "the daemon's own group".to_owned())),
        ("client", "socket") => {
            let other = config.client.other_socket.as_ref();
            let then = other.map(|path| format!(", and then {}", path.display())).unwrap_or_default();
            let of = if courier.own_socket.is_some() { "own_socket" } else { "socket" };
            Some((key.value.clone(), format!("[courier] {of}{then}")))
        }
        ("client", "server_user") => {
            let from = if courier.user.is_some() { "[courier] user" } else { "the usual user" };
            Some((config.server_user().to_owned().written(), from.to_owned()))
        }
        ("database", "server_user") if database.url.server().is_some() => {
            Some((None, "the usual users of a server".to_owned()))
        }
        _ => None,
    }
}

/// Returns a note about a value.
fn note(key: &EffectiveKey, config: &Config) -> Option<String> {
    let (courier, mailbox) = (&config.courier, &config.mailbox);
    match (key.section.as_str(), key.name.as_str()) {
        ("database" | "admin", "password_file") if key.value.is_some() => Some("not read by this command".to_owned()),
        ("mailbox", "uid") => mailbox.uid.map(names::user),
        ("mailbox", "gid") => mailbox.gid.map(names::group),
        ("password", "parallel") if config.password.parallel == 0 => {
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            Some(format!("one for each processor: {processors}"))
        }
        ("courier", "max_connections_per_user") if courier.max_connections_per_user == 0 => {
            Some(format!("half of max_connections: {}", (courier.max_connections / 2).max(1)))
        }
        ("throttle", "delay") if config.throttle_in_time().delay < config.throttle.delay => {
            let most = config.throttle_in_time().delay.written()?;
            Some(format!("in effect {most}, a third of [client] deadline"))
        }
        ("outage", "snapshot") if config.outage.snapshot_of(&config.database.url).is_none() => {
            Some(if config.outage.enabled { "not used: SQLite needs no copy" } else { "not used" }.to_owned())
        }
        ("pop3", "create_home") if mailbox.create && !config.pop3.create_home => {
            Some("in effect true, by [mailbox] create".to_owned())
        }
        _ => None,
    }
}

/// Returns the mode of TLS for each host, if it is the same for all.
fn tls(config: &Config) -> Explained {
    let Some(server) = config.database.url.server() else {
        return (None, "SQLite is a file of this machine".to_owned());
    };
    let modes = [("disable", Some(TlsMode::Disable)), ("verify-full", Some(TlsMode::VerifyFull))];
    let written = |local: bool| word(&modes, &Some(if local { TlsMode::Disable } else { TlsMode::VerifyFull }));
    let locals: Vec<bool> = server.hosts.iter().map(HostPort::is_loopback).collect();
    match (locals.iter().all(|local| *local), locals.contains(&true)) {
        (true, _) => (written(true), "all hosts are on this machine".to_owned()),
        (false, false) => (written(false), "the hosts are on other machines".to_owned()),
        (false, true) => {
            let each = server.hosts.iter().map(|host| {
                let mode = if host.is_loopback() { "disable" } else { "verify-full" };
                format!("{mode} for {host}")
            });
            (None, each.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Returns the value of a key of `[admin]`, which is that of `[database]` if it is not set.
fn of_admin(name: &str, config: &Config) -> Option<Explained> {
    let Some(administrator) = config.administrator() else {
        return Some((None, "the command uses the user of [database]".to_owned()));
    };
    let value = match name {
        "tls" => {
            return Some((tls(config).0, "as [database] tls".to_owned())).filter(|_| config.database.tls.is_none());
        }
        "tls_ca" => administrator.tls_ca.written(),
        "tls_cert" => administrator.tls_cert.written(),
        "tls_key" => administrator.tls_key.written(),
        _ => None,
    };
    value.map(|value| (Some(value), format!("as [database] {name}")))
}

/// Returns the minimum of an id.
fn least(only: Option<u32>, key: &str) -> Explained {
    match only {
        Some(id) => (None, format!("only {key} {id} is permitted")),
        None => (LEAST_ID.written(), format!("the minimum while {key} is not set")),
    }
}
