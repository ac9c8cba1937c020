//! Reports the state of the daemon to systemd: sd_notify(3), by the protocol in its section "Notes".
//!
//! The report is one datagram of `NAME=value` lines to the unix socket in `$NOTIFY_SOCKET`, a path or, with a leading
//! `@`, an abstract name. Without the variable, nothing is reported.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Reports that the server answers requests.
pub fn ready() {
    say("READY=1");
}

/// Reports that the configuration is being read again; [`ready`] follows.
pub fn reloading() {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    say(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1000));
}

/// Reports that the server finishes its last requests and stops.
pub fn stopping() {
    say("STOPPING=1");
}

fn say(state: &str) {
    let Some(name) = crate::environment::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&name, state) {
        tracing::warn!(%error, "cannot report {:?} to systemd; check NOTIFY_SOCKET", state.lines().next());
    }
}

fn send(name: &OsStr, state: &str) -> io::Result<()> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(by: &UnixDatagram) -> String {
        let mut buffer = [0; 100];
        let length = by.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn paths_and_abstract_names_receive_the_report() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), "READY=1").unwrap();
        assert_eq!(received(&by_path), "READY=1");

        let name = folder.path().as_os_str().as_bytes();
        let abstractly = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
        send(OsStr::from_bytes(&[b"@", name].concat()), "STOPPING=1").unwrap();
        assert_eq!(received(&abstractly), "STOPPING=1");
    }

    #[test]
    fn a_name_without_a_listener_is_only_an_error() {
        assert!(send(OsStr::new("/nonexistent/notify"), "READY=1").is_err());
        assert!(send(OsStr::new(&"x".repeat(500)), "READY=1").is_err());
    }
}
