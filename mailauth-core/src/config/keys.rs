//! All keys. To add one, add a field to the struct of its section, and a line here: how it is read, and how it is written.

use super::listen::sockets;
use super::value::Value;
use super::written::{Written, mode, path_or_none, size, word};
use super::{Config, CramOrder, Fallback, LogLevel, LoggedDecisions, TlsMode};
use crate::authenticate::MAX_PASSWORD;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A key, and the functions that store its value in the configuration and return it.
#[derive(Debug)]
pub(super) struct Key {
    pub section: &'static str,
    pub name: &'static str,
    pub set: Set,
    /// Returns the value in the configuration; `None` if there is none.
    pub get: Get,
}

type Set = fn(&mut Config, &Value<'_>) -> Result<(), String>;
type Get = fn(&Config) -> Option<toml::Value>;

const fn key(section: &'static str, name: &'static str, set: Set, get: Get) -> Key {
    Key { section, name, set, get }
}

fn put<T>(field: &mut T, value: Result<T, String>) -> Result<(), String> {
    value.map(|value| *field = value)
}

/// Range of waiting times.
const WAIT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3600);

/// Range of the maximum age of a copy that is used during an outage.
const AGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 3600);

/// Range of the interval between two comparisons of a copy with the database.
const REFRESH: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

const TLS_MODES: &[(&str, Option<TlsMode>)] = &[
    ("disable", Some(TlsMode::Disable)),
    ("require", Some(TlsMode::Require)),
    ("verify-ca", Some(TlsMode::VerifyCa)),
    ("verify-full", Some(TlsMode::VerifyFull)),
];

const FALLBACK: &[(&str, Fallback)] = &[("database", Fallback::Database), ("none", Fallback::None)];

const LEVEL: &[(&str, LogLevel)] =
    &[("error", LogLevel::Error), ("warn", LogLevel::Warn), ("info", LogLevel::Info), ("debug", LogLevel::Debug)];

const DECISIONS: &[(&str, LoggedDecisions)] = &[("all", LoggedDecisions::All), ("refused", LoggedDecisions::Refused)];

const CRAM_ORDER: &[(&str, CramOrder)] =
    &[("digest-challenge", CramOrder::DigestChallenge), ("challenge-digest", CramOrder::ChallengeDigest)];

/// Range of the number of entries that are kept.
const ENTRIES: RangeInclusive<u64> = 0..=10_000_000;

/// Range of the number of wrong passwords that are allowed.
const GUESSES: RangeInclusive<u64> = 3..=1_000_000;

/// Range of the time in which the whole allowance is restored.
const WINDOW: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(7 * 24 * 3600);

/// Range of the delay of a refusal. Clients regard a daemon that is silent for longer as frozen.
const DELAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(5);

/// Range of the time for which a network is known.
const KNOWN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(366 * 24 * 3600);

/// Range of the id of a user or group. The largest number means "no id" to the system.
const ID: RangeInclusive<u64> = 0..=u32::MAX as u64 - 1;

/// Range of the memory that a verification may use.
const COST: RangeInclusive<u64> = 1 << 20..=64 << 30;

