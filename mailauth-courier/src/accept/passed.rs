//! Listening sockets that were opened before this process and passed to it, by systemd or a program that does the same:
//! sd_listen_fds(3).
//!
//! They remain open when this process ends, so that connections wait for the next one. Each serves the key of the
//! configuration that names its address.

use super::kept::Protocol;
use mailauth_core::config::{Config, ListenAddress, MetricsAddress};
use mailauth_core::environment;
use rustix::fs::{AtFlags, CWD, statat};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd, ioctl_fionbio};
use rustix::net::sockopt::{socket_acceptconn, socket_type};
use rustix::net::{SocketAddrAny, SocketAddrUnix, SocketType, getsockname};
use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Variables by which sockets are passed.
const VARIABLES: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// The first descriptor that is passed.
const FIRST: RawFd = 3;

/// Maximum number of sockets that are passed. The configuration names three.
const MOST: RawFd = 64;

static PASSED: OnceLock<Vec<PassedSocket>> = OnceLock::new();

/// Sockets were passed that the daemon cannot use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}", .0.join("\n"))]
pub struct UnusableSockets(Vec<String>);

/// A descriptor that was passed.
#[derive(Debug, PartialEq, Eq)]
struct Announced {
    descriptor: RawFd,
    /// `FileDescriptorName=` of the unit; by default the name of the unit.
    name: String,
}

/// A listening socket that was passed.
#[derive(Debug)]
struct PassedSocket {
    descriptor: OwnedFd,
    address: MetricsAddress,
    name: String,
}

/// Takes the sockets that were passed to this process, and removes the variables that announce them, so that no other
/// program takes them for its own. Returns their number.
///
/// # Errors
/// Fails if the variables are invalid, or one of the descriptors is not a listening socket.
///
/// # Safety
/// The process must have no other thread, and must not have opened descriptors that it still uses.
pub unsafe fn receive() -> Result<usize, UnusableSockets> {
    let [pid, count, names] = VARIABLES.map(|name| environment::var_os(name).unwrap_or_default());
    for name in VARIABLES {
        // SAFETY: the caller guarantees that no other thread reads the environment.
        unsafe { std::env::remove_var(name) };
    }
    let announced = announced(&pid, &count, &names, std::process::id()).map_err(|why| UnusableSockets(vec![why]))?;
    let (mut sockets, mut mistakes) = (Vec::new(), Vec::new());
    for one in announced {
        // SAFETY: the caller guarantees that this process uses the descriptor nowhere else.
        match unsafe { adopt(&one) } {
            Ok(socket) => sockets.push(socket),
            Err(why) => {
                mistakes.push(format!("the descriptor {} ({}) was passed, but {why}", one.descriptor, one.name))
            }
        }
    }
    if !mistakes.is_empty() {
        return Err(UnusableSockets(mistakes));
    }
    let count = sockets.len();
    // It is set once, by the only call.
    let _ = PASSED.set(sockets);
    Ok(count)
}

/// Returns the descriptors that the variables announce for the process `own`.
fn announced(pid: &OsStr, count: &OsStr, names: &OsStr, own: u32) -> Result<Vec<Announced>, String> {
    if count.is_empty() || number(pid) != Some(own) {
        return Ok(Vec::new());
    }
    let count: RawFd = number(count).filter(|count| (0..=MOST).contains(count)).ok_or_else(|| {
        format!("LISTEN_FDS is {count:?}, and not a number up to {MOST}; correct the program that starts the daemon")
    })?;
    let names = names.to_string_lossy();
    let mut names = names.split(':').filter(|name| !name.is_empty());
    let mut next =
        || names.next().map_or_else(|| "unknown".to_owned(), |name| name.escape_default().take(255).collect());
    Ok((FIRST..FIRST + count).map(|descriptor| Announced { descriptor, name: next() }).collect())
}

fn number<T: std::str::FromStr>(text: &OsStr) -> Option<T> {
    text.to_str()?.parse().ok()
}

