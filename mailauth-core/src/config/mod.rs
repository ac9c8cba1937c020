//! The configuration, with a default for every key.
//!
//! It is TOML, from the file given with `--config`, otherwise from the file named by `$MAILAUTH_CONFIG`, otherwise
//! from `/etc/mailauth/mailauth.toml`. If there is no file, the administrator's command uses the defaults, and all
//! other programs report it and exit. `mailauth.toml` at the root of the repository is a sample with every key.

mod admin;
mod anchor;
mod cache;
mod database;
mod effective;
mod keys;
mod listen;
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
mod written;

pub use admin::AdminConfig;
pub use cache::CacheConfig;
pub use database::{DatabaseConfig, DatabaseUrl, DatabaseUser, HostPort, Server, TlsMode, UrlError};
pub use effective::{Effective, EffectiveKey, ValueOrigin};
pub use listen::{DovecotConfig, ListenAddress, ListenSocket, PostfixConfig};
pub use log::{LogConfig, LogLevel, LoggedDecisions};
pub use metrics::{MetricsAddress, MetricsConfig};
pub use mistake::{ConfigErrors, Mistake, Position};
pub use outage::OutageConfig;
pub use password::PasswordConfig;
pub use pop3::{CramOrder, Pop3Config};
pub use source::{Origin, SYSTEM_FILE, Source};
pub use throttle::ThrottleConfig;

pub(crate) use parse::nearest;

use crate::detail::Delimiters;
use crate::mailbox::MailboxDefaults;
use crate::password::Budget;
use crate::policy::{AddressRules, Policy, RefusalTime};
use crate::schema::SchemaConfig;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that can be configured.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `[database]`
    pub database: DatabaseConfig,
    /// `[schema]`
    pub schema: SchemaConfig,
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
    /// `[dovecot]`
    pub dovecot: DovecotConfig,
    /// `[postfix]`
    pub postfix: PostfixConfig,
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
    /// Sets the paths of the sockets that the file does not set. `is_written` returns true for the keys that it sets.
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

    /// Returns the rules for decisions.
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
            addresses: AddressRules::of(&self.database.tables),
            delimiters: self.address.delimiters.clone(),
            refusal_time: self.login.refusal_time,
        }
    }

    /// Returns the user that the daemon may run as, in addition to root and the asking program's own user:
    /// `[client] server_user`; if that is not set, `[courier] user`; otherwise `mailauth`.
    pub fn server_user(&self) -> &str {
        let of_daemon = self.courier.user.as_deref().unwrap_or("mailauth");
        self.client.server_user.as_deref().unwrap_or(of_daemon)
    }

    /// Returns `[throttle]` with a delay short enough that no client regards the daemon as frozen; the client would
    /// ask the database instead.
    pub fn throttle_in_time(&self) -> ThrottleConfig {
        ThrottleConfig { delay: self.throttle.delay.min(self.client.deadline / 3), ..self.throttle.clone() }
    }

    /// Returns true if the checkpassword program creates a missing home and Maildir.
    pub fn makes_homes_by_checkpassword(&self) -> bool {
        self.mailbox.create || self.pop3.create_home
    }

    /// Returns the limit on parallel hashing for a process with this configuration.
    pub fn budget(&self) -> Budget {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        let parallel = if self.password.parallel == 0 { processors() } else { self.password.parallel };
        Budget::new(parallel, self.password.memory)
    }
}

/// `[login]`: how logins are read, and what they may be used for.
#[derive(Clone, Debug)]
pub struct LoginConfig {
    /// `default_domain`: domain that is appended to a login without `@`. `None` by default.
    pub default_domain: Option<String>,
    /// `separators`: characters that may replace the `@` of a login. In a login without `@`, the last of them is read
    /// as `@`. Empty by default.
    pub separators: String,
    /// `unknown_services`: whether an account without restrictions may use a service whose name is unknown.
    pub unknown_services: bool,
    /// `alias_domains`: whether users may log in with the alias domains of their domain.
    pub alias_domains: bool,
    /// `refusal_time`: time from a request to its refusal.
    pub refusal_time: RefusalTime,
}

