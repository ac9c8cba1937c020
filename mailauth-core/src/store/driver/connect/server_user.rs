//! Checks which system user runs the server at the other end of a unix socket or a loopback connection, like libpq's
//! `requirepeer`.
//!
//! A program that took the place of a server while it restarts would receive passwords, and could let any client log
//! in.

use crate::credentials::peer_credentials;
use crate::store::OpenError;
use crate::store::driver::connect::loopback::{Owner, TcpEnds};
use crate::{names, system_ids};
use rustix::fd::AsFd;
use rustix::process::Uid;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The system users that may run the server.
#[derive(Clone, Debug)]
pub(in crate::store::driver) struct ServerUser {
    /// `[database] server_user`: only this user. Without it: root, the user of this process, those of the usual names,
    /// and the owner of the socket's folder, as that user could replace the socket anyway.
    wanted: Option<Uid>,
    /// Usual names of the server's system user.
    usual: &'static [&'static str],
}

/// Usual system users of MySQL and MariaDB servers.
pub(in crate::store::driver) const MYSQL: &[&str] = &["mysql", "mariadb"];

/// Usual system users of PostgreSQL servers.
pub(in crate::store::driver) const POSTGRES: &[&str] = &["postgres"];

impl ServerUser {
    pub(in crate::store::driver) fn new(
        wanted: Option<&str>,
        usual: &'static [&'static str],
    ) -> Result<Self, OpenError> {
        Ok(ServerUser { wanted: wanted.map(number).transpose()?, usual })
    }

    /// Returns true if the configuration names the user.
    pub(in crate::store::driver) fn is_configured(&self) -> bool {
        self.wanted.is_some()
    }

    /// Returns the user at the other end of a unix socket if it may run the server; otherwise a message with what to
    /// do.
    pub(in crate::store::driver) fn check_socket(&self, socket: impl AsFd, path: &Path) -> Result<String, String> {
        let shown = path.display();
        let peer = peer_credentials(socket.as_fd())
            .map_err(|error| format!("{shown}: cannot find out which user is at the other end: {error}"))?;
        let uid = Uid::from_raw(peer.uid);
        if self.may_be(uid) || (self.wanted.is_none() && owns_the_folder(path, uid)) {
            return Ok(names::user(peer.uid));
        }
        Err(format!("{shown}: {}", self.unexpected_user(uid)))
    }

    /// Returns the user at the other end of a loopback connection on which something was received; `None` if it belongs
    /// to no user of this machine and none is configured. Fails with a message that says what to do.
    pub(in crate::store::driver) fn check_loopback(&self, ends: &TcpEnds) -> Result<Option<String>, String> {
        match ends.owner() {
            Ok(Owner::User(uid)) if self.may_be(uid) => Ok(Some(names::user(uid.as_raw()))),
            Ok(Owner::User(uid)) => Err(self.unexpected_user(uid)),
            Ok(Owner::Gone) => Err("the server has closed the connection".to_owned()),
            Ok(Owner::Elsewhere) | Err(_) if self.wanted.is_none() => Ok(None),
            Ok(Owner::Elsewhere) => Err(
                "the server is not a process of this machine, but perhaps in a container: connect through the server's \
                 unix socket, or remove [database] server_user"
                    .to_owned(),
            ),
            Err(error) => Err(format!(
                "cannot read in /proc/self/net/tcp which user runs the server: {error}; connect through its unix \
                 socket, or remove [database] server_user"
            )),
        }
    }

    /// Returns true if this user may run the server, apart from the owner of the socket's folder.
    fn may_be(&self, uid: Uid) -> bool {
        match self.wanted {
            Some(wanted) => uid == wanted,
            None => {
                uid.is_root()
                    || uid == rustix::process::geteuid()
                    || self.usual.contains(&names::user(uid.as_raw()).as_str())
            }
        }
    }

    /// Returns the message about a user that may not run the server.
    fn unexpected_user(&self, uid: Uid) -> String {
        let is = names::user(uid.as_raw());
        match self.wanted {
            Some(wanted) => format!(
                "the server runs as the user {is}, but [database] server_user is {}: either this is not the right \
                 server, or that key needs to be corrected",
                names::user(wanted.as_raw())
            ),
            None => format!(
                "the server runs as the user {is}, not as a usual one ({}): find out what listens there; if it is the \
                 right server, set [database] server_user = \"{is}\"",
                self.usual.join(", ")
            ),
        }
    }
}

