//! Reasons why a daemon gave no answer, and what to do about them.

use super::endpoint::Endpoint;
use super::trust::Untrusted;
use mailauth_core::names;
use rustix::io::Errno;
use rustix::process::geteuid;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Cause of a failure to get an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A system call failed.
    System(Errno),
    /// The process that listens there is not trusted.
    Untrusted(Untrusted),
}

impl From<Errno> for Cause {
    fn from(errno: Errno) -> Self {
        Cause::System(errno)
    }
}

/// Failure to get an answer.
pub(super) struct Failure {
    /// True if no connection was made.
    pub connecting: bool,
    /// Cause of the failure.
    pub cause: Cause,
    /// Time that the whole request was allowed to take.
    pub limit: Duration,
}

impl Failure {
    /// Returns the limit in milliseconds, rounded up: some microseconds have passed before it is computed.
    fn limit_ms(&self) -> u128 {
        self.limit.as_micros().div_ceil(1000)
    }

    /// Returns true if nothing listens at the endpoint, or this user may not connect to it.
    pub fn is_closed_endpoint(&self) -> bool {
        let closed = [Errno::NOENT, Errno::NOTDIR, Errno::CONNREFUSED, Errno::ACCESS];
        self.connecting && matches!(self.cause, Cause::System(errno) if closed.contains(&errno))
    }

    /// Returns true if there is no daemon at all.
    pub fn is_absence(&self) -> bool {
        matches!(self.cause, Cause::System(Errno::NOENT | Errno::CONNREFUSED))
    }

    /// Returns the sentence about this failure at `endpoint`.
    pub fn explain(&self, endpoint: &Endpoint) -> String {
        let errno = match (self.cause, endpoint) {
            (Cause::System(errno), _) => errno,
            (Cause::Untrusted(user), Endpoint::Socket(path, trust)) => return trust.explain(user, path.display()),
            // A program is started by this process and has its user.
            (Cause::Untrusted(_), Endpoint::Program(_)) => Errno::PERM,
        };
        let error = std::io::Error::from(errno);
        match (endpoint, errno) {
            (Endpoint::Program(_), Errno::AGAIN) => {
                format!("{endpoint} did not answer within {} ms; see why the database is slow", self.limit_ms())
            }
            (Endpoint::Program(_), _) if self.connecting => {
                format!(
                    "{endpoint} cannot be started: {error}; install it in the same folder as the program or object that \
                     starts it"
                )
            }
            (Endpoint::Program(_), _) => format!("{endpoint} gave no answer: {error}"),
            (Endpoint::Socket(..), Errno::AGAIN) => {
                let limit = self.limit_ms();
                format!(
                    "the daemon did not answer within {limit} ms ({endpoint}): it is frozen or overloaded; see its log, \
                     and restart it if this continues"
                )
            }
            (Endpoint::Socket(path, _), errno) if self.connecting => unreachable(path, errno, &error),
            (Endpoint::Socket(..), _) => {
                format!("the connection to the daemon failed: {error} ({endpoint}); see its log")
            }
        }
    }
}

/// Returns the sentence about a connection that was closed without an answer. If `unread` is true, the request was not
/// even read.
pub(super) fn closed(endpoint: &Endpoint, unread: bool) -> String {
    let path = match endpoint {
        Endpoint::Program(_) => return format!("{endpoint} ended without an answer"),
        Endpoint::Socket(path, _) => path,
    };
    let user = geteuid().as_raw();
    match unread {
        true if user != 0 => {
            let user = names::user(user);
            // For a socket that every user may connect to, the group does not matter.
            let group = match fs::metadata(path) {
                Ok(socket) if socket.mode() & 0o002 == 0 => format!("to the group {} or ", names::group(socket.gid())),
                _ => String::new(),
            };
            format!(
                "the daemon did not read the request ({endpoint}): it does not accept the user {user}, or has too many \
                 connections; add {user} {group}to [courier] allow_users and reload the daemon, or see its log"
            )
        }
        true => format!(
            "the daemon did not read the request ({endpoint}): it has too many connections, or is not mailauth-courier; \
             see its log, and 'mailauth check'"
        ),
        false => format!(
            "the daemon closed without an answer ({endpoint}): it cannot answer now, or does not know the request; its log \
             says which"
        ),
    }
}

fn unreachable(path: &Path, errno: Errno, error: &std::io::Error) -> String {
    let shown = path.display();
    match errno {
        Errno::NOENT | Errno::NOTDIR => format!(
            "the daemon is away: there is no {shown} ({error}); start mailauth-courier, or set [client] socket and \
             [courier] socket to the same path"
        ),
        Errno::CONNREFUSED if fs::metadata(path).is_ok_and(|found| !found.file_type().is_socket()) => {
            format!("{shown} is not a socket ({error}); move it away and restart mailauth-courier, or correct the path")
        }
        Errno::CONNREFUSED => {
            format!("the daemon is away: nothing listens on {shown} ({error}); start mailauth-courier")
        }
        Errno::ACCESS | Errno::PERM => forbidden(path, error),
        _ => format!("cannot connect to the daemon on {shown}: {error}"),
    }
}

/// Returns the sentence about a socket that this user may not connect to.
fn forbidden(path: &Path, error: &std::io::Error) -> String {
    let shown = path.display();
    let user = geteuid().as_raw();
    if user == 0 {
        return format!(
            "root may not connect to the daemon: {shown}: {error}; the cause is not the file's mode but something such as \
             AppArmor or SELinux"
        );
    }
    let user = names::user(user);
    let denied = format!("the user {user} may not connect to the daemon: ");
    let (what, found, bit, wider) = match closed_folder(path) {
        Some((folder, found)) => (format!("the folder {}", folder.display()), found, 0o010, "mode 0750".to_owned()),
        None => match fs::metadata(path) {
            Ok(found) => (shown.to_string(), found, 0o020, "[courier] socket_mode = \"0660\"".to_owned()),
            Err(_) => return format!("{denied}{shown}: {error}"),
        },
    };
    let (group, mode) = (names::group(found.gid()), found.mode() & 0o7777);
    if found.file_type().is_socket() && mode & 0o077 == 0 {
        return format!(
            "{denied}{error}: {what} is open only to root and the daemon's user (mode {mode:04o}); name {user} in [courier] \
             allow_users and reload the daemon"
        );
    }
    let fix = match found.mode() & bit {
        0 => format!("give it to a group of that user, with {wider}"),
        // Dovecot's processes have only these groups, whatever /etc/group says.
        _ if user == "dovecot" => format!("set service auth {{ extra_groups = {group} }} in Dovecot's configuration"),
        _ => format!("add the user to the group {group} and restart the program that asks"),
    };
    format!("{denied}{error}: {what} is open only to the group {group} (mode {mode:04o}); {fix}")
}

/// Returns the folder on the way to `path` that this user may not enter.
fn closed_folder(path: &Path) -> Option<(PathBuf, Metadata)> {
    let mut ways: Vec<&Path> = path.ancestors().collect();
    ways.reverse();
    ways.windows(2).find_map(|pair| {
        let [folder, next] = pair else { return None };
        match fs::metadata(next) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                Some((folder.to_path_buf(), fs::metadata(folder).ok()?))
            }
            _ => None,
        }
    })
}
