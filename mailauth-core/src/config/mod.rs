//! The configuration: what the administrator wrote, with a default for every key.
//!
//! TOML, from the file given with `--config`, else named by `$MAILAUTH_CONFIG`, else `/etc/mailauth/mailauth.toml`.
//! Without any, the administrator's command goes on with nothing but the defaults, and all other programs say so and
//! end. `mailauth.toml` at the root of the repository is a sample with every key.

mod admin;
mod anchor;
mod cache;
mod database;
mod keys;
mod log;
mod metrics;
mod mistake;
mod outage;
mod parse;
mod password;
mod pop3;
mod secrets;
mod source;
mod throttle;
mod url;
mod value;

pub use admin::AdminConfig;
pub use cache::CacheConfig;
pub use database::{DatabaseConfig, DatabaseUrl, DatabaseUser, HostPort, Server, TlsMode, UrlError};
pub use log::{LogConfig, LogLevel, LoggedDecisions};
pub use metrics::{MetricsAddress, MetricsConfig};
pub use mistake::{ConfigErrors, Mistake, Place};
pub use outage::OutageConfig;
pub use password::PasswordConfig;
pub use pop3::{CramOrder, Pop3Config};
pub use source::{Origin, Source};
pub use throttle::ThrottleConfig;

use crate::authenticate::{Policy, RefusalTime};
use crate::detail::Delimiters;
use crate::mailbox::MailboxDefaults;
use crate::password::Budget;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that can be configured.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `[database]`
    pub database: DatabaseConfig,
    /// `[admin]`
    pub admin: AdminConfig,
    /// `[cache]`
    pub cache: CacheConfig,
    /// `[outage]`
    pub outage: OutageConfig,
    /// `[login]`
    pub login: LoginConfig,
    /// `[address]`
    pub address: AddressConfig,
    /// `[mailbox]`
    pub mailbox: MailboxDefaults,
    /// `[password]`
    pub password: PasswordConfig,
    /// `[throttle]`
    pub throttle: ThrottleConfig,
    /// `[quota]`
    pub quota: QuotaConfig,
    /// `[courier]`
    pub courier: CourierConfig,
    /// `[metrics]`
    pub metrics: MetricsConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `[client]`
    pub client: ClientConfig,
    /// `[pop3]`
    pub pop3: Pop3Config,
}

impl Config {
    /// Settles where the sockets are that were not written, given which were.
    fn settle_sockets(&mut self, is_written: impl Fn(&'static str, &'static str) -> bool) {
        let courier = &mut self.courier;
        if !is_written("courier", "own_socket") && courier.socket != Path::new(COURIER_SOCKET) {
            courier.own_socket = None;
        }
        let client = &mut self.client;
        match (is_written("client", "socket"), &courier.own_socket) {
            (true, _) => client.other_socket = None,
            (false, Some(own)) => {
                (client.socket, client.other_socket) = (own.clone(), Some(courier.socket.clone()));
            }
            (false, None) => (client.socket, client.other_socket) = (courier.socket.clone(), None),
        }
    }

    /// The rules that decisions follow.
    pub fn policy(&self) -> Policy {
        Policy {
            default_domain: self.login.default_domain.clone(),
            separators: self.login.separators.clone(),
            mailbox: self.mailbox.clone(),
            rules: self.password.rules.clone(),
            scheme: self.password.scheme,
            min_length: self.password.min_length,
            unknown_services: self.login.unknown_services,
            alias_domains: self.login.alias_domains,
            delimiters: self.address.delimiters.clone(),
            refusal_time: self.login.refusal_time,
        }
    }

    /// The users to whom the daemon may belong: beside root and the asking program's own user, `[client] server_user`,
    /// or where that is not set `[courier] user`, else `mailauth`.
    pub fn server_user(&self) -> &str {
        let of_daemon = self.courier.user.as_deref().unwrap_or("mailauth");
        self.client.server_user.as_deref().unwrap_or(of_daemon)
    }

    /// `[throttle]` with a delay that no client takes for a frozen daemon: it would ask the database instead.
    pub fn throttle_in_time(&self) -> ThrottleConfig {
        ThrottleConfig { delay: self.throttle.delay.min(self.client.deadline / 3), ..self.throttle.clone() }
    }

    /// Whether the checkpassword program makes a home and Maildir that are missing.
    pub fn makes_homes_by_checkpassword(&self) -> bool {
        self.mailbox.create || self.pop3.create_home
    }

    /// How much hashing a process with this configuration may do at once.
    pub fn budget(&self) -> Budget {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        let parallel = if self.password.parallel == 0 { processors() } else { self.password.parallel };
        Budget::new(parallel, self.password.memory)
    }
}

/// `[login]`: how logins are read, and what they may be used for.
#[derive(Clone, Debug)]
pub struct LoginConfig {
    /// `default_domain`: appended to a login without `@`; none by default.
    pub default_domain: Option<String>,
    /// `separators`: characters of which the last one stands for the `@` in a login that has none; none by default.
    pub separators: String,
    /// `unknown_services`: may an account without restriction use a service of a name we do not know?
    pub unknown_services: bool,
    /// `alias_domains`: whether people may log in with the other names of their domain.
    pub alias_domains: bool,
    /// `refusal_time`: from a request to its refusal.
    pub refusal_time: RefusalTime,
}

/// `[address]`: how the addresses of mail are read.
#[derive(Clone, Debug, Default)]
pub struct AddressConfig {
    /// `delimiter`: what separates a detail from the local part of an address; each character is one.
    pub delimiters: Delimiters,
}