/// Returns the number of a user that is given by name or number.
fn number(name: &str) -> Result<Uid, OpenError> {
    let wrong = |problem: String| Err(OpenError(format!("[database] server_user: {problem}")));
    if let Ok(number) = name.parse::<u32>() {
        return if number == u32::MAX {
            wrong(format!("{name} is not a valid user number"))
        } else {
            Ok(Uid::from_raw(number))
        };
    }
    match system_ids::user(name) {
        Ok(Some(user)) => Ok(Uid::from_raw(user.uid)),
        Ok(None) => wrong(format!("there is no user {name} on this machine; correct it, or write the user's number")),
        Err(error) => wrong(format!("{name} cannot be looked up: {error}; write the user's number")),
    }
}

/// Returns true if this user owns the socket's folder, and no other user can have put the folder there.
fn owns_the_folder(socket: &Path, uid: Uid) -> bool {
    let Some(folder) = socket.parent().and_then(|folder| fs::canonicalize(folder).ok()) else { return false };
    let mut folders = folder.ancestors().map(fs::metadata);
    let owns = matches!(folders.next(), Some(Ok(folder)) if folder.uid() == uid.as_raw() && folder.mode() & 0o002 == 0);
    owns && folders.all(|above| above.is_ok_and(|above| above.mode() & 0o002 == 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::driver::connect::dial;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_the_user_that_is_configured_may_run_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let socket = dial::unix(&path).unwrap();
        let (me, name) = (rustix::process::geteuid().as_raw().to_string(), names::own());
        let of = |wanted| ServerUser::new(wanted, MYSQL).unwrap().check_socket(&socket, &path);
        assert_eq!((of(None), of(Some(&me)), of(Some(&name))), (Ok(name.clone()), Ok(name.clone()), Ok(name.clone())));
        let error = of(Some("4123456789")).unwrap_err();
        assert!(error.contains("[database] server_user is 4123456789") && error.contains(&names::own()), "{error}");
        drop(listener);

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _server = listener.accept().unwrap();
        let ends = TcpEnds::of(&client).unwrap();
        let of = |wanted| ServerUser::new(wanted, MYSQL).unwrap().check_loopback(&ends);
        assert_eq!((of(None), of(Some(&me))), (Ok(Some(names::own())), Ok(Some(names::own()))));
        assert!(of(Some("4123456789")).unwrap_err().contains("[database] server_user"));
    }

    #[test]
    fn the_message_about_an_unexpected_user_names_the_key() {
        let users = ServerUser::new(None, MYSQL).unwrap();
        let stranger = Uid::from_raw(4_123_456_789);
        assert!(!users.may_be(stranger));
        let said = users.unexpected_user(stranger);
        assert!(said.contains("[database] server_user = \"4123456789\"") && said.contains("mysql, mariadb"), "{said}");
        let error = ServerUser::new(Some("no-such-user"), MYSQL).unwrap_err().to_string();
        assert!(error.contains("server_user: there is no user no-such-user"), "{error}");
    }

    #[test]
    fn the_owner_of_a_folder_that_others_may_replace_is_unexpected() {
        let folder = tempfile::tempdir().unwrap();
        let me = rustix::process::geteuid();
        // Below /tmp, where any user could have created it.
        assert!(!owns_the_folder(&folder.path().join("s"), me));
        assert!(!owns_the_folder(Path::new("/nonexistent/s"), me));
        assert!(owns_the_folder(Path::new("/run/s"), Uid::ROOT));
        assert!(!owns_the_folder(Path::new("/run/s"), Uid::from_raw(4_123_456_789)));
    }
}