/// Takes a descriptor, which other programs that this process starts do not inherit.
///
/// # Safety
/// The descriptor must be used nowhere else.
unsafe fn adopt(announced: &Announced) -> Result<PassedSocket, String> {
    let advice = "; set ListenStream= and Accept=no in its unit";
    let closed = |error| format!("it cannot be used: {error}");
    // SAFETY: fcntl(2) fails if the descriptor is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(announced.descriptor) };
    fcntl_setfd(borrowed, FdFlags::CLOEXEC).map_err(closed)?;
    // SAFETY: it is open, and the caller guarantees that it has no other owner.
    let descriptor = unsafe { OwnedFd::from_raw_fd(announced.descriptor) };
    let listens = socket_acceptconn(&descriptor).is_ok_and(|listens| listens);
    if !listens || socket_type(&descriptor) != Ok(SocketType::STREAM) {
        return Err(format!("it is not a stream socket that listens{advice}"));
    }
    ioctl_fionbio(&descriptor, false).map_err(closed)?;
    let address = getsockname(&descriptor).map_err(closed)?;
    let address = known(address).ok_or_else(|| format!("it is bound neither to a path nor to a port{advice}"))?;
    Ok(PassedSocket { descriptor, address, name: announced.name.clone() })
}

fn known(address: SocketAddrAny) -> Option<MetricsAddress> {
    if let Ok(address) = SocketAddr::try_from(address.clone()) {
        return Some(MetricsAddress::Tcp(address));
    }
    let address = SocketAddrUnix::try_from(address).ok()?;
    let path = address.path_bytes()?;
    Some(MetricsAddress::Unix(PathBuf::from(OsStr::from_bytes(path))))
}

/// Returns a descriptor of the socket that was passed for `path`.
///
/// # Errors
/// Fails if the process may not have another descriptor.
pub(crate) fn at_path(path: &Path) -> io::Result<Option<OwnedFd>> {
    find(|address| matches!(address, MetricsAddress::Unix(bound) if is_same(bound, path)))
}

/// Returns true if a socket was passed for `path`.
pub(crate) fn is_passed(path: &Path) -> bool {
    let is_there = |bound: &MetricsAddress| matches!(bound, MetricsAddress::Unix(bound) if is_same(bound, path));
    PASSED.get().into_iter().flatten().any(|socket| is_there(&socket.address))
}

/// Returns a descriptor of the socket that was passed for a port.
///
/// # Errors
/// Fails if the process may not have another descriptor.
pub(crate) fn at_port(port: &SocketAddr) -> io::Result<Option<OwnedFd>> {
    find(|address| matches!(address, MetricsAddress::Tcp(bound) if bound == port))
}

fn find(is_wanted: impl Fn(&MetricsAddress) -> bool) -> io::Result<Option<OwnedFd>> {
    let found = PASSED.get().into_iter().flatten().find(|socket| is_wanted(&socket.address));
    found.map(|socket| Ok(fcntl_dupfd_cloexec(&socket.descriptor, FIRST)?)).transpose()
}

/// Returns true if both paths lead to the same file, such as one below `/run` and one below `/var/run`.
fn is_same(bound: &Path, configured: &Path) -> bool {
    let file = |path| statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).ok().map(|found| (found.st_dev, found.st_ino));
    bound == configured || file(bound).is_some_and(|bound| file(configured) == Some(bound))
}

