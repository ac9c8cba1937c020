//! Why a database server gives no connection, and what to do about it: one sentence for each kind of trouble.

use crate::config::{DatabaseConfig, HostPort, Server};
use crate::names;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Who connects to which database, as the messages name it.
#[derive(Clone, Debug)]
pub(in crate::store::driver) struct ConnectTarget {
    /// The section of the configuration with the URL: `database` or `admin`.
    pub section: &'static str,
    /// The user in the URL.
    pub user: String,
    /// The database in the URL.
    pub database: String,
    /// There is no password.
    pub no_password: bool,
}

impl ConnectTarget {
    pub fn of(config: &DatabaseConfig, server: &Server) -> Self {
        ConnectTarget {
            section: config.user.section(),
            user: server.user.clone(),
            database: server.database.clone(),
            no_password: config.password.is_empty(),
        }
    }

    /// Returns what to do about a user or password that the server refuses.
    pub fn correct_password(&self) -> String {
        let ConnectTarget { section, user, .. } = self;
        match self.no_password {
            true => format!("no password was sent: write it into a file and name that in [{section}] password_file"),
            false => format!(
                "compare the user {user} in [{section}] url with the server's users, and the file of [{section}] \
                 password_file with its password there"
            ),
        }
    }

    /// Returns what to do about a name that is not known, or not for this user.
    pub fn correct_url(&self) -> String {
        format!("or correct [{}] url", self.section)
    }

    /// Returns the sentence about an address where the server cannot be connected to.
    pub fn of_address(&self, error: &io::Error, at: SocketAddr) -> String {
        let or_url = self.correct_url();
        let cure = match error.kind() {
            ErrorKind::ConnectionRefused => {
                format!("nothing listens there; start the server, {or_url}; it has to listen on this address")
            }
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
                format!("there is no way to this address; look at the network, {or_url}")
            }
            ErrorKind::PermissionDenied => "a firewall of this machine, or its service manager, forbids it".to_owned(),
            _ => format!("look at the server and the way to it, {or_url}"),
        };
        format!("{at}: {error}; {cure}")
    }

    /// Returns the sentence about a unix socket where the server cannot be connected to. `setting` is what names the
    /// socket on the server.
    pub fn of_socket(&self, error: &io::Error, socket: &Path, setting: &str) -> String {
        let (shown, or_url) = (socket.display(), self.correct_url());
        let cure = match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                format!("there is no such socket; start the server, {or_url}: its {setting} names the socket")
            }
            ErrorKind::ConnectionRefused if is_no_socket(socket) => {
                format!("it is not a socket; correct [{}] url: the server's {setting} names the socket", self.section)
            }
            ErrorKind::ConnectionRefused => format!("nothing listens there; start the server, {or_url}"),
            ErrorKind::PermissionDenied => {
                let user = names::own();
                format!("the user {user} may not use it; add {user} to the group of the socket and of its folder")
            }
            _ => format!("look at the server, {or_url}"),
        };
        format!("{shown}: {error}; {cure}")
    }
}

fn is_no_socket(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.file_type().is_socket())
}

/// Returns the sentence about a host's name that has no address.
pub(in crate::store::driver) fn of_name(problem: &dyn std::fmt::Display, at: &HostPort) -> String {
    format!(
        "the host's name {} cannot be looked up: {problem}; correct it in the URL, or see /etc/hosts and the name server",
        at.host
    )
}
