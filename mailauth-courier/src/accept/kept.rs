//! The sockets of connections that are kept: those of `[dovecot]` and `[postfix]`.
//!
//! They lie in folders of other programs, such as Postfix's `private`, into which the daemon's user cannot even look. A
//! socket that was passed to this process is therefore used as it is, with the mode and the owner that it was made with. A
//! socket that is bound here belongs to the user and the group of its table, and its folder to root, to this process's
//! user or to that user, who is asked there in any case.

use super::listener::{BACKLOG, BindError, Listener, SocketKind, SocketSpec};
use super::passed;
use super::scope::SocketFile;
use crate::process::identity::{group_id, user_id};
use mailauth_core::config::{Config, ListenAddress, ListenSocket};
use mailauth_dovecot::Scope;
use rustix::net::listen;
use std::io;
use std::net::TcpListener;
use std::os::fd::{BorrowedFd, OwnedFd};

/// What is spoken on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `[dovecot] client_socket`
    Client,
    /// `[dovecot] login_socket`
    Login,
    /// `[dovecot] userdb_socket`
    Userdb,
    /// `[dovecot] master_socket`
    Master,
    /// `[postfix] socketmap_socket`
    Socketmap,
    /// `[postfix] policy_socket`
    Policy,
}

impl Protocol {
    /// Returns the sockets of `config`, with what is spoken on them.
    pub fn sockets(config: &Config) -> impl Iterator<Item = (Protocol, &ListenSocket)> {
        let (dovecot, postfix) = (&config.dovecot, &config.postfix);
        let lists = [
            (Protocol::Client, &dovecot.client),
            (Protocol::Login, &dovecot.login),
            (Protocol::Userdb, &dovecot.userdb),
            (Protocol::Master, &dovecot.master),
            (Protocol::Socketmap, &postfix.socketmap),
            (Protocol::Policy, &postfix.policy),
        ];
        lists.into_iter().flat_map(|(protocol, sockets)| sockets.iter().map(move |socket| (protocol, socket)))
    }

    /// Returns its key in the configuration.
    pub fn key(self) -> &'static str {
        match self {
            Protocol::Client => "[dovecot] client_socket",
            Protocol::Login => "[dovecot] login_socket",
            Protocol::Userdb => "[dovecot] userdb_socket",
            Protocol::Master => "[dovecot] master_socket",
            Protocol::Socketmap => "[postfix] socketmap_socket",
            Protocol::Policy => "[postfix] policy_socket",
        }
    }
}

/// A socket that listens. Dropping it removes the file that was made for it.
#[derive(Debug)]
pub(crate) struct KeptListener {
    pub protocol: Protocol,
    pub config: ListenSocket,
    socket: Socket,
    /// The file, if accounts are looked up there.
    lookups: Option<SocketFile>,
}

#[derive(Debug)]
enum Socket {
    /// Passed to this process, or a port.
    Given(OwnedFd),
    Made(Box<Listener>),
}

impl KeptListener {
    /// Listens as `config` says.
    ///
    /// # Errors
    /// Fails if another server listens there, users that are not named may write to the folder, or a system call fails.
    pub fn bind(protocol: Protocol, config: &ListenSocket) -> Result<Self, BindError> {
        let failed = |error| BindError::Kept { key: protocol.key(), address: config.address.clone(), error };
        let passed = match &config.address {
            ListenAddress::Unix(path) => passed::at_path(path),
            ListenAddress::Tcp(port) => passed::at_port(port),
        };
        let given = |socket: OwnedFd| -> Result<Socket, BindError> {
            // Also makes this process the one that clients see at the other end.
            listen(&socket, BACKLOG).map_err(io::Error::from).map_err(failed)?;
            Ok(Socket::Given(socket))
        };
        let owner = || config.user.as_deref().map(|name| user_id(protocol.key(), name)).transpose();
        let group = || config.group.as_deref().map(|name| group_id(protocol.key(), name)).transpose();
        let socket = match (passed.map_err(failed)?, &config.address) {
            (Some(socket), _) => given(socket)?,
            (None, ListenAddress::Tcp(port)) => given(TcpListener::bind(port).map_err(failed)?.into())?,
            (None, ListenAddress::Unix(path)) => {
                let spec = SocketSpec {
                    path: path.clone(),
                    mode: config.mode,
                    group: group()?.map(|group| group.to_string()),
                    owner: owner()?,
                    user: None,
                    kind: SocketKind::Kept,
                };
                Socket::Made(Box::new(Listener::bind_at(spec)?))
            }
        };
        let lookups = match (protocol, &config.address) {
            (Protocol::Userdb | Protocol::Master, ListenAddress::Unix(path)) => {
                Some(SocketFile { path: path.clone(), mode: config.mode, owner: owner()?, group: group()? })
            }
            _ => None,
        };
        Ok(KeptListener { protocol, config: config.clone(), socket, lookups })
    }

    /// Returns the function that decides which accounts a client of this socket may look up.
    pub fn scope_of(&self) -> impl Fn(BorrowedFd<'_>) -> io::Result<Scope> + Send + Sync + 'static {
        let lookups = self.lookups.clone();
        move |client| lookups.as_ref().map_or(Ok(Scope::All), |file| file.scope_of(client))
    }

    /// Returns true if it listens as `config` says, and `protocol` is spoken on it.
    pub fn serves(&self, protocol: Protocol, config: &ListenSocket) -> bool {
        self.protocol == protocol && self.config == *config
    }

    /// Returns a descriptor of the socket.
    ///
    /// # Errors
    /// Fails if the process may not have another descriptor.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        match &self.socket {
            Socket::Given(socket) => socket.try_clone(),
            Socket::Made(listener) => listener.socket().try_clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{SocketAddr, TcpStream};
    use std::time::Duration;

    /// More than the backlog of a listener of the standard library.
    const MANY: usize = 300;

    #[test]
    fn many_clients_of_a_port_may_wait_to_be_accepted() {
        let port: SocketAddr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = ListenSocket { address: ListenAddress::Tcp(port), user: None, group: None, mode: 0o660 };
        let _listener = KeptListener::bind(Protocol::Client, &config).unwrap();
        let connect = |number| {
            TcpStream::connect_timeout(&port, Duration::from_secs(10))
                .unwrap_or_else(|error| panic!("{number}: {error}"))
        };
        let _clients: Vec<TcpStream> = (0..MANY).map(connect).collect();
    }
}