/// `[address]`: how mail addresses are read.
#[derive(Clone, Debug, Default)]
pub struct AddressConfig {
    /// `delimiter`: characters that separate a detail from the local part of an address.
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

/// `[quota]`: how mailboxes are counted.
#[derive(Clone, Debug, Default)]
pub struct QuotaConfig {
    /// `count_trash`: whether the trash counts. Courier does not count it; Exim and Dovecot do.
    pub count_trash: bool,
    /// `warn`: percentages at which `mailauth deliver` warns a mailbox's owner.
    pub warn: Vec<u8>,
    /// `warning`: a file with the text of the warning. `None`: the built-in text.
    pub warning: Option<PathBuf>,
}

impl QuotaConfig {
    /// Returns the rules for counting.
    pub fn rules(&self) -> crate::quota::CountRules {
        crate::quota::CountRules { count_trash: self.count_trash }
    }
}

/// Socket on which Courier's programs on Debian look for the daemon.
const COURIER_SOCKET: &str = "/run/courier/authdaemon/socket";

/// Socket on which mailauth's own programs look for it. Its folder and all parents belong to root or to the daemon.
const OWN_SOCKET: &str = "/run/mailauth/socket";

/// `[courier]`: the daemon on the authdaemon socket.
#[derive(Clone, Debug)]
pub struct CourierConfig {
    /// `socket`: path of the socket.
    pub socket: PathBuf,
    /// `socket_mode`: permission bits of the socket.
    pub socket_mode: u32,
    /// `socket_group`: name or number of the socket's group. `None`: the daemon's own group.
    pub socket_group: Option<String>,
    /// `own_socket`: path of the socket for mailauth's own programs. `None`: there is only the other socket.
    pub own_socket: Option<PathBuf>,
    /// `user`: user to switch to after binding the socket, if started as root. `None`: do not switch.
    pub user: Option<String>,
    /// `mailboxes`: socket of mailauth-mailboxes, which a daemon that is not root asks about mailboxes of other users.
    pub mailboxes: PathBuf,
    /// `sandbox`: whether the kernel refuses system calls that a running daemon does not need, and changes outside its
    /// folders.
    pub sandbox: bool,
    /// `allow_users`: names or numbers of users that may connect, in addition to root, the daemon's own user and the
    /// socket's group.
    pub allow_users: Vec<String>,
    /// `allow_groups`: the same for groups.
    pub allow_groups: Vec<String>,
    /// `enumerate_users`: users that may list all accounts, in addition to root and the daemon's own user. `*`: all
    /// users that may connect.
    pub enumerate_users: Vec<String>,
    /// `passwd_users`: the same for changing passwords.
    pub passwd_users: Vec<String>,
    /// `clear_users`: users that are sent `PASSWD2=` with a look-up, in addition to those that get it by `send_clear`.
    /// Exim's cram_md5 needs it.
    pub clear_users: Vec<String>,
    /// `send_hash`: whether to send `PASSWD=` with the stored hash.
    pub send_hash: bool,
    /// `send_clear`: whether to send `PASSWD2=` with the clear password if it is known. Courier's IMAP and POP3 proxy
    /// needs it.
    pub send_clear: bool,
    /// `max_connections`: maximum number of connections. Additional ones are closed at once, which clients treat as
    /// "not now".
    pub max_connections: usize,
    /// `max_connections_per_user`: maximum number of these for each user, except root and the daemon's own. 0: half of
    /// `max_connections`.
    pub max_connections_per_user: usize,
    /// `idle`: time without a byte after which a connection is closed.
    pub idle: Duration,
    /// `request`: maximum time from the first byte to the answer.
    pub request: Duration,
}

impl CourierConfig {
    /// Returns the sockets of the daemon, beginning with the one for mailauth's own programs.
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

/// `[client]`: how the programs that other daemons start get their answers.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `socket`: the daemon's socket.
    pub socket: PathBuf,
    /// The socket that is tried next if this program cannot connect to `socket`. `None` if the file sets `socket`.
    pub other_socket: Option<PathBuf>,
    /// `server_user`: name or number of the daemon's user; see [`Config::server_user`].
    pub server_user: Option<String>,
    /// `fallback`: what to do if the daemon is unavailable.
    pub fallback: Fallback,
    /// `deadline`: time after which a daemon that has not answered counts as unavailable.
    pub deadline: Duration,
}

/// What to do if the daemon is unavailable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fallback {
    /// `"database"`: ask the database directly.
    #[default]
    Database,
    /// `"none"`: use only the socket.
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
