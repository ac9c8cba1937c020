//! Messages that say why a database server cannot be connected to, and what to do about it.

use crate::config::{DatabaseConfig, HostPort, Server};
use crate::names;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// The user and database of a connection, as messages name them.
#[derive(Clone, Debug)]
pub(in crate::store::driver) struct ConnectTarget {
    /// Section of the configuration with the URL: `database` or `admin`.
    pub section: &'static str,
    /// User in the URL.
    pub user: String,
    /// Database in the URL.
    pub database: String,
    /// True if no password is configured.
    pub no_password: bool,
}

impl ConnectTarget {
    pub fn new(config: &DatabaseConfig, server: &Server) -> Self {
        ConnectTarget {
            section: config.user.section(),
            user: server.user.clone(),
            database: server.database.clone(),
            no_password: config.password.is_empty(),
        }
    }

    /// Returns what to do about a user or password that the server rejects.
    pub fn correct_password(&self) -> String {
        let ConnectTarget { section, user, .. } = self;
        match self.no_password {
            true => format!("no password was sent: write it to a file, and set [{section}] password_file to that file"),
            false => format!(
                "compare the user {user} in [{section}] url with the server's users, and the content of [{section}] \
                 password_file with its password there"
            ),
        }
    }

    /// Returns the advice to correct the URL, as the alternative to another one.
    pub fn correct_url(&self) -> String {
        format!("or correct [{}] url", self.section)
    }

    /// Returns the message about an address that cannot be connected to.
    pub fn address_error(&self, error: &io::Error, at: SocketAddr) -> String {
        let or_url = self.correct_url();
        let advice = match error.kind() {
            ErrorKind::ConnectionRefused => {
                format!("nothing listens there; start the server, {or_url}; the server has to listen on this address")
            }
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
                format!("there is no route to this address; check the network, {or_url}")
            }
            ErrorKind::PermissionDenied => "a firewall or the service manager of this machine forbids it".to_owned(),
            _ => format!("check the server and the network, {or_url}"),
        };
        format!("{at}: {error}; {advice}")
    }

    /// Returns the message about a unix socket that cannot be connected to. `setting` is the server's setting that
    /// names the socket.
    pub fn socket_error(&self, error: &io::Error, socket: &Path, setting: &str) -> String {
        let (shown, or_url) = (socket.display(), self.correct_url());
        let advice = match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                format!(
                    "there is no such socket; start the server, {or_url}: the server's setting {setting} names the socket"
                )
            }
            ErrorKind::ConnectionRefused if is_no_socket(socket) => {
                format!(
                    "it is not a socket; correct [{}] url: the server's setting {setting} names the socket",
                    self.section
                )
            }
            ErrorKind::ConnectionRefused => format!("nothing listens there; start the server, {or_url}"),
            ErrorKind::PermissionDenied => {
                let user = names::own();
                format!("the user {user} may not use it; add {user} to the group of the socket and of its folder")
            }
            _ => format!("check the server, {or_url}"),
        };
        format!("{shown}: {error}; {advice}")
    }
}

fn is_no_socket(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.file_type().is_socket())
}

/// Returns the message about a host name that cannot be looked up.
pub(in crate::store::driver) fn name_error(problem: &dyn std::fmt::Display, at: &HostPort) -> String {
    format!(
        "the host's name {} cannot be looked up: {problem}; correct it in the URL, or check /etc/hosts and the name server",
        at.host
    )
}