impl Default for LoginConfig {
    fn default() -> Self {
        LoginConfig {
            default_domain: None,
            separators: String::new(),
            unknown_services: true,
            alias_domains: false,
            refusal_time: RefusalTime::Auto,
        }
    }
}

/// `[quota]`: how mail is counted.
#[derive(Clone, Debug, Default)]
pub struct QuotaConfig {
    /// `count_trash`: false as Courier counts, true as Exim and Dovecot count.
    pub count_trash: bool,
    /// `warn`: percentages at which `mailauth deliver` warns a mailbox's owner.
    pub warn: Vec<u8>,
    /// `warning`: a file with the warning's text; none is the built-in one.
    pub warning: Option<PathBuf>,
}

impl QuotaConfig {
    /// The rules of counting.
    pub fn rules(&self) -> crate::quota::CountRules {
        crate::quota::CountRules { count_trash: self.count_trash }
    }
}

/// Where Courier's programs on Debian look for a daemon.
const COURIER_SOCKET: &str = "/run/courier/authdaemon/socket";

/// Where mailauth's own programs look for it. The folder is root's or the daemon's, and so are all above it.
const OWN_SOCKET: &str = "/run/mailauth/socket";

/// `[courier]`: the daemon on the authdaemon socket.
#[derive(Clone, Debug)]
pub struct CourierConfig {
    /// `socket`: its path.
    pub socket: PathBuf,
    /// `socket_mode`: permission bits.
    pub socket_mode: u32,
    /// `socket_group`: name or number; none leaves the daemon's own group.
    pub socket_group: Option<String>,
    /// `own_socket`: the path of the socket for mailauth's own programs; none is only the other one.
    pub own_socket: Option<PathBuf>,
    /// `user`: whom to become once the socket is bound, when started as root; none stays.
    pub user: Option<String>,
    /// `mailboxes`: where a daemon that is not root asks about mailboxes of others; see mailauth-mailboxes.
    pub mailboxes: PathBuf,
    /// `sandbox`: have the kernel refuse system calls that a running daemon does not need, and changes outside its
    /// folders.
    pub sandbox: bool,
    /// `allow_users`: names or numbers of who may connect beside root, the daemon's own user and the socket's group.
    pub allow_users: Vec<String>,
    /// `allow_groups`: the same for groups.
    pub allow_groups: Vec<String>,
    /// `enumerate_users`: who may list all accounts, beside root and the daemon's own user; `*` is all who may connect.
    pub enumerate_users: Vec<String>,
    /// `passwd_users`: the same for changing passwords.
    pub passwd_users: Vec<String>,
    /// `clear_users`: who is sent `PASSWD2=` with a look-up, beside those to whom `send_clear` sends it; Exim's
    /// cram_md5 needs it.
    pub clear_users: Vec<String>,
    /// `send_hash`: send `PASSWD=` with the stored hash.
    pub send_hash: bool,
    /// `send_clear`: send `PASSWD2=` with the clear password, where it is known. Courier's IMAP and POP3 proxy needs
    /// it.
    pub send_clear: bool,
    /// `max_connections`: one more is closed at once, which clients take for "not now".
    pub max_connections: usize,
    /// `max_connections_per_user`: so many of them for each user but root and the daemon's own; 0 is half of them.
    pub max_connections_per_user: usize,
    /// `idle`: without a byte for so long, a connection is closed.
    pub idle: Duration,
    /// `request`: from the first byte to the answer, at most.
    pub request: Duration,
}

impl CourierConfig {
    /// The sockets of the daemon, that for mailauth's own programs first.
    pub fn sockets(&self) -> impl Iterator<Item = &PathBuf> {
        self.own_socket.iter().chain([&self.socket])
    }
}

impl Default for CourierConfig {
    fn default() -> Self {
        CourierConfig {
            socket: COURIER_SOCKET.into(),
            socket_mode: 0o660,
            socket_group: None,
            own_socket: Some(OWN_SOCKET.into()),
            user: None,
            mailboxes: "/run/mailauth-mailboxes/socket".into(),
            sandbox: true,
            allow_users: Vec::new(),
            allow_groups: Vec::new(),
            enumerate_users: Vec::new(),
            passwd_users: Vec::new(),
            clear_users: Vec::new(),
            send_hash: false,
            send_clear: false,
            max_connections: 4000,
            max_connections_per_user: 0,
            idle: Duration::from_secs(10),
            request: Duration::from_secs(25),
        }
    }
}

/// `[client]`: how the programs that other daemons start reach an answer.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `socket`: of the daemon.
    pub socket: PathBuf,
    /// Where the daemon is looked for next, when nothing lets this program in there. None where `socket` is set.
    pub other_socket: Option<PathBuf>,
    /// `server_user`: name or number of the daemon's user; see [`Config::server_user`].
    pub server_user: Option<String>,
    /// `fallback`: ask the database when the daemon is away.
    pub fallback: Fallback,
    /// `deadline`: a daemon that has not answered by then is away.
    pub deadline: Duration,
}

/// What to do when the daemon is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fallback {
    /// `"database"`: ask it directly.
    #[default]
    Database,
    /// `"none"`: the socket alone.
    None,
}

impl Default for ClientConfig {
    fn default() -> Self {
        ClientConfig {
            socket: OWN_SOCKET.into(),
            other_socket: Some(COURIER_SOCKET.into()),
            server_user: None,
            fallback: Fallback::default(),
            deadline: Duration::from_secs(10),
        }
    }
}