/// All keys, in the order of the sample configuration.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key("database", "url", |c, v| put(&mut c.database.url, v.url()), |c| c.database.url.written()),
    key("database", "password_file", |c, v| put(&mut c.database.password_file, v.path().map(Some)), |c| c.database.password_file.written()),
    key("database", "server_user", |c, v| put(&mut c.database.server_user, v.name().map(Some)), |c| c.database.server_user.written()),
    key("database", "tls", |c, v| put(&mut c.database.tls, v.word(TLS_MODES)), |c| word(TLS_MODES, &c.database.tls)),
    key("database", "tls_ca", |c, v| put(&mut c.database.tls_ca, v.path().map(Some)), |c| c.database.tls_ca.written()),
    key("database", "tls_cert", |c, v| put(&mut c.database.tls_cert, v.path().map(Some)), |c| c.database.tls_cert.written()),
    key("database", "tls_key", |c, v| put(&mut c.database.tls_key, v.path().map(Some)), |c| c.database.tls_key.written()),
    key("database", "deadline", |c, v| put(&mut c.database.deadline, v.duration(WAIT)), |c| c.database.deadline.written()),
    key("database", "pool", |c, v| put(&mut c.database.pool, v.small(1..=1000)), |c| c.database.pool.written()),
    key("database", "dirty_reads", |c, v| put(&mut c.database.dirty_reads, v.boolean()), |c| c.database.dirty_reads.written()),
    key("schema", "profile", |c, v| put(&mut c.schema.profile, v.profile()), |c| c.schema.profile.written()),
    key("admin", "url", |c, v| put(&mut c.admin.url, v.url().map(Some)), |c| c.admin.url.written()),
    key("admin", "password_file", |c, v| put(&mut c.admin.password_file, v.path().map(Some)), |c| c.admin.password_file.written()),
    key("admin", "tls", |c, v| put(&mut c.admin.tls, v.word(TLS_MODES)), |c| word(TLS_MODES, &c.admin.tls)),
    key("admin", "tls_ca", |c, v| put(&mut c.admin.tls_ca, v.path().map(Some)), |c| c.admin.tls_ca.written()),
    key("admin", "tls_cert", |c, v| put(&mut c.admin.tls_cert, v.path().map(Some)), |c| c.admin.tls_cert.written()),
    key("admin", "tls_key", |c, v| put(&mut c.admin.tls_key, v.path().map(Some)), |c| c.admin.tls_key.written()),
    key("cache", "enabled", |c, v| put(&mut c.cache.enabled, v.boolean()), |c| c.cache.enabled.written()),
    key("cache", "accounts", |c, v| put(&mut c.cache.accounts, v.small(ENTRIES)), |c| c.cache.accounts.written()),
    key("cache", "found", |c, v| put(&mut c.cache.found, v.duration(WAIT)), |c| c.cache.found.written()),
    key("cache", "unknown", |c, v| put(&mut c.cache.unknown, v.duration(WAIT)), |c| c.cache.unknown.written()),
    key("cache", "memory", |c, v| put(&mut c.cache.memory, v.bytes(1 << 20..=1 << 40).map(Some)), |c| c.cache.memory.and_then(size)),
    key("cache", "verified", |c, v| put(&mut c.cache.verified, v.small(ENTRIES)), |c| c.cache.verified.written()),
    key("cache", "verified_for", |c, v| put(&mut c.cache.verified_for, v.duration(WAIT)), |c| c.cache.verified_for.written()),
    key("outage", "enabled", |c, v| put(&mut c.outage.enabled, v.boolean()), |c| c.outage.enabled.written()),
    key("outage", "snapshot", |c, v| put(&mut c.outage.snapshot, v.absolute_path()), |c| c.outage.snapshot.written()),
    key("outage", "max_age", |c, v| put(&mut c.outage.max_age, v.duration(AGE)), |c| c.outage.max_age.written()),
    key("outage", "refresh", |c, v| put(&mut c.outage.refresh, v.duration(REFRESH)), |c| c.outage.refresh.written()),
    key("login", "default_domain", |c, v| put(&mut c.login.default_domain, v.domain().map(Some)), |c| c.login.default_domain.written()),
    key("login", "separators", |c, v| put(&mut c.login.separators, v.separators()), |c| c.login.separators.written()),
    key("login", "unknown_services", |c, v| put(&mut c.login.unknown_services, v.boolean()), |c| c.login.unknown_services.written()),
    key("login", "alias_domains", |c, v| put(&mut c.login.alias_domains, v.boolean()), |c| c.login.alias_domains.written()),
    key("login", "refusal_time", |c, v| put(&mut c.login.refusal_time, v.refusal_time()), |c| c.login.refusal_time.written()),
    key("address", "delimiter", |c, v| put(&mut c.address.delimiters, v.delimiters()), |c| c.address.delimiters.written()),
    key("mailbox", "home", |c, v| put(&mut c.mailbox.home, v.absolute_template_or_none()), |c| c.mailbox.home.written()),
    key("mailbox", "maildir", |c, v| put(&mut c.mailbox.maildir, v.template()), |c| c.mailbox.maildir.written()),
    key("mailbox", "uid", |c, v| put(&mut c.mailbox.uid, v.user().map(Some)), |c| c.mailbox.uid.written()),
    key("mailbox", "gid", |c, v| put(&mut c.mailbox.gid, v.group().map(Some)), |c| c.mailbox.gid.written()),
    key("mailbox", "quota", |c, v| put(&mut c.mailbox.quota, v.quota()), |c| c.mailbox.quota.written()),
    key("mailbox", "allow_root", |c, v| put(&mut c.mailbox.allow_root, v.boolean()), |c| c.mailbox.allow_root.written()),
    key("mailbox", "min_uid", |c, v| put(&mut c.mailbox.min_uid, v.small(ID).map(Some)), |c| c.mailbox.min_uid.written()),
    key("mailbox", "min_gid", |c, v| put(&mut c.mailbox.min_gid, v.small(ID).map(Some)), |c| c.mailbox.min_gid.written()),
    key("mailbox", "root", |c, v| put(&mut c.mailbox.root, v.absolute_text().map(Some)), |c| c.mailbox.root.written()),
    key("mailbox", "create", |c, v| put(&mut c.mailbox.create, v.boolean()), |c| c.mailbox.create.written()),
    key("password", "scheme", |c, v| put(&mut c.password.scheme, v.scheme()), |c| c.password.scheme.written()),
    key("password", "default_scheme", |c, v| put(&mut c.password.rules.default_scheme, v.default_scheme()), |c| c.password.rules.default_scheme.written()),
    key("password", "trim", |c, v| put(&mut c.password.rules.trim, v.boolean()), |c| c.password.rules.trim.written()),
    key("password", "min_length", |c, v| put(&mut c.password.min_length, v.small(1..=MAX_PASSWORD as u64)), |c| c.password.min_length.written()),
    key("password", "parallel", |c, v| put(&mut c.password.parallel, v.small(0..=1024)), |c| c.password.parallel.written()),
    key("password", "memory", |c, v| put(&mut c.password.memory, v.bytes(COST)), |c| size(c.password.memory)),
    key("password", "max_sha_crypt_rounds", |c, v| put(&mut c.password.rules.limits.sha_crypt_rounds, v.small(1000..=999_999_999)), |c| c.password.rules.limits.sha_crypt_rounds.written()),
    key("password", "max_bcrypt_cost", |c, v| put(&mut c.password.rules.limits.bcrypt_cost, v.small(4..=31)), |c| c.password.rules.limits.bcrypt_cost.written()),
    key("password", "max_pbkdf2_iterations", |c, v| put(&mut c.password.rules.limits.pbkdf2_iterations, v.small(1..=u64::from(u32::MAX))), |c| c.password.rules.limits.pbkdf2_iterations.written()),
    key("password", "max_argon2_memory", |c, v| put(&mut c.password.rules.limits.argon2_memory_kib, v.kib(COST)), |c| size(u64::from(c.password.rules.limits.argon2_memory_kib) << 10)),
    key("password", "max_argon2_lanes", |c, v| put(&mut c.password.rules.limits.argon2_lanes, v.small(1..=1024)), |c| c.password.rules.limits.argon2_lanes.written()),
    key("password", "max_argon2_work", |c, v| put(&mut c.password.rules.limits.argon2_work_kib, v.kib(1 << 20..=1 << 50)), |c| size(c.password.rules.limits.argon2_work_kib << 10)),
    key("password", "max_scrypt_memory", |c, v| put(&mut c.password.rules.limits.scrypt_memory_kib, v.kib(COST)), |c| size(u64::from(c.password.rules.limits.scrypt_memory_kib) << 10)),
    key("throttle", "enabled", |c, v| put(&mut c.throttle.enabled, v.boolean()), |c| c.throttle.enabled.written()),
    key("throttle", "allowance", |c, v| put(&mut c.throttle.allowance, v.small(GUESSES)), |c| c.throttle.allowance.written()),
    key("throttle", "per_network", |c, v| put(&mut c.throttle.per_network, v.small(GUESSES)), |c| c.throttle.per_network.written()),
    key("throttle", "per_account", |c, v| put(&mut c.throttle.per_account, v.small(GUESSES)), |c| c.throttle.per_account.written()),
    key("throttle", "window", |c, v| put(&mut c.throttle.window, v.duration(WINDOW)), |c| c.throttle.window.written()),
    key("throttle", "delay", |c, v| put(&mut c.throttle.delay, v.duration(DELAY)), |c| c.throttle.delay.written()),
    key("throttle", "remember", |c, v| put(&mut c.throttle.remember, v.duration(KNOWN)), |c| c.throttle.remember.written()),
    key("throttle", "exempt", |c, v| put(&mut c.throttle.exempt, v.networks()), |c| c.throttle.exempt.written()),
    key("throttle", "shared", |c, v| put(&mut c.throttle.shared, v.networks()), |c| c.throttle.shared.written()),
    key("throttle", "file", |c, v| put(&mut c.throttle.file, v.absolute_path()), |c| c.throttle.file.written()),
    key("quota", "count_trash", |c, v| put(&mut c.quota.count_trash, v.boolean()), |c| c.quota.count_trash.written()),
    key("quota", "warn", |c, v| put(&mut c.quota.warn, v.percents()), |c| c.quota.warn.written()),
    key("quota", "warning", |c, v| put(&mut c.quota.warning, v.path().map(Some)), |c| c.quota.warning.written()),
    key("courier", "socket", |c, v| put(&mut c.courier.socket, v.socket()), |c| c.courier.socket.written()),
    key("courier", "socket_mode", |c, v| put(&mut c.courier.socket_mode, v.mode()), |c| mode(c.courier.socket_mode)),
    key("courier", "socket_group", |c, v| put(&mut c.courier.socket_group, v.name().map(Some)), |c| c.courier.socket_group.written()),
    key("courier", "own_socket", |c, v| put(&mut c.courier.own_socket, v.socket_or_none()), |c| path_or_none(c.courier.own_socket.as_deref())),
    key("courier", "user", |c, v| put(&mut c.courier.user, v.name().map(Some)), |c| c.courier.user.written()),
    key("courier", "mailboxes", |c, v| put(&mut c.courier.mailboxes, v.absolute_path()), |c| c.courier.mailboxes.written()),
    key("courier", "sandbox", |c, v| put(&mut c.courier.sandbox, v.boolean()), |c| c.courier.sandbox.written()),
    key("courier", "allow_users", |c, v| put(&mut c.courier.allow_users, v.names()), |c| c.courier.allow_users.written()),
    key("courier", "allow_groups", |c, v| put(&mut c.courier.allow_groups, v.names()), |c| c.courier.allow_groups.written()),
    key("courier", "enumerate_users", |c, v| put(&mut c.courier.enumerate_users, v.names()), |c| c.courier.enumerate_users.written()),
    key("courier", "passwd_users", |c, v| put(&mut c.courier.passwd_users, v.names()), |c| c.courier.passwd_users.written()),
    key("courier", "clear_users", |c, v| put(&mut c.courier.clear_users, v.names()), |c| c.courier.clear_users.written()),
    key("courier", "send_hash", |c, v| put(&mut c.courier.send_hash, v.boolean()), |c| c.courier.send_hash.written()),
    key("courier", "send_clear", |c, v| put(&mut c.courier.send_clear, v.boolean()), |c| c.courier.send_clear.written()),
    key("courier", "max_connections", |c, v| put(&mut c.courier.max_connections, v.small(1..=1_000_000)), |c| c.courier.max_connections.written()),
    key("courier", "max_connections_per_user", |c, v| put(&mut c.courier.max_connections_per_user, v.small(0..=1_000_000)), |c| c.courier.max_connections_per_user.written()),
    key("courier", "idle", |c, v| put(&mut c.courier.idle, v.duration(WAIT)), |c| c.courier.idle.written()),
    key("courier", "request", |c, v| put(&mut c.courier.request, v.duration(WAIT)), |c| c.courier.request.written()),
    key("dovecot", "client_socket", |c, v| put(&mut c.dovecot.client, v.listen_sockets(0o660)), |c| sockets(&c.dovecot.client)),
    key("dovecot", "login_socket", |c, v| put(&mut c.dovecot.login, v.listen_paths(0o666)), |c| sockets(&c.dovecot.login)),
    key("dovecot", "userdb_socket", |c, v| put(&mut c.dovecot.userdb, v.listen_paths(0o600)), |c| sockets(&c.dovecot.userdb)),
    key("dovecot", "master_socket", |c, v| put(&mut c.dovecot.master, v.listen_paths(0o600)), |c| sockets(&c.dovecot.master)),
    key("dovecot", "mechanisms", |c, v| put(&mut c.dovecot.mechanisms, v.mechanisms()), |c| c.dovecot.mechanisms.written()),
    key("dovecot", "require_secured", |c, v| put(&mut c.dovecot.require_secured, v.boolean()), |c| c.dovecot.require_secured.written()),
    key("dovecot", "max_connections", |c, v| put(&mut c.dovecot.max_connections, v.small(1..=1_000_000)), |c| c.dovecot.max_connections.written()),
    key("postfix", "socketmap_socket", |c, v| put(&mut c.postfix.socketmap, v.listen_paths(0o660)), |c| sockets(&c.postfix.socketmap)),
    key("postfix", "policy_socket", |c, v| put(&mut c.postfix.policy, v.listen_paths(0o660)), |c| sockets(&c.postfix.policy)),
    key("metrics", "listen", |c, v| put(&mut c.metrics.listen, v.metrics_address().map(Some)), |c| c.metrics.listen.written()),
    key("log", "level", |c, v| put(&mut c.log.level, v.word(LEVEL)), |c| word(LEVEL, &c.log.level)),
    key("log", "decisions", |c, v| put(&mut c.log.decisions, v.word(DECISIONS)), |c| word(DECISIONS, &c.log.decisions)),
    key("client", "socket", |c, v| put(&mut c.client.socket, v.socket()), |c| c.client.socket.written()),
    key("client", "server_user", |c, v| put(&mut c.client.server_user, v.name().map(Some)), |c| c.client.server_user.written()),
    key("client", "fallback", |c, v| put(&mut c.client.fallback, v.word(FALLBACK)), |c| word(FALLBACK, &c.client.fallback)),
    key("client", "deadline", |c, v| put(&mut c.client.deadline, v.duration(WAIT)), |c| c.client.deadline.written()),
    key("pop3", "service", |c, v| put(&mut c.pop3.service, v.service()), |c| c.pop3.service.written()),
    key("pop3", "dovecot", |c, v| put(&mut c.pop3.dovecot, v.boolean()), |c| c.pop3.dovecot.written()),
    key("pop3", "become_owner", |c, v| put(&mut c.pop3.become_owner, v.boolean()), |c| c.pop3.become_owner.written()),
    key("pop3", "create_home", |c, v| put(&mut c.pop3.create_home, v.boolean()), |c| c.pop3.create_home.written()),
    key("pop3", "apop", |c, v| put(&mut c.pop3.apop, v.boolean()), |c| c.pop3.apop.written()),
    key("pop3", "cram_order", |c, v| put(&mut c.pop3.cram_order, v.word(CRAM_ORDER)), |c| word(CRAM_ORDER, &c.pop3.cram_order)),
    key("pop3", "recount", |c, v| put(&mut c.pop3.recount, v.boolean()), |c| c.pop3.recount.written()),
    key("pop3", "recount_time", |c, v| put(&mut c.pop3.recount_time, v.duration(WAIT)), |c| c.pop3.recount_time.written()),
];