/// Returns a sentence about each socket that was passed and that no key of `config` names: programs that connect there
/// would wait in vain.
pub fn unused(config: &Config) -> Vec<String> {
    let (courier, own) = (&config.courier.socket, &config.courier.own_socket);
    let is_used = |address: &MetricsAddress| match address {
        MetricsAddress::Unix(bound) => {
            let metrics = config.metrics.listen.as_ref().and_then(|address| match address {
                MetricsAddress::Unix(path) => Some(path),
                MetricsAddress::Tcp(_) => None,
            });
            let kept = Protocol::sockets(config).filter_map(|(_, socket)| match &socket.address {
                ListenAddress::Unix(path) => Some(path),
                ListenAddress::Tcp(_) => None,
            });
            [Some(courier), own.as_ref(), metrics].into_iter().flatten().chain(kept).any(|path| is_same(bound, path))
        }
        MetricsAddress::Tcp(port) => {
            config.metrics.listen.as_ref() == Some(address)
                || Protocol::sockets(config).any(|(_, socket)| socket.address == ListenAddress::Tcp(*port))
        }
    };
    let passed = PASSED.get().into_iter().flatten().filter(|socket| !is_used(&socket.address));
    passed
        .map(|PassedSocket { address, name, descriptor }| {
            format!(
                "a socket on {address} was passed ({name}, descriptor {}), and the configuration does not name it: programs \
                 that connect there get no answer; remove it from the unit, or name it in [courier] socket, [courier] \
                 own_socket, [metrics] listen, or a key of [dovecot] or [postfix]",
                descriptor.as_raw_fd()
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::IntoRawFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};

    fn listed(pid: &str, count: &str, names: &str) -> Result<Vec<(RawFd, String)>, String> {
        let found = announced(pid.as_ref(), count.as_ref(), names.as_ref(), 4711)?;
        Ok(found.into_iter().map(|one| (one.descriptor, one.name)).collect())
    }

    #[test]
    fn only_variables_for_this_process_announce_sockets() {
        let two = Ok(vec![(3, "a.socket".to_owned()), (4, "b".to_owned())]);
        assert_eq!(listed("4711", "2", "a.socket:b"), two);
        for (pid, count) in [("4712", "2"), ("", "2"), ("x", "2"), ("4711", ""), ("4711", "0")] {
            assert_eq!(listed(pid, count, "a:b"), Ok(Vec::new()), "{pid:?} {count:?}");
        }
    }

    #[test]
    fn missing_and_strange_names_are_no_mistake() {
        let names = |names: &str| -> Vec<String> {
            listed("4711", "3", names).unwrap().into_iter().map(|(_, name)| name).collect()
        };
        assert_eq!(names(""), ["unknown"; 3]);
        assert_eq!(names("one"), ["one", "unknown", "unknown"]);
        assert_eq!(names("a\nb:c:d:e"), ["a\\nb", "c", "d"]);
        assert_eq!(names(&"x".repeat(300))[0].len(), 255);
    }

    #[test]
    fn an_invalid_number_of_sockets_is_an_error() {
        for count in ["-1", "65", "two", "99999999999999999999", " 1"] {
            let error = listed("4711", count, "").unwrap_err();
            assert!(error.contains("LISTEN_FDS") && error.contains("up to 64"), "{error}");
        }
    }

    fn adopted(socket: impl IntoRawFd) -> Result<PassedSocket, String> {
        let descriptor = socket.into_raw_fd();
        // SAFETY: the descriptor has just been given up by its owner.
        unsafe { adopt(&Announced { descriptor, name: "mailauth-courier.socket".into() }) }
    }

    #[test]
    fn a_listening_socket_is_known_by_its_path_or_port() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = UnixListener::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let socket = adopted(socket).unwrap();
        assert_eq!(socket.address, MetricsAddress::Unix(path.clone()));
        let flags = rustix::fs::fcntl_getfl(&socket.descriptor).unwrap();
        assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK), "threads wait in accept");
        std::os::unix::fs::symlink(folder.path(), folder.path().join("run")).unwrap();
        assert!(is_same(&path, &folder.path().join("run/socket")));
        assert!(!is_same(&path, &folder.path().join("other")));

        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        assert_eq!(adopted(port).unwrap().address, MetricsAddress::Tcp(address));
    }

    #[test]
    fn anything_but_a_listening_socket_with_a_name_is_refused() {
        let listens = "not a stream socket that listens";
        let (connected, _peer) = UnixStream::pair().unwrap();
        assert!(adopted(connected).unwrap_err().contains(listens));
        assert!(adopted(UnixDatagram::unbound().unwrap()).unwrap_err().contains(listens));
        assert!(adopted(std::fs::File::open("/dev/null").unwrap()).unwrap_err().contains(listens));
        let address = SocketAddr::from_abstract_name(format!("passed-{}", std::process::id())).unwrap();
        let nameless = UnixListener::bind_addr(&address).unwrap();
        assert!(adopted(nameless).unwrap_err().contains("neither to a path nor to a port"));
    }
}
